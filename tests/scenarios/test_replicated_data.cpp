// Replicated data: whole runs against closed forms and by hand.
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

constexpr double ns = 5e-9;

// One key of 1 kB at a phone and a cloud, 1 MB/s and 10 ms apart.
json pair(const json& data, const char* duration = "95 s") {
  json s = {{"isthmus", 1},
            {"name", "t"},
            {"duration", duration},
            {"nodes", {{"phone", {{"tier", "device"}, {"zone", "field"}}}, {"cloud", {{"zone", "region"}}}}},
            {"network",
             {{"links", {{"radio", {{"bandwidth", "8 Mbps"}, {"latency", "10 ms"}, {"sharing", "split-duplex"}}}}},
              {"access", {{"phone", {"radio"}}}},
              {"routes", {{{"from", "field"}, {"to", "region"}, {"links", json::array()}}}}}},
            {"services", {{"s", {{"service_time", "100 ms"}, {"on", "phone"}}}}},
            {"workload",
             {{{"source", "times"}, {"times", {"0 s"}}, {"target", "s"}, {"clients", {{"on", "phone"}}}}}},
            {"replicated_data",
             {{"d", {{"hub", "cloud"}, {"at", "phone"}, {"keys", 1}, {"value", "1 kB"}}}}}};
  s["replicated_data"]["d"].update(data);
  return s;
}

results::Summary both(json s) {
  std::vector<results::Summary> made;
  for (const char* model : {"fluid", "simgrid"}) {
    s["network"]["model"] = model;
    made.push_back(world::run(*load_json(s).scenario, {}));
  }
  for (const results::MetricDefinition& d : results::metric_definitions())
    if (const std::size_t at = d.name.find("<data>"); at != std::string_view::npos) {
      const std::string name = std::string(d.name).replace(at, 6, "d");
      EXPECT_TRUE(std::any_of(made[0].metrics.begin(), made[0].metrics.end(),
                              [&](const results::Metric& m) { return m.name == name; }))
          << name;
    }
  for (const results::Metric& m : made[0].metrics)
    if (m.name.starts_with("data_") && !std::isnan(m.value)) {
      EXPECT_NEAR(m.value, made[1].value(m.name), ns) << m.name;
    }
  return made[0];
}

json exponential(const char* mean) { return {{"distribution", "exponential"}, {"mean", mean}}; }

TEST(ReplicatedData, PollingIsHalfAnIntervalLate) {
  // One write in 20 s, polls every 10 s. Of a read u after a poll, u uniform: stale with 1 - exp(-u/20).
  constexpr double rate = 0.05, interval = 10, stay = 1 - 0.6065306597126334;
  const auto r = both(pair({{"hub_writes", exponential("20 s")}, {"reads", exponential("2 s")},
                            {"interval", "10 s"}}, "100000 s"));
  EXPECT_NEAR(r.value("data_writes.d"), 5000, 3 * 71);
  EXPECT_NEAR(r.value("data_propagation.d.mean"), interval / 2 + 0.01 + 0.00123, 3 * 2.89 / 70);
  EXPECT_LE(r.value("data_propagation.d.max"), interval + 0.01 + 0.00123);
  EXPECT_NEAR(r.value("data_stale.d"), 1 - stay / (rate * interval), 0.008);
  EXPECT_NEAR(r.value("data_staleness.d.mean"), interval / 2 - 1 / rate + stay / (rate * rate * interval), 0.05);
  EXPECT_EQ(r.value("data_conflicts.d"), 0);
}

TEST(ReplicatedData, ConflictsOfPoissonWriters) {
  // In conflict are polls between which both sides have written.
  for (const char* rule : {"last-writer-wins", "hub-wins", "keep-both"}) {
    const auto r = both(pair({{"hub_writes", exponential("20 s")}, {"writes", exponential("50 s")},
                              {"interval", "10 s"}, {"conflicts", rule}}, "100000 s"));
    const double polls = r.value("data_messages.d") / 2;
    EXPECT_NEAR(polls, 10000, 1);
    const double chance = (1 - std::exp(-0.5)) * (1 - std::exp(-0.2));
    EXPECT_NEAR(r.value("data_conflicts.d") / polls, chance, 3 * std::sqrt(chance / polls));
    // A version that its own writer replaces while the hub answers is in conflict, but not lost.
    const double lost = r.value("data_lost.d") / r.value("data_conflicts.d");
    EXPECT_LE(lost, std::string(rule) == "keep-both" ? 0 : 1);
    EXPECT_GE(lost, std::string(rule) == "keep-both" ? 0 : 0.99);
    EXPECT_EQ(r.value("data_siblings.d"), std::string(rule) == "keep-both" ? 2 : 1);
  }
}

TEST(ReplicatedData, PushTakesOneTransfer) {
  // 200 B and, of one key, 16 B, one entry of 12 B and the value.
  const auto r = both(pair({{"hub_writes", "10 s"}, {"reads", exponential("1 s")}, {"sync", "push"}}));
  EXPECT_NEAR(r.value("data_propagation.d.mean"), 0.01 + 1228e-6, ns);
  EXPECT_NEAR(r.value("data_propagation.d.max"), 0.01 + 1228e-6, ns);
  EXPECT_EQ(r.value("data_bytes_up.d"), 0);
  EXPECT_EQ(r.value("data_bytes_down.d"), 1228 * r.value("data_writes.d"));
  EXPECT_EQ(r.value("data_vector_bytes.d"), 12 * r.value("data_writes.d"));
  EXPECT_EQ(r.value("data_diverged.d"), 0);
}

