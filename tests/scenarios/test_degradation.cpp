// Smaller variants by tenant: quotas that degrade instead of turning away, and classes that keep the full answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using testing::first_problem;
using testing::load_json;
using ::testing::HasSubstr;

// A gold and a free tenant with one full and one small variant.
json service_of_two(const std::string& gold_rate, const std::string& free_rate) {
  json s = {{"isthmus", 1}, {"name", "t"}, {"duration", "200 s"}, {"seed", 3},
            {"nodes", {{"m", {{"device", "raspberry-pi-5"}, {"tier", "edge"}}}}},
            {"network", {{"model", "fluid"}}},
            {"tenants", {{"gold", {{"priority", 2}}}, {"free", json::object()}}},
            {"models", {{"two", {{"shape", "resnet-50"},
                                 {"variants", {{"fp32", {{"weights", "fp32"}, {"accuracy", 0.76}, {"accuracy_source", "test"}}},
                                               {"int8", {{"weights", "int8"}, {"accuracy", 0.75}, {"accuracy_source", "test"}}}}}}}}},
            {"services", {{"s", {{"on", "m"}, {"model", "two"}, {"variants", json::array({"fp32", "int8"})},
                                 {"variant_policy", {{"policy", "class-degrade"}, {"queue", 3}}}}}}},
            {"workload", json::array()}};
  for (const auto& [tenant, rate] : {std::pair("gold", gold_rate), std::pair("free", free_rate)})
    s["workload"].push_back({{"name", tenant}, {"tenant", tenant}, {"source", "poisson"}, {"rate", rate}, {"target", "s"},
                             {"clients", {{"on", "m"}}}});
  return s;
}

double alone(const json& s) {
  json one = s;
  one["workload"] = json::array({s["workload"][0]});
  one["workload"][0]["source"] = "times";
  one["workload"][0].erase("rate");
  one["workload"][0]["times"] = {"0 s"};
  return world::run(*load_json(one).scenario, {}).value("latency.mean");
}

TEST(Degradation, LowClassesPayForAnOverload) {
  json s = service_of_two("1 /s", "1 /s");
  const double full = alone(s);
  // 30 % gold, 100 % free: too much for full answers, not for small ones.
  s["workload"][0]["rate"] = std::to_string(0.3 / full) + " /s";
  s["workload"][1]["rate"] = std::to_string(1.0 / full) + " /s";
  const auto r = world::run(*load_json(s).scenario, {});
  EXPECT_EQ(r.value("tenant_degraded.gold"), 0);
  EXPECT_NEAR(r.value("tenant_accuracy.gold"), 0.76, 1e-9);
  const double degraded = r.value("tenant_degraded.free");
  EXPECT_GT(degraded, 0.2);
  EXPECT_LT(degraded, 1);
  EXPECT_NEAR(r.value("tenant_accuracy.free"), 0.76 - 0.01 * degraded, 1e-9);
  EXPECT_GT(r.value("tenant_answered.free"), 0.97);
  // Without the rule the queue grows for everybody.
  s["services"]["s"]["variant_policy"] = "most-accurate";
  const auto none = world::run(*load_json(s).scenario, {});
  EXPECT_GT(none.value("tenant_latency.gold.mean"), 3 * r.value("tenant_latency.gold.mean"));
}

TEST(Degradation, QuotasDegradeInsteadOfTurningAway) {
  json s = service_of_two("0.2 /s", "0.5 /s");
  s["services"]["s"]["variant_policy"]["over_quota"] = "always";
  s["services"]["s"]["admission"] = {{{"policy", "quota"}, {"amount", 10}, {"window", "100 s"}, {"per", "tenant"},
                                      {"tenants", {"free"}}, {"otherwise", "degrade"}}};
  const auto r = world::run(*load_json(s).scenario, {});
  EXPECT_EQ(r.rejected, 0U);
  // Ten full answers in each of two windows.
  EXPECT_EQ(r.value("admitted.s/quota-0"), 20);
  EXPECT_EQ(r.value("turned_away.s/quota-0"), 0);
  const double all = r.value("tenant_requests.free");
  EXPECT_EQ(r.value("over_quota.s/quota-0"), all - 20);
  EXPECT_NEAR(r.value("tenant_degraded.free"), (all - 20) / all, 0.02);
  EXPECT_EQ(r.value("tenant_degraded.gold"), 0);
  EXPECT_EQ(world::run(*load_json(s).scenario, {}).fingerprint, r.fingerprint);
  s["services"]["s"]["admission"][0]["retry_after"] = true;
  EXPECT_THAT(first_problem(s), HasSubstr("nobody is turned away"));
}

TEST(Degradation, RulesThatDegradeStandBesideOthers) {
  // What the first lets in over the quota, the second still turns away.
  json s = service_of_two("0.2 /s", "0.5 /s");
  s["services"]["s"]["admission"] = {
      {{"policy", "quota"}, {"amount", 10}, {"window", "100 s"}, {"tenants", {"free"}}, {"otherwise", "degrade"}},
      {{"policy", "quota"}, {"amount", 30}, {"window", "100 s"}, {"tenants", {"free"}}}};
  const auto r = world::run(*load_json(s).scenario, {});
  EXPECT_EQ(r.value("admitted.s/quota-0"), 20);
  EXPECT_EQ(r.value("admitted.s/quota-1"), 60);
  EXPECT_EQ(r.rejected, static_cast<std::uint64_t>(r.value("tenant_requests.free")) - 60);
}

}  // namespace
}  // namespace isthmus::scenarios
