#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "schedulers/autoscaling_metric.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {
namespace {

ServiceMetrics metrics() {
  ServiceMetrics m;
  m.window = Duration::from_seconds(5);
  m.arrivals = 20;
  m.completed = 18;
  m.failed = 2;
  m.concurrency = 3.5;
  m.queue_length = 1.5;
  m.in_flight = 4;
  m.utilization = 0.6;
  m.ready = 2;
  m.mean_latency = 0.25;
  return m;
}

TEST(AutoscalingMetric, ReadsWhatItIsNamedAfter) {
  const ServiceMetrics m = metrics();
  const std::vector<std::pair<std::string, double>> expected{
      {"concurrency", 3.5}, {"in_flight", 4}, {"queue_length", 1.5}, {"rate", 4},        {"arrivals", 20},
      {"completed", 18},    {"failed", 2},    {"utilization", 0.6},  {"mean_latency", 0.25}};
  for (const auto& [name, value] : expected) EXPECT_EQ(AutoscalingMetric(name).of(m), value) << name;
}

TEST(AutoscalingMetric, PercentilesAreTheSmallestThatAShareDoesNotExceed) {
  std::vector<double> times;
  for (int i = 1; i <= 20; ++i) times.push_back(i);
  ServiceMetrics m = metrics();
  EXPECT_EQ(AutoscalingMetric("latency_p95").of(m), std::nullopt);
  m.latencies = times;
  EXPECT_EQ(AutoscalingMetric("latency_p95").of(m), 19);
  EXPECT_EQ(AutoscalingMetric("latency_p95.1").of(m), 20);
  EXPECT_EQ(AutoscalingMetric("latency_p50").of(m), 10);
  EXPECT_EQ(AutoscalingMetric("latency_p100").of(m), 20);
  EXPECT_EQ(AutoscalingMetric("latency_p0.01").of(m), 1);
  EXPECT_TRUE(AutoscalingMetric("latency_p95").wants_latencies());
  EXPECT_FALSE(AutoscalingMetric("mean_latency").wants_latencies());
}

TEST(AutoscalingMetric, ExternalValuesMayBeMissing) {
  ServiceMetrics m = metrics();
  const AutoscalingMetric orders("external:orders");
  EXPECT_EQ(orders.externals(), std::vector<std::string>{"orders"});
  EXPECT_EQ(orders.of(m), std::nullopt);
  const std::vector<ExternalMetric> values{{"other", 1}, {"orders", -3}};
  m.external = values;
  EXPECT_EQ(orders.of(m), -3);
}

TEST(AutoscalingMetric, NoReplicaHasNoUtilization) {
  ServiceMetrics m = metrics();
  m.ready = 0;
  EXPECT_EQ(AutoscalingMetric("utilization").of(m), std::nullopt);
}

TEST(AutoscalingMetric, RefusesOtherNames) {
  const auto message = [](const std::string& name) {
    try {
      AutoscalingMetric m(name);
    } catch (const InputError& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(message("concurency"), testing::HasSubstr("did you mean \"concurrency\""));
  EXPECT_THAT(message("latency_p0"), testing::HasSubstr("percentile"));
  EXPECT_THAT(message("latency_pnan"), testing::HasSubstr("percentile"));
  EXPECT_THAT(message("latency_p101"), testing::HasSubstr("percentile"));
  EXPECT_THAT(message("external:"), testing::HasSubstr("no metric"));
  EXPECT_THAT(message(""), testing::HasSubstr("no metric"));
}

}  // namespace
}  // namespace isthmus::schedulers
