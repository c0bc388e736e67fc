// Full batches only.
#include "schedulers/batching_policy.hpp"
#include "schedulers/entry.hpp"

namespace isthmus::schedulers {

namespace {

class FixedBatch final : public BatchingPolicy {
 public:
  explicit FixedBatch(const Parameters& p)
      : size_(static_cast<std::uint32_t>(p.number("max_batch"))) {}

  BatchingDecision decide(const BatchingView& view) override {
    return {view.waiting >= size_ ? size_ : 0, Instant::never()};
  }

 private:
  std::uint32_t size_;
};

}  // namespace

PolicyEntry<BatchingPolicy> batching_fixed() {
  return {"fixed",
          "Waits until max_batch requests are there and runs exactly so many.",
          "batch formation without a timeout; mean wait (max_batch - 1) / (2 rate) under Poisson "
          "arrivals",
          "requests may stop coming: the last incomplete batch never runs.",
          "O(1)",
          {number_parameter("max_batch", Dimension::count, 8, 1, 1e6, "requests in every batch")},
          make_policy<BatchingPolicy, FixedBatch>};
}

}  // namespace isthmus::schedulers
