#include "devices/batch_server.hpp"

#include <algorithm>

#include "sim/core/errors.hpp"

namespace isthmus::devices {

BatchServer::BatchServer(std::uint32_t slots, std::uint32_t capacity,
                         std::shared_ptr<schedulers::BatchingPolicy> policy,
                         std::function<Duration(std::uint32_t)> batch_time)
    : wants_requests_(policy && policy->wants_requests()),
      slots_(slots),
      capacity_(capacity),
      policy_(std::move(policy)),
      batch_time_(std::move(batch_time)) {
  if (slots_ < 1) throw InputError("a batch server needs at least one slot");
}

// The capacity counts those who wait: whoever can be taken at once passes through an empty queue.
bool BatchServer::has_room() const {
  const bool passes = !policy_ && busy_ < slots_ && queue_.empty();
  return passes || waiting() < capacity_;
}

bool BatchServer::enqueue(std::uint64_t tag, Instant now) {
  if (!has_room()) return false;
  queue_.push_back({tag, now});
  return true;
}

bool BatchServer::enqueue(const schedulers::WaitingRequest& r) {
  if (!has_room() || !policy_->admits(requests_, r)) return false;
  requests_.push_back(r);
  return true;
}

bool BatchServer::remove(std::uint64_t tag) {
  const auto has_tag = [tag](const auto& w) { return w.tag == tag; };
  if (wants_requests_) {
    const auto it = std::find_if(requests_.begin(), requests_.end(), has_tag);
    if (it == requests_.end()) return false;
    requests_.erase(it);
    return true;
  }
  const auto it = std::find_if(queue_.begin(), queue_.end(), has_tag);
  if (it == queue_.end()) return false;
  queue_.erase(it);
  return true;
}

Instant BatchServer::form_batch(Instant now, std::vector<std::uint64_t>& batch) {
  batch.clear();
  dropped_.clear();
  if (!can_start()) throw InternalError("batch server: nothing to start");
  std::uint32_t take = 1;
  if (policy_) {
    schedulers::BatchingView view{
        now, waiting(), wants_requests_ ? requests_.front().since : queue_.front().since,
        slots_ - busy_};
    if (wants_requests_) view.requests = requests_;
    if (batch_time_) view.batch_time = &batch_time_;
    const schedulers::BatchingDecision d = policy_->decide(view);
    if (d.selection) {
      if (!wants_requests_ || d.selection->taken.size() != d.take)
        throw Error("batching policy: selects others than it takes");
      follow(*d.selection, batch);
    }
    if (d.take == 0) {
      if (d.look_again <= now) throw Error("batching policy: must take requests or name a later date");
      return d.look_again;
    }
    take = d.selection ? 0 : std::min(d.take, waiting());
  }
  if (wants_requests_) {
    for (std::uint32_t i = 0; i < take; ++i) batch.push_back(requests_[i].tag);
    requests_.erase(requests_.begin(), requests_.begin() + take);
  } else {
    for (std::uint32_t i = 0; i < take; ++i) {
      batch.push_back(queue_.front().tag);
      queue_.pop_front();
    }
  }
  ++busy_;
  in_service_ += static_cast<std::uint32_t>(batch.size());
  return Instant::never();
}

// Moves the requests that the policy names to where it wants them.
void BatchServer::follow(const schedulers::BatchSelection& s, std::vector<std::uint64_t>& batch) {
  leaves_.assign(requests_.size(), false);
  const auto leave = [&](std::uint32_t place) -> schedulers::WaitingRequest& {
    if (place >= requests_.size() || leaves_[place])
      throw Error("batching policy: names a request that does not wait, or names it twice");
    leaves_[place] = true;
    return requests_[place];
  };
  moved_.clear();
  for (const std::uint32_t place : s.taken) batch.push_back(leave(place).tag);
  for (const std::uint32_t place : s.dropped) dropped_.push_back(leave(place).tag);
  for (const std::uint32_t place : s.moved_back) {
    moved_.push_back(leave(place));
    moved_.back().moved_back = true;
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < requests_.size(); ++i)
    if (!leaves_[i]) requests_[kept++] = requests_[i];
  requests_.resize(kept);
  requests_.insert(requests_.end(), moved_.begin(), moved_.end());
}

void BatchServer::finish(std::uint32_t size, Duration took) {
  abandon(size);
  if (policy_) policy_->observe({size, took});
}

void BatchServer::abandon(std::uint32_t size) {
  --busy_;
  in_service_ -= size;
}

void BatchServer::clear(std::vector<std::uint64_t>& lost) {
  for_each_waiting([&](std::uint64_t tag) { lost.push_back(tag); });
  queue_.clear();
  requests_.clear();
  busy_ = in_service_ = 0;
}

}  // namespace isthmus::devices
