// The candidate that costs the client's battery least.
#include <utility>

#include "schedulers/entry.hpp"
#include "schedulers/offload_estimates.hpp"

namespace isthmus::schedulers {

namespace {

class MinEnergy final : public OffloadPolicy {
 public:
  OffloadDecision decide(const OffloadView& view) override {
    const std::size_t i = smallest(view, [](const OffloadCandidate& c) {
      return std::pair(c.client_energy, estimated_latency(c));
    });
    return {i, view.candidates[i].client_energy, "lowest client energy"};
  }
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_min_energy() {
  return {
      "min-energy",
      "Takes the candidate that costs the client least energy; equal ones by estimated latency.",
      "greedy rule of the mobile offloading literature, e.g. Kumar and Lu 2010",
      "latency matters: a cheap upload to a saturated service still looks best.",
      "O(candidates)",
      {},
      make_policy<OffloadPolicy, MinEnergy>};
}

}  // namespace isthmus::schedulers
