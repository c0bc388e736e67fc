// The cost-ratio rule, corrected by the latencies that came out.
#include <algorithm>
#include <unordered_map>
#include <vector>

#include "schedulers/entry.hpp"
#include "schedulers/offload_cost_ratios.hpp"
#include "schedulers/offload_estimates.hpp"

namespace isthmus::schedulers {

namespace {

// An estimate is ratio * correction; the correction of a candidate is the mean latency of its answers over
// their mean ratio (the mean of the quotients would follow the few that are far off). Knowledge ages: the
// estimate is divided by 1 + age / recovery, where the age is that of the client's last transfer there,
// else of the last answer from there; so what looks bad is tried again. What was never tried comes first.
class CostRatioFeedback final : public OffloadPolicy {
 public:
  explicit CostRatioFeedback(const Parameters& p)
      : flop_per_bit_(p.number("flop_per_bit")),
        sla_(p.number("sla")),
        gain_(p.number("gain")),
        recovery_(p.number("recovery")) {}

  OffloadDecision decide(const OffloadView& view) override {
    corrections_.resize(std::max(corrections_.size(), view.candidates.size()));
    now_ = view.now;
    const auto estimate = [&](const OffloadCandidate& c) {
      const Correction& known = corrections_[static_cast<std::size_t>(&c - view.candidates.data())];
      if (!known.tried) return 0.0;
      const Instant seen = c.measured_at.is_never() ? known.since : c.measured_at;
      const double age = recovery_ > 0 && c.uplink > 0 ? (view.now - seen).seconds() / recovery_ : 0;
      return plain(view, c) * known.latency / known.ratio / (1 + std::max(0.0, age));
    };
    std::size_t chosen = smallest(view, estimate);
    std::string_view reason = "smallest corrected ratio";
    const double sla = sla_ > 0 ? sla_ : view.slo.seconds();
    const auto local = local_candidate(view);
    if (local && sla > 0 && corrections_[*local].tried && estimate(view.candidates[*local]) <= sla) {
      chosen = *local;
      reason = "the device meets the sla";
    }
    const OffloadCandidate& c = view.candidates[chosen];
    const double score = estimate(c);
    corrections_[chosen].tried = true;
    pending_[view.request] = plain(view, c);
    return {chosen, score, reason};
  }

  void observe(const OffloadOutcome& o) override {
    const auto it = pending_.find(o.request);
    if (it == pending_.end()) return;
    const double ratio = it->second;
    pending_.erase(it);
    corrections_.resize(std::max(corrections_.size(), o.candidate + 1));
    Correction& c = corrections_[o.candidate];
    // What failed took longer than any answer that counts.
    const double latency =
        o.succeeded ? o.latency.seconds() : std::max(10 * ratio, o.latency.seconds());
    const double weight = c.known ? gain_ : 1;
    c.latency += weight * (latency - c.latency);
    c.ratio += weight * (ratio - c.ratio);
    c.tried = c.known = true;
    c.since = now_;
  }

 private:
  struct Correction {
    double latency = 1, ratio = 1;  // means
    bool tried = false, known = false;
    Instant since;                  // of the last answer
  };

  double plain(const OffloadView& view, const OffloadCandidate& c) const {
    return std::max(1e-6, std::max(transfer_ratio(view, c, c.uplink, flop_per_bit_), compute_ratio(c)));
  }

  double flop_per_bit_, sla_, gain_, recovery_;
  std::vector<Correction> corrections_;
  std::unordered_map<std::uint64_t, double> pending_;
  Instant now_;
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_cost_ratio_feedback() {
  return {"cost-ratio-feedback",
          "Takes the candidate with the smallest ratio of the cost-ratio rule (the larger of computing "
          "and transfer), each multiplied by how much longer its answers took than its ratio said.",
          "reference case R15, variant with feedback",
          "requests differ much: one correction stands for all of them.",
          "O(candidates)",
          {number_parameter("flop_per_bit", Dimension::none, 10, 1e-6, 1e15,
                            "operations that stand for one bit of transfer; the source gives 10"),
           number_parameter("sla", Dimension::duration, 0, 0, 86400,
                            "latency that is good enough on the device; 0 = the scenario's first "
                            "objective"),
           number_parameter("gain", Dimension::fraction, 0.2, 1e-6, 1,
                            "weight of the newest latency in a correction"),
           number_parameter("recovery", Dimension::duration, 5, 0, 86400,
                            "age of what is known of a path at which the candidate counts as twice as "
                            "fast, so that it is tried again; 0 = never")},
          make_policy<OffloadPolicy, CostRatioFeedback>};
}

}  // namespace isthmus::schedulers
