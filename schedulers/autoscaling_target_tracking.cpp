// AWS target tracking: two alarms around a target, and a capacity in proportion to the metric.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

#include "schedulers/autoscaling_metric.hpp"
#include "schedulers/autoscaling_policy.hpp"
#include "schedulers/entry.hpp"
#include "schedulers/metric_alarm.hpp"
#include "schedulers/replica_range.hpp"
#include "schedulers/target_tracking.hpp"

namespace isthmus::schedulers {

std::uint32_t proportional_capacity(double current, double metric, double target) {
  // Rounded first: 3 * 0.2 / 0.6 is a little more than 1.
  const double wanted = std::ceil(std::round(current * metric / target * 1e9) / 1e9);
  return static_cast<std::uint32_t>(std::clamp(wanted, 0.0, 4e9));
}

namespace {

class TargetTracking final : public AutoscalingPolicy {
 public:
  explicit TargetTracking(const Parameters& p)
      : metric_(p.text("metric")),
        target_(p.number("target")),
        out_cooldown_(Duration::from_seconds(p.number("scale_out_cooldown"))),
        in_cooldown_(Duration::from_seconds(p.number("scale_in_cooldown"))),
        warmup_(Duration::from_seconds(p.number("instance_warmup"))),
        shrinks_(p.text("scale_in") == "enabled"),
        range_(p),
        points_(Duration::from_seconds(p.number("point_period"))),
        high_(target_, true, static_cast<std::uint32_t>(p.number("scale_out_points"))),
        low_(target_ * p.number("scale_in_ratio"), false,
             static_cast<std::uint32_t>(p.number("scale_in_points"))) {}

  bool wants_metrics() const override { return true; }
  bool wants_latencies() const override { return metric_.wants_latencies(); }
  std::vector<std::string> external_metrics() const override {
    return metric_.externals();
  }

  AutoscalingDecision decide(const AutoscalingView& view) override {
    for (const ServiceMetrics& m : view.samples) add(view, m);
    if (const auto last = points_.end(view.now)) see(*last);
    const std::uint32_t current = range_.clamp(view.current);
    if (!point_) return {current, "no points"};
    const std::uint32_t wanted =
        std::clamp(proportional_capacity(point_->replicas, point_->value, target_), range_.min, range_.max);
    if (high_.in_alarm()) {
      // Replicas that were added and are not yet measured count: only what is wanted beyond them.
      if (wanted <= current) return {current, "capacity already added"};
      if (out_until_ > view.now && wanted <= out_capacity_) return {current, "scale-out cooldown"};
      out_until_ = view.now + out_cooldown_;
      out_capacity_ = wanted;
      low_.forget();
      return {wanted, "above target"};
    }
    if (low_.in_alarm() && shrinks_ && wanted < current) {
      if (out_until_ > view.now || in_until_ > view.now) return {current, "cooldown"};
      in_until_ = view.now + in_cooldown_;
      return {wanted, "below target"};
    }
    return {current, "near target"};
  }

 private:
  void add(const AutoscalingView& view, const ServiceMetrics& m) {
    double replicas = m.ready;
    std::optional<double> value = metric_.of(m);
    // Those that warm up are not measured; known of the newest sample only.
    if (warmup_ > Duration::zero() && &m == &view.samples.back() && metric_.is_utilization()) {
      double sum = 0;
      replicas = 0;
      for (const ReplicaSample& r : view.replicas)
        if (r.ready && r.utilization && r.since_transition.value_or(r.age) >= warmup_) {
          sum += *r.utilization;
          ++replicas;
        }
      value = replicas > 0 ? std::optional(sum / replicas) : std::nullopt;
    }
    if (!value || replicas <= 0) return;
    if (metric_.is_total()) *value /= replicas;
    if (const auto ended = points_.add(m.observed_at - Duration(1), *value, replicas)) see(*ended);
  }

  void see(const MetricPoints::Point& p) {
    point_ = p;
    high_.see(p.value);
    low_.see(p.value);
  }

  AutoscalingMetric metric_;
  double target_;
  Duration out_cooldown_, in_cooldown_, warmup_;
  bool shrinks_;
  ReplicaRange range_;
  std::uint32_t out_capacity_ = 0;
  MetricPoints points_;
  MetricAlarm high_, low_;
  std::optional<MetricPoints::Point> point_;
  Instant out_until_, in_until_;
};

}  // namespace

PolicyEntry<AutoscalingPolicy> autoscaling_target_tracking() {
  const double day = 86400;
  return {
      "target-tracking",
      "AWS target tracking: grows in proportion after 3 one-minute points above the target, shrinks "
      "after 15 below 90 % of it, with cooldowns.",
      "AWS Application Auto Scaling user guide (proportional, rounded up; cooldowns of 300 s as for ECS "
      "and SageMaker); 3 and 15 points and 90 % are what its alarms are seen to have",
      "load changes within minutes: it looks at three points before it grows.",
      "O(replicas + new samples)",
      {text_parameter("metric", "utilization", {}, std::string("what is held at the target: ") +
                                                       AutoscalingMetric::help + "; totals per replica"),
       number_parameter("target", Dimension::none, 0.5, 1e-9, 1e12,
                        "of the metric per replica, in its unit: a utilization as 0.5"),
       number_parameter("point_period", Dimension::duration, 60, 1, day, "of a point"),
       number_parameter("scale_out_points", Dimension::count, 3, 1, 1000, "in a row above the target"),
       number_parameter("scale_in_points", Dimension::count, 15, 1, 1000,
                        "in a row below scale_in_ratio times the target"),
       number_parameter("scale_in_ratio", Dimension::fraction, 0.9, 0.01, 1, "see there"),
       number_parameter("scale_out_cooldown", Dimension::duration, 300, 0, day,
                        "after growing, only still larger capacities are taken, and none is given back"),
       number_parameter("scale_in_cooldown", Dimension::duration, 300, 0, day,
                        "after shrinking, before it shrinks again; growing is not held up"),
       number_parameter("instance_warmup", Dimension::duration, 0, 0, day,
                        "time as ready before a replica is measured; metric utilization only"),
       text_parameter("scale_in", "enabled", {"enabled", "disabled"}, "whether it shrinks at all"),
       number_parameter("min_replicas", Dimension::count, 1, 1, 1e6, "never fewer"),
       number_parameter("max_replicas", Dimension::count, 10, 1, 1e6, "never more")},
      make_policy<AutoscalingPolicy, TargetTracking>};
}

}  // namespace isthmus::schedulers
