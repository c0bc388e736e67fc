// Which values of a series measured at equal intervals are not what its forecast says.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "schedulers/forecast_spec.hpp"

namespace isthmus::schedulers {

struct AnomalySpec {
  ForecastSpec forecast;
  double deviations = 5;               //!< robust standard deviations of one-step errors
  std::size_t training = 60;           //!< values before the first that may be anomalous
  std::size_t memory = 120;            //!< errors that the deviation is taken of
  bool above = true, below = false;    //!< which errors count
  double learn = 0.1;                  //!< of an anomalous value, the share of its error that is learned
  double least = 0;                    //!< deviation, in units of the values; never taken to be smaller
  bool logarithm = false;              //!< of the values is forecast: errors are relative
};

//! Compares each value with the forecast made before it. The deviation is 1.4826 times the median of the last absolute
//! errors (Rousseeuw and Croux 1993: consistent for normal errors, blind to less than half of them), anomalous ones
//! included. What is anomalous is learned as the forecast plus `learn` times its error, so that a short fault leaves
//! the forecast alone and a change for good becomes normal after a while.
class AnomalyDetector {
 public:
  explicit AnomalyDetector(const AnomalySpec& spec);
  //! The next value, or that there was none (not anomalous; the forecast stands in for it). True: anomalous.
  bool add(std::optional<double> value);
  //! Of the newest value, before it was seen.
  double expected() const { return expected_; }
  double deviation() const;            //!< of errors; with a logarithm relative; 0 before the first
  //! The highest and lowest values that would not be anomalous, as of the newest.
  double upper() const { return upper_; }
  double lower() const { return lower_; }

 private:
  AnomalySpec spec_;
  std::unique_ptr<Forecast> forecast_;
  std::size_t count_ = 0;
  bool begun_ = false;
  double expected_ = 0, upper_ = 0, lower_ = 0;
  std::deque<double> errors_;          // absolute
  mutable std::vector<double> scratch_;
};

}  // namespace isthmus::schedulers
