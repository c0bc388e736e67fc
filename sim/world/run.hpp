// One run of a scenario, and many.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "results/recorder.hpp"
#include "sim/world/decision_watch.hpp"
#include "sim/world/offload_state.hpp"
#include "sim/world/scenario.hpp"

namespace isthmus::world {

struct RunOptions {
  std::uint32_t replication = 0;         //!< seed of the run = scenario seed mixed with this (0: itself)
  std::string label;                     //!< repeated in the results
  std::filesystem::path directory;       //!< run directory; empty: results in memory only
  bool csv = false, html = false, trace = false;
  //! Sees every request as it ends, in this thread; not for SimGrid runs in a worker.
  std::function<void(const results::RequestRecord&)> on_request;
  std::string learned;                   //!< of an earlier run: the offload policy begins with it
  std::string* keep_learned = nullptr;   //!< where to put what it knows at the end; may be null
  DecisionWatch on_decision;             //!< sees every offload decision; as on_request
  DecisionEyes eyes;                     //!< see every other decision about requests; as on_request
  bool in_process = false;               //!< SimGrid in this very process (only once; used by workers)
};

//! What a host with threads and locks of its own does around the fork of a worker; in the forking thread.
struct ForkGuard {
  void (*before)() = nullptr;
  void (*in_parent)() = nullptr;
  void (*in_child)() = nullptr;
};
//! For all runs from now on; not while one is going on.
void guard_forks(const ForkGuard& guard);

//! Executes one run. Fluid runs happen in this thread; SimGrid runs in a forked worker process whose
//! summary comes back through a pipe. Safe to call from several threads.
results::Summary run(const Scenario& scenario, const RunOptions& options);

}  // namespace isthmus::world
