// A replica at random, in proportion to its weight.
#include "schedulers/entry.hpp"
#include "schedulers/routing_policy.hpp"
#include "schedulers/smooth_weights.hpp"

namespace isthmus::schedulers {

namespace {

class Random final : public RoutingPolicy {
 public:
  bool wants_outstanding() const override { return false; }
  std::size_t choose(const RoutingView& view) override {
    if (view.unweighted)
      return static_cast<std::size_t>(view.uniform * static_cast<double>(view.replicas.size()));
    const bool equal = all_weightless(view.replicas);
    double total = 0;
    for (const ReplicaSignal& r : view.replicas) total += share_of(r, equal);
    double left = view.uniform * total;
    std::size_t last = 0;
    for (std::size_t i = 0; i < view.replicas.size(); ++i) {
      const double share = share_of(view.replicas[i], equal);
      if (share <= 0) continue;
      last = i;
      left -= share;
      if (left < 0) return i;
    }
    return last;  // rounding left a crumb of the total
  }
};

}  // namespace

PolicyEntry<RoutingPolicy> routing_random() {
  return {"random",
          "Takes a replica at random, with probability in proportion to its weight.",
          "nginx, ngx_http_upstream_random_module.c; a Poisson stream splits into Poisson streams",
          "load is high: queues are as long as those of separate M/M/1 servers.",
          "O(replicas)",
          {},
          make_policy<RoutingPolicy, Random>};
}

}  // namespace isthmus::schedulers
