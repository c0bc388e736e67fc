#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>
#include <map>
#include <queue>
#include <set>

#include "schedulers/jump_hash.hpp"
#include "schedulers/locality_load.hpp"
#include "schedulers/maglev.hpp"
#include "schedulers/registry.hpp"
#include "schedulers/server_split.hpp"
#include "sim/core/random.hpp"
#include "tests/schedulers/truth.hpp"

namespace isthmus::schedulers {
namespace {

using nlohmann::json;

std::shared_ptr<RoutingPolicy> make(std::string_view name) {
  const auto& e = find_entry(routing_policies(), name);
  return e.make(Parameters(e.parameters));
}

std::vector<ReplicaSignal> replicas(const std::vector<double>& weights) {
  std::vector<ReplicaSignal> out;
  for (std::size_t i = 0; i < weights.size(); ++i)
    out.push_back({static_cast<std::uint32_t>(i), 0, weights[i]});
  return out;
}

std::size_t choose(RoutingPolicy& policy, const std::vector<ReplicaSignal>& replicas,
                   double uniform = 0.5, std::uint64_t session = 0) {
  RoutingView view;
  view.replicas = replicas;
  view.uniform = uniform;
  view.session = session;
  return policy.choose(view);
}

std::vector<int> sequence(RoutingPolicy& policy, const std::vector<ReplicaSignal>& replicas,
                          int n) {
  std::vector<int> out;
  for (int i = 0; i < n; ++i) out.push_back(static_cast<int>(choose(policy, replicas)));
  return out;
}

TEST(WeightedRoundRobin, GivesTheCanonicalSequence) {
  EXPECT_EQ(sequence(*make("weighted-round-robin"), replicas({5, 1, 1}), 7),
            (std::vector<int>{0, 0, 1, 0, 2, 0, 0}));
}

TEST(WeightedRoundRobin, KeepsTheSharesWhenReplicasComeAndGo) {
  const auto policy = make("weighted-round-robin");
  const auto three = replicas({3, 2, 1});
  const std::vector<ReplicaSignal> two{three[0], three[2]};
  sequence(*policy, three, 4);
  int first = 0;
  for (const int i : sequence(*policy, two, 400)) first += i == 0;
  EXPECT_NEAR(first, 300, 2);
  int counts[3] = {};
  for (const int i : sequence(*policy, three, 600)) ++counts[i];
  EXPECT_NEAR(counts[0], 300, 3);
  EXPECT_NEAR(counts[1], 200, 3);
  EXPECT_NEAR(counts[2], 100, 3);
}

TEST(WeightedRoundRobin, NeverChoosesAWeightlessReplicaUnlessAllAre) {
  const auto policy = make("weighted-round-robin");
  for (const int i : sequence(*policy, replicas({1, 0, 2}), 30)) EXPECT_NE(i, 1);
  EXPECT_EQ(sequence(*make("weighted-round-robin"), replicas({0, 0}), 4),
            (std::vector<int>{0, 1, 0, 1}));
}

TEST(RoundRobin, GoesOnAfterAReplicaLeft) {
  const auto policy = make("round-robin");
  auto all = replicas({1, 1, 1, 1});
  EXPECT_EQ(sequence(*policy, all, 2), (std::vector<int>{0, 1}));
  all.erase(all.begin() + 1);  // numbers 0, 2, 3: the turn is number 2's
  EXPECT_EQ(sequence(*policy, all, 4), (std::vector<int>{1, 2, 0, 1}));
}

TEST(LeastConnections, WeighsOutstandingRequests) {
  auto two = replicas({3, 1});
  two[0].outstanding = 2;
  two[1].outstanding = 1;
  EXPECT_EQ(choose(*make("least-connections"), two), 0u);  // 2/3 < 1/1
  two[0].outstanding = 4;
  EXPECT_EQ(choose(*make("least-connections"), two), 1u);
}

TEST(LeastConnections, BreaksTiesInWeightedTurns) {
  EXPECT_EQ(sequence(*make("least-connections"), replicas({3, 2, 1}), 6),
            (std::vector<int>{0, 1, 0, 2, 1, 0}));
}

TEST(LeastOutstanding, TakesTheLowestNumberOfTheShortest) {
  auto four = replicas({1, 9, 1, 1});
  four[0].outstanding = 2;
  four[1].outstanding = four[2].outstanding = 1;
  four[3].outstanding = 3;
  EXPECT_EQ(choose(*make("least-outstanding"), four), 1u);
}

TEST(Random, FollowsTheWeights) {
  const auto three = replicas({8, 5, 2});  // R16: cloud 8, edge 5, CPU 2
  int counts[3] = {};
  for (int i = 0; i < 1500; ++i) ++counts[choose(*make("random"), three, (i + 0.5) / 1500)];
  EXPECT_EQ(counts[0], 800);
  EXPECT_EQ(counts[1], 500);
  EXPECT_EQ(counts[2], 200);
}

TEST(PowerOfTwo, TakesEveryPairEquallyOftenAndTheShorterOfIt) {
  auto four = replicas({1, 1, 1, 1});
  for (std::uint32_t i = 0; i < 4; ++i) four[i].outstanding = i;
  int counts[4] = {};
  for (int i = 0; i < 1200; ++i) ++counts[choose(*make("power-of-two"), four, (i + 0.5) / 1200)];
  EXPECT_EQ(counts[0], 600);  // in 6 of 12 ordered pairs
  EXPECT_EQ(counts[1], 400);
  EXPECT_EQ(counts[2], 200);
  EXPECT_EQ(counts[3], 0);  // the longest queue always loses
}

// Keys that move and loads, for a ring that grows from n replicas to n + 1.
struct RingChange {
  double moved = 0;
  int moved_between_old = 0;
  double max_over_mean = 0;
};

RingChange grow_ring(std::size_t n, int keys) {
  const auto policy = make("consistent-hash");
  const auto before = replicas(std::vector<double>(n, 1));
  const auto after = replicas(std::vector<double>(n + 1, 1));
  std::vector<std::size_t> was;
  std::vector<int> load(n);
  for (int k = 0; k < keys; ++k) {
    was.push_back(choose(*policy, before, 0.5, static_cast<std::uint64_t>(k)));
    ++load[was.back()];
  }
  RingChange change;
  int moved = 0;
  for (int k = 0; k < keys; ++k) {
    const std::size_t is = choose(*policy, after, 0.5, static_cast<std::uint64_t>(k));
    if (is == was[static_cast<std::size_t>(k)]) continue;
    ++moved;
    if (is != n) ++change.moved_between_old;
  }
  change.moved = moved / static_cast<double>(keys);
  change.max_over_mean =
      *std::max_element(load.begin(), load.end()) * static_cast<double>(n) / keys;
  return change;
}

TEST(ConsistentHash, MovesKeysOnlyToTheNewReplica) {
  for (const std::size_t n : {2u, 5u, 10u, 20u}) {
    const RingChange change = grow_ring(n, 20'000);
    EXPECT_EQ(change.moved_between_old, 0);
    EXPECT_NEAR(change.moved, 1.0 / static_cast<double>(n + 1), 0.03);
    EXPECT_LT(change.max_over_mean, 1.3);
  }
}

TEST(ConsistentHash, GivesASessionTheSameReplicaEveryTime) {
  const auto policy = make("consistent-hash");
  const auto three = replicas({1, 1, 1});
  const std::size_t home = choose(*policy, three, 0.1, 42);
  EXPECT_EQ(choose(*policy, three, 0.9, 42), home);
}

TEST(ConsistentHash, FollowsTheWeights) {
  const auto policy = make("consistent-hash");
  const auto two = replicas({3, 1});
  int first = 0;
  for (std::uint64_t k = 0; k < 20'000; ++k) first += choose(*policy, two, 0.5, k) == 0;
  EXPECT_NEAR(first / 20'000.0, 0.75, 0.05);
}

std::shared_ptr<RoutingPolicy> make(std::string_view name,
                                    const std::map<std::string, double>& parameters) {
  const auto& e = find_entry(routing_policies(), name);
  Parameters p(e.parameters);
  for (const auto& [key, value] : parameters) p.set(key, value);
  return e.make(p);
}

std::vector<ReplicaSignal> outstanding(const std::vector<std::uint32_t>& requests) {
  std::vector<ReplicaSignal> out;
  for (std::size_t i = 0; i < requests.size(); ++i)
    out.push_back({static_cast<std::uint32_t>(i), requests[i]});
  return out;
}

TEST(SessionAffinity, StaysUntilItsReplicaIsOverloadedOrGone) {
  const auto policy = make("session-affinity", {{"max_outstanding", 4}});
  EXPECT_EQ(choose(*policy, outstanding({2, 1, 3}), 0.5, 7), 1U);  // new: least outstanding
  EXPECT_EQ(choose(*policy, outstanding({0, 3, 0}), 0.5, 7), 1U);  // busier, not overloaded
  EXPECT_EQ(choose(*policy, outstanding({4, 4, 5}), 0.5, 7), 1U);  // nobody is less busy
  EXPECT_EQ(choose(*policy, outstanding({5, 4, 3}), 0.5, 7), 2U);  // moves
  EXPECT_EQ(choose(*policy, outstanding({0, 0, 3}), 0.5, 7), 2U);  // and has a new home
  auto without = outstanding({2, 1, 0});
  without.pop_back();
  EXPECT_EQ(choose(*policy, without, 0.5, 7), 1U);
  EXPECT_EQ(choose(*policy, outstanding({0, 3, 0}), 0.5, 7), 1U);
}

TEST(SessionAffinity, ForgetsTheSessionThatWasQuietLongest) {
  const auto policy = make("session-affinity", {{"sessions", 2}});
  choose(*policy, outstanding({1, 0}), 0.5, 1);
  choose(*policy, outstanding({1, 0}), 0.5, 2);
  choose(*policy, outstanding({0, 1}), 0.5, 1);
  choose(*policy, outstanding({1, 0}), 0.5, 3);                   // 2 is forgotten
  EXPECT_EQ(choose(*policy, outstanding({0, 1}), 0.5, 1), 1U);
  EXPECT_EQ(choose(*policy, outstanding({0, 1}), 0.5, 2), 0U);
}

TEST(SessionAffinity, NeverMovesWithoutALimit) {
  const auto policy = make("session-affinity", {{"max_outstanding", 0}});
  EXPECT_EQ(choose(*policy, outstanding({1, 0}), 0.5, 1), 1U);
  EXPECT_EQ(choose(*policy, outstanding({0, 1000}), 0.5, 1), 1U);
}

TEST(KvUsage, AddsUsageAndScaledQueue) {
  const auto policy = make("kv-usage");
  const auto at = [](std::uint32_t waiting, double usage) {
    return ReplicaSignal{.waiting = waiting, .kv_usage = usage};
  };
  // Penalties 0.9, 0.2 + 1, 0.7 + 0.5.
  EXPECT_EQ(choose(*policy, {at(2, 0.9), at(6, 0.2), at(4, 0.7)}), 0U);
  EXPECT_EQ(choose(*policy, {at(3, 0.9), at(3, 0.2), at(3, 0.7)}), 1U);  // equal queues say nothing
  const auto queues = make("kv-usage", {{"kv_weight", 0}});
  EXPECT_EQ(choose(*queues, {at(2, 0.9), at(6, 0.2), at(1, 0.7)}), 2U);
  // Ties at random.
  const std::vector<ReplicaSignal> tied{at(0, 0.5), at(0, 0.6), at(0, 0.5)};
  EXPECT_EQ(choose(*policy, tied, 0.49), 0U);
  EXPECT_EQ(choose(*policy, tied, 0.51), 2U);
  EXPECT_TRUE(policy->wants_load());
  EXPECT_EQ(policy->signal_period(), Duration::from_seconds(0.05));
  EXPECT_FALSE(make("least-outstanding")->wants_load());
}

std::size_t prompt(RoutingPolicy& policy, const std::vector<ReplicaSignal>& replicas,
                   const std::vector<std::uint64_t>& blocks) {
  RoutingView view;
  view.replicas = replicas;
  view.prefix = blocks;
  view.block_tokens = 100;
  return policy.choose(view);
}

TEST(PrefixAware, FollowsTheLongestBeginning) {
  const auto policy = make("prefix-aware", {{"min_match", 0.5}});
  EXPECT_EQ(prompt(*policy, outstanding({1, 0, 1}), {1, 2, 3, 4}), 1U);
  EXPECT_EQ(prompt(*policy, outstanding({0, 9, 9}), {1, 7}), 0U);        // half of it: too short
  EXPECT_EQ(prompt(*policy, outstanding({0, 9, 0}), {1, 2, 3, 9}), 1U);  // 3 of 4
  EXPECT_EQ(prompt(*policy, outstanding({9, 9, 0}), {1, 7, 8}), 0U);     // 2 of 3 there, 1 of 3 at 1
  // Equal matches go to the less busy one; nothing to match, to the least busy.
  EXPECT_EQ(prompt(*policy, outstanding({3, 2, 0}), {1}), 1U);
  EXPECT_EQ(prompt(*policy, outstanding({3, 2, 0}), {}), 2U);
  EXPECT_TRUE(policy->wants_prefix());
  EXPECT_FALSE(make("round-robin")->wants_prefix());
}

TEST(PrefixAware, BalancesWhenBothThresholdsAreExceeded) {
  const auto policy = make("prefix-aware", {{"balance_difference", 4}, {"balance_ratio", 2}});
  EXPECT_EQ(prompt(*policy, outstanding({1, 0}), {1, 2}), 1U);
  EXPECT_EQ(prompt(*policy, outstanding({0, 4}), {1, 2}), 1U);   // difference 4
  EXPECT_EQ(prompt(*policy, outstanding({5, 10}), {1, 2}), 1U);  // ratio 2
  EXPECT_EQ(prompt(*policy, outstanding({5, 11}), {1, 2}), 0U);
  // Replica 0 has been sent the prompt, too.
  EXPECT_EQ(prompt(*policy, outstanding({1, 2}), {1, 2}), 0U);
}

TEST(PrefixAware, RemembersSoManyTokensPerReplica) {
  const auto policy = make("prefix-aware", {{"cache_tokens", 350}, {"min_match", 0}});
  EXPECT_EQ(prompt(*policy, outstanding({1, 0}), {1, 2}), 1U);
  EXPECT_EQ(prompt(*policy, outstanding({1, 0}), {3, 4}), 1U);  // 4 blocks: the oldest end goes
  EXPECT_EQ(prompt(*policy, outstanding({0, 1}), {2}), 0U);
  EXPECT_EQ(prompt(*policy, outstanding({0, 1}), {1}), 1U);
  // A replica that left starts empty.
  auto one = outstanding({0, 0});
  one.pop_back();
  EXPECT_EQ(prompt(*policy, one, {9}), 0U);
  EXPECT_EQ(prompt(*policy, outstanding({0, 1}), {3}), 0U);
}

TEST(PrefixAware, TiesGoToTheReplicaThatWasSentTheFewestBlocks) {
  const auto policy = make("prefix-aware");
  EXPECT_EQ(prompt(*policy, outstanding({0, 0}), {1, 2}), 0U);
  EXPECT_EQ(prompt(*policy, outstanding({0, 0}), {3}), 1U);
  EXPECT_EQ(prompt(*policy, outstanding({0, 0}), {4}), 1U);
  EXPECT_EQ(prompt(*policy, outstanding({0, 0}), {5}), 0U);
}

std::size_t choose_at(RoutingPolicy& policy, const std::vector<ReplicaSignal>& replicas, double now,
                      double uniform) {
  RoutingView view;
  view.replicas = replicas;
  view.now = Instant::from_seconds(now);
  view.uniform = uniform;
  return policy.choose(view);
}

void answered(RoutingPolicy& policy, std::uint32_t replica, double now, double latency,
              bool succeeded = true) {
  policy.observe({replica, Instant::from_seconds(now), Duration::from_seconds(latency),
                  Duration::from_seconds(latency), Duration::zero(), succeeded});
}

TEST(WeightedRoundRobin, KeepsTheTurnOfReplicasThatAreLeftOutForNow) {
  const auto policy = make("weighted-round-robin");
  const auto three = replicas({1, 1, 1});
  const std::vector<ReplicaSignal> two{three[0], three[2]};
  EXPECT_EQ(sequence(*policy, three, 2), (std::vector<int>{0, 1}));  // currents -1, -1, 2
  RoutingView view;
  view.replicas = two;
  view.partial = true;
  EXPECT_EQ(policy->choose(view), 1U);  // 0, -, 3 pays 2
  EXPECT_EQ(policy->choose(view), 1U);  // 1, -, 2 pays 2
  // 1, -1, 0; had the second one been forgotten, it would be its turn before the third's.
  EXPECT_EQ(sequence(*policy, three, 3), (std::vector<int>{0, 2, 1}));
}

TEST(HashPolicies, KeysStayAsFarAsTheirRuleSays) {
  const auto all = replicas(std::vector<double>(10, 1.0));
  const std::vector<ReplicaSignal> fewer(all.begin(), all.end() - 1);
  constexpr int keys = 20'000;
  // Keys of replicas that are still there and moved all the same when the last of ten has gone.
  const std::map<std::string, std::pair<double, double>> moved{
      {"jump-hash", {0, 0}}, {"consistent-hash", {0, 0}}, {"maglev", {0, 0.1}}, {"modulo-hash", {0.87, 0.91}}};
  for (const auto& [name, limits] : moved) {
    const auto policy = make(name), without = make(name);
    std::vector<int> count(10);
    double stayed = 0, moves = 0;
    for (std::uint64_t key = 0; key < keys; ++key) {
      const std::size_t before = choose(*policy, all, 0.5, hash_combine(1, key));
      ASSERT_EQ(choose(*policy, all, 0.9, hash_combine(1, key)), before) << name;
      ++count[before];
      if (before == 9) continue;
      ++stayed;
      moves += choose(*without, fewer, 0.5, hash_combine(1, key)) != before ? 1 : 0;
    }
    EXPECT_GE(moves / stayed, limits.first) << name;
    EXPECT_LE(moves / stayed, limits.second) << name;
    for (const int c : count) EXPECT_NEAR(c, keys / 10, keys / 10 * 0.35) << name;
  }
}

TEST(BoundedLoad, OverflowsToTheNextReplicaOnTheRing) {
  const auto ring = make("consistent-hash");
  const auto policy = make("bounded-load-hash", {{"load_factor", 1.5}});
  for (std::uint64_t session = 0; session < 200; ++session) {
    auto four = outstanding({1, 1, 1, 1});
    const std::size_t home = choose(*ring, four, 0.5, session);
    EXPECT_EQ(choose(*policy, four, 0.5, session), home);  // room: ceil(1.5 x 5 / 4) = 2
    four[home].outstanding = 3;                            // ceil(1.5 x 7 / 4) = 3: full
    EXPECT_NE(choose(*policy, four, 0.5, session), home);
  }
}

// Requests that stay outstanding never pile up beyond the bound.
TEST(BoundedLoad, HoldsItsBound) {
  const auto policy = make("bounded-load-hash", {{"load_factor", 1.25}});
  auto ten = outstanding(std::vector<std::uint32_t>(10, 0));
  for (int m = 1; m <= 500; ++m) {
    ++ten[choose(*policy, ten, 0.5, static_cast<std::uint64_t>(m % 7))].outstanding;  // few sessions
    for (const ReplicaSignal& r : ten) ASSERT_LE(r.outstanding, std::ceil(1.25 * m / 10)) << m;
  }
}

TEST(JumpHash, MovesKeysOnlyToTheNewBucket) {
  for (const std::int32_t n : {1, 4, 19}) {
    int moved = 0;
    for (std::uint64_t k = 0; k < 20000; ++k) {
      const std::int32_t before = jump_hash(k * 0x9e3779b97f4a7c15ULL, n);
      const std::int32_t after = jump_hash(k * 0x9e3779b97f4a7c15ULL, n + 1);
      if (before == after) continue;
      ++moved;
      ASSERT_EQ(after, n);
    }
    EXPECT_NEAR(moved / 20000.0, 1.0 / (n + 1), 0.01);
  }
}

TEST(Maglev, SharesFollowTheWeights) {
  const auto table = maglev_table(replicas({3, 1, 0}), 65537);
  int counts[3] = {};
  for (const std::uint32_t i : table) ++counts[i];
  EXPECT_NEAR(counts[0] / 65537.0, 0.75, 0.001);
  EXPECT_EQ(counts[2], 0);
  EXPECT_EQ(prime_from(65536), 65537U);
  EXPECT_EQ(prime_from(2), 2U);
}

TEST(PeakEwma, PeaksCountAtOnceAndFadeAway) {
  const auto policy = make("peak-ewma", {{"decay", 10}});
  const auto two = outstanding({0, 0});
  const double first_then_second = 0.25;  // pairs (0, 1)
  answered(*policy, 0, 1, 0.1);
  answered(*policy, 1, 1, 0.2);
  EXPECT_EQ(choose_at(*policy, two, 1, first_then_second), 0U);
  answered(*policy, 0, 2, 0.5);
  EXPECT_EQ(choose_at(*policy, two, 2, first_then_second), 1U);
  // 10 s later a fast answer leaves 0.1 + 0.4 / e = 0.247 against 0.2 / e^1.1 = 0.067.
  answered(*policy, 0, 12, 0.1);
  EXPECT_EQ(choose_at(*policy, two, 12, first_then_second), 1U);
  EXPECT_EQ(choose_at(*policy, outstanding({0, 3}), 12, first_then_second), 0U);  // 0.247 < 4 x 0.067
  EXPECT_EQ(choose_at(*policy, outstanding({0, 2}), 12, first_then_second), 1U);  // 0.247 > 3 x 0.067
}

TEST(PeakEwma, ReplicasWithoutAnAnswerGetOneRequest) {
  const auto policy = make("peak-ewma");
  answered(*policy, 0, 1, 0.1);
  EXPECT_EQ(choose_at(*policy, outstanding({5, 0}), 1, 0.25), 1U);
  EXPECT_EQ(choose_at(*policy, outstanding({5, 1}), 1, 0.25), 0U);
}

// Scores: 0.6 x 100/500 = 0.12 and 0.6 x 1 + 0.4 x 0 = 0.6; chances 0.88^2 : 0.4^2 = 0.7744 : 0.16.
TEST(QoeWeighted, FollowsTheScore) {
  const auto policy = make("qoe-weighted");
  answered(*policy, 0, 1, 0.1);
  answered(*policy, 1, 1, 0.9);
  const auto two = outstanding({0, 0});
  int first = 0;
  for (int i = 0; i < 10000; ++i) first += choose_at(*policy, two, 1, (i + 0.5) / 10000) == 0;
  EXPECT_EQ(first, 8288);  // 0.7744 / 0.9344
  const auto failing = make("qoe-weighted", {{"sharpness", 1}});
  answered(*failing, 0, 1, 0.1);
  answered(*failing, 1, 1, 0.1, false);  // 0.12 + 0.4
  first = 0;
  for (int i = 0; i < 10000; ++i) first += choose_at(*failing, two, 1, (i + 0.5) / 10000) == 0;
  EXPECT_EQ(first, 6471);  // 0.88 / 1.36
}

// Load time 0.5 x 0.8 + interaction 0.3 x 0.2 + media 0.2 x 0.6 = 0.58.
TEST(QoeWeighted, KnowsThePartsOfTheExperience) {
  const auto& e = find_entry(routing_policies(), "qoe-weighted");
  Parameters p(e.parameters);
  p.set("score", "experience");
  p.set("sharpness", 1);
  const auto policy = e.make(p);
  policy->observe({0, Instant(1), Duration::from_seconds(0.4), Duration::from_seconds(0.1),
                   Duration::from_seconds(0.3), true});
  int first = 0;
  for (int i = 0; i < 10000; ++i)
    first += choose_at(*policy, outstanding({0, 0}), 0, (i + 0.5) / 10000) == 0;
  EXPECT_EQ(first, 2958);  // 0.42 / 1.42
}

TEST(LocalityPriority, StaysAtHomeWhileEnoughAreHealthy) {
  const auto policy = make("locality-priority");
  std::vector<ReplicaSignal> six(6);
  for (std::uint32_t i = 0; i < 6; ++i) six[i] = {.replica = i, .zone = i < 3 ? 7U : 9U};
  const auto at_home = [&] {
    int home = 0;
    for (int i = 0; i < 1000; ++i) {
      RoutingView view;
      view.replicas = six;
      view.zone = 7;
      view.uniform = (i + 0.5) / 1000;
      home += six[policy->choose(view)].zone == 7 ? 1 : 0;
    }
    return home;
  };
  EXPECT_EQ(at_home(), 1000);
  six[1].healthy = false;
  EXPECT_EQ(at_home(), 930);  // 140 x 2 / 3 = 93
  six[0].healthy = false;
  EXPECT_EQ(at_home(), 460);
  six[2].healthy = false;
  EXPECT_EQ(at_home(), 0);
  // One of three each: 46 + 46 < 100; both are below half, so all take part: the load halves.
  six[2].healthy = true;
  six[3].healthy = six[4].healthy = false;
  EXPECT_EQ(at_home(), 500);
  RoutingView view;
  view.replicas = six;
  view.zone = 7;
  view.uniform = 0.1;
  six[2].outstanding = 5;
  EXPECT_NE(policy->choose(view), 2U);  // panic: the unhealthy ones are met
}

TEST(OptimalSplit, DrawsInTheseShares) {
  const auto policy = make("optimal-split", {{"arrivals", 10}});
  const auto three = replicas({8, 4, 2});
  int counts[3] = {};
  for (int i = 0; i < 100000; ++i) ++counts[choose(*policy, three, (i + 0.5) / 100000)];
  EXPECT_NEAR(counts[0], 61877, 1);
  EXPECT_NEAR(counts[1], 27185, 1);
  EXPECT_NEAR(counts[2], 10938, 1);
}

// --- truth/load_balancing.json --------------------------------------------------------------

void smooth_weighted(const json& in, const json& expected) {
  const auto all = replicas(in.at("weights"));
  const auto got = sequence(*make("weighted-round-robin"), all, in.at("n"));
  EXPECT_EQ(got, expected.at("sequence").get<std::vector<int>>());
  std::vector<int> counts(all.size());
  for (const int i : got) ++counts[static_cast<std::size_t>(i)];
  EXPECT_EQ(counts, expected.at("counts").get<std::vector<int>>());
}

void naive_contrast(const json& in, const json& expected) {
  const auto naive = expected.at("naive_sequence").get<std::vector<int>>();
  EXPECT_NE(sequence(*make("weighted-round-robin"), replicas(in.at("weights")),
                     static_cast<int>(naive.size())),
            naive);
}

// Requests are in service side by side; one that ends at an arrival's date has left before it.
void least_conn(const json& in, const json& expected) {
  auto all = replicas(in.at("weights"));
  const auto policy = make("least-connections");
  using Departure = std::pair<double, std::size_t>;
  std::priority_queue<Departure, std::vector<Departure>, std::greater<>> departures;
  std::vector<std::size_t> got;
  for (std::size_t i = 0; i < in.at("arrivals").size(); ++i) {
    const double now = in.at("arrivals")[i];
    for (; !departures.empty() && departures.top().first <= now; departures.pop())
      --all[departures.top().second].outstanding;
    got.push_back(choose(*policy, all));
    ++all[got.back()].outstanding;
    departures.emplace(now + in.at("service")[i].get<double>(), got.back());
  }
  EXPECT_EQ(got, expected.at("sequence").get<std::vector<std::size_t>>());
}

// The hash differs from libketama's MD5, so the case's rule is checked: keys move to the new node
// only, about the ideal part of them, and the load is about as even.
void ketama(const json& in, const json& expected) {
  const RingChange got = grow_ring(in.at("nodes"), in.at("keys"));
  EXPECT_EQ(got.moved_between_old, expected.at("keys_moved_between_old_nodes"));
  EXPECT_NEAR(got.moved, expected.at("moved_fraction_ideal").get<double>(), 0.02);
  EXPECT_NEAR(got.max_over_mean, expected.at("load_max_over_mean").get<double>(), 0.12);
}

void modulo_contrast(const json& in, const json& expected) {
  const RingChange got = grow_ring(in.at("nodes"), 20'000);
  EXPECT_LT(got.moved, expected.at("moved_fraction").get<double>() / 5);
}

void envoy_priority(const json& in, const json& expected) {
  const std::vector<std::uint32_t> healthy = in.at("healthy_percent");
  const std::vector<std::uint32_t> total(healthy.size(), 100);
  const auto factor = static_cast<std::uint32_t>(std::lround(100 * in.at("overprovisioning").get<double>()));
  const PriorityLoads got = priority_loads(healthy, total, factor, 0.5);
  EXPECT_EQ(got.percent, expected.at("load_percent").get<std::vector<std::uint32_t>>());
  EXPECT_EQ(got.normalized_total, expected.at("normalized_total_health"));
  EXPECT_EQ(got.panic, expected.at("panic").get<std::vector<bool>>());
}

void envoy_locality(const json& in, const json& expected) {
  std::vector<double> healthy;
  for (const double percent : in.at("healthy_percent")) healthy.push_back(percent / 100);
  const std::vector<double> weights = in.at("weights");
  const auto got = locality_shares(weights, healthy, in.at("overprovisioning"));
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(100 * got[i], expected.at("exact")[i].get<double>(), 1e-9);
    EXPECT_EQ(std::lround(100 * got[i]), expected.at("traffic_percent")[i]);
  }
}

void jump(const json& in, const json& expected) {
  EXPECT_EQ(jump_hash(in.at("key"), in.at("buckets")), expected.at("bucket"));
}

void maglev(const json& in, const json& expected) {
  const std::uint64_t size = in.at("table");
  auto all = replicas(std::vector<double>(in.at("backends").get<std::size_t>(), 1));
  const auto before = maglev_table(all, size);
  std::vector<std::uint64_t> entries(all.size());
  for (const std::uint32_t i : before) ++entries[i];
  const auto [least, most] = std::minmax_element(entries.begin(), entries.end());
  EXPECT_LE(*most - *least, expected.at("max_minus_min_entries").get<std::uint64_t>());
  const auto gone = static_cast<std::uint32_t>(all.size() / 2);
  all.erase(all.begin() + gone);
  const auto after = maglev_table(all, size);
  double moved = 0, extra = 0;
  for (std::size_t i = 0; i < size; ++i) {
    if (before[i] == gone) ++moved;
    else if (all[after[i]].replica != before[i]) ++extra;
  }
  EXPECT_NEAR(moved / static_cast<double>(size), expected.at("ideal_moved").get<double>(), 1e-4);
  EXPECT_NEAR(extra / static_cast<double>(size), expected.at("extra_disruption_fraction").get<double>(), 0.02);
}

void hetero_split(const json& in, const json& expected) {
  const std::vector<double> mu = in.at("mu");
  const double rate = in.at("rate");
  const auto best = optimal_split(rate, mu);
  for (std::size_t i = 0; i < mu.size(); ++i)
    EXPECT_NEAR(best[i], expected.at("optimal_rates")[i].get<double>(), 1e-9);
  EXPECT_NEAR(split_mean_time(best, mu), expected.at("W_optimal").get<double>(), 1e-9);
  std::vector<double> proportional, equal;
  double all = 0;
  for (const double m : mu) all += m;
  for (const double m : mu) {
    proportional.push_back(rate * m / all);
    equal.push_back(rate / static_cast<double>(mu.size()));
  }
  EXPECT_NEAR(split_mean_time(proportional, mu), expected.at("W_proportional").get<double>(), 1e-9);
  if (expected.at("W_equal_split").is_string())
    EXPECT_TRUE(std::isinf(split_mean_time(equal, mu)));
  else
    EXPECT_NEAR(split_mean_time(equal, mu), expected.at("W_equal_split").get<double>(), 1e-9);
}

TEST(RoutingTruth, EveryCaseOfAnImplementedRulePasses) {
  ISTHMUS_NEED_TRUTH();
  const std::map<std::string, std::function<void(const json&, const json&)>> handlers{
      {"nginx smooth weighted round robin", smooth_weighted},
      {"LVS-style / naive weighted RR (bursty) for contrast", naive_contrast},
      {"nginx least_conn (conns/weight, ties by smooth WRR among tied)", least_conn},
      {"Ketama ring (160 points/node, MD5): adding one node", ketama},
      {"hash mod N remap (contrast)", modulo_contrast},
      {"Envoy priority-level failover, overprovisioning factor 1.4 (integer math)", envoy_priority},
      {"Envoy locality-weighted LB: X weight 1 (x% healthy), Y weight 2 (100%)", envoy_locality},
      {"Jump consistent hash", jump},
      {"Maglev table M=65537: balance and disruption when one backend is removed", maglev},
      {"Static probabilistic split to heterogeneous M/M/1: optimal vs proportional weights",
       hetero_split},
  };
  // Cases of running systems, in test_health.cpp and tests/sim/world/test_balancing.cpp.
  const std::set<std::string> elsewhere{
      "nginx passive health: max_fails=1 fail_timeout=10s, peer 1 refuses connections for t<13 s, "
      "next_upstream retry, one request per second",
      "Tail amplification by fan-out: P(any of n leaf calls exceeds its p99)",
      "Independent failure prob p per attempt, up to r retries",
  };
  const json cases = testing::truth_cases("load_balancing");
  std::map<std::string, int> passed;
  for (const json& c : cases) {
    const std::string model = c.at("model");
    SCOPED_TRACE(c.at("id").get<std::string>());
    const auto handler = handlers.find(model);
    if (handler == handlers.end()) {
      EXPECT_TRUE(elsewhere.contains(model)) << "neither covered nor listed: " << model;
      continue;
    }
    const int before = testing::failures_so_far();
    handler->second(c.at("inputs"), c.at("expected"));
    if (testing::failures_so_far() == before) ++passed[model];
  }
  int covered = 0, total = 0;
  for (const auto& [model, n] : testing::cases_per_model(cases)) {
    std::cout << (handlers.contains(model) ? std::to_string(passed[model]) : "-") << " of " << n
              << "  " << model << "\n";
    total += n;
    if (handlers.contains(model)) covered += n;
  }
  EXPECT_EQ(covered, 29);
  EXPECT_EQ(total, static_cast<int>(cases.size()));
}

}  // namespace
}  // namespace isthmus::schedulers
