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

#include "devices/engine_group.hpp"

namespace isthmus::devices {

//! Like LlmEngine towards its owner. A span is one iteration of all ranks; there are no leaps.
class DataParallelEngine : public EngineGroup {
 public:
  //! `limits` per rank, but KV blocks of all ranks together and the watermark of them; what remains of
  //! an uneven division is not used. Throws InputError when limits contradict each other, when there
  //! are fewer blocks than ranks, and for speculation, swapping, KV tiers and adapters, whose delays
  //! all ranks would have to wait for.
  DataParallelEngine(std::shared_ptr<const models::LlmCost> cost, const EngineLimits& limits);

  //! Joins the rank with the least 4 * waiting + running sequences, the first of equals (vLLM's balance
  //! of its ranks, with counts that are never late).
  void enqueue(const EngineRequest& request);
  //! See LlmEngine.
  Instant begin(Instant now, std::vector<Admission>& admitted);
  //! An iteration cannot be cut short.
  Instant interrupt(Instant now);
  void finish(std::vector<Progress>& progress);
  void set_cost(std::shared_ptr<const models::LlmCost> cost);
  void clear(std::vector<std::uint64_t>& lost) { clear_engines(lost); }

  //! Sums over the ranks, but an iteration is one of all ranks together.
  EngineCounters counters() const;
  const std::vector<LlmEngine>& ranks() const { return engines_; }

 private:
  std::vector<models::IterationWork> works_;  // of the running span, by rank; no tokens: padding
  std::size_t idle_ = 0;  // ranks in it without work
  std::uint64_t iterations_ = 0, dummies_ = 0;
};

}  // namespace isthmus::devices
