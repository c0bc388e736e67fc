// Energy as the exact integral of a piecewise constant power.
#pragma once

#include "sim/core/time.hpp"
#include "sim/core/units.hpp"

namespace isthmus::devices {

//! Integrates watts over simulated time. Not thread-safe.
class PowerMeter {
 public:
  //! The power from `now` on; dates must not decrease.
  void set(Instant now, Watts power) {
    energy_ += power_ * (now - since_);
    since_ = now;
    power_ = power;
  }
  //! Adds to the present power.
  void change(Instant now, Watts delta) { set(now, power_ + delta); }
  //! Energy since the last reset.
  Joules energy(Instant now) const { return energy_ + power_ * (now - since_); }
  Watts power() const { return power_; }
  //! Starts counting at `now`.
  void reset(Instant now) {
    since_ = now;
    energy_ = Joules();
  }

 private:
  Instant since_;
  Joules energy_;
  Watts power_;
};

}  // namespace isthmus::devices
