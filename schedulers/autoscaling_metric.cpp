#include "schedulers/autoscaling_metric.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

const std::vector<std::string>& names() {
  // In the order of AutoscalingMetric::Kind.
  static const std::vector<std::string> known{
      "concurrency", "in_flight", "queue_length", "rate",           "arrivals",
      "completed",   "failed",    "utilization",  "mean_latency",   "latency_p99", "external:<name>"};
  return known;
}

}  // namespace

std::optional<double> ServiceMetrics::latency(double p) const {
  if (latencies.empty()) return std::nullopt;
  const auto n = static_cast<double>(latencies.size());
  // Rounded first: 0.95 * 20 is a little more than 19.
  const double rank = std::ceil(std::round(p * n * 1e9) / 1e9);
  return latencies[static_cast<std::size_t>(std::clamp(rank, 1.0, n)) - 1];
}

AutoscalingMetric::AutoscalingMetric(const std::string& name) {
  if (name.starts_with("external:") && name.size() > 9) {
    kind_ = Kind::external;
    external_ = name.substr(9);
    return;
  }
  if (name.starts_with("latency_p")) {
    const char* first = name.data() + 9;
    const char* last = name.data() + name.size();
    double percent = 0;
    const auto [end, error] = std::from_chars(first, last, percent);
    if (error != std::errc() || end != last || !(percent > 0 && percent <= 100))
      throw InputError("metric \"" + name + "\": a percentile is above 0 and at most 100, as in latency_p95");
    kind_ = Kind::percentile;
    percentile_ = percent / 100;
    return;
  }
  const auto last = names().end() - 2;
  const auto it = std::find(names().begin(), last, name);
  if (it == last) throw InputError("no metric \"" + name + "\"; " + hint(name, names()));
  kind_ = static_cast<Kind>(it - names().begin());
}

bool AutoscalingMetric::is_total() const {
  return kind_ != Kind::utilization && kind_ != Kind::mean_latency && kind_ != Kind::percentile;
}

std::optional<double> AutoscalingMetric::of(const ServiceMetrics& m) const {
  switch (kind_) {
    case Kind::concurrency: return m.concurrency;
    case Kind::in_flight: return m.in_flight;
    case Kind::queue_length: return m.queue_length;
    case Kind::rate: return m.rate();
    case Kind::arrivals: return m.arrivals;
    case Kind::completed: return m.completed;
    case Kind::failed: return m.failed;
    case Kind::utilization: return m.ready > 0 ? std::optional(m.utilization) : std::nullopt;
    case Kind::mean_latency: return m.mean_latency;
    case Kind::percentile: return m.latency(percentile_);
    case Kind::external:
      for (const ExternalMetric& e : m.external)
        if (e.name == external_) return e.value;
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace isthmus::schedulers
