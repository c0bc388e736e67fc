// Random and very long times as durations.
#pragma once

#include "sim/core/time.hpp"

namespace isthmus::world {

//! As Duration::from_seconds, but Duration::max() for what is beyond its range: no run sees its
//! end.
inline Duration saturated(double seconds) {
  return seconds < 9.2e9 ? Duration::from_seconds(seconds) : Duration::max();
}

}  // namespace isthmus::world
