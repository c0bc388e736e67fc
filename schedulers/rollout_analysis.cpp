#include "schedulers/rollout_analysis.hpp"

#include <algorithm>
#include <cmath>

namespace isthmus::schedulers {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// NaN: too few requests to say. Percentiles are nearest ranks.
double value_of(const AnalysisSpec& spec, const VersionWindow& w) {
  if (w.requests < spec.least_requests) return nan;
  if (spec.metric == RolloutMetric::error_ratio)
    return static_cast<double>(w.errors) / static_cast<double>(w.requests);
  if (w.latencies.empty()) return nan;
  std::vector<double> sorted = w.latencies;
  const double exact = spec.percentile / 100 * static_cast<double>(sorted.size());
  const auto rank = static_cast<std::size_t>(std::max(1.0, std::ceil(exact - 1e-9)));
  const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(std::min(rank, sorted.size()) - 1);
  std::nth_element(sorted.begin(), at, sorted.end());
  return *at;
}

}  // namespace

Measured judge(const AnalysisSpec& spec, const VersionWindow& fresh, const VersionWindow& old, double& value) {
  value = value_of(spec, fresh);
  if (std::isnan(value)) return Measured::inconclusive;
  if (value > spec.at_most) return Measured::failed;
  if (!spec.against_old()) return Measured::passed;
  const double before = value_of(spec, old);
  if (std::isnan(before)) return Measured::inconclusive;
  const double slack = 1e-12 * std::max(1.0, std::abs(before));
  return value > before + spec.margin + slack || value > before * spec.factor + slack ? Measured::failed
                                                                                     : Measured::passed;
}

AnalysisRun::State AnalysisRun::add(const AnalysisSpec& spec, Measured m) {
  if (state_ != State::running) return state_;
  if (m == Measured::inconclusive) {
    if (++inconclusive_ > spec.inconclusive_limit) state_ = State::inconclusive;
    return state_;
  }
  ++(m == Measured::passed ? passed_ : failed_);
  if (failed_ > spec.failure_limit) state_ = State::failed;
  else if (spec.count > 0 && passed_ + failed_ >= spec.count) state_ = State::succeeded;
  return state_;
}

void VersionScrapes::count(bool fresh, bool error, double latency) {
  VersionWindow& w = open_.of[fresh ? 1 : 0];
  ++w.requests;
  if (error) ++w.errors;
  else w.latencies.push_back(latency);
}

void VersionScrapes::scrape(Instant now) {
  open_.until = now;
  slices_.push_back(std::move(open_));
  open_ = {};
  while (slices_.front().until + keep_ < now) slices_.pop_front();
}

VersionWindow VersionScrapes::window(bool fresh, Duration window, Instant now) const {
  VersionWindow sum;
  for (auto s = slices_.rbegin(); s != slices_.rend() && s->until + window > now; ++s) {
    const VersionWindow& w = s->of[fresh ? 1 : 0];
    sum.requests += w.requests;
    sum.errors += w.errors;
    sum.latencies.insert(sum.latencies.end(), w.latencies.begin(), w.latencies.end());
  }
  return sum;
}

}  // namespace isthmus::schedulers
