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
//! says; times are estimates from the cost model and the nominal path, never the true ones.
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
};

//! One decision to take.
struct OffloadView {
  Instant now;
  std::uint64_t request = 0;           //!< number, for policies that explore
  double upload = 0, download = 0;     //!< bytes
  double work = 0;                     //!< FLOP estimate of the request
  Duration slo;                        //!< latency objective; zero = none
  double uniform = 0.5;                //!< this decision's own uniform draw, (0, 1)
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
};

//! Chooses a candidate; unhealthy choices are turned into the scenario's fallback by the world.
class OffloadPolicy {
 public:
  virtual ~OffloadPolicy() = default;
  virtual OffloadDecision decide(const OffloadView& view) = 0;
  virtual void observe(const OffloadOutcome&) {}
};

//! Every offload policy, in order of documentation.
const std::vector<PolicyEntry<OffloadPolicy>>& offload_policies();

}  // namespace isthmus::schedulers
