// Crashes of processes, maintenance and chaos experiments; and what failures did to machines and services.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/core/event_queue.hpp"
#include "sim/core/random.hpp"
#include "sim/world/fault_spec.hpp"
#include "sim/world/time_average.hpp"

namespace isthmus::world {

class World;

//! Exists in runs with any failures. The world tells it what happens; it outlives no world.
class Disruptions {
 public:
  explicit Disruptions(World& world);

  void on_event(std::uint32_t what, std::uint64_t payload);
  //! Nothing new starts on the machine.
  bool cordoned(std::uint32_t node) const { return cordoned_.contains(node); }
  //! The replica is draining, but comes back with its machine.
  bool keeps(std::uint32_t replica) const { return kept_.contains(replica); }
  void forget(std::uint32_t replica) { kept_.erase(replica); }
  void replica_ready(std::uint32_t replica);
  //! The number of ready replicas of a service has changed.
  void ready_changed(std::uint32_t service);
  //! A replica under maintenance has nothing left to do.
  void idle(std::uint32_t replica);
  void node_down(std::uint32_t node);
  void node_up(std::uint32_t node);
  //! A failure took a request at the service.
  void request_lost(std::uint32_t service);

  // Accelerators of machines.
  void accelerator_fails(std::uint32_t node, std::uint32_t accelerator);
  void accelerator_recovers(std::uint32_t node, std::uint32_t accelerator);
  void units_taken(std::uint32_t replica);
  void units_given_back(std::uint32_t replica);

  void reset_totals();
  void add_totals(std::vector<std::pair<std::string, double>>& out) const;

 private:
  struct Machine {
    Instant down_since;
    bool down = false;
  };
  struct Group {
    std::uint64_t failures = 0, repairs = 0;
    double repaired = 0;               // s of downtime that has ended
    TimeAverage down;                  // machines
  };
  struct Serving {
    TimeAverage up;                    // 1 while a replica is ready
    std::uint64_t crashes = 0, lost = 0;
    bool crashing = false;             // processes of it may crash
  };
  struct Restarts {
    std::uint32_t in_a_row = 0;
  };
  struct Rolling {
    std::uint32_t next = 0, busy = 0;  // machines begun; of these, not yet back
    std::vector<std::uint32_t> stage;  // by machine: 0 waits, 1 drains, 2 down, 3 comes back, 4 done
  };

  void crash(std::uint32_t replica, const RestartRule& rule);
  void arm(std::uint32_t spec, std::uint32_t replica);
  void roll(std::uint32_t maintenance);
  void drain(std::uint32_t maintenance, std::uint32_t machine);
  bool drained(std::uint32_t node) const;
  void take_down(std::uint32_t maintenance, std::uint32_t machine);
  void bring_back(std::uint32_t maintenance, std::uint32_t machine);
  void finish(std::uint32_t maintenance, std::uint32_t machine);
  void experiment(std::uint32_t chaos);
  void schedule_experiment(std::uint32_t chaos);
  void end_experiment(std::uint32_t victims);
  void replace_missing();

  World& world_;
  StreamKey draws_;
  std::vector<Machine> machines_;
  std::vector<Group> groups_;
  std::vector<Serving> services_;
  std::map<std::uint32_t, Restarts> restarts_;               // by replica
  std::map<std::uint32_t, std::uint64_t> starts_;            // of replicas, for draws
  std::vector<Rolling> rolling_;
  std::set<std::uint32_t> cordoned_, kept_;                  // machines, replicas
  struct Victims {
    std::uint32_t chaos = 0;
    std::vector<std::uint32_t> nodes;
  };
  std::vector<Victims> victims_;
  std::vector<std::uint64_t> experiments_;                   // so far, by chaos
  // An accelerator: free places by unit, and replicas that have the others.
  struct Accelerator {
    std::vector<std::uint32_t> free, owners;
    bool broken = false;
  };
  std::map<std::uint32_t, std::vector<Accelerator>> accelerators_;  // by machine, where they may fail
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> broken_;  // holds by machine and accelerator
  std::vector<std::uint32_t> missing_;                       // services that lost a replica to one
};

}  // namespace isthmus::world
