// The serving engine of a replica whose attention is data-parallel: ranks with sequences, caches and
// schedulers of their own, which share the experts of a mixture.
//
// Scheme of vLLM (data_parallel_size with expert parallelism), SGLang (DP attention) and DeepSeek: every
// layer's experts compute the tokens of all ranks together, so that no rank can go ahead. All ranks
// begin an iteration at the same time, and it ends when the slowest one has ended. A rank without work
// takes part with one token of padding, of which nothing remains. When nobody has work, all sleep. A
// request belongs to one rank from its arrival on; cached prefixes are known to that rank alone.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "devices/llm_engine.hpp"

namespace isthmus::devices {

//! Like LlmEngine towards its owner. A span is one iteration of all ranks; there are no leaps.
class DataParallelEngine {
 public:
  //! `limits` per rank, but KV blocks of all ranks together and the watermark of them; what remains of
  //! an uneven division is not used. Throws InputError when limits contradict each other, when there
  //! are fewer blocks than ranks, and for speculation, swapping, KV tiers and adapters, whose delays
  //! all ranks would have to wait for.
  DataParallelEngine(std::shared_ptr<const models::LlmCost> cost, const EngineLimits& limits);

  //! True when the request can ever run, in one rank.
  bool fits(const EngineRequest& request) const { return ranks_.front().fits(request); }
  //! Joins the rank with the least 4 * waiting + running sequences, the first of equals (vLLM's balance
  //! of its ranks, with counts that are never late).
  void enqueue(const EngineRequest& request);
  //! See LlmEngine.
  bool cancel(std::uint64_t tag);
  bool release(std::uint64_t tag);
  Instant begin(Instant now, std::vector<Admission>& admitted);
  //! An iteration cannot be cut short.
  Instant interrupt(Instant now);
  void finish(std::vector<Progress>& progress);
  void set_cost(std::shared_ptr<const models::LlmCost> cost);
  void clear(std::vector<std::uint64_t>& lost);

  std::int64_t left(std::uint64_t tag, Instant, std::uint32_t& place) const { return left_of(ranks_, tag, place); }
  Instant next_boundary(Instant) const { return span_end_; }

  bool busy() const { return span_active_; }
  bool has_work() const;
  std::uint32_t waiting() const;
  std::uint32_t running() const;
  double kv_usage(Instant now) const;
  //! Sums over the ranks, but an iteration is one of all ranks together.
  EngineCounters counters() const;
  //! Share of the slowest rank's work during the current span that is compute-bound.
  double compute_share() const { return compute_share_; }

  const std::vector<LlmEngine>& ranks() const { return ranks_; }

 private:
  std::shared_ptr<const models::LlmCost> cost_;
  std::vector<LlmEngine> ranks_;
  std::vector<models::IterationWork> works_;  // of the running span, by rank; no tokens: padding
  std::vector<Progress> part_;

  bool span_active_ = false;
  Instant span_end_;
  double compute_share_ = 0;
  std::size_t idle_ = 0;  // ranks in it without work
  std::uint64_t iterations_ = 0, dummies_ = 0;
};

}  // namespace isthmus::devices
