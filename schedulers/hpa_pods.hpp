// Replicas as pods, for the controllers that work like the HorizontalPodAutoscaler.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "schedulers/autoscaling_policy.hpp"
#include "schedulers/hpa_replica_calculator.hpp"

namespace isthmus::schedulers {

//! Milli-units. Metrics come in with nanos and are rounded up, as the resource quantities of Kubernetes are.
std::int64_t milli(double value);

//! Replaces `pods` by the replicas of the view, each with its own figure of `metric` (nullopt: it reports none),
//! averaged over `window`. Every replica requests one whole unit: utilization 0.7 is 700 milli-units of 1000.
void list_pods(const AutoscalingView& view, std::optional<double> ReplicaSample::*metric, Duration window,
               std::vector<HpaPod>& pods);

}  // namespace isthmus::schedulers
