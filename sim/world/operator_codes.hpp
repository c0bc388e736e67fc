// Numbers and names of lanes and operators in the results of a run that keeps its operators.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/world/scenario.hpp"

namespace isthmus::world {

//! Equal names have one code, whatever group or service they are of.
struct OperatorCodes {
  std::vector<std::vector<std::uint32_t>> lane_of;      //!< [node group][lane]
  std::vector<std::vector<std::uint32_t>> operator_of;  //!< [service][operator of its graph]
  std::vector<std::string> lanes, operators;            //!< names; lanes of one unit are counted
};

OperatorCodes operator_codes(const Scenario& scenario);

//! The fused graph that the service spreads over units.
const models::OperatorGraph& graph_of(const GraphExecution& execution);

}  // namespace isthmus::world
