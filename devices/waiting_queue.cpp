#include "devices/waiting_queue.hpp"

#include <algorithm>

namespace isthmus::devices {

// Of equally served clients the one with the smallest number.
std::uint32_t WaitingQueue::next_client() const {
  auto best = by_client_.begin();
  for (auto it = by_client_.begin(); it != by_client_.end(); ++it)
    if (counters_.at(it->first) < counters_.at(best->first)) best = it;
  return best->first;
}

std::uint32_t WaitingQueue::front() const {
  switch (order_) {
    case QueueOrder::priority: return ranked_.begin()->second;
    case QueueOrder::fair: return by_client_.at(next_client()).front().slot;
    case QueueOrder::arrival: break;
  }
  return arrivals_.front().slot;
}

void WaitingQueue::pop_front() {
  --size_;
  switch (order_) {
    case QueueOrder::arrival: arrivals_.pop_front(); return;
    case QueueOrder::priority: ranked_.erase(ranked_.begin()); return;
    case QueueOrder::fair: {
      last_client_ = next_client();
      auto& waiters = by_client_.at(last_client_);
      waiters.pop_front();
      if (waiters.empty()) by_client_.erase(last_client_);
      return;
    }
  }
}

void WaitingQueue::push(const Waiter& w) {
  ++size_;
  switch (order_) {
    case QueueOrder::arrival: arrivals_.push_back(w); return;
    case QueueOrder::priority: ranked_.emplace(rank_of(w), w.slot); return;
    case QueueOrder::fair: break;
  }
  // Who did not wait gets no credit for it.
  if (!by_client_.contains(w.client)) {
    const std::int64_t level =
        by_client_.empty() ? counters_[last_client_] : counters_.at(next_client());
    std::int64_t& counter = counters_[w.client];
    counter = std::max(counter, level);
  }
  by_client_[w.client].push_back(w);
}

void WaitingQueue::push_preempted(const Waiter& w) {
  ++size_;
  switch (order_) {
    case QueueOrder::arrival: arrivals_.push_front(w); return;
    case QueueOrder::priority: ranked_.emplace(rank_of(w), w.slot); return;
    case QueueOrder::fair: by_client_[w.client].push_front(w); return;
  }
}

bool WaitingQueue::erase(const Waiter& w) {
  const auto from = [&](std::deque<Waiter>& waiters) {
    const auto it = std::find_if(waiters.begin(), waiters.end(),
                                 [&](const Waiter& o) { return o.slot == w.slot; });
    if (it == waiters.end()) return false;
    waiters.erase(it);
    return true;
  };
  bool found = false;
  switch (order_) {
    case QueueOrder::arrival: found = from(arrivals_); break;
    case QueueOrder::priority: found = ranked_.erase(rank_of(w)) > 0; break;
    case QueueOrder::fair:
      if (const auto it = by_client_.find(w.client); it != by_client_.end()) {
        found = from(it->second);
        if (it->second.empty()) by_client_.erase(it);
      }
      break;
  }
  if (found) --size_;
  return found;
}

void WaitingQueue::clear() {
  arrivals_.clear();
  ranked_.clear();
  by_client_.clear();
  size_ = 0;
}

}  // namespace isthmus::devices
