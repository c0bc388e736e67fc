// Tenants, admission and ordered queues: scenario files, and whole runs by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using testing::first_problem;
using testing::load_json;
using ::testing::HasSubstr;

// One server that takes 1 s per request.
json station(const json& workloads, const json& service = json::object()) {
  json s = {{"isthmus", 1},
            {"name", "t"},
            {"duration", "1000 s"},
            {"nodes", {{"server", {{"count", 1}}}}},
            {"network", {{"model", "fluid"}}},
            {"tenants", {{"gold", {{"weight", 3}, {"priority", 2}}}, {"free", json::object()}}},
            {"services", {{"s", {{"service_time", "1 s"}, {"on", "server"}, {"local", false}}}}},
            {"workload", workloads}};
  s["services"]["s"].update(service);
  return s;
}

json at(const json& times, const char* name, const json& more = json::object()) {
  json w = {{"name", name}, {"source", "times"}, {"times", times}, {"tenant", name}};
  w.update(more);
  return w;
}

struct Row {
  std::string workload;
  results::RequestRecord record;
};

std::vector<Row> rows_of(const json& s, results::Summary* summary = nullptr) {
  const LoadedScenario loaded = load_json(s);
  std::vector<Row> rows;
  world::RunOptions options;
  options.on_request = [&](const results::RequestRecord& r) {
    rows.push_back({loaded.scenario->workloads[r.workload].name, r});
  };
  const results::Summary got = world::run(*loaded.scenario, options);
  if (summary) *summary = got;
  std::sort(rows.begin(), rows.end(),
            [](const Row& a, const Row& b) { return a.record.request < b.record.request; });
  return rows;
}

std::vector<double> completions(const std::vector<Row>& rows, const std::string& workload) {
  std::vector<double> out;
  for (const Row& r : rows)
    if (r.workload == workload)
      out.push_back(r.record.status == results::Status::completed ? r.record.completed.seconds() : -1);
  return out;
}

using Dates = std::vector<double>;

TEST(Tenants, PriorityOvertakesThoseWhoWait) {
  const json s = station({at({"0 s", "0.1 s", "0.2 s"}, "free"), at({"0.3 s"}, "gold")},
                         {{"queue", {{"order", "priority"}}}});
  const auto rows = rows_of(s);
  EXPECT_EQ(completions(rows, "free"), (Dates{1, 3, 4}));
  EXPECT_EQ(completions(rows, "gold"), (Dates{2}));  // one residual, then its own
}

TEST(Tenants, PreemptionStopsAndResumes) {
  const json s = station({at({"0 s", "0.1 s"}, "free"), at({"0.3 s", "0.5 s"}, "gold")},
                         {{"queue", {{"order", "priority"}, {"preemption", true}}}});
  results::Summary summary;
  const auto rows = rows_of(s, &summary);
  EXPECT_EQ(completions(rows, "gold"), (Dates{1.3, 2.3}));
  EXPECT_EQ(completions(rows, "free"), (Dates{3, 4}));  // 0.7 s were left of the first
  EXPECT_EQ(rows[0].record.started, Instant::zero());
  EXPECT_EQ(summary.value("displaced.s"), 1);
  EXPECT_NEAR(summary.services[0].utilization, 0.004, 1e-9);  // nothing was done twice
}

TEST(Tenants, EarliestDeadlineGoesFirst) {
  json s = station({at({"0 s", "0.1 s"}, "free", {{"request", {{"deadline", "9 s"}}}}),
                    at({"0.2 s"}, "gold", {{"request", {{"deadline", "5 s"}}}})},
                   {{"queue", {{"order", "deadline"}}}});
  EXPECT_EQ(completions(rows_of(s), "free"), (Dates{1, 3}));
  s["workload"][1]["request"]["deadline"] = "9 s";
  EXPECT_EQ(completions(rows_of(s), "free"), (Dates{1, 2}));
}

// A full queue turns the last in order away, not whoever comes last.
TEST(Tenants, AFullQueuePushesOutTheLastInOrder) {
  const json s = station({at({"0 s", "0.1 s", "0.3 s"}, "free"), at({"0.2 s"}, "gold")},
                         {{"queue", {{"order", "priority"}, {"capacity", 1}}}});
  results::Summary summary;
  const auto rows = rows_of(s, &summary);
  EXPECT_EQ(completions(rows, "free"), (Dates{1, -1, -1}));
  EXPECT_EQ(completions(rows, "gold"), (Dates{2}));
  EXPECT_EQ(summary.by_cause.at("queue_full"), 2U);
}

// Three of gold for each of free, once the server is busy.
TEST(Tenants, FairSharesFollowWeights) {
  const json twenty = json::array({"0 s", "0 s", "0 s", "0 s", "0 s", "0 s", "0 s", "0 s", "0 s", "0 s",
                                   "0 s", "0 s", "0 s", "0 s", "0 s", "0 s", "0 s", "0 s", "0 s", "0 s"});
  const auto rows = rows_of(station({at(twenty, "free"), at(twenty, "gold")}, {{"queue", {{"order", "fair"}}}}));
  for (const double until : {4.0, 8.0, 12.0, 16.0, 20.0, 24.0}) {
    const auto by = [&](const char* who) {
      const Dates all = completions(rows, who);
      return static_cast<double>(std::count_if(all.begin(), all.end(), [&](double t) { return t <= until; }));
    };
    EXPECT_NEAR(by("gold"), 0.75 * until, 1) << until;
    EXPECT_NEAR(by("free"), 0.25 * until, 1) << until;
  }
}

