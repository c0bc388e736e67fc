// What a run with an offload policy keeps beside the policy itself.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "results/recorder.hpp"
#include "schedulers/offload_policy.hpp"

namespace isthmus::world {

//! Rates between a client's machine and a candidate, bytes/s.
struct PathRates {
  double nominal_up = 0, nominal_down = 0;  //!< capacity when the client first looked; 0: has not
  double up = 0, down = 0;                  //!< of its own transfers, exponentially weighted
  Instant measured_at = Instant::never();
};

//! Operations that a candidate's model needs, and the peak of its units.
struct WorkFigures {
  double fixed = 0, per_token = 0, speed = 0;
};

//! Sees every decision: the view, what the policy said, and the candidate that was used. True ends
//! the run.
using DecisionWatch = std::function<bool(const schedulers::OffloadView&,
                                         const schedulers::OffloadDecision&, std::size_t used)>;

struct OffloadState {
  std::vector<WorkFigures> work;        //!< by candidate
  std::vector<PathRates> paths;         //!< [machine * candidates + candidate]; empty: the present rate is known
  std::shared_ptr<schedulers::OffloadPolicy> oracle;  //!< null: decisions are not compared
  std::vector<schedulers::OffloadCandidate> truth;    //!< scratch of these comparisons
  results::OffloadTotals totals;
  DecisionWatch watch;
};

}  // namespace isthmus::world
