// How many waiting requests form a batch now, and which, or when to look again?
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "schedulers/policy.hpp"
#include "sim/core/time.hpp"

namespace isthmus::schedulers {

//! A request in the queue, for policies that want to see each of them.
struct WaitingRequest {
  std::uint64_t tag = 0;               //!< the queue's name for it
  Instant since;                       //!< when it joined the queue
  Instant due = Instant::never();      //!< an answer is wanted until then
  Duration timeout;                    //!< its own limit of waiting; zero: none
  std::int32_t priority = 0;           //!< larger first
  std::uint32_t items = 1;             //!< inputs in it, > 0
  std::uint32_t shape = 0;             //!< requests of different shapes share no batch
  bool moved_back = false;             //!< a decision has moved it behind the others
};

struct BatchingView {
  Instant now;
  std::uint32_t waiting = 0;           //!< requests in the queue, > 0
  Instant oldest;                      //!< when the first of them joined the queue
  std::uint32_t idle_slots = 1;        //!< execution slots that are free now, > 0
  //! All that wait, in order of arrival, those that were moved back behind them. Empty for policies
  //! that do not want them.
  std::span<const WaitingRequest> requests = {};
  //! Estimated time of a batch of so many inputs, from the cost model; null where nobody wants it.
  const std::function<Duration(std::uint32_t)>* batch_time = nullptr;
};

//! Requests by their places in BatchingView::requests, no place twice.
struct BatchSelection {
  std::vector<std::uint32_t> taken;       //!< form the batch
  std::vector<std::uint32_t> dropped;     //!< are turned away, too late
  std::vector<std::uint32_t> moved_back;  //!< go to the end of the queue, in this order
};

struct BatchingDecision {
  std::uint32_t take = 0;              //!< requests to run as one batch now; 0 = wait
  Instant look_again = Instant::never();  //!< when take == 0: decide again then, at the latest
  //! Which requests; null: those that came first. `take` counts its `taken`. Belongs to the policy
  //! and holds until its next decision.
  const BatchSelection* selection = nullptr;
};

//! What became of a batch.
struct BatchOutcome {
  std::uint32_t size = 0;              //!< requests in it
  Duration took;                       //!< from its start to its end
};

//! Asked whenever a slot is free and requests wait: after arrivals, completions and look_again.
class BatchingPolicy {
 public:
  virtual ~BatchingPolicy() = default;
  virtual BatchingDecision decide(const BatchingView& view) = 0;
  //! False spares the queue BatchingView::requests, and the policy the two questions below.
  virtual bool wants_requests() const { return false; }
  //! False turns a request away (queue full). `waiting`: those who wait, as in a view.
  virtual bool admits(std::span<const WaitingRequest> /*waiting*/, const WaitingRequest&) {
    return true;
  }
  //! When a request that still waits is turned away.
  virtual Instant expires(const WaitingRequest&) const { return Instant::never(); }
  //! False spares the queue BatchingView::batch_time.
  virtual bool wants_batch_time() const { return false; }
  virtual void observe(const BatchOutcome&) {}
};

const std::vector<PolicyEntry<BatchingPolicy>>& batching_policies();

}  // namespace isthmus::schedulers
