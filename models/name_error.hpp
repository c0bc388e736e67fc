// The message for a name that no list knows.
#pragma once

#include <fmt/format.h>

#include <span>
#include <string>
#include <string_view>

#include "sim/core/did_you_mean.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

//! "no <what> is called "x"; did you mean "y"?", or all valid names when none is close.
inline InputError name_error(std::string_view what, std::string_view name,
                             std::span<const std::string> known) {
  const std::string near = did_you_mean(name, known);
  if (!near.empty())
    return InputError(
        fmt::format("no {} is called \"{}\"; did you mean \"{}\"?", what, name, near));
  std::string all;
  for (const auto& k : known) all += (all.empty() ? "" : ", ") + k;
  return InputError(fmt::format("no {} is called \"{}\"; there are: {}", what, name, all));
}

}  // namespace isthmus::models
