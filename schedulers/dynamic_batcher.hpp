// Triton's dynamic batcher: what its configuration says.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "schedulers/batching_policy.hpp"

namespace isthmus::schedulers {

//! What holds in the queue of one priority level (Triton's ModelQueuePolicy).
struct QueueRule {
  bool delays = false;                 //!< at the timeout: behind the others, instead of away
  Duration timeout;                    //!< zero: none
  bool may_shorten = false;            //!< a request may ask for less (Triton: allow_timeout_override)
  std::uint32_t capacity = 0;          //!< zero: no limit
};

struct DynamicBatcher {
  //! Throws InputError for figures that contradict each other.
  explicit DynamicBatcher(const Parameters& parameters);

  //! True when requests differ by more than their age.
  bool has_queues() const;
  //! From 0, the first to be served; workloads' priorities are larger first, levels smaller.
  std::uint32_t level_of(const WaitingRequest& request) const;
  const QueueRule& rule_of(const WaitingRequest& request) const { return rules[level_of(request)]; }

  std::uint32_t max_batch = 1;
  Duration delay;
  std::vector<std::uint32_t> preferred;  //!< rising; {max_batch} as in Triton's normalized configuration
  std::vector<QueueRule> rules;          //!< by level
  std::uint32_t default_level = 0;
};

//! The dynamic batcher over queues by priority level, with their rules.
std::shared_ptr<BatchingPolicy> dynamic_queues(DynamicBatcher batcher);

}  // namespace isthmus::schedulers
