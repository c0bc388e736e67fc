// Scores replicas by KV usage and waiting queue, as inference gateways scrape them.
#include <algorithm>

#include "schedulers/entry.hpp"
#include "schedulers/pick.hpp"
#include "schedulers/routing_policy.hpp"

namespace isthmus::schedulers {

namespace {

class KvUsage final : public RoutingPolicy {
 public:
  explicit KvUsage(const Parameters& p)
      : kv_weight_(p.number("kv_weight")),
        waiting_weight_(p.number("waiting_weight")),
        period_(Duration::from_seconds(p.number("signal_period"))) {}

  bool wants_load() const override { return true; }
  Duration signal_period() const override { return period_; }

  std::size_t choose(const RoutingView& view) override {
    const auto [least, most] =
        std::minmax_element(view.replicas.begin(), view.replicas.end(),
                            [](const ReplicaSignal& a, const ReplicaSignal& b) {
                              return a.waiting < b.waiting;
                            });
    const double shortest = least->waiting, range = most->waiting - shortest;
    const auto penalty = [&](const ReplicaSignal& r) {
      return kv_weight_ * r.kv_usage +
             (range > 0 ? waiting_weight_ * (r.waiting - shortest) / range : 0.0);
    };
    double lowest = penalty(view.replicas.front());
    std::size_t tied = 0;
    for (const ReplicaSignal& r : view.replicas) {
      const double p = penalty(r);
      if (p < lowest) {
        lowest = p;
        tied = 1;
      } else if (p == lowest) {
        ++tied;
      }
    }
    std::size_t left = pick_uniform(view.uniform, tied), i = 0;
    for (;; ++i)
      if (penalty(view.replicas[i]) == lowest && left-- == 0) return i;
  }

 private:
  double kv_weight_, waiting_weight_;
  Duration period_;
};

}  // namespace

PolicyEntry<RoutingPolicy> routing_kv_usage() {
  return {"kv-usage",
          "Takes the replica with the lowest weighted sum of its KV usage and its waiting queue, "
          "scaled between the shortest (0) and the longest queue (1); ties are broken at random.",
          "Kubernetes Gateway API Inference Extension and llm-d: kv-cache-utilization-scorer, "
          "queue-scorer and max-score-picker",
          "signals are old: all requests between two scrapes go to the same replica.",
          "O(replicas)",
          {number_parameter("kv_weight", Dimension::none, 1, 0, 1000,
                            "penalty of a replica whose KV blocks are all in use"),
           number_parameter("waiting_weight", Dimension::none, 1, 0, 1000,
                            "penalty of the longest queue over the shortest"),
           number_parameter("signal_period", Dimension::duration, 0.05, 0, 3600,
                            "between scrapes of the replicas; 0 = their state at each decision")},
          make_policy<RoutingPolicy, KvUsage>};
}

}  // namespace isthmus::schedulers
