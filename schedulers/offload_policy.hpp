// Where should this request run? View in, decision out.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schedulers/policy.hpp"
#include "sim/core/time.hpp"

namespace isthmus::schedulers {

enum class Tier : std::uint8_t { device, edge, cloud };

//! What a client may know about one candidate service. Load signals are as old as `observed_at`
//! says; times are estimates from the cost model and from what the scenario lets clients know of
//! their path ("bandwidth"), never the true ones. Only a privileged policy sees the present queues,
//! the present rate of the path and the true service time of this request here.
struct OffloadCandidate {
  std::string_view name;               //!< service name
  Tier tier = Tier::cloud;
  bool healthy = true;                 //!< at least one ready replica and a path that is up
  Instant observed_at;                 //!< date of the load signals below
  double load = 0;                     //!< busy fraction of the service's slots, [0, 1]
  std::uint32_t queued = 0;            //!< requests waiting
  std::uint32_t running = 0;           //!< requests in service
  std::uint32_t slots = 1;             //!< requests that can be in service at once, all replicas
  Duration service;                    //!< estimated time alone on the service, expected output length
  double parallel_speedup = 1;         //!< throughput with all slots busy over one at a time
  Duration network;                    //!< estimated transfer time of request and response, protocol included
  double client_energy = 0;            //!< J that the client's node spends if it chooses this
  double cost = 0;                     //!< USD per request, marginal price
  double accuracy = 0;                 //!< of the service's model variant, [0, 1]
  double work = 0;                     //!< operations that its model needs for this request; 0: a law
  double speed = 0;                    //!< peak of its units, operations/s; 0: a law
  double uplink = 0;                   //!< bytes/s behind `network`; 0: no network in between
  double nominal_uplink = 0;           //!< the same before anything was measured
  Instant measured_at = Instant::never();  //!< date of the client's last own transfer there
};

//! What a decision is worth: a mean of three terms in [0, 1], so that learners are on one scale.
struct OffloadReward {
  double latency_weight = 1, energy_weight = 0, accuracy_weight = 0;  //!< not all zero
  double latency_scale = 0.2;          //!< s that halve the first term, scale / (scale + latency)
  double energy_scale = 1;             //!< J of the client that halve the second
  //! Of an answer. What has failed or was rejected is worth nothing.
  double of(double latency, double energy, double accuracy) const {
    return (latency_weight * latency_scale / (latency_scale + latency) +
            energy_weight * energy_scale / (energy_scale + energy) + accuracy_weight * accuracy) /
           (latency_weight + energy_weight + accuracy_weight);
  }
};

//! One decision to take.
struct OffloadView {
  Instant now;
  std::uint64_t request = 0;           //!< number, for policies that explore
  double upload = 0, download = 0;     //!< bytes
  double work = 0;                     //!< operations of the request at the first candidate
  Duration slo;                        //!< latency objective; zero = none
  double uniform = 0.5;                //!< this decision's own uniform draw, (0, 1)
  OffloadReward reward;                //!< what the scenario wants
  std::span<const OffloadCandidate> candidates;  //!< never empty, order of the scenario
};

struct OffloadDecision {
  std::size_t candidate = 0;           //!< index into view.candidates
  double score = 0;                    //!< policy-specific figure behind the choice
  std::string_view reason;             //!< static text
};

//! What a learning policy gets back when a request ends.
struct OffloadOutcome {
  std::uint64_t request = 0;
  std::size_t candidate = 0;
  bool succeeded = true;
  Duration latency;
  double client_energy = 0;            //!< J
  double accuracy = 0;                 //!< of the answer
  double reward = 0;                   //!< by the scenario's OffloadReward, [0, 1]
};

//! Chooses a candidate; unhealthy choices are turned into the scenario's fallback by the world. One
//! instance decides for all clients of a run, and so learns from all of them.
class OffloadPolicy {
 public:
  virtual ~OffloadPolicy() = default;
  //! The names of the candidates of all views to come. Throws InputError when what was learned
  //! belongs to others.
  virtual void begin(std::span<const std::string>) {}
  virtual OffloadDecision decide(const OffloadView& view) = 0;
  virtual void observe(const OffloadOutcome&) {}
  //! Sees what no client can: a yardstick, not a rule to use.
  virtual bool privileged() const { return false; }
  //! What it has learned, as JSON text; "" when it does not learn. load() of it gives the same
  //! policy bit for bit.
  virtual std::string save() const { return {}; }
  //! Throws InputError when the text is not what save() of this policy writes.
  virtual void load(const std::string& text);
};

//! Every offload policy, in order of documentation.
const std::vector<PolicyEntry<OffloadPolicy>>& offload_policies();

}  // namespace isthmus::schedulers
