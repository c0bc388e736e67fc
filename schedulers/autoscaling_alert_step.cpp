// More replicas while an alert of a service level is active.
#include <algorithm>
#include <cstdint>

#include "schedulers/autoscaling_policy.hpp"
#include "schedulers/entry.hpp"
#include "schedulers/replica_range.hpp"

namespace isthmus::schedulers {

namespace {

class AlertStep final : public AutoscalingPolicy {
 public:
  explicit AlertStep(const Parameters& p)
      : step_(static_cast<std::uint32_t>(p.number("step"))),
        calm_(Duration::from_seconds(p.number("calm"))),
        range_(p) {}

  AutoscalingDecision decide(const AutoscalingView& view) override {
    const std::uint32_t current = range_.clamp(view.current);
    if (view.alerts > 0) {
      calm_since_ = Instant::never();
      return {current + std::min(step_, range_.max - current), "alert"};
    }
    if (calm_since_.is_never()) calm_since_ = view.now;
    if (view.now - calm_since_ < calm_ || current == range_.min) return {current, "calm"};
    calm_since_ = view.now;
    return {current - std::min(step_, current - range_.min), "calm for long enough"};
  }

 private:
  std::uint32_t step_;
  Duration calm_;
  ReplicaRange range_;
  Instant calm_since_ = Instant::never();
};

}  // namespace

PolicyEntry<AutoscalingPolicy> autoscaling_alert_step() {
  return {
      "alert-step",
      "Adds `step` replicas per period while an alert of a service level about the service is active, and takes "
      "`step` away after every `calm` without one.",
      "step scaling on an alarm, as AWS EC2 Auto Scaling's step policies",
      "load grows faster than alerts fire: windows and hold times pass before the first replica comes.",
      "O(1)",
      {number_parameter("step", Dimension::count, 1, 1, 1e6, "replicas per period"),
       number_parameter("calm", Dimension::duration, 300, 0, 1e9, "without an alert before replicas go"),
       number_parameter("min_replicas", Dimension::count, 1, 0, 1e6, "never fewer"),
       number_parameter("max_replicas", Dimension::count, 10, 1, 1e6, "never more")},
      make_policy<AutoscalingPolicy, AlertStep>};
}

}  // namespace isthmus::schedulers
