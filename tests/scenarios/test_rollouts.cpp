// Rolling updates, blue/green, canaries and A/B tests: dates, versions and requests by hand; and what must hold when
// machines fail, room is missing or a scaler changes its mind meanwhile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using results::RequestRecord;
using testing::first_problem;
using testing::load_json;
using ::testing::HasSubstr;

// Four replicas on twelve machines, a request every 10 ms that takes 1 ms, cold starts of 20 s, and one rollout at 100 s.
json station(const json& rollout) {
  json r = {{"service", "web"}, {"version", {{"name", "v2"}}}, {"at", "100 s"}};
  r.update(rollout);
  return {{"isthmus", 1},
          {"name", "t"},
          {"duration", "400.005 s"},
          {"nodes", {{"app", {{"zone", "c"}}}, {"web", {{"count", 12}, {"tier", "cloud"}, {"zone", "a"}}}}},
          {"network",
           {{"model", "fluid"},
            {"links", {{"l", {{"bandwidth", "8 Gbps"}, {"latency", "0 s"}}}}},
            {"routes", json::array({{{"from", "c"}, {"to", "a"}, {"links", json::array({"l"})}}})}}},
          {"services",
           {{"web", {{"service_time", "1 ms"}, {"on", "web"}, {"local", false}, {"replicas", 4}, {"slots", 10}, {"routing", "random"}, {"cold_start", "20 s"}, {"accuracy", 0.8}}}}},
          {"workload", json::array({{{"name", "w"}, {"source", "deterministic"}, {"rate", "100 /s"}, {"target", "web"}, {"clients", {{"on", "app"}, {"count", 50}}}}})},
          {"rollouts", json::array({r})}};
}

struct Outcome {
  results::Summary summary;
  std::vector<RequestRecord> requests;
  double value(const char* metric) const { return summary.value(metric); }
  const results::RolloutTotals& rollout(std::size_t i = 0) const { return summary.rollouts.at(i); }
  // Requests created in [from, to) that the version answered or failed.
  std::size_t served(std::uint16_t version, double from, double to) const {
    return static_cast<std::size_t>(std::count_if(requests.begin(), requests.end(), [&](const RequestRecord& r) {
      return r.version == version && r.created.seconds() >= from && r.created.seconds() < to;
    }));
  }
};

Outcome run(const json& s) {
  Outcome o;
  world::RunOptions options;
  options.on_request = [&](const RequestRecord& r) { o.requests.push_back(r); };
  o.summary = world::run(*load_json(s).scenario, options);
  EXPECT_EQ(o.summary.created,
            o.summary.completed + o.summary.rejected + o.summary.failed + o.summary.in_flight);
  return o;
}

// ---- rolling ---------------------------------------------------------------------------------------

// Surge and unavailable are 1. At 100 s one new replica more and one old one less, and so room for a second new one;
// both serve at 120 s, when two old ones go and two new ones start; at 140 s the last old one goes.
TEST(Rollouts, RollingReplacesReplicasAsKubernetesDoes) {
  const Outcome o = run(station({{"strategy", "rolling"}}));
  EXPECT_EQ(o.rollout().outcome, "completed");
  EXPECT_DOUBLE_EQ(o.rollout().ended.seconds(), 140);
  EXPECT_DOUBLE_EQ(o.value("rollout_time.web/v2"), 40);
  EXPECT_EQ(o.summary.completed, o.summary.created);
  EXPECT_EQ(o.served(1, 0, 120), 0U);
  EXPECT_EQ(o.served(0, 140.001, 400), 0U);
  EXPECT_GT(o.served(1, 120, 140), 0U);
  EXPECT_GT(o.served(0, 120, 140), 0U);
  EXPECT_EQ(o.summary.services[0].max_replicas, 5U);
  EXPECT_EQ(o.value("version_answered.web/v2") + o.value("version_answered.web/before"), o.summary.completed);
}

TEST(Rollouts, ReplicasCountAsAvailableAfterMinReady) {
  EXPECT_DOUBLE_EQ(run(station({{"strategy", "rolling"}, {"min_ready", "7 s"}})).rollout().ended.seconds(), 154);
}

