// How many replicas should a service have? Sees scraped, delayed samples only.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schedulers/policy.hpp"
#include "sim/core/time.hpp"

namespace isthmus::schedulers {

//! The last scraped sample of one replica.
struct ReplicaSample {
  bool ready = true;
  Duration age;                        //!< since the replica was started
  std::optional<double> utilization;   //!< busy fraction of its request, e.g. 0.7; empty = missing
  std::optional<double> in_flight;     //!< requests queued or running there; empty = missing
  std::optional<Duration> since_transition;  //!< since `ready` last changed; empty = never, i.e. age
};

//! A number from outside the simulated system, which the scenario gives over time.
struct ExternalMetric {
  std::string_view name;
  double value = 0;
};

//! What a service was seen to do between two scrapes. Of a service with pools each pool has its own.
struct ServiceMetrics {
  Instant observed_at;                 //!< end of the window
  Duration window;                     //!< since the scrape before; zero at the very first date
  double arrivals = 0;                 //!< requests that came, those turned away there included
  double completed = 0;                //!< answered
  double failed = 0;                   //!< turned away, lost or given up at the service
  double concurrency = 0;              //!< mean requests there: served, queued, waiting for a replica
  double queue_length = 0;             //!< mean of those that were not being served
  double in_flight = 0;                //!< requests there at the end of the window
  double utilization = 0;              //!< mean busy share of the ready replicas; 0 without any
  std::uint32_t ready = 0;             //!< replicas at the end of the window
  std::optional<double> mean_latency;  //!< s from arrival to answer, of those completed
  std::span<const double> latencies;   //!< these, sorted; only for policies that want them
  std::span<const ExternalMetric> external;

  double rate() const { return window > Duration::zero() ? arrivals / window.seconds() : 0; }
  //! The smallest latency that a share `p` of all, in (0, 1], does not exceed; empty without any.
  std::optional<double> latency(double p) const;
};

struct AutoscalingView {
  Instant now;
  Instant observed_at;                 //!< date of the scrape behind `replicas`
  std::uint32_t current = 0;           //!< replicas asked for at the moment
  std::span<const ReplicaSample> replicas;  //!< starting ones too, with ready = false
  double waiting = 0;                  //!< requests that wait at the service, at no replica yet
  //! Scrapes that have become visible since the last decision, oldest first. Only for policies that
  //! want metrics, and empty between scrapes even then.
  std::span<const ServiceMetrics> samples;
  bool woken = false;                  //!< out of turn: a request waits and no replica is wanted
  std::uint32_t alerts = 0;            //!< of service levels, active and about the service
};

struct AutoscalingDecision {
  std::uint32_t desired = 0;
  std::string_view reason;             //!< static text
};

//! Called once per control period; may keep state (stabilization windows).
class AutoscalingPolicy {
 public:
  virtual ~AutoscalingPolicy() = default;
  virtual AutoscalingDecision decide(const AutoscalingView& view) = 0;
  //! True: the view has `samples`.
  virtual bool wants_metrics() const { return false; }
  //! True: these hold every latency.
  virtual bool wants_latencies() const { return false; }
  //! Names of the external metrics that it cannot do without.
  virtual std::vector<std::string> external_metrics() const { return {}; }
  //! True: asked at once, as soon as the signal is there, when a request finds nobody wanted.
  virtual bool wakes() const { return false; }
};

const std::vector<PolicyEntry<AutoscalingPolicy>>& autoscaling_policies();

}  // namespace isthmus::schedulers
