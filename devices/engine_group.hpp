// Several schedulers with sequences and KV blocks of their own in one replica, which run under a clock
// that is not theirs: the micro-batches of a pipeline, or data-parallel ranks.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "devices/llm_engine.hpp"

namespace isthmus::devices {

//! What such replicas have in common; LlmEngine says what each call means.
class EngineGroup {
 public:
  //! True when the request can ever run, in the share of one engine.
  bool fits(const EngineRequest& request) const { return engines_.front().fits(request); }
  bool cancel(std::uint64_t tag);
  bool release(std::uint64_t tag);
  //! Tokens count at the ends of spans.
  std::int64_t left(std::uint64_t tag, Instant now, std::uint32_t& place) const;
  Instant next_boundary(Instant) const { return span_end_; }

  bool busy() const { return span_active_; }
  bool has_work() const;
  std::uint32_t waiting() const;
  std::uint32_t running() const;
  double kv_usage(Instant now) const;
  //! Sums over the engines.
  EngineCounters counters() const;
  //! Share of the work of the current span that is compute-bound: of the stages in use, or of the
  //! slowest rank.
  double compute_share() const { return compute_share_; }

 protected:
  //! `parts` engines under `limits`, but with an equal share of the KV blocks and of the watermark,
  //! rounded down. Throws InputError when there are fewer blocks than `parts`, called `name`.
  EngineGroup(std::shared_ptr<const models::LlmCost> cost, const EngineLimits& limits,
              std::int64_t parts, const char* name);
  void clear_engines(std::vector<std::uint64_t>& lost);
  //! Ends the running span.
  void end_span();
  //! Ends the span of one engine at a date that it could not know.
  void finish_engine(LlmEngine& engine, Instant at, std::vector<Progress>& progress);

  std::shared_ptr<const models::LlmCost> cost_;
  std::vector<LlmEngine> engines_;
  bool span_active_ = false;
  Instant span_end_;
  double compute_share_ = 0;

 private:
  std::vector<Progress> part_;
};

}  // namespace isthmus::devices
