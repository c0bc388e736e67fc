#include "schedulers/health.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "schedulers/registry.hpp"
#include "schedulers/routing_policy.hpp"
#include "tests/schedulers/truth.hpp"

namespace isthmus::schedulers {
namespace {

Instant at(double seconds) { return Instant::from_seconds(seconds); }
Duration span(double seconds) { return Duration::from_seconds(seconds); }

ReplicaHealth with(const HealthSpec& spec, std::uint32_t replicas) {
  ReplicaHealth health(spec);
  for (std::uint32_t i = 0; i < replicas; ++i) health.joined(i, at(0));
  return health;
}

void once(ReplicaHealth& health, std::uint32_t replica, TryEnd how, double date) {
  health.tried(replica, at(date), false);
  health.ended(replica, how, at(date), false);
}

bool usable(ReplicaHealth& health, std::uint32_t replica, double date) {
  return health.usable(replica, 0, at(date), false);
}

// nginx: two failures within fail_timeout take it out for as long, then one request probes it.
TEST(Health, MaxFailsTakesOutAndOneRequestProbes) {
  HealthSpec spec;
  spec.others.max_fails = 2;
  spec.others.fail_timeout = span(30);
  ReplicaHealth health = with(spec, 2);
  once(health, 0, TryEnd::error, 1);
  EXPECT_TRUE(usable(health, 0, 1));
  once(health, 0, TryEnd::timeout, 5);
  EXPECT_FALSE(usable(health, 0, 5));
  EXPECT_FALSE(usable(health, 0, 35));  // 30 s later: not more than fail_timeout
  EXPECT_TRUE(usable(health, 0, 35.1));
  EXPECT_TRUE(health.usable(0, 0, at(6), true));  // the only one is never taken out
  health.tried(0, at(36), false);                 // the probe is under way
  EXPECT_FALSE(usable(health, 0, 36.5));
  health.ended(0, TryEnd::answered, at(37), false);
  EXPECT_TRUE(usable(health, 0, 37));
  once(health, 0, TryEnd::error, 38);
  EXPECT_TRUE(usable(health, 0, 38));  // counted from nothing again
  EXPECT_EQ(health.counts().failures, 3U);
}

TEST(Health, RefusalsAndGivenUpRequestsAreNoFailuresOfMaxFails) {
  HealthSpec spec;
  spec.others.max_fails = 1;
  ReplicaHealth health = with(spec, 2);
  once(health, 0, TryEnd::rejected, 1);
  once(health, 0, TryEnd::abandoned, 2);
  EXPECT_TRUE(usable(health, 0, 2));
}

TEST(Health, LimitsDownAndMaxConns) {
  HealthSpec spec;
  spec.servers.resize(2);
  spec.servers[0].down = true;
  spec.servers[1].max_conns = 3;
  spec.max_requests = 2;
  spec.max_retries = 1;
  ReplicaHealth health = with(spec, 2);
  EXPECT_FALSE(usable(health, 0, 0));
  EXPECT_TRUE(health.usable(1, 2, at(0), false));
  EXPECT_FALSE(health.usable(1, 3, at(0), false));
  health.tried(1, at(0), false);
  EXPECT_TRUE(health.admits());
  health.tried(1, at(0), true);
  EXPECT_FALSE(health.admits());
  EXPECT_FALSE(health.admits_retry());
  health.ended(1, TryEnd::abandoned, at(1), true);
  EXPECT_TRUE(health.admits());
  EXPECT_TRUE(health.admits_retry());
}

// Ejections last 30 s, then 60 s; looks at who may return come every 10 s.
TEST(Outlier, ConsecutiveErrorsEjectForLongerEachTime) {
  HealthSpec spec;
  spec.outlier = OutlierSpec{};
  spec.outlier->consecutive_errors = 3;
  ReplicaHealth health = with(spec, 10);
  EXPECT_TRUE(usable(health, 4, 0));  // looks at 10, 20, ...
  once(health, 4, TryEnd::error, 1);
  once(health, 4, TryEnd::answered, 1.5);
  once(health, 4, TryEnd::error, 2);
  once(health, 4, TryEnd::rejected, 2.5);
  EXPECT_TRUE(usable(health, 4, 3));
  once(health, 4, TryEnd::error, 3);
  EXPECT_FALSE(usable(health, 4, 3));
  EXPECT_FALSE(usable(health, 4, 39.9));
  EXPECT_TRUE(usable(health, 4, 40));
  for (int i = 0; i < 3; ++i) once(health, 4, TryEnd::error, 41);
  EXPECT_FALSE(usable(health, 4, 100.9));
  EXPECT_TRUE(usable(health, 4, 110));  // 60 s from 41 are over at the look at 110
  // Two quiet intervals forget both; then it is 30 s again.
  EXPECT_TRUE(usable(health, 4, 131));
  for (int i = 0; i < 3; ++i) once(health, 4, TryEnd::error, 132);
  EXPECT_FALSE(usable(health, 4, 169.9));
  EXPECT_TRUE(usable(health, 4, 170));
  EXPECT_EQ(health.counts().ejections, 3U);
  EXPECT_EQ(health.counts().returns, 3U);
}

TEST(Outlier, EjectsAtMostItsShareButAlwaysOne) {
  HealthSpec spec;
  spec.outlier = OutlierSpec{};
  spec.outlier->consecutive_errors = 1;
  spec.outlier->max_ejected = 0.5;
  ReplicaHealth health = with(spec, 4);
  for (std::uint32_t i = 0; i < 4; ++i) once(health, i, TryEnd::error, 1);
  int left = 0;
  for (std::uint32_t i = 0; i < 4; ++i) left += usable(health, i, 1);
  EXPECT_EQ(left, 2);
  spec.outlier->max_ejected = 0;
  ReplicaHealth one = with(spec, 4);
  for (std::uint32_t i = 0; i < 4; ++i) once(one, i, TryEnd::error, 1);
  left = 0;
  for (std::uint32_t i = 0; i < 4; ++i) left += usable(one, i, 1);
  EXPECT_EQ(left, 3);
}

// Rates 1, 1, 1, 1, 0.5: mean 0.9, standard deviation 0.2; 0.9 - 1.9 x 0.2 = 0.52 ejects the last.
TEST(Outlier, SuccessRatesFarBelowTheMeanEject) {
  HealthSpec spec;
  spec.outlier = OutlierSpec{};
  spec.outlier->consecutive_errors = 0;
  ReplicaHealth health = with(spec, 5);
  usable(health, 0, 0);
  for (std::uint32_t i = 0; i < 5; ++i)
    for (int k = 0; k < 100; ++k)
      once(health, i, i == 4 && k % 2 == 0 ? TryEnd::error : TryEnd::answered, 5);
  EXPECT_TRUE(usable(health, 4, 9.9));
  EXPECT_FALSE(usable(health, 4, 10));
  for (std::uint32_t i = 0; i < 4; ++i) EXPECT_TRUE(usable(health, i, 10));
  spec.outlier->stdev_factor = 2.1;  // 0.48
  ReplicaHealth lenient = with(spec, 5);
  usable(lenient, 0, 0);
  for (std::uint32_t i = 0; i < 5; ++i)
    for (int k = 0; k < 100; ++k)
      once(lenient, i, i == 4 && k % 2 == 0 ? TryEnd::error : TryEnd::answered, 5);
  EXPECT_TRUE(usable(lenient, 4, 10));
}

TEST(Breaker, OpensProbesAndCloses) {
  HealthSpec spec;
  spec.breaker = BreakerSpec{0.5, 4, span(10), span(5), 2};
  ReplicaHealth health = with(spec, 2);
  for (const TryEnd how : {TryEnd::error, TryEnd::error, TryEnd::answered}) once(health, 0, how, 1);
  EXPECT_TRUE(usable(health, 0, 1));  // too few
  once(health, 0, TryEnd::answered, 1);
  EXPECT_FALSE(usable(health, 0, 1));  // 2 of 4
  EXPECT_FALSE(usable(health, 0, 5.9));
  EXPECT_TRUE(usable(health, 0, 6));  // half open: two probes at once, no more
  health.tried(0, at(6), false);
  EXPECT_TRUE(usable(health, 0, 6));
  health.tried(0, at(6), false);
  EXPECT_FALSE(usable(health, 0, 6));
  health.ended(0, TryEnd::answered, at(6.5), false);
  health.ended(0, TryEnd::error, at(6.5), false);
  EXPECT_FALSE(usable(health, 0, 11.4));  // open again
  EXPECT_TRUE(usable(health, 0, 11.5));
  once(health, 0, TryEnd::answered, 12);
  once(health, 0, TryEnd::answered, 12);
  for (int i = 0; i < 3; ++i) health.tried(0, at(13), false);
  EXPECT_TRUE(usable(health, 0, 13));  // closed
  EXPECT_EQ(health.counts().opened, 2U);
}

TEST(Breaker, AProbeThatIsGivenUpLetsAnotherOneThrough) {
  HealthSpec spec;
  spec.breaker = BreakerSpec{0.5, 1, span(10), span(5), 1};
  ReplicaHealth health = with(spec, 2);
  once(health, 0, TryEnd::error, 1);
  ASSERT_TRUE(usable(health, 0, 6));
  health.tried(0, at(6), false);
  EXPECT_FALSE(usable(health, 0, 7));
  health.ended(0, TryEnd::abandoned, at(8), false);
  EXPECT_TRUE(usable(health, 0, 8));
}

TEST(SlowStart, WeightsGrow) {
  HealthSpec spec;
  spec.others.weight = 8;
  spec.slow_start = SlowStartSpec{span(40), 1, 0.1};
  ReplicaHealth health = with(spec, 1);
  EXPECT_DOUBLE_EQ(health.weight(0, at(0)), 0.8);
  EXPECT_DOUBLE_EQ(health.weight(0, at(10)), 2);
  EXPECT_DOUBLE_EQ(health.weight(0, at(40)), 8);
  spec.slow_start->aggression = 2;
  EXPECT_DOUBLE_EQ(with(spec, 1).weight(0, at(10)), 4);
  health.joined(0, at(100));  // its process has started anew
  EXPECT_DOUBLE_EQ(health.weight(0, at(120)), 4);
}

TEST(ActiveChecks, NeedSeveralProbesInARow) {
  HealthSpec spec;
  spec.active = ActiveCheckSpec{span(5), 2, 3};
  ReplicaHealth health = with(spec, 2);
  health.probed(0, false);
  health.probed(0, true);
  health.probed(0, false);
  EXPECT_TRUE(usable(health, 0, 1));
  health.probed(0, false);
  EXPECT_FALSE(usable(health, 0, 1));
  health.probed(0, true);
  health.probed(0, true);
  EXPECT_FALSE(usable(health, 0, 1));
  health.probed(0, true);
  EXPECT_TRUE(usable(health, 0, 1));
}

// truth/load_balancing.json: a request per second, peer 1 refuses connections until a date.
TEST(HealthTruth, NginxMaxFails) {
  ISTHMUS_NEED_TRUTH();
  int cases = 0;
  for (const auto& c : testing::truth_cases("load_balancing")) {
    if (!c.at("inputs").contains("down")) continue;
    ++cases;
    const auto& in = c.at("inputs");
    const std::uint32_t peers = 3, dead = in.at("down").at("peer");
    const double until = in.at("down").at("until");
    HealthSpec spec;
    spec.others.max_fails = 1;
    ReplicaHealth health = with(spec, peers);
    const auto& entry = find_entry(routing_policies(), "weighted-round-robin");
    const auto policy = entry.make(Parameters(entry.parameters));
    for (std::size_t i = 0; i < in.at("arrivals").size(); ++i) {
      const double now = in.at("arrivals")[i];
      std::vector<std::uint32_t> failed;
      while (true) {
        std::vector<ReplicaSignal> among;
        for (std::uint32_t p = 0; p < peers; ++p)
          if (std::find(failed.begin(), failed.end(), p) == failed.end() && usable(health, p, now)) {
            among.push_back({p, 0, health.weight(p, at(now))});
            among.back().penalty = health.take_penalty(p);
          }
        ASSERT_FALSE(among.empty());
        RoutingView view;
        view.replicas = among;
        view.partial = among.size() < peers;
        const std::uint32_t to = among[policy->choose(view)].replica;
        const bool refused = to == dead && now < until;
        once(health, to, refused ? TryEnd::error : TryEnd::answered, now);
        if (refused) {
          failed.push_back(to);
          continue;
        }
        const auto& expected = c.at("expected").at("log")[i];
        EXPECT_EQ(to, expected.at("served_by").get<std::uint32_t>()) << now;
        EXPECT_EQ(failed, expected.at("failed_attempts").get<std::vector<std::uint32_t>>()) << now;
        break;
      }
    }
  }
  EXPECT_EQ(cases, 1);
}

}  // namespace
}  // namespace isthmus::schedulers