// One after another: with a surge of 1 and nobody unavailable each of the four takes a cold start.
TEST(Rollouts, OneAfterAnother) {
  const Outcome o = run(station({{"strategy", "rolling"}, {"max_surge", 1}, {"max_unavailable", 0}}));
  EXPECT_DOUBLE_EQ(o.rollout().ended.seconds(), 180);
  const Outcome p = run(station({{"strategy", "rolling"}, {"max_surge", 0}, {"max_unavailable", "25 %"}}));
  EXPECT_DOUBLE_EQ(p.rollout().ended.seconds(), 180);
  EXPECT_EQ(p.summary.services[0].max_replicas, 4U);
  const Outcome q = run(station({{"strategy", "rolling"}, {"max_surge", "100 %"}, {"max_unavailable", 0}}));
  EXPECT_DOUBLE_EQ(q.rollout().ended.seconds(), 120);
}

TEST(Rollouts, VersionsHaveTimesAccuracyAndStartsOfTheirOwn) {
  json s = station({{"strategy", "rolling"},
                    {"version", {{"name", "v2"}, {"service_time", "3 ms"}, {"time_factor", 2}, {"accuracy", 0.9}, {"cold_start", "5 s"}}}});
  const Outcome o = run(s);
  EXPECT_DOUBLE_EQ(o.rollout().ended.seconds(), 110);
  EXPECT_NEAR(o.value("version_latency.web/before.p99"), 0.001, 1e-9);
  EXPECT_NEAR(o.value("version_latency.web/v2.p50"), 0.006, 1e-9);
  EXPECT_NEAR(o.value("version_accuracy.web/before"), 0.8, 1e-9);
  EXPECT_NEAR(o.value("version_accuracy.web/v2"), 0.9, 1e-9);
}

TEST(Rollouts, ErrorsAreCountedAndRetriedByTheClient) {
  json s = station({{"strategy", "rolling"}, {"version", {{"name", "v2"}, {"error_rate", 1}}}});
  const Outcome o = run(s);
  EXPECT_EQ(o.rollout().outcome, "completed");  // nobody looks
  EXPECT_EQ(o.summary.by_cause.at("service_error"), o.summary.failed);
  EXPECT_EQ(o.value("version_failed.web/v2"), o.summary.failed);
  EXPECT_EQ(o.value("version_answered.web/v2"), 0);
  s["rollouts"][0]["version"]["error_rate"] = 0.5;
  s["workload"][0]["request"] = {{"retries", 20}, {"retry_backoff", "1 ms"}};
  const Outcome p = run(s);
  EXPECT_EQ(p.summary.failed, 0U);
  // Half of the tries of 260 s fail, and as many again.
  EXPECT_NEAR(p.value("version_errors.web/v2") / p.value("version_answered.web/v2"), 1, 0.05);
}

// The window of the first measurement that fails ends 10 s or less after the first new replica serves, at 120 s.
TEST(Rollouts, BackgroundAnalysisRollsBackInTheMiddle) {
  const Outcome o = run(station({{"strategy", "rolling"},
                                 {"scrape_period", "1 s"},
                                 {"version", {{"name", "v2"}, {"error_rate", 0.5}}},
                                 {"analysis", json::array({{{"metric", "error-ratio"}, {"at_most", 0.05}, {"interval", "10 s"}}})}}));
  EXPECT_EQ(o.rollout().outcome, "rolled back");
  EXPECT_THAT(o.rollout().reason, HasSubstr("error ratio"));
  EXPECT_NEAR(o.value("rollout_detect.web/v2"), 10, 1e-6);
  EXPECT_EQ(o.value("rollout_rolled_back.web/v2"), 1);
  // At 130 s two new replicas serve and two are starting: those go at once, and old ones come.
  EXPECT_GT(o.rollout().ended.seconds(), 130);
  EXPECT_EQ(o.served(1, o.rollout().ended.seconds(), 400), 0U);
  EXPECT_EQ(o.value("rollout_errors.web/v2"), o.summary.failed);
  EXPECT_EQ(o.value("rollout_exposed.web/v2"), o.served(1, 0, 400));
  EXPECT_NEAR(o.value("replicas.web"), 4, 0.3);
}

// ---- hostile conditions ----------------------------------------------------------------------------

