// What balancers, rules of admission and variant policies saw of one request, from a run that was kept.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "scenarios/decision_explanation.hpp"
#include "schedulers/routing_policy.hpp"
#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"
#include "tests/scenarios/temporary_folder.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using testing::load_json;
using testing::TemporaryFolder;
using ::testing::HasSubstr;

json replicas(const json& routing) {
  return {{"isthmus", 1},
          {"name", "t"},
          {"duration", "60 s"},
          {"seed", 5},
          {"nodes", {{"server", {{"count", 4}}}}},
          {"network", {{"model", "fluid"}}},
          {"services", {{"s", {{"service_time", {{"distribution", "exponential"}, {"mean", "0.1 s"}}}, {"on", "server"},
                               {"local", false}, {"replicas", 4}, {"routing", routing}}}}},
          {"workload", {{{"name", "load"}, {"source", "poisson"}, {"rate", "10 /s"}, {"target", "s"},
                         {"clients", {{"on", "server"}, {"count", 7}}}}}}};
}

struct Kept {
  results::RequestRecord record;
  DecisionExplanation e;
};

Kept explained(const json& s, std::uint64_t request) {
  const TemporaryFolder folder;
  const auto run = folder.path() / "run";
  Kept k;
  world::RunOptions options;
  options.directory = run;
  options.on_request = [&](const results::RequestRecord& r) {
    if (r.request == request) k.record = r;
  };
  world::run(*load_json(s).scenario, options);
  k.e = explain_decision(run, request, ".");
  return k;
}

TEST(ExplainRouting, ShowsWhatEveryPolicySawAndChose) {
  for (const auto& entry : schedulers::routing_policies()) {
    const Kept k = explained(replicas(entry.name), 400);
    SCOPED_TRACE(entry.name);
    ASSERT_EQ(k.e.routings.size(), 1U);
    const SeenRouting& r = k.e.routings[0];
    EXPECT_EQ(r.policy, entry.name);
    EXPECT_EQ(r.service, "s");
    EXPECT_TRUE(r.asked);
    ASSERT_EQ(r.replicas.size(), 4U);
    EXPECT_TRUE(r.left_out.empty());
    ASSERT_GE(r.chosen, 0);
    // As the run has it.
    EXPECT_EQ(r.replicas[static_cast<std::size_t>(r.chosen)].number, k.record.replica);
    EXPECT_EQ(r.at, k.record.created.seconds());
    EXPECT_EQ(k.e.status, "completed");
    // The signals that it reads, and no others.
    const auto policy = entry.make(schedulers::Parameters(entry.parameters));
    for (const SeenReplica& s : r.replicas) {
      EXPECT_EQ(std::isnan(s.outstanding), !policy->wants_outstanding());
      EXPECT_EQ(std::isnan(s.waiting), !policy->wants_load());
      EXPECT_EQ(std::isnan(s.zone), !policy->wants_places());
    }
    EXPECT_THAT(decision_text(k.e), HasSubstr("by " + entry.name + " of \"s\""));
    EXPECT_EQ(json::parse(decision_json(k.e))["routings"][0]["chosen"], k.record.replica);
  }
}

TEST(ExplainRouting, LeastOutstandingGoesByWhatItShows) {
  const Kept k = explained(replicas("least-outstanding"), 333);
  const SeenRouting& r = k.e.routings.at(0);
  for (const SeenReplica& s : r.replicas)
    EXPECT_LE(r.replicas[static_cast<std::size_t>(r.chosen)].outstanding, s.outstanding);
  EXPECT_THAT(decision_text(k.e), HasSubstr("outstanding"));
}

TEST(ExplainRouting, SaysWhoWasLeftOutAndWhy) {
  json s = replicas("round-robin");
  s["services"]["s"]["balancer"] = {{"max_fails", 1}, {"fail_timeout", "30 s"}, {"next_tries", 1},
                                    {"servers", {{{"weight", 1}}, {{"down", true}}, {{"backup", true}}, {{"weight", 1}}}}};
  s["faults"] = {{{"node", "server"}, {"index", 0}, {"at", "20 s"}, {"lasts", "20 s"}}};
  const Kept k = explained(s, 300);  // at about 30 s
  const SeenRouting& r = k.e.routings.at(0);
  ASSERT_EQ(r.replicas.size(), 1U);
  EXPECT_EQ(r.replicas[0].number, 3U);
  const std::vector<std::pair<std::uint32_t, std::string>> wanted{
      {0, "max_fails reached"}, {1, "down by configuration"}, {2, "backup: others are usable"}};
  EXPECT_EQ(r.left_out, wanted);
  EXPECT_THAT(decision_text(k.e), HasSubstr("left out 0: max_fails reached"));
}

