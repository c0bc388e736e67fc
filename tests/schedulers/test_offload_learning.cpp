// Learning offload policies on views of their own, without an engine: known arms, a known Markov
// decision process, finite differences.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include <nlohmann/json.hpp>

#include "schedulers/q_table.hpp"
#include "schedulers/registry.hpp"
#include "schedulers/softmax_network.hpp"
#include "sim/core/random.hpp"

namespace isthmus::schedulers {
namespace {

const std::vector<std::string> learners{"epsilon-greedy", "ucb1",       "thompson",
                                        "linucb",         "q-learning", "policy-gradient"};
const std::vector<std::string> names{"phone", "edge", "cloud"};

using Settings = std::vector<std::pair<std::string, std::string>>;

std::shared_ptr<OffloadPolicy> make(const std::string& name, const Settings& texts = {},
                                    const std::vector<std::pair<std::string, double>>& numbers = {}) {
  const auto& e = find_entry(offload_policies(), name);
  Parameters p(e.parameters);
  for (const auto& [parameter, value] : texts) p.set(parameter, value);
  for (const auto& [parameter, value] : numbers) p.set(parameter, value);
  auto policy = e.make(p);
  policy->begin(names);
  return policy;
}

// Three candidates that look alike, apart from what `change` does to them.
struct Round {
  std::vector<OffloadCandidate> candidates;
  OffloadView view;
  Round(std::uint64_t number, Rng& g) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      OffloadCandidate c;
      c.name = names[i];
      c.tier = static_cast<Tier>(i);
      c.service = Duration::from_seconds(0.1);
      candidates.push_back(c);
    }
    view.now = Instant(static_cast<std::int64_t>(number) * 1'000'000);
    view.request = number;
    view.uniform = uniform01(g);
    view.candidates = candidates;
  }
};

OffloadOutcome outcome(const Round& r, std::size_t candidate, double reward) {
  OffloadOutcome o;
  o.request = r.view.request;
  o.candidate = candidate;
  o.succeeded = reward > 0;
  o.latency = Duration::from_seconds(0.1);
  o.reward = reward;
  return o;
}

// Plays Bernoulli arms; the regret (expected, not realized) after each of `rounds`.
std::vector<double> regret_on_arms(OffloadPolicy& policy, const std::vector<double>& p,
                                   std::size_t rounds, std::uint64_t seed) {
  Rng g = StreamKey(seed, "arms").sequence();
  const double best = *std::max_element(p.begin(), p.end());
  std::vector<double> regret;
  double sum = 0;
  for (std::size_t i = 0; i < rounds; ++i) {
    Round r(i, g);
    const std::size_t a = policy.decide(r.view).candidate;
    policy.observe(outcome(r, a, uniform01(g) < p[a] ? 1 : 0));
    regret.push_back(sum += best - p[a]);
  }
  return regret;
}

