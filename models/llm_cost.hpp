// Times of LLM engine iterations on one replica: equal units under tensor and pipeline parallelism.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "models/llm_layout.hpp"
#include "models/llm_shape.hpp"
#include "models/machine.hpp"
#include "models/prediction.hpp"

namespace isthmus::models {

class KernelProfile;

//! The work of one engine iteration.
struct IterationWork {
  std::int64_t prefill_tokens = 0;    //!< prompt tokens computed in this iteration
  double prefill_attention = 0;       //!< sum over chunks of tokens * (earlier context + tokens/2)
  std::int64_t prefill_context = 0;   //!< sum over chunks of the context they read (earlier + own)
  std::int64_t decode_sequences = 0;  //!< sequences that get one token each
  std::int64_t decode_context = 0;    //!< sum of their context lengths (KV tokens read)
  //! Guessed tokens that decodes verify beside their own one (speculative decoding); they read the
  //! same contexts.
  std::int64_t draft_tokens = 0;
  std::int64_t logits = 0;            //!< rows of the output head (sequences that sample a token)
  std::int64_t image_tokens = 0;  //!< prompt tokens whose vision encoding runs in this iteration

  //! Rows of the products in the layers.
  std::int64_t tokens() const { return prefill_tokens + decode_sequences + draft_tokens; }
};

//! Time of an iteration, and the share of it that is compute-bound.
struct IterationTime {
  Duration time;
  double compute_share = 0;
};

//! A time that is linear in the running context, in ns: base + per_context * decode_context for
//! first_context <= decode_context < end_context.
struct DecodeLine {
  double base_ns = 0;
  double per_context_ns = 0;
  double first_context = 0;
  double end_context = 0;  //!< infinity without a profile
  // What of it is compute-bound: a part, and attention as a line over the context (0 if it is not).
  double compute_ns = 0, attention_ns = 0, attention_per_context_ns = 0;

  bool holds(double context) const { return context >= first_context && context < end_context; }
  //! What LlmCost::iteration_ns says there, to the bit.
  std::int64_t ns(double context) const { return whole_ns(base_ns + per_context_ns * context); }
  //! What LlmCost::iteration_time says there, to the bit.
  double compute_share(double context) const {
    const double total = base_ns + per_context_ns * context;
    const double compute = compute_ns + (attention_ns + attention_per_context_ns * context);
    return total > 0 ? std::min(1.0, compute / total) : 0;
  }
  //! Rounds times of at least 1 ns, without a call.
  static std::int64_t whole_ns(double ns) { return static_cast<std::int64_t>(ns + 0.5); }
};

//! Prepared for one (shape, variant, unit, layout); immutable, shared by replicas and threads. For a fixed batch the iteration time is piecewise linear in decode_context.
//!
//! Model: iteration_overhead + sum over operators of their time in the kernel profile or, where it
//! has no table for them, max(flops / (usable_peak * compute_efficiency), bytes /
//! (memory_bandwidth * bandwidth_efficiency)); + launch_overhead per operator. Operators and their
//! assumptions are listed in docs/models.md.
class LlmCost {
 public:
  //! `profile` may be null and is not kept. Throws InputError when the unit cannot compute the
  //! variant's format or a figure of shape, unit or layout is impossible.
  LlmCost(const LlmShape& shape, const LlmVariant& variant, const ComputeUnit& unit,
          const LlmLayout& layout, const KernelProfile* profile = nullptr);
  //! `parallel` equal units under tensor parallelism alone.
  LlmCost(const LlmShape& shape, const LlmVariant& variant, const ComputeUnit& unit,
          int parallel = 1, double link_bandwidth = 0, Duration link_latency = Duration::zero(),
          const KernelProfile* profile = nullptr);

  //! Time of one iteration; the unit's iteration_overhead is included. Through a pipeline: from the
  //! first stage until it has left the last one, with nothing else in it. Safe from many threads.
  Prediction iteration(const IterationWork& work) const;
  //! The same without evidence: for engines.
  IterationTime iteration_time(const IterationWork& work) const;
  //! Time of one iteration of all data-parallel ranks in step, each with its own work; those without
  //! any, and those that are not named, compute one padding token. It lasts as long as the slowest
  //! rank: attention and dense products of its own tokens, experts and exchange for those of all ranks.
  //! iteration() says the same of one rank beside which all others are without work.
  Prediction step(const std::vector<IterationWork>& ranks) const;
  IterationTime step_time(const std::vector<IterationWork>& ranks) const;
  //! The same model where everything takes `factor` times as long.
  LlmCost slowed(double factor) const;
  //! In ns only.
  std::int64_t iteration_ns(const IterationWork& work) const;
  //! The line on which iteration_ns lies when `sequences` >= 1 sequences decode at `context` and
  //! nothing else runs: iteration_ns({decode_sequences = logits = sequences, decode_context = c})
  //! equals llround(base_ns + per_context_ns * c) bit for bit, for every c in the range of the
  //! line.
  DecodeLine decode_line(std::int64_t sequences, std::int64_t context) const;
  //! Per-operator table of one iteration; its times add up to iteration() without the rounding.
  std::vector<OperatorCost> explain(const IterationWork& work) const;
  //! The same of the slowest rank in step(); at least one rank.
  std::vector<OperatorCost> explain_step(const std::vector<IterationWork>& ranks) const;
  //! Expected time of one request alone: prompt of `prompt` tokens of which `image` come from
  //! images, `output` tokens decoded one by one. For views (output is an estimate there).
  Prediction request(std::int64_t prompt, std::int64_t image, double output) const;

  //! The stages of a pipeline, each with the times and the memory of its own `tensor` units; empty
  //! without one. A stage has the iteration_overhead, the last one alone the sequence_overhead.
  const std::vector<LlmCost>& stages() const;
  //! Of the time of one iteration, what needs no results of the stage before: the framework's
  //! iteration_overhead, unless it is hidden anyway.
  std::int64_t preparation_ns() const;
  //! Sending the hidden states of `tokens` tokens to the next stage; 0 without a pipeline.
  std::int64_t send_ns(std::int64_t tokens) const;

  //! Load of the units with the busiest experts over the mean load, for an iteration of `tokens`
  //! tokens; 1 unless a mixture's experts are divided.
  double expert_imbalance(std::int64_t tokens) const;

  //! Per replica: all units together, and in host memory. Every data-parallel rank has all weights
  //! but the experts'.
  double weight_bytes() const;
  double host_weight_bytes() const;   //!< per replica, of these: in host memory
  double kv_bytes_per_token() const;  //!< per replica, once
  //! Bytes kept free of KV blocks per replica: on every stage activations of 2,048 tokens, 5 % of the
  //! memory for runtime, allocator and captured graphs, on the last one 256 rows of logits in fp32;
  //! what a layer has in host memory, twice with prefetch.
  double workspace_bytes() const;
  //! KV tokens that fit beside weights and workspace: floor((memory*utilization - weights not
  //! in host memory - workspace)/kv_bytes), of the stage with the least room, of one data-parallel
  //! rank; throws InputError with the arithmetic when weights do not fit.
  std::int64_t kv_capacity_tokens(double memory_utilization = 0.9) const;
  //! Evidence and relative standard error of a request of 512 tokens in and 128 out.
  PredictionKind kind() const;
  double relative_error() const;
  const ComputeUnit& unit() const;
  const LlmLayout& layout() const;

 private:
  struct Impl;
  explicit LlmCost(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace isthmus::models
