// What a kernel profile knows about the parts of an LLM iteration, as curves over the tokens.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "models/kernel_curve.hpp"
#include "models/llm_layout.hpp"
#include "models/llm_shape.hpp"

namespace isthmus::models {

//! Curves for one unit of a stage; a part without a curve is left to the roofline. All curves are of
//! all layers of the stage together.
//!
//! Tables asked for: gemm (also for the vision tower), moe, norm, rotary, activation, embedding,
//! sampler, prefill_attention, decode_attention or mixed_attention, encoder_attention, all_reduce
//! send_recv and all_to_all, in the format of the activations, for 16-bit formats in the other one as well.
struct LlmKernels {
  LlmKernels() = default;
  LlmKernels(const LlmShape& shape, const LlmVariant& variant, const LlmLayout& layout,
             const LlmStage& stage, const KernelProfile& profile);

  std::optional<MeasuredCurve> qkv, o, gate_up, down;  //!< over rows (tokens)
  std::optional<MeasuredCurve> experts;                //!< over rows: gate_up and down of a mixture
  std::optional<MeasuredCurve> norms, rotary, activation, embedding;  //!< over rows
  std::optional<MeasuredCurve> head, sampler;          //!< over rows (sampled tokens)
  std::optional<MeasuredCurve> prefill_attention;      //!< over the tokens of one prompt
  std::optional<MeasuredCurve> all_reduce;             //!< over rows, both of every layer
  //! Over rows of all data-parallel ranks: both all-to-alls of every layer, or what is in their place.
  std::optional<MeasuredCurve> exchange;
  std::optional<MeasuredCurve> send;                   //!< over rows, to the next stage
  std::optional<MeasuredCurve> vision_blocks;          //!< over patches
  std::optional<MeasuredCurve> vision_attention;       //!< over the patches of one image
  //! decode_attention[b - 1]: b sequences, over the sum of their contexts. Empty: roofline.
  std::vector<MeasuredCurve> decode_attention;
  //! What decodes add to an iteration with prompts: kernels for both kinds of rows split long
  //! contexts less. Curves as in decode_attention, beside `tokens` tokens of prompts; from the
  //! smallest and the largest chunk of the table, with a straight line between. Empty: as alone.
  struct BesidePrompts {
    double tokens = 0;
    std::vector<MeasuredCurve> decode_attention;
  };
  BesidePrompts beside_few, beside_many;

  bool any() const;
};

}  // namespace isthmus::models
