#include "scenarios/text_proto.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

constexpr int deepest = 100;  // messages within messages, as in libprotobuf

bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool in_word(char c) { return letter(c) || digit(c); }
int hex_digit(char c) {
  if (digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 99;
}

class Reader {
 public:
  Reader(std::string_view content, std::string_view file) : s_(content), file_(file) {}

  std::vector<ProtoField> all() {
    std::vector<ProtoField> out;
    for (skip(); !ended(); skip()) {
      if (peek() == '}' || peek() == '>') fail(fmt::format("\"{}\" closes nothing", peek()));
      field(out, 0);
    }
    return out;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { fail_at(line_, column_, what); }
  [[noreturn]] void fail_at(std::uint32_t line, std::uint32_t column, const std::string& what) const {
    throw InputError(proto_place(file_, line, column) + what);
  }

  bool ended() const { return i_ >= s_.size(); }
  char peek() const { return ended() ? '\0' : s_[i_]; }
  char next() {
    const char c = s_[i_++];
    if (c == '\n') {
      ++line_;
      column_ = 1;
    } else {
      ++column_;
    }
    return c;
  }
  bool take(char c) {
    if (ended() || peek() != c) return false;
    next();
    return true;
  }
  void skip() {
    for (; !ended(); next()) {
      if (peek() == '#') {
        while (!ended() && peek() != '\n') next();
        if (ended()) return;
      }
      const char c = peek();
      if (c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != '\f' && c != '\v') return;
    }
  }
  std::string here() const {
    if (ended()) return "the file ends";
    const auto c = static_cast<unsigned char>(peek());
    return c >= 0x20 && c < 0x7f ? fmt::format("\"{}\"", peek()) : fmt::format("byte 0x{:02x}", c);
  }

  std::string word() {
    std::string w;
    while (!ended() && in_word(peek())) w += next();
    return w;
  }

  // name : value, name { ... }, or either with a list.
  void field(std::vector<ProtoField>& out, int depth) {
    ProtoField f;
    f.line = line_;
    f.column = column_;
    if (peek() == '[') fail("extensions and Any have no meaning here; a model configuration has none");
    if (!letter(peek())) fail(fmt::format("a field name is expected, not {}", here()));
    f.name = word();
    skip();
    const bool colon = take(':');
    skip();
    if (ended()) fail_at(f.line, f.column, fmt::format("the file ends before the value of \"{}\"", f.name));
    const bool opens = peek() == '{' || peek() == '<' || peek() == '[';
    if (!colon && !opens)
      fail(fmt::format("\":\" or \"{{\" is expected after \"{}\", not {}", f.name, here()));
    if (take('[')) list(f, colon, out, depth);
    else out.push_back(value(f, depth));
    skip();
    if (peek() == ',' || peek() == ';') next();
  }

  void list(const ProtoField& f, bool colon, std::vector<ProtoField>& out, int depth) {
    skip();
    if (take(']')) return;
    for (;;) {
      skip();
      if (!colon && peek() != '{' && peek() != '<' && !ended())
        fail(fmt::format("\":\" is missing between \"{}\" and its list", f.name));
      out.push_back(value(f, depth));
      skip();
      if (take(']')) return;
      if (ended()) fail_at(f.line, f.column, fmt::format("the list of \"{}\" is not closed", f.name));
      if (!take(',')) fail(fmt::format("\",\" or \"]\" is expected in the list of \"{}\", not {}", f.name, here()));
    }
  }

  ProtoField value(ProtoField f, int depth) {
    f.value_line = line_;
    f.value_column = column_;
    const char c = peek();
    if (c == '{' || c == '<') {
      message(f, depth + 1);
    } else if (c == '"' || c == '\'') {
      f.kind = ProtoKind::text;
      for (; peek() == '"' || peek() == '\''; skip()) f.text += quoted();
    } else if (c == '-' || c == '.' || digit(c)) {
      number(f);
    } else if (letter(c)) {
      f.kind = ProtoKind::word;
      f.text = word();
    } else {
      fail(fmt::format("a value for \"{}\" is expected, not {}", f.name, here()));
    }
    return f;
  }

  void message(ProtoField& f, int depth) {
    if (depth > deepest) fail("messages are nested too deeply");
    f.kind = ProtoKind::message;
    const char close = next() == '{' ? '}' : '>';
    for (skip(); !take(close); skip()) {
      if (ended()) fail_at(f.line, f.column, fmt::format("\"{}\" is not closed: \"{}\" is missing", f.name, close));
      field(f.fields, depth);
    }
  }

  std::string quoted() {
    const std::uint32_t line = line_, column = column_;
    const char quote = next();
    std::string out;
    while (!ended() && peek() != quote && peek() != '\n') {
      char c = next();
      if (c == '\\' && !ended()) c = escaped();
      out += c;
    }
    if (!take(quote)) fail_at(line, column, "the text is not closed on its line");
    return out;
  }

  char escaped() {
    const char c = next();
    switch (c) {
      case 'n': return '\n';
      case 't': return '\t';
      case 'r': return '\r';
      case 'a': return '\a';
      case 'b': return '\b';
      case 'f': return '\f';
      case 'v': return '\v';
      default: break;
    }
    int code = 0;
    if (c >= '0' && c <= '7') {
      code = c - '0';
      for (int i = 0; i < 2 && peek() >= '0' && peek() <= '7'; ++i) code = code * 8 + (next() - '0');
      return static_cast<char>(code);
    }
    if (c == 'x' || c == 'X') {
      if (hex_digit(peek()) > 15) fail("\"\\x\" needs digits");
      for (int i = 0; i < 2 && hex_digit(peek()) < 16; ++i) code = code * 16 + hex_digit(next());
      return static_cast<char>(code);
    }
    return c;
  }

  void number(ProtoField& f) {
    while (!ended() && (in_word(peek()) || peek() == '.' || peek() == '-' || peek() == '+')) {
      // A sign stands first or after an exponent.
      if ((peek() == '-' || peek() == '+') && !f.text.empty() && f.text.back() != 'e' && f.text.back() != 'E')
        break;
      f.text += next();
      if (f.text == "-") skip();
    }
    f.negative = f.text[0] == '-';
    const std::string_view digits = std::string_view(f.text).substr(f.negative ? 1 : 0);
    const auto wrong = [&] {
      fail_at(f.value_line, f.value_column, fmt::format("\"{}\" is not a number", f.text));
    };
    if (digits.empty()) wrong();
    if (letter(digits[0])) {  // -inf, -nan
      f.kind = ProtoKind::decimal;
      if (digits != "inf" && digits != "infinity" && digits != "nan") wrong();
      return;
    }
    const bool hex = digits.size() > 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    const bool whole = hex || std::all_of(digits.begin(), digits.end(), digit);
    if (!whole) {
      f.kind = ProtoKind::decimal;
      std::string plain(digits);
      if (plain.back() == 'f' || plain.back() == 'F') plain.pop_back();
      std::size_t used = 0;
      try {
        static_cast<void>(std::stod(plain, &used));
      } catch (const std::exception&) {
        wrong();
      }
      if (used != plain.size()) wrong();
      return;
    }
    f.kind = ProtoKind::integer;
    const std::uint64_t base = hex ? 16 : digits.size() > 1 && digits[0] == '0' ? 8 : 10;
    for (const char c : digits.substr(hex ? 2 : 0)) {
      const auto d = static_cast<std::uint64_t>(hex_digit(c));
      if (d >= base) wrong();
      if (f.magnitude > (std::numeric_limits<std::uint64_t>::max() - d) / base)
        fail_at(f.value_line, f.value_column, fmt::format("{} does not fit into 64 bits", f.text));
      f.magnitude = f.magnitude * base + d;
    }
  }

  std::string_view s_, file_;
  std::size_t i_ = 0;
  std::uint32_t line_ = 1, column_ = 1;
};

}  // namespace

std::string_view name_of(ProtoKind kind) {
  switch (kind) {
    case ProtoKind::integer: return "a whole number";
    case ProtoKind::decimal: return "a decimal number";
    case ProtoKind::text: return "a text in quotes";
    case ProtoKind::word: return "a word";
    case ProtoKind::message: break;
  }
  return "a message in braces";
}

std::string proto_place(std::string_view file, std::uint32_t line, std::uint32_t column) {
  return fmt::format("{}:{}:{}: ", file, line, column);
}

std::vector<ProtoField> parse_text_proto(std::string_view content, std::string_view file) {
  return Reader(content, file).all();
}

}  // namespace isthmus::scenarios
