#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "schedulers/forecast.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {
namespace {

TEST(NaiveForecast, RepeatsTheLastValueOrSeason) {
  NaiveForecast last, season(3);
  EXPECT_EQ(last.ahead(1), 0);
  for (const double v : {1.0, 2.0, 3.0, 4.0}) last.add(v), season.add(v);
  EXPECT_EQ(last.ahead(7), 4);
  // 2, 3, 4 are the last season.
  EXPECT_EQ(season.ahead(1), 2);
  EXPECT_EQ(season.ahead(2), 3);
  EXPECT_EQ(season.ahead(4), 2);
}

TEST(HoltWinters, HoltsTrendByHand) {
  HoltWinters f(0.5, 0.5, 0, 0);
  f.add(10);
  f.add(14);  // level 12, trend 1
  EXPECT_DOUBLE_EQ(f.level(), 12);
  EXPECT_DOUBLE_EQ(f.trend(), 1);
  f.add(15);  // level (15 + 13) / 2 = 14, trend (2 + 1) / 2
  EXPECT_DOUBLE_EQ(f.level(), 14);
  EXPECT_DOUBLE_EQ(f.ahead(2), 14 + 2 * 1.5);
}

TEST(HoltWinters, FollowsALineWithASeasonExactly) {
  const auto value = [](int t) { return 100 + 2.0 * t + std::vector<double>{10, -20, 5, 5}[t % 4]; };
  HoltWinters f(0.3, 0.2, 0.4, 4);
  for (int t = 0; t < 40; ++t) {
    f.add(value(t));
    if (t < 7) continue;
    for (int s = 1; s <= 9; ++s) ASSERT_NEAR(f.ahead(static_cast<std::size_t>(s)), value(t + s), 1e-9) << t << " " << s;
  }
}

TEST(HoltWinters, LearnsASeasonThatChanges) {
  HoltWinters f(0.2, 0.05, 0.5, 6);
  for (int t = 0; t < 12; ++t) f.add(50);
  const auto value = [](int t) { return 50 + 20 * std::sin(t * M_PI / 3); };
  for (int t = 0; t < 120; ++t) f.add(value(t));
  for (int s = 1; s <= 6; ++s) EXPECT_NEAR(f.ahead(static_cast<std::size_t>(s)), value(119 + s), 0.5);
}

TEST(AutoRegression, FindsTheWeightsOfItsProcess) {
  AutoRegression f(2, 400);
  std::mt19937 noise(1);
  std::normal_distribution<double> normal(0, 1);
  double a = 40, b = 40;
  for (int t = 0; t < 2000; ++t) {
    const double next = 10 + 0.5 * b + 0.25 * a + normal(noise);
    a = b, b = next;
    f.add(next);
  }
  EXPECT_NEAR(f.weights()[1], 0.5, 0.1);
  EXPECT_NEAR(f.weights()[2], 0.25, 0.1);
  EXPECT_NEAR(f.ahead(200), 40, 1.5);  // the mean of the process
}

TEST(AutoRegression, ASineNeedsTwoLags) {
  AutoRegression f(2, 40);
  const auto value = [](int t) { return 10 + 3 * std::sin(0.3 * t); };
  for (int t = 0; t < 60; ++t) f.add(value(t));
  for (int s = 1; s < 30; ++s) EXPECT_NEAR(f.ahead(static_cast<std::size_t>(s)), value(59 + s), 1e-6);
}

TEST(AutoRegression, ConstantsStayAndNothingIsNegative) {
  AutoRegression f(4, 20);
  EXPECT_EQ(f.ahead(3), 0);
  for (int t = 0; t < 30; ++t) f.add(7);
  EXPECT_NEAR(f.ahead(50), 7, 1e-9);
  for (int t = 0; t < 30; ++t) f.add(t % 2 == 0 ? 1e6 : 0);
  for (int s = 1; s < 100; ++s) {
    EXPECT_GE(f.ahead(static_cast<std::size_t>(s)), 0);
    EXPECT_LE(f.ahead(static_cast<std::size_t>(s)), 2e6);
  }
  EXPECT_THROW(AutoRegression(4, 8), InputError);
}

TEST(KalmanTrend, IsTheRunningMeanWithoutNoiseInItsLevel) {
  // With no noise of level and slope and an exact slope, the filter is recursive least squares: on a line it
  // becomes exact.
  KalmanTrend f(0, 0);
  for (int t = 0; t < 500; ++t) f.add(5 + 3.0 * t);
  EXPECT_NEAR(f.ahead(1), 5 + 3.0 * 500, 1e-3);
  EXPECT_NEAR(f.state()[1], 3, 1e-3);
}

TEST(KalmanTrend, CovarianceReachesTheFixedPointOfItsRiccatiEquation) {
  const double q = 0.2, r = 0.05;
  KalmanTrend f(q, r);
  for (int t = 0; t < 300; ++t) f.add(std::sin(t));
  const Eigen::Matrix2d before = f.covariance();
  f.add(0.1);
  EXPECT_LT((f.covariance() - before).norm(), 1e-12);
  // P = (I - K H)(F P F' + Q), by hand for the prediction M.
  Eigen::Matrix2d step;
  step << 1, 1, 0, 1;
  Eigen::Matrix2d m = step * before * step.transpose();
  m(0, 0) += q, m(1, 1) += r;
  const Eigen::Matrix2d after = m - m.col(0) * m.row(0) / (m(0, 0) + 1);
  EXPECT_LT((after - before).norm(), 1e-12);
}

TEST(ForecastError, IsTheRootMeanSquareOfTheLatest) {
  ForecastError e(1e9);
  EXPECT_EQ(e.deviation(), 0);
  for (const double x : {3.0, -4.0}) e.add(x);
  EXPECT_NEAR(e.deviation(), std::sqrt(12.5), 1e-6);
  ForecastError quick(2);
  for (int i = 0; i < 100; ++i) quick.add(100);
  for (int i = 0; i < 100; ++i) quick.add(1);
  EXPECT_NEAR(quick.deviation(), 1, 1e-6);
}

TEST(MakeForecast, KnowsItsModels) {
  for (const char* model : {"naive", "holt-winters", "autoregression", "kalman"}) {
    ForecastSpec s;
    s.model = model;
    const auto f = make_forecast(s);
    f->add(4);
    EXPECT_DOUBLE_EQ(f->ahead(1), 4) << model;
  }
  ForecastSpec s;
  s.model = "crystal-ball";
  EXPECT_THROW(make_forecast(s), InputError);
}

}  // namespace
}  // namespace isthmus::schedulers
