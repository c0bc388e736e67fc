// Shared accelerators: time slicing and MPS by hand, against turns played one by one, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "sim/core/random.hpp"
#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using testing::first_problem;
using testing::load_json;
using ::testing::HasSubstr;

// Services "a", "b", ... that take 1 s per request on GPUs that share them.
json machine(const json& sharing, int services = 2, const json& node = json::object()) {
  json s = {{"isthmus", 1},
            {"name", "t"},
            {"duration", "100 s"},
            {"nodes", {{"server", {{"kind", "gpu"}, {"sharing", sharing}}}}},
            {"network", {{"model", "fluid"}}},
            {"services", json::object()},
            {"workload", json::array()}};
  s["nodes"]["server"].update(node);
  for (int i = 0; i < services; ++i)
    s["services"][std::string(1, static_cast<char>('a' + i))] = {{"service_time", "1 s"}, {"on", "server"}};
  return s;
}

json turns(int replicas, const json& more = json::object()) {
  json s = {{"replicas", replicas}};
  s.update(more);
  return s;
}

void send(json& s, const std::string& target, const json& times, const json& request = json::object()) {
  s["workload"].push_back({{"name", target + "-" + std::to_string(s["workload"].size())},
                           {"source", "times"}, {"times", times}, {"target", target}, {"request", request}});
}

std::vector<results::RequestRecord> records_of(const json& s, results::Summary* summary = nullptr) {
  const LoadedScenario loaded = load_json(s);
  std::vector<results::RequestRecord> out;
  world::RunOptions options;
  options.on_request = [&](const results::RequestRecord& r) { out.push_back(r); };
  const results::Summary got = world::run(*loaded.scenario, options);
  if (summary) *summary = got;
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.request < b.request; });
  return out;
}

std::vector<double> ends(const json& s, results::Summary* summary = nullptr) {
  std::vector<double> out;
  for (const results::RequestRecord& r : records_of(s, summary))
    out.push_back(r.status == results::Status::completed ? r.completed.seconds() : -1);
  return out;
}

using Dates = std::vector<double>;

void expect_dates(const Dates& got, const Dates& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], wanted[i], 2e-9) << i;
}

TEST(Sharing, TwoTakeTurnsAndOneAloneIsFast) {
  json s = machine(turns(2), 2, {{"idle_power", "10 W"}, {"bandwidth_power", "100 W"}, {"compute_power", "110 W"}});
  send(s, "a", {"0 s"});
  send(s, "b", {"0.5 s", "10 s"});
  results::Summary r;
  // a: 0.5 s alone, then half as fast; b: as fast as a, and alone from 1.5 s on.
  expect_dates(ends(s, &r), {1.5, 2, 11});
  EXPECT_NEAR(r.value("sharing_slowdown.a"), 1.5, 1e-9);
  EXPECT_NEAR(r.value("sharing_slowdown.b"), 1.25, 1e-9);  // 2.5 s for 2 s of work
  EXPECT_NEAR(r.value("accelerator_busy.server"), 0.03, 1e-9);
  EXPECT_EQ(r.value("accelerator_switching.server"), 0);
  EXPECT_NEAR(r.nodes[0].busy_seconds, 3, 1e-9);
  EXPECT_NEAR(r.nodes[0].energy, 100 * 10 + 3 * 100, 1e-6);  // three seconds of work, never two at once
}

TEST(Sharing, SwitchesCostTheirShare) {
  json s = machine(turns(2, {{"slice", "2 ms"}, {"context_switch", "0.5 ms"}}));
  send(s, "a", {"0 s"});
  send(s, "b", {"0.5 s"});
  results::Summary r;
  expect_dates(ends(s, &r), {0.5 + 0.5 / 0.4, 2.25});  // 0.8 of the time is work
  EXPECT_NEAR(r.value("accelerator_switching.server"), 0.2 * 1.25 / 100, 1e-9);
}

