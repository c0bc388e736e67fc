// More requests to replicas that users are content with.
#include <algorithm>
#include <cmath>
#include <vector>

#include "schedulers/entry.hpp"
#include "schedulers/routing_policy.hpp"
#include "schedulers/smooth_weights.hpp"

namespace isthmus::schedulers {

namespace {

class QoeWeighted final : public RoutingPolicy {
 public:
  explicit QoeWeighted(const Parameters& p)
      : target_(p.number("target")),
        decay_(p.number("decay")),
        sharpness_(p.number("sharpness")),
        floor_(p.number("floor")),
        experience_(p.text("score") == "experience") {}

  bool wants_outcomes() const override { return true; }

  void observe(const RoutingOutcome& o) override {
    if (o.replica >= known_.size()) known_.resize(o.replica + 1);
    Known& k = known_[o.replica];
    const double keep = k.any ? std::exp(-(o.now - k.at).seconds() / decay_) : 0;
    // Several answers within one instant count alike.
    const double take = std::max(1 - keep, 0.01);
    const auto towards = [&](double& mean, double x) { mean += (x - mean) * take; };
    towards(k.latency, o.latency.seconds());
    towards(k.response, o.response.seconds());
    towards(k.delivery, o.delivery.seconds());
    towards(k.success, o.succeeded ? 1 : 0);
    k.at = o.now;
    k.any = true;
  }

  std::size_t choose(const RoutingView& view) override {
    const bool equal = all_weightless(view.replicas);
    const auto chance = [&](const ReplicaSignal& r) {
      return share_of(r, equal) * std::max(floor_, std::pow(1 - badness(r), sharpness_));
    };
    double total = 0;
    for (const ReplicaSignal& r : view.replicas) total += chance(r);
    double left = view.uniform * total;
    std::size_t last = 0;
    for (std::size_t i = 0; i < view.replicas.size(); ++i) {
      const double c = chance(view.replicas[i]);
      if (c <= 0) continue;
      last = i;
      left -= c;
      if (left < 0) return i;
    }
    return last;  // rounding left a crumb of the total
  }

 private:
  struct Known {
    double latency = 0, response = 0, delivery = 0, success = 1;
    Instant at;
    bool any = false;
  };

  // In [0, 1]; 0 of a replica that nothing is known of.
  double badness(const ReplicaSignal& r) const {
    if (r.replica >= known_.size()) return 0;
    const Known& k = known_[r.replica];
    const auto slow = [&](double seconds) { return std::min(seconds / target_, 1.0); };
    const double failing = 1 - k.success;
    if (!experience_) return 0.6 * slow(k.latency) + 0.4 * failing;
    return 0.5 * std::max(slow(k.latency), failing) + 0.3 * std::max(slow(k.response), failing) +
           0.2 * std::max(slow(k.delivery), failing);
  }

  double target_, decay_, sharpness_, floor_;
  bool experience_;
  std::vector<Known> known_;  // by number
};

}  // namespace

PolicyEntry<RoutingPolicy> routing_qoe_weighted() {
  return {"qoe-weighted",
          "Takes a replica at random, in proportion to its weight times a power of the experience that "
          "it gave lately: 1 - (0.6 min(latency / target, 1) + 0.4 (1 - success)), or with \"score\": "
          "\"experience\" 0.5, 0.3 and 0.2 for whole latency, response and delivery of the answer, "
          "each against the target.",
          "reference case R33",
          "all replicas answer within a small part of the target, or all far above it: then their "
          "scores are alike and load is spread at random.",
          "O(replicas)",
          {number_parameter("target", Dimension::duration, 0.5, 1e-6, 1e6,
                            "latency from which an answer is as bad as can be"),
           number_parameter("decay", Dimension::duration, 10, 1e-6, 1e6,
                            "time constant of the means over past answers"),
           number_parameter("sharpness", Dimension::none, 2, 0, 100,
                            "power of the score: 0 ignores it, large ones follow the best replica"),
           number_parameter("floor", Dimension::fraction, 0.02, 1e-6, 1,
                            "least factor of a weight: keeps a bad replica tried, so that its return is "
                            "seen"),
           text_parameter("score", "load", {"load", "experience"},
                          "which of the two scores")},
          make_policy<RoutingPolicy, QoeWeighted>};
}

}  // namespace isthmus::schedulers
