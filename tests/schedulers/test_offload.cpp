#include <gtest/gtest.h>

#include "schedulers/offload_estimates.hpp"
#include "schedulers/registry.hpp"

namespace isthmus::schedulers {
namespace {

using namespace std::string_view_literals;

Duration ms(double v) { return Duration::from_seconds(v * 1e-3); }

OffloadCandidate candidate(std::string_view name, Tier tier, double service_ms,
                           double network_ms = 0) {
  OffloadCandidate c;
  c.name = name;
  c.tier = tier;
  c.service = ms(service_ms);
  c.network = ms(network_ms);
  return c;
}

std::shared_ptr<OffloadPolicy> make(std::string_view name) {
  const auto& e = find_entry(offload_policies(), name);
  return e.make(Parameters(e.parameters));
}

template <class Value>
std::shared_ptr<OffloadPolicy> make(std::string_view name, const std::string& parameter,
                                    Value value) {
  const auto& e = find_entry(offload_policies(), name);
  Parameters p(e.parameters);
  p.set(parameter, value);
  return e.make(p);
}

std::string_view chosen(OffloadPolicy& policy, const std::vector<OffloadCandidate>& candidates,
                        Duration slo = Duration::zero()) {
  OffloadView view;
  view.candidates = candidates;
  view.slo = slo;
  return candidates[policy.decide(view).candidate].name;
}

std::vector<OffloadCandidate> three_tiers() {
  return {candidate("phone", Tier::device, 80), candidate("edge", Tier::edge, 30, 20),
          candidate("cloud-a", Tier::cloud, 15, 60), candidate("cloud-b", Tier::cloud, 15, 60)};
}

TEST(EstimatedLatency, AnIdleServiceTakesNetworkAndService) {
  OffloadCandidate c = candidate("x", Tier::edge, 30, 20);
  EXPECT_DOUBLE_EQ(estimated_latency(c), 0.05);
}

TEST(EstimatedLatency, OneSlotQueues) {
  OffloadCandidate c = candidate("x", Tier::edge, 30, 20);
  c.running = 1;
  c.queued = 3;
  EXPECT_DOUBLE_EQ(estimated_latency(c), 0.02 + 4 * 0.03 + 0.03);
}

TEST(EstimatedLatency, IndependentSlotsShareTheQueue) {
  OffloadCandidate c = candidate("x", Tier::edge, 40);
  c.slots = 4;
  c.parallel_speedup = 4;
  c.running = 3;
  EXPECT_DOUBLE_EQ(estimated_latency(c), 0.04);  // a slot is free
  c.running = 4;
  c.queued = 1;
  EXPECT_DOUBLE_EQ(estimated_latency(c), 2 * 0.01 + 0.04);  // two departures at 100 per second
}

TEST(EstimatedLatency, SlotsWithoutSpeedupSlowEachOtherDown) {
  OffloadCandidate c = candidate("x", Tier::edge, 40);
  c.slots = 4;
  c.parallel_speedup = 1;
  c.running = 1;
  EXPECT_DOUBLE_EQ(estimated_latency(c), 0.08);
}

TEST(EstimatedLatency, NeverFallsWhenWorkIsAdded) {
  for (const double speedup : {0.5, 1.0, 2.5, 8.0, 20.0}) {
    OffloadCandidate c = candidate("x", Tier::edge, 40);
    c.slots = 8;
    c.parallel_speedup = speedup;
    double before = 0;
    for (std::uint32_t ahead = 0; ahead < 40; ++ahead) {
      c.running = std::min(ahead, 8U);
      c.queued = ahead - c.running;
      const double latency = estimated_latency(c);
      EXPECT_GE(latency, before - 1e-12);
      before = latency;
    }
  }
}

TEST(AlwaysPolicies, PickTheirTier) {
  const auto all = three_tiers();
  EXPECT_EQ(chosen(*make("always-local"), all), "phone");
  EXPECT_EQ(chosen(*make("always-edge"), all), "edge");
  EXPECT_EQ(chosen(*make("always-cloud"), all), "cloud-b");
}

TEST(AlwaysPolicies, CopeWithMissingTiers) {
  const std::vector<OffloadCandidate> no_device{candidate("cloud", Tier::cloud, 10),
                                                candidate("edge", Tier::edge, 10)};
  EXPECT_EQ(chosen(*make("always-local"), no_device), "edge");
  const std::vector<OffloadCandidate> device_only{candidate("phone", Tier::device, 10)};
  EXPECT_EQ(chosen(*make("always-cloud"), device_only), "phone");
  EXPECT_EQ(chosen(*make("always-edge"), device_only), "phone");
}

TEST(AlwaysPolicies, PreferHealthyWithinTheTierAndKeepToIt) {
  auto all = three_tiers();
  all[3].healthy = false;
  EXPECT_EQ(chosen(*make("always-cloud"), all), "cloud-a");
  all[0].healthy = false;
  EXPECT_EQ(chosen(*make("always-local"), all), "phone");
}

TEST(MinLatency, FollowsTheQueue) {
  auto all = three_tiers();
  EXPECT_EQ(chosen(*make("min-latency"), all), "edge");
  all[1].running = 1;
  all[1].queued = 2;
  EXPECT_EQ(chosen(*make("min-latency"), all), "cloud-a");
  all[2].healthy = all[3].healthy = false;
  EXPECT_EQ(chosen(*make("min-latency"), all), "phone");
}

TEST(MinLatency, DoesNotLookAtThePrice) {
  auto all = three_tiers();
  all[1].cost = 1000;
  EXPECT_EQ(chosen(*make("min-latency"), all, ms(1000)), "edge");
}

TEST(MinEnergy, BreaksTiesByLatency) {
  auto all = three_tiers();
  all[0].client_energy = 2;
  for (std::size_t i = 1; i < 4; ++i) all[i].client_energy = 1;
  EXPECT_EQ(chosen(*make("min-energy"), all), "edge");
  all[0].client_energy = 0.5;
  EXPECT_EQ(chosen(*make("min-energy"), all), "phone");
}

TEST(CheapestWithinSlo, PaysOnlyForWhatTheSloNeeds) {
  auto all = three_tiers();  // 80, 50, 75 and 75 ms
  all[1].cost = 3;
  all[2].cost = all[3].cost = 1;
  EXPECT_EQ(chosen(*make("cheapest-within-slo"), all, ms(100)), "phone");   // 90 ms allowed
  EXPECT_EQ(chosen(*make("cheapest-within-slo"), all, ms(85)), "cloud-a");  // 76.5 ms
  EXPECT_EQ(chosen(*make("cheapest-within-slo"), all, ms(60)), "edge");     // 54 ms
  EXPECT_EQ(chosen(*make("cheapest-within-slo"), all, ms(10)), "edge");     // none: the fastest
  EXPECT_EQ(chosen(*make("cheapest-within-slo"), all), "phone");            // no SLO: the cheapest
  EXPECT_EQ(chosen(*make("cheapest-within-slo", "margin", 1.0), all, ms(80)), "phone");
}

double score_of(std::string_view policy, double alpha, double load, double cloud_latency_s) {
  std::vector<OffloadCandidate> two{candidate("phone", Tier::device, 80),
                                    candidate("cloud", Tier::cloud, cloud_latency_s * 1000)};
  two[0].load = load;
  OffloadView view;
  view.candidates = two;
  return make(policy, "alpha", alpha)->decide(view).score;
}

TEST(Score, IsTheFormulaOfR14) {
  EXPECT_DOUBLE_EQ(score_of("score", 0.6, 0.25, 1.0), 0.6 * 0.75 + 0.4 / 2);
  EXPECT_DOUBLE_EQ(score_of("score-corrected", 0.6, 0.25, 1.0), 0.6 * 0.75 + 0.4 * 1.0 / 2);
  EXPECT_DOUBLE_EQ(score_of("score", 0.8, 0.5, 0.25), 0.8 * 0.5 + 0.2 / 1.25);
  EXPECT_DOUBLE_EQ(score_of("score-corrected", 0.8, 0.5, 0.25), 0.8 * 0.5 + 0.2 * 0.25 / 1.25);
}

TEST(Score, HasItsBoundaryWhereTheFormulaSays) {
  for (const double alpha : {0.4, 0.6, 0.7, 0.9}) {
    for (const double latency : {0.05, 0.2, 0.6}) {
      const double boundary = 1 - (0.5 - (1 - alpha) / (1 + latency)) / alpha;
      if (boundary < 0.01 || boundary > 0.99) continue;
      EXPECT_GT(score_of("score", alpha, boundary - 0.005, latency), 0.5);
      EXPECT_LT(score_of("score", alpha, boundary + 0.005, latency), 0.5);
    }
  }
}

// The rule as printed sends more requests to a slower cloud; the corrected one fewer.
TEST(Score, RespondsInverselyAsPrinted) {
  EXPECT_GT(score_of("score", 0.6, 0.6, 0.1), score_of("score", 0.6, 0.6, 2.0));
  EXPECT_LT(score_of("score-corrected", 0.6, 0.6, 0.1), score_of("score-corrected", 0.6, 0.6, 2.0));
  std::vector<OffloadCandidate> two{candidate("phone", Tier::device, 80),
                                    candidate("cloud", Tier::cloud, 100)};
  two[0].load = 0.7;
  EXPECT_EQ(chosen(*make("score"), two), "phone");
  EXPECT_EQ(chosen(*make("score-corrected"), two), "cloud");
  two[1].service = ms(5000);
  EXPECT_EQ(chosen(*make("score"), two), "cloud");
  EXPECT_EQ(chosen(*make("score-corrected"), two), "phone");
}

TEST(Score, TheTieGoesToTheCloud) {
  std::vector<OffloadCandidate> two{candidate("phone", Tier::device, 80),
                                    candidate("cloud", Tier::cloud, 0)};
  two[0].load = 1;  // score exactly 1 - alpha = 0.5
  EXPECT_EQ(chosen(*make("score", "alpha", 0.5), two), "cloud");
}

TEST(Score, TakesTheEdgeForTheCloudWhereThereIsNone) {
  std::vector<OffloadCandidate> two{candidate("phone", Tier::device, 80),
                                    candidate("edge", Tier::edge, 100)};
  two[0].load = 1;
  EXPECT_EQ(chosen(*make("score"), two), "edge");
  two[1].healthy = false;
  EXPECT_EQ(chosen(*make("score"), two), "phone");
}

TEST(Threshold, IsR16ByDefault) {
  auto all = three_tiers();
  EXPECT_EQ(chosen(*make("threshold"), all), "cloud-b");  // 75 ms < 150 ms
  all[3].network = ms(135);                               // 150 ms is not below it
  EXPECT_EQ(chosen(*make("threshold"), all), "edge");
  all[1].healthy = false;
  EXPECT_EQ(chosen(*make("threshold"), all), "cloud-b");
  all[2].healthy = all[3].healthy = false;
  all[1].healthy = true;
  EXPECT_EQ(chosen(*make("threshold"), all), "edge");
}

TEST(Threshold, TakesNamesAndTiers) {
  const auto all = three_tiers();
  EXPECT_EQ(chosen(*make("threshold", "primary", "device"), all), "phone");
  EXPECT_EQ(chosen(*make("threshold", "primary", "cloud-a"), all), "cloud-a");
  try {
    chosen(*make("threshold", "primary", "cluod-a"), all);
    FAIL();
  } catch (const InputError& e) {
    EXPECT_EQ(e.what(),
              "threshold policy: primary \"cluod-a\" is no tier and no candidate; did you mean "
              "\"cloud-a\"?"sv);
  }
}

TEST(OffloadRandom, SpreadsEvenlyOverTheHealthy) {
  auto all = three_tiers();
  all[1].healthy = false;
  int hits[4] = {};
  const auto policy = make("random");
  OffloadView view;
  view.candidates = all;
  for (int i = 0; i < 300; ++i) {
    view.uniform = (i + 0.5) / 300;
    ++hits[policy->decide(view).candidate];
  }
  EXPECT_EQ(hits[0], 100);
  EXPECT_EQ(hits[1], 0);
  EXPECT_EQ(hits[2], 100);
  EXPECT_EQ(hits[3], 100);
}

TEST(OffloadRoundRobin, SkipsTheUnhealthy) {
  auto all = three_tiers();
  const auto policy = make("round-robin");
  std::string order;
  for (int i = 0; i < 5; ++i) order += chosen(*policy, all).substr(0, 1);
  EXPECT_EQ(order, "peccp");
  all[1].healthy = false;
  order.clear();
  for (int i = 0; i < 4; ++i) order += chosen(*policy, all).substr(0, 1);
  EXPECT_EQ(order, "ccpc");
}

}  // namespace
}  // namespace isthmus::schedulers
