#include "schedulers/hpa_object.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "schedulers/autoscaling_metric.hpp"
#include "schedulers/hpa_pods.hpp"
#include "schedulers/hpa_replica_calculator.hpp"

namespace isthmus::schedulers {

namespace {

class HpaOfObject final : public AutoscalingPolicy {
 public:
  explicit HpaOfObject(const HpaObject& o) : controller_(o.spec) {
    config_.tolerance = o.tolerance;
    for (const HpaMetric& m : o.metrics)
      metrics_.push_back({m, m.type == HpaMetric::Type::resource ? std::nullopt
                                                                 : std::optional(AutoscalingMetric(m.metric)),
                          std::nullopt});
  }

  bool wants_metrics() const override {
    return std::any_of(metrics_.begin(), metrics_.end(), [](const Source& s) { return s.named.has_value(); });
  }
  bool wants_latencies() const override {
    return std::any_of(metrics_.begin(), metrics_.end(),
                       [](const Source& s) { return s.named && s.named->wants_latencies(); });
  }
  std::vector<std::string> external_metrics() const override {
    std::vector<std::string> names;
    for (const Source& s : metrics_)
      if (s.named)
        for (std::string& name : s.named->externals()) names.push_back(std::move(name));
    return names;
  }

  AutoscalingDecision decide(const AutoscalingView& view) override {
    const auto current = static_cast<std::int32_t>(view.current);
    for (const ServiceMetrics& m : view.samples)
      for (Source& s : metrics_)
        if (s.named) s.value = s.named->of(m);
    std::vector<std::optional<std::int32_t>> proposals;
    if (controller_.needs_metrics(current)) {
      list_pods(view, &ReplicaSample::utilization, Duration::from_seconds(15), pods_);
      for (const Source& s : metrics_) proposals.push_back(proposal(s, current));
    }
    const HpaOutcome outcome = controller_.reconcile(view.now, current, proposals);
    return {static_cast<std::uint32_t>(outcome.replicas), outcome.reason};
  }

 private:
  struct Source {
    HpaMetric metric;
    std::optional<AutoscalingMetric> named;
    std::optional<double> value;         // the newest
  };

  static std::optional<std::int32_t> replicas(const std::optional<HpaProposal>& p) {
    return p ? std::optional(p->replicas) : std::nullopt;
  }

  std::optional<std::int32_t> proposal(const Source& s, std::int32_t current) {
    using Type = HpaMetric::Type;
    using Target = HpaMetric::Target;
    const HpaMetric& m = s.metric;
    if (m.type == Type::resource)
      return m.target == Target::utilization
                 ? replicas(resource_replicas(current, static_cast<std::int32_t>(m.amount), pods_, config_))
                 : replicas(pods_metric_replicas(current, m.amount, pods_, config_));
    if (!s.value) return std::nullopt;
    const auto ready = static_cast<std::int32_t>(
        std::count_if(pods_.begin(), pods_.end(), [](const HpaPod& p) { return p.ready; }));
    if (m.type == Type::pods) {
      // Known of the service; its replicas have equal parts of what is a total.
      if (current == 0) return average_metric_replicas(0, m.amount, milli(*s.value), config_.tolerance).replicas;
      if (ready == 0) return std::nullopt;
      std::vector<HpaPod> pods = pods_;
      const double each = s.named->is_total() ? *s.value / ready : *s.value;
      for (HpaPod& p : pods) p.value = p.ready ? std::optional(milli(each)) : std::nullopt;
      return replicas(pods_metric_replicas(current, m.amount, pods, config_));
    }
    if (m.target == Target::value)
      return value_metric_replicas(current, m.amount, milli(*s.value), ready, config_.tolerance).replicas;
    return average_metric_replicas(current, m.amount, milli(*s.value), config_.tolerance).replicas;
  }

  HpaController controller_;
  HpaCalculatorConfig config_;
  std::vector<Source> metrics_;
  std::vector<HpaPod> pods_;
};

}  // namespace

std::shared_ptr<AutoscalingPolicy> make_hpa(const HpaObject& object) {
  return std::make_shared<HpaOfObject>(object);
}

}  // namespace isthmus::schedulers
