// Helpers with which a policy file writes its registration: one call per parameter, one per
// factory.
#pragma once

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "schedulers/policy.hpp"

namespace isthmus::schedulers {

//! A number of the given dimension in [min, max], SI base unit.
inline ParameterSpec number_parameter(std::string name, Dimension dimension, double default_value,
                                      double min, double max, std::string help) {
  ParameterSpec s;
  s.name = std::move(name);
  s.dimension = dimension;
  s.default_value = default_value;
  s.min = min;
  s.max = max;
  s.help = std::move(help);
  return s;
}

//! A text; empty `choices` accept any.
inline ParameterSpec text_parameter(std::string name, std::string default_text,
                                    std::vector<std::string> choices, std::string help) {
  ParameterSpec s;
  s.name = std::move(name);
  s.dimension = Dimension::text;
  s.default_text = std::move(default_text);
  s.choices = std::move(choices);
  s.help = std::move(help);
  return s;
}

//! Several numbers, each in [min, max]; empty by default.
inline ParameterSpec list_parameter(std::string name, Dimension dimension, double min, double max,
                                    std::string help) {
  ParameterSpec s = number_parameter(std::move(name), dimension, min, min, max, std::move(help));
  s.list = true;
  return s;
}

//! Factory of `Derived`, which is built from its parameters or, having none, from nothing.
template <class Policy, class Derived>
std::shared_ptr<Policy> make_policy(const Parameters& parameters) {
  if constexpr (std::is_constructible_v<Derived, const Parameters&>)
    return std::make_shared<Derived>(parameters);
  else
    return std::make_shared<Derived>();
}

}  // namespace isthmus::schedulers
