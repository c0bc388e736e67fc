// Macro-operators: light operators that are launched together.
#pragma once

#include <cstdint>
#include <vector>

#include "devices/graph_plan.hpp"

namespace isthmus::devices {

//! A packed plan, and the macro-operator of each operator of the original.
struct PackedPlan {
  GraphPlan plan;
  std::vector<std::uint32_t> macro;
};

//! Merges neighbours while one of them is light, that is, takes less than `light` seconds on its
//! best unit: an operator with its only consumer if that needs nothing else, and operators with
//! equal producers and equal consumers. A macro-operator runs where all its parts can, pays the
//! launch of one, and shows the outputs that others read. Transfers inside vanish; no cycle can
//! arise.
PackedPlan pack(const GraphPlan& plan, double light);

}  // namespace isthmus::devices
