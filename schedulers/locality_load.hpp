// Envoy's shares of the load by priority and by locality.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace isthmus::schedulers {

struct PriorityLoads {
  std::vector<std::uint32_t> percent;   //!< of the load, by priority; sums to 100 unless nobody is healthy
  std::vector<bool> panic;              //!< its health is ignored: too few are healthy, and others cannot help
  std::uint32_t normalized_total = 0;   //!< percent; below 100 there are too few healthy ones
};

//! `healthy` of `total` replicas by priority. `factor`: how many percent of the load (over 100) a
//! priority takes for each percent that is healthy, 140 in Envoy. Integer arithmetic as there
//! (load_balancer_impl.cc, recalculatePerPriorityState).
PriorityLoads priority_loads(std::span<const std::uint32_t> healthy,
                             std::span<const std::uint32_t> total, std::uint32_t factor,
                             double panic_threshold);

//! Shares of the localities of one priority, sum 1: weight x min(1, factor x healthy share). All 0
//! when nobody is healthy.
std::vector<double> locality_shares(std::span<const double> weights,
                                    std::span<const double> healthy_share, double factor);

}  // namespace isthmus::schedulers
