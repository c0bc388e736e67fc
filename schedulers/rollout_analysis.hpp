// Whether a new version is good enough: measurements of what replicas count, and what becomes of them.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <vector>

#include "sim/core/time.hpp"

namespace isthmus::schedulers {

//! What is measured of a version over a window.
enum class RolloutMetric : std::uint8_t {
  error_ratio,  //!< errors over requests
  latency,      //!< a percentile of the time from the arrival at a replica to the end of its work
};

//! One metric of an analysis (AnalysisTemplate of Argo Rollouts).
struct AnalysisSpec {
  RolloutMetric metric = RolloutMetric::error_ratio;
  double percentile = 95;              //!< of latency, in %
  //! The measurement fails above: this, and the old version's value in the same window plus `margin`, or
  //! times `factor`. Infinite: no such limit.
  double at_most = std::numeric_limits<double>::infinity();
  double margin = std::numeric_limits<double>::infinity();
  double factor = std::numeric_limits<double>::infinity();
  Duration interval;                   //!< between measurements, and their window
  Duration initial_delay;
  std::uint32_t count = 0;             //!< measurements; 0: as long as the rollout goes on
  std::uint32_t failure_limit = 0;     //!< more failed ones than that: the analysis fails
  std::uint32_t inconclusive_limit = 0;  //!< likewise of those with too few requests
  std::uint32_t least_requests = 1;    //!< of a version, else the measurement says nothing

  bool against_old() const { return margin < std::numeric_limits<double>::infinity() ||
                                    factor < std::numeric_limits<double>::infinity(); }
};

//! Requests of one version between two scrapes.
struct VersionWindow {
  std::uint64_t requests = 0, errors = 0;
  std::vector<double> latencies;       //!< s, of those without an error
};

enum class Measured : std::uint8_t { passed, failed, inconclusive };

//! What a measurement says. `value` gets that of the new version, NaN when inconclusive.
Measured judge(const AnalysisSpec& spec, const VersionWindow& fresh, const VersionWindow& old, double& value);

//! One run of one metric.
class AnalysisRun {
 public:
  enum class State : std::uint8_t { running, succeeded, failed, inconclusive };
  State add(const AnalysisSpec& spec, Measured m);
  State state() const { return state_; }
  std::uint32_t measurements() const { return passed_ + failed_ + inconclusive_; }

 private:
  std::uint32_t passed_ = 0, failed_ = 0, inconclusive_ = 0;
  State state_ = State::running;
};

//! Counters of the versions of a service as a monitoring system has them: looked at every now and then, and
//! kept for as long as the longest window.
class VersionScrapes {
 public:
  //! `keep`: the longest window that is asked for.
  explicit VersionScrapes(Duration keep) : keep_(keep) {}

  void count(bool fresh, bool error, double latency);  //!< latency in s; hot path
  //! The counters are looked at.
  void scrape(Instant now);
  //! From the last scrape that is `window` old or older to the newest one.
  VersionWindow window(bool fresh, Duration window, Instant now) const;

 private:
  struct Slice {
    Instant until;
    VersionWindow of[2];               // old, new
  };
  Duration keep_;
  Slice open_;
  std::deque<Slice> slices_;
};

}  // namespace isthmus::schedulers