// Work counts, not requests: those of gold are three times as long.
TEST(Tenants, FairSharesCountWork) {
  const json ten = json::array({"0 s", "0 s", "0 s", "0 s", "0 s", "0 s", "0 s", "0 s", "0 s", "0 s"});
  json s = station({at(ten, "free"), at(ten, "gold", {{"request", {{"work", 3}}}})}, {{"queue", {{"order", "fair"}}}});
  s["tenants"]["gold"]["weight"] = 1;
  const Dates free = completions(rows_of(s), "free"), gold = completions(rows_of(s), "gold");
  EXPECT_LE(free.back(), 10 + 12 + 3);  // as long as both wait, they take turns of 3 s
  EXPECT_EQ(gold.back(), 40);
}

TEST(Tenants, TokenBucketTurnsAwayAndPaces) {
  json s = station(json::array({at({"0 s", "0 s", "0 s", "10 s"}, "free")}),
                   {{"slots", 8}, {"admission", {{{"policy", "token-bucket"}, {"rate", 0.5}, {"burst", 1}}}}});
  results::Summary summary;
  EXPECT_EQ(completions(rows_of(s, &summary), "free"), (Dates{1, -1, -1, 11}));
  EXPECT_EQ(summary.by_cause.at("not_admitted"), 2U);
  EXPECT_EQ(summary.value("turned_away.s/token-bucket-0"), 2);
  EXPECT_EQ(summary.value("tenant_lost.free/not_admitted"), 0.5);
  EXPECT_THAT(summary.conservation_line(), HasSubstr("rejected 2 (not_admitted 2)"));
  s["services"]["s"]["admission"][0]["max_wait"] = "3 s";
  EXPECT_EQ(completions(rows_of(s, &summary), "free"), (Dates{1, 3, -1, 11}));
  EXPECT_EQ(summary.value("held_back.s/token-bucket-0"), 1);
  // Told to come again when there is a token: at 2 s and, having lost against the other one, at 4 s.
  s["services"]["s"]["admission"][0] = {{"policy", "token-bucket"}, {"rate", 0.5}, {"burst", 1}, {"retry_after", true}};
  s["workload"][0]["request"]["retries"] = 3;
  EXPECT_EQ(completions(rows_of(s, &summary), "free"), (Dates{1, 3, 5, 11}));
}

TEST(Tenants, RulesConcernWhomTheySay) {
  json rule = {{"policy", "quota"}, {"amount", 1}, {"window", "100 s"}, {"per", "tenant"}};
  json s = station({at({"0 s", "1 s"}, "free"), at({"0 s", "1 s"}, "gold")}, {{"slots", 4}, {"admission", {rule}}});
  EXPECT_EQ(completions(rows_of(s), "gold"), (Dates{1, -1}));
  EXPECT_EQ(completions(rows_of(s), "free"), (Dates{1, -1}));
  s["services"]["s"]["admission"][0]["per"] = "all";
  EXPECT_EQ(completions(rows_of(s), "free"), (Dates{1, -1}));
  EXPECT_EQ(completions(rows_of(s), "gold"), (Dates{-1, -1}));
  s["services"]["s"]["admission"][0]["tenants"] = {"free"};
  EXPECT_EQ(completions(rows_of(s), "gold"), (Dates{1, 2}));
  // The same at the tenant: over all services.
  s["services"]["s"].erase("admission");
  s["tenants"]["gold"]["admission"] = {rule};
  EXPECT_EQ(completions(rows_of(s), "gold"), (Dates{1, -1}));
  EXPECT_EQ(completions(rows_of(s), "free"), (Dates{1, 2}));
}

// Whoever leaves, in whatever way, makes room: answered, timed out in the queue, given up.
TEST(Tenants, ConcurrencyIsReleasedByEveryEnd) {
  json s = station(json::array({at({"0 s", "0 s", "0.5 s", "0.9 s", "1.1 s", "3 s"}, "free")}),
                   {{"admission", {{{"policy", "concurrency"}, {"limit", 2}}}}});
  EXPECT_EQ(completions(rows_of(s), "free"), (Dates{1, 2, -1, -1, 3, 4}));
  s["services"]["s"]["queue"] = {{"timeout", "0.8 s"}};
  // The second one leaves the queue at 0.8 s and the fourth takes its place; the fifth leaves it at 1.9 s.
  EXPECT_EQ(completions(rows_of(s), "free"), (Dates{1, -1, -1, 2, -1, 4}));
}

