// The replicas in turn, by number.
#include <algorithm>

#include "schedulers/entry.hpp"
#include "schedulers/routing_policy.hpp"

namespace isthmus::schedulers {

namespace {

// Remembers the number served last rather than a position, so that the turn goes on where it was
// when replicas come and go.
class RoundRobin final : public RoutingPolicy {
 public:
  std::size_t choose(const RoutingView& view) override {
    const auto next = std::upper_bound(
        view.replicas.begin(), view.replicas.end(), last_,
        [](std::int64_t last, const ReplicaSignal& r) { return last < std::int64_t{r.replica}; });
    const std::size_t i =
        next == view.replicas.end() ? 0 : static_cast<std::size_t>(next - view.replicas.begin());
    last_ = view.replicas[i].replica;
    return i;
  }

 private:
  std::int64_t last_ = -1;
};

}  // namespace

PolicyEntry<RoutingPolicy> routing_round_robin() {
  return {"round-robin",
          "Sends requests to the replicas in turn, by number, whatever their weights.",
          "reference case R17",
          "replicas or requests differ much: slow replicas collect long queues.",
          "O(log replicas)",
          {},
          make_policy<RoutingPolicy, RoundRobin>};
}

}  // namespace isthmus::schedulers
