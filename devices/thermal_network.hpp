// Heat in a machine: a lumped network of capacitances and resistances, advanced exactly.
#pragma once

#include <Eigen/Core>
#include <cstdint>

#include "devices/thermal_spec.hpp"

namespace isthmus::devices {

//! C dT/dt = P + k (T - T_ref) - (T - T_ambient)/R - flows between nodes, for piecewise constant P
//! and ambient. The system is diagonalized once, so a step of any length costs one exponential per
//! node and is exact up to rounding. Temperatures in degrees Celsius, powers in W.
class ThermalNetwork {
 public:
  //! Starts in equilibrium with `ambient` without power. Throws InputError for a network without
  //! nodes, non-positive figures, or a node with no path to ambient (it would heat for ever).
  ThermalNetwork(const ThermalNetworkSpec& spec, double ambient);

  //! Power into each node from now on, leakage not counted.
  void set_power(std::uint32_t node, double watts);
  void set_ambient(double celsius);
  //! Lets `seconds` >= 0 pass. Adds what leaked to leaked().
  void advance(double seconds);

  double temperature(std::uint32_t node) const;
  //! `seconds` from now with the present powers.
  double temperature_after(std::uint32_t node, double seconds) const;
  //! Where the node ends up with the present powers; infinite in a thermal runaway.
  double settles_at(std::uint32_t node) const;
  double leakage() const;                     //!< W at this moment
  double leaked() const { return leaked_; }   //!< J so far
  double leaked_after(double seconds) const;  //!< J that leak in the next `seconds`
  //! Leakage feeds itself faster than heat gets out: some temperature grows without bound.
  bool runs_away() const { return rates_.minCoeff() <= 0; }
  //! Rate at which the fastest temperature grows without bound, 1/s; none does when <= 0.
  double growth() const { return -rates_.minCoeff(); }
  std::uint32_t size() const { return static_cast<std::uint32_t>(rates_.size()); }

 private:
  void target();
  Eigen::VectorXd rates_;     // 1/s, eigenvalues; a mode decays as exp(-rate t)
  Eigen::MatrixXd to_nodes_;  // temperatures from modes
  Eigen::MatrixXd to_modes_;  // modes from K
  Eigen::VectorXd modes_;     // state
  Eigen::VectorXd forced_;    // d mode / dt without decay, K/s in mode space
  Eigen::VectorXd power_, from_ambient_, leak_, capacity_, leak_modes_;
  double ambient_, reference_, leaked_ = 0;
};

}  // namespace isthmus::devices
