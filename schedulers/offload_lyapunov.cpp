// Drift plus penalty: one figure is minimised, others keep their budgets on average.
#include <algorithm>
#include <string>

#include "schedulers/entry.hpp"
#include "schedulers/offload_estimates.hpp"

namespace isthmus::schedulers {

namespace {

// Two virtual queues hold what was spent beyond the budgets:
//     energy   <- max(0, energy + spent / budget - 1)
//     lateness <- max(0, lateness + [missed] - misses)
// and a decision minimises v * penalty + energy * spent / budget + lateness * [late]. If the budgets can
// be met at all, the queues stay bounded, so that the averages keep the budgets, at a penalty within
// O(1/v) of the best.
class Lyapunov final : public OffloadPolicy {
 public:
  explicit Lyapunov(const Parameters& p)
      : v_(p.number("v")),
        budget_(p.number("energy_budget")),
        deadline_(p.number("deadline")),
        misses_(p.number("misses")),
        penalty_(p.text("minimise")) {}

  OffloadDecision decide(const OffloadView& view) override {
    if (deadline_ <= 0) slo_ = view.slo.seconds();
    const double bound = deadline();
    const auto cost = [&](const OffloadCandidate& c) {
      double sum = v_ * penalty(c);
      if (budget_ > 0) sum += energy_ * c.client_energy / budget_;
      if (bound > 0 && estimated_latency(c) > bound) sum += lateness_;
      return sum;
    };
    const std::size_t i = smallest(view, cost);
    return {i, cost(view.candidates[i]), "smallest drift plus penalty"};
  }

  void observe(const OffloadOutcome& o) override {
    if (budget_ > 0) energy_ = std::max(0.0, energy_ + o.client_energy / budget_ - 1);
    const double bound = deadline();
    const bool missed = !o.succeeded || o.latency.seconds() > bound;
    if (bound > 0) lateness_ = std::max(0.0, lateness_ + (missed ? 1 : 0) - misses_);
  }

 private:
  double deadline() const { return deadline_ > 0 ? deadline_ : slo_; }
  double penalty(const OffloadCandidate& c) const {
    return penalty_ == "energy" ? c.client_energy
           : penalty_ == "cost" ? c.cost
                                : estimated_latency(c);
  }

  double v_, budget_, deadline_, misses_, slo_ = 0;
  std::string penalty_;
  double energy_ = 0, lateness_ = 0;  // the virtual queues
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_lyapunov() {
  return {"lyapunov",
          "Minimises one figure while virtual queues hold the clients' energy and the share of missed "
          "deadlines to budgets on average (drift plus penalty).",
          "Neely, Stochastic Network Optimization, 2010; Mao, Zhang, Letaief, IEEE JSAC 34, 2016",
          "the budgets cannot be met: the queues grow and the figure to minimise stops to matter.",
          "O(candidates)",
          {number_parameter("v", Dimension::none, 10, 0, 1e9,
                            "weight of the figure against the budgets; larger comes closer to its best "
                            "and takes longer to keep the budgets"),
           text_parameter("minimise", "latency", {"latency", "energy", "cost"},
                          "s, J of the client or USD per request"),
           number_parameter("energy_budget", Dimension::none, 0, 0, 1e9,
                            "J of the client per request, on average; 0 = no such budget"),
           number_parameter("deadline", Dimension::duration, 0, 0, 86400,
                            "latency that counts as missed; 0 = the scenario's first objective"),
           number_parameter("misses", Dimension::fraction, 0.05, 0, 1,
                            "share of requests that may miss it")},
          make_policy<OffloadPolicy, Lyapunov>};
}

}  // namespace isthmus::schedulers
