// Alerts on metrics, against bounds and forecasts, in whole runs: dates by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"
#include "tests/scenarios/level_station.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using testing::first_problem;
using testing::load_json;
using ::testing::HasSubstr;

// With slow requests from 600 s to 1499 s the mean is (10 * 100 + 400) / 11 = 127 ms.
json station(const json& alerts, double duration = 3000) {
  json s = testing::station(
      {{"l", {{"indicator", "availability"}, {"objective", "99 %"}, {"burn_rate_alerts", false},
              {"fault_grace", "60 s"}, {"incidents", {{{"at", "600 s"}, {"lasts", "900 s"}}}},
              {"alerts", alerts.is_array() ? alerts : json::array({alerts})}}}},
      duration);
  s["workload"].push_back(testing::slow_requests());
  return s;
}

json threshold(json fields) {
  fields["kind"] = "threshold";
  if (!fields.contains("name")) fields["name"] = "a";
  return fields;
}

json anomaly(json fields) {
  fields["kind"] = "anomaly";
  fields["name"] = "a";
  if (!fields.contains("metric")) fields["metric"] = "mean_latency";
  if (!fields.contains("model")) fields["model"] = "naive";
  return fields;
}

struct Dates {
  double fired, resolved;  // s; resolved < 0: active at the end
};

void expect_dates(const results::Summary& s, const std::vector<Dates>& wanted) {
  ASSERT_EQ(s.alerts.size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(s.alerts[i].fired, Instant::from_seconds(wanted[i].fired)) << i;
    EXPECT_EQ(s.alerts[i].resolved,
              wanted[i].resolved < 0 ? Instant::never() : Instant::from_seconds(wanted[i].resolved))
        << i;
  }
}

// Values are taken at 60 s, 120 s, ...: that of 660 s is the first with slow answers, that of 1560 s the first without.
TEST(MetricAlerts, BoundOnTheMeanLatency) {
  const auto r = world::run(*load_json(station({threshold({{"metric", "mean_latency"}, {"above", 0.12}})})).scenario, {});
  expect_dates(r, {{660, 1560}});
  EXPECT_EQ(r.value("alert_true.l/a"), 1);
  EXPECT_EQ(r.value("alert_false.l/a"), 0);
  EXPECT_EQ(r.value("alert_false_share.l/a"), 0);
  EXPECT_EQ(r.value("alert_caught.l/a"), 1);
  EXPECT_EQ(r.value("alert_missed.l/a"), 0);
  EXPECT_EQ(r.value("alert_delay.l/a"), 60);
}

TEST(MetricAlerts, HoldAndInterval) {
  expect_dates(world::run(*load_json(station({threshold({{"metric", "mean_latency"}, {"above", 0.12}, {"hold", "2 min"}})})).scenario, {}),
               {{780, 1560}});
  // Values at 300 s, 600 s, 900 s, ..., 1500 s, 1800 s.
  expect_dates(world::run(*load_json(station({threshold({{"metric", "mean_latency"}, {"above", 0.12}, {"interval", "5 min"}})})).scenario, {}),
               {{900, 1800}});
}

TEST(MetricAlerts, RatesAndPercentiles) {
  expect_dates(world::run(*load_json(station({threshold({{"metric", "rate"}, {"above", 10.5}})})).scenario, {}), {{660, 1560}});
  // Below 10.5 as soon as it is measured, except in between.
  expect_dates(world::run(*load_json(station({threshold({{"metric", "rate"}, {"below", 10.5}})})).scenario, {}),
               {{60, 660}, {1560, -1}});
  // One of eleven is slow: the 95th percentile is 400 ms, the 90th 100 ms.
  expect_dates(world::run(*load_json(station({threshold({{"above", 0.39}})})).scenario, {}), {{660, 1560}});
  expect_dates(world::run(*load_json(station({threshold({{"above", 0.101}, {"percentile", 90}})})).scenario, {}), {});
}

TEST(MetricAlerts, FailuresAreJudged) {
  for (const char* network : {"fluid", "simgrid"}) {
    json s = station({threshold({{"metric", "error_ratio"}, {"above", 0.5}})}, 5000);
    s["network"]["model"] = network;
    s["faults"] = {{{"node", "server"}, {"at", "3600 s"}, {"lasts", "120 s"}}};
    const auto r = world::run(*load_json(s).scenario, {});
    expect_dates(r, {{3660, 3780}});
    EXPECT_EQ(r.value("alert_true.l/a"), 1);
    EXPECT_EQ(r.value("alert_caught.l/a"), 1);
    EXPECT_EQ(r.value("alert_missed.l/a"), 1);  // the slow requests
    EXPECT_EQ(r.value("alert_delay.l/a"), 60);
  }
}

