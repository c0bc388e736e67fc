// Accelerators that several replicas share: who stands on which, and how fast each of them gets on.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/world/sharing_spec.hpp"
#include "sim/world/time_average.hpp"

namespace isthmus::world {

class World;

//! Exists in runs with shared accelerators. Replicas with work have the accelerator in turns or in parts, both
//! taken as fluid: with time slicing each of n gets on at 1/n of its speed, less what switching costs, and
//! running work is re-rated whenever n changes. An answer is at most one round of slices off.
//! Language models change their speed between two iterations.
class Sharing {
 public:
  explicit Sharing(World& world);

  //! The unit that replicas of the service compute on is shared.
  bool concerns(std::uint32_t service) const;
  //! Some accelerator of the machine has a free place and the memory that a replica of the service needs.
  bool has_room(std::uint32_t service, std::uint32_t node) const;
  void placed(std::uint32_t replica);
  void removed(std::uint32_t replica);
  //! Work of the replica has begun or ended.
  void touched(std::uint32_t replica);
  void on_event(std::uint32_t accelerator);

  //! Speed of the replica's running work, 1: as on an accelerator of its own.
  double speed(std::uint32_t replica) const;
  //! The same of an engine's next iterations.
  double next_speed(std::uint32_t replica) const;

  //! Number among the accelerators of its machine; ~0: it shares none.
  std::uint32_t accelerator_of(std::uint32_t replica) const;
  void accelerator_fails(std::uint32_t node, std::uint32_t accelerator, bool fails);
  void node_failed(std::uint32_t node);

  void reset_totals();
  void add_totals(std::vector<std::pair<std::string, double>>& out) const;

 private:
  struct Accelerator {
    std::uint32_t node = 0, unit = 0, number = 0;  // number: of the whole one that it is (a part of)
    double memory = 0;                 // bytes, 0: not stated
    bool broken = false, pending = false;
    std::vector<std::uint32_t> replicas, working;  // working: with work, by number
    std::vector<std::uint32_t> touched;  // since the last look
    double units_off = 0, watts_off = 0;  // what the replicas seem to use together, less what they do
    double busy = 0, switching = 0;    // shares of its time
  };
  struct Seat {
    std::uint32_t accelerator = 0xffffffffU;
    double speed = 1;
    bool active = false;               // as last seen
  };
  struct Service {
    TimeAverage active, speed;         // replicas with work; their speeds, summed up
  };
  struct Group {
    TimeAverage busy, switching;       // accelerators
  };

  bool active(std::uint32_t replica) const;
  bool fits(const Accelerator& accelerator, std::uint32_t service) const;
  std::uint32_t room(std::uint32_t service, std::uint32_t node) const;
  std::vector<double> speeds(const Accelerator& accelerator, const std::vector<std::uint32_t>& active) const;
  void take_part(std::uint32_t replica, bool active, double speed);
  void meter(Accelerator& accelerator, const std::vector<std::uint32_t>& active);

  World& world_;
  std::vector<Accelerator> accelerators_;
  std::map<std::uint32_t, std::pair<std::uint32_t, std::uint32_t>> of_node_;  // first, one past the last
  std::vector<Seat> seats_;            // by replica
  std::vector<Service> services_;
  std::vector<Group> groups_;
};

}  // namespace isthmus::world
