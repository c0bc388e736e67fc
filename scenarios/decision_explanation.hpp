// What policies saw and chose for one request of a run: where it went, who let it in, which replica and
// which variant answered it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
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

//! A replica that a balancer could choose. What its policy does not read is NaN.
struct SeenReplica {
  std::uint32_t number = 0;
  double outstanding = 0, waiting = 0, kv_usage = 0, weight = 0, penalty = 0, zone = 0, priority = 0;
  bool healthy = true;
};

//! A choice of a replica; tries at further replicas are choices of their own.
struct SeenRouting {
  double at = 0;                       //!< s
  std::string service, policy;
  bool decode = false;                 //!< for the tokens after the first
  bool asked = false;                  //!< false: at most one replica to choose from
  std::vector<SeenReplica> replicas;
  int chosen = -1;                     //!< index; -1: none
  double uniform = 0, signal_age = 0, zone = 0;  //!< draw; s; NaN where the policy does not read it
  std::uint64_t session = 0;           //!< hash
  std::size_t prefix_blocks = 0;       //!< whole blocks of the prompt that it knew
  std::vector<std::pair<std::uint32_t, std::string>> left_out;  //!< numbers, and why
};

//! A rule of admission that was asked.
struct SeenAdmission {
  double at = 0;                       //!< s
  std::string service, rule, reason;
  bool admitted = true, degraded = false;
  double later = 0;                    //!< s until it goes on, or until it would be admitted; NaN: not known
  double tokens = 0, waiting = 0, running = 0, slots = 0;
  std::int32_t priority = 0;
  std::uint32_t inside = 0;            //!< admitted before and not gone
};

struct SeenOption {
  std::string name;
  double service = 0, energy = 0, accuracy = 0;  //!< s, J
};

//! A variant that was chosen.
struct SeenVariant {
  double at = 0;                       //!< s
  std::string service, policy, reason;
  std::vector<SeenOption> options;
  std::size_t chosen = 0, exit = 0, exits = 1;
  std::uint32_t waiting = 0, slots = 1, alerts = 0;
  double left = 0;                     //!< s to the deadline or objective, NaN: none
  double battery = 1;
  std::int32_t priority = 0;
  bool over_quota = false;
};

struct DecisionExplanation {
  std::string run, policy, workload, status;
  std::uint64_t request = 0;
  std::uint32_t client = 0;
  double latency = 0;                  //!< s; NaN: not answered
  std::vector<SeenDecision> decisions;  //!< of the offload policy
  std::vector<SeenAdmission> admissions;
  std::vector<SeenRouting> routings;
  std::vector<SeenVariant> variants;
};

//! Runs the run again up to the end of the request: equal input, equal run, so nothing had to be kept.
//! Decisions that the run did keep are compared. Relative paths in the scenario (traces, weights) start
//! in `folder`. Throws InputError.
DecisionExplanation explain_decision(const std::filesystem::path& run, std::uint64_t request,
                                     const std::filesystem::path& folder);

//! Everything in order of date, with a table each.
std::string decision_text(const DecisionExplanation& explanation);
std::string decision_json(const DecisionExplanation& explanation);

}  // namespace isthmus::scenarios
