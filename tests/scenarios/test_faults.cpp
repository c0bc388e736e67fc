// Slow machines, crashes, maintenance, chaos and broken accelerators, by hand and on both network backends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using results::RequestRecord;
using results::Status;
using testing::first_problem;
using testing::load_json;
using ::testing::HasSubstr;

// One server that takes 1 s per request, one at a time.
json station(const std::vector<double>& times, double duration = 100) {
  json dates = json::array();
  for (const double t : times) dates.push_back(std::to_string(t) + " s");
  return {{"isthmus", 1},
          {"name", "t"},
          {"duration", std::to_string(duration) + " s"},
          {"nodes", {{"server", {{"count", 1}}}}},
          {"network", {{"model", "fluid"}}},
          {"services", {{"s", {{"service_time", "1 s"}, {"on", "server"}, {"local", false}}}}},
          {"workload", json::array({{{"name", "w"}, {"source", "times"}, {"times", dates}, {"target", "s"}}})}};
}

std::vector<RequestRecord> rows(const json& s, results::Summary* summary = nullptr) {
  std::vector<RequestRecord> out;
  world::RunOptions options;
  if (s.at("network").at("model") == "fluid")  // SimGrid runs in a process of its own
    options.on_request = [&](const RequestRecord& r) { out.push_back(r); };
  const results::Summary got = world::run(*load_json(s).scenario, options);
  if (summary) *summary = got;
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.request < b.request; });
  return out;
}

std::vector<double> ends(const json& s, results::Summary* summary = nullptr) {
  std::vector<double> out;
  for (const RequestRecord& r : rows(s, summary))
    out.push_back(r.status == Status::completed ? r.completed.seconds() : -1);
  return out;
}

using Dates = std::vector<double>;
using ::testing::Pointwise;
using ::testing::DoubleNear;

TEST(SlowNodes, WorkInProgressGoesOnSlowly) {
  json s = station({0, 10, 20});
  // Half done when it slows down to a quarter; 0.5 s of work take 2 s. Slow from the start: 4 s. Faster again with
  // 0.75 s of work left after 1 s at a quarter.
  s["faults"] = json::array({{{"node", "server"}, {"speed", 0.25}, {"at", "0.5 s"}, {"lasts", "5 s"}},
                             {{"node", "server"}, {"speed", 0.25}, {"at", "9 s"}, {"lasts", "9 s"}},
                             {{"node", "server"}, {"speed", 0.25}, {"at", "19 s"}, {"lasts", "2 s"}}});
  results::Summary summary;
  EXPECT_THAT(ends(s, &summary), Pointwise(DoubleNear(1e-8), Dates{2.5, 14, 21.75}));
  EXPECT_EQ(summary.value("node_downtime.server"), 0);
  EXPECT_EQ(summary.value("outages"), 3);
}

TEST(SlowNodes, TheSlowestOfSeveralCounts) {
  json s = station({0});
  // 0.1 s at full speed, 1 s at a half, 1 s at a tenth, then at a half until 1 s of work is done.
  s["faults"] = json::array({{{"node", "server"}, {"speed", 0.5}, {"at", "0.1 s"}, {"lasts", "50 s"}},
                             {{"node", "server"}, {"speed", 0.1}, {"at", "1.1 s"}, {"lasts", "1 s"}}});
  EXPECT_THAT(ends(s), Pointwise(DoubleNear(1e-8), Dates{2.1 + (1 - 0.1 - 0.5 - 0.1) / 0.5}));
}

TEST(SlowNodes, PreemptedWorkKeepsWhatIsDone) {
  json s = station({0});
  s["services"]["s"]["queue"] = {{"order", "priority"}, {"preemption", true}};
  s["tenants"] = {{"gold", {{"priority", 2}}}, {"free", json::object()}};
  s["workload"][0]["tenant"] = "free";
  s["workload"].push_back({{"name", "g"}, {"source", "times"}, {"times", json::array({"1 s"})}, {"target", "s"}, {"tenant", "gold"}});
  s["faults"] = json::array({{{"node", "server"}, {"speed", 0.5}, {"at", "0 s"}, {"lasts", "2 s"}}});
  // Half done at 1 s; the other one has 0.5 s of work done by 2 s and ends at 2.5 s; then 0.5 s are left.
  EXPECT_THAT(ends(s), Pointwise(DoubleNear(1e-8), Dates{3, 2.5}));
}

