#include "scenarios/hpa_yaml.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/yaml_reading.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {
namespace {

using schedulers::HpaMetric;
using ::testing::HasSubstr;

const std::string manifest = R"(# The detector.
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: detector
  labels: {team: vision}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: detector
  minReplicas: 2      # one per zone
  maxReplicas: 20
  metrics:
  - type: Resource
    resource:
      name: cpu
      target:
        type: Utilization
        averageUtilization: 70   # percent
  - type: Pods
    pods:
      metric:
        name: http_requests_per_second
      target: {type: AverageValue, averageValue: "1k"}
  - type: External
    external:
      metric:
        name: orders
        selector: {matchLabels: {queue: main}}
      target:
        type: Value
        value: 30
  behavior:
    scaleDown:
      stabilizationWindowSeconds: 120
      selectPolicy: Min
      policies:
      - {type: Pods, value: 1, periodSeconds: 60}
      - {type: Percent, value: 10, periodSeconds: 30}
)";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

std::string refusal(const std::string& text) {
  try {
    parse_hpa_manifest(text, "hpa.yaml", {{"http_requests_per_second", "rate"}});
  } catch (const InputError& e) {
    return e.what();
  }
  return "accepted";
}

TEST(HpaYaml, SaysWhatTheManifestSays) {
  const HpaManifest m = parse_hpa_manifest(manifest, "hpa.yaml", {{"http_requests_per_second", "rate"}});
  EXPECT_EQ(m.object.name, "detector");
  EXPECT_EQ(m.object.spec.min_replicas, 2);
  EXPECT_EQ(m.object.spec.max_replicas, 20);
  ASSERT_EQ(m.object.metrics.size(), 3u);
  EXPECT_EQ(m.object.metrics[0].target, HpaMetric::Target::utilization);
  EXPECT_EQ(m.object.metrics[0].amount, 70);
  EXPECT_EQ(m.object.metrics[1].metric, "rate");
  EXPECT_EQ(m.object.metrics[1].amount, 1'000'000);
  EXPECT_EQ(m.object.metrics[2].metric, "external:orders");
  EXPECT_EQ(m.object.metrics[2].target, HpaMetric::Target::value);
  EXPECT_EQ(m.object.metrics[2].amount, 30'000);
  ASSERT_TRUE(m.object.spec.behavior);
  EXPECT_EQ(m.object.spec.behavior->up.policies.size(), 2u);  // the defaults
  const auto& down = m.object.spec.behavior->down;
  EXPECT_EQ(down.stabilization, Duration::from_seconds(120));
  EXPECT_EQ(down.select, schedulers::HpaSelect::min);
  ASSERT_EQ(down.policies.size(), 2u);
  EXPECT_EQ(down.policies[1].value, 10);
  EXPECT_EQ(m.ignored, std::vector<std::string>{"spec.metrics[2].external.metric.selector"});
}

TEST(HpaYaml, FindsTheAutoscalerAmongSeveralDocuments) {
  const std::string deployment = "apiVersion: apps/v1\nkind: Deployment\n---\n";
  EXPECT_EQ(refusal(deployment + manifest), "accepted");
  EXPECT_THAT(refusal(deployment + "kind: Service\n"), HasSubstr("no HorizontalPodAutoscaler"));
  EXPECT_THAT(refusal(manifest + "---\n" + manifest), HasSubstr("a second"));
}

TEST(HpaYaml, NamesPlaceAndReasonOfWhatIsWrong) {
  const std::vector<std::array<std::string, 3>> wrong{
      {"autoscaling/v2\n", "autoscaling/v1\n", "hpa.yaml:2:13: apiVersion: \"autoscaling/v1\": only autoscaling/v2"},
      {"autoscaling/v2\n", "autoscaling/v2beta2\n", "removed from Kubernetes 1.26"},
      {"kind: HorizontalPodAutoscaler", "kind: Deployment", "hpa.yaml:3:7: kind"},
      {"maxReplicas: 20", "maxReplica: 20", "hpa.yaml:13:3: spec.maxReplica: no such field; did you mean \"maxReplicas\""},
      {"maxReplicas: 20", "maxReplicas: 1", "minReplicas 2 is above maxReplicas 1"},
      {"maxReplicas: 20", "maxReplicas: many", "\"many\" is no integer"},
      {"maxReplicas: 20", "maxReplicas: 99999999999", "is not between"},
      {"maxReplicas: 20", "maxReplicas: 20\n  maxReplicas: 21", "is given twice"},
      {"averageUtilization: 70 ", "averageUtilization: 70% ", "it is a number of percent"},
      {"averageUtilization: 70 ", "averageUtilization: 0 ", "is not between"},
      {"averageUtilization: 70 ", "averageValue: 500m ", "does not belong to type Utilization"},
      {"\"1k\"", "\"70%\"", "a percentage goes into averageUtilization"},
      {"\"1k\"", "1x", "is no quantity"},
      {"\"1k\"", "0", "has to be above 0"},
      {"name: cpu", "name: memory", "memory does not follow from load"},
      {"type: Resource", "type: Resources", "did you mean \"Resource\""},
      {"type: Resource", "type: Object", "does not belong to type Object"},
      {"selectPolicy: Min", "selectPolicy: min", "none of its values"},
      {"periodSeconds: 60", "periodSeconds: 3600", "is not between 1 and 1800"},
      {"stabilizationWindowSeconds: 120", "stabilizationWindow: 120", "did you mean \"stabilizationWindowSeconds\""},
      {"minReplicas: 2 ", "minReplicas: -1 ", "is not between"},
      {"    kind: Deployment\n", "", "needs \"kind\""},
      {"metadata:\n  name: detector\n  labels: {team: vision}\n", "metadata: [1]\n", "has to be an object"},
      {"  behavior:", "  behavior: {scaleUp: {tolerance: 0.2}}\n  other:", "same for scaleUp and scaleDown"},
      {"# The detector.", "\tx: [", "hpa.yaml:1:"},
      {"http_requests_per_second", "requests", "say in \"metrics\""},
  };
  for (const auto& [from, to, reason] : wrong)
    EXPECT_THAT(refusal(replaced(manifest, from, to)), HasSubstr(reason)) << to;
  EXPECT_THAT(refusal(""), HasSubstr("hpa.yaml:1:1"));
  EXPECT_THAT(refusal("just text"), HasSubstr("has to be an object"));
  EXPECT_THAT(refusal("- 1\n- 2\n"), HasSubstr("has to be an object"));
  EXPECT_THAT(refusal(std::string("a: \0b", 5)), ::testing::Not("accepted"));
}

TEST(HpaYaml, ZeroReplicasNeedAMetricWithoutPods) {
  const std::string none = replaced(manifest, "minReplicas: 2 ", "minReplicas: 0 ");
  EXPECT_EQ(refusal(none), "accepted");
  const std::size_t from = none.find("  - type: External"), to = none.find("  behavior:");
  EXPECT_THAT(refusal(none.substr(0, from) + none.substr(to)), HasSubstr("Object or External"));
}

TEST(Quantities, AreInMilliUnits) {
  EXPECT_EQ(parse_quantity("500m"), 500);
  EXPECT_EQ(parse_quantity("2"), 2000);
  EXPECT_EQ(parse_quantity("1.5k"), 1'500'000);
  EXPECT_EQ(parse_quantity("1Ki"), 1'024'000);
  EXPECT_EQ(parse_quantity("100n"), 1);  // rounded up
  EXPECT_EQ(parse_quantity("1e3"), 1'000'000);
  for (const char* bad : {"", "m", "70%", "1 k", "1kk", "nan", "inf", "1e400", "0x10", "--1"})
    EXPECT_EQ(parse_quantity(bad), std::nullopt) << bad;
}

TEST(YamlEdit, ChangesOnlyTheValue) {
  const std::string after = edit_yaml(manifest, "hpa.yaml",
                                      {{"spec.maxReplicas", "30"},
                                       {"spec.minReplicas", "3"},
                                       {"spec.metrics[0].resource.target.averageUtilization", "55"},
                                       {"spec.metrics[1].pods.target.averageValue", "2k"},
                                       {"spec.behavior.scaleDown.policies[1].value", "25"}});
  std::string expected = replaced(manifest, "maxReplicas: 20", "maxReplicas: 30");
  expected = replaced(expected, "minReplicas: 2 ", "minReplicas: 3 ");
  expected = replaced(expected, "averageUtilization: 70 ", "averageUtilization: 55 ");
  expected = replaced(expected, "\"1k\"", "\"2k\"");
  expected = replaced(expected, "value: 10,", "value: 25,");
  EXPECT_EQ(after, expected);
}

TEST(YamlEdit, AddsFieldsToObjects) {
  const std::string without = replaced(manifest, "  minReplicas: 2      # one per zone\n", "");
  EXPECT_EQ(edit_yaml(without, "hpa.yaml", {{"spec.minReplicas", "4"}}),
            replaced(without, "  maxReplicas: 20\n", "  maxReplicas: 20\n  minReplicas: 4\n"));
  EXPECT_EQ(edit_yaml("kind: HorizontalPodAutoscaler", "x", {{"apiVersion", "autoscaling/v2"}}),
            "kind: HorizontalPodAutoscaler\napiVersion: autoscaling/v2\n");
}

TEST(YamlEdit, RefusesWhatItCannotKeep) {
  const auto refused = [](const std::string& path, const std::string& value) {
    try {
      edit_yaml(manifest, "hpa.yaml", {{path, value}});
    } catch (const InputError& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(refused("spec.metrics[7].type", "Pods"), HasSubstr("there is no \"7\""));
  EXPECT_THAT(refused("spec.metrics", "x"), HasSubstr("no single value"));
  EXPECT_THAT(refused("spec.metrics[x]", "1"), HasSubstr("an index is a number"));
  EXPECT_THAT(refused("spec..maxReplicas", "1"), HasSubstr("is no path"));
  EXPECT_THAT(refused("spec.maxReplicas", "1\n  x: 2"), HasSubstr("a value is a number or a word"));
  EXPECT_THAT(refused("spec.maxReplicas", "[1, 2]"), HasSubstr("without changing more"));
  EXPECT_THAT(refused("spec.maxReplicas", "1, b: 2"), ::testing::Not("accepted"));
  EXPECT_THAT(refused("spec.metrics[1].pods.target.type", "a, b: 2"), HasSubstr("without changing more"));
}

TEST(UnifiedDiff, ShowsHunksWithContext) {
  std::string before, after;
  for (int i = 1; i <= 20; ++i) {
    before += std::to_string(i) + "\n";
    if (i != 19) after += (i == 5 ? "five" : std::to_string(i)) + std::string("\n");
  }
  EXPECT_EQ(unified_diff(before, after, "a", "b"),
            "--- a\n+++ b\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n"
            "@@ -16,5 +16,4 @@\n 16\n 17\n 18\n-19\n 20\n");
  EXPECT_EQ(unified_diff("x\n", "x\n", "a", "b"), "");
  EXPECT_EQ(unified_diff("", "x\n", "a", "b"), "--- a\n+++ b\n@@ -0,0 +1 @@\n+x\n");
  EXPECT_EQ(unified_diff("x", "y\n", "a", "b"),
            "--- a\n+++ b\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+y\n");
}

}  // namespace
}  // namespace isthmus::scenarios
