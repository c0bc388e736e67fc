// Offload policies in runs: what clients know, what decisions are worth, training, and single decisions
// explained.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "results/summary.hpp"
#include "scenarios/decision_explanation.hpp"
#include "scenarios/offload_training.hpp"
#include "scenarios/tournament.hpp"
#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"
#include "tests/scenarios/temporary_folder.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using testing::first_problem;
using testing::load_json;
using testing::TemporaryFolder;
using ::testing::HasSubstr;

// One phone asks at 0, 10, 20, ... s. Its link has 1 MB/s, from 25 s on 0.25 MB/s, from 65 s on 1 MB/s.
json one_phone() {
  return json::parse(R"({
    "isthmus": 1, "name": "one phone", "duration": "100 s",
    "nodes": {"phone": {"tier": "device", "upload_power": "2 W"}, "cloud": {"tier": "cloud"}},
    "network": {"model": "fluid",
      "links": {"radio": {"bandwidth": "8 Mbps", "latency": "10 ms",
                          "trace": [["0 s", "8 Mbps"], ["25 s", "2 Mbps"], ["65 s", "8 Mbps"]]}},
      "access": {"phone": ["radio"]}},
    "services": {"local": {"service_time": "1 s", "on": "phone"},
                 "remote": {"service_time": "100 ms", "on": "cloud"}},
    "workload": [{"source": "deterministic", "rate": "0.1 /s", "target": "offload", "clients": {"on": "phone"},
                  "request": {"upload": "1 MB"}}],
    "offload": {"policy": "always-cloud", "candidates": ["local", "remote"]}
  })");
}

struct Seen {
  double at = 0, uplink = 0, nominal = 0, network = 0;
  bool measured = false;
};

std::vector<Seen> watch(const json& scenario) {
  std::vector<Seen> all;
  world::RunOptions options;
  options.on_decision = [&](const schedulers::OffloadView& v, const schedulers::OffloadDecision&,
                            std::size_t) {
    const auto& c = v.candidates[1];
    all.push_back({v.now.seconds(), c.uplink, c.nominal_uplink, c.network.seconds(),
                   !c.measured_at.is_never()});
    return false;
  };
  world::run(*load_json(scenario).scenario, options);
  return all;
}

TEST(PathKnowledge, PresentNominalAndMeasuredRates) {
  json s = one_phone();
  const auto current = watch(s);
  ASSERT_EQ(current.size(), 11U);
  EXPECT_DOUBLE_EQ(current[2].uplink, 1e6);
  EXPECT_DOUBLE_EQ(current[3].uplink, 0.25e6);
  EXPECT_DOUBLE_EQ(current[7].uplink, 1e6);
  EXPECT_NEAR(current[3].network, 0.02 + 4, 1e-6);

  s["offload"]["bandwidth"] = "nominal";
  for (const Seen& d : watch(s)) {
    EXPECT_DOUBLE_EQ(d.uplink, 1e6);
    EXPECT_FALSE(d.measured && d.at < 1);
  }

  // The transfer that began at 30 s was slow: the decision at 40 s knows half of it, by the weight.
  s["offload"]["bandwidth"] = "measured";
  const auto measured = watch(s);
  EXPECT_FALSE(measured[0].measured);
  EXPECT_TRUE(measured[1].measured);
  EXPECT_NEAR(measured[3].uplink, 1e6, 1);
  EXPECT_NEAR(measured[4].uplink, 0.5 * 1e6 + 0.5 * 0.25e6, 1);
  EXPECT_NEAR(measured[5].uplink, 0.5 * 0.625e6 + 0.5 * 0.25e6, 1);
  EXPECT_DOUBLE_EQ(measured[5].nominal, 1e6);
  EXPECT_NEAR(measured[5].network, 0.02 + 1e6 / 0.4375e6, 1e-4);
  s["offload"]["measurement_weight"] = 1;
  EXPECT_NEAR(watch(s)[4].uplink, 0.25e6, 1);
  EXPECT_NEAR(watch(s)[8].uplink, 1e6, 1);  // begun at 70 s

  // Both backends measure the same.
  s["offload"]["policy"] = "max-reward";
  s["offload"]["reward"] = json::object();
  s["services"]["local"]["service_time"] = "1.5 s";
  const double fluid = world::run(*load_json(s).scenario, {}).value("offload_reward");
  s["network"]["model"] = "simgrid";
  EXPECT_NEAR(world::run(*load_json(s).scenario, {}).value("offload_reward"), fluid, 1e-6);
}

