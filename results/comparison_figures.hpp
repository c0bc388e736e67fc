// Figures that the verdict, the table and the JSON of a comparison share.
#pragma once

#include <string>
#include <vector>

#include "results/comparison.hpp"

namespace isthmus::results {

//! A metric over the replications of an alternative; NaN where absent.
std::vector<double> values_of(const Alternative& alternative, const std::string& metric);
//! Unit of a metric by docs/metrics.md; "1" when unknown.
std::string unit_of(const std::string& metric);

//! How an alternative stands against one objective.
struct ObjectiveState {
  std::string text;     //!< "latency <= 500 ms"
  double wanted = 0;    //!< fraction of requests that must meet the target
  Interval attainment;  //!< over replications
  bool met = false;     //!< mean attainment >= wanted
};
std::vector<ObjectiveState> objective_states(const Alternative& alternative);
//! Whether every objective is met; true when there is none.
bool meets_all(const Alternative& alternative);

}  // namespace isthmus::results
