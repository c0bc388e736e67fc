// What NodePhysics needs to know about a machine.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "devices/battery.hpp"
#include "devices/thermal_spec.hpp"
#include "schedulers/governor_policy.hpp"
#include "sim/core/time.hpp"

namespace isthmus::devices {

//! One clock of a unit. Power there: idle + (busy ? floor : 0) + scale * dynamic power of the work.
struct OperatingPoint {
  double frequency = 1;  //!< Hz, or relative where the spec names none
  double idle = 0;       //!< W while nothing runs, at the leakage reference temperature
  double floor = 0;      //!< W on top as soon as anything runs; may be negative (SimGrid's epsilon)
  double scale = 1;      //!< of the dynamic power at the highest clock: (f/fmax) (V/Vmax)^2
};

//! Scale of dynamic power from CMOS: capacitance and activity equal, P ~ f V^2.
inline double cmos_scale(double frequency, double highest, double voltage, double highest_voltage) {
  const double v = voltage / highest_voltage;
  return frequency / highest * v * v;
}

struct UnitPhysics {
  std::string name;
  std::vector<OperatingPoint> points{{}};  //!< ascending in frequency, at least one
  bool hertz = false;                      //!< frequencies are in Hz
  const schedulers::PolicyEntry<schedulers::GovernorPolicy>* governor = nullptr;  //!< null: highest
  std::optional<schedulers::Parameters> parameters;
  std::uint32_t thermal_node = 0;  //!< where its heat goes
};

//! What happens when a thermal node gets hot.
struct TripPoint {
  std::uint32_t thermal_node = 0;
  double at = 0, resume = 0;  //!< degrees Celsius; resume <= at
  double clock = 0.5;         //!< cap relative to the highest clock while tripped
  bool stepwise = false;      //!< lower the cap by one operating point per tick while above `at`,
                              //!< raise it below `resume`, not beyond `clock`
};

struct AmbientStep {
  Instant at;
  double celsius = 25;
};

struct ThermalSpec {
  ThermalNetworkSpec network;
  std::vector<AmbientStep> ambient{{}};  //!< first at 0
  std::vector<TripPoint> trips;
  double shutdown = std::numeric_limits<double>::infinity();  //!< degrees Celsius of any node
};

struct PhysicsSpec {
  std::vector<UnitPhysics> units;
  std::optional<ThermalSpec> thermal;
  std::optional<BatterySpec> battery;
  Duration tick = Duration(10'000'000);  //!< between looks at trip points, and of samples
  bool trace = false;                    //!< sample power every tick, idle or not
  std::uint32_t other_heat_node = 0;     //!< thermal node of what is not drawn by a unit
  double off_power = 0;                  //!< W when shut down
};

//! Throws InputError: frequencies that do not rise, negative powers, trip or shutdown temperatures
//! below the ambient (the machine could not even idle), a thermal runaway without shutdown, what
//! ThermalNetwork and Battery refuse.
void check(const PhysicsSpec& spec);

}  // namespace isthmus::devices
