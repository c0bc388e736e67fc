// An iteration law that can be calculated by hand: fixed + per_token * computed tokens.
#pragma once

#include <memory>

#include "models/llm_cost.hpp"

namespace isthmus::devices::testing {

//! Prompt tokens and decodes cost the same; contexts, weights and output rows cost nothing (below
//! 1 ns per iteration). The KV cache takes 4 bytes per token.
//!
//! With a pipeline: of `layers` layers of per_token_s each, where messages take `send`.
inline std::shared_ptr<const models::LlmCost> linear_cost(Duration fixed, double per_token_s,
                                                          std::int64_t layers = 1, int stages = 1,
                                                          Duration send = {}) {
  // Practically all arithmetic is in two huge products of the feed-forward part.
  models::LlmShape shape;
  shape.name = "linear";
  shape.layers = shape.hidden = shape.heads = shape.kv_heads = shape.head_dim = shape.vocab = 1;
  shape.layers = layers;
  shape.ffn = 1'000'000'000'000;
  shape.gated_ffn = false;
  models::ComputeUnit unit;
  unit.name = "unit";
  unit.peak[static_cast<std::size_t>(models::Precision::bf16)] =
      4 * static_cast<double>(shape.ffn) / per_token_s;
  unit.memory_bandwidth = 1e30;
  unit.memory = 1e15;
  unit.iteration_overhead = fixed;
  models::LlmVariant variant;
  variant.name = "bf16";
  const models::LlmLayout layout{
      .pipeline = stages, .link_bandwidth = 1e30, .link_latency = send};
  return std::make_shared<const models::LlmCost>(shape, variant, unit, layout);
}

}  // namespace isthmus::devices::testing
