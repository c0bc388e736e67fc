// A predicted time together with how it came about.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/core/time.hpp"

namespace isthmus::models {

//! From best to worst evidence; a sum is as good as its worst part.
enum class PredictionKind : std::uint8_t { measured, interpolated, extrapolated, roofline };

constexpr std::string_view name_of(PredictionKind k) {
  switch (k) {
    case PredictionKind::measured:
      return "measured";
    case PredictionKind::interpolated:
      return "interpolated";
    case PredictionKind::extrapolated:
      return "extrapolated";
    case PredictionKind::roofline:
      return "roofline";
  }
  return "?";
}

//! What limits the time.
enum class Bound : std::uint8_t { compute, memory, launch };

constexpr std::string_view name_of(Bound b) {
  switch (b) {
    case Bound::compute:
      return "compute";
    case Bound::memory:
      return "memory";
    case Bound::launch:
      return "launch";
  }
  return "?";
}

struct Prediction {
  Duration time;
  PredictionKind kind = PredictionKind::roofline;
  double relative_error = 0;  //!< one standard error, relative to time
  double compute_share = 0;   //!< fraction of the time that is compute-bound (for power), [0, 1]
};

//! One row of `isthmus explain`: an operator (or a group of equal ones) of a batch or iteration.
struct OperatorCost {
  std::string name, kind;
  double flops = 0, bytes = 0;  //!< of one unit
  Bound bound = Bound::compute;
  Prediction prediction;
};

}  // namespace isthmus::models
