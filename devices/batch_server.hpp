// The queue and the execution slots of one replica that serves whole batches. Times are the world's
// business: this class only keeps who waits, who runs, and asks the batching policy.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "schedulers/batching_policy.hpp"
#include "sim/core/time.hpp"

namespace isthmus::devices {

//! First come, first served; batches are formed by a policy (null: one request at a time).
class BatchServer {
 public:
  //! `slots` >= 1 batches in service at once; `capacity` waiting requests at most.
  BatchServer(std::uint32_t slots, std::uint32_t capacity,
              std::shared_ptr<schedulers::BatchingPolicy> policy);

  //! Joins the queue; false when it is full.
  bool enqueue(std::uint64_t tag, Instant now);
  //! Leaves the queue (timeout, cancellation); false when the tag does not wait here.
  bool remove(std::uint64_t tag);
  //! True when a slot is free and somebody waits.
  bool can_start() const { return busy_ < slots_ && !queue_.empty(); }
  //! Asks the policy; moves the chosen requests to `batch` (emptied first) and takes a slot. An empty
  //! batch means: wait, and ask again at the returned date at the latest. Needs can_start().
  Instant form_batch(Instant now, std::vector<std::uint64_t>& batch);
  //! A batch of `size` ended: its slot is free.
  void finish(std::uint32_t size);
  //! Forgets everything that waits and frees all slots; `lost` gets the waiting tags.
  void clear(std::vector<std::uint64_t>& lost);

  std::uint32_t waiting() const { return static_cast<std::uint32_t>(queue_.size()); }
  //! Calls `f` with the tag of every waiting request, in order.
  template <class F>
  void for_each_waiting(F f) const {
    for (const Waiting& w : queue_) f(w.tag);
  }
  std::uint32_t busy_slots() const { return busy_; }
  std::uint32_t in_service() const { return in_service_; }
  std::uint32_t slots() const { return slots_; }

 private:
  struct Waiting {
    std::uint64_t tag;
    Instant since;
  };
  std::deque<Waiting> queue_;
  std::uint32_t slots_, capacity_, busy_ = 0, in_service_ = 0;
  std::shared_ptr<schedulers::BatchingPolicy> policy_;
};

}  // namespace isthmus::devices
