// Names, units and computation of the metrics. docs/metrics.md defines each; a test compares.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "results/tally.hpp"

namespace isthmus::results {

//! One row of the table of metrics. `name` may hold one place of its own: "slo.<i>.met",
//! "share.<service>". A timed metric stands for name.mean, .p50, .p90, .p95, .p99 and .max.
struct MetricDefinition {
  std::string_view name;
  std::string_view unit;
  std::string_view meaning;
  bool timed = false;
  bool higher_is_better = false;
};

//! All metrics, in the order of reports.
const std::vector<MetricDefinition>& metric_definitions();
//! The row behind a full name such as "latency.p95" or "share.cloud"; nothing when unknown.
std::optional<MetricDefinition> find_metric(std::string_view full_name);

//! What metrics of one group are computed from. Pointers are borrowed; absent parts leave out their
//! metrics.
struct MetricSource {
  std::vector<const RequestTally*> requests;
  std::vector<const TaskTally*> tasks;  //!< empty: the group has no tasks of its own
  const std::vector<ObjectiveRule>* rules = nullptr;
  double seconds = 0;  //!< measured part of the run
  //! Completed requests per service, in order; only where shares make sense.
  std::vector<std::pair<std::string, std::uint64_t>> shares;
  std::optional<double> timing_error, utilization;
  struct Spent {
    double energy = 0, cost = 0, network_cost = 0;  //!< J, USD, USD; cost holds network_cost
  };
  std::optional<Spent> spent;  //!< of the whole fleet
};

//! Metrics of one group; NaN where there is no data.
std::vector<Metric> compute_metrics(const MetricSource& source);

}  // namespace isthmus::results
