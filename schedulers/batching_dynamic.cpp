// Triton's dynamic batcher.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "schedulers/batching_policy.hpp"
#include "schedulers/entry.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

// DynamicBatchScheduler::GetDynamicBatch for requests of batch size 1 and one shape:
//   oldest below the delay, or no delay: the largest preferred size that can be formed, at once;
//   oldest at the delay: everything that fits, preferred or not;
//   no preferred size can be formed: wait for the delay, or with no delay send what is there.
// An empty preferred list stands for {max_batch}, as in Triton's normalized configuration.
class Dynamic final : public BatchingPolicy {
 public:
  explicit Dynamic(const Parameters& p)
      : size_(static_cast<std::uint32_t>(p.number("max_batch"))),
        delay_(Duration::from_seconds(p.number("max_queue_delay"))) {
    for (const double b : p.list("preferred")) preferred_.push_back(static_cast<std::uint32_t>(b));
    if (preferred_.empty()) preferred_.push_back(size_);
    std::sort(preferred_.begin(), preferred_.end());
    if (preferred_.back() > size_)
      throw InputError("parameter \"preferred\" holds a size above max_batch");
  }

  BatchingDecision decide(const BatchingView& view) override {
    const std::uint32_t pending = std::min(view.waiting, size_);
    const Instant due = view.oldest + delay_;
    const bool has_delay = delay_ > Duration::zero();
    const bool overdue = has_delay && view.now >= due;
    if (!overdue) {
      const auto above = std::upper_bound(preferred_.begin(), preferred_.end(), pending);
      if (above != preferred_.begin()) return {*(above - 1), Instant::never()};
    }
    if (overdue || !has_delay) return {pending, Instant::never()};
    return {0, due};
  }

 private:
  std::uint32_t size_;
  Duration delay_;
  std::vector<std::uint32_t> preferred_;
};

}  // namespace

PolicyEntry<BatchingPolicy> batching_dynamic() {
  return {"dynamic",
          "Forms the largest preferred batch that the queue allows; else waits until the oldest "
          "request has waited max_queue_delay and sends what is there.",
          "NVIDIA Triton Inference Server, dynamic batcher (dynamic_batch_scheduler.cc)",
          "preferred sizes are not really faster: they only make requests wait.",
          "O(log preferred sizes)",
          {number_parameter("max_batch", Dimension::count, 8, 1, 1e6, "largest batch"),
           number_parameter("max_queue_delay", Dimension::duration, 0, 0, 3600,
                            "longest time that the oldest request waits for a preferred size; 0 "
                            "sends what is there at once"),
           list_parameter("preferred", Dimension::count, 1, 1e6,
                          "preferred batch sizes, each at most max_batch; empty: max_batch only")},
          make_policy<BatchingPolicy, Dynamic>};
}

}  // namespace isthmus::schedulers
