#include "scenarios/tournament.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "results/statistics.hpp"
#include "scenarios/experiments.hpp"
#include "scenarios/reader.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"

namespace isthmus::scenarios {

namespace {

namespace fs = std::filesystem;
using Settings = std::vector<PolicySetting>;

PolicySetting number(const char* name, double value) { return {name, value, "", false}; }
PolicySetting word(const char* name, const char* value) { return {name, 0, value, true}; }

EntrantKind kind_of(const schedulers::PolicyEntry<schedulers::OffloadPolicy>& entry) {
  if (entry.make(schedulers::Parameters(entry.parameters))->privileged())
    return EntrantKind::yardstick;
  for (const auto& p : entry.parameters)
    if (p.name == "learning") return EntrantKind::learner;
  return EntrantKind::rule;
}

std::string text_of(const Settings& settings) {
  std::string out;
  for (const PolicySetting& s : settings)
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", s.name,
                       s.is_text ? s.text : fmt::format("{:g}", s.number));
  return out;
}

Estimate estimate(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  const double half = values.size() < 2
                          ? std::numeric_limits<double>::quiet_NaN()
                          : results::student_t_quantile(0.975, n - 1) *
                                std::sqrt(results::variance_of(values) / n);
  return {results::mean_of(values), half};
}

std::vector<double> difference(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> d;
  for (std::size_t i = 0; i < a.size(); ++i) d.push_back(a[i] - b[i]);
  return d;
}

// One configuration of one policy, and what became of it in training.
struct Trial {
  std::size_t policy = 0;
  Settings settings;
  std::string learned;
  double reward = 0;                   // mean so far
  std::vector<double> rewards;         // of rules, by training seed
  bool out = false;                    // others of its policy were better on the first seeds
};

class Contest {
 public:
  Contest(const TournamentOptions& options, const world::Scenario& scenario,
          std::vector<std::string> policies)
      : options_(options), scenario_(scenario), policies_(std::move(policies)) {}

  std::vector<Standing> standings();

 private:
  void try_out(Trial& trial) const;
  void race(std::vector<Trial>& trials) const;
  const schedulers::PolicyEntry<schedulers::OffloadPolicy>& entry_of(const Trial& trial) const {
    return schedulers::find_entry(schedulers::offload_policies(), policies_[trial.policy]);
  }
  double reward_of(const Trial& trial, const Settings& settings, std::uint64_t seed) const;