TEST(Sharing, ReplicasOfOneServiceShareToo) {
  json s = machine(turns(3), 1);
  s["services"]["a"]["replicas"] = 3;
  send(s, "a", {"0 s", "0 s", "0 s", "1.5 s"});
  // Three thirds; the fourth waits for the first place, at 3 s.
  const Dates got = ends(s);
  expect_dates({got.begin(), got.begin() + 3}, {3, 3, 3});
  EXPECT_NEAR(got[3], 4, 2e-9);
}

TEST(Sharing, ReplicasGoWhereTheFewestAre) {
  json s = machine(turns(2), 2, {{"accelerators", 2}});
  send(s, "a", {"0 s"});
  send(s, "b", {"0 s"});
  expect_dates(ends(s), {1, 1});  // one accelerator each
  s["services"]["a"]["replicas"] = 2;
  s["services"]["b"]["replicas"] = 2;
  expect_dates(ends(s), {2, 2});  // both first replicas on the first one
  s["services"]["b"]["replicas"] = 3;
  EXPECT_THROW(records_of(s), InputError);
}

TEST(Sharing, PreemptedWorkKeepsWhatItHasDone) {
  json s = machine(turns(2));
  s["services"]["a"]["queue"] = {{"order", "priority"}, {"preemption", true}};
  s["tenants"] = {{"high", {{"priority", 1}}}};
  send(s, "a", {"0 s"});
  send(s, "b", {"0 s"});
  send(s, "a", {"0.5 s"});
  s["workload"][2]["tenant"] = "high";
  // At 0.5 s both have done 0.25 s. b ends at 2 s; the high one has 0.25 s left then, and the low one 0.75 s.
  expect_dates(ends(s), {3, 2, 2.25});
}

TEST(Sharing, SlowMachinesAreSharedToo) {
  json s = machine(turns(2));
  send(s, "a", {"0 s"});
  send(s, "b", {"0 s"});
  s["faults"] = {{{"node", "server"}, {"speed", 0.5}, {"at", "1 s"}, {"lasts", "2 s"}}};
  // Half done at 1 s, then a quarter of the speed for 2 s: both end at 3 s.
  expect_dates(ends(s), {3, 3});
}

TEST(Sharing, MpsUsesWhatOthersLeave) {
  json s = machine({{"kind", "mps"}, {"replicas", 2}});
  s["services"]["a"]["occupancy"] = 0.4;
  s["services"]["b"]["occupancy"] = 0.6;
  send(s, "a", {"0 s"});
  send(s, "b", {"0 s"});
  expect_dates(ends(s), {1, 1});
  s["services"]["b"]["occupancy"] = 1;
  // 1.4 are wanted: both at 1/1.4 until 1.4 s.
  expect_dates(ends(s), {1.4, 1.4});
  s["services"]["b"]["active_thread_percentage"] = 50;
  // b may use half, and a has all it can use.
  expect_dates(ends(s), {1, 2});
}

// Round robin, one slice after another.
std::vector<double> by_turns(std::vector<std::pair<double, double>> jobs, double slice, double change) {
  std::vector<double> out(jobs.size(), 0.0);
  std::deque<std::size_t> line;
  std::size_t come = 0;
  double now = 0;
  while (come < jobs.size() || !line.empty()) {
    if (line.empty()) now = std::max(now, jobs[come].first);
    while (come < jobs.size() && jobs[come].first <= now) line.push_back(come++);
    const std::size_t i = line.front();
    line.pop_front();
    const double part = std::min(slice, jobs[i].second);
    now += part;
    jobs[i].second -= part;
    while (come < jobs.size() && jobs[come].first <= now) line.push_back(come++);
    if (jobs[i].second > 1e-12) line.push_back(i);
    else out[i] = now;
    if (!line.empty() && (line.size() > 1 || line.front() != i)) now += change;
  }
  return out;
}

