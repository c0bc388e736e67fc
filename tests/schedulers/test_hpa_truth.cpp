// Every case of truth/autoscaling_hpa.json, most of them asserted in Kubernetes' own unit tests,
// against the calculator, the behavior rules, the controller and the policy. A model without a
// handler here fails the test: none is silently skipped.
#include <gtest/gtest.h>

#include <functional>
#include <iostream>

#include "schedulers/hpa_controller.hpp"
#include "schedulers/hpa_replica_calculator.hpp"
#include "schedulers/registry.hpp"
#include "tests/schedulers/truth.hpp"

namespace isthmus::schedulers {
namespace {

using nlohmann::json;
using testing::has;

const Instant now = Instant::from_seconds(100'000);

Duration seconds(const json& v) { return Duration::from_seconds(v.get<double>()); }

HpaCalculatorConfig config_from(const json& in) {
  HpaCalculatorConfig config;
  config.tolerance = in.value("tolerance", 0.1);
  if (has(in, "cpu_initialization_period_s"))
    config.cpu_initialization_period = seconds(in.at("cpu_initialization_period_s"));
  if (has(in, "initial_readiness_delay_s"))
    config.initial_readiness_delay = seconds(in.at("initial_readiness_delay_s"));
  return config;
}

// Schema of the file: ready by default, older than the initialization period by default, and in its
// present state since the start.
HpaPod pod_from(const json& j, const HpaCalculatorConfig& config) {
  HpaPod pod;
  pod.ready = j.value("ready", true);
  pod.ready_known = !j.value("no_condition", false);
  pod.deleted = j.value("deleted", false);
  const std::string phase = j.value("phase", "Running");
  pod.phase = phase == "Failed"    ? HpaPhase::failed
              : phase == "Pending" ? HpaPhase::pending
                                   : HpaPhase::running;
  pod.age = has(j, "age") ? seconds(j.at("age"))
                          : config.cpu_initialization_period + Duration::from_seconds(3600);
  pod.since_transition = has(j, "since_transition") ? seconds(j.at("since_transition")) : pod.age;
  pod.window = has(j, "window") ? seconds(j.at("window")) : Duration::zero();
  pod.sample_age = has(j, "metric_age") ? seconds(j.at("metric_age")) : Duration::zero();
  if (has(j, "metric")) pod.value = j.at("metric").get<std::int64_t>();
  return pod;
}

std::vector<HpaPod> pods_from(const json& in, const char* values) {
  const HpaCalculatorConfig config = config_from(in);
  std::vector<HpaPod> pods;
  for (std::size_t i = 0; i < in.at("pods").size(); ++i) {
    HpaPod pod = pod_from(in.at("pods")[i], config);
    if (!in.at(values)[i].is_null()) pod.value = in.at(values)[i].get<std::int64_t>();
    if (has(in, "pod_request_milli")) pod.request = in.at("pod_request_milli")[i];
    pods.push_back(pod);
  }
  return pods;
}

HpaScalingRules rules_from(const json& j) {
  HpaScalingRules rules;
  rules.stabilization = seconds(j.at("stabilization_s"));
  const std::string select = j.at("select");
  rules.select = select == "Max"   ? HpaSelect::max
                 : select == "Min" ? HpaSelect::min
                                   : HpaSelect::disabled;
  for (const json& p : j.at("policies"))
    rules.policies.push_back(
        {p.at("type") == "Pods" ? HpaScalingPolicy::Type::pods : HpaScalingPolicy::Type::percent,
         p.at("value"), seconds(p.at("period_s"))});
  return rules;
}

std::vector<HpaScaleEvent> events_from(const json& j) {
  std::vector<HpaScaleEvent> events;
  for (const json& e : j) events.push_back({e.at("change"), now - seconds(e.at("age_s"))});
  return events;
}

std::vector<HpaRecommendation> recommendations_from(const json& j) {
  std::vector<HpaRecommendation> past;
  for (const json& r : j) past.push_back({r.at("v"), now - seconds(r.at("age_s"))});
  return past;
}

void resource_utilization(const json& in, const json& expected) {
  const auto pods = pods_from(in, "pod_usage_milli");
  const auto got =
      resource_replicas(in.at("current_replicas"), in.at("target_percent"), pods, config_from(in));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->replicas, expected.at("desired_replicas"));
  EXPECT_EQ(got->observed, expected.at("utilization_percent"));
}

void pods_metric(const json& in, const json& expected) {
  const auto pods = pods_from(in, "pod_values_milli");
  const auto got = pods_metric_replicas(in.at("current_replicas"), in.at("target_average_milli"),
                                        pods, config_from(in));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->replicas, expected.at("desired_replicas"));
  EXPECT_EQ(got->observed, expected.at("average_milli"));
}

void value_metric(const json& in, const json& expected) {
  const HpaProposal got =
      value_metric_replicas(in.at("current_replicas"), in.at("target_milli"), in.at("value_milli"),
                            in.at("ready_pods"), in.at("tolerance"));
  EXPECT_EQ(got.replicas, expected.at("desired_replicas"));
  EXPECT_EQ(got.observed, expected.at("reported_milli"));
}

void average_metric(const json& in, const json& expected) {
  const HpaProposal got = average_metric_replicas(in.at("current_replicas"), in.at("target_milli"),
                                                  in.at("value_milli"), in.at("tolerance"));
  EXPECT_EQ(got.replicas, expected.at("desired_replicas"));
  EXPECT_EQ(got.observed, expected.at("reported_milli"));
}

void pod_grouping(const json& in, const json& expected) {
  const HpaCalculatorConfig config = config_from(in);
  std::vector<HpaPod> pods;
  for (const json& p : in.at("pods")) pods.push_back(pod_from(p, config));
  const HpaPodGroups got = group_pods(pods, true, config);
  EXPECT_EQ(got.ready_count, expected.at("ready_count"));
  EXPECT_EQ(got.ignored, expected.at("ignored").get<std::vector<std::size_t>>());
  EXPECT_EQ(got.missing, expected.at("missing").get<std::vector<std::size_t>>());
}

void rate_limiting(const json& in, const json& expected) {
  const HpaLimited got = rate_limited(
      in.at("current_replicas"), in.at("metric_desired"), in.at("min"), in.at("max"),
      rules_from(in.at("scale_up")), rules_from(in.at("scale_down")),
      events_from(in.at("scale_up_events")), events_from(in.at("scale_down_events")), now);
  EXPECT_EQ(got.replicas, expected.at("replicas"));
  EXPECT_EQ(got.condition, expected.at("condition").get<std::string>());
}

void stabilization(const json& in, const json& expected) {
  EXPECT_EQ(stabilized(recommendations_from(in.at("recommendations")), in.at("current_replicas"),
                       in.at("metric_desired"), seconds(in.at("scale_up_stabilization_s")),
                       seconds(in.at("scale_down_stabilization_s")), now),
            expected.at("replicas"));
}

void legacy_stabilization(const json& in, const json& expected) {
  EXPECT_EQ(stabilized_downscale(recommendations_from(in.at("recommendations")),
                                 in.at("metric_desired"), seconds(in.at("window_s")), now),
            expected.at("replicas"));
}

// One reconciliation from an empty history, as in Kubernetes' tests of the controller, whose limits
// are wide unless the case says otherwise.
void reconcile(const json& in, const json& expected) {
  HpaSpec spec;
  spec.min_replicas = in.at("min");
  spec.max_replicas = in.at("max");
  spec.behavior.reset();
  if (has(in, "scale_up"))
    spec.behavior = HpaBehavior{rules_from(in.at("scale_up")), default_scale_down()};
  const std::int32_t current = in.at("spec_replicas");
  std::vector<HpaPod> pods;
  for (std::size_t i = 0; i < in.at("requests").size(); ++i) {
    HpaPod pod;
    pod.age = pod.since_transition = Duration::from_seconds(3600);
    pod.request = in.at("requests")[i];
    if (i < in.at("usage").size()) pod.value = in.at("usage")[i].get<std::int64_t>();
    pods.push_back(pod);
  }
  HpaController controller(spec, false);
  std::vector<std::optional<std::int32_t>> proposals;
  if (controller.needs_metrics(current)) {
    const auto p = resource_replicas(current, in.at("cpu_target"), pods, {});
    proposals.push_back(p ? std::optional(p->replicas) : std::nullopt);
  }
  const HpaOutcome got = controller.reconcile(now, current, proposals);
  EXPECT_EQ(got.replicas, expected.at("replicas"));

  const std::string reason = expected.at("reason");
  if (reason == "scale up") {
    EXPECT_GT(got.replicas, current);
  } else if (reason.starts_with("FailedGetResourceMetric")) {
    EXPECT_EQ(got.reason, "FailedGetMetrics");
  } else {
    EXPECT_TRUE(reason.starts_with(got.reason)) << reason << " but got " << got.reason;
  }
}

void set_rules(Parameters& p, const std::string& direction, const json& rules) {
  if (rules == "default") return;
  p.set(direction + "_stabilization", rules.at("stabilization_s").get<double>());
  std::string select = rules.at("select");
  select[0] = static_cast<char>(std::tolower(select[0]));
  p.set(direction + "_select", select);
  p.set(direction + "_pods", 0.0);
  p.set(direction + "_percent", 0.0);
  for (const json& rule : rules.at("policies")) {
    const std::string field = direction + (rule.at("type") == "Pods" ? "_pods" : "_percent");
    p.set(field, rule.at("value").get<double>());
    p.set(field + "_period", rule.at("period_s").get<double>());
  }
}

// The whole policy, from scraped utilization to the replica count, over 20 simulated minutes.
void closed_loop(const json& in, const json& expected) {
  const auto& entry = find_entry(autoscaling_policies(), "hpa");
  Parameters p(entry.parameters);
  p.set("target_utilization", in.at("target").get<double>() / 100);
  p.set("min_replicas", in.at("mn").get<double>());
  p.set("max_replicas", in.at("mx").get<double>());
  p.set("cpu_initialization_period", 0.0);  // pods are ready instantly, metrics instantaneous
  p.set("metrics_window", 0.0);
  set_rules(p, "scale_up", in.at("scale_up"));
  set_rules(p, "scale_down", in.at("scale_down"));
  const auto policy = entry.make(p);

  auto replicas = in.at("n0").get<std::uint32_t>();
  json changes = json::array({json::array({0.0, replicas})});
  for (const json& sample : in.at("load_milli_samples")) {
    ReplicaSample each;
    each.age = Duration::from_seconds(3600);
    each.utilization = sample[1].get<double>() / replicas / in.at("req").get<double>();
    const std::vector<ReplicaSample> samples(replicas, each);
    AutoscalingView view;
    view.now = view.observed_at = Instant::from_seconds(sample[0]);
    view.current = replicas;
    view.replicas = samples;
    const std::uint32_t desired = policy->decide(view).desired;
    if (desired != replicas) changes.push_back(json::array({sample[0].get<double>(), desired}));
    replicas = desired;
  }
  EXPECT_EQ(changes, expected.at("replica_changes"));
}

using Handler = std::function<void(const json&, const json&)>;

TEST(HpaTruth, EveryCasePasses) {
  ISTHMUS_NEED_TRUTH();
  const std::map<std::string, Handler> handlers{
      {"HPA resource utilization", resource_utilization},
      {"HPA pods metric (averageValue)", pods_metric},
      {"HPA object metric", value_metric},
      {"HPA external metric", value_metric},
      {"HPA external per-pod metric", average_metric},
      {"HPA object per-pod metric", average_metric},
      {"HPA pod grouping (cpu)", pod_grouping},
      {"HPA behavior rate limiting", rate_limiting},
      {"HPA stabilization window with behaviors", stabilization},
      {"HPA downscale stabilization (max recommendation in last 300 s)", legacy_stabilization},
      {"HPA full reconcile", reconcile},
      {"HPA closed loop: sync every 15 s, instantaneous metrics, pods ready instantly, total "
       "demand "
       "spread evenly over pods",
       closed_loop},
  };
  std::map<std::string, int> passed;
  const json cases = testing::truth_cases("autoscaling_hpa");
  for (const json& c : cases) {
    const std::string model = c.at("model");
    SCOPED_TRACE(c.at("id").get<std::string>());
    const auto handler = handlers.find(model);
    if (handler == handlers.end()) {
      ADD_FAILURE() << "no handler for model " << model;
      continue;
    }
    const int before = testing::failures_so_far();
    handler->second(c.at("inputs"), c.at("expected"));
    if (testing::failures_so_far() == before) ++passed[model];
  }
  for (const auto& [model, n] : testing::cases_per_model(cases))
    std::cout << passed[model] << " of " << n << "  " << model << "\n";
  EXPECT_GE(cases.size(), 64u);
}

}  // namespace
}  // namespace isthmus::schedulers
