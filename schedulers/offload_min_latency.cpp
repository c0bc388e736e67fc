// The candidate that should answer first.
#include "schedulers/entry.hpp"
#include "schedulers/offload_estimates.hpp"

namespace isthmus::schedulers {

namespace {

class MinLatency final : public OffloadPolicy {
 public:
  OffloadDecision decide(const OffloadView& view) override {
    const std::size_t i = smallest(view, estimated_latency);
    return {i, estimated_latency(view.candidates[i]), "lowest estimated latency"};
  }
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_min_latency() {
  return {"min-latency",
          "Takes the candidate with the lowest estimated latency: network, queue and service.",
          "greedy rule; the estimate is documented in schedulers/offload_estimates.hpp",
          "load signals are old: many clients then pile onto the same candidate at once.",
          "O(candidates)",
          {},
          make_policy<OffloadPolicy, MinLatency>};
}

}  // namespace isthmus::schedulers
