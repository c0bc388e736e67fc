// A yardstick: the same greedy rule as max-reward, with the truth of this instant in the view.
#include "schedulers/entry.hpp"
#include "schedulers/offload_estimates.hpp"

namespace isthmus::schedulers {

namespace {

class Oracle final : public OffloadPolicy {
 public:
  bool privileged() const override { return true; }
  OffloadDecision decide(const OffloadView& view) override {
    const std::size_t i =
        smallest(view, [&](const OffloadCandidate& c) { return -estimated_reward(view, c); });
    return {i, estimated_reward(view, view.candidates[i]), "highest reward by the true state"};
  }
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_oracle() {
  return {"oracle",
          "As max-reward, but sees what no client can: present queues, the present rate of the path, "
          "and the true service time of this request.",
          "upper baseline; it is greedy and cannot see what comes, so that it is no strict bound",
          "it is taken for a rule that could be built.",
          "O(candidates)",
          {},
          make_policy<OffloadPolicy, Oracle>};
}

}  // namespace isthmus::schedulers