TEST(Sharing, FluidIsWithinARoundOfTurnsPlayedOneByOne) {
  constexpr int replicas = 40;  // one for each job
  constexpr double slice = 1e-3, change = 1e-4;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Rng g = StreamKey(seed, "jobs").at(0, 0);
    std::vector<std::pair<double, double>> jobs;
    double at = 0;
    for (int i = 0; i < 40; ++i) {
      jobs.emplace_back(at, 0.1 + uniform01(g));
      at += 1.6 * uniform01(g);
    }
    json s = machine(turns(replicas, {{"slice", "1 ms"}, {"context_switch", "0.1 ms"}}), 0);
    s["services"]["a"] = {{"service_time", "1 s"}, {"on", "server"}, {"replicas", replicas}};
    for (const auto& [when, work] : jobs) send(s, "a", {std::to_string(when) + " s"}, {{"work", work}});
    const std::vector<double> got = ends(s);
    const std::vector<double> wanted = by_turns(jobs, slice, change);
    ASSERT_EQ(got.size(), wanted.size());
    // Some rounds of slices.
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], wanted[i], 0.05) << i;
  }
}

TEST(Sharing, EnginesTakeTurnsBetweenIterations) {
  json s = {{"isthmus", 1},
            {"name", "t"},
            {"duration", "100 s"},
            {"nodes", {{"server", {{"device", "nvidia-a100-80g"}, {"sharing", {{"replicas", 2}}}}}}},
            {"network", {{"model", "fluid"}}},
            {"services", json::object()},
            {"workload", json::array()}};
  const json batching = {{"policy", "continuous"}, {"memory_utilization", 0.45}};
  for (const char* name : {"a", "b"})
    s["services"][name] = {{"model", "llama-3.1-8b"}, {"on", "server"}, {"batching", batching}};
  const json request = {{"prompt_tokens", 512}, {"output_tokens", 200}};
  send(s, "a", {"0 s"}, request);
  const double alone = ends(s)[0];
  send(s, "b", {"0 s"}, request);
  const Dates both = ends(s);
  EXPECT_NEAR(both[0], 2 * alone, 1e-6 * alone);
  EXPECT_NEAR(both[1], 2 * alone, 1e-6 * alone);
  // Somebody who comes later slows the first one down from then on, up to an iteration.
  s["workload"][1]["times"] = {std::to_string(alone / 2) + " s"};
  const Dates later = ends(s);
  EXPECT_NEAR(later[0], 1.5 * alone, alone / 50);
  EXPECT_NEAR(later[1], 2 * alone, alone / 50);
  // Two of them with the usual share of the memory do not fit.
  for (const char* name : {"a", "b"}) s["services"][name]["batching"]["memory_utilization"] = 0.9;
  try {
    records_of(s);
    FAIL() << "fits";
  } catch (const InputError& e) {
    EXPECT_THAT(e.what(), HasSubstr("must fit its memory of 85.9 GB together, one of this service needs 77.3 GB"));
  }
}

TEST(Sharing, MachinesThatFailLoseAllOfIt) {
  json s = machine(turns(2), 2, {{"idle_power", "10 W"}, {"compute_power", "110 W"}});
  send(s, "a", {"0 s", "20 s"}, {{"retries", 3}});
  send(s, "b", {"0 s", "20 s"}, {{"retries", 3}});
  s["faults"] = {{{"node", "server"}, {"at", "1 s"}, {"lasts", "2 s"}}};
  results::Summary r;
  const Dates got = ends(s, &r);
  EXPECT_NEAR(got[2], 22, 2e-9);
  EXPECT_NEAR(got[3], 22, 2e-9);
  EXPECT_GT(got[0], 3);
}

TEST(Sharing, AcceleratorsFailWithAllThatStandOnThem) {
  json s = machine(turns(2), 1, {{"accelerators", 2}});
  s["services"]["a"]["replicas"] = 4;
  s["faults"] = {{{"node", "server"}, {"accelerator", 1}, {"at", "10 s"}, {"lasts", "30 s"}}};
  send(s, "a", {"0 s", "0 s", "0 s", "0 s", "20 s", "20 s", "20 s", "20 s", "50 s", "50 s", "50 s", "50 s"});
  results::Summary r;
  // Two accelerators with two each; then one with two at a time; then as before.
  expect_dates(ends(s, &r), {2, 2, 2, 2, 22, 22, 24, 24, 52, 52, 52, 52});
}

