// What tasks and transfers of a partition problem cost; shared by partitioners, for schedulers/
// only.
#pragma once

#include "schedulers/list_scheduler.hpp"  // cannot_run
#include "schedulers/partition.hpp"

namespace isthmus::schedulers {

//! A checked problem with all costs worked out. Keeps a reference to the problem.
struct PartitionCosts {
  explicit PartitionCosts(const PartitionProblem& problem);
  Partition evaluate(std::vector<std::uint32_t> tier) const;
  double down(std::uint32_t hop) const;

  const PartitionProblem& p;
  std::vector<std::vector<std::uint32_t>> successors;
  std::vector<std::uint32_t> order;  //!< producers first
  //! [task * tiers + tier]: weighted, and its parts.
  std::vector<double> task, task_seconds, task_energy, task_price;
  //! [task * hops + hop]: weighted and in s, with the best encoding.
  std::vector<double> transfer, transfer_seconds;
  std::vector<std::uint32_t> encoding;
};

}  // namespace isthmus::schedulers
