// Batch jobs: whole runs by hand, checkpoints against Daly's formula, stragglers, hostile input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "results/metrics.hpp"
#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using testing::first_problem;
using testing::load_json;
using ::testing::HasSubstr;

// Items of a second on `workers` machines, and a service that nobody needs.
json job(int workers, int items, int shards, json fields = json::object()) {
  fields["workers"] = "w";
  fields["items"] = items;
  fields["shards"] = shards;
  if (!fields.contains("item_time")) fields["item_time"] = "1 s";
  return {{"isthmus", 1},
          {"name", "t"},
          {"duration", "100000 s"},
          {"nodes", {{"w", {{"count", workers}, {"zone", "a"}, {"price", "3.6 USD/h"}}}, {"store", {{"zone", "b"}}}}},
          {"network",
           {{"model", "fluid"},
            {"links", {{"wan", {{"bandwidth", "8 Mbps"}, {"latency", "10 ms"}}}}},
            {"routes", {{{"from", "a"}, {"to", "b"}, {"links", {"wan"}}}}}}},
          {"services", {{"s", {{"service_time", "1 ms"}, {"on", "store"}}}}},
          {"workload", {{{"source", "times"}, {"times", {"0 s"}}, {"target", "s"}, {"clients", {{"on", "store"}}}}}},
          {"jobs", {{"j", fields}}}};
}

json failing(json s, double at, double lasts) {
  s["faults"].push_back({{"node", "w"}, {"index", 0}, {"at", std::to_string(at) + " s"},
                         {"lasts", std::to_string(lasts) + " s"}});
  return s;
}

results::Summary run(const json& s) { return world::run(*load_json(s).scenario, {}); }

TEST(BatchJobs, SimplestByHand) {
  const auto r = run(job(2, 40, 4, {{"assignment", "queue"}, {"setup", "500 ms"}, {"start", "7 s"}}));
  EXPECT_EQ(r.value("job_makespan.j"), 21) << "two shards of 10 s on each, half a second of setup before";
  EXPECT_EQ(r.value("job_items.j"), 40);
  EXPECT_NEAR(r.value("job_throughput.j"), 40 / 21.0, 1e-12);
  EXPECT_EQ(r.value("job_busy.j"), 42);
  EXPECT_NEAR(r.value("job_cost.j"), 42 * 0.001, 1e-12);
  EXPECT_NEAR(r.value("job_task_max.j"), 10.5, 1e-9);
  EXPECT_EQ(r.value("job_lost.j"), 0);
  EXPECT_EQ(r.value("job_unfinished.j"), 0);
  for (const results::MetricDefinition& d : results::metric_definitions())
    if (const std::size_t at = d.name.find("<job>"); at != std::string_view::npos) {
      const std::string name = std::string(d.name).replace(at, 5, "j");
      EXPECT_TRUE(std::any_of(r.metrics.begin(), r.metrics.end(), [&](const auto& m) { return m.name == name; })) << name;
    }
  // Items that do not divide: 3, 3, 2, 2.
  EXPECT_NEAR(run(job(4, 10, 4, {{"assignment", "queue"}})).value("job_makespan.j"), 3, 1e-9);
  // Cut off by the end of the run.
  json cut = job(1, 100, 2);
  cut["duration"] = "60 s";
  EXPECT_EQ(run(cut).value("job_unfinished.j"), 1);
  EXPECT_EQ(run(cut).value("job_items.j"), 50);
  EXPECT_EQ(run(cut).value("job_busy.j"), 60);
}

TEST(BatchJobs, WorkAfterTheLastCheckpointIsLost) {
  // The only worker is down from 50.5 s to 60.5 s.
  const auto none = run(failing(job(1, 100, 1), 50.5, 10));
  EXPECT_NEAR(none.value("job_lost.j"), 50.5, 1e-9);
  EXPECT_NEAR(none.value("job_makespan.j"), 160.5, 1e-9);
  EXPECT_EQ(none.value("job_retries.j"), 1);
  const auto free = run(failing(job(1, 100, 1, {{"checkpoint", {{"items", 10}}}}), 50.5, 10));
  EXPECT_NEAR(free.value("job_lost.j"), 0.5, 1e-9);
  EXPECT_NEAR(free.value("job_makespan.j"), 110.5, 1e-9);
  // Of 11 s with its checkpoint each: four before the failure, then 6 x 10 s and five checkpoints.
  const auto paid = run(failing(job(1, 100, 1, {{"checkpoint", {{"every", "10 s"}, {"time", "1 s"}}}}), 50.5, 10));
  EXPECT_NEAR(paid.value("job_lost.j"), 6.5, 1e-9);
  EXPECT_NEAR(paid.value("job_makespan.j"), 125.5, 1e-9);
  EXPECT_EQ(paid.value("job_checkpoints.j"), 9);
  EXPECT_NEAR(paid.value("job_checkpoint_time.j"), 9, 1e-9);
  // All retries used.
  json strict = failing(job(1, 100, 1, {{"retries", 0}}), 50.5, 10);
  EXPECT_EQ(run(strict).value("job_failed.j"), 1);
  EXPECT_EQ(run(strict).value("job_items.j"), 0);
  EXPECT_NEAR(run(strict).value("job_makespan.j"), 50.5, 1e-9);
}

