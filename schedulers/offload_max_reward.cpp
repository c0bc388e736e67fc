// The candidate with the best estimated reward.
#include "schedulers/entry.hpp"
#include "schedulers/offload_estimates.hpp"

namespace isthmus::schedulers {

namespace {

class MaxReward final : public OffloadPolicy {
 public:
  OffloadDecision decide(const OffloadView& view) override {
    const std::size_t i =
        smallest(view, [&](const OffloadCandidate& c) { return -estimated_reward(view, c); });
    return {i, estimated_reward(view, view.candidates[i]), "highest estimated reward"};
  }
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_max_reward() {
  return {"max-reward",
          "Takes the candidate whose estimated latency, client energy and accuracy give the highest "
          "reward of the scenario.",
          "greedy rule; the reward is \"reward\" of the offload section",
          "the estimates are wrong: nothing corrects them.",
          "O(candidates)",
          {},
          make_policy<OffloadPolicy, MaxReward>};
}

}  // namespace isthmus::schedulers