TEST(ReplicatedData, IncrementalSendsWhatIsNew) {
  json data = {{"hub_writes", "10 s"}, {"interval", "10 s"}, {"start", "0 s"}, {"keys", 50}};
  auto r = both(pair(data));  // polls at 0, 10 ... 90 s, all but the first find one write
  EXPECT_EQ(r.value("data_messages.d"), 20);
  EXPECT_EQ(r.value("data_bytes_up.d"), 2000);
  EXPECT_EQ(r.value("data_bytes_down.d"), 2000 + 9 * 1028);
  data["transfer"] = "full";
  r = both(pair(data));
  EXPECT_EQ(r.value("data_bytes_up.d") + r.value("data_bytes_down.d") - r.value("data_vector_bytes.d"),
            20 * (200 + 50 * 1016));
  EXPECT_GT(r.value("data_vector_bytes.d"), 0);
}

TEST(ReplicatedData, PartitionsEndInAgreement) {
  // Polls of 50 and 60 s fail; that of 70 s is 5 s late and takes what both sides have written.
  json s = pair({{"hub_writes", "8 s"}, {"writes", "8 s"}, {"interval", "10 s"}, {"start", "0 s"}});
  s["faults"] = {{{"link", "radio"}, {"at", "45 s"}, {"lasts", "20 s"}}};
  auto r = both(s);
  EXPECT_EQ(r.value("data_failures.d"), 2);
  EXPECT_GT(r.value("data_converge.d.max"), 5 + 0.02 + 2 * 1228e-6);
  EXPECT_LT(r.value("data_converge.d.max"), 5 + 0.02 + 2 * 1300e-6);
  EXPECT_GE(r.value("data_propagation.d.max"), 15);
  // Five phones that push, a partition, and a phone and a hub that fail: all agree in the end.
  for (const char* rule : {"last-writer-wins", "hub-wins", "keep-both"})
    for (const char* transfer : {"incremental", "full"}) {
      s = pair({{"hub_writes", "3 s"}, {"writes", "2 s"}, {"reads", "1 s"}, {"sync", "push"}, {"keys", 3},
                {"retry", "2 s"}, {"conflicts", rule}, {"transfer", transfer}}, "200.2 s");
      s["nodes"]["phone"]["count"] = 5;
      s["faults"] = {{{"link", "radio"}, {"index", 0}, {"at", "40 s"}, {"lasts", "30 s"}},
                     {{"node", "phone"}, {"index", 1}, {"at", "60 s"}, {"lasts", "10 s"}},
                     {{"node", "cloud"}, {"at", "100 s"}, {"lasts", "10 s"}}};
      r = both(s);
      EXPECT_GT(r.value("data_conflicts.d"), 10);
      EXPECT_GE(r.value("data_converge.d.max"), 0);
      EXPECT_LE(r.value("data_converge.d.max"), 2.2);
      EXPECT_EQ(r.value("data_diverged.d"), 0) << rule << " " << transfer;
    }
}

TEST(ReplicatedData, SkewedClocksLoseOtherWrites) {
  // Clocks that are off decide which of two concurrent writes stays, not how many do.
  json data = {{"hub_writes", exponential("10 s")}, {"writes", exponential("10 s")}, {"interval", "10 s"},
               {"clock_skew", "1000 s"}};
  const auto skewed = both(pair(data, "20000 s"));
  data.erase("clock_skew");
  const auto exact = both(pair(data, "20000 s"));
  EXPECT_NEAR(skewed.value("data_lost.d"), exact.value("data_lost.d"), 0.01 * exact.value("data_lost.d"));
  EXPECT_EQ(skewed.value("data_conflicts.d"), exact.value("data_conflicts.d"));
}

TEST(ReplicatedData, Mistakes) {
  EXPECT_THAT(first_problem(pair({{"keys", 1}})), HasSubstr("nobody writes"));
  EXPECT_THAT(first_problem(pair({{"hub_writes", "1 s"}, {"hub", "phone"}})), HasSubstr("must be another node group"));
  EXPECT_THAT(first_problem(pair({{"hub_writes", "1 s"}, {"keys", 0}})), HasSubstr("/replicated_data/d/keys"));
  EXPECT_THAT(first_problem(pair({{"hub_writes", "1 s"}, {"sync", "push"}, {"interval", "1 s"}})),
              HasSubstr("only with \"sync\": \"polling\""));
  EXPECT_THAT(first_problem(pair({{"hub_writes", "1 s"}, {"retry", "1 s"}})), HasSubstr("only with \"sync\": \"push\""));
  EXPECT_THAT(first_problem(pair({{"hub_writes", "1 s"}, {"conflicts", "hub-wins"}, {"clock_skew", "1 s"}})),
              HasSubstr("clocks matter only"));
  EXPECT_THAT(first_problem(pair({{"hub_writes", "0 s"}})), HasSubstr("must be 1 us or more on average"));
  json s = pair({{"hub_writes", "1 s"}});
  s["network"]["routes"].clear();
  EXPECT_THAT(first_problem(s), HasSubstr("no route joins"));
}

}  // namespace
}  // namespace isthmus::scenarios
