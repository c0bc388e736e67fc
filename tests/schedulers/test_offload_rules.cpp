// Offload rules that do not learn weights: ratios, shares, virtual queues, sums of criteria, rewards.
#include <gtest/gtest.h>

#include "schedulers/offload_cost_ratios.hpp"
#include "schedulers/offload_estimates.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/random.hpp"

namespace isthmus::schedulers {
namespace {

OffloadCandidate candidate(std::string_view name, Tier tier, double service, double network = 0) {
  OffloadCandidate c;
  c.name = name;
  c.tier = tier;
  c.service = Duration::from_seconds(service);
  c.network = Duration::from_seconds(network);
  return c;
}

std::shared_ptr<OffloadPolicy> make(std::string_view name,
                                    const std::vector<std::pair<std::string, double>>& numbers = {}) {
  const auto& e = find_entry(offload_policies(), name);
  Parameters p(e.parameters);
  for (const auto& [parameter, value] : numbers) p.set(parameter, value);
  return e.make(p);
}

std::size_t chosen(OffloadPolicy& policy, const std::vector<OffloadCandidate>& candidates,
                   double slo = 0, std::uint64_t request = 0) {
  OffloadView view;
  view.request = request;
  view.candidates = candidates;
  view.slo = Duration::from_seconds(slo);
  return policy.decide(view).candidate;
}

// 4 GFLOP on a phone of 10 GFLOP/s: 0.4 s; over 1 MB/s at 10 FLOP per bit: 4e9 / (8e6 * 10) = 50 s.
std::vector<OffloadCandidate> phone_and_cloud() {
  std::vector<OffloadCandidate> all{candidate("phone", Tier::device, 0.5),
                                    candidate("cloud", Tier::cloud, 0.01, 0.2)};
  all[0].work = all[1].work = 4e9;
  all[0].speed = 1e10;
  all[1].speed = 1e13;
  all[1].uplink = all[1].nominal_uplink = 1e6;
  return all;
}

TEST(CostRatio, ComparesTheTwoRatiosByHand) {
  const auto all = phone_and_cloud();
  OffloadView view;
  EXPECT_DOUBLE_EQ(compute_ratio(all[0]), 0.4);
  EXPECT_DOUBLE_EQ(transfer_ratio(view, all[1], 1e6, 10), 50);
  EXPECT_DOUBLE_EQ(transfer_ratio(view, all[0], 0, 10), 0);
  EXPECT_EQ(chosen(*make("cost-ratio"), all), 0u);
  // 1,250 FLOP per bit is where both are equal: 4e9 / (8e6 k) = 0.4.
  EXPECT_EQ(chosen(*make("cost-ratio", {{"flop_per_bit", 1249}}), all), 0u);
  EXPECT_EQ(chosen(*make("cost-ratio", {{"flop_per_bit", 1251}}), all), 1u);
}

TEST(CostRatio, StaysWhereTheDeviceMeetsTheSla) {
  const auto all = phone_and_cloud();
  const auto policy = make("cost-ratio", {{"flop_per_bit", 10000}});
  EXPECT_EQ(chosen(*policy, all, 0.5), 0u);
  EXPECT_EQ(chosen(*policy, all, 0.3), 1u);
  EXPECT_EQ(chosen(*make("cost-ratio", {{"flop_per_bit", 10000}, {"sla", 0.5}}), all, 0.3), 0u);
}

TEST(CostRatio, DoesNotSeeWhatWasMeasured) {
  auto all = phone_and_cloud();
  const auto policy = make("cost-ratio", {{"flop_per_bit", 10000}});
  EXPECT_EQ(chosen(*policy, all), 1u);
  all[1].uplink = 1;
  EXPECT_EQ(chosen(*policy, all), 1u);
}

TEST(CostRatio, LawsHaveNoWorkAndGoByBits) {
  OffloadCandidate c = candidate("law", Tier::cloud, 0.05);
  OffloadView view;
  view.upload = 2e6;
  EXPECT_DOUBLE_EQ(compute_ratio(c), 0.05);
  EXPECT_DOUBLE_EQ(transfer_ratio(view, c, 1e6, 10), 2);
}

TEST(CostRatioFeedback, LearnsThatItsRatiosAreWrongAndTriesAgain) {
  const auto policy = make("cost-ratio-feedback", {{"recovery", 10}, {"gain", 0.5}});
  auto all = phone_and_cloud();
  all[1].uplink = 1e9;  // ratios: 0.4 here, 0.05 there
  OffloadView view;
  view.candidates = all;
  const auto answer = [&](std::size_t candidate, double latency) {
    EXPECT_EQ(policy->decide(view).candidate, candidate);
    OffloadOutcome o;
    o.candidate = candidate;
    o.latency = Duration::from_seconds(latency);
    policy->observe(o);
  };
  answer(0, 0.4);  // what was never tried comes first, in order
  answer(1, 0.05);
  answer(1, 0.05);
  answer(1, 5);  // a hundred times as long: (0.05 + 5) / 2 from now on
  answer(0, 0.4);
  view.now += Duration::from_seconds(50);  // 2.525 / (1 + 5) = 0.42
  answer(0, 0.4);
  view.now += Duration::from_seconds(5);  // 2.525 / (1 + 5.5) = 0.39
  answer(1, 0.05);
}

TEST(WeightedThreshold, SharesByWeightAmongTheFastEnough) {
  const auto& e = find_entry(offload_policies(), "weighted-threshold");
  Parameters p(e.parameters);
  p.set("shares", std::vector<double>{8, 5, 2});
  std::vector<OffloadCandidate> all{candidate("cloud", Tier::cloud, 0.02, 0.05),
                                    candidate("edge", Tier::edge, 0.06, 0.01),
                                    candidate("cpu", Tier::edge, 0.12)};
  const auto share = [&](const std::vector<OffloadCandidate>& view) {
    const auto policy = e.make(p);
    std::vector<int> hits(3);
    for (int i = 0; i < 150; ++i) ++hits[chosen(*policy, view)];
    return hits;
  };
  EXPECT_EQ(share(all), (std::vector<int>{80, 50, 20}));
  auto down = all;
  down[0].healthy = false;
  EXPECT_EQ(share(down)[0], 0);
  EXPECT_NEAR(share(down)[1], 150 * 5 / 7.0, 1);
  auto slow = all;
  slow[2].queued = 10;
  EXPECT_EQ(share(slow)[2], 0);
  for (auto& c : slow) c.queued = 100;
  slow[1].queued = 20;
  EXPECT_EQ(share(slow), (std::vector<int>{0, 150, 0}));  // none below the threshold: the fastest
}

// Cloud: fast and dear in energy. Phone: slow and cheap. On average 1 J per request is allowed.
TEST(Lyapunov, KeepsTheEnergyBudgetAndStaysStable) {
  for (const double v : {1.0, 20.0}) {
    SCOPED_TRACE(v);
    const auto policy = make("lyapunov", {{"v", v}, {"energy_budget", 1}});
    std::vector<OffloadCandidate> all{candidate("phone", Tier::device, 1),
                                      candidate("cloud", Tier::cloud, 0.1)};
    all[0].client_energy = 0.5;
    all[1].client_energy = 2;
    double energy = 0, latency = 0;
    constexpr int rounds = 20'000;
    for (int i = 0; i < rounds; ++i) {
      const std::size_t c = chosen(*policy, all);
      OffloadOutcome o;
      o.candidate = c;
      o.client_energy = all[c].client_energy;
      o.latency = all[c].service;
      energy += o.client_energy;
      latency += o.latency.seconds();
      policy->observe(o);
    }
    // A third on the cloud spends exactly the budget: 0.5 * 2/3 + 2 / 3 = 1, at 0.7 s.
    EXPECT_LT(energy / rounds, 1 + 2 * (v + 2) / rounds);
    EXPECT_NEAR(latency / rounds, 0.7, 0.02);
  }
}

TEST(Lyapunov, KeepsTheShareOfMissedDeadlines) {
  const auto& e = find_entry(offload_policies(), "lyapunov");
  Parameters p(e.parameters);
  p.set("minimise", "energy");
  p.set("deadline", 0.5);
  p.set("misses", 0.25);
  const auto policy = e.make(p);
  std::vector<OffloadCandidate> all{candidate("phone", Tier::device, 1),
                                    candidate("cloud", Tier::cloud, 0.1)};
  all[1].client_energy = 2;
  int missed = 0;
  constexpr int rounds = 20'000;
  for (int i = 0; i < rounds; ++i) {
    OffloadOutcome o;
    o.candidate = chosen(*policy, all);
    o.latency = all[o.candidate].service;
    missed += o.latency.seconds() > 0.5 ? 1 : 0;
    policy->observe(o);
  }
  EXPECT_NEAR(static_cast<double>(missed) / rounds, 0.25, 0.005);
}

TEST(MultiCriteria, ScoresAsPrinted) {
  std::vector<OffloadCandidate> all{candidate("edge", Tier::edge, 0.045), candidate("cloud", Tier::cloud, 0.2)};
  all[0].load = 0.5;
  all[0].accuracy = 0.7;
  all[1].accuracy = 0.9;
  OffloadView view;
  view.candidates = all;
  const OffloadDecision d = make("multi-criteria", {{"base_accuracy", 0.5}})->decide(view);
  EXPECT_EQ(d.candidate, 1u);
  EXPECT_DOUBLE_EQ(d.score, 0.4 / 1.2 + 0.3 + 0.3 * 0.4);
  all[0].load = 0;
  all[1].accuracy = 0.7;
  EXPECT_EQ(make("multi-criteria")->decide(view).candidate, 0u);
}

TEST(Reward, IsAMeanOfThreeTerms) {
  OffloadReward r;
  EXPECT_DOUBLE_EQ(r.of(0.2, 100, 0), 0.5);
  r = {1, 2, 1, 0.1, 3};
  EXPECT_DOUBLE_EQ(r.of(0.3, 1, 0.6), (0.25 + 2 * 0.75 + 0.6) / 4);
  OffloadView view;
  view.reward = {1, 1, 0, 0.2, 1};
  std::vector<OffloadCandidate> all{candidate("phone", Tier::device, 0.3), candidate("cloud", Tier::cloud, 0.1)};
  all[1].client_energy = 4;
  view.candidates = all;
  EXPECT_EQ(make("max-reward")->decide(view).candidate, 0u);  // 0.4 + 1 against 0.667 + 0.2
  EXPECT_EQ(make("oracle")->decide(view).candidate, 0u);
  EXPECT_TRUE(make("oracle")->privileged());
  for (const auto& e : offload_policies())
    EXPECT_EQ(e.make(Parameters(e.parameters))->privileged(), e.name == "oracle");
}

}  // namespace
}  // namespace isthmus::schedulers
