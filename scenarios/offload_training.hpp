// Learning offload policies over runs of a scenario with several seeds.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/world/scenario.hpp"

namespace isthmus::scenarios {

//! "1..8", "3", "1..3,7": seeds in that order. Throws InputError; at most 100,000.
std::vector<std::uint64_t> parse_seeds(const std::string& text);

//! A parameter of a policy and its value: a number, or a text.
struct PolicySetting {
  std::string name;
  double number = 0;
  std::string text;
  bool is_text = false;
};

//! A copy of the scenario with that offload policy, seed and reward reported. Throws InputError.
world::Scenario with_policy(const world::Scenario& scenario, const std::string& policy,
                            const std::vector<PolicySetting>& settings, std::uint64_t seed);

//! What one training run came to.
struct TrainingStep {
  std::uint64_t seed = 0;
  std::size_t pass = 0;
  double reward = 0;  //!< mean, while it explored
};

//! Runs the scenario with every seed, `passes` times; each run begins with what the one before has
//! learned. Returns that of the last one, for OffloadPolicy::load. Throws InputError when the policy
//! does not learn.
std::string train_policy(const world::Scenario& scenario, const std::string& policy,
                         const std::vector<PolicySetting>& settings,
                         const std::vector<std::uint64_t>& seeds, std::size_t passes,
                         const std::function<void(const TrainingStep&)>& after_run);

}  // namespace isthmus::scenarios
