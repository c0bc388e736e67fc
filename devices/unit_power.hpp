// Power of a compute unit that works.
#pragma once

#include "models/machine.hpp"
#include "sim/core/units.hpp"

namespace isthmus::devices {

//! Power above idle while the unit works; `compute_share` in [0, 1] is the compute-bound part of the
//! time. Linear between the memory-bound and the compute-bound figure of the unit.
inline Watts active_power(const models::ComputeUnit& unit, double compute_share) {
  const double p =
      unit.bandwidth_power + (unit.compute_power - unit.bandwidth_power) * compute_share;
  return Watts(p > unit.idle_power ? p - unit.idle_power : 0.0);
}

}  // namespace isthmus::devices