TEST(Rollouts, CrashesAndLostMachinesMeanwhileLoseNothing) {
  for (const char* strategy : {"rolling", "blue-green", "canary"}) {
    for (const bool lost : {false, true}) {
      json r = {{"strategy", strategy}};
      if (strategy == std::string("canary")) r["steps"] = json::array({{{"set_weight", 0.5}}, {{"pause", "20 s"}}});
      json s = station(r);
      s["crashes"] = json::array({{{"service", "web"}, {"at", "105 s"}, {"replica", 1}}, {{"service", "web"}, {"time_to_failure", {{"distribution", "exponential"}, {"mean", "300 s"}}}, {"restart_limit", "10 s"}}});
      s["workload"][0]["request"] = {{"retries", 50}, {"retry_backoff", "100 ms"}};
      if (lost)
        for (int i = 0; i < 8; ++i)
          s["faults"].push_back({{"node", "web"}, {"index", i}, {"at", std::to_string(110 + 5 * i) + " s"}, {"lasts", "60 s"}});
      const Outcome o = run(s);
      EXPECT_EQ(o.rollout().outcome, "completed") << strategy << lost;
      EXPECT_EQ(o.summary.failed + o.summary.in_flight, 0U) << strategy << lost;
      EXPECT_EQ(o.served(0, o.rollout().ended.seconds() + 60, 400), 0U) << strategy << lost;
    }
  }
}

// Models take whole accelerators: with one for each replica there is no room for a fifth.
TEST(Rollouts, WithoutRoomForTheSurgeTheDeadlinePasses) {
  json s = station({{"strategy", "rolling"}, {"max_surge", 1}, {"max_unavailable", 0}, {"progress_deadline", "50 s"}});
  s["nodes"]["web"] = {{"device", "nvidia-a100-80g"}, {"count", 4}, {"zone", "a"}};
  json& web = s["services"]["web"];
  web.erase("service_time");
  web["model"] = "mobilenet-v2";
  const Outcome o = run(s);
  EXPECT_EQ(o.rollout().outcome, "stalled");
  EXPECT_EQ(o.value("rollout_deadlines.web/v2"), 1);
  EXPECT_EQ(o.value("version_answered.web/v2"), 0);
  EXPECT_EQ(o.summary.completed, o.summary.created);
  s["rollouts"][0]["on_deadline"] = "abort";
  const Outcome p = run(s);
  EXPECT_EQ(p.rollout().outcome, "rolled back");
  EXPECT_EQ(p.rollout().reason, "progress deadline exceeded");
  EXPECT_DOUBLE_EQ(p.rollout().ended.seconds(), 150);
  s["rollouts"][0]["max_unavailable"] = 1;  // room for one after another
  EXPECT_EQ(run(s).rollout().outcome, "completed");
  s["rollouts"][0] = {{"service", "web"}, {"version", {{"name", "v2"}}}, {"at", "100 s"}, {"strategy", "blue-green"}, {"progress_deadline", "50 s"}};
  const Outcome q = run(s);
  EXPECT_EQ(q.rollout().outcome, "stalled");
  EXPECT_EQ(q.value("version_answered.web/v2"), 0);
}

TEST(Rollouts, AScalerChangesItsMindMeanwhile) {
  for (const char* strategy : {"rolling", "blue-green", "canary"}) {
    for (const int later : {8, 1}) {
      json r = {{"strategy", strategy}};
      if (strategy == std::string("canary")) r["steps"] = json::array({{{"set_weight", 0.5}}, {{"pause", "30 s"}}});
      json s = station(r);
      json& web = s["services"]["web"];
      web.erase("replicas");
      web["autoscaling"] = {{"policy", "scheduled"}, {"min_replicas", 1}, {"max_replicas", 10}, {"period", "5 s"}};
      web["autoscaling"]["at"] = json::array({"0 s", "110 s"});
      web["autoscaling"]["replicas"] = json::array({4, later});
      web["replicas"] = 4;
      const Outcome o = run(s);
      EXPECT_EQ(o.rollout().outcome, "completed") << strategy << later;
      EXPECT_EQ(o.summary.completed, o.summary.created) << strategy << later;
      EXPECT_GT(o.served(1, 300, 400), 9900U) << strategy << later;
    }
  }
}

