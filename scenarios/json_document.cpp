#include "scenarios/json_document.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <nlohmann/json.hpp>

#include "scenarios/file_reading.hpp"
#include "scenarios/text_encoding.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

// Feeds characters to nlohmann's lexer and tells how far it has read, which the library itself does
// not reveal to SAX handlers.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    ++at_;
    *furthest_ = at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator old = *this;
    ++*this;
    return old;
  }
  bool operator==(const CountingIterator& o) const { return at_ == o.at_; }
  bool operator!=(const CountingIterator& o) const { return at_ != o.at_; }

 private:
  const char* at_;
  const char** furthest_;
};

// Turns byte offsets, which come in growing order, into lines and columns.
class LineCounter {
 public:
  LineCounter(const char* begin, std::uint32_t source) : at_(begin), source_(source) {}
  Position position(const char* p) {
    for (; at_ < p; ++at_) {
      if (*at_ == '\n') {
        ++line_;
        column_ = 1;
      } else if ((static_cast<unsigned char>(*at_) & 0xC0U) != 0x80U) {
        ++column_;  // continuation bytes belong to the character before
      }
    }
    return {source_, line_, column_};
  }

 private:
  const char* at_;
  std::uint32_t source_, line_ = 1, column_ = 1;
};

bool belongs_to_number(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

// Builds the tree. Every callback comes right after the lexer has read its token (numbers: one
// character more), so the start of the token is found by walking back.
class TreeBuilder : public nlohmann::json_sax<nlohmann::json> {
 public:
  TreeBuilder(std::string_view text, const char** furthest, const Sources& sources,
              std::uint32_t source)
      : text_(text), furthest_(furthest), sources_(sources), lines_(text.data(), source) {}

  bool null() override { return put(literal("null"), JsonKind::null); }
  bool boolean(bool b) override {
    Value v;
    v.boolean = b;
    return put(literal(b ? "true" : "false"), JsonKind::boolean, std::move(v));
  }
  bool number_integer(number_integer_t n) override { return put_number(static_cast<double>(n)); }
  bool number_unsigned(number_unsigned_t n) override { return put_number(static_cast<double>(n)); }
  bool number_float(number_float_t n, const string_t&) override { return put_number(n); }
  bool string(string_t& s) override {
    Value v;
    v.text = std::move(s);
    return put(opening_quote(), JsonKind::text, std::move(v));
  }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override { return open(JsonKind::object); }
  bool start_array(std::size_t) override { return open(JsonKind::list); }
  bool end_array() override {
    open_.pop_back();
    return true;
  }
  bool end_object() override {
    const bool unique = check_duplicates(*open_.back());
    open_.pop_back();
    return unique;
  }
  bool key(string_t& k) override {
    Member m;
    m.key = std::move(k);
    m.at = lines_.position(opening_quote());
    open_.back()->members.push_back(std::move(m));
    return true;
  }

  bool parse_error(std::size_t, const std::string& token,
                   const nlohmann::detail::exception& e) override {
    const char* end = text_.data() + text_.size();
    const char* p = std::min(*furthest_, end);
    if (p > text_.data() && p < end) --p;  // the character that does not fit
    std::string what = e.what();
    // A whole token that does not fit is shown from its start.
    if (what.find("unexpected number literal") != std::string::npos) p = number_start();
    if (what.find("unexpected string literal") != std::string::npos) p = opening_quote();
    for (const std::string_view word : {"true", "false", "null"})
      if (what.find(fmt::format("unexpected {} literal", word)) != std::string::npos)
        p = literal(word);
    if (what.find("number overflow") != std::string::npos)
      return fail(number_start(), fmt::format("the number {} is too large", token));
    // "[json.exception.parse_error.101] parse error at line 1, column 2: <what we want>"
    const std::size_t colon = what.find(": ");
    if (colon != std::string::npos) what.erase(0, colon + 2);
    return fail(p, what.empty() ? "malformed JSON" : what);
  }

  // Called when the parser has stopped: throws what was found, or returns the tree.
  Value finish(bool parsed) {
    if (!parsed) throw InputError(error_.empty() ? "malformed JSON" : error_);
    return std::move(root_);
  }

 private:
  const char* literal(std::string_view word) const { return *furthest_ - word.size(); }
  // The opening quote of the string that has just been read: inside a string every quote follows an
  // odd number of backslashes, and what stands before a string never ends with a backslash.
  const char* opening_quote() const {
    const char* p = *furthest_ - 2;
    while (p > text_.data() && !(*p == '"' && p[-1] != '\\')) {
      if (*p == '"') {
        std::size_t slashes = 0;
        for (const char* q = p - 1; q >= text_.data() && *q == '\\'; --q) ++slashes;
        if (slashes % 2 == 0) break;
      }
      --p;
    }
    return p;
  }
  const char* number_start() const {
    const char* p = std::min<const char*>(*furthest_, text_.data() + text_.size()) - 1;
    if (!belongs_to_number(*p) && p > text_.data()) --p;  // the character read ahead
    while (p > text_.data() && belongs_to_number(p[-1])) --p;
    return p;
  }

  bool put_number(double n) {
    const char* start = number_start();
    const char* end = start;
    while (end < text_.data() + text_.size() && belongs_to_number(*end)) ++end;
    if (!std::isfinite(n))
      return fail(start, fmt::format("the number {} is too large", std::string(start, end)));
    Value v;
    v.number = n;
    v.text.assign(start, end);
    return put(start, JsonKind::number, std::move(v));
  }

  bool put(const char* start, JsonKind kind, Value v = {}) {
    if (++values_ > max_values)
      return fail(start,
                  fmt::format("more than {} values; put long series into a CSV file", max_values));
    v.kind = kind;
    v.at = lines_.position(start);
    place_ = nullptr;
    if (open_.empty()) {
      root_ = std::move(v);
      place_ = &root_;
    } else if (open_.back()->kind == JsonKind::object) {
      open_.back()->members.back().value = std::move(v);
      place_ = &open_.back()->members.back().value;
    } else {
      open_.back()->items.push_back(std::move(v));
      place_ = &open_.back()->items.back();
    }
    return true;
  }

  bool open(JsonKind kind) {
    const char* start = *furthest_ - 1;
    if (open_.size() >= max_depth)
      return fail(start, fmt::format("nested more than {} levels deep", max_depth));
    if (!put(start, kind)) return false;
    open_.push_back(place_);
    return true;
  }

  bool check_duplicates(const Value& object) {
    std::vector<const Member*> order;
    order.reserve(object.members.size());
    for (const Member& m : object.members) order.push_back(&m);
    std::stable_sort(order.begin(), order.end(),
                     [](const Member* a, const Member* b) { return a->key < b->key; });
    for (std::size_t i = 1; i < order.size(); ++i)
      if (order[i]->key == order[i - 1]->key) {
        error_ =
            fmt::format("{}: the key {} was already given in line {}", sources_.place(order[i]->at),
                        json_string(order[i]->key), order[i - 1]->at.line);
        return false;
      }
    return true;
  }

  bool fail(const char* at, const std::string& message) {
    if (error_.empty())
      error_ = fmt::format("{}: {}", sources_.place(lines_.position(at)), message);
    return false;
  }

  std::string_view text_;
  const char** furthest_;
  const Sources& sources_;
  LineCounter lines_;
  Value root_;
  Value* place_ = nullptr;
  std::vector<Value*> open_;
  std::size_t values_ = 0;
  std::string error_;
};

void write(const Value& v, int indent, int level, std::string& out) {
  const auto line = [&](int depth) {
    if (indent > 0) {
      out += '\n';
      out.append(static_cast<std::size_t>(indent * depth), ' ');
    }
  };
  switch (v.kind) {
    case JsonKind::null:
      out += "null";
      break;
    case JsonKind::boolean:
      out += v.boolean ? "true" : "false";
      break;
    case JsonKind::number:
      out += v.text.empty() ? fmt::format("{}", v.number) : v.text;
      break;
    case JsonKind::text:
      out += json_string(v.text);
      break;
    case JsonKind::list:
      out += '[';
      for (std::size_t i = 0; i < v.items.size(); ++i) {
        if (i > 0) out += indent > 0 ? "," : ", ";
        line(level + 1);
        write(v.items[i], indent, level + 1, out);
      }
      if (!v.items.empty()) line(level);
      out += ']';
      break;
    case JsonKind::object:
      out += '{';
      for (std::size_t i = 0; i < v.members.size(); ++i) {
        if (i > 0) out += indent > 0 ? "," : ", ";
        line(level + 1);
        out += json_string(v.members[i].key) + ": ";
        write(v.members[i].value, indent, level + 1, out);
      }
      if (!v.members.empty()) line(level);
      out += '}';
      break;
  }
}

}  // namespace

