// The replica with the lowest product of recent latency and outstanding requests.
#include <cmath>
#include <vector>

#include "schedulers/entry.hpp"
#include "schedulers/pick.hpp"
#include "schedulers/routing_policy.hpp"

namespace isthmus::schedulers {

namespace {

class PeakEwma final : public RoutingPolicy {
 public:
  explicit PeakEwma(const Parameters& p)
      : decay_(p.number("decay")), penalty_(p.number("penalty")), all_(p.text("among") == "all") {}

  bool wants_outcomes() const override { return true; }

  void observe(const RoutingOutcome& o) override {
    if (o.replica >= known_.size()) known_.resize(o.replica + 1);
    Known& k = known_[o.replica];
    const double seconds = o.latency.seconds();
    // A peak counts at once; what is lower, by and by.
    if (seconds > k.cost) k.cost = seconds;
    else k.cost += (seconds - k.cost) * (1 - share_left(k, o.now));
    k.at = o.now;
  }

  std::size_t choose(const RoutingView& view) override {
    const std::size_t n = view.replicas.size();
    if (n == 1) return 0;
    if (all_) {
      std::size_t best = 0;
      for (std::size_t i = 1; i < n; ++i)
        if (cost(view, i) < cost(view, best)) best = i;
      return best;
    }
    const std::size_t first = pick_uniform(view.uniform, n);
    std::size_t second = pick_uniform(rest_of_pick(view.uniform, n), n - 1);
    if (second >= first) ++second;
    return cost(view, second) < cost(view, first) ? second : first;
  }

 private:
  struct Known {
    double cost = 0;  // s
    Instant at;
  };

  double share_left(const Known& k, Instant now) const {
    return std::exp(-(now - k.at).seconds() / decay_);
  }

  // Silence decays the cost towards nothing, so that a slow replica is tried again.
  double cost(const RoutingView& view, std::size_t i) const {
    const ReplicaSignal& r = view.replicas[i];
    const double weight = r.weight > 0 ? r.weight : 1e-9;
    if (r.replica >= known_.size() || known_[r.replica].cost == 0)
      return (r.outstanding > 0 ? penalty_ + r.outstanding : 0) / weight;
    const Known& k = known_[r.replica];
    return k.cost * share_left(k, view.now) * (r.outstanding + 1.0) / weight;
  }

  double decay_, penalty_;
  bool all_;
  std::vector<Known> known_;  // by number
};

}  // namespace

PolicyEntry<RoutingPolicy> routing_peak_ewma() {
  return {"peak-ewma",
          "Draws two replicas and takes the one with the lower cost: its latency, which rises at once "
          "with a slow answer and falls exponentially, times its outstanding requests with this one, "
          "over its weight.",
          "Finagle, PeakEwma; the same rule in Linkerd and Tower",
          "requests differ much in size: a long answer speaks against its replica, not against the "
          "request; a replica that fails fast looks good unless something ejects it.",
          "O(1); O(replicas) among all",
          {number_parameter("decay", Dimension::duration, 10, 1e-6, 1e6,
                            "time constant with which an old latency is forgotten"),
           number_parameter("penalty", Dimension::duration, 1e6, 0, 1e9,
                            "latency of a replica that has requests and has answered none yet"),
           text_parameter("among", "two", {"two", "all"},
                          "replicas compared: two drawn at random, or all of them")},
          make_policy<RoutingPolicy, PeakEwma>};
}

}  // namespace isthmus::schedulers