TEST(BatchJobs, CheckpointsTravel) {
  // 1 MB over 1 MB/s and 10 ms, with the same dates on both backends.
  json s = job(1, 30, 1, {{"checkpoint", {{"items", 10}, {"bytes", "1 MB"}, {"storage", "store"}}}});
  for (const char* model : {"fluid", "simgrid"}) {
    s["network"]["model"] = model;
    const auto r = run(s);
    EXPECT_NEAR(r.value("job_makespan.j"), 30 + 2 * 1.01, 1e-8) << model;
    EXPECT_EQ(r.value("job_checkpoint_bytes.j"), 2e6);
  }
  // The first one meets a dead link and is not there after the failure; the second one is.
  s["network"]["model"] = "fluid";
  s["faults"] = {{{"link", "wan"}, {"at", "9 s"}, {"lasts", "3 s"}}};
  const auto late = run(failing(s, 15, 5));
  EXPECT_NEAR(late.value("job_lost.j"), 15, 1e-9);
  EXPECT_NEAR(late.value("job_makespan.j"), 20 + 30 + 2 * 1.01, 1e-8);
}

TEST(BatchJobs, ShardsGoElsewhereWhenAWorkerFails) {
  for (const char* how : {"consistent-hash", "queue", "stealing"}) {
    json s = job(4, 400, 40, {{"assignment", how}, {"checkpoint", {{"items", 1}}}});
    const auto whole = run(s);
    EXPECT_EQ(whole.value("job_unfinished.j"), 0) << how;
    EXPECT_EQ(whole.value("job_busy.j"), 400) << how;
    s["faults"] = {{{"node", "w"}, {"index", 1}, {"at", "25.5 s"}}};
    const auto three = run(s);
    EXPECT_EQ(three.value("job_unfinished.j"), 0) << how;
    EXPECT_NEAR(three.value("job_lost.j"), 0.5, 1e-9) << how;
    EXPECT_NEAR(three.value("job_busy.j"), 400.5, 1e-9) << how << ": all else is done once";
    EXPECT_GT(three.value("job_makespan.j"), whole.value("job_makespan.j") - 1e-9) << how;
  }
  const double queue = run(job(4, 400, 40, {{"assignment", "queue"}})).value("job_makespan.j");
  const double hash = run(job(4, 400, 40)).value("job_makespan.j");
  const auto stealing = run(job(4, 400, 40, {{"assignment", "stealing"}}));
  EXPECT_NEAR(queue, 100, 1e-9);
  EXPECT_GT(hash, 105) << "a ring is uneven";
  EXPECT_NEAR(stealing.value("job_makespan.j"), 100, 1e-9);
  EXPECT_GT(stealing.value("job_stolen.j"), 0);
}

TEST(BatchJobs, CheckpointsFollowDaly) {
  // MTBF 1000 s, 5 s per checkpoint: time over work is M (e^((t + C) / M) - 1) / t, least near
  // sqrt(2 C M) = 100 s (Young 1974; Daly 2006, without restart).
  double least = 1e9, at = 0;
  for (const double every : {25.0, 50.0, 100.0, 200.0, 400.0}) {
    json s = job(40, 400000, 40,
                 {{"assignment", "queue"}, {"retries", 100000},
                  {"checkpoint", {{"every", std::to_string(every) + " s"}, {"time", "5 s"}}}});
    s["faults"] = {{{"node", "w"}, {"together", false}, {"time_to_repair", "1 s"},
                    {"time_to_failure", {{"distribution", "exponential"}, {"mean", "1000 s"}}}}};
    const auto r = run(s);
    EXPECT_EQ(r.value("job_unfinished.j"), 0);
    const double expected = 1000 * (std::exp((every + 5) / 1000) - 1) / every;
    const double measured = r.value("job_busy.j") / 400000;
    EXPECT_NEAR(measured, expected, 0.02 * expected) << every;
    if (measured < least) {
      least = measured;
      at = every;
    }
  }
  EXPECT_EQ(at, 100);
}

