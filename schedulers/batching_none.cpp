// One request at a time.
#include "schedulers/batching_policy.hpp"
#include "schedulers/entry.hpp"

namespace isthmus::schedulers {

namespace {

class NoBatching final : public BatchingPolicy {
 public:
  BatchingDecision decide(const BatchingView&) override { return {1, Instant::never()}; }
};

}  // namespace

PolicyEntry<BatchingPolicy> batching_none() {
  return {"none",
          "Runs every request alone, as soon as a slot is free.",
          "baseline",
          "a batch takes little longer than one request, as on most GPUs.",
          "O(1)",
          {},
          make_policy<BatchingPolicy, NoBatching>};
}

}  // namespace isthmus::schedulers
