#include "models/llm_memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

double d(std::int64_t v) { return static_cast<double>(v); }

}  // namespace

double LlmMemory::weight_bytes() const {
  const double all = models::weight_bytes(shape, variant, part);
  if (layout.data == 1) return all;
  const double experts = stored_bytes(shape.expert_params(), variant.weights, variant);
  return all - experts + experts / layout.data;
}

double LlmMemory::workspace_bytes() const {
  const double active = d(std::max<std::int64_t>(1, shape.experts_active));
  const double wide = 4 * d(shape.hidden) + (shape.gated_ffn ? 2 : 1) * d(shape.ffn) * active;
  const double activations = 2048 * wide * std::max(2.0, bytes_of(variant.activations));
  const double logits = part.last ? 256 * d(shape.vocab) * 4 : 0;
  // One layer's weights from the host at a time, with prefetch two.
  const double copies = (variant.prefetch ? 2 : 1) * host_weight_bytes / d(shape.layers);
  return activations + logits + copies + 0.05 * unit.memory * layout.tensor;
}

std::int64_t LlmMemory::kv_capacity_tokens(double memory_utilization) const {
  const int units = layout.tensor;
  const double memory = unit.memory * units * memory_utilization;
  const double weights = weight_bytes() - host_weight_bytes;
  const double room = memory - weights - workspace_bytes();
  const double tokens = std::floor(room / kv_bytes_per_token);
  if (tokens >= 1) return static_cast<std::int64_t>(tokens);
  std::string what;
  if (layout.pipeline > 1)
    what = fmt::format(", of which a stage has {} of {} layers{}", part.layers, shape.layers,
                       part.first  ? " and the embedding"
                       : part.last ? " and the output head"
                                   : "");
  if (layout.data > 1)
    what = fmt::format(", of which each of {} data-parallel ranks has everything but its share of "
                       "the experts",
                       layout.data);
  throw InputError(fmt::format(
      "model '{}' ({}){} does not fit on {} x '{}': weights {:.2f} GB + workspace {:.2f} GB leave "
      "no room for KV blocks in {:.2f} GB x {:.2f} = {:.2f} GB; use more units, fewer bits, a "
      "smaller model or host_weights",
      shape.name, variant.name, what, units, unit.name, weights / 1e9, workspace_bytes() / 1e9,
      unit.memory * units / 1e9, memory_utilization, memory / 1e9));
}

}  // namespace isthmus::models
