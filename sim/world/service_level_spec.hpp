// What a scenario says of service levels (docs/service_levels.md).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "schedulers/anomaly_detector.hpp"
#include "sim/core/time.hpp"

namespace isthmus::world {

//! What is good, of requests or of slices of time.
enum class Indicator : std::uint8_t {
  availability,  //!< requests: answered
  latency,       //!< requests: answered within the target; those without an answer are bad
  ttft,          //!< likewise, until the first token
  tpot,          //!< likewise, per further token
  accuracy,      //!< answers: at least the target
  throughput,    //!< slices: answers per second of at least the target
  uptime,        //!< slices: at their end each service has a ready replica
};

//! Of the requests that ended in an interval.
enum class WatchedMetric : std::uint8_t {
  rate,                //!< 1/s, of all that ended
  error_ratio,         //!< those without an answer
  mean_latency,        //!< s, of answers
  latency_percentile,  //!< s, of answers, nearest rank
};

//! A metric that is compared with a bound, or with its forecast.
struct MetricWatchSpec {
  WatchedMetric metric = WatchedMetric::latency_percentile;
  double percentile = 95;
  std::uint32_t slices = 1;            //!< per interval
  Duration interval;
  std::uint64_t training = 0;          //!< intervals before the first that may be wrong
  std::optional<double> above, below;  //!< bounds
  std::optional<schedulers::AnomalySpec> anomaly;  //!< instead of bounds
};

//! Fires when more than `bad_share` of the events (or just that share, if it `reaches`) were bad over every one of
//! the windows, for `hold`.
struct AlertSpec {
  std::string name, severity;
  double bad_share = 0;
  bool reaches = false;
  std::vector<std::uint32_t> windows;  //!< in slices
  Duration hold;
  //! Of a percentile: counts answers of its own, those within the threshold are good.
  bool percentile = false;
  Indicator metric = Indicator::latency;
  double threshold = 0;                //!< s
  //! Instead of all that: a metric; null: none.
  std::shared_ptr<const MetricWatchSpec> watch;
};

struct ServiceLevel {
  std::string name, words;             //!< indicator in words
  Indicator indicator = Indicator::availability;
  double target = 0;                   //!< s, 1/s or accuracy
  double objective = 0;                //!< share of good events
  Duration period;                     //!< of the error budget
  Duration slice;                      //!< between evaluations
  std::vector<bool> services;          //!< whom it is about, by index; empty: all
  std::vector<bool> workloads;         //!< likewise
  std::vector<AlertSpec> alerts;
  std::optional<Duration> fault_grace; //!< alerts are judged by the failures of the run, with so much time after each
  std::vector<std::pair<Instant, Instant>> incidents;  //!< further ones, by hand

  bool of_slices() const { return indicator == Indicator::throughput || indicator == Indicator::uptime; }
};

}  // namespace isthmus::world
