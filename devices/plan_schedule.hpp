// From a graph on several units and a list scheduler's choice to a plan that an executor runs.
#pragma once

#include <span>

#include "devices/execution_plan.hpp"
#include "devices/graph_plan.hpp"
#include "models/machine.hpp"
#include "schedulers/list_scheduler.hpp"

namespace isthmus::devices {

//! The units of a node as executors see them. `bandwidth` between units as UnitTransfers::of_node:
//! infinite over one memory, of which all units together reach `memory_share` of the fastest unit's
//! bandwidth; otherwise CPU units share one memory so and every other unit has its own.
ExecutorSpec executor_spec(std::span<const models::ComputeUnit> units, double bandwidth,
                           double memory_share);

//! Lanes of the executor that the units of a plan offer, unit by unit. `units`: for each unit of
//! the plan its index in `spec`.
std::vector<std::uint32_t> lanes_of(const ExecutorSpec& spec, std::span<const std::uint32_t> units);

//! The graph for list schedulers, with one processor per lane of lanes_of().
schedulers::TaskGraph lane_graph(const GraphPlan& plan, const ExecutorSpec& spec,
                                 std::span<const std::uint32_t> units);

//! What `schedule` (of lane_graph()) decided: the lane of each operator, and the order by start.
//! Launches on a CPU are work of that CPU, so its clock stretches them. `node_units`: all units of
//! the node.
PlanInput plan_input(const GraphPlan& plan, const schedulers::Schedule& schedule,
                     const ExecutorSpec& spec, std::span<const std::uint32_t> units,
                     std::span<const models::ComputeUnit> node_units);

}  // namespace isthmus::devices
