// How many replicas should a service have? Sees scraped, delayed samples only.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schedulers/policy.hpp"
#include "sim/core/time.hpp"

namespace isthmus::schedulers {

//! The last scraped sample of one replica.
struct ReplicaSample {
  bool ready = true;
  Duration age;                        //!< since the replica was started
  std::optional<double> utilization;   //!< busy fraction of its request, e.g. 0.7; empty = missing
  std::optional<double> in_flight;     //!< requests queued or running there; empty = missing
  std::optional<Duration> since_transition;  //!< since `ready` last changed; empty = never, i.e. age
};

struct AutoscalingView {
  Instant now;
  Instant observed_at;                 //!< date of the scrape behind `replicas`
  std::uint32_t current = 0;           //!< replicas asked for at the moment
  std::span<const ReplicaSample> replicas;  //!< starting ones too, with ready = false
  double waiting = 0;                  //!< requests that wait at the service, at no replica yet
};

struct AutoscalingDecision {
  std::uint32_t desired = 0;
  std::string_view reason;             //!< static text
};

//! Called once per control period; may keep state (stabilization windows).
class AutoscalingPolicy {
 public:
  virtual ~AutoscalingPolicy() = default;
  virtual AutoscalingDecision decide(const AutoscalingView& view) = 0;
};

const std::vector<PolicyEntry<AutoscalingPolicy>>& autoscaling_policies();

}  // namespace isthmus::schedulers
