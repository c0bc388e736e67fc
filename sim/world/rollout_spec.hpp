// What a scenario says of new versions of services and of how they take over (docs/rollouts.md).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "schedulers/rollout_analysis.hpp"
#include "schedulers/rollout_rules.hpp"
#include "sim/core/time.hpp"

namespace isthmus::world {

struct Service;

//! How replicas of a service answer. Version 0 is the service as the scenario has it.
struct ServiceVersion {
  std::string name;
  std::shared_ptr<const Service> as;   //!< the service with the version's model, times and start; null: unchanged
  double time_factor = 1;              //!< on service times
  double error_rate = 0;               //!< probability that a replica ends its work on a request with an error
  double accuracy = -1;                //!< of answers; below 0: the service's
};

enum class RolloutStrategy : std::uint8_t { rolling, blue_green, canary, ab };

//! One step of a canary: one of the three.
struct CanaryStep {
  std::optional<double> weight;        //!< percent of the traffic
  std::optional<Duration> pause;
  std::vector<schedulers::AnalysisSpec> analysis;
};

//! One rollout: from the version that the service then has to the next one.
struct RolloutSpec {
  std::string name;
  std::uint32_t service = 0;
  std::uint16_t version = 1;           //!< index into the versions of its service
  Instant at;
  RolloutStrategy strategy = RolloutStrategy::rolling;
  Duration min_ready;                  //!< of being ready until a replica counts as available
  Duration progress_deadline;          //!< longest time without progress
  bool deadline_aborts = false;        //!< then it is taken back; else only reported
  std::vector<schedulers::AnalysisSpec> analysis;  //!< while the new version takes traffic
  Duration scrape;                     //!< between looks at the counters of replicas
  schedulers::Amount surge, unavailable;
  bool by_traffic = true;              //!< canary: the balancer weighs; else the number of replicas does
  std::vector<CanaryStep> steps;       //!< canary
  Duration scale_down_delay;           //!< of the old replicas, once they have no traffic
  Duration abort_delay;                //!< of the new ones, once they have none after an abort
  double share = 0.5;                  //!< ab: of users, who get the new version
  Duration lasts;                      //!< ab
  double confidence = 0.95;            //!< ab: of the interval and the test
  bool promotes = false;               //!< ab: the new version stays if it is significantly more accurate
};

//! Split answers: which versions of their parts go together.
struct CompatibilitySpec {
  std::uint32_t service = 0;           //!< a split one
  std::uint32_t max_skew = 0;          //!< versions apart that still do
  bool fails = true;                   //!< others end with an error; else their accuracy changes
  double accuracy_factor = 1;
};

//! All versions of a service that has rollouts.
struct ServiceVersions {
  std::uint32_t service = 0;
  std::vector<ServiceVersion> versions;
};

}  // namespace isthmus::world