TEST(Rollouts, ASecondOneWaitsForTheFirst) {
  json s = station({{"strategy", "rolling"}});
  s["rollouts"].push_back({{"service", "web"}, {"version", {{"name", "v3"}}}, {"at", "110 s"}, {"strategy", "rolling"}});
  const Outcome o = run(s);
  EXPECT_DOUBLE_EQ(o.rollout(0).ended.seconds(), 140);
  EXPECT_DOUBLE_EQ(o.rollout(1).began.seconds(), 140);
  EXPECT_DOUBLE_EQ(o.rollout(1).ended.seconds(), 180);
  EXPECT_EQ(o.served(2, 181, 400), 21900U);
  EXPECT_EQ(o.served(1, 181, 400), 0U);
}

// Kept replicas of an old version must not come back.
TEST(Rollouts, KeepAliveEndsWithTheVersion) {
  json s = station({{"strategy", "rolling"}});
  json& web = s["services"]["web"];
  web.erase("cold_start");
  web["startup"] = {{"runtime", "20 s"}, {"keep_alive", "300 s"}};
  const Outcome o = run(s);
  EXPECT_EQ(o.rollout().outcome, "completed");
  EXPECT_EQ(o.served(0, 141, 400), 0U);
  EXPECT_EQ(o.value("warm_starts.web"), 0);
}

// ---- blue/green ------------------------------------------------------------------------------------

TEST(Rollouts, BlueGreenSwitchesAtOnce) {
  const Outcome o = run(station({{"strategy", "blue-green"}, {"scale_down_delay", "40 s"}}));
  EXPECT_DOUBLE_EQ(o.rollout().ended.seconds(), 120);
  EXPECT_EQ(o.served(1, 0, 120), 0U);
  EXPECT_EQ(o.served(0, 120.0001, 400), 0U);
  EXPECT_EQ(o.summary.completed, o.summary.created);
  EXPECT_EQ(o.summary.services[0].max_replicas, 8U);
  // 4 replicas, and 4 more from 120 to 160 s.
  EXPECT_NEAR(o.value("replicas.web"), 4 + 4 * 40.0 / 400, 1e-4);
}

TEST(Rollouts, BlueGreenSwitchesBackWhenItsAnalysisFails) {
  const Outcome o = run(station({{"strategy", "blue-green"},
                                 {"scrape_period", "5 s"},
                                 {"version", {{"name", "v2"}, {"error_rate", 0.3}}},
                                 {"analysis", json::array({{{"metric", "error-ratio"}, {"at_most", 0.1}, {"interval", "10 s"}, {"count", 3}}})}}));
  EXPECT_EQ(o.rollout().outcome, "rolled back");
  EXPECT_NEAR(o.value("rollout_detect.web/v2"), 9.99, 1e-6);  // the first request after the switch
  EXPECT_EQ(o.value("rollout_exposed.web/v2"), 1000);  // all requests of 10 s
  EXPECT_EQ(o.served(1, 130.0001, 400), 0U);
  EXPECT_NEAR(o.value("rollout_errors.web/v2"), 300, 50);
  const Outcome p = run(station({{"strategy", "blue-green"},
                                 {"analysis", json::array({{{"metric", "error-ratio"}, {"at_most", 0.1}, {"interval", "20 s"}, {"count", 3}}})}}));
  EXPECT_DOUBLE_EQ(p.rollout().ended.seconds(), 180);
  EXPECT_EQ(p.rollout().outcome, "completed");
}

// ---- canary ----------------------------------------------------------------------------------------

TEST(Rollouts, CanaryTakesItsStepsAndItsShare) {
  const Outcome o = run(station({{"strategy", "canary"},
                                 {"steps", json::array({{{"set_weight", 0.1}}, {{"pause", "50 s"}}, {{"set_weight", "50 %"}}, {{"pause", "50 s"}}})}}));
  // One new replica at 120 s; a second one from 170 to 190 s; four from 240 to 260 s.
  EXPECT_DOUBLE_EQ(o.rollout().ended.seconds(), 260);
  EXPECT_EQ(o.served(1, 0, 120), 0U);
  const double n = 7000, m = 7000;
  EXPECT_NEAR(static_cast<double>(o.served(1, 120, 190)), 0.1 * n, 4 * std::sqrt(n * 0.09));
  EXPECT_NEAR(static_cast<double>(o.served(1, 190, 260)), 0.5 * m, 4 * std::sqrt(m * 0.25));
  EXPECT_EQ(o.served(0, 260.0001, 400), 0U);
  EXPECT_EQ(o.summary.completed, o.summary.created);
}

