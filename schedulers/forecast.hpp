// Forecasts of a series that is measured at equal intervals.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include <Eigen/Core>

#include "schedulers/forecast_spec.hpp"

namespace isthmus::schedulers {

//! The last value, or with a season the value of the last season at that place.
class NaiveForecast final : public Forecast {
 public:
  explicit NaiveForecast(std::size_t season = 0) : season_(season) {}
  void add(double value) override;
  double ahead(std::size_t steps) const override;

 private:
  std::size_t season_;
  std::deque<double> values_;  // of one season
};

//! Additive Holt-Winters smoothing (Winters 1960; Hyndman and Athanasopoulos, Forecasting: Principles and
//! Practice, 8.3). Without a season Holt's linear trend. Level, trend and season start from the first two
//! seasons, whose values are forecast by Holt's method meanwhile.
class HoltWinters final : public Forecast {
 public:
  //! Weights of the newest value in [0, 1]; `season`: values per season, 0 for none.
  HoltWinters(double alpha, double beta, double gamma, std::size_t season);
  void add(double value) override;
  double ahead(std::size_t steps) const override;
  double level() const { return level_; }
  double trend() const { return trend_; }

 private:
  void smooth(double value);
  double alpha_, beta_, gamma_;
  std::size_t season_, count_ = 0;
  double level_ = 0, trend_ = 0;
  std::vector<double> first_, seasonal_;  // of the first seasons, until the season is known; by place
};

//! Autoregression of order p with a constant, least squares over the last `window` values; forecasts of several
//! steps feed on each other and are kept between zero and twice the largest value of the window.
class AutoRegression final : public Forecast {
 public:
  //! order > 0, window > 2 order.
  AutoRegression(std::size_t order, std::size_t window);
  void add(double value) override;
  double ahead(std::size_t steps) const override;
  //! Constant, then the weight of the newest value, the one before ...; empty before order + 1 further values.
  const Eigen::VectorXd& weights() const { return weights_; }

 private:
  std::size_t order_, window_;
  std::deque<double> values_;
  Eigen::VectorXd weights_;
};

//! Local linear trend, a state of level and slope, by a Kalman filter (Harvey 1989).
class KalmanTrend final : public Forecast {
 public:
  //! Variances of a step of the level and of the slope, relative to that of the measurement.
  KalmanTrend(double level_noise, double slope_noise);
  void add(double value) override;
  double ahead(std::size_t steps) const override;
  const Eigen::Vector2d& state() const { return state_; }
  const Eigen::Matrix2d& covariance() const { return covariance_; }

 private:
  double level_noise_, slope_noise_;
  bool begun_ = false;
  Eigen::Vector2d state_ = Eigen::Vector2d::Zero();
  Eigen::Matrix2d covariance_ = Eigen::Matrix2d::Zero();
};

//! Mean square of one-step errors so far, with exponential forgetting.
class ForecastError {
 public:
  //! `memory`: values after which an error counts 1/e.
  explicit ForecastError(double memory) : keep_(memory) {}
  void add(double error);
  double deviation() const;  //!< 0 before the first
  std::size_t count() const { return count_; }

 private:
  double keep_, square_ = 0, weight_ = 0;
  std::size_t count_ = 0;
};

}  // namespace isthmus::schedulers
