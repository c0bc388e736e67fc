// What users of forecasts need to know of them.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace isthmus::schedulers {

//! Learns one value at a time.
class Forecast {
 public:
  virtual ~Forecast() = default;
  virtual void add(double value) = 0;
  //! Of the value `steps` > 0 after the last one; 0 before the first.
  virtual double ahead(std::size_t steps) const = 0;
};

//! What a forecaster is told by its users.
struct ForecastSpec {
  std::string model = "holt-winters";  //!< naive, holt-winters, autoregression, kalman
  double alpha = 0.5, beta = 0.1, gamma = 0.3;
  std::size_t season = 0;
  std::size_t order = 4, window = 120;
  double level_noise = 0.1, slope_noise = 0.01;
};
std::unique_ptr<Forecast> make_forecast(const ForecastSpec& spec);

}  // namespace isthmus::schedulers
