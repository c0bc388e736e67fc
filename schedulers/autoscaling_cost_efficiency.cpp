// Weighs the cost of replicas against throughput over latency.
#include <algorithm>
#include <cmath>
#include <limits>

#include "schedulers/autoscaling_policy.hpp"
#include "schedulers/entry.hpp"
#include "schedulers/replica_range.hpp"

namespace isthmus::schedulers {

namespace {

// Mean time in an M/M/n queue over the mean service time, for `busy` servers' worth of load; infinite when it
// cannot keep up. Erlang's recursion for the blocking probability is stable for any n.
double slowdown(std::uint32_t n, double busy) {
  if (busy >= n) return std::numeric_limits<double>::infinity();
  double blocking = 1;
  for (std::uint32_t k = 1; k <= n; ++k) blocking = busy * blocking / (k + busy * blocking);
  const double waits = n * blocking / (n - busy * (1 - blocking));
  return 1 + waits / (n - busy);
}

class CostEfficiency final : public AutoscalingPolicy {
 public:
  explicit CostEfficiency(const Parameters& p)
      : light_(p.number("lambda")),
        heavy_(p.number("lambda_above")),
        threshold_(p.number("threshold")),
        weight_(p.number("weight")),
        range_(p) {}
  bool wants_metrics() const override { return true; }

  AutoscalingDecision decide(const AutoscalingView& view) override {
    for (const ServiceMetrics& m : view.samples) learn(m);
    if (!known_) return {range_.clamp(view.current), "nothing measured yet"};
    const double busy = rate_ * service_;
    const double load = busy / std::max(1U, view.current);
    const double lambda = load > threshold_ ? heavy_ : light_;
    std::uint32_t best = range_.max;
    double least = std::numeric_limits<double>::infinity();
    for (std::uint32_t n = std::max(1U, range_.min); n <= range_.max; ++n) {
      const double cost = static_cast<double>(n) / range_.max, efficiency = 1 / slowdown(n, busy);
      const double objective = lambda * cost - (1 - lambda) * efficiency;
      if (efficiency > 0 && objective < least) least = objective, best = n;
    }
    return {best, load > threshold_ ? "high load: efficiency counts more" : "cost counts more"};
  }

 private:
  void learn(const ServiceMetrics& m) {
    if (m.window <= Duration::zero()) return;
    const double rate = m.arrivals / m.window.seconds();
    rate_ = known_ ? weight_ * rate + (1 - weight_) * rate_ : rate;
    if (m.completed > 0 && m.utilization > 0) {
      const double service = m.utilization * m.ready * m.window.seconds() / m.completed;
      service_ = known_ ? weight_ * service + (1 - weight_) * service_ : service;
      known_ = true;
    }
  }

  double light_, heavy_, threshold_, weight_;
  ReplicaRange range_;
  bool known_ = false;
  double rate_ = 0, service_ = 0;  // requests/s; replica-seconds per request
};

}  // namespace

PolicyEntry<AutoscalingPolicy> autoscaling_cost_efficiency() {
  return {
      "cost-efficiency",
      "Minimizes lambda C - (1 - lambda) E over the replica count: C is the cost relative to max_replicas, E throughput "
      "over latency relative to an empty system, with the latency of an M/M/n queue of the measured load.",
      "reference case R36: lambda 0.3 above 80 % load, else 0.7; Erlang's C formula",
      "service times are far from exponential or replicas batch: its latency is then a rough guess.",
      "O(max_replicas^2)",
      {number_parameter("lambda", Dimension::fraction, 0.7, 0, 1, "weight of cost up to the threshold"),
       number_parameter("lambda_above", Dimension::fraction, 0.3, 0, 1, "weight of cost above it"),
       number_parameter("threshold", Dimension::fraction, 0.8, 0, 10, "load per replica wanted now, from which "
                        "latency counts more"),
       number_parameter("weight", Dimension::fraction, 0.5, 0.001, 1, "of the newest scrape in load and service time"),
       number_parameter("min_replicas", Dimension::count, 1, 1, 1e4, "never fewer"),
       number_parameter("max_replicas", Dimension::count, 10, 1, 1e4, "never more")},
      make_policy<AutoscalingPolicy, CostEfficiency>};
}

}  // namespace isthmus::schedulers
