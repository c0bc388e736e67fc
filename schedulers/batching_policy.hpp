// How many waiting requests form a batch now, or when to look again?
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "schedulers/policy.hpp"
#include "sim/core/time.hpp"

namespace isthmus::schedulers {

struct BatchingView {
  Instant now;
  std::uint32_t waiting = 0;           //!< requests in the queue, > 0
  Instant oldest;                      //!< when the first of them joined the queue
  std::uint32_t idle_slots = 1;        //!< execution slots that are free now, > 0
};

struct BatchingDecision {
  std::uint32_t take = 0;              //!< requests to run as one batch now; 0 = wait
  Instant look_again = Instant::never();  //!< when take == 0: decide again then, at the latest
};

//! Asked whenever a slot is free and requests wait: after arrivals, completions and look_again.
class BatchingPolicy {
 public:
  virtual ~BatchingPolicy() = default;
  virtual BatchingDecision decide(const BatchingView& view) = 0;
};

const std::vector<PolicyEntry<BatchingPolicy>>& batching_policies();

}  // namespace isthmus::schedulers
