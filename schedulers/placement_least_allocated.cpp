// The machine that is taken least.
#include "schedulers/entry.hpp"
#include "schedulers/least.hpp"
#include "schedulers/placement_policy.hpp"

namespace isthmus::schedulers {

namespace {

class LeastAllocated final : public PlacementPolicy {
 public:
  std::size_t place(const PlacementView& view) override {
    return least(view.sites,
                 [&](const PlacementSite& s) { return mean_taken_share(s, view.demand); });
  }
};

}  // namespace

PolicyEntry<PlacementPolicy> placement_least_allocated() {
  return {"least-allocated",
          "The machine of which the smallest share, the mean over accelerators and memory, is taken with the replica.",
          "Kubernetes, NodeResourcesFit with LeastAllocated (its default)",
          "machines are paid only while they are used, or large replicas come later.",
          "O(machines)",
          {},
          make_policy<PlacementPolicy, LeastAllocated>};
}

}  // namespace isthmus::schedulers
