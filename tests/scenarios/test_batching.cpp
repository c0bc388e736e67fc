// Batches of chosen requests in whole runs, by hand: priorities, limits of waiting, deadlines, the
// adaptive batcher, and times that vary around the cost model's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using testing::first_problem;
using testing::load_json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// One server without a network; a batch takes 8 ms and 2 ms per request.
json server(const json& batching) {
  return {{"isthmus", 1},
          {"name", "t"},
          {"duration", "10 s"},
          {"nodes", {{"m", json::object()}}},
          {"services", {{"s", {{"on", "m"}, {"service_time", "8 ms"}, {"per_item", "2 ms"}, {"batching", batching}}}}},
          {"workload", json::array()}};
}

void add(json& s, const json& times, const json& more = json::object(), const json& request = json::object()) {
  json w = {{"source", "times"}, {"times", times}, {"target", "s"}, {"clients", {{"on", "m"}}}, {"request", request}};
  w.update(more);
  s["workload"].push_back(w);
}

struct Outcome {
  results::Summary summary;
  std::vector<results::RequestRecord> records;  // by date of creation
};

Outcome run(const json& s) {
  Outcome r;
  world::RunOptions options;
  options.on_request = [&](const results::RequestRecord& record) { r.records.push_back(record); };
  r.summary = world::run(*load_json(s).scenario, options);
  std::stable_sort(r.records.begin(), r.records.end(),
                   [](const auto& a, const auto& b) { return a.created < b.created; });
  EXPECT_EQ(r.records.size(), r.summary.created);
  return r;
}

double ms(Instant t) { return t.is_never() ? -1 : (t - Instant::zero()).seconds() * 1e3; }
std::vector<double> starts(const Outcome& r) {
  std::vector<double> all;
  for (const auto& record : r.records) all.push_back(std::round(ms(record.started) * 1e6) / 1e6);
  return all;
}
std::vector<double> ends(const Outcome& r) {
  std::vector<double> all;
  for (const auto& record : r.records) all.push_back(std::round(ms(record.completed) * 1e6) / 1e6);
  return all;
}

TEST(DynamicBatcher, ServesLevelsInOrder) {
  json s = server({{"policy", "dynamic"}, {"max_batch", 2}, {"priority_levels", 3}, {"default_priority_level", 2}});
  add(s, {"0 s", "2 ms"});
  add(s, {"1 ms"}, {{"priority", -1}});
  add(s, {"3 ms", "4 ms"}, {{"priority", 5}});
  // The first alone until 10 ms; then the two of the first level, until 22 ms; then the others.
  EXPECT_THAT(starts(run(s)), ElementsAre(0, 22, 22, 10, 10));
}

TEST(DynamicBatcher, TurnsAwayAtTheLimitOfWaitingAndAtFullQueues) {
  json s = server({{"policy", "dynamic"}, {"max_batch", 1}, {"default_timeout", "12 ms"}, {"max_queue_size", 2},
                   {"allow_timeout_override", 1}});
  add(s, {"0 s", "1 ms", "3 ms", "4 ms"});
  add(s, {"10.5 ms"}, json::object(), {{"queue_timeout", "3 ms"}});
  const Outcome r = run(s);
  // 0-10 and 10-20; the third waits from 3 to 15 ms; the fourth finds two waiting; the last gives up.
  EXPECT_THAT(starts(r), ElementsAre(0, 10, -1, -1, -1));
  EXPECT_EQ(r.records[2].cause, results::Cause::queue_timeout);
  EXPECT_EQ(r.records[3].cause, results::Cause::queue_full);
  EXPECT_EQ(r.records[4].cause, results::Cause::queue_timeout);
  EXPECT_EQ(r.summary.value("rejected_rate"), 0.6);
}

TEST(DynamicBatcher, DelayedRequestsAreServedAfterTheOthers) {
  json s = server({{"policy", "dynamic"}, {"max_batch", 1}, {"default_timeout", "5 ms"}, {"timeout_action", "delay"}});
  add(s, {"0 s", "1 ms", "6 ms", "16 ms"});
  // At 10 ms the second has waited 9 ms, at 20 ms the fourth 4 ms.
  EXPECT_THAT(starts(run(s)), ElementsAre(0, 30, 10, 20));
}

TEST(EarliestDeadline, ServesByDeadlineAndTurnsTheLateAway) {
  json s = server({{"policy", "earliest-deadline"}, {"max_batch", 8}});
  add(s, {"0 s"});
  add(s, {"1 ms"}, json::object(), {{"deadline", "60 ms"}});
  add(s, {"2 ms"}, json::object(), {{"deadline", "24 ms"}});   // by 26 ms: 16 ms are left, for a batch of four
  add(s, {"3 ms"}, json::object(), {{"deadline", "14 ms"}});   // by 17 ms: alone it would end at 20 ms
  add(s, {"4 ms"}, json::object(), {{"deadline", "80 ms"}});
  const Outcome r = run(s);
  EXPECT_THAT(starts(r), ElementsAre(0, 10, 10, -1, 10));
  EXPECT_THAT(ends(r), ElementsAre(10, 24, 24, -1, 24));
  EXPECT_EQ(r.records[3].cause, results::Cause::queue_timeout);
  // 20 ms after creation by an objective: the second by 21 ms, alone, and all others too late then.
  s["slo"] = {{{"target", "20 ms"}, {"percentile", 95}}};
  EXPECT_THAT(starts(run(s)), ElementsAre(0, 10, -1, -1, -1));
}