TEST(SlowNodes, LanguageModelsFromTheNextIterationOn) {
  json s = {{"isthmus", 1}, {"name", "t"}, {"duration", "1000 s"},
            {"nodes", {{"gpu", {{"device", "nvidia-a100-80g"}}}}},
            {"network", {{"model", "fluid"}}},
            {"services", {{"llm", {{"model", "llama-3.1-8b"}, {"on", "gpu"}}}}},
            {"workload", json::array({{{"name", "w"}, {"source", "times"}, {"times", json::array({"0 s"})}, {"target", "llm"},
                                       {"request", {{"prompt_tokens", 100}, {"output_tokens", 200}}}}})}};
  const RequestRecord plain = rows(s).at(0);
  s["faults"] = json::array({{{"node", "gpu"}, {"speed", 0.5}, {"at", "0 s"}}});
  const RequestRecord slow = rows(s).at(0);
  const double time = (plain.served - plain.started).seconds();
  EXPECT_NEAR((slow.served - slow.started).seconds(), 2 * time, 1e-6 * time);
  // Slow for a second half: what is between is the iteration under way.
  const double middle = (plain.first_token + (plain.served - plain.first_token) - plain.created).seconds() / 2;
  s["faults"][0]["at"] = std::to_string(middle) + " s";
  const RequestRecord late = rows(s).at(0);
  const double iteration = time / 200;
  EXPECT_NEAR((late.served - late.created).seconds(), middle + 2 * ((plain.served - plain.created).seconds() - middle),
              2 * iteration);
}

TEST(SlowNodes, GraphsAndClocks) {
  json s = {{"isthmus", 1}, {"name", "t"}, {"duration", "1000 s"},
            {"nodes", {{"m", {{"device", "raspberry-pi-5"}, {"tier", "device"}}}}},
            {"network", {{"model", "fluid"}}},
            {"services", {{"s", {{"on", "m"}, {"model", "resnet-50"}}}}},
            {"workload", json::array({{{"name", "w"}, {"source", "times"}, {"times", json::array({"0 s"})}, {"target", "s"}, {"clients", {{"on", "m"}}}}})}};
  const double plain = rows(s).at(0).completed.seconds();
  const auto half = static_cast<std::int64_t>(plain / 2 * 1e9);
  s["faults"] = json::array({{{"node", "m"}, {"speed", 0.2}, {"at", std::to_string(half) + " ns"}}});
  const double slow_from = static_cast<double>(half) * 1e-9;
  EXPECT_NEAR(rows(s).at(0).completed.seconds(), slow_from + 5 * (plain - slow_from), 1e-8);
}

TEST(Crashes, LoseWorkAndBackOff) {
  for (const char* network : {"fluid", "simgrid"}) {
    json s = station({0, 0.1, 30, 60, 61}, 2000);
    s["network"]["model"] = network;
    s["services"]["s"]["cold_start"] = "2 s";
    s["workload"][0]["request"] = {{"retries", 3}, {"retry_backoff", "1 s"}};
    // At 0.5 s both are lost; ready again at 0.5 + 10 + 2 = 12.5 s. At 30.5 s it waits 20 s, until 52.5 s.
    s["crashes"] = json::array({{{"service", "s"}, {"at", "0.5 s"}}, {{"service", "s"}, {"at", "30.5 s"}},
                                {{"service", "s"}, {"at", "700 s"}}});
    results::Summary summary;
    EXPECT_THAT(ends(s, &summary), Pointwise(DoubleNear(1e-8), network == std::string("fluid") ? Dates{13.5, 14.5, 53.5, 61, 62} : Dates{})) << network;
    EXPECT_NEAR(summary.value("latency.mean"), (13.5 + 14.4 + 23.5 + 1 + 1) / 5, 1e-8) << network;
    EXPECT_EQ(summary.value("crashes.s"), 3);
    EXPECT_EQ(summary.value("requests_lost.s"), 3);
    // 12 s, 22 s and, after more than 10 minutes without a crash, 12 s again.
    EXPECT_NEAR(summary.value("service_availability.s"), 1 - (12.0 + 22 + 12) / 2000, 1e-9);
    EXPECT_EQ(summary.value("node_failures.server"), 0);
  }
}

TEST(Crashes, LoopsReachTheLimit) {
  json s = station({}, 4000);
  s["workload"][0]["times"] = json::array({"3999 s"});
  s["crashes"] = json::array({{{"service", "s"}, {"time_to_failure", "1 s"}}});
  results::Summary summary;
  ends(s, &summary);
  // Ready for 1 s, away for 10, 20, 40, 80, 160, 300, 300 ... s: the sixth crash is at 6 + 310 = 316 s, then one every
  // 301 s: 12 further ones until 3928 s.
  EXPECT_EQ(summary.value("crashes.s"), 18);
}