TEST(Tenants, NoBucketLetsThroughMoreThanItHas) {
  json s = station({{{"name", "free"}, {"rate", "40 /s"}, {"tenant", "free"}}, {{"name", "gold"}, {"rate", "3 /s"}, {"tenant", "gold"}}},
                   {{"slots", 64}, {"service_time", {{"distribution", "exponential"}, {"mean", "0.5 s"}}},
                    {"admission", {{{"policy", "token-bucket"}, {"rate", 7}, {"burst", 5}, {"per", "tenant"}, {"max_wait", "0.3 s"}}}}});
  s["duration"] = "100 s";
  std::vector<double> in;
  double gold = 0;
  for (const Row& r : rows_of(s)) {
    if (r.workload == "gold") gold += r.record.status == results::Status::completed;
    else if (!r.record.started.is_never()) in.push_back(r.record.started.seconds());
  }
  std::sort(in.begin(), in.end());
  for (std::size_t i = 0; i < in.size(); ++i)
    for (std::size_t j = i; j < in.size(); ++j)
      ASSERT_LE(static_cast<double>(j - i + 1), 5 + 7 * (in[j] - in[i]) + 1e-6);
  EXPECT_NEAR(static_cast<double>(in.size()), 7 * 100 + 5, 5);
  EXPECT_GT(gold, 250);  // its own bucket has room
}

// A noisy neighbour does not change how long others wait by more than one request under strict priority.
TEST(Tenants, HighPriorityWaitsForOneResidualAtMost) {
  json s = station({{{"name", "free"}, {"rate", "5 /s"}, {"tenant", "free"}}, at({"3.3 s", "50.2 s", "99.9 s"}, "gold")},
                   {{"queue", {{"order", "priority"}}}});
  s["duration"] = "200 s";
  for (const Row& r : rows_of(s))
    if (r.workload == "gold") {
      EXPECT_LE((r.record.started - r.record.arrived).seconds(), 1);
    }
}

TEST(Tenants, TotalsAndFairness) {
  json s = station({at({"0 s", "0 s", "0 s"}, "free"), at({"0 s"}, "gold")}, {{"slots", 4}});
  s["slo"] = {{{"target", "2 s"}}};
  s["nodes"]["server"]["price"] = "3.6 USD/h";
  results::Summary summary;
  rows_of(s, &summary);
  EXPECT_EQ(summary.value("tenant_requests.free"), 3);
  EXPECT_EQ(summary.value("tenant_share.free"), 0.75);
  EXPECT_EQ(summary.value("tenant_attainment.gold"), 1);
  EXPECT_NEAR(summary.value("tenant_cost.free"), 0.75 * summary.value("cost"), 1e-12);
  // Shares by weight 3 and 1/3: (10/3)^2 / (2 x 82/9).
  EXPECT_NEAR(summary.value("fairness"), (100.0 / 9) / (2 * 82.0 / 9), 1e-12);
}

TEST(Tenants, WhatDoesNotGoTogetherIsRefused) {
  const json one = json::array({at({"0 s"}, "free")});
  EXPECT_THAT(first_problem(station(one, {{"queue", {{"preemption", true}}}})), HasSubstr("needs \"order\""));
  EXPECT_THAT(first_problem(station(one, {{"queue", {{"order", "fair"}, {"preemption", true}}}})), HasSubstr("needs \"order\""));
  EXPECT_THAT(first_problem(station(one, {{"queue", {{"order", "priority"}}}, {"batching", {{"policy", "greedy"}}}})),
              HasSubstr("in order of arrival"));
  EXPECT_THAT(first_problem(station(one, {{"local", true}, {"admission", {"always"}}})), HasSubstr("own clients"));
  EXPECT_THAT(first_problem(station(one, {{"admission", {"allways"}}})), HasSubstr("always"));
  EXPECT_THAT(first_problem(station(one, {{"admission", {{{"policy", "token-bucket"}, {"rate", 0}}}}})), HasSubstr("rate"));
  EXPECT_THAT(first_problem(station(one, {{"admission", {{{"policy", "gradient"}, {"min_limit", 30}, {"initial_limit", 20}}}}})),
              HasSubstr("min_limit <= initial_limit"));
  EXPECT_THAT(first_problem(station(one, {{"admission", {{{"policy", "always"}, {"tenants", {"golden"}}}}}})),
              HasSubstr("there is no tenant \"golden\""));
  EXPECT_THAT(first_problem(station(json::array({at({"0 s"}, "free", {{"tenant", "fre"}})}))), HasSubstr("did you mean \"free\""));
  json s = station(one);
  s["tenants"]["free"]["weight"] = 0;
  EXPECT_THAT(first_problem(s), HasSubstr("/tenants/free/weight"));
}

TEST(Tenants, TheirPriorityHoldsUnlessTheWorkloadHasOne) {
  const LoadedScenario loaded =
      load_json(station({at({"0 s"}, "gold"), at({"0 s"}, "free", {{"priority", 7}})}, {{"queue", {{"order", "priority"}}}}));
  EXPECT_EQ(loaded.scenario->workloads[0].priority, 2);
  EXPECT_EQ(loaded.scenario->workloads[1].priority, 7);
  EXPECT_EQ(loaded.scenario->tenants[loaded.scenario->workloads[1].tenant].name, "free");
}

}  // namespace
}  // namespace isthmus::scenarios
