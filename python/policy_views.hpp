// Copies of policy views that Python may keep: the simulator's own die with the decision.
#pragma once

#include <pybind11/pybind11.h>

#include <map>
#include <string>
#include <vector>

#include "schedulers/admission_policy.hpp"
#include "schedulers/autoscaling_policy.hpp"
#include "schedulers/batching_policy.hpp"
#include "schedulers/eviction_policy.hpp"
#include "schedulers/governor_policy.hpp"
#include "schedulers/list_scheduler.hpp"
#include "schedulers/offload_policy.hpp"
#include "schedulers/partition.hpp"
#include "schedulers/placement_policy.hpp"
#include "schedulers/routing_policy.hpp"
#include "schedulers/variant_policy.hpp"

namespace isthmus::python {

//! Never and no limit are infinite in Python.
double seconds_of(Instant t);
double seconds_of(Duration d);

template <class T>
std::vector<T> copy_of(std::span<const T> s) {
  return {s.begin(), s.end()};
}

struct OffloadViewCopy {
  explicit OffloadViewCopy(const schedulers::OffloadView& v);
  schedulers::OffloadView view;
  std::vector<schedulers::OffloadCandidate> candidates;
  std::vector<std::string> names;
};

struct RoutingViewCopy {
  explicit RoutingViewCopy(const schedulers::RoutingView& v)
      : view(v), replicas(copy_of(v.replicas)), prefix(copy_of(v.prefix)) {}
  schedulers::RoutingView view;
  std::vector<schedulers::ReplicaSignal> replicas;
  std::vector<std::uint64_t> prefix;
};

struct BatchingViewCopy {
  explicit BatchingViewCopy(const schedulers::BatchingView& v) : view(v), requests(copy_of(v.requests)) {
    if (v.batch_time) batch_time = *v.batch_time;
  }
  schedulers::BatchingView view;
  std::vector<schedulers::WaitingRequest> requests;
  std::function<Duration(std::uint32_t)> batch_time;  //!< cleared when the decision is made
};

struct ServiceMetricsCopy {
  explicit ServiceMetricsCopy(const schedulers::ServiceMetrics& m);
  schedulers::ServiceMetrics view;
  std::vector<double> latencies;
  std::map<std::string, double> external;
};

struct AutoscalingViewCopy {
  explicit AutoscalingViewCopy(const schedulers::AutoscalingView& v)
      : view(v), replicas(copy_of(v.replicas)), samples(v.samples.begin(), v.samples.end()) {}
  schedulers::AutoscalingView view;
  std::vector<schedulers::ReplicaSample> replicas;
  std::vector<ServiceMetricsCopy> samples;
};

struct VariantViewCopy {
  explicit VariantViewCopy(const schedulers::VariantView& v);
  schedulers::VariantView view;
  std::vector<schedulers::VariantOption> options;
  std::vector<std::string> names;
};

struct PlacementViewCopy {
  explicit PlacementViewCopy(const schedulers::PlacementView& v) : view(v), sites(copy_of(v.sites)) {}
  schedulers::PlacementView view;
  std::vector<schedulers::PlacementSite> sites;
};

struct GovernorViewCopy {
  explicit GovernorViewCopy(const schedulers::GovernorView& v) : view(v), frequencies(copy_of(v.frequencies)) {}
  schedulers::GovernorView view;
  std::vector<double> frequencies;
};

//! The classes of all views.
void bind_policy_views(pybind11::module_& m);

}  // namespace isthmus::python
