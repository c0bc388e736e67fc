// Every offload policy on every condition, under equal rules: what has parameters is tuned, what learns
// is trained, both on the same training seeds; all are judged on other seeds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "scenarios/offload_training.hpp"

namespace isthmus::scenarios {

struct TournamentOptions {
  std::vector<std::filesystem::path> scenarios;  //!< conditions; empty: those shipped
  std::vector<std::string> policies;             //!< empty: all; oracle and random always take part
  std::vector<std::uint64_t> training{1, 2, 3, 4};
  std::vector<std::uint64_t> evaluation{101, 102, 103, 104, 105};
  std::size_t passes = 2;                        //!< over the training seeds
  unsigned threads = 1;                          //!< 0 = one per core
  std::function<void(const std::string&)> progress;
};

//! How a policy takes part.
enum class EntrantKind : std::uint8_t { rule, learner, yardstick };

//! Mean over the evaluation seeds, with half the width of its 95 % interval (Student).
struct Estimate {
  double mean = 0, half_width = 0;
};

//! A policy on a condition.
struct Standing {
  std::string policy, settings;  //!< settings: what tuning chose, "" = nothing to choose
  EntrantKind kind = EntrantKind::rule;
  std::size_t configurations = 1;       //!< tried on the training seeds, bad ones on the first of them only
  double training_reward = 0;           //!< of the best of them, which was taken
  Estimate reward, regret;              //!< regret: oracle's reward minus this one's, paired by seed
  double agreement = 0;                 //!< share of decisions that the oracle shares
  double latency_p95 = 0, failed = 0, energy = 0;  //!< s; share failed or rejected; J per answer
  std::vector<double> rewards;          //!< by evaluation seed
};

//! A condition with its table, best first.
struct Condition {
  std::string name, file, about;
  std::vector<Standing> standings;
  //! The rule and the learner that were best on the training seeds, and what the learner gained on the
  //! evaluation seeds.
  std::string best_rule, best_learner;
  Estimate gain;
};

struct Tournament {
  std::vector<Condition> conditions;
  std::vector<std::uint64_t> training, evaluation;
  std::size_t passes = 0;
};

//! Configurations of a policy that tuning tries; the first one are the defaults.
std::vector<std::vector<PolicySetting>> tuning_grid(const std::string& policy);

//! Same options, same result. Throws InputError.
Tournament run_tournament(const TournamentOptions& options);

//! Mean over the conditions of a policy's rank among all; for the summary.
double mean_rank(const Tournament& t, const std::string& policy);

std::string tournament_text(const Tournament& t);
std::string tournament_json(const Tournament& t);
//! docs/tournament.md.
std::string tournament_markdown(const Tournament& t, const std::string& command);

//! The shipped conditions.
std::vector<std::filesystem::path> shipped_conditions();

}  // namespace isthmus::scenarios
