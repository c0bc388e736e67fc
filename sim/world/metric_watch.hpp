// A metric of the requests of a service level, and an alert that compares it with a bound or a forecast.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "results/records.hpp"
#include "schedulers/anomaly_detector.hpp"
#include "sim/world/service_level_spec.hpp"

namespace isthmus::world {

//! Told of requests that end; takes one value per interval.
class MetricWatch {
 public:
  explicit MetricWatch(const MetricWatchSpec& spec);
  //! A request has ended; `latency` in s, of answers. Hot path.
  void observe(bool answered, double latency);
  //! A slice is over. Whether the newest value is above its bound, below it, or not what was forecast.
  bool close();

 private:
  std::optional<double> value();

  const MetricWatchSpec& spec_;
  std::optional<schedulers::AnomalyDetector> detector_;
  std::uint64_t ended_ = 0, failed_ = 0;
  double sum_ = 0;                     // s, of latencies
  std::vector<double> latencies_;      // where a percentile is wanted
  std::uint32_t slices_ = 0;           // of this interval
  std::uint64_t intervals_ = 0;
  bool holds_ = false;
};

}  // namespace isthmus::world
