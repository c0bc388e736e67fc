// Whatever waits, up to a maximum, the moment a slot is free.
#include <algorithm>

#include "schedulers/batching_policy.hpp"
#include "schedulers/entry.hpp"

namespace isthmus::schedulers {

namespace {

class Greedy final : public BatchingPolicy {
 public:
  explicit Greedy(const Parameters& p) : size_(static_cast<std::uint32_t>(p.number("max_batch"))) {}

  BatchingDecision decide(const BatchingView& view) override {
    return {std::min(view.waiting, size_), Instant::never()};
  }

 private:
  std::uint32_t size_;
};

}  // namespace

PolicyEntry<BatchingPolicy> batching_greedy() {
  return {"greedy",
          "Runs all waiting requests, at most max_batch, as soon as a slot is free; never waits.",
          "Inoue, Performance Evaluation 147 (2021), arXiv:1912.06322",
          "a batch of two costs about twice a batch of one: later requests wait for nothing.",
          "O(1)",
          {number_parameter("max_batch", Dimension::count, 8, 1, 4294967295.0,
                            "largest batch; 4294967295 means no limit")},
          make_policy<BatchingPolicy, Greedy>};
}

}  // namespace isthmus::schedulers
