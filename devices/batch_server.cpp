#include "devices/batch_server.hpp"

#include <algorithm>

#include "sim/core/errors.hpp"

namespace isthmus::devices {

BatchServer::BatchServer(std::uint32_t slots, std::uint32_t capacity,
                         std::shared_ptr<schedulers::BatchingPolicy> policy)
    : slots_(slots), capacity_(capacity), policy_(std::move(policy)) {
  if (slots_ < 1) throw InputError("a batch server needs at least one slot");
}

bool BatchServer::enqueue(std::uint64_t tag, Instant now) {
  // The capacity counts those who wait: whoever can be taken at once passes through an empty queue.
  const bool passes = !policy_ && busy_ < slots_ && queue_.empty();
  if (!passes && queue_.size() >= capacity_) return false;
  queue_.push_back({tag, now});
  return true;
}

bool BatchServer::remove(std::uint64_t tag) {
  const auto it = std::find_if(queue_.begin(), queue_.end(),
                               [tag](const Waiting& w) { return w.tag == tag; });
  if (it == queue_.end()) return false;
  queue_.erase(it);
  return true;
}

Instant BatchServer::form_batch(Instant now, std::vector<std::uint64_t>& batch) {
  batch.clear();
  if (!can_start()) throw InternalError("batch server: nothing to start");
  std::uint32_t take = 1;
  if (policy_) {
    const schedulers::BatchingView view{now, waiting(), queue_.front().since, slots_ - busy_};
    const schedulers::BatchingDecision d = policy_->decide(view);
    if (d.take == 0) {
      if (d.look_again <= now) throw Error("batching policy: must take requests or name a later date");
      return d.look_again;
    }
    take = std::min(d.take, waiting());
  }
  for (std::uint32_t i = 0; i < take; ++i) {
    batch.push_back(queue_.front().tag);
    queue_.pop_front();
  }
  ++busy_;
  in_service_ += take;
  return Instant::never();
}

void BatchServer::finish(std::uint32_t size) {
  --busy_;
  in_service_ -= size;
}

void BatchServer::clear(std::vector<std::uint64_t>& lost) {
  for (const Waiting& w : queue_) lost.push_back(w.tag);
  queue_.clear();
  busy_ = in_service_ = 0;
}

}  // namespace isthmus::devices
