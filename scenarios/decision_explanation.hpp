// What an offload policy saw and chose for one request of a run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace isthmus::scenarios {

//! A candidate of a view, with names of its own.
struct SeenCandidate {
  std::string name, tier;
  bool healthy = true;
  double load = 0, signal_age = 0;     //!< s
  std::uint32_t queued = 0, running = 0, slots = 1;
  double service = 0, network = 0, estimate = 0;  //!< s; estimate: what most policies go by
  double uplink = 0, measured_age = 0; //!< bytes/s; s, NaN: never measured
  double energy = 0, cost = 0, accuracy = 0, reward = 0;
};

//! One decision; a request that is tried again has several.
struct SeenDecision {
  double at = 0;                       //!< s
  double upload = 0, download = 0;     //!< bytes
  std::vector<SeenCandidate> candidates;
  std::size_t chosen = 0, used = 0;
  double score = 0;
  std::string reason;
};

struct DecisionExplanation {
  std::string run, policy, workload, status;
  std::uint64_t request = 0;
  std::uint32_t client = 0;
  double latency = 0;                  //!< s; NaN: not answered
  std::vector<SeenDecision> decisions;
};

//! Runs the run again up to the end of the request: equal input, equal run, so nothing had to be kept.
//! Decisions that the run did keep are compared. Relative paths in the scenario (traces, weights) start
//! in `folder`. Throws InputError.
DecisionExplanation explain_decision(const std::filesystem::path& run, std::uint64_t request,
                                     const std::filesystem::path& folder);

std::string decision_text(const DecisionExplanation& explanation);
std::string decision_json(const DecisionExplanation& explanation);

}  // namespace isthmus::scenarios
