// Anomalies against forecasts: by hand, on noise of a known law, and with faults in it.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "schedulers/anomaly_detector.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"

namespace isthmus::schedulers {
namespace {

AnomalySpec naive() {
  AnomalySpec s;
  s.forecast.model = "naive";
  s.training = 4;
  return s;
}

// Steps of 1, up and down: the deviation is 1.4826, five of them 7.413.
TEST(AnomalyDetector, ByHand) {
  AnomalyDetector d(naive());
  for (const double v : {10.0, 11.0, 10.0, 11.0}) EXPECT_FALSE(d.add(v));
  EXPECT_DOUBLE_EQ(d.deviation(), 1.4826);
  EXPECT_FALSE(d.add(18.4));                // 7.4 above the last value
  EXPECT_DOUBLE_EQ(d.expected(), 11);
  EXPECT_DOUBLE_EQ(d.upper(), 11 + 5 * 1.4826);
  EXPECT_DOUBLE_EQ(d.lower(), 11 - 5 * 1.4826);
  EXPECT_FALSE(d.add(10));                  // below does not count
  EXPECT_TRUE(d.add(17.5));
  EXPECT_FALSE(d.add(10.75));               // a tenth of the error was learned
  EXPECT_DOUBLE_EQ(d.expected(), 10.75);
}

TEST(AnomalyDetector, DoesNotJudgeWhileItTrains) {
  AnomalySpec s = naive();
  s.training = 6;
  AnomalyDetector d(s);
  for (const double v : {10.0, 11.0, 10.0, 11.0, 100.0}) EXPECT_FALSE(d.add(v));
  EXPECT_FALSE(d.add(100.0));
  EXPECT_DOUBLE_EQ(d.expected(), 100);      // learned as it was
}

TEST(AnomalyDetector, SidesAndMissingValues) {
  AnomalySpec s = naive();
  s.below = true;
  s.learn = 0;
  AnomalyDetector d(s);
  EXPECT_FALSE(d.add(std::nullopt));
  for (const double v : {10.0, 11.0, 10.0, 11.0, 10.0}) EXPECT_FALSE(d.add(v));
  EXPECT_TRUE(d.add(0));
  EXPECT_TRUE(d.add(0));                    // nothing was learned of the first
  EXPECT_FALSE(d.add(std::nullopt));
  EXPECT_DOUBLE_EQ(d.expected(), 10);
  EXPECT_TRUE(d.add(20));
}

TEST(AnomalyDetector, LearnsAChangeForGood) {
  AnomalySpec s = naive();
  s.learn = 0.5;
  AnomalyDetector d(s);
  for (int i = 0; i < 20; ++i) d.add(10 + i % 2);
  int flagged = 0;
  for (int i = 0; i < 100; ++i) flagged += d.add(50 + i % 2) ? 1 : 0;
  EXPECT_GE(flagged, 2);                    // 40, 20, 10 above, at least
  EXPECT_LE(flagged, 4);
  s.learn = 0;
  AnomalyDetector never(s);
  for (int i = 0; i < 20; ++i) never.add(10 + i % 2);
  flagged = 0;
  for (int i = 0; i < 40; ++i) flagged += never.add(50 + i % 2) ? 1 : 0;
  EXPECT_GE(flagged, 19);                   // until half of the errors are as large
}

// Normal noise around a season that Holt-Winters knows: 3 deviations are passed by 0.135 % of values on one side.
// With weights this small, errors are a little wider than the noise; the estimate of the deviation from 400 errors has
// a relative standard error of 6 %: the share is expected between 0.05 % and 0.35 % (99.9 % level, 20000 values).
TEST(AnomalyDetector, NormalNoiseIsFlaggedAsOftenAsItsLawSays) {
  AnomalySpec s;
  s.forecast.season = 48;
  s.forecast.alpha = 0.02;
  s.forecast.beta = 0;
  s.forecast.gamma = 0.05;
  s.deviations = 3;
  s.training = 48 * 20;
  s.memory = 400;
  AnomalyDetector d(s);
  Rng g(StreamKey(7, "noise").at(0));
  int flagged = 0;
  for (int i = 0; i < 48 * 20 + 20000; ++i)
    flagged += d.add(100 + 50 * std::sin(i * 2 * 3.14159265358979 / 48) + sample_normal(g)) ? 1 : 0;
  EXPECT_GT(flagged, 10);
  EXPECT_LT(flagged, 70);
  EXPECT_NEAR(d.deviation(), 1, 0.25);
}

// Four errors of ten are wrong by any amount: the median is that of the others' larger half.
TEST(AnomalyDetector, DeviationWithstandsFaults) {
  AnomalySpec s = naive();
  s.memory = 100;
  s.learn = 0;
  AnomalyDetector d(s);
  for (int i = 0; i < 101; ++i) d.add(10 + i % 2);
  for (int i = 0; i < 40; ++i) EXPECT_TRUE(d.add(1000));
  EXPECT_DOUBLE_EQ(d.deviation(), 1.4826);
}

TEST(AnomalyDetector, LogarithmMakesErrorsRelative) {
  AnomalySpec s = naive();
  s.logarithm = true;
  AnomalyDetector small(s), large(s);
  for (int i = 0; i < 10; ++i) small.add(i % 2 ? 1.1 : 1.0), large.add(i % 2 ? 1100 : 1000);
  EXPECT_NEAR(small.deviation(), 1.4826 * std::log(1.1), 1e-12);
  EXPECT_NEAR(small.deviation(), large.deviation(), 1e-12);
  EXPECT_NEAR(1000 * small.upper(), large.upper(), 1e-6);
  EXPECT_TRUE(small.add(3));
  EXPECT_TRUE(large.add(3000));
  EXPECT_FALSE(small.add(0));  // no logarithm, but only values above count
}

TEST(AnomalyDetector, RefusesWhatMakesNoSense) {
  AnomalySpec s = naive();
  s.memory = 0;
  EXPECT_THROW(AnomalyDetector{s}, InputError);
  s = naive();
  s.above = false;
  EXPECT_THROW(AnomalyDetector{s}, InputError);
}

}  // namespace
}  // namespace isthmus::schedulers
