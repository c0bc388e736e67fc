// What low-rank adapters (LoRA; Hu et al. 2021) add to the iterations of a language model.
#pragma once

#include <cstdint>

#include "models/llm_shape.hpp"
#include "models/machine.hpp"
#include "sim/core/time.hpp"

namespace isthmus::models {

//! Adapters of one rank on all products of every layer (query, key, value, output; gate, up, down), in
//! the format of the activations, divided over `parallel` units like the weights. Batched kernels read
//! every adapter in use once and compute its own tokens with it (S-LoRA, Sheng et al. 2023; Punica): two
//! launches per product, roofline time at the unit's efficiencies.
class AdapterCost {
 public:
  AdapterCost() = default;
  //! rank >= 1. Throws InputError when the unit cannot compute the activations' format.
  AdapterCost(const LlmShape& shape, const LlmVariant& variant, const ComputeUnit& unit,
              std::int64_t rank, int parallel = 1);

  //! Added to an iteration with `tokens` tokens that go through one of `adapters` adapters.
  Duration time(std::int64_t adapters, std::int64_t tokens) const;
  //! Of one adapter, all units together.
  double bytes() const { return bytes_; }

 private:
  double bytes_ = 0, launch_ns_ = 0, byte_ns_ = 0, flop_ns_ = 0;  // per iteration, adapter, token
};

}  // namespace isthmus::models
