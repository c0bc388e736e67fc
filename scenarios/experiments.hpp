// Many runs: alternatives times replications, over threads, in an order that threads do not change.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "results/comparison.hpp"
#include "scenarios/reader.hpp"
#include "sim/world/run.hpp"

namespace isthmus::scenarios {

//! One alternative, ready to run.
struct Candidate {
  std::string label;
  std::shared_ptr<const world::Scenario> scenario;
};

struct ExperimentOptions {
  unsigned threads = 1;             //!< runs at the same time; 0 = one per processor core
  std::filesystem::path directory;  //!< every run writes below it; empty: nothing is written
  bool csv = false, html = false, trace = false;
  //! Called after every run, one call at a time, from any thread: runs done, runs in all.
  std::function<void(std::size_t, std::size_t)> progress;
};

//! Calls `job(i)` for i in [0, count) from up to `threads` threads (0 = one per processor core), in
//! order of start. After an error no further job starts; the error of the smallest i is thrown.
void for_each_job(std::size_t count, unsigned threads, const std::function<void(std::size_t)>& job);

//! Runs every candidate with all replications of its scenario. Replication i has the same seed in
//! every candidate. Results are ordered by candidate and replication whatever `threads` is. The
//! first error in that order is thrown after the runs in flight have ended.
results::Comparison run_alternatives(const std::vector<Candidate>& candidates,
                                     const ExperimentOptions& options);

//! Resolves the alternatives of a scenario; without any, the scenario itself with an empty label.
//! Throws InputError that names the alternative.
std::vector<Candidate> candidates_of(const LoadedScenario& loaded,
                                     const std::vector<Choice>& choices);

//! Name of a run directory below `parent`: "<name>-<UTC time>-<hash>", unused so far.
std::filesystem::path new_run_directory(const std::filesystem::path& parent,
                                        const std::string& name);

//! Letters, digits, '-', '_' and '.' of `text`, the rest as '-'; at most 80 characters, never
//! empty.
std::string file_name_of(const std::string& text);

}  // namespace isthmus::scenarios