std::uint32_t Sources::add(std::string name, int layer) {
  entries_.push_back({std::move(name), layer});
  return static_cast<std::uint32_t>(entries_.size() - 1);
}

std::string Sources::place(const Position& at) const {
  return at.line == 0 ? name(at.source)
                      : fmt::format("{}:{}:{}", name(at.source), at.line, at.column);
}

std::string_view describe(JsonKind kind) {
  switch (kind) {
    case JsonKind::null:
      return "null";
    case JsonKind::boolean:
      return "true or false";
    case JsonKind::number:
      return "a number";
    case JsonKind::text:
      return "a string";
    case JsonKind::list:
      return "a list";
    case JsonKind::object:
      return "an object";
  }
  return "?";
}

const Value* Value::find(std::string_view key) const {
  for (const Member& m : members)
    if (m.key == key) return &m.value;
  return nullptr;
}

Value* Value::find(std::string_view key) {
  return const_cast<Value*>(static_cast<const Value*>(this)->find(key));
}

Value text_value(std::string text, Position at) {
  Value v;
  v.kind = JsonKind::text;
  v.text = std::move(text);
  v.at = at;
  return v;
}

Value flag_value(bool value, Position at) {
  Value v;
  v.kind = JsonKind::boolean;
  v.boolean = value;
  v.at = at;
  return v;
}

