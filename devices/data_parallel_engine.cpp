#include "devices/data_parallel_engine.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/core/errors.hpp"

namespace isthmus::devices {

DataParallelEngine::DataParallelEngine(std::shared_ptr<const models::LlmCost> cost,
                                       const EngineLimits& limits)
    : cost_(std::move(cost)) {
  if (!cost_->stages().empty()) throw InternalError("data-parallel engine: the replica has stages");
  if (limits.swap_bandwidth > 0 || !limits.tiers.empty())
    throw InputError("engine: data-parallel ranks compute preempted sequences again; they have no "
                     "copies in slower memory");
  if (limits.speculation.tokens > 0)
    throw InputError("engine: data-parallel ranks guess no tokens ahead");
  if (limits.adapters.slots > 0) throw InputError("engine: data-parallel ranks have no adapters");
  const auto parts = static_cast<std::int64_t>(cost_->layout().data);
  EngineLimits own = limits;
  own.leap = false;  // nobody goes ahead
  own.kv_blocks = limits.kv_blocks / parts;
  own.watermark_blocks = limits.watermark_blocks / parts;
  if (own.kv_blocks < 1)
    throw InputError(fmt::format("engine: {} KV blocks are too few for {} data-parallel ranks",
                                 limits.kv_blocks, parts));
  for (std::int64_t i = 0; i < parts; ++i) ranks_.emplace_back(cost_, own);
  works_.resize(ranks_.size());
}

void DataParallelEngine::enqueue(const EngineRequest& request) {
  const auto load = [](const LlmEngine& e) {
    return 4 * std::uint64_t{e.waiting()} + e.running();
  };
  const auto it = std::min_element(
      ranks_.begin(), ranks_.end(),
      [&](const LlmEngine& a, const LlmEngine& b) { return load(a) < load(b); });
  it->enqueue(request);
}

bool DataParallelEngine::cancel(std::uint64_t tag) {
  return std::any_of(ranks_.begin(), ranks_.end(), [&](LlmEngine& e) { return e.cancel(tag); });
}

bool DataParallelEngine::release(std::uint64_t tag) {
  return std::any_of(ranks_.begin(), ranks_.end(), [&](LlmEngine& e) { return e.release(tag); });
}

Instant DataParallelEngine::begin(Instant now, std::vector<Admission>& admitted) {
  if (span_active_) throw InternalError("engine: a span is running");
  idle_ = 0;
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    works_[i] = {};
    // Ranks whose prompts wait for held blocks have nothing to compute either.
    if (!ranks_[i].begin(now, admitted).is_never()) works_[i] = ranks_[i].work();
    else ++idle_;
  }
  if (idle_ == ranks_.size()) return Instant::never();
  const models::IterationTime p = cost_->step_time(works_);
  compute_share_ = p.compute_share;
  span_active_ = true;
  span_end_ = now + p.time;
  return span_end_;
}

// All ranks note when requests arrive, for plans that are made ahead.
Instant DataParallelEngine::interrupt(Instant now) {
  for (LlmEngine& e : ranks_) e.interrupt(now);
  return span_end_;
}

void DataParallelEngine::finish(std::vector<Progress>& progress) {
  if (!span_active_) throw InternalError("engine: no span is running");
  span_active_ = false;
  ++iterations_;
  dummies_ += idle_;
  for (LlmEngine& e : ranks_) {
    if (!e.busy()) continue;
    part_.clear();
    e.finish(part_);
    for (Progress& p : part_) {
      p.at = span_end_;
      progress.push_back(p);
    }
  }
}

void DataParallelEngine::set_cost(std::shared_ptr<const models::LlmCost> cost) {
  for (LlmEngine& e : ranks_) e.set_cost(cost);
  cost_ = std::move(cost);
}

bool DataParallelEngine::has_work() const {
  return std::any_of(ranks_.begin(), ranks_.end(), [](const LlmEngine& e) { return e.has_work(); });
}

std::uint32_t DataParallelEngine::waiting() const {
  std::uint32_t all = 0;
  for (const LlmEngine& e : ranks_) all += e.waiting();
  return all;
}

std::uint32_t DataParallelEngine::running() const {
  std::uint32_t all = 0;
  for (const LlmEngine& e : ranks_) all += e.running();
  return all;
}

double DataParallelEngine::kv_usage(Instant now) const {
  double all = 0;
  for (const LlmEngine& e : ranks_) all += e.kv_usage(now);
  return all / static_cast<double>(ranks_.size());
}

EngineCounters DataParallelEngine::counters() const {
  EngineCounters all;
  for (const LlmEngine& e : ranks_) all += e.counters();
  all.iterations = iterations_;
  all.rank_iterations = iterations_ * ranks_.size();
  all.dummy_iterations = dummies_;
  return all;
}

void DataParallelEngine::clear(std::vector<std::uint64_t>& lost) {
  for (LlmEngine& e : ranks_) e.clear(lost);
  span_active_ = false;
}

}  // namespace isthmus::devices