TEST(EarliestDeadline, HoldsUntilTheLastMoment) {
  json s = server({{"policy", "earliest-deadline"}, {"start", "last-moment"}, {"max_batch", 8}, {"slo", "40 ms"}});
  add(s, {"0 s", "5 ms", "10 ms"});
  // Four would take 16 ms: as long as they could be there by 40 ms, until 24 ms.
  EXPECT_THAT(starts(run(s)), ElementsAre(24, 24, 24));
  EXPECT_THAT(ends(run(s)), ElementsAre(38, 38, 38));
}

TEST(EarliestDeadline, LosesNobodyInAClosedLoop) {
  json s = server({{"policy", "earliest-deadline"}, {"slo", "25 ms"}, {"least_batch", 3}});
  s["services"]["s"]["slots"] = 2;
  s["workload"] = {{{"source", "closed"}, {"target", "s"}, {"clients", {{"on", "m"}, {"count", 40}}}, {"think", "10 ms"}}};
  const Outcome r = run(s);
  EXPECT_GT(r.summary.value("throughput"), 200);
  EXPECT_GT(r.summary.value("rejected_rate"), 0.02);
  EXPECT_LE(r.summary.value("latency.max"), 0.025 + 1e-9);  // whoever is served is in time
}

TEST(AdaptiveBatcher, SettlesAtTheObjective) {
  json s = server({{"policy", "adaptive"}, {"slo", "40 ms"}});  // 16 requests
  s["workload"] = {{{"source", "closed"}, {"target", "s"}, {"clients", {{"on", "m"}, {"count", 100}}}}};
  s["warmup"] = "2 s";
  const Outcome r = run(s);
  EXPECT_LE(r.summary.value("service_time.max"), 0.042 + 1e-9);
  EXPECT_GT(r.summary.value("service_time.mean"), 0.034);
}

// What the law of a batch's time is made of: mean and deviation of the model's time.
TEST(TimeVariation, HasTheMeanOfTheModelAndItsOwnDeviation) {
  json s = {{"isthmus", 1},
            {"name", "t"},
            {"duration", "400 s"},
            {"nodes", {{"m", {{"device", "nvidia-a100-80g"}}}}},
            {"services", {{"s", {{"on", "m"}, {"model", "distilbert"}}}}},
            {"workload", {{{"source", "closed"}, {"target", "s"}, {"clients", {{"on", "m"}}}}}}};
  const double exact = run(s).summary.value("latency.mean");
  s["services"]["s"]["time_cv"] = 0.5;
  const results::Summary varied = run(s).summary;
  EXPECT_NEAR(varied.value("latency.mean"), exact, 0.01 * exact);
  EXPECT_NEAR(varied.value("latency.stddev"), 0.5 * exact, 0.01 * exact);
  // A machine with clocks that all run at their highest draws the same.
  s["nodes"]["m"] = {{"device", "snapdragon-8-gen3"}};
  s["services"]["s"]["model"] = "mobilenet-v2";
  s["duration"] = "20 s";
  const double plain = run(s).summary.value("latency.mean");
  s["nodes"]["m"]["governor"] = "performance";
  s["nodes"]["m"]["thermal"] = nullptr;
  s["nodes"]["m"]["battery"] = nullptr;
  EXPECT_NEAR(run(s).summary.value("latency.mean"), plain, 1e-6 * plain);
  s["services"]["s"]["time_cv"] = -1;
  EXPECT_THAT(first_problem(s), HasSubstr("/services/s/time_cv"));
}

TEST(BatchingPolicies, SayWhatHasNoEffect) {
  json s = server({{"policy", "dynamic"}, {"max_batch", 4}});
  add(s, {"0 s"}, {{"priority", 1}}, {{"queue_timeout", "1 s"}});
  const auto notices = load_json(s).scenario->notices;
  ASSERT_EQ(notices.size(), 2u);
  EXPECT_THAT(notices[0], HasSubstr("priority has no effect"));
  EXPECT_THAT(notices[1], HasSubstr("request.queue_timeout has no effect"));
  s["services"]["s"]["batching"].update({{"priority_levels", 2}, {"default_priority_level", 2}, {"level_override", {1, 0}}});
  EXPECT_TRUE(load_json(s).scenario->notices.empty());
  s["services"]["s"]["batching"]["default_priority_level"] = 0;
  EXPECT_THAT(first_problem(s), HasSubstr("must be between 1 and 2"));
  s["services"]["s"]["batching"] = {{"policy", "dynamic"}, {"default_timeout", "-1 s"}};
  EXPECT_THAT(first_problem(s), HasSubstr("default_timeout"));
}

}  // namespace
}  // namespace isthmus::scenarios
