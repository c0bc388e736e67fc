// JSON and back without losing a bit.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "fixtures.hpp"
#include "results/summary.hpp"

namespace isthmus::results {
namespace {

using namespace test;

Summary full_summary() {
  Summary s;
  s.info = two_services();
  s.info.seed = 0xffffffffffffffffULL;
  s.info.replication = 3;
  s.info.label = "policy = \"score\" \u00fc";
  s.info.objectives = {{"latency", 99.9, ms(8)}, {"ttft", 50, ms(3)}};
  s.info.notes = {"first note", ""};
  s.created = 10;
  s.completed = 6;
  s.rejected = 2;
  s.failed = 1;
  s.in_flight = 1;
  s.by_cause = {{"queue_full", 2}, {"node_failed", 1}};
  s.metrics = {{"latency.mean", 0.1 + 0.2, "s"},
               {"latency.p95", std::numeric_limits<double>::quiet_NaN(), "s"},
               {"energy", std::numeric_limits<double>::denorm_min(), "J"},
               {"cost", -0.0, "USD"},
               {"throughput", std::numeric_limits<double>::infinity(), "1/s"},
               {"goodput", std::numeric_limits<double>::max(), "1/s"},
               {"accuracy", 1, "1"}};
  s.by_workload["cameras"] = {{"latency.mean", 1.0 / 3, "s"}};
  s.by_service["edge"] = {};
  const WorldTotals t = totals(10);
  s.nodes = t.nodes;
  s.services = t.services;
  s.services[0].iterations = 1ULL << 60;
  s.links = t.links;
  s.updates = t.updates;
  s.events = t.events;
  s.fingerprint = 0xfedcba9876543210ULL;
  s.cpu_seconds = 0.1;
  s.directory = "runs/a b";
  return s;
}

void expect_equal(const std::vector<Metric>& a, const std::vector<Metric>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    EXPECT_EQ(a[i].unit, b[i].unit);
    EXPECT_EQ(std::bit_cast<std::uint64_t>(a[i].value), std::bit_cast<std::uint64_t>(b[i].value))
        << a[i].name;
  }
}

TEST(SummaryJson, RoundTripsEveryField) {
  const Summary a = full_summary();
  const Summary b = summary_from_json(to_json(a));
  expect_equal(a.metrics, b.metrics);
  expect_equal(a.by_workload.at("cameras"), b.by_workload.at("cameras"));
  EXPECT_EQ(b.by_service.size(), 1U);
  EXPECT_EQ(b.info.seed, a.info.seed);
  EXPECT_EQ(b.info.label, a.info.label);
  EXPECT_EQ(b.info.scenario_json, a.info.scenario_json);
  EXPECT_EQ(b.info.objectives[0].percentile, 99.9);
  EXPECT_EQ(b.info.objectives[1].target, ms(3));
  EXPECT_EQ(b.info.notes, a.info.notes);
  EXPECT_EQ(b.info.warmup, a.info.warmup);
  EXPECT_EQ(b.by_cause, a.by_cause);
  EXPECT_EQ(b.services[0].iterations, a.services[0].iterations);
  EXPECT_EQ(b.services[0].timing, a.services[0].timing);
  EXPECT_EQ(b.nodes[1].energy, a.nodes[1].energy);
  EXPECT_EQ(b.links[0].bytes, a.links[0].bytes);
  EXPECT_EQ(b.updates[0].progress, a.updates[0].progress);
  EXPECT_TRUE(std::isnan(b.updates[0].most));
  EXPECT_EQ(b.fingerprint, a.fingerprint);
  EXPECT_EQ(b.cpu_seconds, a.cpu_seconds);
  EXPECT_EQ(b.directory, a.directory);
  // Whatever the checks above forgot shows in the text.
  EXPECT_EQ(to_json(a), to_json(b));
}

TEST(SummaryJson, RandomDoublesSurvive) {
  Rng g(11);
  Summary a = full_summary();
  a.metrics.clear();
  for (int i = 0; i < 2000; ++i) {
    const double v = std::bit_cast<double>(g());
    if (std::isfinite(v)) a.metrics.push_back({"m" + std::to_string(i), v, "1"});
  }
  ASSERT_GT(a.metrics.size(), 1900U);
  expect_equal(a.metrics, summary_from_json(to_json(a)).metrics);
}

TEST(SummaryJson, ReproducibleFormLeavesOutTheExecution) {
  Summary a = full_summary(), b = a;
  b.cpu_seconds = 99;
  b.directory = "elsewhere";
  EXPECT_EQ(reproducible_json(a), reproducible_json(b));
  EXPECT_NE(performance_json(a), performance_json(b));
  const Summary back = summary_from_json(reproducible_json(a));
  EXPECT_EQ(back.cpu_seconds, 0);
  EXPECT_TRUE(back.directory.empty());
}

TEST(SummaryJson, RefusesOtherTexts) {
  EXPECT_THROW(summary_from_json(""), InputError);
  EXPECT_THROW(summary_from_json("{}"), InputError);
  EXPECT_THROW(summary_from_json(R"({"filetype":"isthmus run"})"), InputError);
  EXPECT_THROW(load_summary("/nonexistent"), InputError);
  std::string other = to_json(full_summary());
  other.replace(other.find("\"version\":1"), 11, "\"version\":9");
  EXPECT_THROW(summary_from_json(other), InputError);
  std::string broken = to_json(full_summary());
  broken.replace(broken.find("fedcba9876543210"), 16, "not hexadecimal!");
  EXPECT_THROW(summary_from_json(broken), InputError);
}

TEST(SummaryJson, RefusesNamesThatAreNotText) {
  Summary s = full_summary();
  s.info.name = "\xff\xfe";
  EXPECT_THROW(to_json(s), Error);
}

TEST(ConservationLine, NamesCausesWhereTheyBelong) {
  const Summary s = full_summary();
  EXPECT_EQ(s.conservation_line(),
            "created 10 = completed 6 + rejected 2 (queue_full 2) + failed 1 (node_failed 1) + in "
            "flight 1");
  Summary odd = s;
  odd.by_cause = {{"queue_full", 3}};
  EXPECT_EQ(odd.conservation_line(),
            "created 10 = completed 6 + rejected 2 + failed 1 + in flight 1; causes: queue_full 3");
}

}  // namespace
}  // namespace isthmus::results
