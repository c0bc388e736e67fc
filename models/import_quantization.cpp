// FP8 products whose times contain the quantization of their activations.
#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "models/import_tables.hpp"

namespace isthmus::models {

namespace {

using Points = std::vector<std::pair<double, double>>;  // n, ns

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return (v[(v.size() - 1) / 2] + v[v.size() / 2]) / 2;
}

// Where the line through the points meets n = 0 (Theil-Sen: single outliers do not move it).
double at_zero(const Points& points) {
  std::vector<double> slopes, rest;
  for (std::size_t i = 0; i < points.size(); ++i)
    for (std::size_t j = i + 1; j < points.size(); ++j)
      slopes.push_back((points[j].second - points[i].second) / (points[j].first - points[i].first));
  const double slope = median(slopes);
  for (const auto& [n, ns] : points) rest.push_back(ns - slope * n);
  return median(rest);
}

}  // namespace

void ImportTables::scale_quantization(double share) {
  const auto eight = tables_.find({"gemm", Precision::fp8});
  const auto sixteen = tables_.find({"gemm", Precision::bf16});
  if (share == 1 || eight == tables_.end() || sixteen == tables_.end()) return;
  // By k and m, of the widths that both formats have.
  std::map<std::pair<double, double>, std::pair<Points, Points>> lines;
  for (const auto& [shape, times] : eight->second.rows) {
    const auto other = sixteen->second.rows.find(shape);
    if (other == sixteen->second.rows.end()) continue;
    auto& [fp8, bf16] = lines[{shape[1], shape[2]}];
    fp8.emplace_back(shape[0], times.front().median);
    bf16.emplace_back(shape[0], other->second.front().median);
  }
  for (auto& [shape, times] : eight->second.rows) {
    const auto line = lines.find({shape[1], shape[2]});
    if (line == lines.end() || line->second.first.size() < 3) continue;
    const double extra =
        at_zero(line->second.first) - std::max(0.0, at_zero(line->second.second));
    const double cut = (1 - share) * std::max(0.0, extra);
    // No more than nine tenths: lines through stairs are not exact.
    for (ImportedTime& t : times)
      for (double* ns : {&t.median, &t.p10, &t.p90}) *ns = std::max(*ns - cut, *ns / 10);
  }
}

}  // namespace isthmus::models