TEST(BatchJobs, CopiesOfSlowShards) {
  // One of ten attempts is ten times slower.
  double plain = 0, copied = 0;
  for (int seed = 1; seed <= 10; ++seed) {
    json s = job(20, 400, 20,
                 {{"assignment", "queue"},
                  {"slowdown", {{"distribution", "choice"}, {"values", {1, 10}}, {"weights", {0.9, 0.1}}}}});
    s["seed"] = seed;
    plain += run(s).value("job_makespan.j");
    s["jobs"]["j"]["speculation"] = {{"check", "5 s"}, {"share", 1}};
    const auto r = run(s);
    copied += r.value("job_makespan.j");
    EXPECT_EQ(r.value("job_unfinished.j"), 0);
    EXPECT_LE(r.value("job_copies_won.j"), r.value("job_copies.j"));
    EXPECT_NEAR(r.value("job_items.j"), 400, 0);
    if (r.value("job_copies.j") > 0) {
      EXPECT_GT(r.value("job_duplicate.j"), 0);
    }
  }
  EXPECT_LT(copied, 0.7 * plain);
  // Equal ones get none.
  json s = job(4, 400, 4, {{"assignment", "queue"}, {"speculation", json::object()}});
  EXPECT_EQ(run(s).value("job_copies.j"), 0);
}

TEST(BatchJobs, TimeoutsStartAgainOnAnotherWorker) {
  const auto r = run(job(2, 10, 1, {{"timeout", "4 s"}, {"retries", 2}}));
  EXPECT_EQ(r.value("job_timeouts.j"), 3);
  EXPECT_EQ(r.value("job_failed.j"), 1);
  EXPECT_EQ(r.value("job_lost.j"), 12);
  // With checkpoints each attempt goes on from the one before: 3 items and a cut one, four times.
  const auto saved = run(job(2, 10, 1, {{"timeout", "3.5 s"}, {"retries", 3}, {"checkpoint", {{"items", 1}}}}));
  EXPECT_EQ(saved.value("job_unfinished.j"), 0);
  EXPECT_NEAR(saved.value("job_makespan.j"), 3 * 3.5 + 1, 1e-9);
}

TEST(BatchJobs, RefuseWhatMakesNoSense) {
  const auto with = [](const json& fields) {
    json s = job(2, 10, 2);
    s["jobs"]["j"].update(fields);
    return first_problem(s);
  };
  EXPECT_THAT(with({{"shards", 11}}), HasSubstr("11 shards of 10 items"));
  EXPECT_THAT(with({{"shards", 0}}), HasSubstr("1"));
  EXPECT_THAT(with({{"item_time", "0 s"}}), HasSubstr("above 0"));
  EXPECT_THAT(with({{"item_time", "NaN"}}), HasSubstr("item_time"));
  EXPECT_THAT(with({{"workers", {"w", "w"}}}), HasSubstr("named twice"));
  EXPECT_THAT(with({{"workers", "v"}}), HasSubstr("v"));
  EXPECT_THAT(with({{"checkpoint", {{"time", "1 s"}}}}), HasSubstr("give \"items\" or \"every\""));
  EXPECT_THAT(with({{"checkpoint", {{"items", 1}, {"bytes", "1 MB"}}}}), HasSubstr("storage"));
  EXPECT_THAT(with({{"checkpoint", {{"items", 1}, {"storage", "store"}}}}), HasSubstr("without \"bytes\""));
  EXPECT_THAT(with({{"timeout", "1 s"}, {"setup", "2 s"}}), HasSubstr("longer than \"setup\""));
  EXPECT_THAT(with({{"assignment", "queue"}, {"ring_points", 5}}), HasSubstr("by hash"));
  EXPECT_THAT(with({{"speculation", {{"slow_factor", 1}}}}), HasSubstr("1"));
  json gone = job(2, 10, 2);  // and nobody comes back
  gone["faults"] = {{{"node", "w"}, {"at", "1 s"}}};
  EXPECT_EQ(run(gone).value("job_unfinished.j"), 2);
  EXPECT_THAT(first_problem(job(1, 10, 2, {{"speculation", json::object()}})), HasSubstr("second worker"));
}

}  // namespace
}  // namespace isthmus::scenarios