TEST(OffloadReward, IsTheMeanOverTheRequests) {
  json s = one_phone();
  s["offload"]["reward"] = {{"latency", 1}, {"energy", 2}, {"latency_scale", "1 s"}, {"energy_scale", "4 J"}};
  s["offload"]["policy"] = "round-robin";
  s["duration"] = "95 s";  // the last request is long done
  const auto scenario = load_json(s).scenario;
  double sum = 0;
  int requests = 0;
  world::RunOptions options;
  options.on_request = [&](const results::RequestRecord& r) {
    const double latency = (r.completed - r.created).seconds();
    sum += (1 / (1 + latency) + 2 * 4 / (4 + r.client_energy)) / 3;
    ++requests;
  };
  const results::Summary summary = world::run(*scenario, options);
  EXPECT_EQ(requests, 10);
  EXPECT_NEAR(summary.value("offload_reward"), sum / requests, 1e-12);
  EXPECT_TRUE(std::isnan(summary.value("oracle_agreement")));
  // Without a stated reward nothing is reported.
  EXPECT_TRUE(std::isnan(world::run(*load_json(one_phone()).scenario, {}).value("offload_reward")));
}

TEST(OffloadReward, FailuresAreWorthNothing) {
  json s = one_phone();
  s["offload"]["reward"] = json::object();
  s["workload"][0]["request"]["deadline"] = "2 s";
  // 1.12 s when the link is fast, 4 s and more otherwise: four of the ten that end (30, 40, 50, 60 s) miss it.
  const results::Summary summary = world::run(*load_json(s).scenario, {});
  EXPECT_EQ(summary.failed, 4U);
  EXPECT_NEAR(summary.value("offload_reward"), 6.0 / 10 * 0.2 / (0.2 + 1.12), 1e-6);
}

// The oracle sees the drawn service time: with two equal services it takes the faster draw.
TEST(Oracle, SeesWhatNoClientCan) {
  const json s = json::parse(R"({
    "isthmus": 1, "name": "draws", "duration": "2000 s",
    "nodes": {"a": {}, "b": {}},
    "services": {"one": {"service_time": {"distribution": "exponential", "mean": "1 s"}, "on": "a", "slots": 1000},
                 "two": {"service_time": {"distribution": "uniform", "low": "0.9 s", "high": "1.1 s"}, "on": "b", "slots": 1000}},
    "workload": [{"source": "poisson", "rate": "1 /s", "target": "offload"}],
    "offload": {"policy": "oracle", "reward": {}, "decision_quality": true}
  })");
  json minimum = s;
  minimum["offload"]["policy"] = "always-edge";
  minimum["offload"]["candidates"] = {"two"};
  const results::Summary by_oracle = world::run(*load_json(s).scenario, {});
  EXPECT_EQ(by_oracle.value("oracle_agreement"), 1);
  EXPECT_EQ(by_oracle.value("oracle_gap"), 0);
  // E[min(X, U)] of X exponential and U uniform near 1 is close to 1 - 1/e.
  EXPECT_NEAR(by_oracle.value("latency.mean"), 1 - std::exp(-1), 0.04);
  EXPECT_NEAR(world::run(*load_json(minimum).scenario, {}).value("latency.mean"), 1, 0.01);
  json blind = s;
  blind["offload"]["policy"] = "min-latency";
  const results::Summary by_means = world::run(*load_json(blind).scenario, {});
  EXPECT_LT(by_means.value("offload_reward"), by_oracle.value("offload_reward"));
  EXPECT_LT(by_means.value("oracle_agreement"), 0.8);
  EXPECT_GT(by_means.value("oracle_gap"), 0);
  // Looking changes nothing.
  blind["offload"]["decision_quality"] = false;
  EXPECT_EQ(world::run(*load_json(blind).scenario, {}).fingerprint, by_means.fingerprint);
}

