#include "schedulers/anomaly_detector.hpp"

#include <algorithm>
#include <cmath>

#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {
constexpr double normal_over_median = 1.4826;  // 1 / the third quartile of the standard normal law
constexpr double smallest = 1e-12;             // whose logarithm is taken
}  // namespace

AnomalyDetector::AnomalyDetector(const AnomalySpec& spec) : spec_(spec), forecast_(make_forecast(spec.forecast)) {
  if (spec_.memory == 0 || !(spec_.deviations > 0) || !(spec_.above || spec_.below))
    throw InputError("an anomaly detector needs errors to remember, a bound above 0 and a side");
}

double AnomalyDetector::deviation() const {
  if (errors_.empty()) return 0;
  scratch_.assign(errors_.begin(), errors_.end());
  const auto middle = scratch_.begin() + static_cast<std::ptrdiff_t>((scratch_.size() - 1) / 2);
  std::nth_element(scratch_.begin(), middle, scratch_.end());
  return normal_over_median * *middle;
}

bool AnomalyDetector::add(std::optional<double> written) {
  ++count_;
  const auto back = [&](double v) { return spec_.logarithm ? std::exp(v) : v; };
  const double forecast = begun_ ? forecast_->ahead(1) : 0;
  if (!written) {
    if (begun_) forecast_->add(forecast);
    expected_ = back(forecast);
    return false;
  }
  const double value = spec_.logarithm ? std::log(std::max(*written, smallest)) : *written;
  if (!begun_) {
    begun_ = true;
    forecast_->add(value);
    expected_ = upper_ = lower_ = *written;
    return false;
  }
  const double error = value - forecast, bound = spec_.deviations * std::max(deviation(), spec_.least);
  expected_ = back(forecast);
  upper_ = back(forecast + bound);
  lower_ = back(forecast - bound);
  // Without any error so far nothing says what is usual.
  const bool judged = count_ > spec_.training && bound > 0;
  const bool anomalous = judged && ((spec_.above && error > bound) || (spec_.below && -error > bound));
  forecast_->add(anomalous ? forecast + spec_.learn * error : value);
  errors_.push_back(std::abs(error));
  if (errors_.size() > spec_.memory) errors_.pop_front();
  return anomalous;
}

}  // namespace isthmus::schedulers
