// The largest batch grows while batches meet their objective and shrinks when one does not.
#include <algorithm>

#include "schedulers/batching_policy.hpp"
#include "schedulers/entry.hpp"

namespace isthmus::schedulers {

namespace {

class Adaptive final : public BatchingPolicy {
 public:
  explicit Adaptive(const Parameters& p)
      : slo_(Duration::from_seconds(p.number("slo"))),
        delay_(Duration::from_seconds(p.number("max_queue_delay"))),
        most_(p.number("max_batch")),
        increase_(p.number("increase")),
        decrease_(p.number("decrease")),
        size_(std::min(most_, p.number("initial"))) {}

  BatchingDecision decide(const BatchingView& view) override {
    const std::uint32_t limit = largest();
    const Instant due = view.oldest + delay_;
    if (view.waiting < limit && view.now < due) return {0, due};
    return {std::min(view.waiting, limit)};
  }

  // Batches below the limit say nothing about a larger one.
  void observe(const BatchOutcome& b) override {
    if (b.took > slo_) size_ = std::max(1.0, size_ * decrease_);
    else if (b.size >= largest()) size_ = std::min(most_, size_ + increase_);
  }

 private:
  std::uint32_t largest() const { return static_cast<std::uint32_t>(size_); }

  Duration slo_, delay_;
  double most_, increase_, decrease_, size_;
};

}  // namespace

PolicyEntry<BatchingPolicy> batching_adaptive() {
  return {"adaptive",
          "Additive increase, multiplicative decrease: a full batch that ends within the objective "
          "makes the next ones larger, one that does not makes them smaller.",
          "Crankshaw et al., Clipper: A Low-Latency Online Prediction Serving System, NSDI 2017, "
          "section 4.3",
          "requests wait much longer than batches run: the objective is one of batches, not of requests.",
          "O(1)",
          {number_parameter("slo", Dimension::duration, 0.02, 1e-6, 3600,
                            "longest time that a batch may run; leave room for the time in the queue"),
           number_parameter("max_batch", Dimension::count, 1024, 1, 1e6, "never a larger batch"),
           number_parameter("initial", Dimension::count, 1, 1, 1e6, "largest batch at the start"),
           number_parameter("increase", Dimension::none, 1, 1e-3, 1e6,
                            "added to the largest batch after a full one in time"),
           number_parameter("decrease", Dimension::fraction, 0.9, 0.01, 0.999,
                            "the largest batch is multiplied by it after one that was late"),
           number_parameter("max_queue_delay", Dimension::duration, 0, 0, 3600,
                            "longest time that the oldest request waits for a full batch; 0 sends "
                            "what is there at once")},
          make_policy<BatchingPolicy, Adaptive>};
}

}  // namespace isthmus::schedulers
