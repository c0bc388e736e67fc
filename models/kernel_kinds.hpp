// The kernel kinds of profiles and their shape parameters: the one list that measuring, importing,
// look-ups and the format page share.
#pragma once

#include <array>
#include <span>
#include <string_view>

namespace isthmus::models {

//! A kernel kind. Parameters are listed in the order in which look-ups nest them, outermost first.
struct KernelKind {
  std::string_view name;
  std::string_view parameters;  //!< separated by blanks
  std::string_view meaning;     //!< what one execution computes; units of the parameters
};

//! Every kind. `tokens` are new tokens per sequence, `context` earlier tokens per sequence.
inline constexpr std::array kernel_kinds{
    KernelKind{"gemm", "n k m", "m x k times k x n; weights are k x n"},
    KernelKind{"batched_gemm", "count n k m", "count products of m x k and k x n activations"},
    KernelKind{"conv", "kernel stride groups in_channels out_channels positions",
               "dense or grouped convolution; positions = output height x width x batch"},
    KernelKind{"depthwise_conv", "kernel stride positions channels",
               "one filter per channel; the batch multiplies the channels"},
    KernelKind{"elementwise", "elements", "a sum of two tensors of so many elements"},
    KernelKind{"activation", "elements", "an activation function of so many elements"},
    KernelKind{"copy", "elements", "reads and writes so many elements"},
    KernelKind{"softmax", "columns rows", "softmax of each row"},
    KernelKind{"norm", "columns rows", "layer or RMS norm of each row"},
    KernelKind{"embedding", "columns rows", "look-up of rows of so many columns"},
    KernelKind{"rotary", "columns rows",
               "rotary position embedding in place; columns are those of queries and keys together"},
    KernelKind{"encoder_attention", "heads head_dim batch tokens",
               "attention of all tokens to all tokens of their sequence, no mask"},
    KernelKind{"prefill_attention", "heads kv_heads head_dim window batch context tokens",
               "causal attention of new tokens to the context and each other; window 0 = none"},
    KernelKind{"decode_attention", "heads kv_heads head_dim window batch context",
               "one new token per sequence attends to its context"},
    KernelKind{"mixed_attention", "heads kv_heads head_dim tokens context sequences decode_context",
               "one chunk of tokens behind its context together with decoding sequences, each with "
               "decode_context"},
    KernelKind{"moe",
               "hidden ffn experts experts_active skew tensor_parallel expert_parallel tokens",
               "a mixture's feed-forward layer, gated; skew 0 = even choices, else exponent of the "
               "power law of experts' popularity"},
    KernelKind{"all_reduce", "devices bytes", "per device buffer of so many bytes"},
    KernelKind{"all_gather", "devices bytes", "bytes received per device"},
    KernelKind{"reduce_scatter", "devices bytes", "bytes sent per device"},
    KernelKind{"all_to_all", "devices bytes", "bytes sent per device"},
    KernelKind{"send_recv", "devices bytes", "one message between two devices"},
    KernelKind{"sampler", "vocab sequences", "picks one token per sequence from its logits"},
    KernelKind{"llm_prefill", "tensor_parallel batch tokens",
               "whole prompt phase of a language model, tokens per sequence; the model is in the "
               "profile's device name"},
    KernelKind{"llm_decode", "tensor_parallel batch context",
               "whole decode iteration of a language model, at the mean context"},
};

//! The kind called `name`, or null.
constexpr const KernelKind* find_kernel_kind(std::string_view name) {
  for (const KernelKind& k : kernel_kinds)
    if (k.name == name) return &k;
  return nullptr;
}

//! Remarks on single rows of a table, or-ed together.
enum KernelFlag : unsigned {
  kernel_flag_cached = 1,   //!< faster than DRAM allows: operands stayed in a cache while repeating
  kernel_flag_noisy = 2,    //!< repetitions or duplicates disagree by more than half the median
  kernel_flag_clipped = 4,  //!< percentiles were not given and are set to the median
};

}  // namespace isthmus::models
