// The queue and the execution slots of one replica that serves whole batches. Times are the world's
// business: this class only keeps who waits, who runs, and asks the batching policy.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "schedulers/batching_policy.hpp"
#include "sim/core/time.hpp"

namespace isthmus::devices {

//! Batches are formed by a policy (null: one request at a time), first come, first served unless the
//! policy chooses.
class BatchServer {
 public:
  //! `slots` >= 1 batches in service at once; `capacity` waiting requests at most. `batch_time` is for
  //! policies that want it.
  BatchServer(std::uint32_t slots, std::uint32_t capacity,
              std::shared_ptr<schedulers::BatchingPolicy> policy,
              std::function<Duration(std::uint32_t)> batch_time = nullptr);

  //! True when the policy wants to see each request: then they join by their description.
  bool wants_requests() const { return wants_requests_; }
  //! Joins the queue; false when it is full.
  bool enqueue(std::uint64_t tag, Instant now);
  bool enqueue(const schedulers::WaitingRequest& request);
  //! When the policy turns a request away that still waits.
  Instant expires(const schedulers::WaitingRequest& r) const { return policy_->expires(r); }
  //! Leaves the queue (timeout, cancellation); false when the tag does not wait here.
  bool remove(std::uint64_t tag);
  //! True when a slot is free and somebody waits.
  bool can_start() const { return busy_ < slots_ && waiting() > 0; }
  //! Asks the policy; moves the chosen requests to `batch` (emptied first) and takes a slot. An empty
  //! batch means: wait, and ask again at the returned date at the latest. Needs can_start().
  Instant form_batch(Instant now, std::vector<std::uint64_t>& batch);
  //! Those whom the policy turned away in the last form_batch(); they have left the queue.
  const std::vector<std::uint64_t>& dropped() const { return dropped_; }
  //! A batch of `size` ended after `took`: its slot is free.
  void finish(std::uint32_t size, Duration took = Duration::zero());
  //! Frees the slot of a batch of `size` that was stopped.
  void abandon(std::uint32_t size);
  //! Forgets everything that waits and frees all slots; `lost` gets the waiting tags.
  void clear(std::vector<std::uint64_t>& lost);

  std::uint32_t waiting() const {
    return static_cast<std::uint32_t>(wants_requests_ ? requests_.size() : queue_.size());
  }
  //! Calls `f` with the tag of every waiting request, in order.
  template <class F>
  void for_each_waiting(F f) const {
    for (const Waiting& w : queue_) f(w.tag);
    for (const schedulers::WaitingRequest& r : requests_) f(r.tag);
  }
  std::uint32_t busy_slots() const { return busy_; }
  std::uint32_t in_service() const { return in_service_; }
  std::uint32_t slots() const { return slots_; }

 private:
  bool has_room() const;
  void follow(const schedulers::BatchSelection& selection, std::vector<std::uint64_t>& batch);

  struct Waiting {
    std::uint64_t tag;
    Instant since;
  };
  // One of both is used, by wants_requests().
  std::deque<Waiting> queue_;
  std::vector<schedulers::WaitingRequest> requests_;
  bool wants_requests_ = false;
  std::uint32_t slots_, capacity_, busy_ = 0, in_service_ = 0;
  std::shared_ptr<schedulers::BatchingPolicy> policy_;
  std::function<Duration(std::uint32_t)> batch_time_;
  std::vector<std::uint64_t> dropped_;
  std::vector<schedulers::WaitingRequest> moved_;  // scratch
  std::vector<bool> leaves_;                       // scratch
};

}  // namespace isthmus::devices
