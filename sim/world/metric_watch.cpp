#include "sim/world/metric_watch.hpp"

#include <algorithm>
#include <cmath>

namespace isthmus::world {

MetricWatch::MetricWatch(const MetricWatchSpec& spec) : spec_(spec) {
  if (spec.anomaly) detector_.emplace(*spec.anomaly);
}

void MetricWatch::observe(bool answered, double latency) {
  ++ended_;
  if (!answered) {
    ++failed_;
    return;
  }
  if (spec_.metric == WatchedMetric::latency_percentile) latencies_.push_back(latency);
  else sum_ += latency;
}

// Of the interval that ends; none: nothing to take it of.
std::optional<double> MetricWatch::value() {
  const std::uint64_t answers = ended_ - failed_;
  switch (spec_.metric) {
    case WatchedMetric::rate: return static_cast<double>(ended_) / spec_.interval.seconds();
    case WatchedMetric::error_ratio:
      if (ended_ == 0) return {};
      return static_cast<double>(failed_) / static_cast<double>(ended_);
    case WatchedMetric::mean_latency:
      if (answers == 0) return {};
      return sum_ / static_cast<double>(answers);
    case WatchedMetric::latency_percentile: break;
  }
  if (latencies_.empty()) return {};
  // Nearest rank.
  const double rank = std::ceil(spec_.percentile / 100 * static_cast<double>(latencies_.size()) * (1 - 1e-12));
  const auto at = latencies_.begin() + static_cast<std::ptrdiff_t>(std::max(1.0, rank)) - 1;
  std::nth_element(latencies_.begin(), at, latencies_.end());
  return *at;
}

bool MetricWatch::close() {
  if (++slices_ < spec_.slices) return holds_;
  slices_ = 0;
  ++intervals_;
  const std::optional<double> v = value();
  ended_ = failed_ = 0;
  sum_ = 0;
  latencies_.clear();
  if (detector_) holds_ = detector_->add(v);
  else holds_ = v && intervals_ > spec_.training && ((spec_.above && *v > *spec_.above) || (spec_.below && *v < *spec_.below));
  return holds_;
}

}  // namespace isthmus::world
