// The tables of a tournament.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "results/format.hpp"
#include "results/text_table.hpp"
#include "scenarios/tournament.hpp"

namespace isthmus::scenarios {

namespace {

std::string_view word_of(EntrantKind kind) {
  return kind == EntrantKind::rule ? "rule" : kind == EntrantKind::learner ? "learner" : "yardstick";
}

std::string figure(const Estimate& e, bool sign = false) {
  const std::string mean = sign ? fmt::format("{:+.4f}", e.mean) : fmt::format("{:.4f}", e.mean);
  return std::isnan(e.half_width) ? mean : fmt::format("{} ± {:.4f}", mean, e.half_width);
}

std::string verdict(const Condition& c) {
  if (c.best_rule.empty() || c.best_learner.empty()) return "no rule or no learner takes part";
  const bool certain = std::abs(c.gain.mean) > c.gain.half_width;
  return fmt::format("best on the training seeds: rule {}, learner {}; on the others the learner gains {}: {}",
                     c.best_rule, c.best_learner, figure(c.gain, true),
                     !certain          ? "no difference is shown"
                     : c.gain.mean > 0 ? "the learner is better"
                                       : "the rule is better");
}

// Policies by mean rank, the best first.
std::vector<std::string> by_rank(const Tournament& t) {
  std::vector<std::string> names;
  for (const Standing& s : t.conditions.front().standings) names.push_back(s.policy);
  std::stable_sort(names.begin(), names.end(), [&](const auto& a, const auto& b) {
    return mean_rank(t, a) < mean_rank(t, b);
  });
  return names;
}

const Standing& standing_of(const Condition& c, const std::string& policy) {
  return *std::find_if(c.standings.begin(), c.standings.end(),
                       [&](const Standing& s) { return s.policy == policy; });
}

std::string seeds_text(const std::vector<std::uint64_t>& seeds) {
  std::string out;
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    std::size_t last = i;
    while (last + 1 < seeds.size() && seeds[last + 1] == seeds[last] + 1) ++last;
    out += fmt::format("{}{}", out.empty() ? "" : ",", seeds[i]);
    if (last > i) out += fmt::format("..{}", seeds[last]);
    i = last;
  }
  return out;
}

}  // namespace

std::string tournament_text(const Tournament& t) {
  std::string out;
  for (const Condition& c : t.conditions) {
    out += c.name + "\n";
    results::TextTable table({"policy", "kind", "reward", "regret", "as oracle", "p95", "failed",
                              "energy"});
    for (const Standing& s : c.standings)
      table.add_row({s.policy, std::string(word_of(s.kind)), figure(s.reward), figure(s.regret),
                     results::format_percent(s.agreement),
                     results::format_quantity(s.latency_p95, "s"), results::format_percent(s.failed),
                     results::format_quantity(s.energy, "J")});
    out += table.text() + verdict(c) + "\n\n";
  }
  results::TextTable ranks({"policy", "mean rank"});
  for (const std::string& name : by_rank(t))
    ranks.add_row({name, fmt::format("{:.1f}", mean_rank(t, name))});
  return out + ranks.text();
}

std::string tournament_json(const Tournament& t) {
  using nlohmann::ordered_json;
  const auto known = [](double v) { return std::isfinite(v) ? ordered_json(v) : ordered_json(); };
  const auto estimate = [&](const Estimate& e) {
    return ordered_json{{"mean", known(e.mean)}, {"half_width", known(e.half_width)}};
  };
  ordered_json out{{"training_seeds", t.training},
                   {"evaluation_seeds", t.evaluation},
                   {"passes", t.passes},
                   {"conditions", ordered_json::array()}};
  for (const Condition& c : t.conditions) {
    ordered_json standings = ordered_json::array();
    for (const Standing& s : c.standings)
      standings.push_back({{"policy", s.policy},
                           {"kind", word_of(s.kind)},
                           {"settings", s.settings},
                           {"configurations", s.configurations},
                           {"training_reward", known(s.training_reward)},
                           {"reward", estimate(s.reward)},
                           {"regret", estimate(s.regret)},
                           {"oracle_agreement", known(s.agreement)},
                           {"latency_p95_s", known(s.latency_p95)},
                           {"failed_or_rejected", known(s.failed)},
                           {"client_energy_J", known(s.energy)},
                           {"rewards", s.rewards}});
    out["conditions"].push_back({{"name", c.name},
                                 {"scenario", c.file},
                                 {"standings", standings},
                                 {"best_rule", c.best_rule},
                                 {"best_learner", c.best_learner},
                                 {"gain_of_learner", estimate(c.gain)}});
  }
  return out.dump(1) + "\n";
}

std::string tournament_markdown(const Tournament& t, const std::string& command) {
  std::string out = fmt::format(
      "# Tournament of offload policies\n\nMade by `{}`. Every policy plays the shipped conditions "
      "(`scenarios/tournament/`). Rules with parameters are tuned over a grid, of which the better half stays in after "
      "each training seed, and learners are trained ({} passes) on the seeds {}; of each policy the configuration with the best mean reward there is "
      "taken. The figures are of the seeds {}, which nobody has seen before, with 95 % intervals; all "
      "policies get the same requests. The reward (0 to 1) is that of the scenarios: it falls with "
      "latency and with the client's energy, and is 0 without an answer. Regret is what the oracle gets "
      "more, seed by seed. The oracle decides greedily by the true queues, rates and service times of "
      "the instant; it cannot see what comes, so that a policy may beat it (negative regret).\n\n",
      command, t.passes, seeds_text(t.training), seeds_text(t.evaluation));
  out += "## Overview\n\nMean reward by condition, policies by their mean rank.\n\n| policy | kind |";
  for (const Condition& c : t.conditions) out += fmt::format(" {} |", c.name);
  out += " mean rank |\n|---|---|";
  for (std::size_t i = 0; i <= t.conditions.size(); ++i) out += "---:|";
  out += "\n";
  for (const std::string& name : by_rank(t)) {
    out += fmt::format("| `{}` | {} |", name,
                       word_of(standing_of(t.conditions.front(), name).kind));
    for (const Condition& c : t.conditions) {
      const Standing& s = standing_of(c, name);
      const bool first = &s == &c.standings.front();
      out += first ? fmt::format(" **{:.3f}** |", s.reward.mean) : fmt::format(" {:.3f} |", s.reward.mean);
    }
    out += fmt::format(" {:.1f} |\n", mean_rank(t, name));
  }
  for (const Condition& c : t.conditions) {
    out += fmt::format("\n## {}{}\n\nScenario: [`{}`](../scenarios/tournament/{}). {}.\n\n",
                       static_cast<char>(std::toupper(static_cast<unsigned char>(c.name[0]))),
                       c.name.substr(1), c.file, c.file, [&] {
                         std::string v = verdict(c);
                         v[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(v[0])));
                         return v;
                       }());
    out += "| rank | policy | settings | reward | regret | as the oracle | p95 latency | failed | energy |\n"
           "|---:|---|---|---:|---:|---:|---:|---:|---:|\n";
    for (std::size_t i = 0; i < c.standings.size(); ++i) {
      const Standing& s = c.standings[i];
      out += fmt::format("| {} | `{}` | {} | {} | {} | {} | {} | {} | {} |\n", i + 1, s.policy,
                         s.settings.empty() ? "-" : s.settings, figure(s.reward), figure(s.regret),
                         results::format_percent(s.agreement),
                         results::format_quantity(s.latency_p95, "s"),
                         results::format_percent(s.failed), results::format_quantity(s.energy, "J"));
    }
  }
  return out;
}

}  // namespace isthmus::scenarios
