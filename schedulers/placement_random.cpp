// A machine by chance.
#include "schedulers/entry.hpp"
#include "schedulers/pick.hpp"
#include "schedulers/placement_policy.hpp"

namespace isthmus::schedulers {

namespace {

class Random final : public PlacementPolicy {
 public:
  std::size_t place(const PlacementView& view) override {
    return pick_uniform(view.uniform, view.sites.size());
  }
};

}  // namespace

PolicyEntry<PlacementPolicy> placement_random() {
  return {"random",
          "Any machine that has room, at random.",
          "baseline",
          "anything is known about the machines.",
          "O(machines)",
          {},
          make_policy<PlacementPolicy, Random>};
}

}  // namespace isthmus::schedulers
