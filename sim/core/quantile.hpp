// Quantiles of samples.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

namespace isthmus {

//! Quantile q in [0, 1] of at least one sorted value, by straight lines between order statistics
//! (type 7 of Hyndman and Fan 1996, as numpy's default).
inline double interpolated_quantile(std::span<const double> sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - static_cast<double>(low));
}

}  // namespace isthmus
