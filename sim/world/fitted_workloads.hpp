// Workloads fitted to the printed statistics of published traces, so that a scenario has realistic
// load without the traces themselves.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "sim/world/scenario.hpp"

namespace isthmus::world {

//! A named preset: how requests arrive and how long their prompts and answers are. Lengths are
//! drawn independently of each other and of the arrivals.
struct FittedWorkload {
  std::string name;
  std::string summary;      //!< one line for lists
  std::string source;       //!< the public data set and its licence
  std::string falls_short;  //!< what the fit does not reproduce, or which figures are assumed
  Arrivals arrivals;
  //! Only prompt_tokens and output_tokens are set; draws are in [1, longest seen].
  RequestShape request;
};

//! Every preset, in order of the documentation (docs/workloads.md lists fitted and observed
//! figures). Built once, immutable, safe to share between threads.
std::span<const FittedWorkload> fitted_workloads();

//! The preset of that name. An unknown name is an InputError that lists the names.
const FittedWorkload& fitted_workload(std::string_view name);

//! The same process at another mean rate: every rate is multiplied by one factor, sojourns,
//! periods and dates stay. This is the load of more (or fewer) users who share the same busy and
//! quiet times: bursts are as long as before and proportionally denser. For the kinds that have a
//! mean_rate(); rate > 0 in arrivals/s. Otherwise Error.
Arrivals scaled_to_rate(Arrivals arrivals, double rate);

//! Long-run mean arrivals/s of poisson to diurnal; for other kinds Error.
double mean_rate(const Arrivals& arrivals);

}  // namespace isthmus::world
