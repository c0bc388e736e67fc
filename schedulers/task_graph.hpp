// What every list scheduler needs of a task graph: checks, order, ranks, timelines with gaps.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "schedulers/list_scheduler.hpp"

namespace isthmus::schedulers {

//! A checked task graph with its adjacency. Holds a reference: the graph must outlive it.
class Tasks {
 public:
  //! Throws as ListScheduler says.
  explicit Tasks(const TaskGraph& graph);

  struct Link {
    std::uint32_t task = 0;  //!< at the other end
    double data = 0;
  };
  const TaskGraph& graph() const { return graph_; }
  std::uint32_t size() const { return graph_.tasks; }
  std::uint32_t processors() const { return graph_.processors; }
  std::span<const Link> successors(std::uint32_t task) const { return successors_[task]; }
  std::span<const Link> predecessors(std::uint32_t task) const { return predecessors_[task]; }
  //! Producers first; the smallest index among those that are ready.
  const std::vector<std::uint32_t>& topological_order() const { return order_; }

  double cost(std::uint32_t task, std::uint32_t processor) const {
    return graph_.cost[static_cast<std::size_t>(task) * graph_.processors + processor];
  }
  bool runs_on(std::uint32_t task, std::uint32_t processor) const {
    return cost(task, processor) != cannot_run;
  }
  //! Time for `data` from one processor to another.
  double transfer(double data, std::uint32_t from, std::uint32_t to) const;
  //! Mean over pairs of different processors; what ranks use.
  double mean_transfer(double data) const;
  //! Over the processors that can run it.
  double mean_cost(std::uint32_t task) const;
  double median_cost(std::uint32_t task) const;
  double least_cost(std::uint32_t task) const;

  //! Longest path from the task's start to the end, mean costs and mean transfers (Topcuoglu,
  //! Hariri, Wu 2002).
  std::vector<double> upward_ranks() const;
  //! Tasks by falling rank; equal ranks (tasks without cost) keep a topological order.
  std::vector<std::uint32_t> by_falling(const std::vector<double>& rank) const;
  //! Longest path from the start to the task's start.
  std::vector<double> downward_ranks() const;

 private:
  const TaskGraph& graph_;
  std::vector<std::vector<Link>> successors_, predecessors_;
  std::vector<std::uint32_t> order_;
  double transfer_per_data_ = 0, transfer_latency_ = 0;  // means over pairs
};

//! What processors are doing, while a schedule grows. Tasks are placed after all their producers.
class Placement {
 public:
  explicit Placement(const Tasks& tasks);

  //! When the inputs of `task` are all there: the latest end of a producer plus its transfer.
  double ready(std::uint32_t task, std::uint32_t processor) const;
  //! Earliest start; `insert`: in the first gap that is long enough, else after everything there.
  double earliest_start(std::uint32_t task, std::uint32_t processor, bool insert) const;
  double earliest_end(std::uint32_t task, std::uint32_t processor, bool insert) const {
    return earliest_start(task, processor, insert) + tasks_.cost(task, processor);
  }
  //! The processor on which it ends first, the lower index among equals.
  std::uint32_t best_processor(std::uint32_t task, bool insert) const;
  void place(std::uint32_t task, std::uint32_t processor, double start);
  //! place() on best_processor() at its earliest start.
  void place_best(std::uint32_t task, bool insert);

  bool placed(std::uint32_t task) const { return placed_[task]; }
  const ScheduledTask& at(std::uint32_t task) const { return schedule_.tasks[task]; }
  double free_from(std::uint32_t processor) const;  //!< end of the last thing there
  //! The finished schedule; every task must be placed.
  Schedule finish() &&;

 private:
  const Tasks& tasks_;
  std::vector<std::vector<BusyInterval>> busy_;  // per processor, sorted by start
  std::vector<bool> placed_;
  Schedule schedule_;
};

//! Calls `choose` with the tasks whose producers are all placed (ascending) until none is left;
//! `choose` places one of them and returns its place in the list.
void place_ready_tasks(const Tasks& tasks,
                       const std::function<std::size_t(std::span<const std::uint32_t>)>& choose);

//! Everything that is wrong with a schedule, in words; empty when it is right: every task on a
//! processor that can run it, for its cost, after the release and all transfers, never two at once
//! on a processor or in a busy interval, memory never above its capacity. Dates may be off by 1e-9
//! of the makespan.
std::vector<std::string> check_schedule(const TaskGraph& graph, const Schedule& schedule);

}  // namespace isthmus::schedulers