// What its graphs ran on the units stops; the other process has them for itself, and loses nothing.
TEST(Crashes, AProcessLeavesTheUnitsToOthers) {
  json s = {{"isthmus", 1}, {"name", "t"}, {"duration", "20 s"}, {"nodes", {{"phone", {{"device", "rockchip-rk3588"}}}}},
            {"network", {{"model", "fluid"}}},
            {"workload", json::array()}};
  for (const char* name : {"a", "b"}) {
    s["services"][name] = {{"model", "yolov5s"}, {"variant", "fp16"}, {"on", "phone"}, {"units", {"npu"}}};
    s["workload"].push_back({{"name", name}, {"source", "times"}, {"times", {"1 s"}}, {"target", name},
                             {"clients", {{"on", "phone"}}}});
  }
  const auto latencies = [&] {
    std::map<std::string, double> out;
    const auto loaded = load_json(s).scenario;
    for (const RequestRecord& r : rows(s))
      if (r.status == Status::completed) out[loaded->services.at(r.service).name] = (r.completed - r.created).seconds();
    return out;
  };
  const auto both = latencies();
  json alone_scenario = s;
  s["workload"].erase(0);
  const double alone = latencies().at("b");
  ASSERT_GT(both.at("b"), 1.5 * alone);
  s = alone_scenario;
  s["crashes"] = json::array({{{"service", "a"}, {"at", "1.000001 s"}, {"restart_delay", "1 s"}}});
  const auto crashed = latencies();
  EXPECT_FALSE(crashed.contains("a"));
  EXPECT_LT(crashed.at("b"), both.at("b"));
  EXPECT_GE(crashed.at("b"), alone);
}

TEST(Maintenance, DrainsThenTakesDown) {
  for (const char* network : {"fluid", "simgrid"}) {
    json s = station({9.5, 12, 39.8}, 100);
    s["network"]["model"] = network;
    s["services"]["s"]["cold_start"] = "3 s";
    // Draining at 10 s, empty at 10.5 s, down until 15.5 s, ready at 18.5 s.
    s["maintenance"] = json::array({{{"node", "server"}, {"at", "10 s"}, {"takes", "5 s"}}});
    results::Summary summary;
    EXPECT_THAT(ends(s, &summary), Pointwise(DoubleNear(1e-8), network == std::string("fluid") ? Dates{10.5, 19.5, 40.8} : Dates{})) << network;
    EXPECT_NEAR(summary.value("latency.mean"), (1 + 7.5 + 1) / 3, 1e-8) << network;
    EXPECT_EQ(summary.value("node_failures.server"), 1);
    EXPECT_NEAR(summary.value("node_downtime.server"), 5, 1e-9);
    EXPECT_NEAR(summary.value("node_mttr.server"), 5, 1e-9);
    EXPECT_NEAR(summary.value("node_mtbf.server"), 95, 1e-9);
    EXPECT_NEAR(summary.value("service_availability.s"), 1 - 8.5 / 100, 1e-9);
    EXPECT_EQ(summary.value("requests_lost.s"), 0);
  }
}

TEST(Maintenance, WhatIsLeftAfterTheGraceIsLost) {
  json s = station({9.5}, 100);
  s["services"]["s"]["service_time"] = "20 s";
  s["maintenance"] = json::array({{{"node", "server"}, {"at", "10 s"}, {"takes", "5 s"}, {"grace", "4 s"}}});
  results::Summary summary;
  EXPECT_EQ(ends(s, &summary), Dates{-1});
  EXPECT_EQ(summary.value("requests_lost.s"), 1);
  EXPECT_NEAR(summary.value("service_availability.s"), 1 - 9.0 / 100, 1e-9);
}

TEST(Maintenance, RollsOverAGroup) {
  json s = station({}, 200);
  s["nodes"]["server"]["count"] = 5;
  s["services"]["s"].update({{"replicas", 5}, {"cold_start", "2 s"}, {"slots", 100}});
  s["workload"] = json::array({{{"name", "w"}, {"source", "deterministic"}, {"rate", "10 /s"}, {"target", "s"}}});
  s["maintenance"] = json::array({{{"node", "server"}, {"at", "10 s"}, {"takes", "6 s"}, {"max_unavailable", 2}}});
  results::Summary summary;
  const auto all = rows(s, &summary);
  EXPECT_EQ(summary.failed + summary.rejected, 0U);
  EXPECT_EQ(summary.value("node_failures.server"), 5);
  EXPECT_NEAR(summary.value("node_downtime.server"), 30, 1e-9);
  EXPECT_EQ(summary.value("service_availability.s"), 1);
  // At any time three are ready at least: requests of one second always start at once.
  for (const RequestRecord& r : all)
    if (r.status == Status::completed) {
      ASSERT_NEAR((r.completed - r.created).seconds(), 1, 1e-9);
    }
  // Two at a time, each away for up to 1 s of draining, 6 s and 2 s: the fifth is back by 10 + 3 * 9 s.
  EXPECT_GT(summary.services.at(0).mean_replicas, 5 - 5 * 9.0 / 200 - 1e-9);
  EXPECT_LT(summary.services.at(0).mean_replicas, 5 - 5 * 8.0 / 200 + 1e-9);
}

