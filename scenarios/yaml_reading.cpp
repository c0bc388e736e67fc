#include "scenarios/yaml_reading.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "scenarios/problems.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

std::vector<std::pair<YAML::Node, YAML::Node>> fields_of(const YAML::Node& node) {
  std::vector<std::pair<YAML::Node, YAML::Node>> fields;
  if (node.IsMap())
    for (const auto& entry : node) fields.emplace_back(entry.first, entry.second);
  return fields;
}

void YamlProblems::add(const YAML::Mark& at, const std::string& path, const std::string& reason) {
  lines_.push_back(fmt::format("{}:{}:{}: {}{}", file_, at.line + 1, at.column + 1,
                               path.empty() ? "" : path + ": ", reason));
}

void YamlProblems::throw_if_any() const {
  if (lines_.empty()) return;
  throw InputError(lines_);
}

YamlObject::YamlObject(YAML::Node node, std::string path, YamlProblems& problems)
    : node_(std::move(node)), path_(std::move(path)), mark_(node_.Mark()), problems_(&problems) {
  if (!node_.IsMap()) {
    problems.add(mark_, path_, "has to be an object with fields");
    node_ = YAML::Node(YAML::NodeType::Map);
    return;
  }
  std::vector<std::string> seen;
  for (const auto& [key, value] : fields_of(node_)) {
    if (!key.IsScalar()) {
      problems.add(key.Mark(), path_, "the name of a field has to be text");
      continue;
    }
    if (std::find(seen.begin(), seen.end(), key.Scalar()) != seen.end())
      problems.add(key.Mark(), path_to(key.Scalar()), "is given twice");
    seen.push_back(key.Scalar());
  }
}

YAML::Node YamlObject::find(const std::string& name) {
  known_.push_back(name);
  for (const auto& [key, value] : fields_of(node_))
    if (key.IsScalar() && key.Scalar() == name) return value;
  return YAML::Node(YAML::NodeType::Undefined);
}

bool YamlObject::has(const std::string& name) {
  const YAML::Node n = find(name);
  return n.IsDefined() && !n.IsNull();
}

bool YamlObject::skip(const std::string& name) { return has(name); }

std::optional<YamlObject> YamlObject::object(const std::string& name) {
  if (!has(name)) return std::nullopt;
  return YamlObject(find(name), path_to(name), *problems_);
}

std::vector<YAML::Node> YamlObject::list(const std::string& name) {
  std::vector<YAML::Node> out;
  if (!has(name)) return out;
  const YAML::Node n = find(name);
  if (!n.IsSequence()) {
    problems_->add(n.Mark(), path_to(name), "has to be a list");
    return out;
  }
  for (const YAML::Node& e : n) out.push_back(e);
  return out;
}

std::optional<std::string> YamlObject::text(const std::string& name) {
  if (!has(name)) return std::nullopt;
  const YAML::Node n = find(name);
  if (n.IsScalar()) return n.Scalar();
  problems_->add(n.Mark(), path_to(name), "has to be a single value");
  return std::nullopt;
}

std::optional<std::int64_t> YamlObject::integer(const std::string& name, std::int64_t least,
                                                std::int64_t most, const std::string& hint) {
  const std::optional<std::string> s = text(name);
  if (!s) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(s->data(), s->data() + s->size(), value);
  // "3" in quotes is text to Kubernetes.
  if (error != std::errc() || end != s->data() + s->size() || find(name).Tag() == "!") {
    problem_at(name, fmt::format("\"{}\" is no integer{}", *s, hint.empty() ? "" : "; " + hint));
    return std::nullopt;
  }
  if (value < least || value > most) {
    problem_at(name, fmt::format("{} is not between {} and {}", value, least, most));
    return std::nullopt;
  }
  return value;
}

std::optional<std::int64_t> YamlObject::quantity(const std::string& name) {
  const std::optional<std::string> s = text(name);
  if (!s) return std::nullopt;
  const std::optional<std::int64_t> value = parse_quantity(*s);
  if (!value) {
    problem_at(name, fmt::format("\"{}\" is no quantity, which are like 500m, 2, 1.5k or 10Mi{}", *s,
                                 s->ends_with('%') ? "; a percentage goes into averageUtilization, as the number alone" : ""));
  } else if (*value < 1) {
    problem_at(name, "has to be above 0");
    return std::nullopt;
  }
  return value;
}

std::optional<std::string> YamlObject::word(const std::string& name, const std::vector<std::string>& words) {
  const std::optional<std::string> s = text(name);
  if (!s || std::find(words.begin(), words.end(), *s) != words.end()) return s;
  problem_at(name, fmt::format("\"{}\" is none of its values{}", *s, suggestion(*s, words)));
  return std::nullopt;
}

void YamlObject::require(const std::string& name) {
  if (!has(name)) problems_->add(mark_, path_, "needs \"" + name + "\"");
}

void YamlObject::problem(const std::string& reason) { problems_->add(mark_, path_, reason); }

void YamlObject::problem_at(const std::string& name, const std::string& reason) {
  const YAML::Node n = find(name);
  problems_->add(n.IsDefined() ? n.Mark() : mark_, path_to(name), reason);
}

void YamlObject::finish() {
  for (const auto& [key, value] : fields_of(node_)) {
    if (!key.IsScalar() || std::find(known_.begin(), known_.end(), key.Scalar()) != known_.end()) continue;
    problems_->add(key.Mark(), path_to(key.Scalar()), "no such field" + suggestion(key.Scalar(), known_));
  }
}

std::optional<std::int64_t> parse_quantity(std::string_view text) {
  double value = 0;
  const char* last = text.data() + text.size();
  if (text.empty() || !(std::isdigit(static_cast<unsigned char>(text[0])) || text[0] == '-' || text[0] == '.'))
    return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc() || !std::isfinite(value)) return std::nullopt;
  static const std::vector<std::pair<std::string_view, double>> suffixes{
      {"", 1},      {"n", 1e-9},   {"u", 1e-6},    {"m", 1e-3},    {"k", 1e3},     {"M", 1e6},   {"G", 1e9},
      {"T", 1e12},  {"P", 1e15},   {"Ki", 0x1p10}, {"Mi", 0x1p20}, {"Gi", 0x1p30}, {"Ti", 0x1p40}};
  const std::string_view suffix(end, static_cast<std::size_t>(last - end));
  for (const auto& [name, factor] : suffixes)
    if (name == suffix) {
      const double milli = std::ceil(std::round(value * factor * 1e9) / 1e6);
      if (std::abs(milli) > 9e15) return std::nullopt;
      return static_cast<std::int64_t>(milli);
    }
  return std::nullopt;
}

}  // namespace isthmus::scenarios