  const TournamentOptions& options_;
  const world::Scenario& scenario_;
  std::vector<std::string> policies_;
};

double Contest::reward_of(const Trial& trial, const Settings& settings, std::uint64_t seed) const {
  world::RunOptions run;
  run.learned = trial.learned;
  return world::run(with_policy(scenario_, policies_[trial.policy], settings, seed), run)
      .value("offload_reward");
}

// Trains, then takes the mean over the training seeds, with what was learned, both as it is and learning on; the
// better way is kept.
void Contest::try_out(Trial& trial) const {
  const auto mean = [&](const Settings& settings) {
    double sum = 0;
    for (const std::uint64_t seed : options_.training) sum += reward_of(trial, settings, seed);
    return sum / static_cast<double>(options_.training.size());
  };
  const auto& entry = entry_of(trial);
  trial.learned = train_policy(scenario_, entry.name, trial.settings, options_.training,
                               options_.passes, nullptr);
  Settings still = trial.settings;
  still.push_back(word("learning", "off"));
  const double on = mean(trial.settings), off = mean(still);
  trial.reward = std::max(on, off);
  if (off >= on) trial.settings = std::move(still);
}

// Rules, one training seed after another: after each, the better half of the configurations of a policy stays in, at
// least three (successive halving).
void Contest::race(std::vector<Trial>& trials) const {
  for (const std::uint64_t seed : options_.training) {
    std::vector<Trial*> in;
    for (Trial& t : trials)
      if (!t.out && kind_of(entry_of(t)) != EntrantKind::learner) in.push_back(&t);
    for_each_job(in.size(), options_.threads, [&](std::size_t i) {
      in[i]->rewards.push_back(reward_of(*in[i], in[i]->settings, seed));
      in[i]->reward = results::mean_of(in[i]->rewards);
    });
    for (std::size_t p = 0; p < policies_.size(); ++p) {
      std::vector<Trial*> own;
      for (Trial* t : in)
        if (t->policy == p) own.push_back(t);
      std::stable_sort(own.begin(), own.end(), [](const Trial* a, const Trial* b) { return a->reward > b->reward; });
      for (std::size_t k = std::max<std::size_t>(3, (own.size() + 1) / 2); k < own.size(); ++k) own[k]->out = true;
    }
  }
}

std::vector<Standing> Contest::standings() {
  std::vector<Trial> trials;
  std::vector<std::size_t> counts;
  for (std::size_t p = 0; p < policies_.size(); ++p) {
    const auto grid = tuning_grid(policies_[p]);
    for (const Settings& settings : grid) trials.push_back({p, settings, "", 0, {}, false});
    counts.push_back(grid.size());
  }
  race(trials);
  std::vector<Trial*> learners;
  for (Trial& t : trials)
    if (kind_of(entry_of(t)) == EntrantKind::learner) learners.push_back(&t);
  for_each_job(learners.size(), options_.threads, [&](std::size_t i) { try_out(*learners[i]); });

  // The best configuration of each, the first of equals.
  std::vector<const Trial*> best(policies_.size());
  for (const Trial& t : trials)
    if (!t.out && (!best[t.policy] || t.reward > best[t.policy]->reward)) best[t.policy] = &t;

  const std::size_t seeds = options_.evaluation.size();
  std::vector<results::Summary> runs(policies_.size() * seeds);
  for_each_job(runs.size(), options_.threads, [&](std::size_t i) {
    const Trial& t = *best[i / seeds];
    world::Scenario s =
        with_policy(scenario_, policies_[t.policy], t.settings, options_.evaluation[i % seeds]);
    s.offload.decision_quality = true;
    world::RunOptions run;
    run.learned = t.learned;
    runs[i] = world::run(s, run);
  });

  std::vector<Standing> all(policies_.size());
  for (std::size_t p = 0; p < policies_.size(); ++p) {
    Standing& s = all[p];
    s.policy = policies_[p];
    s.kind = kind_of(schedulers::find_entry(schedulers::offload_policies(), s.policy));
    s.settings = text_of(best[p]->settings);
    s.configurations = counts[p];
    s.training_reward = best[p]->reward;
    const auto mean = [&](auto value) {
      double sum = 0;
      for (std::size_t k = 0; k < seeds; ++k) sum += value(runs[p * seeds + k]);
      return sum / static_cast<double>(seeds);
    };
    for (std::size_t k = 0; k < seeds; ++k)
      s.rewards.push_back(runs[p * seeds + k].value("offload_reward"));
    s.reward = estimate(s.rewards);
    s.agreement = mean([](const auto& r) { return r.value("oracle_agreement"); });
    s.latency_p95 = mean([](const auto& r) { return r.value("latency.p95"); });
    s.failed = mean([](const auto& r) { return r.value("failed_rate") + r.value("rejected_rate"); });
    s.energy = mean([](const auto& r) { return r.value("client_energy_per_request"); });
  }
  const auto oracle = std::find_if(all.begin(), all.end(),
                                   [](const Standing& s) { return s.kind == EntrantKind::yardstick; });
  const std::vector<double> most = oracle->rewards;
  for (Standing& s : all) s.regret = estimate(difference(most, s.rewards));
  std::stable_sort(all.begin(), all.end(), [](const Standing& a, const Standing& b) {
    return a.reward.mean > b.reward.mean;
  });
  return all;
}

const Standing* best_of(const std::vector<Standing>& all, EntrantKind kind) {
  const Standing* best = nullptr;
  for (const Standing& s : all)
    if (s.kind == kind && (!best || s.training_reward > best->training_reward)) best = &s;
  return best;
}

// Oracle and random take part in every comparison.
std::vector<std::string> entrants(const std::vector<std::string>& wanted) {
  const auto& table = schedulers::offload_policies();
  for (const std::string& name : wanted) schedulers::find_entry(table, name);
  std::vector<std::string> names;
  for (const auto& e : table)
    if (wanted.empty() || e.name == "oracle" || e.name == "random" ||
        std::find(wanted.begin(), wanted.end(), e.name) != wanted.end())
      names.push_back(e.name);
  return names;
}

}  // namespace

