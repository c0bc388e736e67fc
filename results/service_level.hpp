// Service-level indicators over sliding windows, error budgets and alerts; docs/service_levels.md.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "results/alert_verdict.hpp"
#include "sim/core/time.hpp"

namespace isthmus::results {

//! Events, and the good ones among them.
struct GoodCount {
  std::uint64_t good = 0, all = 0;
  std::uint64_t bad() const { return all - good; }
  double ratio() const;                //!< NaN without events
  GoodCount operator-(const GoodCount& o) const { return {good - o.good, all - o.all}; }
  bool operator==(const GoodCount&) const = default;
};

//! Counts over the newest slices of time, all of equal length. 16 bytes per slice that is remembered; adding and
//! asking take constant time.
class SlidingCounts {
 public:
  //! `slices` >= 1: the longest window.
  explicit SlidingCounts(std::size_t slices) : ends_(slices + 1) {}

  void add(bool good) {                //!< hot path
    ++now_.all;
    now_.good += good ? 1 : 0;
  }
  //! The present slice is over.
  void close() { ends_[++closed_ % ends_.size()] = now_; }
  //! Over the newest `slices` that are closed, or those there have been; at most what is remembered.
  GoodCount last(std::size_t slices) const;
  GoodCount total() const { return now_; }

 private:
  std::vector<GoodCount> ends_;        // sums from the start to the end of slice i, at i modulo size
  std::uint64_t closed_ = 0;
  GoodCount now_;
};

//! A pair of windows that have to burn the error budget faster than `factor` together.
struct BurnRateRule {
  const char* name;
  const char* severity;
  Duration long_window, short_window;
  double factor;
};
//! The four of the Site Reliability Workbook, chapter 5, whose windows are for a period of 30 days; those of
//! other periods are in proportion. The factor is the share of the budget that the long window spends times
//! period over window: 14.4, 6, 3, 1.
std::array<BurnRateRule, 4> burn_rate_rules(Duration period);

//! The time without service that an objective leaves in a period, e.g. 43.2 minutes of 30 days for 0.999.
Duration error_budget(double objective, Duration period);
//! How many times faster than just allowed the budget is spent; NaN without events.
double burn_rate(const GoodCount& count, double objective);
//! More than `share`, or at least `share`, of the events are bad; false without events.
bool more_bad_than(const GoodCount& count, double share);
bool at_least_bad(const GoodCount& count, double share);

//! (satisfied + tolerating / 2) / all; NaN without events.
double apdex(std::uint64_t satisfied, std::uint64_t tolerating, std::uint64_t all);

//! Percentile with linear interpolation between the order statistics (inclusive, C = 1). `values` rise.
double percentile_linear(std::span<const double> values, double percent);
//! Prometheus' histogram_quantile: linear within the bucket. Upper bounds of buckets, rising, with the number of
//! values at or below each; the first bucket begins at 0. NaN without values.
double histogram_quantile(std::span<const std::pair<double, std::uint64_t>> buckets, double quantile);

//! From the first evaluation with a condition that holds to the first without.
struct AlertEvent {
  std::string level, alert, severity;
  Instant pending, fired;
  Instant resolved = Instant::never(); //!< never: it is active at the end
};

//! Fires once its condition has held for some time, at evaluations.
class AlertState {
 public:
  explicit AlertState(Duration hold) : hold_(hold) {}
  enum class Change : std::uint8_t { none, fires, resolves };
  Change evaluate(bool holds, Instant now);
  bool active() const { return active_; }
  Instant pending() const { return pending_; }  //!< since when the condition holds; else never

 private:
  Duration hold_;
  Instant pending_ = Instant::never();
  bool active_ = false;
};

//! What became of a service level in the measured part of the run.
struct LevelTotals {
  static constexpr double never = std::numeric_limits<double>::quiet_NaN();
  std::string name, indicator;         //!< the indicator in words, e.g. "latency <= 200 ms"
  double objective = 0, period = 0;    //!< s
  std::uint64_t good = 0, events = 0;
  double budget_left = 1;              //!< of the present period, at the end
  double used_up = never;              //!< s, date at which a budget first was
  double apdex = never;                //!< of latencies
  std::vector<std::pair<double, double>> progress;  //!< date in s, share of the budget that is left
  std::vector<std::string> alerts;     //!< names of all alerts
  std::vector<AlertVerdict> verdicts;  //!< of each, for metrics; empty: nobody asks
};

}  // namespace isthmus::results
