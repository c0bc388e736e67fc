// Shares of a Poisson stream for servers of unlike speed.
#pragma once

#include <span>
#include <vector>

namespace isthmus::schedulers {

//! Arrival rates that minimise the mean time at M/M/1 servers of the given service rates, by the
//! square-root rule (Buzen and Chen 1974): slow ones may get nothing. Without a solution (arrivals at
//! or above the sum of the rates), in proportion to the rates.
std::vector<double> optimal_split(double arrivals, std::span<const double> service_rates);

//! Mean time in the system of a Poisson stream split over M/M/1 servers; infinite when one of them is
//! overloaded.
double split_mean_time(std::span<const double> arrivals, std::span<const double> service_rates);

}  // namespace isthmus::schedulers