TEST(Oracle, SeesThePresentRate) {
  json s = one_phone();
  s["offload"] = {{"policy", "oracle"}, {"candidates", {"local", "remote"}}, {"bandwidth", "measured"}};
  // Fast: 1.12 s there against 1 s here plus nothing; slow: 4 s. Make the phone slower than the fast link.
  s["services"]["local"]["service_time"] = "2 s";
  std::string choices;
  world::RunOptions options;
  options.on_decision = [&](const auto&, const schedulers::OffloadDecision& d, std::size_t) {
    choices += d.candidate == 0 ? 'l' : 'r';
    return false;
  };
  world::run(*load_json(s).scenario, options);
  EXPECT_EQ(choices, "rrrllllrrrr");
}

json crowd(const std::string& policy) {
  json s = json::parse(R"({
    "isthmus": 1, "name": "crowd", "seed": 3, "duration": "60 s",
    "nodes": {"phone": {"tier": "device", "count": 5}, "edge": {"tier": "edge"}},
    "network": {"model": "fluid",
      "links": {"radio": {"bandwidth": "20 Mbps", "latency": "5 ms"}},
      "access": {"phone": ["radio"]}},
    "services": {"local": {"service_time": {"distribution": "exponential", "mean": "120 ms"}, "on": "phone"},
                 "edge": {"service_time": {"distribution": "exponential", "mean": "30 ms"}, "on": "edge"}},
    "workload": [{"source": "poisson", "rate": "20 /s", "target": "offload", "clients": {"on": "phone"},
                  "request": {"upload": {"distribution": "exponential", "mean": "80 kB"}}}],
    "faults": [{"node": "edge", "at": "20 s", "lasts": "5 s"}],
    "offload": {"candidates": ["local", "edge"], "fallback": "local", "bandwidth": "measured", "reward": {}}
  })");
  s["offload"]["policy"] = policy;
  return s;
}

const std::vector<std::string> learners{"epsilon-greedy", "ucb1",       "thompson",
                                        "linucb",         "q-learning", "policy-gradient"};

TEST(Learners, GiveTheSameBytesAgain) {
  for (const std::string& name : learners) {
    SCOPED_TRACE(name);
    const auto scenario = load_json(crowd(name)).scenario;
    std::string learned[2];
    std::string summaries[2];
    for (int i = 0; i < 2; ++i) {
      world::RunOptions options;
      options.keep_learned = &learned[i];
      summaries[i] = results::reproducible_json(world::run(*scenario, options));
    }
    EXPECT_EQ(learned[0], learned[1]);
    EXPECT_EQ(summaries[0], summaries[1]);
    EXPECT_THAT(learned[0], HasSubstr("\"isthmus_policy\": \"" + name + "\""));
  }
}

TEST(Learners, WhatWasLearnedComesBackFromAWorker) {
  json s = crowd("ucb1");
  s["network"]["model"] = "simgrid";
  std::string learned;
  world::RunOptions options;
  options.keep_learned = &learned;
  const auto scenario = load_json(s).scenario;
  const results::Summary first = world::run(*scenario, options);
  EXPECT_GT(first.completed, 1000U);
  const auto arms = json::parse(learned)["arms"].get<std::vector<double>>();
  ASSERT_EQ(arms.size(), 8U);
  EXPECT_NEAR(arms[0] + arms[4], static_cast<double>(first.created), 0);  // every decision was counted
  world::RunOptions next;
  next.learned = learned;
  std::string more;
  next.keep_learned = &more;
  world::run(*scenario, next);
  EXPECT_EQ(json::parse(more)["arms"][0].get<double>() + json::parse(more)["arms"][4].get<double>(),
            2 * static_cast<double>(first.created));
}

