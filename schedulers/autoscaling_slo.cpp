// Holds a latency percentile at an objective.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

#include "schedulers/autoscaling_metric.hpp"
#include "schedulers/autoscaling_policy.hpp"
#include "schedulers/entry.hpp"
#include "schedulers/replica_range.hpp"

namespace isthmus::schedulers {

namespace {

class Slo final : public AutoscalingPolicy {
 public:
  explicit Slo(const Parameters& p)
      : metric_("latency_p" + std::to_string(p.number("percentile") * 100)),
        target_(p.number("target")),
        slack_(p.number("slack")),
        utilization_(p.number("max_utilization")),
        most_up_(p.number("max_scale_up")),
        hold_(Duration::from_seconds(p.number("scale_down_hold"))),
        range_(p) {}

  bool wants_metrics() const override { return true; }
  bool wants_latencies() const override { return true; }

  AutoscalingDecision decide(const AutoscalingView& view) override {
    const std::uint32_t current = range_.clamp(view.current);
    if (view.samples.empty()) return {current, "no new sample"};
    const ServiceMetrics& m = view.samples.back();
    const std::optional<double> latency = metric_.of(m);
    if (!latency && m.in_flight > 0) {
      calm_since_.reset();
      return grow(current, most_up_, "requests and no answers");
    }
    if (latency && *latency > target_) {
      calm_since_.reset();
      return grow(current, std::min(most_up_, *latency / target_), "above the objective");
    }
    // One less is enough when it keeps both the latency and the load of those that stay low.
    const double busy = current > 1 ? m.utilization * m.ready / (current - 1.0) : 1.0;
    if (current <= range_.min || (latency && *latency > slack_ * target_) || busy > utilization_) {
      calm_since_.reset();
      return {current, "within the objective"};
    }
    if (!calm_since_) calm_since_ = view.now;
    if (view.now - *calm_since_ < hold_) return {current, "could shrink"};
    calm_since_ = view.now;
    return {current - 1, "well within the objective"};
  }

 private:
  AutoscalingDecision grow(std::uint32_t current, double factor, std::string_view why) const {
    const double wanted = std::max(current + 1.0, std::ceil(current * factor));
    return {static_cast<std::uint32_t>(std::clamp(wanted, double(range_.min), double(range_.max))), why};
  }

  AutoscalingMetric metric_;
  double target_, slack_, utilization_, most_up_;
  Duration hold_;
  ReplicaRange range_;
  std::optional<Instant> calm_since_;
};

}  // namespace

PolicyEntry<AutoscalingPolicy> autoscaling_slo() {
  return {"slo",
          "Grows in proportion to a latency percentile above its objective, shrinks one by one when there "
          "is slack.",
          "latency-based scaling as in service-level autoscalers; proportional growth as the HPA's",
          "latency does not depend on replicas: long requests, a slow network or a slow store behind it.",
          "O(1) beside sorting the latencies of a window",
          {number_parameter("target", Dimension::duration, 0.2, 1e-6, 86400,
                            "objective of the latency at the service, waiting for replicas included"),
           number_parameter("percentile", Dimension::fraction, 0.95, 0.01, 1, "of it"),
           number_parameter("slack", Dimension::fraction, 0.7, 0, 1,
                            "share of the objective below which it may shrink"),
           number_parameter("max_utilization", Dimension::fraction, 0.7, 0.01, 1,
                            "mean busy share that the remaining replicas may have after shrinking"),
           number_parameter("max_scale_up", Dimension::none, 2, 1, 1000, "at most so many times at once"),
           number_parameter("scale_down_hold", Dimension::duration, 300, 0, 86400,
                            "time with slack before each replica goes"),
           number_parameter("min_replicas", Dimension::count, 1, 1, 1e6, "never fewer"),
           number_parameter("max_replicas", Dimension::count, 10, 1, 1e6, "never more")},
          make_policy<AutoscalingPolicy, Slo>};
}

}  // namespace isthmus::schedulers
