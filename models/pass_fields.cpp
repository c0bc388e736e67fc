#include "models/pass_fields.hpp"

#include <algorithm>

#include "sim/core/did_you_mean.hpp"

namespace isthmus::models {

using nlohmann::json;

namespace {

// The value as it is written, for messages; short, and safe for text that is not UTF-8.
std::string shown(const json& value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

}  // namespace

PassFields::PassFields(const json& object, std::string at, const std::vector<std::string>& known)
    : object_(object), at_(std::move(at)) {
  if (!object.is_object())
    throw InputError(fmt::format("{}: expected an object, not {}", at_, shown(object)));
  std::vector<std::string> problems;
  for (const auto& [key, ignored] : object.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::string near = did_you_mean(key, known);
    problems.push_back(fmt::format("{}/{}: unknown key; {}", at_, key,
                                   near.empty()
                                       ? fmt::format("there are: {}", fmt::join(known, ", "))
                                       : fmt::format("did you mean \"{}\"?", near)));
  }
  if (!problems.empty()) throw InputError(problems);
}

void PassFields::refuse(const char* key, std::string_view wanted) const {
  throw InputError(
      has(key) ? fmt::format("{}: expected {}, not {}", at(key), wanted, shown(object_.at(key)))
               : fmt::format("{}: \"{}\" is missing; expected {}", at_, key, wanted));
}

const json& PassFields::value(const char* key) const {
  static const json nothing;
  return has(key) ? object_.at(key) : nothing;
}

std::string PassFields::text(const char* key) const {
  const json& v = value(key);
  if (!v.is_string() || v.get_ref<const std::string&>().empty()) refuse(key, "a text");
  return v.get<std::string>();
}

std::string PassFields::text_or(const char* key, std::string otherwise) const {
  return has(key) ? text(key) : otherwise;
}

double PassFields::number(const char* key) const {
  const json& v = value(key);
  if (!v.is_number() || !std::isfinite(v.get<double>())) refuse(key, "a number");
  return v.get<double>();
}

double PassFields::number_or(const char* key, double otherwise) const {
  return has(key) ? number(key) : otherwise;
}

std::size_t PassFields::whole_or(const char* key, std::size_t otherwise) const {
  if (!has(key)) return otherwise;
  const json& v = value(key);
  constexpr double largest = 1e15;  // whole numbers up to there are exact
  if (!v.is_number() || !(v.get<double>() >= 0 && v.get<double>() <= largest) ||
      v.get<double>() != std::floor(v.get<double>()))
    refuse(key, "a whole number from 0 on");
  return static_cast<std::size_t>(v.get<double>());
}

bool PassFields::flag_or(const char* key, bool otherwise) const {
  if (!has(key)) return otherwise;
  if (!value(key).is_boolean()) refuse(key, "true or false");
  return value(key).get<bool>();
}

std::optional<Precision> PassFields::format(const char* key) const {
  if (!has(key)) return std::nullopt;
  const std::string name = text(key);
  if (const auto p = precision_from(name)) return p;
  std::vector<std::string> known;
  for (const auto& row : precisions) known.emplace_back(row.name);
  throw InputError(at(key) + ": " + name_error("number format", name, known).what());
}

const json& PassFields::list(const char* key) const {
  const json& v = value(key);
  if (!v.is_array() || v.empty()) refuse(key, "a list with at least one entry");
  return v;
}

std::optional<Accuracy> PassFields::accuracy() const {
  if (!has("accuracy")) {
    for (const char* key : {"metric", "source"})
      if (has(key))
        throw InputError(fmt::format("{}: belongs to an \"accuracy\", which is missing", at(key)));
    return std::nullopt;
  }
  Accuracy a{number("accuracy"), text_or("metric", ""), text_or("source", "")};
  check_accuracy(a, at("accuracy"));
  return a;
}

}  // namespace isthmus::models