TEST(Training, LearnsInSimulationAndIsBetterOnOtherSeeds) {
  const auto scenario = load_json(crowd("ucb1")).scenario;
  std::vector<double> rewards;
  const std::string learned = train_policy(*scenario, "linucb", {}, {1, 2, 3}, 2,
                                           [&](const TrainingStep& s) { rewards.push_back(s.reward); });
  EXPECT_EQ(rewards.size(), 6U);
  const auto reward = [&](const std::string& policy, const std::string& weights) {
    double sum = 0;
    for (std::uint64_t seed = 11; seed < 15; ++seed) {
      world::RunOptions options;
      options.learned = weights;
      std::vector<PolicySetting> settings;
      if (!weights.empty()) settings.push_back({"learning", 0, "off", true});
      sum += world::run(with_policy(*scenario, policy, settings, seed), options).value("offload_reward");
    }
    return sum / 4;
  };
  EXPECT_GT(reward("linucb", learned), reward("random", "") + 0.02);
  EXPECT_GT(reward("linucb", learned), reward("always-local", "") + 0.02);
  EXPECT_THROW(train_policy(*scenario, "min-latency", {}, {1}, 1, nullptr), InputError);
  EXPECT_THROW(train_policy(*scenario, "nonsense", {}, {1}, 1, nullptr), InputError);
}

TEST(Training, SeedsAreNumbersAndRanges) {
  EXPECT_EQ(parse_seeds("1..4,9"), (std::vector<std::uint64_t>{1, 2, 3, 4, 9}));
  EXPECT_EQ(parse_seeds("18446744073709551615"), (std::vector<std::uint64_t>{~0ULL}));
  for (const char* wrong : {"", "a", "1,", "5..1", "1..", "..3", "1...3", "-1", "1..1000000000", "1.5"})
    EXPECT_THROW(parse_seeds(wrong), InputError) << wrong;
}

TEST(OffloadSection, WrongInputIsRefusedWithItsPlace) {
  json s = crowd("ucb1");
  s["offload"]["weights"] = "missing.json";
  EXPECT_THAT(first_problem(s), HasSubstr("/offload/weights: cannot read the weights"));
  s = crowd("ucb1");
  s["offload"]["reward"] = {{"latency", 0}};
  EXPECT_THAT(first_problem(s), HasSubstr("/offload/reward: all its weights are 0"));
  s["offload"]["reward"] = {{"latency_scale", "0 s"}};
  EXPECT_THAT(first_problem(s), HasSubstr("/offload/reward/latency_scale"));
  s["offload"]["reward"] = {{"latency", -1}};
  EXPECT_THAT(first_problem(s), HasSubstr("/offload/reward/latency"));
  s = crowd("q-learning");
  s["offload"]["bins"] = 0;
  EXPECT_THAT(first_problem(s), HasSubstr("/offload/bins"));
  s = crowd("min-latency");
  s["offload"]["weights"] = "x.json";
  EXPECT_NE(first_problem(s), "no error");
  s = crowd("min-latency");
  s["offload"]["bandwidth"] = "guess";
  EXPECT_THAT(first_problem(s), HasSubstr("/offload/bandwidth"));
  s = crowd("linucb");
  s["offload"]["learning"] = true;
  EXPECT_THAT(first_problem(s), HasSubstr("/offload/learning"));
}

TEST(OffloadSection, WeightsOfOthersAreRefusedWhenTheScenarioIsRead) {
  const TemporaryFolder folder;
  const auto scenario = load_json(crowd("ucb1")).scenario;
  const std::string path = (folder.path() / "w.json").string();
  std::ofstream(path) << train_policy(*scenario, "ucb1", {}, {1}, 1, nullptr);
  json s = crowd("ucb1");
  s["offload"]["weights"] = path;
  EXPECT_EQ(first_problem(s), "no error");
  s["offload"]["candidates"] = {"edge", "local"};
  EXPECT_THAT(first_problem(s), HasSubstr("they were learned for the candidates [\"local\",\"edge\"]"));
  s = crowd("thompson");
  s["offload"]["weights"] = path;
  EXPECT_THAT(first_problem(s), HasSubstr("they belong to policy \"ucb1\""));
}

