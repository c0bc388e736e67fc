// As cheap as the latency objective allows.
#include <optional>
#include <utility>

#include "schedulers/entry.hpp"
#include "schedulers/offload_estimates.hpp"

namespace isthmus::schedulers {

namespace {

class CheapestWithinSlo final : public OffloadPolicy {
 public:
  explicit CheapestWithinSlo(const Parameters& p) : margin_(p.number("margin")) {}

  OffloadDecision decide(const OffloadView& view) override {
    const bool bounded = view.slo > Duration::zero();
    const double bound = view.slo.seconds() * margin_;
    const bool healthy_only = any_healthy(view);

    // Among those that meet the objective: lowest price, then lowest latency, then first.
    std::optional<std::size_t> best;
    std::pair<double, double> best_key;
    for (std::size_t i = 0; i < view.candidates.size(); ++i) {
      const OffloadCandidate& c = view.candidates[i];
      if (healthy_only && !c.healthy) continue;
      const double latency = estimated_latency(c);
      if (bounded && latency > bound) continue;
      const std::pair key(c.cost, latency);
      if (best && !(key < best_key)) continue;
      best = i;
      best_key = key;
    }
    if (best) return {*best, best_key.first, bounded ? "cheapest within slo" : "no slo: cheapest"};

    const std::size_t fastest = smallest(view, estimated_latency);
    return {fastest, view.candidates[fastest].cost, "none within slo: lowest estimated latency"};
  }

 private:
  double margin_;
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_cheapest_within_slo() {
  return {"cheapest-within-slo",
          "Takes the cheapest candidate whose estimated latency is at most margin times the SLO; "
          "the fastest one when there is none, the cheapest one when there is no SLO.",
          "greedy rule; the estimate is documented in schedulers/offload_estimates.hpp",
          "estimates are noisy and the margin is 1: about half of the close calls miss the SLO.",
          "O(candidates)",
          {number_parameter("margin", Dimension::fraction, 0.9, 0.01, 1,
                            "part of the SLO that the estimate may use up; lower it when estimates "
                            "are noisy or load signals old")},
          make_policy<OffloadPolicy, CheapestWithinSlo>};
}

}  // namespace isthmus::schedulers
