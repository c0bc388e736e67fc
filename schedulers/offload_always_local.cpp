// Every request stays on the device that made it.
#include "schedulers/entry.hpp"
#include "schedulers/offload_estimates.hpp"

namespace isthmus::schedulers {

namespace {

class AlwaysLocal final : public OffloadPolicy {
 public:
  // Keeps to its tier even when nothing there is healthy: what happens then is the scenario's
  // fallback, not this policy's choice. Other tiers serve only where this one does not exist.
  OffloadDecision decide(const OffloadView& view) override {
    for (const Tier tier : {Tier::device, Tier::edge, Tier::cloud}) {
      if (const auto i = first_of_tier(view, tier)) return {*i, 0, "always local"};
    }
    return {0, 0, "always local"};
  }
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_always_local() {
  return {
      "always-local",
      "Runs every request on the device: the first healthy candidate of the lowest tier there is.",
      "baseline of reference case R01",
      "the device is slower than the arrival rate: its queue grows without bound.",
      "O(candidates)",
      {},
      make_policy<OffloadPolicy, AlwaysLocal>};
}

}  // namespace isthmus::schedulers
