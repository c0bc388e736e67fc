// Round numbers along an axis, and times in the unit that fits them.
#pragma once

#include <cmath>
#include <string_view>

namespace isthmus::results {

//! Step of 1, 2 or 5 times a power of ten that cuts `range` > 0 into about `parts`.
inline double nice_step(double range, double parts = 5) {
  const double raw = range / parts;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  for (const double m : {1.0, 2.0, 5.0})
    if (raw <= m * power) return m * power;
  return 10 * power;
}

//! A unit of time and how many of it make a second.
struct TimeUnit {
  std::string_view name;
  double per_second = 1;
};

//! The unit in which `seconds` is a number between 1 and 1000, as far as there is one.
inline TimeUnit time_unit(double seconds) {
  if (seconds < 1e-6) return {"ns", 1e9};
  if (seconds < 1e-3) return {"us", 1e6};
  if (seconds < 1) return {"ms", 1e3};
  return {"s", 1};
}

}  // namespace isthmus::results