TEST(Chaos, PicksVictims) {
  json s = station({}, 1000);
  s["nodes"]["server"]["count"] = 10;
  s["services"]["s"].update({{"replicas", 10}, {"slots", 100}});
  s["workload"] = json::array({{{"name", "w"}, {"source", "deterministic"}, {"rate", "1 /s"}, {"target", "s"}}});
  s["chaos"] = json::array({{{"action", "fail"}, {"node", "server"}, {"victims", 3}, {"every", "50 s"}, {"lasts", "20 s"}, {"from", "100 s"}, {"until", "500 s"}}});
  results::Summary summary;
  rows(s, &summary);
  // At 150, 200, ... 450 s: three machines for 20 s each time.
  EXPECT_EQ(summary.value("node_failures.server"), 21);
  EXPECT_NEAR(summary.value("node_downtime.server"), 420, 1e-9);
  EXPECT_NEAR(summary.value("node_mttr.server"), 20, 1e-9);
  EXPECT_NEAR(summary.value("node_availability.server"), 1 - 420.0 / 10000, 1e-12);
  s["duration"] = "999 s";
  s["chaos"][0] = {{"action", "crash"}, {"service", "s"}, {"victims", 2}, {"every", "100 s"}};
  rows(s, &summary);
  EXPECT_EQ(summary.value("crashes.s"), 2 * 9);
  s["chaos"][0] = {{"action", "slow"}, {"node", "server"}, {"victims", 99}, {"every", "100 s"}, {"lasts", "50 s"}, {"speed", 0.5}};
  const auto slow = rows(s, &summary);
  const auto late = std::count_if(slow.begin(), slow.end(), [](const RequestRecord& r) {
    return r.status == Status::completed && (r.completed - r.created).seconds() > 1.01;
  });
  EXPECT_NEAR(static_cast<double>(late), 9 * 50, 12);
}

TEST(Accelerators, OneOfSeveralFails) {
  json s = {{"isthmus", 1}, {"name", "t"}, {"duration", "100 s"},
            {"nodes", {{"gpu", {{"device", "nvidia-a100-80g"}, {"accelerators", 3}}}}},
            {"network", {{"model", "fluid"}}},
            {"services", {{"s", {{"model", "resnet-50"}, {"on", "gpu"}, {"replicas", 2}, {"local", false}, {"cold_start", "5 s"}}}}},
            {"workload", json::array({{{"name", "w"}, {"source", "deterministic"}, {"rate", "1 /s"}, {"target", "s"}}})}};
  // The first one has a spare; with two broken a replica is missing until one is repaired.
  s["faults"] = json::array({{{"node", "gpu"}, {"accelerator", 0}, {"at", "10 s"}, {"lasts", "60 s"}},
                             {{"node", "gpu"}, {"accelerator", 1}, {"at", "30 s"}, {"lasts", "60 s"}}});
  ASSERT_EQ(first_problem(s), "no error");
  results::Summary summary;
  rows(s, &summary);
  // Away 10 to 15 s, and 30 s to 75 s.
  EXPECT_NEAR(summary.services.at(0).mean_replicas, 2 - (5.0 + 45) / 100, 1e-6);
  EXPECT_EQ(summary.value("node_downtime.gpu"), 0);
  EXPECT_EQ(summary.failed, 0U);
}

TEST(Regions, FailTogether) {
  json s = station({1, 11}, 100);
  s["nodes"] = {{"server", {{"count", 2}, {"zone", json::array({"a", "b"})}}}, {"app", {{"zone", "c"}}}};
  s["network"]["links"] = {{"wire", {{"bandwidth", "1 Gbps"}, {"latency", "0 s"}}}};
  s["network"]["routes"] = json::array({{{"from", "c"}, {"to", "a"}, {"links", json::array({"wire"})}},
                                        {{"from", "c"}, {"to", "b"}, {"links", json::array({"wire"})}}});
  s["workload"][0]["clients"] = {{"on", "app"}};
  s["services"]["s"]["replicas"] = 2;
  s["faults"] = json::array({{{"zones", json::array({"a", "b"})}, {"at", "10 s"}, {"lasts", "5 s"}}});
  s["results"] = {{"availability", true}};
  const std::string problem = first_problem(s);
  ASSERT_EQ(problem, "no error");
  results::Summary summary;
  EXPECT_THAT(ends(s, &summary), Pointwise(DoubleNear(1e-8), Dates{2, 16}));
  EXPECT_EQ(summary.value("node_failures.server"), 2);
}

