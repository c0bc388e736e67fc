// Which replica of a service gets this request?
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "schedulers/policy.hpp"
#include "sim/core/time.hpp"

namespace isthmus::schedulers {

//! What a balancer knows of one replica.
struct ReplicaSignal {
  std::uint32_t replica = 0;           //!< stable number of the replica
  std::uint32_t outstanding = 0;       //!< requests sent and not yet answered
  double weight = 1;
};

struct RoutingView {
  Instant now;
  std::uint64_t session = 0;           //!< hash of the client or session
  double uniform = 0.5;                //!< this decision's own uniform draw, (0, 1)
  std::span<const ReplicaSignal> replicas;  //!< ready replicas, by number; never empty
};

//! Returns an index into view.replicas.
class RoutingPolicy {
 public:
  virtual ~RoutingPolicy() = default;
  virtual std::size_t choose(const RoutingView& view) = 0;
};

const std::vector<PolicyEntry<RoutingPolicy>>& routing_policies();

}  // namespace isthmus::schedulers
