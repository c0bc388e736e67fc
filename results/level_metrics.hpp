// Service levels in reports: metrics, text, lines of charts.
#pragma once

#include <string>
#include <vector>

#include "results/part_metrics.hpp"
#include "results/recorder.hpp"
#include "results/svg_chart.hpp"

namespace isthmus::results {

void add_level_metrics(MetricList& list, const WorldTotals& totals);
//! For the report of a run; "" without service levels.
std::string level_section(const Summary& summary);
//! Share of the error budget that is left, of each level.
std::vector<ChartLine> budget_lines(const Summary& summary);
//! Active alerts of each level over time, up to `end` in s.
std::vector<ChartLine> alert_lines(const Summary& summary, double end);

}  // namespace isthmus::results
