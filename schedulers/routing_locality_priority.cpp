// Near replicas first; load spills over to the next ones as their health goes.
#include <algorithm>
#include <map>

#include "schedulers/entry.hpp"
#include "schedulers/locality_load.hpp"
#include "schedulers/pick.hpp"
#include "schedulers/routing_policy.hpp"
#include "schedulers/smooth_weights.hpp"

namespace isthmus::schedulers {

PriorityLoads priority_loads(std::span<const std::uint32_t> healthy,
                             std::span<const std::uint32_t> total, std::uint32_t factor,
                             double panic_threshold) {
  PriorityLoads out;
  std::vector<std::uint32_t> health;
  std::uint64_t sum = 0;
  for (std::size_t p = 0; p < total.size(); ++p) {
    const std::uint64_t h = total[p] > 0 ? std::uint64_t{factor} * healthy[p] / total[p] : 0;
    health.push_back(static_cast<std::uint32_t>(std::min<std::uint64_t>(100, h)));
    sum += health.back();
  }
  out.normalized_total = static_cast<std::uint32_t>(std::min<std::uint64_t>(100, sum));
  std::uint32_t left = 100;
  std::size_t first = health.size();
  for (std::size_t p = 0; p < health.size(); ++p) {
    const std::uint32_t share =
        out.normalized_total > 0 ? std::min(left, health[p] * 100 / out.normalized_total) : 0;
    out.percent.push_back(share);
    left -= share;
    if (first == health.size() && health[p] > 0) first = p;
    out.panic.push_back(out.normalized_total < 100 &&
                        100.0 * healthy[p] < panic_threshold * 100.0 * total[p]);
  }
  if (first < health.size()) out.percent[first] += left;  // what rounding left
  return out;
}

std::vector<double> locality_shares(std::span<const double> weights,
                                    std::span<const double> healthy_share, double factor) {
  std::vector<double> out;
  double total = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    out.push_back(weights[i] * std::min(1.0, factor * healthy_share[i]));
    total += out.back();
  }
  if (total > 0)
    for (double& share : out) share /= total;
  return out;
}

namespace {

class LocalityPriority final : public RoutingPolicy {
 public:
  explicit LocalityPriority(const Parameters& p)
      : factor_(p.number("overprovisioning")),
        panic_(p.number("panic_threshold")),
        own_zone_(p.text("priority") == "own-zone"),
        weighted_(p.text("localities") == "weighted"),
        random_(p.text("within") == "random") {}

  bool wants_places() const override { return true; }
  bool wants_unhealthy() const override { return true; }

  std::size_t choose(const RoutingView& view) override {
    // A priority by the share of the load that its health leaves it.
    std::vector<std::uint32_t> healthy, total;
    for (const ReplicaSignal& r : view.replicas) {
      const std::size_t p = priority_of(view, r);
      if (p >= total.size()) {
        total.resize(p + 1);
        healthy.resize(p + 1);
      }
      ++total[p];
      healthy[p] += r.healthy ? 1 : 0;
    }
    const auto percent = static_cast<std::uint32_t>(factor_ * 100 + 0.5);
    const PriorityLoads loads = priority_loads(healthy, total, percent, panic_);
    double u = view.uniform;
    std::size_t priority = 0;
    if (loads.normalized_total == 0) {  // nobody is healthy: the first that has anyone
      while (total[priority] == 0) ++priority;
    } else {
      double left = u * 100;
      while (priority + 1 < loads.percent.size() && left >= loads.percent[priority])
        left -= loads.percent[priority++];
      u = std::clamp(left / std::max(1U, loads.percent[priority]), 0.0, 1 - 1e-12);
    }
    const bool panic = loads.normalized_total == 0 || loads.panic[priority];
    const auto takes_part = [&](const ReplicaSignal& r) { return panic || r.healthy; };

    // Then a locality, where they are weighted.
    std::uint32_t zone = 0;
    if (weighted_) {
      struct Locality {
        double weight = 0, all = 0, healthy = 0;
      };
      std::map<std::uint32_t, Locality> zones;
      for (const ReplicaSignal& r : view.replicas) {
        if (priority_of(view, r) != priority) continue;
        Locality& l = zones[r.zone];
        l.weight += std::max(0.0, r.weight);
        ++l.all;
        l.healthy += takes_part(r) ? 1 : 0;
      }
      std::vector<double> weights, shares;
      for (const auto& [name, l] : zones) {
        weights.push_back(l.weight);
        shares.push_back(l.healthy / l.all);
      }
      const std::vector<double> load = locality_shares(weights, shares, factor_);
      auto chosen = zones.begin();
      while (chosen->second.healthy == 0) ++chosen;  // weightless localities: the first that may
      double left = u;
      std::size_t i = 0;
      for (auto z = zones.begin(); z != zones.end(); ++z, ++i) {
        if (load[i] <= 0) continue;
        chosen = z;
        if (left < load[i]) {
          u = left / load[i];
          break;
        }
        left -= load[i];
      }
      u = std::clamp(u, 0.0, 1 - 1e-12);
      zone = chosen->first;
    }

    std::vector<std::size_t> among;
    for (std::size_t i = 0; i < view.replicas.size(); ++i) {
      const ReplicaSignal& r = view.replicas[i];
      if (priority_of(view, r) == priority && takes_part(r) && (!weighted_ || r.zone == zone))
        among.push_back(i);
    }
    return random_ ? by_weight(view, among, u) : least(view, among);
  }

