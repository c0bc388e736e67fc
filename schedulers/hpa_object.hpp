// A HorizontalPodAutoscaler with any number of metrics, as a file describes it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "schedulers/autoscaling_policy.hpp"
#include "schedulers/hpa_controller.hpp"

namespace isthmus::schedulers {

//! One entry of spec.metrics. What a replica requests of its unit is the whole of it: 1000 milli-units.
struct HpaMetric {
  enum class Type : std::uint8_t { resource, pods, object, external };
  enum class Target : std::uint8_t { utilization, average_value, value };
  Type type = Type::resource;
  Target target = Target::utilization;
  std::string metric;                  //!< of the simulator (AutoscalingMetric); unused for resources
  std::int64_t amount = 0;             //!< percent for a utilization, milli-units otherwise
};

struct HpaObject {
  std::string name;
  HpaSpec spec;
  std::vector<HpaMetric> metrics;      //!< the largest proposal counts
  double tolerance = 0.1;
};

//! Throws InputError for a metric that there is not.
std::shared_ptr<AutoscalingPolicy> make_hpa(const HpaObject& object);

}  // namespace isthmus::schedulers
