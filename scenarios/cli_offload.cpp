// train, tournament and explain-decision.
#include <fmt/core.h>

#include <cstdio>

#include "scenarios/cli.hpp"
#include "scenarios/decision_explanation.hpp"
#include "scenarios/file_reading.hpp"
#include "scenarios/offload_training.hpp"
#include "scenarios/reader.hpp"
#include "scenarios/tournament.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

int command_train(const RunFlags& flags, const TrainFlags& f) {
  std::vector<Override> settings;
  if (!f.policy.empty()) settings.push_back({"/offload/policy", f.policy});
  for (const Override& o : overrides_of(flags)) settings.push_back(o);
  const LoadedScenario loaded = load(flags.scenario, settings);
  if (!loaded.scenario->offload.policy)
    throw InputError(fmt::format("{}: has no offload section: no policy decides there", flags.scenario));
  const std::vector<std::uint64_t> seeds = parse_seeds(f.seeds);
  const std::string learned = train_policy(
      *loaded.scenario, loaded.scenario->offload.policy->name, {}, seeds, f.passes,
      [&](const TrainingStep& step) {
        fmt::print("pass {} of {}, seed {}: mean reward {:.4f}\n", step.pass + 1, f.passes, step.seed,
                   step.reward);
        std::fflush(stdout);
      });
  write_file_atomically(f.out, learned);
  fmt::print("weights in {}\n", f.out);
  return exit_ok;
}

int command_tournament(const TournamentFlags& f) {
  TournamentOptions options;
  for (const std::string& s : f.scenarios) options.scenarios.emplace_back(s);
  options.policies = f.policies;
  options.training = parse_seeds(f.training);
  options.evaluation = parse_seeds(f.evaluation);
  options.passes = f.passes;
  options.threads = f.threads;
  options.progress = [](const std::string& name) { fmt::print(stderr, "{}\n", name); };
  const Tournament t = run_tournament(options);
  std::string command = "isthmus tournament";
  for (const std::string& s : f.scenarios) command += " " + s;
  for (const std::string& p : f.policies) command += " --policy " + p;
  if (f.training != TournamentFlags().training) command += " --training-seeds " + f.training;
  if (f.evaluation != TournamentFlags().evaluation) command += " --seeds " + f.evaluation;
  if (f.passes != TournamentFlags().passes) command += fmt::format(" --passes {}", f.passes);
  if (!f.markdown.empty()) {
    command += " --markdown " + f.markdown;
    write_file_atomically(f.markdown, tournament_markdown(t, command));
  }
  if (!f.out.empty()) write_file_atomically(f.out, tournament_json(t));
  fmt::print("{}", f.json ? tournament_json(t) : tournament_text(t));
  return exit_ok;
}

int command_explain_decision(const std::string& run, std::uint64_t request,
                             const std::string& folder, bool json) {
  const DecisionExplanation e = explain_decision(run, request, folder);
  fmt::print("{}", json ? decision_json(e) : decision_text(e));
  return exit_ok;
}

}  // namespace isthmus::scenarios
