#include "schedulers/policy.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "sim/core/did_you_mean.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

std::string quantity(double value, Dimension dimension) {
  const std::string_view unit = unit_of(dimension);
  return unit.empty() ? fmt::format("{:g}", value) : fmt::format("{:g} {}", value, unit);
}

void check_value(const ParameterSpec& spec, double value) {
  // Written so that NaN fails too.
  if (!(value >= spec.min && value <= spec.max)) {
    throw InputError(fmt::format("parameter \"{}\" is {}; it must be between {} and {}", spec.name,
                                 quantity(value, spec.dimension),
                                 quantity(spec.min, spec.dimension),
                                 quantity(spec.max, spec.dimension)));
  }
  if (spec.dimension == Dimension::count && value != std::floor(value)) {
    throw InputError(
        fmt::format("parameter \"{}\" is {:g}; it must be a whole number", spec.name, value));
  }
}

std::string_view shape_of(const ParameterSpec& spec) {
  if (spec.list) return "a list of numbers";
  return spec.dimension == Dimension::text ? "a text" : "a number";
}

[[noreturn]] void wrong_shape(const ParameterSpec& spec, std::string_view given) {
  throw InputError(
      fmt::format("parameter \"{}\" is {}; it must be {}", spec.name, given, shape_of(spec)));
}

}  // namespace

std::string_view unit_of(Dimension dimension) {
  switch (dimension) {
    case Dimension::duration:
      return "s";
    case Dimension::bytes:
      return "B";
    case Dimension::bandwidth:
      return "B/s";
    case Dimension::power:
      return "W";
    case Dimension::money:
      return "USD";
    case Dimension::none:
    case Dimension::count:
    case Dimension::fraction:
    case Dimension::text:
      break;
  }
  return "";
}

Parameters::Parameters(const std::vector<ParameterSpec>& specs) : specs_(specs) {
  for (const ParameterSpec& s : specs_) {
    const bool numeric = !s.list && s.dimension != Dimension::text;
    if (numeric && !(s.default_value >= s.min && s.default_value <= s.max))
      throw InternalError("default of parameter \"" + s.name + "\" is out of its range");
    if (!values_.emplace(s.name, Value{s.default_value, s.default_text, {}}).second)
      throw InternalError("parameter \"" + s.name + "\" is declared twice");
  }
}

const ParameterSpec& Parameters::spec(const std::string& name) const {
  for (const ParameterSpec& s : specs_)
    if (s.name == name) return s;
  std::vector<std::string> known;
  for (const ParameterSpec& s : specs_) known.push_back(s.name);
  if (known.empty()) {
    throw InputError(
        fmt::format("unknown parameter \"{}\"; this policy takes no parameters", name));
  }
  throw InputError(fmt::format("unknown parameter \"{}\"; {}", name, hint(name, known)));
}

void Parameters::set(const std::string& name, double value) {
  const ParameterSpec& s = spec(name);
  if (s.list || s.dimension == Dimension::text) wrong_shape(s, "a number");
  check_value(s, value);
  values_[name].number = value;
}

void Parameters::set(const std::string& name, const std::string& text) {
  const ParameterSpec& s = spec(name);
  if (s.dimension != Dimension::text) wrong_shape(s, "a text");
  if (!s.choices.empty() &&
      std::find(s.choices.begin(), s.choices.end(), text) == s.choices.end()) {
    throw InputError(
        fmt::format("parameter \"{}\" is \"{}\"; {}", name, text, hint(text, s.choices)));
  }
  values_[name].text = text;
}

void Parameters::set(const std::string& name, const std::vector<double>& list) {
  const ParameterSpec& s = spec(name);
  if (!s.list) wrong_shape(s, "a list");
  for (const double value : list) check_value(s, value);
  values_[name].list = list;
}

// A policy that asks for what it did not declare is a bug of ours, unlike a scenario that does.
const Parameters::Value& Parameters::value(const std::string& name) const {
  const auto it = values_.find(name);
  if (it == values_.end())
    throw InternalError("policy reads parameter \"" + name + "\", which it does not declare");
  return it->second;
}

double Parameters::number(const std::string& name) const { return value(name).number; }
const std::string& Parameters::text(const std::string& name) const { return value(name).text; }
const std::vector<double>& Parameters::list(const std::string& name) const {
  return value(name).list;
}

std::string hint(std::string_view word, std::span<const std::string> candidates) {
  const std::string meant = did_you_mean(word, candidates);
  if (!meant.empty()) return fmt::format("did you mean \"{}\"?", meant);
  std::string all;
  for (const std::string& c : candidates) all += (all.empty() ? "" : ", ") + c;
  return "choose one of: " + all;
}

}  // namespace isthmus::schedulers
