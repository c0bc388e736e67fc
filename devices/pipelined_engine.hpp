// The serving engine of a replica whose layers are divided over pipeline stages: as many micro-batches
// as stages are in flight, each with sequences of its own.
//
// Scheme of vLLM v0: one scheduler per micro-batch ("virtual engine"), each with an equal share of the
// KV blocks; a new request goes to the one with the fewest unfinished requests. (vLLM v1 has one
// scheduler and one cache, and fills a queue of so many batches from them.) A micro-batch is planned
// when the first stage can take it; then its way through the stages is known:
//
//   leaves(m, s) = max(max(planned(m), leaves(m-1, s)) + preparation, leaves(m, s-1) + send) + rest
//
// where a stage prepares a micro-batch (iteration_overhead) as soon as it has nothing else to do, and
// sends beside its next computation. Bubbles are what is left. The ids of sampled tokens return to the
// schedulers in no time.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "devices/engine_group.hpp"

namespace isthmus::devices {

//! Like LlmEngine towards its owner. A span lasts until a micro-batch enters or leaves a stage, so that
//! the stages in use are the same throughout.
class PipelinedEngine : public EngineGroup {
 public:
  //! `cost` of at least two stages; `limits` per micro-batch, but KV blocks of the whole replica and the
  //! watermark of them. Throws InputError when limits contradict each other, when there are fewer
  //! blocks than stages, and for async_scheduling, speculation, swapping and KV tiers, which no
  //! pipeline has here.
  PipelinedEngine(std::shared_ptr<const models::LlmCost> cost, const EngineLimits& limits);

  //! Joins the queue of the micro-batch with the fewest unfinished requests, the first of equals.
  void enqueue(const EngineRequest& request);
  //! See LlmEngine.
  Instant begin(Instant now, std::vector<Admission>& admitted);
  Instant interrupt(Instant now);
  void finish(std::vector<Progress>& progress);
  void set_cost(std::shared_ptr<const models::LlmCost> cost) { cost_ = std::move(cost); }
  void clear(std::vector<std::uint64_t>& lost);

  //! Share of the stages in use during the current span.
  double busy_share() const { return static_cast<double>(busy_stages_) / static_cast<double>(stages_.size()); }

  //! Over all spans so far: stages in use, and all stages, in stage-seconds. What is missing is bubbles.
  double busy_stage_seconds() const { return busy_seconds_; }
  double stage_seconds() const { return all_seconds_; }

 private:
  // A micro-batch in a stage, now or later.
  struct Visit {
    Instant from, to;
    double compute_share = 0;
  };
  struct Stage {
    std::deque<Visit> visits;  // in order of date
    Instant free;              // end of the last one
  };

  LlmEngine* next_engine();
  Instant send_through(Instant now, const models::IterationWork& work);
  Instant next_change(Instant now) const;

  std::vector<Instant> ends_;        // when their micro-batches leave the last stage; never: idle
  std::vector<Stage> stages_;
  std::size_t last_ = 0;             // engine that was planned last

  Instant span_start_;
  std::size_t busy_stages_ = 0;
  double busy_seconds_ = 0, all_seconds_ = 0;
};

}  // namespace isthmus::devices
