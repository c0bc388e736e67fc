#include "scenarios/json_pick.hpp"

#include <fmt/core.h>

#include <charconv>
#include <cmath>

#include "sim/core/errors.hpp"
#include "sim/world/arrival_fields.hpp"
#include "sim/world/arrival_json_line.hpp"

namespace isthmus::scenarios {

JsonFields::JsonFields(std::string_view object) {
  world::JsonLine line(object);
  for (std::string_view key; line.next_member(key);) {
    for (const auto& [known, value] : fields_)
      if (known == key) throw Error(fmt::format("\"{}\" occurs twice", key));
    fields_.emplace_back(key, line.take_value());
  }
}

std::string_view JsonFields::find(std::string_view key) const {
  for (const auto& [known, value] : fields_)
    if (known == key) return value == "null" ? std::string_view{} : value;
  return {};
}

std::vector<std::string_view> json_items(std::string_view list) {
  list = world::trim(list);
  if (list.size() < 2 || list.front() != '[' || list.back() != ']')
    throw Error("expected a list");
  std::vector<std::string_view> items;
  std::size_t begin = 1;
  int depth = 0;
  bool text = false;
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  const auto take = [&](std::size_t end) {
    while (begin < end && blank(list[begin])) ++begin;
    std::size_t last = end;
    while (last > begin && blank(list[last - 1])) --last;
    if (last > begin) items.push_back(list.substr(begin, last - begin));
    begin = end + 1;
  };
  for (std::size_t i = 1; i + 1 < list.size(); ++i) {
    const char c = list[i];
    if (text) {
      if (c == '\\') ++i;
      if (c == '"') text = false;
      continue;
    }
    if (c == '"') text = true;
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (c == ',' && depth == 0) take(i);
  }
  take(list.size() - 1);
  return items;
}

std::optional<double> json_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

std::string json_plain(std::string_view text) {
  if (text.size() < 2 || text.front() != '"') return std::string(text);
  text = text.substr(1, text.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("\\u00b5")) {  // micro, as JSON writers without UTF-8 put it
      out += "\xc2\xb5";
      i += 5;
    } else if (text[i] == '\\' && i + 1 < text.size()) {
      out += text[++i];
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace isthmus::scenarios
