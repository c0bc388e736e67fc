// What a service does between the scrapes of its autoscaler, where the autoscaler wants to know.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "schedulers/autoscaling_policy.hpp"
#include "sim/world/time_average.hpp"

namespace isthmus::world {

//! The open window of one service or pool.
struct ServiceMeter {
  bool keeps_latencies = false;
  Instant since;
  std::uint64_t arrivals = 0, completed = 0, failed = 0;
  double latency_sum = 0;
  std::vector<double> latencies;
  TimeAverage pending;                  //!< requests that wait for a replica
  double queued_before = 0, running_before = 0;  //!< integrals of the service when the window began
  //! Since when requests wait or waited for a replica, by tag, until they are answered.
  std::unordered_map<std::uint64_t, Instant> waited;

  //! Closes the window and opens the next. The integrals are those of the service's totals; what
  //! replicas and external series say is left to the caller. `spent` takes the latencies, sorted.
  schedulers::ServiceMetrics close(Instant now, double queued, double running,
                                   std::vector<double>& spent);
};

}  // namespace isthmus::world
