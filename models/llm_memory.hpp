// What is in the memory of the units of one stage, and what is left for keys and values.
#pragma once

#include <cstdint>

#include "models/llm_layout.hpp"
#include "models/llm_shape.hpp"
#include "models/machine.hpp"

namespace isthmus::models {

//! Everything about one stage or one data-parallel rank, all its units together. References must
//! outlive it.
struct LlmMemory {
  const LlmShape& shape;
  const LlmVariant& variant;
  const ComputeUnit& unit;
  const LlmLayout& layout;
  const LlmStage& part;
  double host_weight_bytes = 0;  //!< of its weights, in host memory
  double kv_bytes_per_token = 0;

  //! Host memory included; of a rank: its share of the experts and everything else.
  double weight_bytes() const;
  //! As LlmCost::workspace_bytes() says, in bytes.
  double workspace_bytes() const;
  //! As LlmCost::kv_capacity_tokens() says, in tokens; throws InputError where nothing is left.
  std::int64_t kv_capacity_tokens(double memory_utilization) const;
};

}  // namespace isthmus::models
