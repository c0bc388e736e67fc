// The first machine.
#include "schedulers/entry.hpp"
#include "schedulers/placement_policy.hpp"

namespace isthmus::schedulers {

namespace {

class FirstFit final : public PlacementPolicy {
 public:
  std::size_t place(const PlacementView& view) override {
    static_cast<void>(view);
    return 0;
  }
};

}  // namespace

PolicyEntry<PlacementPolicy> placement_first_fit() {
  return {"first-fit",
          "The first machine that has room, in the order of the scenario.",
          "Johnson: Near-optimal bin packing algorithms, MIT 1973",
          "machines differ in price or failures: it fills the first ones whatever they cost.",
          "O(machines)",
          {},
          make_policy<PlacementPolicy, FirstFit>};
}

}  // namespace isthmus::schedulers
