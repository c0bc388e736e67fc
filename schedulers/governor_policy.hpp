// At which clock should a compute unit run?
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "schedulers/policy.hpp"
#include "sim/core/time.hpp"

namespace isthmus::schedulers {

//! What a frequency governor knows about its unit.
struct GovernorView {
  Instant now;
  Duration since;                       //!< the last decision; the averages below are over it
  std::span<const double> frequencies;  //!< available, ascending; Hz, or relative to the highest
  std::size_t current = 0;              //!< index into frequencies
  double busy = 0;                      //!< share of the time at work, [0, 1]
  double busy_now = 0;                  //!< share of the unit at work at this moment
  double pending = 0;                   //!< s of work waiting or running, at the highest clock
  Instant deadline = Instant::never();  //!< earliest among it
  double battery = 1;                   //!< charge, [0, 1]; 1 without a battery

  double relative(std::size_t i) const { return frequencies[i] / frequencies.back(); }
  //! The lowest index whose frequency is at least `wanted` (relative to the highest).
  std::size_t at_least(double wanted) const;
};

//! Asked once per period; heat may hold the clock below its wish. Keeps state of its own, one
//! object per unit.
class GovernorPolicy {
 public:
  virtual ~GovernorPolicy() = default;
  //! Index into view.frequencies.
  virtual std::size_t decide(const GovernorView& view) = 0;
  //! Time between decisions; zero: the first one stands.
  virtual Duration period() const { return Duration::zero(); }
  //! False spares the world the search for view.deadline.
  virtual bool wants_deadline() const { return false; }
};

const std::vector<PolicyEntry<GovernorPolicy>>& governor_policies();

}  // namespace isthmus::schedulers
