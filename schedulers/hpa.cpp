// The Kubernetes HorizontalPodAutoscaler (autoscaling/v2) as an autoscaling policy: turns scraped
// samples into pods, and parameters into the object's specification.
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "schedulers/autoscaling_policy.hpp"
#include "schedulers/entry.hpp"
#include "schedulers/hpa_controller.hpp"
#include "schedulers/hpa_pods.hpp"
#include "schedulers/hpa_replica_calculator.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

std::int32_t whole(const Parameters& p, const std::string& name) {
  return static_cast<std::int32_t>(p.number(name));
}

HpaScalingRules rules_from(const Parameters& p, const std::string& direction) {
  const auto number = [&](const char* field) { return p.number(direction + field); };
  HpaScalingRules rules;
  rules.stabilization = Duration::from_seconds(number("_stabilization"));
  const std::string& select = p.text(direction + "_select");
  rules.select = select == "max"   ? HpaSelect::max
                 : select == "min" ? HpaSelect::min
                                   : HpaSelect::disabled;
  using Type = HpaScalingPolicy::Type;
  if (number("_pods") > 0)
    rules.policies.push_back({Type::pods, static_cast<std::int32_t>(number("_pods")),
                              Duration::from_seconds(number("_pods_period"))});
  if (number("_percent") > 0)
    rules.policies.push_back({Type::percent, static_cast<std::int32_t>(number("_percent")),
                              Duration::from_seconds(number("_percent_period"))});
  if (rules.policies.empty() && rules.select != HpaSelect::disabled) {
    throw InputError("hpa: " + direction + "_pods and " + direction +
                     "_percent are both 0; set one of them, or " + direction +
                     "_select to \"disabled\"");
  }
  return rules;
}

HpaSpec spec_from(const Parameters& p) {
  HpaSpec spec;
  spec.min_replicas = whole(p, "min_replicas");
  spec.max_replicas = whole(p, "max_replicas");
  if (spec.min_replicas > spec.max_replicas)
    throw InputError("hpa: min_replicas is above max_replicas");
  spec.behavior.reset();
  if (p.text("behavior") == "v2")
    spec.behavior = HpaBehavior{rules_from(p, "scale_up"), rules_from(p, "scale_down")};
  spec.downscale_stabilization = Duration::from_seconds(p.number("scale_down_stabilization"));
  return spec;
}

class Hpa final : public AutoscalingPolicy {
 public:
  explicit Hpa(const Parameters& p)
      : use_utilization_(p.text("metric") != "in_flight"),
        use_in_flight_(p.text("metric") != "utilization"),
        target_percent_(
            static_cast<std::int32_t>(std::lround(p.number("target_utilization") * 100))),
        target_in_flight_(milli(p.number("target_in_flight"))),
        window_(Duration::from_seconds(p.number("metrics_window"))),
        controller_(spec_from(p)) {
    config_.tolerance = p.number("tolerance");
    config_.cpu_initialization_period =
        Duration::from_seconds(p.number("cpu_initialization_period"));
    config_.initial_readiness_delay = Duration::from_seconds(p.number("initial_readiness_delay"));
  }

  AutoscalingDecision decide(const AutoscalingView& view) override {
    const auto current = static_cast<std::int32_t>(view.current);
    std::vector<std::optional<std::int32_t>> proposals;
    if (controller_.needs_metrics(current)) {
      if (use_utilization_) {
        list_pods(view, &ReplicaSample::utilization, window_, pods_);
        proposals.push_back(replicas(resource_replicas(current, target_percent_, pods_, config_)));
      }
      if (use_in_flight_) proposals.push_back(from_in_flight(view, current));
    }
    const HpaOutcome outcome = controller_.reconcile(view.now, current, proposals);
    return {static_cast<std::uint32_t>(outcome.replicas), outcome.reason};
  }

 private:
  static std::optional<std::int32_t> replicas(const std::optional<HpaProposal>& proposal) {
    return proposal ? std::optional(proposal->replicas) : std::nullopt;
  }

