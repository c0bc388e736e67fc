#include "schedulers/forecast.hpp"

#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

void NaiveForecast::add(double value) {
  values_.push_back(value);
  if (values_.size() > std::max<std::size_t>(season_, 1)) values_.pop_front();
}

double NaiveForecast::ahead(std::size_t steps) const {
  if (values_.empty()) return 0;
  if (season_ == 0 || values_.size() < season_) return values_.back();
  return values_[(steps - 1) % season_];
}

HoltWinters::HoltWinters(double alpha, double beta, double gamma, std::size_t season)
    : alpha_(alpha), beta_(beta), gamma_(gamma), season_(season) {}

void HoltWinters::smooth(double value) {
  if (count_ == 0) {
    level_ = value;
    return;
  }
  const bool seasonal = !seasonal_.empty();
  const std::size_t place = seasonal ? count_ % season_ : 0;
  const double season = seasonal ? seasonal_[place] : 0;
  const double before = level_;
  level_ = alpha_ * (value - season) + (1 - alpha_) * (level_ + trend_);
  trend_ = beta_ * (level_ - before) + (1 - beta_) * trend_;
  if (seasonal) seasonal_[place] = gamma_ * (value - level_) + (1 - gamma_) * season;
}

void HoltWinters::add(double value) {
  smooth(value);
  ++count_;
  if (season_ == 0 || !seasonal_.empty()) return;
  first_.push_back(value);
  if (first_.size() < 2 * season_) return;
  // Two whole seasons: their means give the trend, the values around its line the seasonal figures.
  const auto m = static_cast<double>(season_);
  const double first = std::accumulate(first_.begin(), first_.begin() + static_cast<std::ptrdiff_t>(season_), 0.0) / m;
  const double second = std::accumulate(first_.begin() + static_cast<std::ptrdiff_t>(season_), first_.end(), 0.0) / m;
  trend_ = (second - first) / m;
  const auto line = [&](std::size_t i) { return first + trend_ * (static_cast<double>(i) - (m - 1) / 2); };
  seasonal_.resize(season_);
  for (std::size_t i = 0; i < season_; ++i)
    seasonal_[i] = ((first_[i] - line(i)) + (first_[i + season_] - line(i + season_))) / 2;
  level_ = line(2 * season_ - 1);
  first_ = {};
}

double HoltWinters::ahead(std::size_t steps) const {
  const double line = level_ + static_cast<double>(steps) * trend_;
  return seasonal_.empty() ? line : line + seasonal_[(count_ + steps - 1) % season_];
}

AutoRegression::AutoRegression(std::size_t order, std::size_t window) : order_(order), window_(window) {
  if (order_ == 0 || window_ <= 2 * order_)
    throw InputError("autoregression: the window must be longer than twice the order");
}

void AutoRegression::add(double value) {
  values_.push_back(value);
  if (values_.size() > window_) values_.pop_front();
  const std::size_t n = values_.size();
  if (n < 2 * order_ + 1) return;
  const auto rows = static_cast<Eigen::Index>(n - order_), columns = static_cast<Eigen::Index>(order_ + 1);
  Eigen::MatrixXd past(rows, columns);
  Eigen::VectorXd next(rows);
  for (Eigen::Index r = 0; r < rows; ++r) {
    const auto at = static_cast<std::size_t>(r) + order_;
    next[r] = values_[at];
    past(r, 0) = 1;
    for (std::size_t lag = 1; lag <= order_; ++lag) past(r, static_cast<Eigen::Index>(lag)) = values_[at - lag];
  }
  // The shortest of all solutions: a constant series has many.
  weights_ = past.completeOrthogonalDecomposition().solve(next);
}

double AutoRegression::ahead(std::size_t steps) const {
  if (values_.empty()) return 0;
  if (weights_.size() == 0) return values_.back();
  const double highest = 2 * std::max(0.0, *std::max_element(values_.begin(), values_.end()));
  std::deque<double> recent(values_.end() - static_cast<std::ptrdiff_t>(order_), values_.end());
  for (std::size_t s = 0; s < steps; ++s) {
    double value = weights_[0];
    for (std::size_t lag = 1; lag <= order_; ++lag)
      value += weights_[static_cast<Eigen::Index>(lag)] * recent[order_ - lag];
    recent.push_back(std::clamp(value, 0.0, highest));
    recent.pop_front();
  }
  return recent.back();
}

KalmanTrend::KalmanTrend(double level_noise, double slope_noise)
    : level_noise_(level_noise), slope_noise_(slope_noise) {}

void KalmanTrend::add(double value) {
  if (!begun_) {
    begun_ = true;
    state_ = {value, 0};
    covariance_ << 1, 0, 0, 1;
    return;
  }
  Eigen::Matrix2d step;
  step << 1, 1, 0, 1;
  state_ = (step * state_).eval();
  covariance_ = (step * covariance_ * step.transpose()).eval();
  covariance_(0, 0) += level_noise_;
  covariance_(1, 1) += slope_noise_;
  const Eigen::Vector2d gain = covariance_.col(0) / (covariance_(0, 0) + 1);
  state_ += gain * (value - state_[0]);
  covariance_ -= (gain * covariance_.row(0)).eval();
}

double KalmanTrend::ahead(std::size_t steps) const { return state_[0] + static_cast<double>(steps) * state_[1]; }

std::unique_ptr<Forecast> make_forecast(const ForecastSpec& s) {
  if (s.model == "naive") return std::make_unique<NaiveForecast>(s.season);
  if (s.model == "holt-winters") return std::make_unique<HoltWinters>(s.alpha, s.beta, s.gamma, s.season);
  if (s.model == "autoregression") return std::make_unique<AutoRegression>(s.order, s.window);
  if (s.model == "kalman") return std::make_unique<KalmanTrend>(s.level_noise, s.slope_noise);
  throw InputError("no forecast model \"" + s.model + "\"; use naive, holt-winters, autoregression or kalman");
}

void ForecastError::add(double error) {
  const double fade = std::exp(-1 / keep_);
  square_ = fade * square_ + error * error;
  weight_ = fade * weight_ + 1;
  ++count_;
}

double ForecastError::deviation() const { return weight_ > 0 ? std::sqrt(square_ / weight_) : 0; }

}  // namespace isthmus::schedulers
