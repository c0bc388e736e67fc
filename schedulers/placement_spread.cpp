// The machine with the fewest replicas of the service, then of all.
#include <tuple>

#include "schedulers/entry.hpp"
#include "schedulers/least.hpp"
#include "schedulers/placement_policy.hpp"

namespace isthmus::schedulers {

namespace {

class Spread final : public PlacementPolicy {
 public:
  std::size_t place(const PlacementView& view) override {
    return least(view.sites, [&](const PlacementSite& s) {
      return std::tuple(s.own, s.replicas, -s.free_accelerators);
    });
  }
};

}  // namespace

PolicyEntry<PlacementPolicy> placement_spread() {
  return {"spread",
          "The machine with the fewest replicas of the same service, then the fewest of all services.",
          "Kubernetes, podtopologyspread with default constraints; Docker Swarm, spread",
          "machines are paid only while they are used, or large replicas come later.",
          "O(machines)",
          {},
          make_policy<PlacementPolicy, Spread>};
}

}  // namespace isthmus::schedulers
