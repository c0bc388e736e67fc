// What a scenario says of the scaling of a service.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "schedulers/autoscaling_policy.hpp"
#include "sim/core/time.hpp"

namespace isthmus::schedulers {
struct HpaObject;
}

namespace isthmus::world {

//! An external metric over time: each value holds from its date on.
struct ExternalSeries {
  std::string name;
  std::vector<std::pair<Instant, double>> values;  //!< dates increase

  //! The value at a date, or null before the first.
  const double* at(Instant date) const;
};

struct Autoscaling {
  const schedulers::PolicyEntry<schedulers::AutoscalingPolicy>* policy = nullptr;  //!< null: fixed
  std::optional<schedulers::Parameters> parameters;
  std::shared_ptr<const schedulers::HpaObject> object;  //!< of a file; `policy` is hpa then
  Duration period = Duration::from_seconds(15);         //!< between decisions
  Duration scrape_period = Duration::from_seconds(15);  //!< between metric samples
  Duration scrape_delay = Duration::from_seconds(1);    //!< age of a sample when it becomes visible
  std::vector<ExternalSeries> external;

  std::shared_ptr<schedulers::AutoscalingPolicy> make() const;
};

}  // namespace isthmus::world