std::vector<std::vector<PolicySetting>> tuning_grid(const std::string& policy) {
  std::vector<Settings> grid{{}};
  const auto along = [&](const char* name, std::initializer_list<double> values) {
    for (const double v : values) grid.push_back({number(name, v)});
  };
  if (policy == "threshold") {
    grid.clear();
    for (const auto& [primary, fallback] :
         {std::pair{"cloud", "edge"}, {"cloud", "device"}, {"edge", "cloud"}, {"edge", "device"},
          {"device", "edge"}, {"device", "cloud"}})
      for (const double t : {0.1, 0.15, 0.2, 0.3, 0.5, 1.0})
        grid.push_back({number("threshold", t), word("primary", primary), word("fallback", fallback)});
  } else if (policy == "weighted-threshold") {
    along("threshold", {0.1, 0.2, 0.3, 0.5, 1});
  } else if (policy == "score" || policy == "score-corrected") {
    along("alpha", {0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9});
  } else if (policy == "cheapest-within-slo") {
    along("margin", {0.3, 0.5, 0.7, 1});
  } else if (policy == "cost-ratio") {
    for (const double sla : {0.0, 1e-9})  // 1 ns: never good enough
      for (const double k : {1e3, 1e4, 3e4, 1e5, 1e6})
        grid.push_back({number("flop_per_bit", k), number("sla", sla)});
  } else if (policy == "cost-ratio-feedback") {
    grid.clear();
    for (const double k : {1e4, 1e5, 1e6})
      for (const double recovery : {1.0, 5.0, 30.0})
        for (const double gain : {0.02, 0.2})
          grid.push_back({number("flop_per_bit", k), number("recovery", recovery), number("sla", 1e-9),
                          number("gain", gain)});
  } else if (policy == "lyapunov") {
    grid.clear();
    for (const double v : {1.0, 10.0, 100.0})
      for (const double budget : {0.0, 1.0, 2.0})
        grid.push_back({number("v", v), number("energy_budget", budget)});
  } else if (policy == "multi-criteria") {
    along("latency_weight", {1, 4, 40});
  } else if (policy == "ucb1" || policy == "thompson") {
    along("discount", {0.999, 0.99});
  } else if (policy == "epsilon-greedy") {
    along("discount", {0.99});
  } else if (policy == "linucb") {
    along("alpha", {0.1, 1});
  } else if (policy == "q-learning") {
    along("bins", {10});
  } else if (policy == "policy-gradient") {
    along("rate", {0.003, 0.03});
  }
  return grid;
}

Tournament run_tournament(const TournamentOptions& options) {
  if (options.training.empty() || options.evaluation.empty() || options.passes == 0)
    throw InputError("a tournament needs training seeds, evaluation seeds and at least one pass");
  for (const std::uint64_t seed : options.evaluation)
    if (std::find(options.training.begin(), options.training.end(), seed) != options.training.end())
      throw InputError(fmt::format("seed {} is for training and for evaluation; take others", seed));
  const std::vector<std::string> names = entrants(options.policies);
  const auto files = options.scenarios.empty() ? shipped_conditions() : options.scenarios;
  Tournament out;
  out.training = options.training;
  out.evaluation = options.evaluation;
  out.passes = options.passes;
  for (const fs::path& file : files) {
    const LoadedScenario loaded = load(file);
    if (options.progress) options.progress(loaded.scenario->name);
    Condition c;
    c.name = loaded.scenario->name;
    c.file = file.filename().string();
    c.standings = Contest(options, *loaded.scenario, names).standings();
    const Standing* rule = best_of(c.standings, EntrantKind::rule);
    const Standing* learner = best_of(c.standings, EntrantKind::learner);
    if (rule) c.best_rule = rule->policy;
    if (learner) c.best_learner = learner->policy;
    if (rule && learner) c.gain = estimate(difference(learner->rewards, rule->rewards));
    out.conditions.push_back(std::move(c));
  }
  return out;
}

double mean_rank(const Tournament& t, const std::string& policy) {
  double sum = 0;
  for (const Condition& c : t.conditions)
    for (std::size_t i = 0; i < c.standings.size(); ++i)
      if (c.standings[i].policy == policy) sum += static_cast<double>(i + 1);
  return sum / static_cast<double>(t.conditions.size());
}

std::vector<fs::path> shipped_conditions() {
  std::vector<fs::path> found;
  const fs::path folder = fs::path(ISTHMUS_SOURCE_DIR) / "scenarios" / "tournament";
  if (!fs::is_directory(folder))
    throw InputError(fmt::format("{} is not there: name scenarios", folder.string()));
  // From easy to hard, not by name.
  for (const char* name : {"steady", "bursty", "weak_link", "varying_bandwidth", "outage", "overload"})
    found.push_back(folder / (std::string(name) + ".json"));
  return found;
}

}  // namespace isthmus::scenarios
