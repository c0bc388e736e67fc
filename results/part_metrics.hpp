// Metrics of the parts that a scenario may have beside requests: each part's totals under its own names.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "results/recorder.hpp"

namespace isthmus::results {

//! part / of; not a number for 0 / 0.
double share_of(std::uint64_t part, std::uint64_t of);

//! Appends metrics under names of the metric table, which knows their units.
class MetricList {
 public:
  explicit MetricList(std::vector<Metric>& out) : out_(out) {}
  void put(std::string name, double value);
  void count(std::string name, std::uint64_t n) { put(std::move(name), static_cast<double>(n)); }
  void share(std::string name, std::uint64_t part, std::uint64_t of) { put(std::move(name), share_of(part, of)); }

 private:
  std::vector<Metric>& out_;
};

//! Transfers, protocols, hedged requests, model updates; nothing of parts that the run does not have.
void add_network_metrics(MetricList& list, const WorldTotals& totals);

//! Offload decisions, outages, services, machines, and what parts name themselves (`totals.more`).
//! `seconds`: of simulated time that counts.
void add_part_metrics(MetricList& list, const WorldTotals& totals, double seconds);

}  // namespace isthmus::results
