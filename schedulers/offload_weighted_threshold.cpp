// Weighted shares among those that are fast enough, and a fallback when none is.
#include <algorithm>
#include <numeric>
#include <vector>

#include "schedulers/entry.hpp"
#include "schedulers/offload_estimates.hpp"

namespace isthmus::schedulers {

namespace {

class WeightedThreshold final : public OffloadPolicy {
 public:
  explicit WeightedThreshold(const Parameters& p)
      : threshold_(p.number("threshold")), shares_(p.list("shares")) {}

  // Smooth weighted round robin (nginx) over the candidates that take part this time.
  OffloadDecision decide(const OffloadView& view) override {
    const std::size_t n = view.candidates.size();
    credit_.resize(std::max(credit_.size(), n), 0.0);
    double total = 0;
    std::size_t best = n;
    for (std::size_t i = 0; i < n; ++i) {
      const OffloadCandidate& c = view.candidates[i];
      if (!c.healthy || share(i) <= 0 || estimated_latency(c) >= threshold_) continue;
      credit_[i] += share(i);
      total += share(i);
      if (best == n || credit_[i] > credit_[best]) best = i;
    }
    if (best < n) {
      credit_[best] -= total;
      return {best, share(best) / total, "its turn among those below the threshold"};
    }
    const std::size_t i = smallest(view, estimated_latency);
    return {i, estimated_latency(view.candidates[i]), "none below the threshold: fastest"};
  }

 private:
  double share(std::size_t i) const { return shares_.empty() ? 1 : i < shares_.size() ? shares_[i] : 0; }

  double threshold_;
  std::vector<double> shares_, credit_;
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_weighted_threshold() {
  return {"weighted-threshold",
          "Divides requests by weight among the healthy candidates whose estimated latency is below the "
          "threshold; the fastest one gets them when there is none.",
          "reference case R16 (150 ms; cloud 8, edge 5, CPU 2); smooth weighted round robin of nginx",
          "the weights do not fit the capacities: the threshold alone then moves requests.",
          "O(candidates)",
          {number_parameter("threshold", Dimension::duration, 0.15, 0, 86400,
                            "estimated latency from which a candidate takes no part"),
           list_parameter("shares", Dimension::none, 0, 1e6,
                          "weights in the order of the candidates; those without one get nothing; empty: "
                          "all alike")},
          make_policy<OffloadPolicy, WeightedThreshold>};
}

}  // namespace isthmus::schedulers
