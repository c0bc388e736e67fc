// Members and items of large JSON texts by their place in the text: nothing is built, so that logs
// of any size are read at once.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace isthmus::scenarios {

//! The members of one JSON object, as they are written. Borrows the text.
class JsonFields {
 public:
  //! Throws Error without a place when `object` is no JSON object, or has a key twice.
  explicit JsonFields(std::string_view object);
  //! The text of a member's value, such as `12` or `"a"`; empty when it is absent or null.
  std::string_view find(std::string_view key) const;
  bool has(std::string_view key) const { return !find(key).empty(); }
  const std::vector<std::pair<std::string_view, std::string_view>>& all() const { return fields_; }

 private:
  std::vector<std::pair<std::string_view, std::string_view>> fields_;
};

//! The items of a JSON list that JsonFields gave out. Throws Error when it is no list.
std::vector<std::string_view> json_items(std::string_view list);

//! A finite number; nothing when the text is something else.
std::optional<double> json_number(std::string_view text);

//! The content of a string, with the escapes that matter for names; other texts stay as they are.
std::string json_plain(std::string_view text);

}  // namespace isthmus::scenarios
