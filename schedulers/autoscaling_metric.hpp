// A metric of a service by name, for policies that hold any of them at a target.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "schedulers/autoscaling_policy.hpp"

namespace isthmus::schedulers {

//! "concurrency", "in_flight", "queue_length", "rate", "arrivals", "completed", "failed",
//! "utilization", "mean_latency", "latency_p<percent>" such as latency_p99.9, or "external:<name>".
class AutoscalingMetric {
 public:
  //! Throws InputError, with the nearest name.
  explicit AutoscalingMetric(const std::string& name);

  //! Empty: nothing was measured (no answer in the window, no such external value).
  std::optional<double> of(const ServiceMetrics& metrics) const;
  bool wants_latencies() const { return kind_ == Kind::percentile; }
  //! The names of external metrics that it reads: its own, or none.
  std::vector<std::string> externals() const {
    return kind_ == Kind::external ? std::vector{external_} : std::vector<std::string>();
  }
  //! A sum over the replicas, which each new replica takes a part of; otherwise a mean or a level.
  bool is_total() const;
  bool is_utilization() const { return kind_ == Kind::utilization; }

  static constexpr const char* help =
      "concurrency (mean requests there), in_flight (at the scrape), queue_length, rate (arrivals/s), "
      "arrivals, completed, failed, utilization, mean_latency, latency_p<percent> (s) or "
      "external:<name>";

 private:
  enum class Kind { concurrency, in_flight, queue_length, rate, arrivals, completed, failed,
                    utilization, mean_latency, percentile, external };
  Kind kind_ = Kind::concurrency;
  double percentile_ = 0;
  std::string external_;
};

}  // namespace isthmus::schedulers
