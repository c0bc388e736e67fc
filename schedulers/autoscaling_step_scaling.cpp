// AWS step scaling: the further a metric is beyond a bound, the larger the step.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "schedulers/autoscaling_metric.hpp"
#include "schedulers/autoscaling_policy.hpp"
#include "schedulers/entry.hpp"
#include "schedulers/metric_alarm.hpp"
#include "schedulers/replica_range.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

class StepScaling final : public AutoscalingPolicy {
 public:
  explicit StepScaling(const Parameters& p)
      : metric_(p.text("metric")),
        adjustment_(p.text("adjustment")),
        cooldown_(Duration::from_seconds(p.number("cooldown"))),
        range_(p),
        points_(Duration::from_seconds(p.number("point_period"))),
        out_(p, "scale_out", true),
        in_(p, "scale_in", false) {
    if (in_.bound > out_.bound)
      throw InputError("step-scaling: scale_in_below is above scale_out_above; both would hold at once");
  }

  bool wants_metrics() const override { return true; }
  bool wants_latencies() const override { return metric_.wants_latencies(); }
  std::vector<std::string> external_metrics() const override {
    return metric_.externals();
  }

  AutoscalingDecision decide(const AutoscalingView& view) override {
    for (const ServiceMetrics& m : view.samples) {
      std::optional<double> value = metric_.of(m);
      if (!value || (metric_.is_total() && m.ready == 0)) continue;
      if (metric_.is_total()) *value /= m.ready;
      if (const auto ended = points_.add(m.observed_at - Duration(1), *value, m.ready)) see(*ended);
    }
    if (const auto last = points_.end(view.now)) see(*last);
    const std::uint32_t current = range_.clamp(view.current);
    for (Side* side : {&out_, &in_}) {
      if (!side->alarm.in_alarm()) continue;
      if (view.now < side->until) return {current, "cooldown"};
      const std::uint32_t wanted = adjusted(current, side->change_at(value_), side == &out_);
      if (wanted == current) return {current, "at a bound"};
      side->until = view.now + cooldown_;
      if (side == &out_) in_.until = side->until;  // not to give back at once what is not yet there
      return {wanted, side == &out_ ? "step out" : "step in"};
    }
    return {current, "between the bounds"};
  }

 private:
  struct Side {
    double bound;
    MetricAlarm alarm;
    std::vector<double> from, change;
    bool above;
    Instant until;

    Side(const Parameters& p, const std::string& name, bool up)
        : bound(p.number(name + (up ? "_above" : "_below"))),
          alarm(bound, up, static_cast<std::uint32_t>(p.number(name + "_points"))),
          from(p.list(name + "_from")),
          change(p.list(name + "_change")),
          above(up) {
      if (from.empty() && change.size() <= 1) from = {0};
      if (change.empty() && from.size() == 1) change = {up ? 1.0 : -1.0};
      if (from.size() != change.size())
        throw InputError("step-scaling: " + name + "_from and " + name +
                         "_change describe the same steps and are equally long");
      if (from.front() != 0 || !std::is_sorted(from.begin(), from.end()) ||
          std::adjacent_find(from.begin(), from.end()) != from.end())
        throw InputError("step-scaling: " + name + "_from begins with 0 and increases");
    }

    // Of the step that the distance from the bound is in.
    double change_at(double value) const {
      const double distance = above ? value - bound : bound - value;
      const auto after = std::upper_bound(from.begin(), from.end(), distance);
      return change[static_cast<std::size_t>(std::max<std::ptrdiff_t>(1, after - from.begin()) - 1)];
    }
  };

  void see(const MetricPoints::Point& p) {
    value_ = p.value;
    out_.alarm.see(p.value);
    in_.alarm.see(p.value);
  }

  std::uint32_t adjusted(std::uint32_t current, double change, bool out) const {
    double wanted = change;
    if (adjustment_ == "change") wanted = current + change;
    if (adjustment_ == "percent") {
      // Rounded towards zero, but by one at least, as AWS does.
      double by = std::trunc(current * change / 100);
      if (by == 0 && change != 0) by = change > 0 ? 1 : -1;
      wanted = current + by;
    }
    const auto n = static_cast<std::uint32_t>(std::clamp(std::round(wanted), double(range_.min), double(range_.max)));
    return out ? std::max(n, current) : std::min(n, current);
  }

  AutoscalingMetric metric_;
  std::string adjustment_;
  Duration cooldown_;
  ReplicaRange range_;
  MetricPoints points_;
  Side out_, in_;
  double value_ = 0;
};

}  // namespace

PolicyEntry<AutoscalingPolicy> autoscaling_step_scaling() {
  const double day = 86400;
  std::vector<ParameterSpec> specs{
      text_parameter("metric", "utilization", {}, std::string("what is looked at: ") +
                                                      AutoscalingMetric::help + "; totals per replica"),
      number_parameter("point_period", Dimension::duration, 60, 1, day, "of a point"),
      text_parameter("adjustment", "change", {"change", "percent", "exact"},
                     "what the numbers of scale_*_change are: replicas to add, percent of the present "
                     "ones, or the new number"),
      number_parameter("cooldown", Dimension::duration, 300, 0, day,
                       "after a step, before the next in the same direction; after growing, also before "
                       "shrinking")};
  const auto side = [&](const std::string& name, const char* bound, double value, double points,
                        const char* beyond) {
    specs.push_back(number_parameter(name + bound, Dimension::none, value, 0, 1e12,
                                     "bound of the alarm, in the unit of the metric"));
    specs.push_back(number_parameter(name + "_points", Dimension::count, points, 1, 1000,
                                     std::string("in a row ") + beyond + " it"));
    specs.push_back(list_parameter(name + "_from", Dimension::none, 0, 1e12,
                                   "distances from the bound at which steps begin, the first 0; none: [0]"));
    specs.push_back(list_parameter(name + "_change", Dimension::none, -1e6, 1e6,
                                   "what each step does; none: one replica"));
  };
  side("scale_out", "_above", 0.7, 2, "above");
  side("scale_in", "_below", 0.3, 5, "below");
  specs.push_back(number_parameter("min_replicas", Dimension::count, 1, 1, 1e6, "never fewer"));
  specs.push_back(number_parameter("max_replicas", Dimension::count, 10, 1, 1e6, "never more"));
  return {"step-scaling",
          "AWS step scaling: an alarm above a bound adds replicas, one below another removes some, the "
          "more the further the metric is away.",
          "Amazon EC2 Auto Scaling user guide (step scaling policies)",
          "the right steps are not known: they are tuned by hand for each service.",
          "O(new samples + steps)",
          specs,
          make_policy<AutoscalingPolicy, StepScaling>};
}

}  // namespace isthmus::schedulers
