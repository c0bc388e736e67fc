// Replicas of services with a placement: which machine takes one, what waits for room, what is moved.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "schedulers/placement_policy.hpp"
#include "sim/core/random.hpp"
#include "sim/world/placement_spec.hpp"
#include "sim/world/time_average.hpp"

namespace isthmus::world {

class World;

//! All placements of a run. The world tells it what happens.
class Placer {
 public:
  explicit Placer(World& world);

  //! Starts the replicas of all placed services. Throws InputError with the reasons when one fits nowhere.
  void start();
  //! Starts one replica of the service where its policy wants it. False: it fits nowhere.
  bool place(std::uint32_t service, bool at_once);
  //! Starts and retires replicas, the newest first, until there are so many; some may have to wait.
  void set_replicas(std::uint32_t service, std::uint32_t desired);
  bool pending(std::uint32_t service) const { return states_[service].pending.value() > 0; }
  //! The replica is being replaced by another that starts elsewhere; it counts no longer.
  bool leaving(std::uint32_t replica) const { return moves_.contains(replica); }
  //! A replica came or went.
  void changed(std::uint32_t replica, bool came);
  void ready(std::uint32_t replica);
  //! Replicas of the service went down with their machine.
  void lost(std::uint32_t service);
  //! Machines came back.
  void recovered() { retry_later(); }
  void on_event(std::uint32_t what);
  void reset_totals();
  //! Metrics of every placed service. Throws InternalError when a machine has more than it can take.
  void add_totals(std::vector<std::pair<std::string, double>>& out);
  //! What still waits for room at the end, and why.
  void add_notes(std::vector<std::string>& out) const;

  //! Replicas that wait, times seconds.
  double waited_seconds() const;

 private:
  friend class ClusterAutoscaler;
  struct State {
    std::shared_ptr<schedulers::PlacementPolicy> policy;
    std::vector<std::uint32_t> members;  // services: its pools, or itself
    TimeAverage pending, machines, shared, wasted, room;
    std::uint64_t placed = 0, moves = 0, refused = 0;
    double longest = 0;                  // s that something waited, at a stretch
    Instant waiting_since = Instant::never();
    schedulers::RefusalCounts why{};
    std::uint64_t tries = 0;             // for draws
  };
  struct Found {
    std::uint32_t service = 0xffffffffU, node = 0xffffffffU;
  };
  // What a replica would find if others had moved.
  struct Plan {
    std::map<std::pair<std::uint32_t, std::uint32_t>, double> units;  // taken, by node and kind
    std::map<std::uint32_t, double> memory;  // taken, bytes by node
    std::vector<std::uint32_t> gone;     // replicas that have left
    std::uint32_t avoid = 0xffffffffU;   // node
    bool used_only = false;              // machines with a replica
    std::vector<std::uint32_t> arrived, closed;  // machines that are there then, or take nothing
    std::vector<std::pair<std::uint32_t, std::uint32_t>> put;  // replicas that stand there then: service, node
  };

  const Placement& spec(std::uint32_t service) const;
  schedulers::PlacementDemand demand(std::uint32_t member) const;
  bool usable(std::uint32_t node) const;
  bool usable(std::uint32_t node, const Plan& plan) const;
  double accelerators_of(std::uint32_t member) const;
  double free_accelerators(std::uint32_t member, std::uint32_t node, const Plan& plan) const;
  double free_memory(std::uint32_t member, std::uint32_t node, const Plan& plan) const;
  double memory_of(std::uint32_t member) const;
  std::uint32_t zone_of(std::uint32_t node) const;
  bool stands(std::uint32_t replica, const Plan& plan) const;
  bool counts(std::uint32_t replica, const Plan& plan) const;
  bool present(std::uint32_t service, std::uint32_t node, bool zone, const Plan& plan) const;
  bool present_anywhere(std::uint32_t service, const Plan& plan) const;
  schedulers::Refusal refusal(std::uint32_t service, std::uint32_t member, std::uint32_t node,
                              const std::map<std::uint32_t, std::uint32_t>& domains, const Plan& plan) const;
  std::map<std::uint32_t, std::uint32_t> domains(std::uint32_t service, const Plan& plan) const;
  Found find(std::uint32_t service, const Plan& plan, schedulers::RefusalCounts& why);
  void set_pending(std::uint32_t service, std::uint32_t replicas);
  void retry_later();
  bool movable(std::uint32_t replica) const;
  std::uint64_t broken_rules() const;
  void retry();
  void deschedule();
  std::uint32_t empty_for(std::uint32_t service, std::uint32_t budget);
  std::uint32_t consolidate(std::uint32_t budget);
  bool plan_moves(const std::vector<std::uint32_t>& replicas, Plan& plan,
                  std::vector<std::pair<std::uint32_t, Found>>& moves);
  void carry_out(const std::vector<std::pair<std::uint32_t, Found>>& moves);
  void observe();
  void observe(std::uint32_t service);

  World& world_;
  StreamKey draws_;
  std::vector<std::uint32_t> services_;  // with a placement, in order
  std::vector<State> states_;            // by service; of others empty
  std::vector<double> memory_;           // bytes taken, by node
  std::map<std::uint32_t, std::uint32_t> moves_, moves_back_;  // new replica by old, old by new
  std::uint64_t violations_ = 0;
  bool retrying_ = false;
};

}  // namespace isthmus::world
