// What a scenario says of failures: of links and machines, of processes, by plan and as experiments
// (docs/faults.md).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/core/time.hpp"
#include "sim/world/distribution.hpp"

namespace isthmus::world {

//! Failures that come by chance: times between the end of one and the start of the next, and how long
//! each lasts, in seconds. Draws of less than a millisecond count as one.
struct FaultLaw {
  Distribution time_to_failure, time_to_repair;
};

//! Links and nodes that fail, links that lose capacity or nodes that lose speed, all at the same dates.
struct Fault {
  std::vector<std::uint32_t> links, nodes;
  double capacity = 0;                 //!< share that links keep meanwhile; 0: they are down
  double speed = 0;                    //!< share that nodes keep meanwhile; 0: they are down
  std::uint32_t accelerator = 0xffffffffU;  //!< of the nodes, that fails instead of them; ~0: none
  Instant at;                          //!< of the only failure, without a law
  Duration lasts = Duration::max();
  std::shared_ptr<const FaultLaw> law;
  std::uint64_t identity = 0;          //!< of its draws
};

//! How long a process waits before it starts again: `first`, twice that after the next crash, ... A replica that
//! has been ready for `reset` begins anew.
struct RestartRule {
  Duration first = Duration::from_seconds(10), longest = Duration::from_seconds(300),
           reset = Duration::from_seconds(600);
};

//! Processes of a service that crash.
struct CrashSpec {
  std::uint32_t service = 0;
  std::uint32_t replica = 0xffffffffU; //!< number; ~0: every one
  Instant at = Instant::never();       //!< without a law
  std::shared_ptr<const Distribution> time_to_failure;  //!< s of being ready, of each replica by itself
  RestartRule restart;
  std::uint64_t identity = 0;
};

//! Machines of a group that are taken down one after another.
struct Maintenance {
  std::uint32_t group = 0;
  Instant at;
  Duration grace;                      //!< for what runs on a machine; then it is lost
  Duration takes;                      //!< down
  std::uint32_t max_unavailable = 1;   //!< machines at once, until their replicas are ready again
};

//! Random experiments: every now and then some victims.
struct ChaosSpec {
  enum class Action : std::uint8_t { fail, slow, crash };
  std::string name;
  Action action = Action::fail;
  std::uint32_t group = 0;             //!< whose machines fail or become slow
  std::uint32_t service = 0;           //!< whose processes crash
  std::uint32_t victims = 1;
  double speed = 0;
  Distribution every, lasts;           //!< s
  Instant from, until = Instant::never();
  RestartRule restart;
};

}  // namespace isthmus::world
