// KEDA as an autoscaling policy.
#include <cstdint>
#include <optional>

#include "schedulers/autoscaling_metric.hpp"
#include "schedulers/autoscaling_policy.hpp"
#include "schedulers/entry.hpp"
#include "schedulers/keda.hpp"

namespace isthmus::schedulers {

namespace {

KedaSpec spec_from(const Parameters& p) {
  KedaSpec s;
  s.threshold = p.number("threshold");
  s.activation_threshold = p.number("activation_threshold");
  s.min_replicas = static_cast<std::int32_t>(p.number("min_replicas"));
  s.max_replicas = static_cast<std::int32_t>(p.number("max_replicas"));
  if (p.number("idle_replicas") >= 0) s.idle_replicas = static_cast<std::int32_t>(p.number("idle_replicas"));
  s.polling_interval = Duration::from_seconds(p.number("polling_interval"));
  s.cooldown_period = Duration::from_seconds(p.number("cooldown_period"));
  s.tolerance = p.number("tolerance");
  s.downscale_stabilization = Duration::from_seconds(p.number("scale_down_stabilization"));
  return s;
}

class KedaPolicy final : public AutoscalingPolicy {
 public:
  explicit KedaPolicy(const Parameters& p) : metric_(p.text("metric")), keda_(spec_from(p)) {}

  bool wants_metrics() const override { return true; }
  bool wants_latencies() const override { return metric_.wants_latencies(); }
  std::vector<std::string> external_metrics() const override {
    return metric_.externals();
  }

  AutoscalingDecision decide(const AutoscalingView& view) override {
    if (!view.samples.empty()) value_ = metric_.of(view.samples.back());
    const std::int32_t n = keda_.decide(view.now, static_cast<std::int32_t>(view.current), value_);
    return {static_cast<std::uint32_t>(n), keda_.reason()};
  }

 private:
  AutoscalingMetric metric_;
  Keda keda_;
  std::optional<double> value_;
};

}  // namespace

PolicyEntry<AutoscalingPolicy> autoscaling_keda() {
  const double day = 86400;
  return {
      "keda",
      "KEDA ScaledObject: an HPA on a total per replica (AverageValue); its operator leaves zero above an "
      "activation threshold and returns after a cooldown.",
      "KEDA documentation (pollingInterval 30 s, cooldownPeriod 300 s) and kubernetes/kubernetes for the HPA",
      "the first request must not wait: the operator looks every polling interval only.",
      "O(new samples + recommendations in the window)",
      {text_parameter("metric", "in_flight", {}, std::string("total that the replicas share: ") +
                                                     AutoscalingMetric::help),
       number_parameter("threshold", Dimension::none, 5, 0.001, 1e12, "of the metric per replica"),
       number_parameter("activation_threshold", Dimension::none, 0, 0, 1e12,
                        "the service leaves zero when the metric is above it"),
       number_parameter("polling_interval", Dimension::duration, 30, 0.001, day,
                        "between looks of the operator (pollingInterval)"),
       number_parameter("cooldown_period", Dimension::duration, 300, 0, day,
                        "after the last look that saw activity, before all replicas go (cooldownPeriod)"),
       number_parameter("idle_replicas", Dimension::none, -1, -1, 1e6,
                        "replicas without activity, below min_replicas (idleReplicaCount); -1: min_replicas"),
       number_parameter("tolerance", Dimension::fraction, 0.1, 0, 1, "of the HPA"),
       number_parameter("scale_down_stabilization", Dimension::duration, 300, 0, 3600, "of the HPA"),
       number_parameter("min_replicas", Dimension::count, 0, 0, 1e6, "never fewer while active "
                        "(minReplicaCount)"),
       number_parameter("max_replicas", Dimension::count, 100, 1, 1e6, "never more (maxReplicaCount)")},
      make_policy<AutoscalingPolicy, KedaPolicy>};
}

}  // namespace isthmus::schedulers
