// Join the shortest queue.
#include "schedulers/entry.hpp"
#include "schedulers/least_loaded.hpp"
#include "schedulers/routing_policy.hpp"

namespace isthmus::schedulers {

namespace {

class LeastOutstanding final : public RoutingPolicy {
 public:
  std::size_t choose(const RoutingView& view) override {
    return least_outstanding(view.replicas);
  }
};

}  // namespace

PolicyEntry<RoutingPolicy> routing_least_outstanding() {
  return {
      "least-outstanding",
      "Takes the replica with the fewest outstanding requests, ignoring weights; ties go to the "
      "lowest number.",
      "join the shortest queue (Winston 1977)",
      "load is light: ties keep sending everything to the replicas with low numbers.",
      "O(replicas)",
      {},
      make_policy<RoutingPolicy, LeastOutstanding>};
}

}  // namespace isthmus::schedulers