TEST(ExplainDecision, RunsAgainUpToTheRequest) {
  const TemporaryFolder folder;
  json s = crowd("linucb");
  s["workload"][0]["request"]["retries"] = 3;
  const auto run = folder.path() / "run";
  world::RunOptions options;
  options.directory = run;
  options.replication = 2;
  double latency = 0;
  options.on_request = [&](const results::RequestRecord& r) {
    if (r.request == 300) latency = (r.completed - r.created).seconds();
  };
  world::run(*load_json(s).scenario, options);
  const DecisionExplanation e = explain_decision(run, 300, ".");
  EXPECT_EQ(e.policy, "linucb");
  EXPECT_EQ(e.status, "completed");
  EXPECT_EQ(e.latency, latency);
  ASSERT_GE(e.decisions.size(), 1U);
  const SeenDecision& d = e.decisions[0];
  ASSERT_EQ(d.candidates.size(), 2U);
  EXPECT_EQ(d.candidates[0].name, "local");
  EXPECT_EQ(d.candidates[1].tier, "edge");
  EXPECT_LE(d.candidates[1].signal_age, 1);
  EXPECT_NEAR(d.candidates[1].estimate,
              d.candidates[1].network +
                  (d.candidates[1].queued + d.candidates[1].running + 1) * d.candidates[1].service,
              1e-6);
  EXPECT_THAT(decision_text(e), HasSubstr("chose "));
  EXPECT_EQ(json::parse(decision_json(e))["decisions"][0]["chosen"], d.candidates[d.chosen].name);
  EXPECT_THROW(explain_decision(run, 10'000'000, "."), InputError);
  EXPECT_THROW(explain_decision(folder.path() / "nothing", 1, "."), InputError);
}

TEST(Tournament, TunesOnSomeSeedsAndJudgesOnOthers) {
  const TemporaryFolder folder;
  const auto file = folder.path() / "crowd.json";
  std::ofstream(file) << crowd("min-latency").dump();
  TournamentOptions options;
  options.scenarios = {file};
  options.policies = {"always-local", "threshold", "ucb1"};
  options.training = {1, 2};
  options.evaluation = {11, 12, 13};
  options.passes = 1;
  const Tournament t = run_tournament(options);
  ASSERT_EQ(t.conditions.size(), 1U);
  const Condition& c = t.conditions[0];
  ASSERT_EQ(c.standings.size(), 5U);  // with oracle and random
  for (std::size_t i = 1; i < c.standings.size(); ++i)
    EXPECT_GE(c.standings[i - 1].reward.mean, c.standings[i].reward.mean);
  for (const Standing& s : c.standings) {
    EXPECT_EQ(s.rewards.size(), 3U);
    EXPECT_GT(s.reward.half_width, 0);
    if (s.policy == "oracle") {
      EXPECT_EQ(s.regret.mean, 0);
      EXPECT_EQ(s.agreement, 1);
    }
    if (s.policy == "threshold") {
      EXPECT_EQ(s.configurations, 36U);
    }
  }
  EXPECT_EQ(c.best_learner, "ucb1");
  options.threads = 2;
  EXPECT_EQ(tournament_json(run_tournament(options)), tournament_json(t));
  EXPECT_THAT(tournament_markdown(t, "x"), HasSubstr("| `always-local` | rule |"));
  options.evaluation = {2};
  EXPECT_THROW(run_tournament(options), InputError);
}

// Every configuration that a tournament tries is one that a scenario could state.
TEST(Tournament, GridsFitTheirPolicies) {
  const auto scenario = load_json(crowd("random")).scenario;
  for (const auto& e : schedulers::offload_policies())
    for (const auto& settings : tuning_grid(e.name))
      EXPECT_NO_THROW(with_policy(*scenario, e.name, settings, 1)) << e.name;
}

}  // namespace
}  // namespace isthmus::scenarios
