// How many replicas do the metrics of the pods ask for? The rules of Kubernetes' replica calculator
// as pure functions. Values are integers in milli-units, as in Kubernetes: its rounding is part of
// its behaviour.
//
// Source: kubernetes/kubernetes, pkg/controller/podautoscaler/replica_calculator.go and
// metrics/utilization.go; the cases of replica_calculator_test.go are tests of these functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sim/core/time.hpp"

namespace isthmus::schedulers {

//! Life-cycle phase of a pod, as far as the calculator cares.
enum class HpaPhase : std::uint8_t { running, pending, failed };

//! One pod and its last sample.
struct HpaPod {
  HpaPhase phase = HpaPhase::running;
  bool deleted = false;  //!< on its way out
  bool ready = true;
  bool ready_known = true;            //!< false: the pod has no Ready condition yet
  Duration age;                       //!< since its start
  Duration since_transition;          //!< since the Ready condition last changed
  std::optional<std::int64_t> value;  //!< sample, milli-units; empty = missing
  Duration sample_age;                //!< since the end of the sample's window
  Duration window;                    //!< over which the sample was averaged
  std::int64_t request = 0;           //!< resource request, milli-units; resource metrics only
};

//! Settings of kube-controller-manager; the defaults are its flags' defaults.
struct HpaCalculatorConfig {
  double tolerance = 0.1;  //!< of |1 - usage ratio|, within which nothing changes
  Duration cpu_initialization_period = Duration(300'000'000'000);  //!< 5 min
  Duration initial_readiness_delay = Duration(30'000'000'000);     //!< 30 s
};

//! Pods sorted by what their samples are good for; indices into the pods.
struct HpaPodGroups {
  std::int32_t ready_count = 0;
  std::vector<std::size_t> ignored;  //!< pending or unready: their samples do not count
  std::vector<std::size_t> missing;  //!< should have a sample and have none
};

//! groupPods(). `cpu`: apply the readiness rules, which hold for the CPU metric only.
HpaPodGroups group_pods(std::span<const HpaPod> pods, bool cpu, const HpaCalculatorConfig& config);

//! What one metric asks for.
struct HpaProposal {
  std::int32_t replicas = 0;
  std::int64_t observed = 0;  //!< percent for a utilization, milli-units otherwise
};

//! Resource metric with a target utilization in percent of the pods' requests
//! (GetResourceReplicas). Empty when no sample or no request is usable.
std::optional<HpaProposal> resource_replicas(std::int32_t current, std::int32_t target_percent,
                                             std::span<const HpaPod> pods,
                                             const HpaCalculatorConfig& config);

//! Per-pod metric with a target average, milli-units (GetMetricReplicas). Empty when no sample is
//! usable.
std::optional<HpaProposal> pods_metric_replicas(std::int32_t current, std::int64_t target_average,
                                                std::span<const HpaPod> pods,
                                                const HpaCalculatorConfig& config);

//! One value for the whole service against a target value, milli-units: object and external metrics
//! of type Value. With `current` = 0 it scales from zero regardless of tolerance.
HpaProposal value_metric_replicas(std::int32_t current, std::int64_t target, std::int64_t value,
                                  std::int32_t ready_pods, double tolerance);

//! One value for the whole service against a target per pod, milli-units: object and external
//! metrics of type AverageValue. `observed` is the value per current pod, rounded up.
HpaProposal average_metric_replicas(std::int32_t current, std::int64_t target_average,
                                    std::int64_t value, double tolerance);

}  // namespace isthmus::schedulers
