// Any healthy candidate, with equal probability.
#include "schedulers/entry.hpp"
#include "schedulers/offload_estimates.hpp"
#include "schedulers/pick.hpp"

namespace isthmus::schedulers {

namespace {

class Random final : public OffloadPolicy {
 public:
  OffloadDecision decide(const OffloadView& view) override {
    std::size_t healthy = 0;
    for (const OffloadCandidate& c : view.candidates) healthy += c.healthy;
    if (healthy == 0) return {pick_uniform(view.uniform, view.candidates.size()), 0, "random"};
    std::size_t left = pick_uniform(view.uniform, healthy);
    std::size_t i = 0;
    while (!view.candidates[i].healthy || left-- > 0) ++i;
    return {i, 0, "random"};
  }
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_random() {
  return {"random",
          "Takes a healthy candidate at random, each with the same probability.",
          "baseline of the load-balancing literature",
          "candidates differ in speed: the slowest gets as many requests as the fastest.",
          "O(candidates)",
          {},
          make_policy<OffloadPolicy, Random>};
}

}  // namespace isthmus::schedulers
