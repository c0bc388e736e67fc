// Whether alerts fired when something was wrong, and only then.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "sim/core/time.hpp"

namespace isthmus::results {

//! What an alert did about incidents: times at which something was wrong, each with a grace after its end. Incidents
//! that overlap with their grace count as one.
struct AlertVerdict {
  std::uint64_t right = 0, wrong = 0;  //!< times that it fired: within an incident or its grace, and outside
  std::uint64_t caught = 0, missed = 0;  //!< incidents in which it fired at least once, and others
  double delay = std::numeric_limits<double>::quiet_NaN();  //!< s from begin to firing, mean over the caught ones
};

//! `fired`: dates, rising. Incidents that begin before `from` or at or after `end` are neither caught nor missed.
AlertVerdict judge(std::vector<std::pair<Instant, Instant>> incidents, std::span<const Instant> fired, Duration grace,
                   Instant from, Instant end);

}  // namespace isthmus::results
