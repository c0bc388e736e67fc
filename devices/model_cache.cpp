#include "devices/model_cache.hpp"

#include <fmt/core.h>

#include "sim/core/errors.hpp"

namespace isthmus::devices {

ModelCache::ModelCache(double capacity, std::shared_ptr<schedulers::EvictionPolicy> policy,
                       std::vector<CachedModel> models)
    : capacity_(capacity),
      policy_(std::move(policy)),
      models_(std::move(models)),
      states_(models_.size()) {
  for (std::uint32_t m = 0; m < models_.size(); ++m) {
    if (!(models_[m].bytes <= capacity_))
      throw InputError(
          fmt::format("model {} needs {} bytes of a memory of {}", m, models_[m].bytes, capacity_));
    states_[m].view = {.model = m,
                       .bytes = models_[m].bytes,
                       .load = models_[m].load.seconds(),
                       .priority = models_[m].priority,
                       .loaded = {},
                       .last_used = {},
                       .uses = 0};
  }
}

void ModelCache::preload(Instant now) {
  for (std::uint32_t m = 0; m < models_.size(); ++m) {
    State& s = states_[m];
    if (s.resident || used_ + models_[m].bytes > capacity_) continue;
    s.resident = s.been_here = true;
    s.view.loaded = s.view.last_used = now;
    s.view.load = models_[m].reload.seconds();
    used_ += models_[m].bytes;
  }
}

void ModelCache::begin_batch(State& s, Instant now) {
  ++s.batches;
  ++s.view.uses;
  s.view.last_used = now;
  policy_->used(s.view);
}

bool ModelCache::acquire(std::uint32_t model, std::uint64_t tag, Instant now) {
  State& s = states_[model];
  ++s.counts.batches;
  if (s.resident && !s.leaving) {
    ++s.counts.hits;
    begin_batch(s, now);
    return true;
  }
  s.waiting.push_back(tag);
  if (s.wanted) return false;
  s.wanted = true;
  queue_.push_back(model);
  // Whoever waits already waits for a load or for room, which this does not give: none can begin.
  std::vector<std::uint64_t> started;
  next_load(now, started);
  return false;
}

void ModelCache::release(std::uint32_t model, Instant now, std::vector<std::uint64_t>& started) {
  State& s = states_[model];
  --s.batches;
  if (s.leaving && s.batches == 0) drop(s);
  next_load(now, started);
}

void ModelCache::advance(Instant now, std::vector<std::uint64_t>& started) {
  if (loading_ == none || load_ends_ > now) return;
  const std::uint32_t model = loading_;
  loading_ = none;
  State& s = states_[model];
  s.resident = s.been_here = true;
  s.wanted = false;
  s.view.loaded = now;
  s.view.load = models_[model].reload.seconds();
  s.view.uses = 0;
  begin_waiting(model, now, started);
  next_load(now, started);
}

void ModelCache::begin_waiting(std::uint32_t model, Instant now,
                               std::vector<std::uint64_t>& started) {
  State& s = states_[model];
  for (const std::uint64_t tag : s.waiting) {
    begin_batch(s, now);
    started.push_back(tag);
  }
  s.waiting.clear();
}

void ModelCache::drop(State& s) {
  s.resident = s.leaving = false;
  ++s.counts.evictions;
  used_ -= s.view.bytes;
}

// True when `bytes` are free. Idle models leave first; then busy ones are told to.
bool ModelCache::make_room(double bytes, Instant now) {
  double coming = capacity_ - used_;
  for (const State& s : states_)
    if (s.leaving) coming += s.view.bytes;
  for (const bool busy : {false, true}) {
    while (coming < bytes) {
      candidates_.clear();
      for (const State& s : states_)
        if (s.resident && !s.leaving && (s.batches > 0) == busy) candidates_.push_back(s.view);
      if (candidates_.empty()) break;
      State& victim = states_[candidates_.at(policy_->evict(candidates_, now)).model];
      coming += victim.view.bytes;
      if (busy)
        victim.leaving = true;
      else
        drop(victim);
    }
  }
  return capacity_ - used_ >= bytes;
}

void ModelCache::next_load(Instant now, std::vector<std::uint64_t>& started) {
  while (loading_ == none && !queue_.empty()) {
    const std::uint32_t model = queue_.front();
    State& s = states_[model];
    if (s.resident) {  // it was about to leave, and need not any more
      s.leaving = false;
      s.wanted = false;
      queue_.pop_front();
      begin_waiting(model, now, started);
      continue;
    }
    if (!make_room(models_[model].bytes, now)) return;
    queue_.pop_front();
    used_ += models_[model].bytes;
    ++s.counts.loads;
    loading_ = model;
    load_ends_ = now + (s.been_here ? models_[model].reload : models_[model].load);
    keep_leaving(now, started);
  }
}

// There was room without those that were still to leave.
void ModelCache::keep_leaving(Instant now, std::vector<std::uint64_t>& started) {
  for (std::uint32_t m = 0; m < states_.size(); ++m) {
    State& s = states_[m];
    if (!s.leaving) continue;
    s.leaving = false;
    if (!s.wanted) continue;
    s.wanted = false;
    std::erase(queue_, m);
    begin_waiting(m, now, started);
  }
}

void ModelCache::clear() {
  for (State& s : states_) {
    s.resident = s.leaving = s.wanted = s.been_here = false;
    s.batches = 0;
    s.view.uses = 0;
    s.view.load = models_[s.view.model].load.seconds();
    s.waiting.clear();
  }
  queue_.clear();
  loading_ = none;
  used_ = 0;
}

void ModelCache::reset_counts() {
  for (State& s : states_) s.counts = {};
}

}  // namespace isthmus::devices