Value object_value(Position at) {
  Value v;
  v.kind = JsonKind::object;
  v.at = at;
  return v;
}

Value parse_json(std::string_view text, const Sources& sources, std::uint32_t source) {
  const std::string& name = sources.name(source);
  if (const char* encoding = foreign_encoding(text))
    throw InputError(fmt::format("{}: is encoded in {}; save it as UTF-8", name, encoding));
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
    throw InputError(fmt::format("{}: is empty; a JSON object is needed", name));
  if (const char* bad = find_invalid_utf8(text)) {
    LineCounter lines(text.data(), source);
    throw InputError(fmt::format("{}: is no valid UTF-8 here (byte 0x{:02X})",
                                 sources.place(lines.position(bad)),
                                 static_cast<unsigned>(static_cast<unsigned char>(*bad))));
  }
  const char* furthest = text.data();
  TreeBuilder builder(text, &furthest, sources, source);
  const CountingIterator first(text.data(), &furthest);
  const CountingIterator last(text.data() + text.size(), &furthest);
  const bool parsed = nlohmann::json::sax_parse(first, last, &builder,
                                                nlohmann::json::input_format_t::json, true, true);
  return builder.finish(parsed);
}

Value read_json_file(const std::filesystem::path& path, Sources& sources, int layer) {
  const std::string content = read_regular_file(path, max_file_bytes);
  return parse_json(content, sources, sources.add(path.string(), layer));
}

std::string to_text(const Value& value, int indent) {
  std::string out;
  write(value, indent, 0, out);
  return out;
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20)
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        else
          out += c;
    }
  }
  return out + '"';
}

}  // namespace isthmus::scenarios
