// Turns a decision's one uniform draw into choices.
#pragma once

#include <algorithm>
#include <cstddef>

namespace isthmus::schedulers {

//! Index in {0, ..., n - 1} for a draw in (0, 1); n > 0. Views carry the draw so that policies hold
//! no generator and two policies see the same luck.
inline std::size_t pick_uniform(double uniform, std::size_t n) {
  return std::min(n - 1, static_cast<std::size_t>(uniform * static_cast<double>(n)));
}

//! What is left of the draw after pick_uniform(uniform, n): again uniform on [0, 1), independent of
//! the index that was picked.
inline double rest_of_pick(double uniform, std::size_t n) {
  return uniform * static_cast<double>(n) - static_cast<double>(pick_uniform(uniform, n));
}

}  // namespace isthmus::schedulers
