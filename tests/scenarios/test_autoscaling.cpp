// Autoscaling in scenario files: what is refused, and whole runs with a manifest and with KEDA.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"
#include "tests/scenarios/temporary_folder.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using testing::first_problem;
using testing::load_json;
using ::testing::HasSubstr;

// Requests of 1 s, one after the other at a replica.
json station(const json& autoscaling, const json& workload, const json& service = json::object()) {
  json s = {{"isthmus", 1},
            {"name", "t"},
            {"duration", "1000 s"},
            {"nodes", {{"server", {{"count", 10}}}}},
            {"network", {{"model", "fluid"}}},
            {"services",
             {{"s", {{"service_time", "1 s"}, {"on", "server"}, {"local", false}, {"autoscaling", autoscaling}}}}},
            {"workload", json::array({workload})}};
  s["services"]["s"].update(service);
  return s;
}

json series(const std::vector<std::pair<std::string, double>>& values) {
  json list = json::array();
  for (const auto& [at, value] : values) list.push_back(json::array({at, value}));
  return list;
}

const json steady = {{"source", "deterministic"}, {"rate", "2 /s"}};

results::Summary run_of(const json& s) { return world::run(*load_json(s).scenario, {}); }

TEST(AutoscalingScenario, NamesWhatIsMissing) {
  json a = {{"policy", "keda"}, {"metric", "external:orders"}, {"external", {{"order", series({{"0 s", 1}})}}}};
  EXPECT_THAT(first_problem(station(a, steady)), HasSubstr("no external metric \"orders\""));
  EXPECT_THAT(first_problem(station(a, steady)), HasSubstr("\"order\""));
  a["external"] = {{"orders", series({{"10 s", 1}, {"5 s", 2}})}};
  EXPECT_THAT(first_problem(station(a, steady)), HasSubstr("dates must increase"));
  EXPECT_THAT(first_problem(station({{"policy", "target-tracking"}, {"metric", "cpu"}}, steady)),
              HasSubstr("no metric \"cpu\""));
  json fixed = station(steady, steady, {{"replicas", 0}});
  fixed["services"]["s"].erase("autoscaling");
  EXPECT_THAT(first_problem(fixed), HasSubstr("nobody would ever answer"));
  EXPECT_THAT(first_problem(station({{"policy", "hpa-yaml"}, {"file", "/none.yaml"}}, steady)), HasSubstr("/none.yaml"));
}

// 20 orders per replica, all of the time until they are gone at 400 s.
TEST(AutoscalingScenario, KedaFollowsAnExternalSeriesAndGoesToItsIdleReplicas) {
  json a = {{"policy", "keda"},        {"metric", "external:orders"}, {"threshold", 20},
            {"min_replicas", 2},       {"idle_replicas", 0},          {"max_replicas", 8},
            {"cooldown_period", "60 s"}, {"scale_down_stabilization", "0 s"},
            {"period", "5 s"},         {"scrape_period", "5 s"},      {"scrape_delay", "0 s"},
            {"polling_interval", "5 s"}, {"external", {{"orders", series({{"0 s", 100}, {"400 s", 0}})}}}};
  const results::Summary r = run_of(station(a, {{"source", "deterministic"}, {"rate", "0.5 /s"}, {"limit", 150}}, {{"replicas", 2}}));
  EXPECT_EQ(r.services[0].max_replicas, 5u);  // ceil(100 / 20)
  // Two at first, five until 405 s, two for the cooldown, none for the rest.
  EXPECT_NEAR(r.services[0].mean_replicas, (5 * 400 + 2 * 60) / 1000.0, 0.05);
}

TEST(AutoscalingScenario, AManifestScalesAsThePolicyWithTheSameNumbers) {
  const testing::TemporaryFolder folder;
  const std::string text = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nspec:\n"
                         "  scaleTargetRef: {kind: Deployment, name: s}\n  maxReplicas: 9\n  metrics:\n"
                         "  - type: Resource\n    resource:\n      name: cpu\n"
                         "      target: {type: Utilization, averageUtilization: 60}\n  behavior: {}\n";
  const std::string file = folder.write("hpa.yaml", text).string();
  const json manifest = {{"policy", "hpa-yaml"}, {"file", file}};
  const json policy = {{"policy", "hpa"}, {"target_utilization", 0.6}, {"max_replicas", 9}};
  const results::Summary a = run_of(station(manifest, steady)), b = run_of(station(policy, steady));
  EXPECT_EQ(a.fingerprint, b.fingerprint);
  EXPECT_GT(a.services[0].max_replicas, 2u);
  EXPECT_THAT(first_problem(station(manifest, steady, {{"max_replicas", 5}})), HasSubstr("the manifest says it"));
  folder.write("hpa.yaml", text + "  minReplica: 2\n");
  EXPECT_THAT(first_problem(station(manifest, steady)), HasSubstr("hpa.yaml:12:3: spec.minReplica: no such field"));
}

}  // namespace
}  // namespace isthmus::scenarios
