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

//! One line of a power trace.
struct PowerSample {
  Instant at;
  double watts = 0;        //!< mean since the last sample
  double temperature = 0;  //!< degrees Celsius of the hottest node
  double speed = 1;        //!< of the first unit, relative to its highest clock
  double busy = 0;         //!< mean busy share of the first unit since the last sample
};

//! The physics of one node. It owns no clock: whoever does calls set_activity when work changes and
//! tick() at next_tick(). Between calls powers are constant but for leakage, which follows the
//! temperature; heat and energy are advanced in closed form, so energy() is the exact integral of
//! power().
class NodePhysics {
 public:
  //! `spec` passed check().
  NodePhysics(std::shared_ptr<const PhysicsSpec> spec, Instant start);
  ~NodePhysics();
  NodePhysics(NodePhysics&&) noexcept;
  NodePhysics& operator=(NodePhysics&&) noexcept;

  //! Unit `unit` (index of the spec) does this from `now` on.
  void set_activity(Instant now, std::uint32_t unit, const UnitActivity& activity);
  //! Power that does not pass through a unit (base power, screen, radio), W from `now` on.
  void set_other_power(Instant now, double watts);
  //! Switches the node off (its units draw off_power together) or on again.
  void set_running(Instant now, bool running);

  //! When tick() must be called next; never() while nothing can change (idle and settled).
  Instant next_tick() const;
  //! Governors, trip points, battery. True when a speed changed or the node shut down.
  bool tick(Instant now);

  //! Clock of the unit relative to its highest, (0, 1].
  double speed(std::uint32_t unit) const;
  double frequency(std::uint32_t unit) const;  //!< Hz, 0 when the spec names none
  bool wants_deadlines() const;  //!< some governor looks at UnitActivity::deadline
  //! Index of the operating point.
  std::size_t point(std::uint32_t unit) const;
  double temperature(Instant now, std::uint32_t thermal_node) const;  //!< degrees Celsius
  double battery_charge(Instant now) const;                           //!< [0, 1]; 1 without one
  bool shut_down() const;  //!< too hot, or the battery is empty; stays so

  double power(Instant now) const;                            //!< W of the whole node
  double energy(Instant now) const;                           //!< J since start
  double unit_energy(Instant now, std::uint32_t unit) const;  //!< J, idle but not leakage included
  double dynamic_energy(Instant now) const;                   //!< J of work: floor and scaled power
  double throttled_seconds(Instant now) const;                //!< with a clock held down by heat
  double hottest() const;  //!< degrees Celsius, highest of any node at any tick; NaN without heat

  //! The trace since the last call; empty unless the spec asks for it.
  std::vector<PowerSample> take_samples();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace isthmus::devices
