// An operator graph made ready to run on one node: which unit runs each operator, in which order,
// and what that takes.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "sim/core/time.hpp"

namespace isthmus::devices {

//! One compute unit as executors see it. A lane runs one operator at a time; a GPU has one per
//! stream, and operators on lanes of one unit share its arithmetic.
struct ExecutorUnit {
  std::string name;
  std::uint32_t lanes = 1;
  std::uint32_t memory_domain = 0;  //!< index into ExecutorSpec::memory_bandwidth
};

//! The units of a node. Lanes are numbered unit by unit.
struct ExecutorSpec {
  std::vector<ExecutorUnit> units;
  //! bytes/s that all units of a domain reach together; infinity: never a bottleneck.
  std::vector<double> memory_bandwidth{std::numeric_limits<double>::infinity()};

  std::uint32_t lanes() const {
    std::uint32_t n = 0;
    for (const ExecutorUnit& u : units) n += u.lanes;
    return n;
  }
};

//! What one operator takes on the lane that was chosen for it. Alone at relative clock r it takes
//! fixed + max(body, compute / r); beside others it takes at least bytes over its share of the
//! memory bandwidth, and at least occupancy over its share of the unit's arithmetic times that.
struct PlannedOperator {
  std::uint32_t lane = 0;
  std::int64_t fixed = 0;    //!< ns that neither clock nor memory shorten (a kernel launch)
  std::int64_t body = 0;     //!< ns besides, alone at the highest clock
  std::int64_t compute = 0;  //!< ns of arithmetic in body, at the highest clock
  double bytes = 0;          //!< memory traffic
  double occupancy = 1;      //!< share of the unit's arithmetic while it runs alone, [0, 1]
  double watts = 0;          //!< W above idle while it runs alone at the highest clock

  //! ns alone at relative clock `speed` in (0, 1].
  std::int64_t alone(double speed) const {
    if (speed == 1.0) return fixed + body;
    const double c = static_cast<double>(compute) / speed;
    const double b = static_cast<double>(body);
    return fixed + static_cast<std::int64_t>(c > b ? c : b);
  }
};

//! A dependency: the consumer may start `delay` after the producer's end.
struct PlannedEdge {
  std::uint32_t to = 0;
  std::int64_t delay = 0;  //!< ns of transfer between lanes, >= 0
};

//! What has happened `at` ns after the start of an instance that has the node to itself.
struct IdleMark {
  std::int64_t at = 0;
  double energy = 0;        //!< J above idle so far
  double busy_seconds = 0;  //!< of lanes, as shares of their units, so far
};

//! Immutable once made by make_plan(); shared by all nodes of a kind and by all threads.
class ExecutionPlan {
 public:
  std::size_t size() const { return operators_.size(); }
  const PlannedOperator& at(std::size_t i) const { return operators_[i]; }
  std::uint32_t predecessors(std::size_t i) const { return predecessors_[i]; }
  const PlannedEdge* successors_begin(std::size_t i) const { return &edges_[first_edge_[i]]; }
  const PlannedEdge* successors_end(std::size_t i) const { return &edges_[first_edge_[i + 1]]; }
  //! Operators of a lane in the order in which one instance runs them.
  const std::vector<std::uint32_t>& order(std::uint32_t lane) const { return order_[lane]; }
  const std::vector<std::uint32_t>& sources() const { return sources_; }
  const std::vector<std::uint32_t>& pending() const { return predecessors_; }
  std::int64_t overhead() const { return overhead_; }  //!< ns before the first operator
  double unit_seconds(std::uint32_t unit) const { return unit_seconds_[unit]; }  //!< alone

  //! The run of one instance alone on the node at the highest clocks.
  Duration makespan() const { return Duration(idle_.back().at); }
  double energy() const { return idle_.back().energy; }  //!< J above idle of such a run
  //! State `ns` after the start, interpolated exactly (powers are constant between marks).
  IdleMark idle_at(std::int64_t ns) const;

 private:
  friend class PlanMaker;
  std::vector<PlannedOperator> operators_;
  std::vector<std::uint32_t> predecessors_, first_edge_, sources_;
  std::vector<PlannedEdge> edges_;
  std::vector<std::vector<std::uint32_t>> order_;
  std::vector<double> unit_seconds_;
  std::vector<IdleMark> idle_;
  std::int64_t overhead_ = 0;
};

//! Operators, their dependencies, and the position of each in a total order that respects them
//! (`rank`: smaller first; operators of a lane run in this order).
struct PlanInput {
  std::vector<PlannedOperator> operators;
  struct Edge {
    std::uint32_t from = 0, to = 0;
    std::int64_t delay = 0;
  };
  std::vector<Edge> edges;
  std::vector<std::uint32_t> rank;
  std::int64_t overhead = 0;  //!< ns before the first operator
};

//! Checks the input and runs it once on an idle node. Throws InputError for an empty graph, an edge
//! or lane out of range, a rank against a dependency, negative figures or an operator that needs
//! memory from a domain without bandwidth.
ExecutionPlan make_plan(const PlanInput& input, const ExecutorSpec& spec);

}  // namespace isthmus::devices
