// Rollouts in reports: metrics and text.
#pragma once

#include <string>

#include "results/part_metrics.hpp"
#include "results/recorder.hpp"

namespace isthmus::results {

void add_rollout_metrics(MetricList& list, const WorldTotals& totals);
//! For the report of a run; "" without rollouts.
std::string rollout_section(const Summary& summary);

}  // namespace isthmus::results
