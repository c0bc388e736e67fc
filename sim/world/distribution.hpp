// A distribution as scenarios write it: a kind with parameters, in the unit of the field it fills.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/core/random.hpp"

namespace isthmus::world {

enum class DistributionKind : std::uint8_t {
  constant,          //!< a
  uniform,           //!< on [a, b]
  exponential,       //!< mean a
  erlang,            //!< mean a, k phases
  gamma,             //!< mean a, coefficient of variation b
  lognormal,         //!< median a, sigma b (standard deviation of the logarithm)
  weibull,           //!< scale a, shape b
  pareto,            //!< minimum a, maximum b (may be infinite), tail index c
  hyperexponential,  //!< mean a, squared coefficient of variation b >= 1
  normal,            //!< mean a, standard deviation b, negative draws become 0
  quantiles,         //!< piecewise-linear quantile function through (probability, value)
  choice,            //!< one of `value` with weights `probability`
};

//! Draws never fall below `min` nor above `max`.
struct Distribution {
  DistributionKind kind = DistributionKind::constant;
  double a = 0, b = 0, c = 0;
  int k = 1;
  std::vector<double> probability, value;
  double min = 0, max = 1e300;

  static Distribution constant(double value) {
    Distribution d;
    d.a = value;
    return d;
  }
  static Distribution uniform(double low, double high) {
    Distribution d;
    d.kind = DistributionKind::uniform;
    d.a = low;
    d.b = high;
    return d;
  }
  double sample(Rng& g) const;
  //! Exact mean without the clamps; infinite for heavy tails that have none.
  double mean() const;
  //! Throws InputError saying what is wrong with the parameters.
  void validate() const;
};

}  // namespace isthmus::world