TEST(ExplainRouting, TriesAtFurtherReplicasAreChoicesOfTheirOwn) {
  json s = replicas("round-robin");
  s["services"]["s"]["balancer"] = {{"max_fails", 0}, {"next_tries", 3}};
  s["faults"] = {{{"node", "server"}, {"index", 0}, {"at", "20 s"}, {"lasts", "20 s"}}};
  // The first one that met the dead machine.
  const TemporaryFolder folder;
  world::RunOptions options;
  options.directory = folder.path() / "run";
  world::run(*load_json(s).scenario, options);
  for (std::uint64_t request = 220; request < 240; ++request) {
    const DecisionExplanation e = explain_decision(options.directory, request, ".");
    if (e.routings.size() < 2) continue;
    EXPECT_EQ(e.routings[0].replicas[static_cast<std::size_t>(e.routings[0].chosen)].number, 0U);
    const std::vector<std::pair<std::uint32_t, std::string>> wanted{{0, "has failed this request"}};
    EXPECT_EQ(e.routings[1].left_out, wanted);
    return;
  }
  FAIL() << "nobody met the dead machine";
}

TEST(ExplainAdmission, ShowsRulesInTheirOrder) {
  json s = replicas("random");
  s["tenants"] = {{"a", {{"priority", 3}, {"admission", {{{"policy", "token-bucket"}, {"rate", 5}, {"burst", 1}, {"max_wait", "1000 s"}}}}}}};
  s["workload"][0]["tenant"] = "a";
  s["services"]["s"]["admission"] = {{{"policy", "concurrency"}, {"limit", 100}}};
  const Kept k = explained(s, 100);
  ASSERT_EQ(k.e.admissions.size(), 2U);
  EXPECT_EQ(k.e.admissions[0].rule, "a/token-bucket-0");
  EXPECT_TRUE(k.e.admissions[0].admitted);
  EXPECT_GT(k.e.admissions[0].later, 1);
  EXPECT_EQ(k.e.admissions[1].rule, "s/concurrency-0");
  EXPECT_EQ(k.e.admissions[0].priority, 3);
  EXPECT_THAT(decision_text(k.e), HasSubstr("admission 2 of 2 by s/concurrency-0"));
  s["services"]["s"]["admission"][0]["limit"] = 1;
  const Kept none = explained(s, 100);
  EXPECT_EQ(none.e.status, "rejected");
  EXPECT_FALSE(none.e.admissions.back().admitted);
  EXPECT_THAT(decision_text(none.e), HasSubstr("turned away"));
}

TEST(ExplainVariant, ShowsOptionsAndTheReason) {
  json s = {{"isthmus", 1}, {"name", "t"}, {"duration", "60 s"},
            {"nodes", {{"m", {{"device", "raspberry-pi-5"}, {"tier", "edge"}}}}},
            {"network", {{"model", "fluid"}}},
            {"services", {{"s", {{"on", "m"}, {"model", "resnet-50"}, {"variants", json::array({"fp32", "int8"})},
                                 {"variant_policy", {{"policy", "class-degrade"}, {"queue", 1}}}}}}},
            {"workload", {{{"name", "load"}, {"source", "poisson"}, {"rate", "60 /s"}, {"target", "s"},
                           {"clients", {{"on", "m"}}}}}}};
  const Kept k = explained(s, 200);
  ASSERT_EQ(k.e.variants.size(), 1U);
  const SeenVariant& v = k.e.variants[0];
  ASSERT_EQ(v.options.size(), 2U);
  EXPECT_EQ(v.options[0].name, "fp32");
  EXPECT_GT(v.options[0].service, v.options[1].service);
  EXPECT_EQ(v.chosen, k.record.variant);
  EXPECT_EQ(v.chosen, 1U);
  EXPECT_GE(v.waiting, 1U);
  EXPECT_THAT(decision_text(k.e), HasSubstr("chose int8: queue is long, class is low"));
  // One replica: nobody was asked.
  ASSERT_EQ(k.e.routings.size(), 1U);
  EXPECT_FALSE(k.e.routings[0].asked);
  EXPECT_THAT(decision_text(k.e), HasSubstr("chose 0: nobody else to choose from"));
}

}  // namespace
}  // namespace isthmus::scenarios
