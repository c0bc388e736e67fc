// No scaling: the initial count for ever.
#include <optional>

#include "schedulers/autoscaling_policy.hpp"
#include "schedulers/entry.hpp"

namespace isthmus::schedulers {

namespace {

class FixedCount final : public AutoscalingPolicy {
 public:
  AutoscalingDecision decide(const AutoscalingView& view) override {
    if (!initial_) initial_ = view.current;
    return {*initial_, "fixed"};
  }

 private:
  std::optional<std::uint32_t> initial_;
};

}  // namespace

PolicyEntry<AutoscalingPolicy> autoscaling_fixed() {
  return {"fixed",
          "Keeps the number of replicas that the service started with.",
          "baseline",
          "load varies: it is sized for the peak or overloaded by it.",
          "O(1)",
          {},
          make_policy<AutoscalingPolicy, FixedCount>};
}

}  // namespace isthmus::schedulers
