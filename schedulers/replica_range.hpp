// How many replicas an autoscaling policy may ask for.
#pragma once

#include <algorithm>
#include <cstdint>

#include "schedulers/policy.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

//! The parameters min_replicas and max_replicas of a policy. Throws InputError when they are in the wrong order.
struct ReplicaRange {
  explicit ReplicaRange(const Parameters& p)
      : min(static_cast<std::uint32_t>(p.number("min_replicas"))),
        max(static_cast<std::uint32_t>(p.number("max_replicas"))) {
    if (min > max) throw InputError("min_replicas is above max_replicas");
  }
  std::uint32_t clamp(std::uint32_t replicas) const { return std::clamp(replicas, min, max); }

  std::uint32_t min, max;
};

}  // namespace isthmus::schedulers
