#include "scenarios/problems.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "sim/core/did_you_mean.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

void Problems::add(const Position& at, std::string_view pointer, std::string_view message) {
  if (full()) return;
  std::string line = pointer.empty()
                         ? fmt::format("{}: {}", sources_->place(at), message)
                         : fmt::format("{}: {}: {}", sources_->place(at), pointer, message);
  if (std::find(lines_.begin(), lines_.end(), line) == lines_.end())
    lines_.push_back(std::move(line));
}

void Problems::throw_if_any() const {
  if (any()) throw InputError(lines_);
}

std::string suggestion(std::string_view word, std::span<const std::string> known) {
  if (known.empty()) return "";
  const std::string near = did_you_mean(word, known);
  if (!near.empty()) return fmt::format("; did you mean \"{}\"?", near);
  constexpr std::size_t shown = 16;
  std::string list;
  for (std::size_t i = 0; i < std::min(shown, known.size()); ++i)
    list += (i > 0 ? ", " : "") + known[i];
  return fmt::format("; known: {}{}", list, known.size() > shown ? ", ..." : "");
}

std::string child(std::string_view pointer, std::string_view key) {
  std::string out(pointer);
  out += '/';
  for (const char c : key) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
  return out;
}

std::string child(std::string_view pointer, std::size_t index) {
  return fmt::format("{}/{}", pointer, index);
}

std::vector<std::string> split_pointer(std::string_view pointer) {
  if (!pointer.starts_with('/'))
    throw InputError(
        fmt::format("\"{}\" is no JSON pointer; write it like \"/offload/policy\"", pointer));
  std::vector<std::string> tokens;
  std::string token;
  for (std::size_t i = 1; i <= pointer.size(); ++i) {
    if (i == pointer.size() || pointer[i] == '/') {
      tokens.push_back(std::move(token));
      token.clear();
    } else if (pointer[i] == '~' && i + 1 < pointer.size() &&
               (pointer[i + 1] == '0' || pointer[i + 1] == '1')) {
      token += pointer[++i] == '0' ? '~' : '/';
    } else {
      token += pointer[i];
    }
  }
  return tokens;
}

}  // namespace isthmus::scenarios
