// Every request goes to the edge tier.
#include "schedulers/entry.hpp"
#include "schedulers/offload_estimates.hpp"

namespace isthmus::schedulers {

namespace {

class AlwaysEdge final : public OffloadPolicy {
 public:
  // Keeps to its tier even when nothing there is healthy: what happens then is the scenario's
  // fallback, not this policy's choice. Other tiers serve only where this one does not exist.
  OffloadDecision decide(const OffloadView& view) override {
    for (const Tier tier : {Tier::edge, Tier::cloud, Tier::device}) {
      if (const auto i = first_of_tier(view, tier)) return {*i, 0, "always edge"};
    }
    return {0, 0, "always edge"};
  }
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_always_edge() {
  return {"always-edge",
          "Runs every request on the first healthy edge candidate; on the cloud, then the device, "
          "where there is no edge.",
          "baseline of reference case R01",
          "the edge has little capacity or the requests need the large model.",
          "O(candidates)",
          {},
          make_policy<OffloadPolicy, AlwaysEdge>};
}

}  // namespace isthmus::schedulers
