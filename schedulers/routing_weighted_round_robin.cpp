// nginx's smooth weighted round robin.
#include <algorithm>
#include <optional>

#include "schedulers/entry.hpp"
#include "schedulers/routing_policy.hpp"
#include "schedulers/smooth_weights.hpp"

namespace isthmus::schedulers {

namespace {

class WeightedRoundRobin final : public RoutingPolicy {
 public:
  // Every replica gains its weight, the richest one is chosen (ties: the first) and pays the total:
  // weights 5, 1, 1 give a a b a c a a instead of a burst of five.
  std::size_t choose(const RoutingView& view) override {
    current_.align(view.replicas, view.partial);
    const bool equal = all_weightless(view.replicas);
    std::optional<std::size_t> best;
    double total = 0;
    for (std::size_t i = 0; i < view.replicas.size(); ++i) {
      const double share = share_of(view.replicas[i], equal);
      if (share <= 0) continue;
      const double gain = std::max(0.0, share - view.replicas[i].penalty);
      current_.at(i) += gain;
      total += gain;
      if (!best || current_.at(i) > current_.at(*best)) best = i;
    }
    current_.at(*best) -= total;
    return *best;
  }

 private:
  SmoothWeights current_;
};

}  // namespace

PolicyEntry<RoutingPolicy> routing_weighted_round_robin() {
  return {"weighted-round-robin",
          "Sends requests in proportion to the weights, spread as evenly as possible.",
          "nginx, ngx_http_upstream_round_robin.c (smooth weighted round robin)",
          "weights do not match real speeds: it never looks at the queues.",
          "O(replicas)",
          {},
          make_policy<RoutingPolicy, WeightedRoundRobin>};
}

}  // namespace isthmus::schedulers
