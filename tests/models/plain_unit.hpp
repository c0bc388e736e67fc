// A unit on which everything is round, and decodes alone.
#pragma once

#include "models/llm_cost.hpp"

namespace isthmus::models::testing {

//! 100 Tflop/s, 1 TB/s, 80 GB, no overheads, efficiencies of 1.
inline ComputeUnit plain_unit() {
  ComputeUnit u;
  u.name = "plain";
  u.peak[static_cast<std::size_t>(Precision::bf16)] = 100e12;
  u.memory_bandwidth = 1e12;
  u.memory = 80e9;
  return u;
}

//! `sequences` that decode with `context` tokens of context together.
inline IterationWork decode(std::int64_t sequences, std::int64_t context) {
  return {.decode_sequences = sequences, .decode_context = context, .logits = sequences};
}

}  // namespace isthmus::models::testing