TEST(Rollouts, CanaryIsTakenBackAtOnceWhenItsAnalysisFails) {
  for (const char* metric : {"error-ratio", "latency"}) {
    const bool errors = metric == std::string("error-ratio");
    json a = {{"metric", metric}, {"interval", "10 s"}, {"count", 6}, {"failure_limit", 1}};
    a[errors ? "above_old" : "times_old"] = errors ? 0.05 : 1.5;
    json version = {{"name", "v2"}};
    version[errors ? "error_rate" : "time_factor"] = errors ? 0.5 : 2;
    const Outcome o = run(station({{"strategy", "canary"},
                                   {"version", version},
                                   {"scrape_period", "1 s"},
                                   {"steps", json::array({{{"set_weight", 0.2}}, {{"analysis", json::array({a})}}, {{"set_weight", 0.5}}})}}));
    EXPECT_EQ(o.rollout().outcome, "rolled back") << metric;
    EXPECT_DOUBLE_EQ(o.rollout().ended.seconds(), 140) << metric;  // the second measurement
    EXPECT_EQ(o.served(1, 140.0001, 400), 0U) << metric;
    EXPECT_NEAR(o.value("rollout_exposed_share.web/v2"), 0.1, 0.02) << metric;  // of 100 to 140 s, from 120 s on
    EXPECT_LE(o.value("rollout_errors.web/v2"), 0.2 * 100 * 20 * 0.5 + 4 * std::sqrt(200.0)) << metric;
    EXPECT_NEAR(o.value("replicas.web"), 4 + 50.0 / 400, 1e-4) << metric;  // one more from 120 to 170 s
  }
}

TEST(Rollouts, CanaryByNumbersOfReplicasAlone) {
  const Outcome o = run(station({{"strategy", "canary"},
                                 {"weights", "replicas"},
                                 {"max_unavailable", 0},
                                 {"steps", json::array({{{"set_weight", 0.25}}, {{"pause", "60 s"}}})}}));
  // 1 of 4 at 120 s; at 180 s one more at a time, three times 20 s.
  EXPECT_DOUBLE_EQ(o.rollout().ended.seconds(), 240);
  EXPECT_NEAR(static_cast<double>(o.served(1, 130, 180)), 1250, 4 * std::sqrt(5000 * 0.25 * 0.75));
  EXPECT_EQ(o.summary.completed, o.summary.created);
}

TEST(Rollouts, AnAnalysisWithoutRequestsIsInconclusive) {
  const Outcome o = run(station({{"strategy", "canary"},
                                 {"steps", json::array({{{"set_weight", 0}}, {{"analysis", json::array({{{"metric", "error-ratio"}, {"at_most", 0.1}, {"interval", "15 s"}, {"count", 2}, {"inconclusive_limit", 1}}})}}})}}));
  EXPECT_EQ(o.rollout().outcome, "rolled back");
  EXPECT_THAT(o.rollout().reason, HasSubstr("inconclusive"));
  EXPECT_EQ(o.value("version_answered.web/v2"), 0);
}

// ---- A/B -------------------------------------------------------------------------------------------

TEST(Rollouts, AbTestsKeepUsersOnTheirSide) {
  json s = station({{"strategy", "ab"}, {"share", 0.5}, {"lasts", "200 s"}, {"version", {{"name", "v2"}, {"accuracy", 0.83}, {"time_factor", 3}}}});
  const Outcome o = run(s);
  std::map<std::uint32_t, std::set<std::uint16_t>> sides;
  for (const RequestRecord& r : o.requests)
    if (r.created.seconds() > 120.0001 && r.created.seconds() < 319.9) sides[r.client].insert(r.version);
  std::size_t fresh = 0;
  for (const auto& [client, versions] : sides) {
    EXPECT_EQ(versions.size(), 1U) << client;
    fresh += versions.contains(1) ? 1U : 0U;
  }
  EXPECT_GT(fresh, 15U);
  EXPECT_LT(fresh, 35U);
  ASSERT_TRUE(o.rollout().test);
  EXPECT_EQ(o.rollout().outcome, "completed");
  EXPECT_NEAR(static_cast<double>(o.rollout().test->old.answers + o.rollout().test->fresh.answers), 20000, 2);
  EXPECT_NEAR(o.rollout().test->fresh.latency_mean, 0.003, 1e-9);
  EXPECT_NEAR(o.rollout().test->old.latency_mean, 0.001, 1e-9);
  EXPECT_NEAR(o.value("ab_difference.web/v2"), 0.03, 4 * std::sqrt(2 * 0.16 / 10000));
  EXPECT_LT(o.value("ab_difference_low.web/v2"), o.value("ab_difference.web/v2"));
  EXPECT_EQ(o.served(1, 320.0001, 400), 0U);  // the old version stays
  s["rollouts"][0]["promote"] = true;
  const Outcome p = run(s);
  EXPECT_EQ(p.value("ab_p_value.web/v2"), o.value("ab_p_value.web/v2"));
  EXPECT_LT(p.value("ab_p_value.web/v2"), 0.05);
  EXPECT_EQ(p.served(0, 320.0001, 400), 0U);
}