  std::optional<std::int32_t> from_in_flight(const AutoscalingView& view, std::int32_t current) {
    // No pod can report at zero replicas; what waits at the service is an object metric then.
    if (current == 0) {
      return average_metric_replicas(0, target_in_flight_, milli(view.waiting), config_.tolerance)
          .replicas;
    }
    list_pods(view, &ReplicaSample::in_flight, window_, pods_);
    return replicas(pods_metric_replicas(current, target_in_flight_, pods_, config_));
  }

  bool use_utilization_, use_in_flight_;
  std::int32_t target_percent_;
  std::int64_t target_in_flight_;
  Duration window_;
  HpaCalculatorConfig config_;
  HpaController controller_;
  std::vector<HpaPod> pods_;  // reused between decisions
};

std::vector<ParameterSpec> hpa_parameters() {
  const double year = 31536000;
  std::vector<ParameterSpec> specs{
      text_parameter("metric", "utilization", {"utilization", "in_flight", "both"},
                     "what is held at its target; with both, the larger proposal counts"),
      number_parameter("target_utilization", Dimension::fraction, 0.8, 0.01, 10,
                       "mean busy fraction of the replicas to aim at (averageUtilization / 100)"),
      number_parameter("target_in_flight", Dimension::none, 4, 0.001, 1e9,
                       "mean requests in flight per replica to aim at (averageValue)"),
      number_parameter("min_replicas", Dimension::count, 1, 0, 1e6,
                       "never fewer; 0 lets metric in_flight scale to zero and back"),
      number_parameter("max_replicas", Dimension::count, 10, 1, 1e6, "never more"),
      number_parameter("tolerance", Dimension::fraction, 0.1, 0, 1,
                       "relative distance from the target within which nothing changes"),
      number_parameter("cpu_initialization_period", Dimension::duration, 300, 0, year,
                       "age below which samples of unready or fresh replicas do not count; "
                       "utilization only"),
      number_parameter("initial_readiness_delay", Dimension::duration, 30, 0, year,
                       "a replica unready since within this time of its start was never ready"),
      number_parameter("metrics_window", Dimension::duration, 15, 0, 3600,
                       "time over which a utilization sample is averaged; set it to the scrape "
                       "interval"),
      text_parameter(
          "behavior", "v2", {"v2", "none"},
          "v2: the scale_* parameters, with the documented defaults; none: the rules for "
          "objects without a behavior field, at most max(2 n, 4) and "
          "scale_down_stabilization"),
  };
  const auto direction = [&](const std::string& name, double stabilization, double pods) {
    specs.push_back(number_parameter(
        name + "_stabilization", Dimension::duration, stabilization, 0, 3600,
        "window over which the most cautious recommendation counts (stabilizationWindowSeconds)"));
    specs.push_back(text_parameter(name + "_select", "max", {"max", "min", "disabled"},
                                   "which limit counts, the larger change, the smaller one, or no "
                                   "change at all (selectPolicy)"));
    specs.push_back(number_parameter(name + "_pods", Dimension::count, pods, 0, 1e6,
                                     "at most so many replicas per period; 0: no such limit"));
    specs.push_back(number_parameter(name + "_pods_period", Dimension::duration, 15, 1, 1800,
                                     "period of the limit in replicas"));
    specs.push_back(number_parameter(name + "_percent", Dimension::count, 100, 0, 1e6,
                                     "at most so many percent per period; 0: no such limit"));
    specs.push_back(number_parameter(name + "_percent_period", Dimension::duration, 15, 1, 1800,
                                     "period of the limit in percent"));
  };
  direction("scale_up", 0, 4);
  direction("scale_down", 300, 0);
  return specs;
}

}  // namespace

PolicyEntry<AutoscalingPolicy> autoscaling_hpa() {
  return {"hpa",
          "Kubernetes HorizontalPodAutoscaler v2: holds utilization or requests in flight at a "
          "target, with tolerance, stabilization windows and rate limits.",
          "kubernetes/kubernetes, pkg/controller/podautoscaler (autoscaling/v2)",
          "replicas take minutes to start or load comes in short bursts: it reacts to the past.",
          "O(replicas + recommendations in the window)",
          hpa_parameters(),
          make_policy<AutoscalingPolicy, Hpa>};
}

}  // namespace isthmus::schedulers
