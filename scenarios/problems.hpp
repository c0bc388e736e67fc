// Collects what is wrong with a scenario, so that one reading shows many mistakes.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/json_document.hpp"

namespace isthmus::scenarios {

//! Up to `limit` problems, each as "file:line:col: /json/pointer: message".
class Problems {
 public:
  static constexpr std::size_t limit = 20;

  explicit Problems(const Sources& sources) : sources_(&sources) {}
  //! Notes a problem; beyond `limit` they are dropped, and so are exact repetitions.
  void add(const Position& at, std::string_view pointer, std::string_view message);
  bool any() const { return !lines_.empty(); }
  bool full() const { return lines_.size() >= limit; }
  //! Throws one InputError with all problems if there are any.
  void throw_if_any() const;
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  const Sources* sources_;
  std::vector<std::string> lines_;
};

//! End of a message about a word that is none of `known`: `; did you mean "x"?` or the first known
//! words, or nothing when there are none.
std::string suggestion(std::string_view word, std::span<const std::string> known);

//! Child of a JSON pointer (RFC 6901).
std::string child(std::string_view pointer, std::string_view key);
std::string child(std::string_view pointer, std::size_t index);
//! Splits a pointer into unescaped tokens. Throws InputError when it does not start with '/'.
std::vector<std::string> split_pointer(std::string_view pointer);

}  // namespace isthmus::scenarios
