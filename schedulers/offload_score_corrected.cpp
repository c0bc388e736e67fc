// The score rule with the response to the cloud's latency turned the right way round.
#include "schedulers/entry.hpp"
#include "schedulers/offload_estimates.hpp"

namespace isthmus::schedulers {

namespace {

// score = alpha (1 - local_load) + (1 - alpha) L / (1 + L), L in seconds, local iff score > 0.5.
// L / (1 + L) = 1 - 1 / (1 + L): the printed term reflected, still in [0, 1).
class ScoreCorrected final : public OffloadPolicy {
 public:
  explicit ScoreCorrected(const Parameters& p) : alpha_(p.number("alpha")) {}

  OffloadDecision decide(const OffloadView& view) override {
    const auto local = local_candidate(view);
    const auto cloud = cloud_candidate(view);
    if (!local) return {cloud.value_or(0), 0, "no local candidate"};
    if (!cloud) return {*local, 1, "no cloud candidate"};
    const double latency = estimated_latency(view.candidates[*cloud]);
    const double score =
        alpha_ * (1 - view.candidates[*local].load) + (1 - alpha_) * latency / (1 + latency);
    if (score > 0.5) return {*local, score, "score above 0.5"};
    return {*cloud, score, "score at most 0.5"};
  }

 private:
  double alpha_;
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_score_corrected() {
  return {"score-corrected",
          "Stays local iff alpha (1 - local load) + (1 - alpha) L / (1 + L) > 0.5, with L the "
          "cloud's estimated latency in s.",
          "reference case R14, corrected",
          "alpha is at most 0.5 and the cloud answers within milliseconds: nothing stays local.",
          "O(candidates)",
          {number_parameter("alpha", Dimension::fraction, 0.6, 0, 1,
                            "weight of the local load; raise it to keep more requests on an idle "
                            "device")},
          make_policy<OffloadPolicy, ScoreCorrected>};
}

}  // namespace isthmus::schedulers
