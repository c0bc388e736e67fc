// The machine on which the least stays free.
#include <utility>

#include "schedulers/entry.hpp"
#include "schedulers/least.hpp"
#include "schedulers/placement_policy.hpp"

namespace isthmus::schedulers {

namespace {

class BestFit final : public PlacementPolicy {
 public:
  std::size_t place(const PlacementView& view) override {
    return least(view.sites, [&](const PlacementSite& s) {
      // Of what limits it: units, then memory, in bytes or units as they are.
      return std::pair(s.free_accelerators - view.demand.accelerators,
                       view.demand.memory > 0 ? s.free_memory - view.demand.memory : 0.0);
    });
  }
};

}  // namespace

PolicyEntry<PlacementPolicy> placement_best_fit() {
  return {"best-fit",
          "The machine on which the fewest accelerators, then the least memory, stay free.",
          "Johnson: Near-optimal bin packing algorithms, MIT 1973",
          "replicas come and go: leftovers too small for anything pile up.",
          "O(machines)",
          {},
          make_policy<PlacementPolicy, BestFit>};
}

}  // namespace isthmus::schedulers
