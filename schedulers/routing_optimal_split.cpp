// A static random split that suits servers of unlike speed best.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "schedulers/entry.hpp"
#include "schedulers/routing_policy.hpp"
#include "schedulers/server_split.hpp"
#include "schedulers/smooth_weights.hpp"

namespace isthmus::schedulers {

std::vector<double> optimal_split(double arrivals, std::span<const double> service_rates) {
  std::vector<std::size_t> order(service_rates.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return service_rates[a] > service_rates[b]; });
  std::vector<double> out(service_rates.size());
  const double all = std::accumulate(service_rates.begin(), service_rates.end(), 0.0);
  if (arrivals >= all) {
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = all > 0 ? arrivals * service_rates[i] / all : arrivals / static_cast<double>(out.size());
    return out;
  }
  // The fastest servers, as many as get a positive rate each.
  double rates = all, roots = 0;
  for (const double r : service_rates) roots += std::sqrt(r);
  for (std::size_t used = order.size(); used > 0; --used) {
    const double slowest = service_rates[order[used - 1]];
    const double left = (rates - arrivals) / roots;  // spare capacity per root of a rate
    if (std::sqrt(slowest) <= left) {
      rates -= slowest;
      roots -= std::sqrt(slowest);
      continue;
    }
    for (std::size_t k = 0; k < used; ++k) {
      const double mu = service_rates[order[k]];
      out[order[k]] = mu - std::sqrt(mu) * left;
    }
    break;
  }
  return out;
}

double split_mean_time(std::span<const double> arrivals, std::span<const double> service_rates) {
  double total = 0, inside = 0;
  for (std::size_t i = 0; i < arrivals.size(); ++i) {
    if (arrivals[i] <= 0) continue;
    if (arrivals[i] >= service_rates[i]) return std::numeric_limits<double>::infinity();
    total += arrivals[i];
    inside += arrivals[i] / (service_rates[i] - arrivals[i]);
  }
  return inside / total;
}

namespace {

class OptimalSplit final : public RoutingPolicy {
 public:
  explicit OptimalSplit(const Parameters& p) : arrivals_(p.number("arrivals")) {}

  std::size_t choose(const RoutingView& view) override {
    const bool equal = all_weightless(view.replicas);
    rates_.resize(view.replicas.size());
    bool same = shares_.size() == rates_.size();
    for (std::size_t i = 0; i < rates_.size(); ++i) {
      const double rate = share_of(view.replicas[i], equal);
      same = same && rate == rates_[i];
      rates_[i] = rate;
    }
    if (!same) shares_ = optimal_split(arrivals_, rates_);
    double left = view.uniform * arrivals_;
    std::size_t last = 0;
    for (std::size_t i = 0; i < shares_.size(); ++i) {
      if (shares_[i] <= 0) continue;
      last = i;
      left -= shares_[i];
      if (left < 0) return i;
    }
    return last;  // rounding left a crumb of the total
  }

 private:
  double arrivals_;
  std::vector<double> rates_, shares_;
};

}  // namespace

PolicyEntry<RoutingPolicy> routing_optimal_split() {
  return {"optimal-split",
          "Takes a replica at random with the fixed probabilities that minimise the mean time at M/M/1 "
          "servers whose service rates (requests per second) are the replicas' weights.",
          "Buzen and Chen, Optimal load balancing in memory hierarchies, IFIP 1974 (square-root rule)",
          "queues can be seen, or the load differs from the stated one: any rule that looks at the "
          "queues is better.",
          "O(replicas); O(replicas log replicas) when weights change",
          {number_parameter("arrivals", Dimension::none, 1, 1e-9, 1e12,
                            "requests per second that the split is made for")},
          make_policy<RoutingPolicy, OptimalSplit>};
}

}  // namespace isthmus::schedulers
