// The machine on which the most stays free.
#include <utility>

#include "schedulers/entry.hpp"
#include "schedulers/least.hpp"
#include "schedulers/placement_policy.hpp"

namespace isthmus::schedulers {

namespace {

class WorstFit final : public PlacementPolicy {
 public:
  std::size_t place(const PlacementView& view) override {
    return least(view.sites, [&](const PlacementSite& s) {
      return std::pair(view.demand.accelerators - s.free_accelerators,
                       view.demand.memory > 0 ? view.demand.memory - s.free_memory : 0.0);
    });
  }
};

}  // namespace

PolicyEntry<PlacementPolicy> placement_worst_fit() {
  return {"worst-fit",
          "The machine on which the most accelerators, then the most memory, stay free.",
          "Johnson: Near-optimal bin packing algorithms, MIT 1973",
          "large replicas come later: every machine is a little taken by then.",
          "O(machines)",
          {},
          make_policy<PlacementPolicy, WorstFit>};
}

}  // namespace isthmus::schedulers