TEST(MetricAlerts, CrashesAndExperimentsAreFailures) {
  json s = station({threshold({{"metric", "error_ratio"}, {"above", 0.001}})}, 5000);
  s["service_levels"]["l"].erase("incidents");
  s["crashes"] = {{{"service", "s"}, {"at", "3000 s"}}};
  s["chaos"] = {{{"action", "fail"}, {"node", "server"}, {"every", "4000 s"}, {"lasts", "120 s"}}};
  const auto r = world::run(*load_json(s).scenario, {});
  EXPECT_EQ(r.value("alert_caught.l/a"), 2);
  EXPECT_EQ(r.value("alert_missed.l/a"), 0);
  EXPECT_EQ(r.value("alert_false.l/a"), 0);
}

TEST(MetricAlerts, TrainingPutsOff) {
  const auto r = world::run(
      *load_json(station({threshold({{"metric", "mean_latency"}, {"above", 0.12}, {"training", "20 min"}})})).scenario, {});
  expect_dates(r, {{1260, 1560}});             // the value at 1200 s is the last of the training
  EXPECT_EQ(r.value("alert_true.l/a"), 1);
  EXPECT_EQ(r.value("alert_caught.l/a"), 0);   // it began before
  EXPECT_EQ(r.value("alert_missed.l/a"), 0);
}

// The load is regular to the last bit: the least deviation of 1 ms says what is far. Of the ten values before, nine have
// an error; when ten of the later ones are remembered as well, their error is the median, and 27 ms are usual.
TEST(MetricAlerts, AnomaliesByHand) {
  json fields = {{"training", "5 min"}, {"least_deviation", 0.001}, {"learn_flagged", 0}};
  expect_dates(world::run(*load_json(station({anomaly(fields)})).scenario, {}), {{660, 1260}});
  fields["learn_flagged"] = 1;                 // what was seen once is expected
  expect_dates(world::run(*load_json(station({anomaly(fields)})).scenario, {}), {{660, 720}});
  fields["side"] = "both";
  expect_dates(world::run(*load_json(station({anomaly(fields)})).scenario, {}), {{660, 720}, {1560, 1620}});
  fields["deviations"] = 28;                   // 27.3 ms are not enough
  expect_dates(world::run(*load_json(station({anomaly(fields)})).scenario, {}), {});
  fields["deviations"] = 27;
  EXPECT_EQ(world::run(*load_json(station({anomaly(fields)})).scenario, {}).alerts.size(), 2U);
}

TEST(MetricAlerts, EveryModelSeesIt) {
  for (const char* model : {"holt-winters", "autoregression", "kalman", "naive"}) {
    const auto r = world::run(
        *load_json(station({anomaly({{"model", model}, {"training", "9 min"}, {"least_deviation", 0.001}})})).scenario, {});
    ASSERT_GE(r.alerts.size(), 1U) << model;
    EXPECT_EQ(r.alerts[0].fired, Instant::from_seconds(660)) << model;
    EXPECT_EQ(r.value("alert_false.l/a"), 0) << model;
  }
}

// Without fault_grace nothing is judged, and nothing else changes.
TEST(MetricAlerts, JudgingChangesNothing) {
  json s = station({threshold({{"metric", "mean_latency"}, {"above", 0.12}})});
  const auto judged = world::run(*load_json(s).scenario, {});
  s["service_levels"]["l"].erase("incidents");
  s["service_levels"]["l"].erase("fault_grace");
  const auto plain = world::run(*load_json(s).scenario, {});
  EXPECT_EQ(judged.fingerprint, plain.fingerprint);
  EXPECT_EQ(judged.value("alert_true.l/a"), 1);
  EXPECT_TRUE(std::isnan(plain.value("alert_true.l/a")));
}

TEST(MetricAlerts, MistakesAreNamed) {
  const auto problem = [](const json& alert) { return first_problem(station({alert})); };
  EXPECT_THAT(problem(threshold({{"metric", "rate"}})), HasSubstr("give a bound"));
  EXPECT_THAT(problem(threshold({{"metric", "rate"}, {"above", 1}, {"percentile", 90}})), HasSubstr("only of"));
  EXPECT_THAT(problem(threshold({{"metric", "error_ratio"}, {"above", 1}})), HasSubstr("never fires"));
  EXPECT_THAT(problem(anomaly({{"season", "60 s"}})), HasSubstr("at least two intervals"));
  EXPECT_THAT(problem(anomaly({{"season", "150 s"}})), HasSubstr("a whole number of intervals"));
  EXPECT_THAT(problem(anomaly({{"model", "kalman"}, {"season", "1 h"}})), HasSubstr("only of holt-winters and naive"));
  EXPECT_THAT(problem(anomaly({{"model", "autoregression"}, {"order", 10}, {"window", 20}})), HasSubstr("twice the order"));
  EXPECT_THAT(problem(anomaly({{"metric", "error_ratio"}, {"logarithm", true}})), HasSubstr("share of errors is 0"));
  json s = station({threshold({{"above", 1}})});
  s["service_levels"]["l"].erase("fault_grace");
  EXPECT_THAT(first_problem(s), HasSubstr("only with \"fault_grace\""));
}

}  // namespace
}  // namespace isthmus::scenarios
