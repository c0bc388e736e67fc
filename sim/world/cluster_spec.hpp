// What a scenario says of machines that come and go (docs/cluster_autoscaling.md).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/core/time.hpp"
#include "sim/world/distribution.hpp"

namespace isthmus::world {

//! Machines that their provider takes back.
struct SpotSpec {
  double per_hour = 0;                 //!< interruptions of a machine that runs; exponential times; 0: none by chance
  struct Event {
    Instant at;
    std::uint32_t machines = 1;        //!< those that have run longest
  };
  std::vector<Event> schedule;
  Duration notice = Duration::from_seconds(120);  //!< from the warning until the machine is gone
};

//! A node group of which only some machines exist.
struct ClusterGroup {
  std::uint32_t group = 0;
  std::uint32_t min = 0, max = 1, start = 0;  //!< machines; start: when the run begins
  Distribution provisioning;           //!< s from the order until it runs
  double failure = 0;                  //!< share of orders of which nothing comes
  std::int32_t priority = 0;
  double price = 0;                    //!< per machine and hour, discounts included
  std::optional<SpotSpec> spot;
};

//! Which of several groups grows.
enum class Expander : std::uint8_t {
  random,
  most_pods,    //!< that takes most of the replicas that wait
  least_waste,  //!< whose new machines would be fullest
  price,        //!< that costs least per replica it takes
  priority,     //!< with the highest priority
};

//! The rules of Kubernetes' cluster autoscaler; the defaults are its own.
struct ClusterSpec {
  std::vector<ClusterGroup> groups;
  Expander expander = Expander::least_waste;
  Duration scan_interval = Duration::from_seconds(10);
  Duration max_provision_time = Duration::from_seconds(900);
  Duration backoff = Duration::from_seconds(300), longest_backoff = Duration::from_seconds(1800),
           backoff_reset = Duration::from_seconds(10800);
  bool scale_down = true;
  double utilization = 0.5;            //!< below: a machine may be unneeded
  Duration unneeded_time = Duration::from_seconds(600);
  Duration delay_after_add = Duration::from_seconds(600), delay_after_delete;
  Duration graceful_termination = Duration::from_seconds(600);
  std::uint32_t max_empty = 10;        //!< empty machines removed per scan
};

}  // namespace isthmus::world
