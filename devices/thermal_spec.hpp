// What ThermalNetwork needs to know about a machine.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace isthmus::devices {

struct ThermalNode {
  std::string name;
  double capacitance = 1;                                       //!< J/K, > 0
  double to_ambient = std::numeric_limits<double>::infinity();  //!< K/W; infinite: no direct path
  double leakage = 0;  //!< W/K above the reference temperature, drawn and turned into heat here
};

struct ThermalLink {
  std::uint32_t a = 0, b = 0;
  double resistance = 1;  //!< K/W, > 0
};

struct ThermalNetworkSpec {
  std::vector<ThermalNode> nodes;
  std::vector<ThermalLink> links;
  double leakage_reference = 25;  //!< degrees Celsius at which leakage counts as part of idle power
};

}  // namespace isthmus::devices
