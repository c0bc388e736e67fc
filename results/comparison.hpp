// Differences between alternatives under common random numbers, with honest intervals.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "results/recorder.hpp"

namespace isthmus::results {

//! A mean with its confidence interval.
struct Interval {
  double mean = 0, low = 0, high = 0;
  std::uint32_t n = 0;  //!< replications behind it; n == 1: low and high are infinite
};

//! Student-t interval of the mean; needs at least one value, else Error. A value that is NaN makes
//! the mean NaN.
Interval mean_interval(const std::vector<double>& values, double confidence = 0.95);
//! Of b - a, pairwise; equal lengths, else Error.
Interval paired_difference(const std::vector<double>& a, const std::vector<double>& b,
                           double confidence = 0.95);

//! One alternative: the same scenario with other field values, several replications (same seeds in
//! every alternative, in the same order).
struct Alternative {
  std::string label;
  std::vector<Summary> replications;
};

//! What to minimise or keep. The recommendation looks for alternatives that meet every objective
//! first, then for the best `metric`.
struct Comparison {
  //! A name of docs/metrics.md. Lower is better, except where that page says otherwise.
  std::string metric = "latency.p95";
  std::vector<Alternative> alternatives;
};

//! The verdict in words and figures.
struct Verdict {
  std::vector<std::size_t> ranking;  //!< alternatives, best first
  bool too_close = false;            //!< the best two cannot be told apart
  std::string text;                  //!< one paragraph, ends with the recommendation
};

//! Ranks by (objectives met, metric). An objective is met when the mean attainment over
//! replications reaches its percentile. "Too close to call" when the paired interval of the best
//! two covers zero, or their difference is within the timing error of their service times (root sum
//! of squares of relative error times service share of latency, 2 standard errors; for metrics in
//! seconds). One replication is always too close. Throws Error when there is no alternative, the
//! replications differ in number or seeds, or the metric is unknown.
Verdict judge(const Comparison& comparison);

//! Plain-text table of at most 110 columns: a row per alternative, mean +- half-width per column,
//! then paired differences to the best and the verdict.
std::string comparison_table(const Comparison& comparison);
//! JSON of the same, with every metric of every alternative; numbers that are not finite are null.
std::string comparison_json(const Comparison& comparison);
//! Readable report of one run.
std::string run_report(const Summary& summary);

}  // namespace isthmus::results
