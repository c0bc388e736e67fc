// The machine whose scarcest resource is taken least.
#include "schedulers/entry.hpp"
#include "schedulers/least.hpp"
#include "schedulers/placement_policy.hpp"

namespace isthmus::schedulers {

namespace {

class DominantResource final : public PlacementPolicy {
 public:
  std::size_t place(const PlacementView& view) override {
    return least(view.sites,
                 [&](const PlacementSite& s) { return dominant_share(s, view.demand); });
  }
};

}  // namespace

PolicyEntry<PlacementPolicy> placement_dominant_resource() {
  return {"dominant-resource",
          "The machine on which the share taken of the scarcest resource stays smallest.",
          "Ghodsi et al.: Dominant resource fairness, NSDI 2011 (dominant share), as a balance over machines",
          "all replicas take the same resource: it is then least-allocated.",
          "O(machines)",
          {},
          make_policy<PlacementPolicy, DominantResource>};
}

}  // namespace isthmus::schedulers
