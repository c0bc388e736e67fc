#include "devices/answer_cache.hpp"

#include <algorithm>
#include <cmath>

namespace isthmus::devices {

AnswerCache::AnswerCache(const AnswerCacheLimits& limits,
                         std::shared_ptr<schedulers::ReplacementPolicy> policy)
    : limits_(limits), policy_(std::move(policy)) {
  policy_->begin(std::isinf(limits_.entries) ? limits_.bytes : limits_.entries);
}

const Answer* AnswerCache::find(std::uint64_t key, Instant now) {
  expire(now);
  const auto it = by_key_.find(key);
  if (it == by_key_.end()) return nullptr;
  use(it->second, now);
  return &entries_[it->second].answer;
}

const std::vector<std::uint32_t>& AnswerCache::similar(std::uint64_t cluster, Instant now) {
  static const std::vector<std::uint32_t> none;
  expire(now);
  const auto it = by_cluster_.find(cluster);
  return it == by_cluster_.end() ? none : it->second;
}

void AnswerCache::use(std::uint32_t slot, Instant now) {
  policy_->use(slot);
  if (limits_.ttl == Duration::max() || !limits_.renewed) return;
  entries_[slot].expires = now + limits_.ttl;
  by_age_.move_to_front(slot);
}

void AnswerCache::write(const Answer& answer, Instant now) {
  expire(now);
  if (const auto it = by_key_.find(answer.key); it != by_key_.end()) {
    const std::uint32_t old = it->second;
    policy_->forget(old);
    drop(old);
  }
  if (answer.bytes > limits_.bytes || limits_.entries < 1) {
    ++counts_.refused;
    return;
  }
  while (static_cast<double>(by_key_.size()) + 1 > limits_.entries ||
         (bytes_ + answer.bytes > limits_.bytes && !by_key_.empty())) {
    drop(policy_->evict());
    ++counts_.evictions;
  }
  std::uint32_t slot = static_cast<std::uint32_t>(entries_.size());
  if (free_.empty()) {
    entries_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  entries_[slot] = {answer, now + limits_.ttl};
  by_key_.emplace(answer.key, slot);
  bytes_ += answer.bytes;
  if (limits_.ttl != Duration::max()) by_age_.push_front(slot);
  if (limits_.similar && answer.cluster != 0) by_cluster_[answer.cluster].push_back(slot);
  policy_->admit(slot, answer.key, std::isinf(limits_.entries) ? answer.bytes : 1.0);
  ++counts_.writes;
}

void AnswerCache::expire(Instant now) {
  while (!by_age_.empty() && entries_[by_age_.back()].expires <= now) {
    const std::uint32_t slot = by_age_.back();
    policy_->forget(slot);
    drop(slot);
    ++counts_.expired;
  }
}

// Out of everything but the policy.
void AnswerCache::drop(std::uint32_t slot) {
  const Answer& a = entries_[slot].answer;
  by_key_.erase(a.key);
  bytes_ = by_key_.empty() ? 0 : bytes_ - a.bytes;
  if (limits_.ttl != Duration::max()) by_age_.remove(slot);
  if (limits_.similar && a.cluster != 0) {
    const auto of = by_cluster_.find(a.cluster);
    std::erase(of->second, slot);
    if (of->second.empty()) by_cluster_.erase(of);
  }
  free_.push_back(slot);
}

void AnswerCache::clear() {
  for (const auto& [key, slot] : by_key_) {
    policy_->forget(slot);
    free_.push_back(slot);
  }
  // Slots are handed out in their own order, whatever the order of the hash table.
  std::sort(free_.begin(), free_.end(), std::greater<>());
  by_key_.clear();
  by_age_ = {};
  by_cluster_.clear();
  bytes_ = 0;
}

}  // namespace isthmus::devices
