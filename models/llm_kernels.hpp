// What a kernel profile knows about the parts of an LLM iteration, as curves over the tokens.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "models/kernel_curve.hpp"
#include "models/llm_shape.hpp"

namespace isthmus::models {

//! Curves for one unit of a tensor-parallel group of `parallel`; a part without a curve is left to
//! the roofline. All curves are of all layers together.
//!
//! Tables asked for: gemm (also for the vision tower), moe, prefill_attention, decode_attention or
//! mixed_attention, encoder_attention and all_reduce, in the format of the activations, for 16-bit
//! formats in the other one as well.
struct LlmKernels {
  LlmKernels() = default;
  LlmKernels(const LlmShape& shape, const LlmVariant& variant, int parallel,
             const KernelProfile& profile);

  std::optional<MeasuredCurve> qkv, o, gate_up, down;  //!< over rows (tokens)
  std::optional<MeasuredCurve> experts;                //!< over rows: gate_up and down of a mixture
  std::optional<MeasuredCurve> head;                   //!< over rows (sampled tokens)
  std::optional<MeasuredCurve> prefill_attention;      //!< over the tokens of one prompt
  std::optional<MeasuredCurve> all_reduce;             //!< over rows, both of every layer
  std::optional<MeasuredCurve> vision_blocks;          //!< over patches
  std::optional<MeasuredCurve> vision_attention;       //!< over the patches of one image
  //! decode_attention[b - 1]: b sequences, over the sum of their contexts. Empty: roofline.
  std::vector<MeasuredCurve> decode_attention;

  bool any() const;
};

}  // namespace isthmus::models
