// Triton's dynamic batcher, for requests that differ in nothing but their age.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "schedulers/batching_policy.hpp"
#include "schedulers/dynamic_batcher.hpp"
#include "schedulers/entry.hpp"

namespace isthmus::schedulers {

namespace {

// DynamicBatchScheduler::GetDynamicBatch for requests of batch size 1 and one shape:
//   oldest below the delay, or no delay: the largest preferred size that can be formed, at once;
//   oldest at the delay: everything that fits, preferred or not;
//   no preferred size can be formed: wait for the delay, or with no delay send what is there.
class Dynamic final : public BatchingPolicy {
 public:
  explicit Dynamic(DynamicBatcher batcher) : b_(std::move(batcher)) {}

  BatchingDecision decide(const BatchingView& view) override {
    const std::uint32_t pending = std::min(view.waiting, b_.max_batch);
    const Instant due = view.oldest + b_.delay;
    const bool has_delay = b_.delay > Duration::zero();
    const bool overdue = has_delay && view.now >= due;
    if (!overdue) {
      const auto above = std::upper_bound(b_.preferred.begin(), b_.preferred.end(), pending);
      if (above != b_.preferred.begin()) return {*(above - 1)};
    }
    if (overdue || !has_delay) return {pending};
    return {0, due};
  }

 private:
  DynamicBatcher b_;
};

std::shared_ptr<BatchingPolicy> make_dynamic(const Parameters& parameters) {
  DynamicBatcher batcher(parameters);
  if (batcher.has_queues()) return dynamic_queues(std::move(batcher));
  return std::make_shared<Dynamic>(std::move(batcher));
}

ParameterSpec per_level(const char* name, Dimension dimension, double max, const char* help) {
  return list_parameter(name, dimension, 0, max, help);
}

}  // namespace

PolicyEntry<BatchingPolicy> batching_dynamic() {
  return {"dynamic",
          "Forms the largest preferred batch that the queue allows; else waits until the oldest "
          "request has waited max_queue_delay and sends what is there.",
          "NVIDIA Triton Inference Server, dynamic batcher (dynamic_batch_scheduler.cc) and its queue "
          "policies (scheduler_utils.cc)",
          "preferred sizes are not really faster: they only make requests wait.",
          "O(log preferred sizes); with queue policies O(waiting)",
          {number_parameter("max_batch", Dimension::count, 8, 1, 1e6, "largest batch"),
           number_parameter("max_queue_delay", Dimension::duration, 0, 0, 3600,
                            "longest time that the oldest request waits for a preferred size; 0 "
                            "sends what is there at once"),
           list_parameter("preferred", Dimension::count, 1, 1e6,
                          "preferred batch sizes, each at most max_batch; empty: max_batch only"),
           number_parameter("priority_levels", Dimension::count, 0, 0, 1000,
                            "queues, the first before the second and so on; 0: one for all"),
           number_parameter("default_priority_level", Dimension::count, 0, 0, 1000,
                            "queue of workloads of priority 0; those of priority 1 are in the one before "
                            "it; needed with levels"),
           text_parameter("timeout_action", "reject", {"reject", "delay"},
                          "what happens to a request that has waited too long: it is turned away, or "
                          "waits behind the others of its level"),
           number_parameter("default_timeout", Dimension::duration, 0, 0, 1e6,
                            "longest time in the queue; 0: no limit"),
           number_parameter("allow_timeout_override", Dimension::count, 0, 0, 1,
                            "1: a request may ask for a shorter limit than default_timeout (its "
                            "queue_timeout)"),
           number_parameter("max_queue_size", Dimension::count, 0, 0, 1e9,
                            "waiting requests of a level, one more is turned away; 0: no limit"),
           per_level("level_delays", Dimension::count, 1,
                     "per level instead of timeout_action: 0 reject, 1 delay"),
           per_level("level_timeout", Dimension::duration, 1e6, "per level instead of default_timeout"),
           per_level("level_override", Dimension::count, 1,
                     "per level instead of allow_timeout_override"),
           per_level("level_queue_size", Dimension::count, 1e9,
                     "per level instead of max_queue_size")},
          make_dynamic};
}

}  // namespace isthmus::schedulers
