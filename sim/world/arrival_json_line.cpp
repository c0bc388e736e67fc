#include "sim/world/arrival_json_line.hpp"

#include <fmt/format.h>

#include <cstdint>

#include "sim/core/errors.hpp"

namespace isthmus::world {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// Nesting is bounded so that one bit per level says whether it is an object.
constexpr int max_depth = 64;

}  // namespace

JsonLine::JsonLine(std::string_view text) : text_(text) {
  skip_blanks();
  if (peek() != '{') throw Error("expected a JSON object, one per line");
  ++at_;
}

void JsonLine::skip_blanks() {
  while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
}

void JsonLine::expect(char c) {
  skip_blanks();
  if (peek() != c) throw Error(fmt::format("expected '{}' at column {}", c, at_ + 1));
  ++at_;
}

std::string_view JsonLine::take_string() {
  expect('"');
  const std::size_t begin = at_;
  for (;; ++at_) {
    if (at_ >= text_.size()) throw Error("a string does not end on its line");
    const char c = text_[at_];
    if (c == '"') return text_.substr(begin, at_++ - begin);
    if (static_cast<unsigned char>(c) < 0x20) throw Error("control character in a string");
    if (c == '\\') ++at_;
  }
}

bool JsonLine::next_member(std::string_view& key) {
  skip_blanks();
  if (peek() == '}') {
    ++at_;
    skip_blanks();
    if (at_ != text_.size())
      throw Error(fmt::format("text after the object, at column {}", at_ + 1));
    return false;
  }
  if (!first_) expect(',');
  first_ = false;
  key = take_string();
  expect(':');
  return true;
}

std::string_view JsonLine::take_value() {
  skip_blanks();
  const std::size_t begin = at_;
  skip_value();
  return text_.substr(begin, at_ - begin);
}

void JsonLine::skip_value() {
  switch (peek()) {
    case '"':
      take_string();
      return;
    case '[':
    case '{':
      skip_nested();
      return;
    case 't':
      skip_word("true");
      return;
    case 'f':
      skip_word("false");
      return;
    case 'n':
      skip_word("null");
      return;
    default:
      skip_number();
      return;
  }
}

void JsonLine::skip_word(std::string_view word) {
  if (text_.substr(at_, word.size()) != word)
    throw Error(fmt::format("expected a value at column {}", at_ + 1));
  at_ += word.size();
}

void JsonLine::skip_number() {
  const std::size_t begin = at_;
  const auto digits = [&] {
    const std::size_t from = at_;
    while (is_digit(peek())) ++at_;
    return at_ > from;
  };
  bool ok = true;
  if (peek() == '-') ++at_;
  ok &= digits();
  if (peek() == '.') {
    ++at_;
    ok &= digits();
  }
  if (peek() == 'e' || peek() == 'E') {
    ++at_;
    if (peek() == '+' || peek() == '-') ++at_;
    ok &= digits();
  }
  if (!ok) throw Error(fmt::format("expected a value at column {}", begin + 1));
}

void JsonLine::skip_nested() {
  std::uint64_t objects = 0;  // bit d: the bracket at depth d is a brace
  int depth = 0;
  bool after_value = false;  // the next token is ',' or a closing bracket
  bool may_close = false;    // just opened: an empty array or object
  for (;;) {
    skip_blanks();
    const char c = peek();
    const bool in_object = depth > 0 && (objects >> (depth - 1) & 1) != 0;
    if (depth > 0 && (after_value || may_close) && c == (in_object ? '}' : ']')) {
      ++at_;
      if (--depth == 0) return;
      after_value = true;
      may_close = false;
      continue;
    }
    if (after_value) {
      expect(',');
      after_value = false;
      skip_blanks();
    }
    if (in_object) {
      take_string();
      expect(':');
      skip_blanks();
    }
    may_close = false;
    const char opens = peek();
    if (opens == '[' || opens == '{') {
      if (depth == max_depth) throw Error("brackets nest more than 64 deep");
      objects &= ~(std::uint64_t{1} << depth);
      objects |= std::uint64_t{opens == '{'} << depth;
      ++depth;
      ++at_;
      may_close = true;
    } else {
      skip_value();
      after_value = true;
    }
  }
}

}  // namespace isthmus::world
