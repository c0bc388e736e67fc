// A graph on the units of one node, as numbers: what executors and list schedulers work from.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/graph_cost.hpp"
#include "schedulers/list_scheduler.hpp"

namespace isthmus::devices {

//! One operator on one unit. Seconds, bytes, W.
struct OperatorTime {
  bool runnable = false;  //!< false: another unit must run it, and the figures are 0
  double fixed = 0;       //!< launch; neither clock nor bandwidth changes it
  double body = 0;        //!< the rest of its time, alone at the highest clock
  double compute = 0;     //!< at most body: the arithmetic alone, at the highest clock
  double memory = 0;      //!< at most body: the memory traffic alone, at the unit's full bandwidth
  double bytes = 0;       //!< memory traffic
  double busy_power = 0;  //!< above idle while it runs, at the highest clock (unit_power.hpp)

  double total() const { return fixed + body; }
};

//! How tensors get from unit to unit; both vectors are [from * units + to], diagonals ignored.
struct UnitTransfers {
  //! bytes/s, above 0. Infinite where both units see the same memory: nothing is copied.
  std::vector<double> bandwidth;
  std::vector<double> latency;  //!< s per tensor: synchronization, or setting up the copy
  //! The unit whose memory holds the inputs of the graph; -1: every unit finds them at hand.
  int host = -1;

  //! `units` units over one memory that hand tensors over within `latency` seconds.
  static UnitTransfers shared_memory(std::uint32_t units, double latency);
  //! Units of a node where copies run at `bandwidth` bytes/s. Infinite: one memory. Otherwise CPU
  //! units share one, every other unit has its own, and the first CPU unit is the host.
  static UnitTransfers of_node(std::span<const models::UnitKind> kinds, double bandwidth,
                               double latency);
};

//! Prepared for one (graph, variant, batch, node). Operators are those of the graph after fusion,
//! inputs included; an input takes no time, and its edges count only where a host holds it.
struct GraphPlan {
  std::vector<std::string> operators;  //!< names, by index of the fused graph
  std::uint32_t units = 0;
  std::vector<OperatorTime> times;                                  //!< [operator * units + unit]
  std::vector<schedulers::TaskEdge> edges;                          //!< data in bytes
  std::vector<double> transfer_seconds_per_byte, transfer_latency;  //!< [from * units + to], s
  //! Framework time before the first operator, once per instance: of each unit (s), and the
  //! largest of them.
  std::vector<double> unit_overhead;
  double iteration_overhead = 0;
  std::vector<double> output_bytes;  //!< by operator

  const OperatorTime& at(std::uint32_t op, std::uint32_t unit) const {
    return times[static_cast<std::size_t>(op) * units + unit];
  }
};

//! `cost_per_unit` in the order of the units; null: the unit cannot run the graph (see GraphCost).
//! A unit does not run the kinds in its ComputeUnit::unsupported. All costs are of one graph and
//! variant. Throws InputError when an operator has no unit left (it and its kind are named), for
//! batch < 1, and for transfers of the wrong size or without bandwidth.
GraphPlan plan_graph(std::span<const models::GraphCost* const> cost_per_unit, std::int64_t batch,
                     const UnitTransfers& transfers);

//! The plan as list schedulers take it: seconds, bytes, all units free from 0 on, output bytes as
//! memory without a limit. The iteration overhead is not in it.
schedulers::TaskGraph task_graph(const GraphPlan& plan);

//! The largest iteration overhead among the units that `schedule` uses, s.
double iteration_overhead(const GraphPlan& plan, const schedulers::Schedule& schedule);

}  // namespace isthmus::devices