TEST(RetryStorms, OutliveTheirCauseWithoutABudget) {
  // 80 % load. A brown-out of 20 s makes clients, who wait 1 s, ask again up to five times: the server then works
  // for those who have gone. A budget of 10 % retries lets it recover.
  json s = station({}, 300);
  s["services"]["s"].update({{"service_time", "100 ms"}, {"queue", {{"capacity", 1000}}}});
  s["workload"] = json::array({{{"name", "w"}, {"source", "poisson"}, {"rate", "8 /s"}, {"target", "s"},
                                {"request", {{"attempt_timeout", "1 s"}, {"retries", 5}, {"retry_backoff", "100 ms"}}}}});
  s["faults"] = json::array({{{"node", "server"}, {"speed", 0.3}, {"at", "50 s"}, {"lasts", "20 s"}}});
  const std::string problem = first_problem(s);
  ASSERT_EQ(problem, "no error");
  const auto late = [&](const json& scenario) {
    double answered = 0, all = 0;
    for (const RequestRecord& r : rows(scenario))
      if (r.created.seconds() > 150 && r.created.seconds() < 290) ++all, answered += r.status == Status::completed ? 1 : 0;
    return answered / all;
  };
  const double storm = late(s);
  s["workload"][0]["request"]["retry_budget"] = 0.1;
  const double contained = late(s);
  EXPECT_LT(storm, 0.2);  // 80 s and more after the brown-out
  EXPECT_GT(contained, 0.9);
}

TEST(Faults, SayWhatIsWrong) {
  const auto with = [](const char* list, const json& entry) {
    json s = station({1});
    s[list] = json::array({entry});
    return first_problem(s);
  };
  EXPECT_THAT(with("faults", {{"node", "server"}, {"at", "1 s"}, {"speed", 0}}), HasSubstr("speed"));
  EXPECT_THAT(with("faults", {{"node", "server"}, {"at", "1 s"}, {"speed", 2}}), HasSubstr("speed"));
  EXPECT_THAT(with("faults", {{"node", "server"}, {"at", "1 s"}, {"accelerator", 5}}), HasSubstr("accelerator"));
  EXPECT_THAT(with("faults", {{"zone", "default"}, {"at", "1 s"}, {"accelerator", 0}}), HasSubstr("only with \"node\""));
  EXPECT_THAT(with("crashes", {{"service", "s"}}), HasSubstr("either \"at\" or"));
  EXPECT_THAT(with("crashes", {{"service", "x"}, {"at", "1 s"}}), HasSubstr("x"));
  EXPECT_THAT(with("crashes", {{"service", "s"}, {"at", "1 s"}, {"replica", 1}}), HasSubstr("must be below 1"));
  EXPECT_THAT(with("crashes", {{"service", "s"}, {"at", "1 s"}, {"restart_delay", "10 s"}, {"restart_limit", "1 s"}}), HasSubstr("below restart_delay"));
  EXPECT_THAT(with("maintenance", {{"node", "server"}, {"at", "1 s"}}), HasSubstr("takes"));
  EXPECT_THAT(with("maintenance", {{"node", "server"}, {"at", "1 s"}, {"takes", "1 s"}, {"max_unavailable", 0}}), HasSubstr("max_unavailable"));
  EXPECT_THAT(with("chaos", {{"every", "1 s"}, {"node", "server"}}), HasSubstr("needs the field \"lasts\""));
  EXPECT_THAT(with("chaos", {{"every", "0 s"}, {"node", "server"}, {"lasts", "1 s"}}), HasSubstr("1 ms or more"));
  EXPECT_THAT(with("chaos", {{"every", "1 s"}, {"action", "crash"}, {"node", "server"}}), HasSubstr("not with action"));
  EXPECT_THAT(with("chaos", {{"every", "1 s"}, {"action", "slow"}, {"node", "server"}, {"lasts", "1 s"}}), HasSubstr("speed"));
  EXPECT_THAT(with("chaos", {{"every", "1 s"}, {"node", "server"}, {"lasts", "1 s"}, {"from", "5 s"}, {"until", "5 s"}}), HasSubstr("after \"from\""));
}

}  // namespace
}  // namespace isthmus::scenarios
