#include "models/adapter_cost.hpp"

#include <algorithm>
#include <cmath>

#include "sim/core/errors.hpp"

namespace isthmus::models {

AdapterCost::AdapterCost(const LlmShape& s, const LlmVariant& variant, const ComputeUnit& unit,
                         std::int64_t rank, int parallel) {
  if (rank < 1) throw InputError("adapters need a rank of at least 1");
  const auto d = [](std::int64_t v) { return static_cast<double>(v); };
  const double q = d(s.heads * s.head_dim), kv = d(s.kv_heads * s.head_dim), hidden = d(s.hidden);
  // Width in plus width out of every product; of a mixture's experts all are adapted.
  const double experts = d(std::max<std::int64_t>(1, s.experts));
  const double used = d(std::max<std::int64_t>(1, s.experts_active));
  const double attention = (hidden + q) + 2 * (hidden + kv) + (q + hidden);
  const double expert = (s.gated_ffn ? 3 : 2) * (hidden + d(s.ffn));
  const double products = 4 + (s.gated_ffn ? 3 : 2);
  const double weights = d(s.layers) * d(rank);
  bytes_ = weights * (attention + experts * expert) * bytes_of(variant.activations);
  const double flops = 2 * weights * (attention + used * expert);
  launch_ns_ = 2 * products * d(s.layers) * static_cast<double>(unit.launch_overhead.ns());
  byte_ns_ = weights * (attention + used * expert) * bytes_of(variant.activations) * 1e9 /
             (unit.memory_bandwidth * unit.bandwidth_efficiency * parallel);
  flop_ns_ = flops * 1e9 /
             (usable_peak(unit, variant.activations, variant.activations) * unit.compute_efficiency *
              parallel);
}

Duration AdapterCost::time(std::int64_t adapters, std::int64_t tokens) const {
  if (adapters == 0) return {};
  return Duration(std::llround(launch_ns_ + std::max(byte_ns_ * static_cast<double>(adapters),
                                                     flop_ns_ * static_cast<double>(tokens))));
}

}  // namespace isthmus::models
