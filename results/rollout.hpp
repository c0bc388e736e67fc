// New versions of services and how they took over; docs/rollouts.md.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "sim/core/time.hpp"

namespace isthmus::results {

//! Requests of one side of an A/B test, created while it ran.
struct AbSide {
  std::uint64_t answers = 0, right = 0;
  double latency_mean = std::numeric_limits<double>::quiet_NaN();  //!< s
  double latency_p95 = std::numeric_limits<double>::quiet_NaN();   //!< s
};

//! Shares of right answers of two independent groups.
struct ProportionTest {
  double difference = 0;               //!< new - old
  double low = 0, high = 0;            //!< interval of the difference
  double p_value = 1;                  //!< two-sided, of no difference
};
//! Pooled z test; interval of Newcombe's method 10 (Statistics in Medicine 17, 1998: Wilson scores of both
//! shares). NaN without answers on either side. 0 < confidence < 1.
ProportionTest compare_proportions(const AbSide& old, const AbSide& fresh, double confidence);

//! What became of a rollout.
struct RolloutTotals {
  static constexpr double never = std::numeric_limits<double>::quiet_NaN();
  struct Event {
    Instant at;
    std::string what;
  };

  std::string name, service, version, strategy;
  std::string outcome;                 //!< waiting, running, stalled, completed, rolled back
  std::string reason;                  //!< why, if it was taken back or does not get on
  Instant began = Instant::never(), ended = Instant::never();
  double detect = never;               //!< s from the first request at the new version to the failed analysis
  std::uint64_t tries = 0;             //!< requests sent to replicas of the service while it was under way
  std::uint64_t exposed = 0, errors = 0;  //!< of these, to the new version; that it ended with an error
  std::uint64_t deadlines = 0;         //!< times that the progress deadline passed
  struct Test {
    AbSide old, fresh;
    double confidence = 0.95;
    bool stays = false;                //!< the new version does
  };
  std::optional<Test> test;            //!< of A/B
  std::vector<Event> events;
};

//! What one version of a service did.
struct VersionTotals {
  std::string service, name;
  std::uint64_t answered = 0, failed = 0, errors = 0;  //!< errors: of tries at its replicas
  double latency_mean = 0, latency_p50 = 0, latency_p95 = 0, latency_p99 = 0;  //!< s, of answered ones
  double accuracy = 0;                 //!< mean over these
};

//! Of a device and a cloud part: answers of versions that were apart, and too far apart.
struct SkewTotals {
  std::string service;
  std::uint64_t answers = 0, skewed = 0, incompatible = 0;
};

}  // namespace isthmus::results
