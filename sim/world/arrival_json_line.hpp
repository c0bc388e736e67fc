// One JSON object of a JSON-lines trace: numbers are looked up, everything else is skipped.
#pragma once

#include <cstddef>
#include <string_view>

namespace isthmus::world {

//! Walks the members of one JSON object without building it. Usage: while (next_member(key)) call
//! take_value() exactly once. Strict about syntax, nesting up to 64 levels; keys with escapes are
//! given as written. Throws Error with a message without place; the caller adds file and line.
class JsonLine {
 public:
  //! `text`: one line; must begin with an object.
  explicit JsonLine(std::string_view text);
  //! False after the last member; then nothing but blanks may follow.
  bool next_member(std::string_view& key);
  //! The text of the present member's value, e.g. `12` or `[1, 2]`.
  std::string_view take_value();

 private:
  void skip_blanks();
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void expect(char c);
  std::string_view take_string();
  void skip_value();
  void skip_number();
  void skip_word(std::string_view word);
  void skip_nested();

  std::string_view text_;
  std::size_t at_ = 0;
  bool first_ = true;
};

}  // namespace isthmus::world
