// The cheapest machine.
#include <tuple>

#include "schedulers/entry.hpp"
#include "schedulers/least.hpp"
#include "schedulers/placement_policy.hpp"

namespace isthmus::schedulers {

namespace {

class LeastCost final : public PlacementPolicy {
 public:
  std::size_t place(const PlacementView& view) override {
    return least(view.sites, [&](const PlacementSite& s) {
      return std::tuple(s.replicas == 0 ? s.price : 0.0, s.replica_price, s.free_accelerators);
    });
  }
};

}  // namespace

PolicyEntry<PlacementPolicy> placement_least_cost() {
  return {"least-cost",
          "The machine that adds least to the bill: one that is in use already, else the cheapest; among these the lowest price of the share that the replica takes.",
          "cost-aware placement of autoscaler expanders (Kubernetes cluster-autoscaler, price)",
          "cheap machines are slow, and requests have a deadline.",
          "O(machines)",
          {},
          make_policy<PlacementPolicy, LeastCost>};
}

}  // namespace isthmus::schedulers
