// Running sums and distributions of the requests and tasks of one group, e.g. of one workload on
// one service. What they mean is written in docs/metrics.md.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "results/distribution.hpp"
#include "results/recorder.hpp"

namespace isthmus::results {

//! The timed quantities of a request, each with a mean, percentiles and a maximum.
enum class Timed : std::uint8_t {
  latency,
  queue_wait,
  network_time,
  service_time,
  ttft,
  tpot,
  e2e,
  kv_transfer,
  count_
};

//! An Objective with its metric resolved.
struct ObjectiveRule {
  enum class Kind : std::uint8_t { latency, ttft, tpot, task_duration };
  Kind kind = Kind::latency;
  double target = 0;      //!< ns
  double percentile = 0;  //!< % of requests or tasks that must meet the target

  //! Throws Error for an unknown metric, a percentile outside (0, 100] or a target that is not
  //! positive.
  static std::vector<ObjectiveRule> of(const std::vector<Objective>& objectives);
};

//! How many requests or tasks met one objective, of those for which that is known.
struct Attainment {
  std::uint64_t met = 0, decided = 0;
};

//! Requests created after the warm-up ("counted"), however they ended.
class RequestTally {
 public:
  RequestTally(bool exact, const std::vector<ObjectiveRule>* rules);

  //! Adds one counted record; hot path. Dates that run backwards are an InternalError. The
  //! objectives of requests in flight are left open: see settle().
  void add(const RequestRecord& r);
  //! Decides, at the end of the run, which objectives a request in flight has missed already.
  void settle(const RequestRecord& r, Instant end);
  //! Ends adding; before timed().
  void seal();

  std::uint64_t created = 0, completed = 0, rejected = 0, failed = 0, in_flight = 0;
  std::uint64_t fallbacks = 0;      //!< completed by another service than the policy's choice
  std::uint64_t retried = 0;        //!< needed more than one attempt
  std::uint64_t degraded = 0;       //!< completed by a variant below the most accurate one
  std::uint64_t good = 0;           //!< completed and met every objective of a request
  std::uint64_t output_tokens = 0;  //!< of completed requests
  std::uint64_t gaps = 0;           //!< between neighbouring output tokens
  double gap_time = 0;              //!< ns, sum over the gaps
  double bytes = 0;                 //!< up and down, completed requests
  double kv_bytes = 0;              //!< from prefill to decode replicas, completed requests
  double client_energy = 0;         //!< J, all counted requests
  double accuracy = 0;              //!< sum over the requests whose variant states one
  std::uint64_t with_accuracy = 0;
  std::vector<Attainment> attainment;  //!< one per objective

  const Distribution& timed(Timed t) const { return timed_[static_cast<std::size_t>(t)]; }

 private:
  Distribution& timed(Timed t) { return timed_[static_cast<std::size_t>(t)]; }
  void decide(std::size_t objective, bool met) {
    ++attainment[objective].decided;
    attainment[objective].met += met ? 1 : 0;
  }

  const std::vector<ObjectiveRule>* rules_;
  std::vector<Distribution> timed_;
};

//! Tasks created after the warm-up.
class TaskTally {
 public:
  TaskTally(bool exact, const std::vector<ObjectiveRule>* rules);

  void add(const TaskRecord& t);
  //! Decides the objectives of a task that has not ended.
  void settle(const TaskRecord& t, Instant end);
  //! Ends adding; before `duration` is read.
  void seal() { duration.seal(); }

  std::uint64_t ended = 0, succeeded = 0;
  Distribution duration;               //!< of tasks that succeeded
  std::vector<Attainment> attainment;  //!< one per objective

 private:
  const std::vector<ObjectiveRule>* rules_;
};

}  // namespace isthmus::results
