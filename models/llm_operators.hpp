// The operators of one LLM engine iteration on one unit: work counted from the shape, time from a
// kernel profile or the unit's roofline. Shared by the prepared cost (llm_cost.cpp) and nothing
// else.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "models/expert_load.hpp"
#include "models/llm_cost.hpp"
#include "models/llm_kernels.hpp"
#include "models/llm_layout.hpp"

namespace isthmus::models {

//! A dense product, all layers of it together: `flops_per_row` and `bytes_per_row` per token,
//! `fixed_bytes` of weights per iteration. Everything is per unit and, in ns, already divided by
//! what the unit reaches.
struct DenseOperator {
  const char* name = "";
  const char* kind = "gemm";
  bool expert = false;  //!< weights are read only for the experts that tokens chose
  bool sparse = false;  //!< weights are read and computed only for neurons that tokens need
  double launches = 0;
  double flops_per_row = 0, fixed_bytes = 0, bytes_per_row = 0;
  double flop_ns_per_row = 0, fixed_ns = 0, byte_ns_per_row = 0;

  std::optional<MeasuredCurve> measured;  //!< over rows, instead of the roofline

  //! Part of the arithmetic that remains when `share` of the weights takes part: the neurons that
  //! any row needs are computed for all of them.
  double flop_share(double share) const { return sparse ? share : 1; }
  double flop_ns(double rows, double share) const {
    return flop_ns_per_row * rows * flop_share(share);
  }
  double byte_ns(double rows, double share) const {
    return fixed_ns * share + byte_ns_per_row * rows;
  }
  double ns(double rows, double share) const {
    return measured ? measured->curve.at(rows) : std::max(flop_ns(rows, share), byte_ns(rows, share));
  }
};

//! Everything about (shape, variant, unit, degree) that an iteration time needs, per unit.
struct LlmOperators {
  //! Of the layers of one stage, or of all of them. `profile` may be null; it is not kept. Throws
  //! InputError when a figure is impossible or the unit cannot compute the variant.
  LlmOperators(const LlmShape& shape, const LlmVariant& variant, const ComputeUnit& unit,
               const LlmLayout& layout, const LlmStage& stage, const KernelProfile* profile);

  //! qkv, o, gate_up, down; rows = tokens. A mixture whose experts were timed as a whole has
  //! "experts" instead of the last two. What a profile knows of the operators between products
  //! follows; without it they are part of the launch overhead.
  std::vector<DenseOperator> layers;
  std::vector<DenseOperator> heads;   //!< lm_head and, if measured, sampler; rows = sampled tokens
  DenseOperator vision_blocks;        //!< rows = patches
  DenseOperator vision_merger;        //!< rows = image tokens
  double attention_flops = 0;         //!< per (query, key) pair, all layers and heads
  double attention_flop_ns = 0;       //!< the same in time
  double kv_bytes = 0;                //!< per context token
  double query_bytes = 0;             //!< query and output per token
  double byte_ns = 0;                 //!< per byte of memory traffic
  double attention_launches = 0;      //!< kernels of one attention pass
  double vision_attention_flops = 0;  //!< per (patch, patch) pair
  double vision_flop_ns = 0;          //!< per flop of the tower
  double vision_patch_bytes = 0;      //!< q, k, v and output per patch, all layers
  double patches_per_token = 0;
  double reduce_fixed_ns = 0;    //!< all-reduce latency of an iteration, within a data-parallel rank
  double reduce_ns_per_row = 0;  //!< all-reduce transfer per token
  double reduce_bytes_per_row = 0;
  //! Both all-to-alls of every layer, or gathering the tokens of data-parallel ranks for the experts
  //! and adding up what these say: latency.
  double exchange_fixed_ns = 0;
  double exchange_ns_per_row = 0;  //!< per token of all ranks
  double exchange_bytes_per_row = 0;
  double send_fixed_ns = 0;      //!< latency between two stages
  double send_ns_per_row = 0;    //!< hidden state of a token to the next stage
  double send_bytes_per_row = 0;
  double overhead_ns = 0;   //!< the unit's iteration_overhead
  double sequence_ns = 0;   //!< the unit's sequence_overhead
  //! Traffic of norms, rotary embedding and activation per row, in ns and bytes: for profiles that
  //! have the products but not these. Elsewhere the fitted efficiencies contain it.
  double elementwise_ns_per_row = 0, elementwise_bytes_per_row = 0;
  double launch_ns = 0;     //!< the unit's launch_overhead
  double expert_ratio = 0;  //!< active / all experts; 0 = not a mixture
  //! What a profile knows beyond dense products; all empty without one.
  LlmKernels kernels;

  //! Load of the parts among which the experts are divided.
  int expert_parts = 1;
  double experts_per_part = 1, experts_active = 1;
  ExpertLoad load;
  double given_imbalance = 0;  //!< instead of `load`'s; 0 = none

  //! Load of the most loaded part over the mean for `tokens` tokens.
  double imbalance(double tokens) const {
    return given_imbalance > 0 ? given_imbalance : load.imbalance(tokens);
  }
  //! Expected fraction of the experts of the most loaded part that tokens choose.
  double most_loaded_share(double tokens) const;
  //! Expected fraction of the experts that `tokens` tokens choose, drawn independently and evenly.
  double expert_share(double tokens) const;

  double ffn_active = 1;      //!< the variant's
  double host_share = 0;      //!< of the layers' weights, kept in host memory
  double host_byte_ns = 0;    //!< per byte copied from there, each unit over a link of its own
  //! Products read another share of their weights for every number of tokens.
  bool varies() const { return expert_ratio > 0 || ffn_active < 1; }
  //! Expected share of its weights that a product of the layers reads for `tokens` tokens: that of
  //! chosen experts, or of neurons that some token needs, chosen independently: 1 - (1 - a)^tokens.
  double share_of(const DenseOperator& o, double tokens) const;
  //! Bytes that a unit copies from host memory for an iteration of `tokens` > 0 tokens.
  double copied_bytes(double tokens) const;
  //! Bytes of this unit's weights in host memory.
  double host_bytes() const;
};

//! Largest image that is encoded as one: more image tokens in one iteration count as equal images.
//! 3,108 tokens are a 1080x2400 screenshot under AutoGLM's pixel cap (docs/models.md).
inline constexpr std::int64_t largest_image_tokens = 3108;

}  // namespace isthmus::models