TEST(Rollouts, EqualVersionsAreRarelySignificantlyDifferent) {
  int significant = 0;
  for (int seed = 0; seed < 40; ++seed) {
    json s = station({{"strategy", "ab"}, {"lasts", "100 s"}});
    s["duration"] = "230 s";
    s["seed"] = seed;
    significant += run(s).value("ab_p_value.web/v2") < 0.05 ? 1 : 0;
  }
  EXPECT_LE(significant, 6);  // 5 % of 40; more than 6 has probability 0.01
}

// ---- parts of different versions -------------------------------------------------------------------

// The device's part is renewed at 100 s, the server's at 200 s: in between they are one version apart.
json halves(const json& rule) {
  return {{"isthmus", 1},
          {"name", "t"},
          {"duration", "300 s"},
          {"nodes",
           {{"pi", {{"device", "raspberry-pi-5"}, {"tier", "device"}, {"zone", "field"}}},
            {"gpu", {{"device", "nvidia-t4"}, {"count", 2}, {"zone", "metro"}}}}},
          {"network",
           {{"model", "fluid"},
            {"links", {{"cell", {{"bandwidth", "45 Mbps"}, {"latency", "5 ms"}, {"sharing", "split-duplex"}}}}},
            {"access", {{"pi", {"cell"}}}},
            {"routes", json::array({{{"from", "field"}, {"to", "metro"}, {"links", json::array()}}})}}},
          {"services",
           {{"tail", {{"model", "yolov5s"}, {"on", "gpu"}, {"accuracy", 0.6}, {"split", {{"head", "head"}, {"policy", "min-cut"}, {"encode", {"int8"}}}}}},
            {"head", {{"model", "yolov5s"}, {"on", "pi"}}}}},
          {"workload", json::array({{{"name", "w"}, {"source", "deterministic"}, {"rate", "0.5 /s"}, {"target", "tail"}, {"clients", {{"on", "pi"}}}, {"request", {{"upload", "1228.8 kB"}, {"download", "2 kB"}}}}})},
          {"updates", {{"v2", {{"service", "head"}, {"from", "gpu"}, {"size", "1 KB"}, {"message", "0 B"}, {"at", "100 s"}}}}},
          {"rollouts", json::array({{{"service", "tail"}, {"version", {{"name", "v2"}}}, {"at", "200 s"}, {"strategy", "rolling"}, {"max_surge", 1}, {"max_unavailable", 0}}})},
          {"compatibility", json::array({rule})}};
}

TEST(Rollouts, PartsOfSplitGraphsHaveToGoTogether) {
  const auto rule = [](const json& more) {
    json c = {{"service", "tail"}};
    c.update(more);
    return c;
  };
  const Outcome strict = run(halves(rule(json::object())));
  EXPECT_EQ(strict.rollout().outcome, "completed");
  EXPECT_NEAR(strict.value("part_incompatible.tail"), 50, 1);
  EXPECT_EQ(strict.summary.failed, strict.value("part_incompatible.tail"));
  EXPECT_EQ(strict.summary.by_cause.at("service_error"), strict.summary.failed);
  const Outcome loose = run(halves(rule({{"max_skew", 1}})));
  EXPECT_EQ(loose.summary.failed, 0U);
  EXPECT_EQ(loose.value("part_incompatible.tail"), 0);
  EXPECT_NEAR(loose.value("part_skew.tail"), 1.0 / 3, 0.02);
  const Outcome poor = run(halves(rule({{"incompatible", "accuracy"}, {"accuracy_factor", 0.5}})));
  EXPECT_EQ(poor.summary.failed, 0U);
  EXPECT_NEAR(poor.value("accuracy"), 0.6 * (2.0 / 3 + 0.5 / 3), 0.005);
  json s = halves({{"service", "head"}});
  EXPECT_THAT(first_problem(s), HasSubstr("is not split"));
  s = halves(rule(json::object()));
  s["rollouts"][0]["version"]["variant"] = "fp16";
  EXPECT_THAT(first_problem(s), HasSubstr("parts of a split graph"));
}