TEST(Sharing, AcceleratorsFailWithAllTheirInstances) {
  json s = {{"isthmus", 1},
            {"name", "t"},
            {"duration", "100 s"},
            {"nodes", {{"server", {{"device", "nvidia-a100-80g"}, {"accelerators", 2},
                                   {"mig", {"3g.40gb", "2g.20gb", "2g.20gb"}}}}}},
            {"network", {{"model", "fluid"}}},
            {"services", {{"big", {{"model", "bert-base"}, {"on", "server"}, {"unit", "3g.40gb"}, {"replicas", 2}}},
                          {"small", {{"model", "bert-base"}, {"on", "server"}, {"unit", "2g.20gb"}, {"replicas", 4}}}}},
            {"workload", json::array()}};
  send(s, "big", {"1 s", "50 s"});
  s["faults"] = {{{"node", "server"}, {"accelerator", 0}, {"at", "10 s"}, {"lasts", "20 s"}}};
  results::Summary r;
  ends(s, &r);
  // One accelerator of two for a fifth of the time: each instance of it is lost and comes back.
  EXPECT_NEAR(r.value("replicas.big"), 2 - 0.2, 1e-9);
  EXPECT_NEAR(r.value("replicas.small"), 4 - 0.4, 1e-9);
}

TEST(Sharing, InstancesAreSharedToo) {
  json s = {{"isthmus", 1},
            {"name", "t"},
            {"duration", "100 s"},
            {"nodes", {{"server", {{"device", "nvidia-a100-80g"}, {"mig", {"3g.40gb", "3g.40gb"}},
                                   {"sharing", {{"replicas", 2}}}}}}},
            {"network", {{"model", "fluid"}}},
            {"services", {{"a", {{"model", "bert-base"}, {"on", "server"}, {"unit", "3g.40gb"}, {"replicas", 4}}}}},
            {"workload", json::array()}};
  send(s, "a", {"0 s"});
  const double alone = ends(s)[0];
  s["workload"][0]["times"] = {"0 s", "0 s", "0 s", "0 s"};
  for (const double end : ends(s)) EXPECT_NEAR(end, 2 * alone, 4e-9);
}

TEST(Sharing, WhatCannotShareIsRefused) {
  json s = machine(turns(2));
  send(s, "a", {"0 s"});
  EXPECT_EQ(first_problem(s), "no error");
  json t = s;
  t["services"]["a"]["local"] = true;
  EXPECT_THAT(first_problem(t), HasSubstr("services on shared accelerators are not local"));
  t = s;
  t["services"]["a"]["occupancy"] = 0.5;
  EXPECT_THAT(first_problem(t), HasSubstr("/services/a/occupancy"));
  t = s;
  t["nodes"]["server"]["kind"] = "cpu";
  EXPECT_THAT(first_problem(t), HasSubstr("\"server\" has no accelerator"));
  t = s;
  t["nodes"]["server"]["physics"] = true;
  EXPECT_THAT(first_problem(t), HasSubstr("cannot be combined with \"physics\""));
  t = s;
  t["nodes"]["server"]["sharing"] = {{"kind", "mps"}, {"replicas", 2}, {"slice", "1 ms"}};
  EXPECT_THAT(first_problem(t), HasSubstr("only for \"kind\": \"time_slicing\""));
  t = s;
  t["nodes"]["server"]["sharing"] = {{"kind", "mps"}};
  EXPECT_THAT(first_problem(t), HasSubstr("replicas"));
  t = s;
  t["services"]["a"]["placement"] = "best-fit";
  EXPECT_THAT(first_problem(t), HasSubstr("replicas on shared accelerators take the one with the fewest others"));
}

}  // namespace
}  // namespace isthmus::scenarios
