// In which order, and on which processor, do the tasks of a graph run? One interface for every list
// scheduler, over a graph given as numbers.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "schedulers/policy.hpp"

namespace isthmus::schedulers {

//! Cost of a task on a processor that cannot run it.
inline constexpr double cannot_run = std::numeric_limits<double>::infinity();

//! A dependency; `data` is what crosses it, in any unit (see TaskGraph::transfer).
struct TaskEdge {
  std::uint32_t from = 0, to = 0;
  double data = 0;
};

//! An interval in which a processor is already taken.
struct BusyInterval {
  double start = 0, end = 0;
};

//! Tasks, processors and times in one unit of time (executors use seconds).
struct TaskGraph {
  std::uint32_t tasks = 0, processors = 0;
  std::vector<double> cost;  //!< [task * processors + processor]; cannot_run where it cannot
  std::vector<TaskEdge> edges;
  //! Time per unit of data between processors, [from * processors + to]. Empty: 1 between different
  //! processors and 0 within one, so that TaskEdge::data is a time.
  std::vector<double> transfer;
  std::vector<double> latency;  //!< fixed time per transfer, same layout; empty: 0
  std::vector<double>
      memory;  //!< [task] held from its start until its last consumer ends; empty: 0
  double memory_capacity = std::numeric_limits<double>::infinity();  //!< for all outputs together
  std::vector<std::vector<BusyInterval>> busy;  //!< [processor], sorted, disjoint; empty: free
  double release = 0;                           //!< no task starts earlier
};

struct ScheduledTask {
  std::uint32_t task = 0, processor = 0;
  double start = 0, end = 0;
};

struct Schedule {
  std::vector<ScheduledTask> tasks;  //!< by task index
  std::vector<std::uint32_t> order;  //!< in which tasks were placed; a topological order
  double makespan = 0;               //!< latest end
  bool optimal = false;              //!< proven
};

//! Throws InputError for a cycle (naming its tasks), a task that no processor can run, a
//! negative or NaN figure, or vectors of the wrong size; the message says which.
class ListScheduler {
 public:
  virtual ~ListScheduler() = default;
  virtual Schedule schedule(const TaskGraph& graph) const = 0;
};

const std::vector<PolicyEntry<ListScheduler>>& list_schedulers();

}  // namespace isthmus::schedulers
