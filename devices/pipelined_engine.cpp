#include "devices/pipelined_engine.hpp"

#include <algorithm>

#include "sim/core/errors.hpp"

namespace isthmus::devices {

namespace {

// What a pipeline can do; InputError for the rest.
const EngineLimits& checked(const models::LlmCost& cost, const EngineLimits& limits) {
  if (cost.stages().empty()) throw InternalError("pipelined engine: the replica has one stage");
  if (limits.async_scheduling)
    throw InputError("engine: a pipeline plans a micro-batch when its first stage is free; it has no "
                     "async_scheduling");
  if (limits.swap_bandwidth > 0 || !limits.tiers.empty())
    throw InputError("engine: a pipeline computes preempted sequences again; it has no copies in slower "
                     "memory");
  if (limits.speculation.tokens > 0) throw InputError("engine: a pipeline guesses no tokens ahead");
  return limits;
}

}  // namespace

PipelinedEngine::PipelinedEngine(std::shared_ptr<const models::LlmCost> cost,
                                 const EngineLimits& limits)
    : EngineGroup(cost, checked(*cost, limits), std::ssize(cost->stages()), "micro-batches"),
      ends_(engines_.size(), Instant::never()),
      stages_(engines_.size()),
      last_(engines_.size() - 1) {}

void PipelinedEngine::enqueue(const EngineRequest& request) {
  const auto unfinished = [](const LlmEngine& e) { return e.waiting() + e.running(); };
  const auto it = std::min_element(
      engines_.begin(), engines_.end(),
      [&](const LlmEngine& a, const LlmEngine& b) { return unfinished(a) < unfinished(b); });
  it->enqueue(request);
}

// The first engine behind the one planned last that has work and no micro-batch in flight.
LlmEngine* PipelinedEngine::next_engine() {
  for (std::size_t k = 1; k <= engines_.size(); ++k) {
    const std::size_t i = (last_ + k) % engines_.size();
    if (!engines_[i].busy() && engines_[i].has_work()) return &engines_[i];
  }
  return nullptr;
}

// The way of a micro-batch through all stages; returns when it leaves the last one.
Instant PipelinedEngine::send_through(Instant now, const models::IterationWork& work) {
  const Duration preparation(cost_->preparation_ns());
  const Duration send(cost_->send_ns(work.prefill_tokens + work.decode_sequences));
  Instant arrives = now;
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    const models::IterationTime p = cost_->stages()[s].iteration_time(work);
    const Duration prepared = std::min(preparation, p.time);
    const Instant ready = std::max(now, stages_[s].free) + prepared;
    const Instant leaves = std::max(ready, arrives) + (p.time - prepared);
    stages_[s].visits.push_back({leaves - p.time, leaves, p.compute_share});
    stages_[s].free = leaves;
    arrives = leaves + send;
  }
  return stages_.back().free;
}

// The first date after `now` at which a micro-batch enters or leaves a stage.
Instant PipelinedEngine::next_change(Instant now) const {
  Instant next = Instant::never();
  for (const Stage& s : stages_)
    if (!s.visits.empty())
      next = std::min(next, s.visits.front().from > now ? s.visits.front().from
                                                        : s.visits.front().to);
  return next;
}

Instant PipelinedEngine::begin(Instant now, std::vector<Admission>& admitted) {
  if (span_active_) throw InternalError("engine: a span is running");
  // Engines that wait for held blocks cannot start; each is asked once.
  for (std::size_t asked = 0; asked < engines_.size() && stages_.front().free <= now; ++asked) {
    LlmEngine* engine = next_engine();
    if (!engine) break;
    last_ = static_cast<std::size_t>(engine - engines_.data());
    engine->set_cost(cost_);
    if (!engine->begin(now, admitted).is_never())
      ends_[last_] = send_through(now, engine->work());
  }
  const Instant next = next_change(now);
  if (next.is_never()) return next;
  span_active_ = true;
  span_start_ = now;
  span_end_ = next;
  busy_stages_ = 0;
  compute_share_ = 0;
  for (const Stage& s : stages_)
    if (!s.visits.empty() && s.visits.front().from <= now) {
      ++busy_stages_;
      compute_share_ += s.visits.front().compute_share;
    }
  if (busy_stages_ > 0) compute_share_ /= static_cast<double>(busy_stages_);
  return span_end_;
}

Instant PipelinedEngine::interrupt(Instant now) {
  for (LlmEngine& e : engines_)
    if (e.busy()) e.interrupt(now);
  // A new micro-batch can enter at once.
  if (span_active_ && stages_.front().free <= now && next_engine()) span_end_ = std::min(span_end_, now);
  return span_end_;
}

void PipelinedEngine::finish(std::vector<Progress>& progress) {
  end_span();
  const double seconds = (span_end_ - span_start_).seconds();
  busy_seconds_ += static_cast<double>(busy_stages_) * seconds;
  all_seconds_ += static_cast<double>(stages_.size()) * seconds;
  for (Stage& s : stages_)
    if (!s.visits.empty() && s.visits.front().to <= span_end_) s.visits.pop_front();
  for (std::size_t i = 0; i < engines_.size(); ++i) {
    if (ends_[i] > span_end_) continue;
    finish_engine(engines_[i], ends_[i], progress);
    ends_[i] = Instant::never();
  }
}

void PipelinedEngine::clear(std::vector<std::uint64_t>& lost) {
  clear_engines(lost);
  ends_.assign(engines_.size(), Instant::never());
  for (Stage& s : stages_) s = {};
}

}  // namespace isthmus::devices
