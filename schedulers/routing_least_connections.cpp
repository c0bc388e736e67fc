// nginx's least_conn: fewest outstanding requests per weight.
#include <algorithm>
#include <optional>

#include "schedulers/entry.hpp"
#include "schedulers/routing_policy.hpp"
#include "schedulers/smooth_weights.hpp"

namespace isthmus::schedulers {

namespace {

class LeastConnections final : public RoutingPolicy {
 public:
  std::size_t choose(const RoutingView& view) override {
    current_.align(view.replicas, view.partial);
    const bool equal = all_weightless(view.replicas);
    const auto share = [&](std::size_t i) { return share_of(view.replicas[i], equal); };
    const auto outstanding = [&](std::size_t i) {
      return static_cast<double>(view.replicas[i].outstanding);
    };

    // outstanding / weight is compared crosswise, as nginx does, so that ties are exact.
    std::optional<std::size_t> least;
    bool tied = false;
    for (std::size_t i = 0; i < view.replicas.size(); ++i) {
      if (share(i) <= 0) continue;
      if (!least || outstanding(i) * share(*least) < outstanding(*least) * share(i)) {
        least = i;
        tied = false;
      } else if (outstanding(i) * share(*least) == outstanding(*least) * share(i)) {
        tied = true;
      }
    }
    if (!tied) return *least;

    // Smooth weighted round robin among the tied ones only; the others' turns stand still.
    const std::size_t first = *least;
    std::size_t best = first;
    double total = 0;
    for (std::size_t i = first; i < view.replicas.size(); ++i) {
      if (share(i) <= 0 || outstanding(i) * share(first) != outstanding(first) * share(i)) continue;
      const double gain = std::max(0.0, share(i) - view.replicas[i].penalty);
      current_.at(i) += gain;
      total += gain;
      if (current_.at(i) > current_.at(best)) best = i;
    }
    current_.at(best) -= total;
    return best;
  }

 private:
  SmoothWeights current_;
};

}  // namespace

PolicyEntry<RoutingPolicy> routing_least_connections() {
  return {"least-connections",
          "Takes the replica with the fewest outstanding requests per weight; ties are broken by "
          "smooth weighted round robin among the tied.",
          "nginx, ngx_http_upstream_least_conn_module.c; reference case R17",
          "one request differs from another by orders of magnitude in work.",
          "O(replicas)",
          {},
          make_policy<RoutingPolicy, LeastConnections>};
}

}  // namespace isthmus::schedulers
