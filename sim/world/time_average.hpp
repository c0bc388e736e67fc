// The time integral of a piecewise constant quantity, for averages.
#pragma once

#include "sim/core/time.hpp"

namespace isthmus::world {

//! Integrates a value over simulated time since the last reset.
class TimeAverage {
 public:
  void set(Instant now, double value) {
    integral_ += value_ * (now - since_).seconds();
    since_ = now;
    value_ = value;
  }
  void change(Instant now, double delta) { set(now, value_ + delta); }
  double value() const { return value_; }
  //! Integral since the last reset, in value-seconds.
  double integral(Instant now) const { return integral_ + value_ * (now - since_).seconds(); }
  //! Mean since the last reset; the present value when no time has passed.
  double mean(Instant now) const {
    const double span = (now - start_).seconds();
    return span > 0 ? integral(now) / span : value_;
  }
  void reset(Instant now) {
    start_ = since_ = now;
    integral_ = 0;
  }

 private:
  Instant start_, since_;
  double value_ = 0, integral_ = 0;
};

}  // namespace isthmus::world
