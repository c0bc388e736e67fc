#include "devices/data_parallel_engine.hpp"

#include <algorithm>

#include "sim/core/errors.hpp"

namespace isthmus::devices {

namespace {

// What data-parallel ranks can do; InputError for the rest.
const EngineLimits& checked(const models::LlmCost& cost, const EngineLimits& limits) {
  if (!cost.stages().empty()) throw InternalError("data-parallel engine: the replica has stages");
  if (limits.swap_bandwidth > 0 || !limits.tiers.empty())
    throw InputError("engine: data-parallel ranks compute preempted sequences again; they have no "
                     "copies in slower memory");
  if (limits.speculation.tokens > 0)
    throw InputError("engine: data-parallel ranks guess no tokens ahead");
  if (limits.adapters.slots > 0) throw InputError("engine: data-parallel ranks have no adapters");
  return limits;
}

}  // namespace

DataParallelEngine::DataParallelEngine(std::shared_ptr<const models::LlmCost> cost,
                                       const EngineLimits& limits)
    : EngineGroup(cost, checked(*cost, limits), cost->layout().data, "data-parallel ranks"),
      works_(engines_.size()) {}

void DataParallelEngine::enqueue(const EngineRequest& request) {
  const auto load = [](const LlmEngine& e) {
    return 4 * std::uint64_t{e.waiting()} + e.running();
  };
  const auto it = std::min_element(
      engines_.begin(), engines_.end(),
      [&](const LlmEngine& a, const LlmEngine& b) { return load(a) < load(b); });
  it->enqueue(request);
}

Instant DataParallelEngine::begin(Instant now, std::vector<Admission>& admitted) {
  if (span_active_) throw InternalError("engine: a span is running");
  idle_ = 0;
  for (std::size_t i = 0; i < engines_.size(); ++i) {
    works_[i] = {};
    // Ranks whose prompts wait for held blocks have nothing to compute either.
    if (!engines_[i].begin(now, admitted).is_never()) works_[i] = engines_[i].work();
    else ++idle_;
  }
  if (idle_ == engines_.size()) return Instant::never();
  const models::IterationTime p = cost_->step_time(works_);
  compute_share_ = p.compute_share;
  span_active_ = true;
  span_end_ = now + p.time;
  return span_end_;
}

// All ranks note when requests arrive, for plans that are made ahead.
Instant DataParallelEngine::interrupt(Instant now) {
  for (LlmEngine& e : engines_) e.interrupt(now);
  return span_end_;
}

void DataParallelEngine::finish(std::vector<Progress>& progress) {
  end_span();
  ++iterations_;
  dummies_ += idle_;
  for (LlmEngine& e : engines_)
    if (e.busy()) finish_engine(e, span_end_, progress);
}

void DataParallelEngine::set_cost(std::shared_ptr<const models::LlmCost> cost) {
  for (LlmEngine& e : engines_) e.set_cost(cost);
  cost_ = std::move(cost);
}

EngineCounters DataParallelEngine::counters() const {
  EngineCounters all = EngineGroup::counters();
  all.iterations = iterations_;
  all.rank_iterations = iterations_ * engines_.size();
  all.dummy_iterations = dummies_;
  return all;
}

}  // namespace isthmus::devices
