// The published score rule, exactly as printed, with its inverted response to the cloud's latency.
#include "schedulers/entry.hpp"
#include "schedulers/offload_estimates.hpp"

namespace isthmus::schedulers {

namespace {

// score = alpha (1 - local_load) + (1 - alpha) / (1 + cloud_latency), local iff score > 0.5.
//
// The second term falls as the cloud gets slower, so a slower cloud attracts requests: the rule is
// kept as printed because published results used it. Its boundary is the load
//     local_load = 1 - (0.5 - (1 - alpha) / (1 + L)) / alpha
// below which requests stay local. offload_score_corrected.cpp turns the response around.
class Score final : public OffloadPolicy {
 public:
  explicit Score(const Parameters& p) : alpha_(p.number("alpha")) {}

  OffloadDecision decide(const OffloadView& view) override {
    const auto local = local_candidate(view);
    const auto cloud = cloud_candidate(view);
    if (!local) return {cloud.value_or(0), 0, "no local candidate"};
    if (!cloud) return {*local, 1, "no cloud candidate"};
    const double latency = estimated_latency(view.candidates[*cloud]);  // seconds, as printed
    const double score = alpha_ * (1 - view.candidates[*local].load) + (1 - alpha_) / (1 + latency);
    if (score > 0.5) return {*local, score, "score above 0.5"};
    return {*cloud, score, "score at most 0.5"};
  }

 private:
  double alpha_;
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_score() {
  return {
      "score",
      "Stays local iff alpha (1 - local load) + (1 - alpha) / (1 + cloud latency in s) > 0.5.",
      "reference case R14, as printed",
      "the cloud's latency varies: the response is inverted, a slower cloud gets more requests.",
      "O(candidates)",
      {number_parameter("alpha", Dimension::fraction, 0.6, 0, 1,
                        "weight of the local load; the source gives 0.7 to 0.9 for real time and "
                        "0.4 to 0.6 for energy first")},
      make_policy<OffloadPolicy, Score>};
}

}  // namespace isthmus::schedulers
