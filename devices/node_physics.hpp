// Clocks, power, heat and battery of one node: what its units draw and how fast they may run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/core/time.hpp"

namespace isthmus::devices {

struct PhysicsSpec;  // physics_spec.hpp: operating points, governors, thermal network, battery

//! What a unit does from now on, as its executor sees it.
struct UnitActivity {
  double busy = 0;           //!< share of the unit at work, [0, 1]
  double dynamic_power = 0;  //!< W above idle that this work would draw at the highest clock
  double pending = 0;        //!< s of work waiting or running, at the highest clock
  Instant deadline = Instant::never();  //!< earliest deadline among it
};

//! The physics of one node. It owns no clock: whoever does calls set_activity when work changes
//! and tick() at next_tick(). Between calls everything is advanced in closed form.
class NodePhysics {
 public:
  NodePhysics(std::shared_ptr<const PhysicsSpec> spec, Instant start);
  ~NodePhysics();
  NodePhysics(NodePhysics&&) noexcept;
  NodePhysics& operator=(NodePhysics&&) noexcept;

  //! Unit `unit` (index of the spec) does this from `now` on. O(1): heat is advanced at ticks, with
  //! the mean power since the last one.
  void set_activity(Instant now, std::uint32_t unit, const UnitActivity& activity);
  //! Power that does not pass through a unit (base power, screen, radio), W from `now` on.
  void set_other_power(Instant now, double watts);

  //! When tick() must be called next; never() while nothing can change (idle and settled).
  Instant next_tick() const;
  //! Governors, trip points, battery. True when a speed changed or the node shut down.
  bool tick(Instant now);

  //! Clock of the unit relative to its highest, (0, 1]; 0 when shut down. Compute time divides by
  //! it; memory time does not.
  double speed(std::uint32_t unit) const;
  double frequency(std::uint32_t unit) const;            //!< Hz, 0 when the spec names none
  double temperature(std::uint32_t thermal_node) const;  //!< degrees Celsius at the last tick
  double battery_charge() const;                         //!< [0, 1]; 1 without a battery
  bool shut_down() const;                                //!< too hot, or the battery is empty

  double power(Instant now) const;   //!< W of the whole node
  double energy(Instant now) const;  //!< J since start: the integral of power
  double unit_energy(Instant now, std::uint32_t unit) const;  //!< J, idle and leakage included
  double throttled_seconds(Instant now) const;                //!< with a clock held down by heat

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace isthmus::devices