 private:
  std::size_t priority_of(const RoutingView& view, const ReplicaSignal& r) const {
    return own_zone_ ? (r.zone == view.zone ? 0 : 1) : r.priority;
  }

  static std::size_t by_weight(const RoutingView& view, const std::vector<std::size_t>& among,
                               double u) {
    double total = 0;
    for (const std::size_t i : among) total += std::max(0.0, view.replicas[i].weight);
    if (total <= 0) return among[pick_uniform(u, among.size())];
    double left = u * total;
    std::size_t last = among.front();
    for (const std::size_t i : among) {
      const double weight = view.replicas[i].weight;
      if (weight <= 0) continue;
      last = i;
      left -= weight;
      if (left < 0) break;
    }
    return last;
  }

  // Fewest outstanding requests per weight; ties go to the lowest number.
  static std::size_t least(const RoutingView& view, const std::vector<std::size_t>& among) {
    const auto load = [&](std::size_t i) {
      const ReplicaSignal& r = view.replicas[i];
      return (r.outstanding + 1.0) / std::max(1e-9, r.weight);
    };
    std::size_t best = among.front();
    for (const std::size_t i : among)
      if (load(i) < load(best)) best = i;
    return best;
  }

  double factor_, panic_;
  bool own_zone_, weighted_, random_;
};

}  // namespace

PolicyEntry<RoutingPolicy> routing_locality_priority() {
  return {"locality-priority",
          "Sends requests to the replicas of the first priority as long as enough of them are healthy, "
          "and the rest to the next one: a priority takes overprovisioning times its healthy share of "
          "the load.",
          "Envoy, priority levels, locality weighted load balancing and panic threshold "
          "(load_balancer_impl.cc); reference case R42",
          "the near replicas are healthy but full: load spills over with failures, not with queues.",
          "O(replicas)",
          {number_parameter("overprovisioning", Dimension::none, 1.4, 1, 100,
                            "share of the load over healthy share; 1.4: a priority takes all as long as "
                            "72 % of its replicas are healthy"),
           number_parameter("panic_threshold", Dimension::fraction, 0.5, 0, 1,
                            "with too few healthy replicas over all priorities, one of which fewer are "
                            "healthy sends to all its replicas; 0 = never"),
           text_parameter("priority", "own-zone", {"own-zone", "given"},
                          "replicas in the zone that the request comes from go first, or as the "
                          "service's balancer gives priorities"),
           text_parameter("localities", "pooled", {"pooled", "weighted"},
                          "within a priority all replicas alike, or first a zone, in proportion to the "
                          "sum of its replicas' weights and to its health"),
           text_parameter("within", "least-outstanding", {"least-outstanding", "random"},
                          "which of the replicas that are left: fewest outstanding requests per weight, "
                          "or at random by weight")},
          make_policy<RoutingPolicy, LocalityPriority>};
}

}  // namespace isthmus::schedulers