// ---- everything else -------------------------------------------------------------------------------

TEST(Rollouts, SimgridAgrees) {
  json s = station({{"strategy", "canary"}, {"version", {{"name", "v2"}, {"error_rate", 0.1}}}, {"steps", json::array({{{"set_weight", 0.3}}, {{"pause", "30 s"}}})}});
  s["network"]["links"]["l"]["latency"] = "1 ms";
  s["workload"][0]["rate"] = "99.7 /s";
  const results::Summary fluid = world::run(*load_json(s).scenario, {});
  s["network"]["model"] = "simgrid";
  const results::Summary simgrid = world::run(*load_json(s).scenario, {});
  EXPECT_EQ(fluid.value("version_errors.web/v2"), simgrid.value("version_errors.web/v2"));
  ASSERT_EQ(simgrid.rollouts.size(), 1U);
  EXPECT_EQ(simgrid.rollouts[0].events.size(), fluid.rollouts[0].events.size());
  EXPECT_EQ(simgrid.rollouts[0].ended, fluid.rollouts[0].ended);
}

TEST(Rollouts, MistakesAreRefused) {
  const auto problem = [](const json& change) { return first_problem(station(change)); };
  EXPECT_THAT(problem({{"strategy", "rolling"}, {"max_surge", 0}, {"max_unavailable", "0 %"}}), HasSubstr("must not be 0 when max_unavailable is 0"));
  EXPECT_THAT(problem({{"strategy", "canary"}, {"steps", json::array({json::object()})}}), HasSubstr("a step is one of"));
  EXPECT_THAT(problem({{"strategy", "canary"}, {"steps", json::array({{{"set_weight", 10}}})}}), HasSubstr("set_weight"));
  EXPECT_THAT(problem({{"strategy", "canary"}, {"max_surge", 1}, {"steps", json::array({{{"pause", "1 s"}}})}}), HasSubstr("only with \"weights\": \"replicas\""));
  EXPECT_THAT(problem({{"strategy", "blue-green"}, {"analysis", json::array({{{"metric", "latency"}, {"interval", "20 s"}, {"at_most", "1 s"}}})}}), HasSubstr("needs a \"count\""));
  EXPECT_THAT(problem({{"strategy", "rolling"}, {"analysis", json::array({{{"metric", "latency"}, {"interval", "20 s"}}})}}), HasSubstr("says nothing of what is good"));
  EXPECT_THAT(problem({{"strategy", "rolling"}, {"analysis", json::array({{{"metric", "latency"}, {"interval", "5 s"}, {"at_most", "1 s"}}})}}), HasSubstr("scrape_period"));
  EXPECT_THAT(problem({{"strategy", "rolling"}, {"version", {{"name", "v2"}, {"model", "mobilenet-v2"}}}}), HasSubstr("has a service_time"));
  EXPECT_THAT(problem({{"strategy", "rolling"}, {"version", {{"name", "before"}}}}), HasSubstr("has a version \"before\" already"));
  json s = station({{"strategy", "rolling"}});
  s["services"]["web"]["pools"] = {{"a", {{"on", "web"}}}};
  s["services"]["web"].erase("replicas");
  s["services"]["web"].erase("cold_start");
  EXPECT_THAT(first_problem(s), HasSubstr("pools"));
  s = halves({{"service", "tail"}});
  s["rollouts"][0]["service"] = "head";
  EXPECT_THAT(first_problem(s), HasSubstr("is local to its clients"));
}

}  // namespace
}  // namespace isthmus::scenarios
