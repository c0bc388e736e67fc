// A full batch, or what is there when the oldest request has waited long enough.
#include <algorithm>

#include "schedulers/batching_policy.hpp"
#include "schedulers/entry.hpp"

namespace isthmus::schedulers {

namespace {

class SizeOrTimeout final : public BatchingPolicy {
 public:
  explicit SizeOrTimeout(const Parameters& p)
      : size_(static_cast<std::uint32_t>(p.number("max_batch"))),
        delay_(Duration::from_seconds(p.number("max_queue_delay"))) {}

  BatchingDecision decide(const BatchingView& view) override {
    const Instant due = view.oldest + delay_;
    if (view.waiting >= size_ || view.now >= due)
      return {std::min(view.waiting, size_), Instant::never()};
    return {0, due};
  }

 private:
  std::uint32_t size_;
  Duration delay_;
};

}  // namespace

PolicyEntry<BatchingPolicy> batching_timeout() {
  return {"timeout",
          "Runs max_batch requests as soon as they are there, or fewer once the oldest has waited "
          "max_queue_delay.",
          "TensorFlow Serving, BasicBatchScheduler (max_batch_size, batch_timeout_micros)",
          "load is light: most requests wait the whole delay for company that does not come.",
          "O(1)",
          {number_parameter("max_batch", Dimension::count, 8, 1, 1e6, "requests in a full batch"),
           number_parameter("max_queue_delay", Dimension::duration, 0.005, 0, 3600,
                            "longest time that the oldest request waits for others; keep it well "
                            "below the SLO")},
          make_policy<BatchingPolicy, SizeOrTimeout>};
}

}  // namespace isthmus::schedulers
