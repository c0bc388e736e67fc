// What a scenario says of the machines that replicas may take (docs/placement.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "schedulers/placement_rules.hpp"
#include "sim/core/time.hpp"

namespace isthmus::world {

//! Replicas of a service stay evenly spread over machines or zones.
struct PlacementSpread {
  bool zones = false;                  //!< else machines
  std::uint32_t max_skew = 1;
  bool hard = true;                    //!< else domains with fewer are only preferred
};

//! Where replicas of a service may run. Of a service with pools: what each pool is, the pool says; how many
//! replicas there are in all, the service.
struct Placement {
  const schedulers::PolicyEntry<schedulers::PlacementPolicy>* policy = nullptr;
  std::optional<schedulers::Parameters> parameters;
  std::vector<schedulers::Toleration> tolerates;
  std::vector<std::uint32_t> near, apart;  //!< services: affinity and anti-affinity
  bool near_zone = false, apart_zone = false;  //!< in the same zone, not on the same machine
  std::optional<PlacementSpread> spread;
  std::vector<std::string> zones;      //!< of its machines; empty: any
  Duration failover;                   //!< from a failure of a machine until its replicas are replaced
  bool movable = true;                 //!< the descheduler may move its replicas
  //! Node groups that the service names, but that are not what it requires; and why.
  std::vector<std::pair<std::uint32_t, std::string>> excluded;
};

//! Moves replicas so that others fit, or that machines become free.
struct Descheduler {
  Duration period = Duration::from_seconds(60);
  std::uint32_t max_moves = 4;         //!< per round
  bool make_room = true;               //!< for a replica that fits nowhere
  bool consolidate = false;            //!< frees the machine that is taken least
};

}  // namespace isthmus::world
