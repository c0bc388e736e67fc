// The machine that is taken most.
#include "schedulers/entry.hpp"
#include "schedulers/least.hpp"
#include "schedulers/placement_policy.hpp"

namespace isthmus::schedulers {

namespace {

class MostAllocated final : public PlacementPolicy {
 public:
  std::size_t place(const PlacementView& view) override {
    return least(view.sites,
                 [&](const PlacementSite& s) { return -mean_taken_share(s, view.demand); });
  }
};

}  // namespace

PolicyEntry<PlacementPolicy> placement_most_allocated() {
  return {"most-allocated",
          "Bin packing: the machine of which the largest share, the mean over accelerators and memory, is taken with the replica.",
          "Kubernetes, NodeResourcesFit with MostAllocated",
          "neighbours disturb each other, or one failure must not take many replicas.",
          "O(machines)",
          {},
          make_policy<PlacementPolicy, MostAllocated>};
}

}  // namespace isthmus::schedulers
