// Differences between alternatives under common random numbers, with honest intervals.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "results/recorder.hpp"

namespace isthmus::results {

//! Mean of paired differences with a 95 % interval.
struct Interval {
  double mean = 0, low = 0, high = 0;
  std::uint32_t n = 0;                 //!< replications behind it; n == 1: low and high are infinite
};

//! Student-t interval of the mean; needs at least one value.
Interval mean_interval(const std::vector<double>& values, double confidence = 0.95);
//! Of b - a, pairwise; equal lengths.
Interval paired_difference(const std::vector<double>& a, const std::vector<double>& b,
                           double confidence = 0.95);

//! One alternative: the same scenario with other field values, several replications (same seeds in
//! every alternative, in the same order).
struct Alternative {
  std::string label;
  std::vector<Summary> replications;
};

//! What to minimise or keep. The recommendation looks for alternatives that meet every objective
//! first, then for the lowest `metric`.
struct Comparison {
  std::string metric = "latency.p95";  //!< lower is better
  std::vector<Alternative> alternatives;
};

//! The verdict in words and figures.
struct Verdict {
  std::vector<std::size_t> ranking;    //!< alternatives, best first
  bool too_close = false;              //!< the best two cannot be told apart
  std::string text;                    //!< one paragraph, ends with the recommendation
};

//! Ranks by (objectives met, metric). "Too close to call" when the paired interval of the best two
//! covers zero, or their difference is within the timing error of their service times (root sum of
//! squares of relative error times service share of latency, 2 standard errors).
Verdict judge(const Comparison& comparison);

//! Plain-text table: a row per alternative, mean +- half-width per column, then paired differences
//! to the best and the verdict.
std::string comparison_table(const Comparison& comparison);
//! JSON of the same.
std::string comparison_json(const Comparison& comparison);
//! Readable report of one run.
std::string run_report(const Summary& summary);

}  // namespace isthmus::results
