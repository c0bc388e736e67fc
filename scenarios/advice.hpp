// Where to deploy: walks the decision tree of docs/placement.md. What it decides by, and all figures it gives, come
// from runs of the tree's scenario.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace isthmus::scenarios {

//! What is asked of a deployment; see requirements_spec().
struct Requirements {
  std::string workload = "analytics";
  std::optional<double> latency;  //!< s, 95th percentile; none: that of the workload
  std::string residency;          //!< country; "" = anywhere
  double availability = 0;        //!< share of requests
  double burstiness = 1;          //!< highest load over usual load
  bool critical = false;
};

//! A requirement in text form, from an option of the command line: a field of the table and its value.
struct Demand {
  std::string field, value;
};

//! Reads a file of requirements ("" = none) and puts `demands` over it. Throws InputError, also when nothing is asked.
Requirements read_requirements(const std::string& file, const std::vector<Demand>& demands);

struct AdviceOptions {
  std::string scenario;            //!< "" = scenarios/reference/r41_deployment.json
  std::uint32_t replications = 3;
  unsigned threads = 1;            //!< 0 = one per core
};

//! An alternative of the scenario and what it came to.
struct AdviceRun {
  std::string label;
  std::vector<double> values;      //!< of the leaf's figures: means over the replications
};

//! A question of the tree with its answer; without runs where the answer changes nothing.
struct AdviceStep {
  std::string question, answer;
  std::string recommendation;      //!< "" = nothing to do
  std::string fields;              //!< of a scenario that say so
  std::vector<std::pair<std::string, std::string>> figures;  //!< name and unit
  std::vector<AdviceRun> runs;     //!< the recommended one first
  bool met = true;                 //!< the run does what is asked
  std::string verdict;             //!< why, in figures of the runs
};

struct Advice {
  Requirements asked;
  double bound = 0;                //!< s
  std::string scenario;
  std::uint32_t replications = 0;
  std::vector<AdviceStep> steps;
  bool met = true;
};

//! Throws InputError when the scenario lacks an alternative of the tree.
Advice advise(const Requirements& asked, const AdviceOptions& options);

std::string advice_text(const Advice& advice);
std::string advice_json(const Advice& advice);

}  // namespace isthmus::scenarios
