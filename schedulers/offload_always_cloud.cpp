// Every request goes to the cloud tier.
#include "schedulers/entry.hpp"
#include "schedulers/offload_estimates.hpp"

namespace isthmus::schedulers {

namespace {

class AlwaysCloud final : public OffloadPolicy {
 public:
  // Keeps to its tier even when nothing there is healthy: what happens then is the scenario's
  // fallback, not this policy's choice. Other tiers serve only where this one does not exist.
  OffloadDecision decide(const OffloadView& view) override {
    for (const Tier tier : {Tier::cloud, Tier::edge, Tier::device}) {
      if (const auto i = last_of_tier(view, tier)) return {*i, 0, "always cloud"};
    }
    return {0, 0, "always cloud"};
  }
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_always_cloud() {
  return {"always-cloud",
          "Runs every request on the last healthy cloud candidate; on the edge, then the device, "
          "where there is no cloud.",
          "baseline of reference case R01",
          "the network is slow or goes away, or every request is paid for.",
          "O(candidates)",
          {},
          make_policy<OffloadPolicy, AlwaysCloud>};
}

}  // namespace isthmus::schedulers