TEST(Bandits, RegretGrowsWithTheLogarithmOnly) {
  const std::vector<double> arms{0.4, 0.7, 0.5};
  const std::vector<std::pair<std::string, std::shared_ptr<OffloadPolicy> (*)()>> bandits{
      {"ucb1", [] { return make("ucb1", {}, {{"exploration", 1}}); }},
      {"gaussian", [] { return make("thompson", {}, {{"deviation", 0.5}}); }},
      {"beta", [] { return make("thompson", {{"posterior", "beta"}}); }}};
  for (const auto& [name, fresh] : bandits) {
    SCOPED_TRACE(name);
    double early = 0, middle = 0, late = 0;
    constexpr int runs = 10;
    for (std::uint64_t seed = 1; seed <= runs; ++seed) {
      const auto policy = fresh();
      const auto regret = regret_on_arms(*policy, arms, 16'000, seed);
      early += regret[999] / runs;
      middle += regret[3999] / runs;
      late += regret[15999] / runs;
    }
    // Auer et al., theorem 1: 8 sum(ln n / gap) + (1 + pi^2/3) sum(gap).
    const double bound = 8 * std::log(16'000) * (1 / 0.3 + 1 / 0.2) + (1 + M_PI * M_PI / 3) * 0.5;
    EXPECT_LT(late, bound);
    // Every factor of four adds about as much; linear growth would add four times as much.
    EXPECT_LT(late - middle, 2 * (middle - early) + 5);
    // An even choice would have lost 0.1667 a round.
    EXPECT_LT(late, 0.1 * 16'000 / 6.0);
  }
}

TEST(Bandits, EpsilonGreedyLosesItsExplorationAndLittleMore) {
  const auto policy = make("epsilon-greedy", {}, {{"epsilon", 0.1}, {"discount", 1}});
  const auto regret = regret_on_arms(*policy, {0.2, 0.8, 0.2}, 20'000, 3);
  // After a start, a round loses epsilon * 2/3 * 0.6.
  EXPECT_NEAR((regret[19'999] - regret[9'999]) / 10'000, 0.04, 0.006);
}

TEST(Bandits, DiscountedOnesFollowAnArmThatChanges) {
  for (const char* name : {"ucb1", "thompson", "epsilon-greedy"}) {
    SCOPED_TRACE(name);
    const auto policy = make(name, {}, {{"discount", 0.99}});
    regret_on_arms(*policy, {0.2, 0.9, 0.2}, 3'000, 5);
    const auto after = regret_on_arms(*policy, {0.9, 0.2, 0.2}, 3'000, 6);
    EXPECT_LT(after.back() / 3'000, 0.2);  // 0.7 a round for one that stays where it was
  }
}

TEST(Bandits, UnderWayRequestsDoNotPileOntoOneArm) {
  // No reward for a long time: an arm that is asked again and again is no longer the unknown one.
  for (const char* name : {"ucb1", "thompson"}) {
    SCOPED_TRACE(name);
    const auto policy = make(name);
    Rng g = StreamKey(7, "delay").sequence();
    int hits[3] = {};
    for (std::uint64_t i = 0; i < 300; ++i) ++hits[policy->decide(Round(i, g).view).candidate];
    for (const int h : hits) EXPECT_GT(h, 30);
  }
}

// The cloud is the best where its network is fast, the phone where it is slow: what one mean per
// candidate cannot say.
double reward_by_context(OffloadPolicy& policy, std::size_t rounds, std::uint64_t seed, bool learn) {
  Rng g = StreamKey(seed, "context").sequence();
  double sum = 0;
  for (std::size_t i = 0; i < rounds; ++i) {
    Round r(i, g);
    const bool fast = uniform01(g) < 0.5;
    for (const std::size_t remote : {1, 2}) {
      r.candidates[remote].network = Duration::from_seconds(fast ? 0.01 : 2);
      r.candidates[remote].uplink = 1e6;
      r.candidates[remote].measured_at = r.view.now;
    }
    const std::size_t a = policy.decide(r.view).candidate;
    const double reward = (a == 0 ? 0.5 : a == 2 ? (fast ? 0.9 : 0.1) : 0.3) + 0.1 * (uniform01(g) - 0.5);
    sum += reward;
    if (learn) policy.observe(outcome(r, a, reward));
  }
  return sum / static_cast<double>(rounds);
}

TEST(ContextualLearners, LearnWhenToSendAndKeepItInFiles) {
  for (const char* name : {"linucb", "q-learning", "policy-gradient"}) {
    SCOPED_TRACE(name);
    const auto policy = make(name);
    reward_by_context(*policy, 20'000, 11, true);
    const std::string text = policy->save();
    const auto trained = make(name, {{"learning", "off"}});
    trained->load(text);
    EXPECT_EQ(trained->save(), text);  // bit for bit
    EXPECT_GT(reward_by_context(*trained, 2'000, 12, false), 0.69);  // 0.7 is the best there is
    EXPECT_LT(reward_by_context(*make(name, {{"learning", "off"}}), 2'000, 12, false), 0.69);
  }
}

TEST(ContextualLearners, AloneCanTellContextsApart) {
  const auto policy = make("ucb1");
  EXPECT_LT(reward_by_context(*policy, 20'000, 11, true), 0.55);
}

TEST(Learners, GoOnFromAFileAsIfTheyHadNeverStopped) {
  for (const std::string& name : learners) {
    SCOPED_TRACE(name);
    const auto one = make(name);
    reward_by_context(*one, 997, 21, true);  // inside a batch of the policy gradient
    const auto two = make(name);
    two->load(one->save());
    EXPECT_EQ(reward_by_context(*one, 500, 22, true), reward_by_context(*two, 500, 22, true));
    EXPECT_EQ(one->save(), two->save());
  }
}

TEST(Learners, RefuseWhatIsNotTheirs) {
  const auto refused = [](OffloadPolicy& policy, const std::string& text) -> std::string {
    try {
      policy.load(text);
    } catch (const InputError& e) {
      return e.what();
    }
    return "accepted";
  };
  for (const std::string& name : learners) {
    SCOPED_TRACE(name);
    const auto policy = make(name);
    reward_by_context(*policy, 50, 1, true);
    const std::string good = policy->save();
    EXPECT_EQ(refused(*make(name), good), "accepted");
    EXPECT_NE(refused(*make(name), "").find("not JSON"), std::string::npos);
    EXPECT_NE(refused(*make(name), "[1, 2]").find("isthmus train"), std::string::npos);
    EXPECT_NE(refused(*make(name), good.substr(0, good.size() / 2)).find("not JSON"), std::string::npos);
    const std::string other = name == "ucb1" ? "thompson" : "ucb1";
    EXPECT_NE(refused(*make(other), good).find("belong to policy"), std::string::npos);
    auto json = nlohmann::json::parse(good);
    json["candidates"] = {"phone", "cloud"};
    EXPECT_NE(refused(*make(name), json.dump()).find("learned for the candidates"), std::string::npos);
    json = nlohmann::json::parse(good);
    for (const char* member : {"arms", "weights", "states"})
      if (json.contains(member)) json[member] = {1, "x"};
    EXPECT_NE(refused(*make(name), json.dump()), "accepted");
    json = nlohmann::json::parse(good);
    for (const char* member : {"arms", "weights", "states"}) json.erase(member);
    EXPECT_NE(refused(*make(name), json.dump()).find("is missing"), std::string::npos);
    json = nlohmann::json::parse(good);
    json["version"] = 2;
    EXPECT_NE(refused(*make(name), json.dump()).find("version"), std::string::npos);
  }
  EXPECT_NE(refused(*make("min-latency"), "{}").find("does not learn"), std::string::npos);
}

TEST(Learners, OthersCandidatesAreFoundAtTheStart) {
  const auto policy = make("ucb1");
  const std::string text = policy->save();
  const auto& e = find_entry(offload_policies(), "ucb1");
  const auto fresh = e.make(Parameters(e.parameters));
  fresh->load(text);
  const std::vector<std::string> others{"a", "b", "c"};
  EXPECT_THROW(fresh->begin(others), InputError);
  EXPECT_NO_THROW(fresh->begin(names));
  EXPECT_THROW(make("linucb", {{"weights", "no/such/file.json"}}), InputError);
}

// Two states, two actions. In state 0, action 0 gives 1 and stays; action 1 gives 0 and goes to state 1.
// In state 1, action 0 gives 0 and goes back; action 1 gives 2 and stays.
TEST(QTable, FindsTheValuesOfAKnownProcess) {
  constexpr double discount = 0.9;
  QTable q(0.05, discount, 0);
  Rng g = StreamKey(1, "mdp").sequence();
  std::uint64_t state = 0;
  for (int i = 0; i < 200'000; ++i) {
    const std::size_t a = uniform_index(g, 2);
    const double reward = state == 0 ? (a == 0 ? 1 : 0) : (a == 0 ? 0 : 2);
    const std::uint64_t next = a == 0 ? 0 : 1;
    q.update(state, a, 2, reward + 0.1 * (uniform01(g) - 0.5), next);
    state = next;
  }
  // Bellman: V(1) = 2 / (1 - 0.9) = 20; from state 0 it pays to go there: V(0) = 0.9 * 20.
  EXPECT_NEAR(q.value(1, 1), 20, 0.1);
  EXPECT_NEAR(q.value(0, 1), 18, 0.1);
  EXPECT_NEAR(q.value(0, 0), 1 + discount * 18, 0.1);
  EXPECT_NEAR(q.value(1, 0), discount * 18, 0.1);
  const std::size_t both[] = {0, 1};
  EXPECT_EQ(q.best_action(0, both), 1u);
}

// The reward of a decision comes before or after the next decision: both ways reach the same values.
TEST(QLearning, CountsTheNextDecision) {
  for (const bool late : {false, true}) {
    SCOPED_TRACE(late);
    const auto policy =
        make("q-learning", {}, {{"discount", 0.5}, {"epsilon", 1}, {"rate", 0.02}, {"initial", 0}});
    Rng g = StreamKey(4, "next").sequence();
    std::optional<std::pair<std::uint64_t, OffloadOutcome>> waiting;
    for (std::uint64_t i = 0; i < 60'000; ++i) {
      Round r(i, g);
      const std::size_t a = policy->decide(r.view).candidate;
      if (waiting) policy->observe(waiting->second);
      waiting.reset();
      const OffloadOutcome o = outcome(r, a, a == 1 ? 1 : 0);
      if (late) waiting.emplace(i, o);
      else policy->observe(o);
    }
    // One state: V = 1 + 0.5 V = 2, the others 0.5 V = 1.
    const auto saved = nlohmann::json::parse(policy->save());
    const auto values = saved["states"][0]["values"].get<std::vector<double>>();
    EXPECT_NEAR(values[0], 1, 0.01);
    EXPECT_NEAR(values[1], 2, 0.01);
    EXPECT_NEAR(values[2], 1, 0.01);
  }
}

TEST(SoftmaxNetwork, GradientsAreThoseOfFiniteDifferences) {
  SoftmaxNetwork net(5, 7, 42);
  Rng g = StreamKey(2, "items").sequence();
  Eigen::MatrixXd items(5, 4);
  for (Eigen::Index i = 0; i < items.size(); ++i) items.data()[i] = 2 * uniform01(g) - 1;
  const auto objective = [&](Eigen::Index chosen, double entropy) {
    const Eigen::VectorXd p = net.probabilities(items);
    double h = 0;
    for (Eigen::Index i = 0; i < p.size(); ++i) h -= p[i] * std::log(p[i]);
    return std::log(p[chosen]) + entropy * h;
  };
  for (const double entropy : {0.0, 0.7}) {
    for (const Eigen::Index chosen : {0, 3}) {
      const Eigen::VectorXd exact = net.gradient(items, chosen, entropy);
      ASSERT_EQ(exact.size(), net.weights().size());
      for (Eigen::Index i = 0; i < exact.size(); ++i) {
        constexpr double step = 1e-5;
        const double weight = net.weights()[i];
        net.weights()[i] = weight + step;
        const double up = objective(chosen, entropy);
        net.weights()[i] = weight - step;
        const double down = objective(chosen, entropy);
        net.weights()[i] = weight;
        EXPECT_NEAR(exact[i], (up - down) / (2 * step), 1e-8);
      }
    }
  }
  EXPECT_NEAR(net.probabilities(items).sum(), 1, 1e-12);
}

}  // namespace
}  // namespace isthmus::schedulers
