#include "models/machine.hpp"

#include <fmt/format.h>

#include <span>

#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

using P = Precision;

// Width classes: a product of two formats needs the wider one.
int width_class(Precision p) {
  const double bytes = bytes_of(p);
  return bytes >= 4 ? 3 : bytes >= 2 ? 2 : bytes >= 1 ? 1 : 0;
}

// The format itself, then what operands can be widened to without loss of meaning, narrowest first.
std::span<const Precision> widenings(Precision p) {
  static constexpr Precision fp32[] = {P::fp32};
  static constexpr Precision fp16[] = {P::fp16, P::bf16, P::fp32};
  static constexpr Precision bf16[] = {P::bf16, P::fp16, P::fp32};
  static constexpr Precision fp8[] = {P::fp8, P::bf16, P::fp16, P::fp32};
  static constexpr Precision int8[] = {P::int8, P::bf16, P::fp16, P::fp32};
  static constexpr Precision fp4[] = {P::fp4, P::fp8, P::bf16, P::fp16, P::fp32};
  static constexpr Precision int4[] = {P::int4, P::int8, P::bf16, P::fp16, P::fp32};
  switch (p) {
    case P::fp32:
      return fp32;
    case P::fp16:
      return fp16;
    case P::bf16:
      return bf16;
    case P::fp8:
      return fp8;
    case P::int8:
      return int8;
    case P::fp4:
      return fp4;
    case P::int4:
      return int4;
    case P::count_:
      break;
  }
  throw InternalError("not a precision");
}

}  // namespace

double usable_peak(const ComputeUnit& unit, Precision weights, Precision activations) {
  // Weights wider than the activations force their own format; otherwise activations decide.
  const Precision start = width_class(weights) > width_class(activations) ? weights : activations;
  for (const Precision p : widenings(start)) {
    const double peak = unit.peak[static_cast<std::size_t>(p)];
    if (peak > 0) return peak;
  }
  throw InputError(
      fmt::format("unit '{}' cannot compute {} weights with {} activations: give it a peak rate "
                  "for {} or for a "
                  "wider format",
                  unit.name, name_of(weights), name_of(activations), name_of(start)));
}

}  // namespace isthmus::models
