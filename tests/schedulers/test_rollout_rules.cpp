// Numbers of replicas during rollouts, held to the test tables of the Kubernetes Deployment controller
// (pkg/controller/deployment/rolling_test.go) and of Argo Rollouts (utils/replicaset/canary_test.go); analyses by hand.
#include <gtest/gtest.h>

#include <cmath>

#include "schedulers/rollout_analysis.hpp"
#include "schedulers/rollout_rules.hpp"
#include "sim/core/random.hpp"

namespace isthmus::schedulers {
namespace {

Amount number(double n) { return {n, false}; }
Amount share(double s) { return {s, true}; }

TEST(RolloutRules, SharesOfSurgeAreRoundedUpAndOfUnavailableDown) {
  const auto f = [](Amount surge, Amount unavailable, std::uint32_t replicas) {
    const Fenceposts p = fenceposts(surge, unavailable, replicas);
    return std::pair(p.surge, p.unavailable);
  };
  EXPECT_EQ(f(share(0.25), share(0.25), 10), std::pair(3U, 2U));
  EXPECT_EQ(f(share(0.3), share(0.3), 10), std::pair(3U, 3U));
  EXPECT_EQ(f(share(0.25), share(0.25), 1), std::pair(1U, 0U));
  EXPECT_EQ(f(number(0), share(0.1), 5), std::pair(0U, 1U));  // else nothing could ever move
  EXPECT_EQ(f(number(2), number(9), 5), std::pair(2U, 5U));
  EXPECT_EQ(f(share(0.25), share(0.25), 0), std::pair(0U, 0U));
}

TEST(RolloutRules, NewReplicasAsKubernetes) {
  struct Case {
    std::uint32_t replicas, surge, old, fresh, expected;
  };
  for (const Case& c : {Case{10, 0, 10, 0, 0}, Case{10, 2, 10, 0, 2}, Case{10, 2, 5, 0, 7}, Case{10, 2, 10, 2, 2},
                        Case{10, 2, 2, 11, 10}}) {
    const ReplicaTargets t = rolling_step(c.replicas, {c.surge, 0}, {c.fresh, 0}, {c.old, c.old});
    EXPECT_EQ(t.fresh, c.expected) << c.old << " old, " << c.fresh << " new";
  }
}

TEST(RolloutRules, OldReplicasAsKubernetes) {
  struct Case {
    std::uint32_t replicas, unavailable, old, fresh, ready_old, ready_fresh, expected;
  };
  for (const Case& c : {Case{10, 2, 10, 0, 10, 0, 8}, Case{10, 2, 10, 0, 8, 0, 8}, Case{10, 2, 10, 0, 9, 0, 8},
                        Case{10, 2, 8, 2, 8, 0, 8}, Case{10, 0, 10, 1, 10, 1, 9}, Case{10, 2, 10, 0, 1, 0, 8}}) {
    const ReplicaTargets t =
        rolling_step(c.replicas, {0, c.unavailable}, {c.fresh, c.ready_fresh}, {c.old, c.ready_old});
    EXPECT_EQ(t.old, c.expected) << c.ready_old << " of " << c.old << " old ready";
    EXPECT_EQ(t.fresh, c.fresh);
  }
}

// The example in the comment of reconcileOldReplicaSets: 5 new replicas that never become available, and one old
// one lost, must not take further old ones along; rolled back, four of the new ones go at once.
TEST(RolloutRules, BrokenNewReplicasDoNotDrainOldOnes) {
  EXPECT_EQ(rolling_step(10, {3, 2}, {5, 0}, {8, 7}), (ReplicaTargets{5, 8}));
  EXPECT_EQ(rolling_step(10, {3, 2}, {8, 7}, {5, 0}), (ReplicaTargets{8, 1}));
  EXPECT_EQ(rolling_step(10, {3, 2}, {8, 7}, {1, 0}), (ReplicaTargets{10, 1}));
}

struct CanaryCase {
  const char* name;
  std::uint32_t replicas;
  double weight;
  std::uint32_t surge, unavailable, stable, stable_available, canary, canary_available, want_stable, want_canary;
};

TEST(RolloutRules, CanariesByReplicasAsArgo) {
  for (const CanaryCase& c : {
           CanaryCase{"surge", 10, 20, 2, 0, 10, 10, 0, 0, 10, 2},
           CanaryCase{"extra stable replicas", 10, 20, 2, 0, 10, 10, 2, 2, 8, 2},
           CanaryCase{"not past the surge", 10, 30, 2, 0, 10, 10, 0, 0, 10, 2},
           CanaryCase{"unavailable", 10, 20, 0, 2, 10, 10, 0, 0, 8, 0},
           CanaryCase{"not past the unavailable", 10, 30, 0, 2, 10, 10, 0, 0, 8, 0},
           CanaryCase{"both", 10, 50, 2, 1, 10, 10, 0, 0, 9, 2},
           CanaryCase{"weight 0", 10, 0, 1, 1, 10, 10, 1, 1, 10, 0},
           CanaryCase{"weight 100", 10, 100, 1, 1, 1, 1, 10, 10, 0, 10},
           CanaryCase{"one replica, 20 %", 1, 20, 1, 0, 1, 1, 0, 0, 1, 1},
           CanaryCase{"one replica, 90 %", 1, 90, 1, 0, 1, 1, 0, 0, 1, 1},
           CanaryCase{"one replica without surge, 49 %", 1, 49, 0, 1, 1, 1, 0, 0, 1, 0},
           CanaryCase{"one replica without surge, 51 %", 1, 51, 0, 1, 1, 1, 0, 0, 0, 0},
           CanaryCase{"the same, later", 1, 51, 0, 1, 0, 0, 0, 0, 0, 1},
           CanaryCase{"5 % without surge", 10, 5, 0, 1, 10, 10, 0, 0, 9, 0},
           CanaryCase{"the same, later", 10, 5, 0, 1, 9, 9, 0, 0, 9, 1},
           CanaryCase{"both versions unavailable", 10, 100, 1, 0, 10, 2, 10, 8, 2, 9},
           CanaryCase{"surge while the old ones are unavailable", 4, 100, 1, 0, 4, 1, 0, 0, 4, 1},
           CanaryCase{"99 %", 3, 99, 0, 2, 3, 3, 0, 0, 1, 0},
           CanaryCase{"the same, later", 3, 99, 0, 2, 1, 1, 0, 0, 1, 2},
       }) {
    const ReplicaTargets t = canary_step(c.replicas, c.weight, {c.surge, c.unavailable}, {c.canary, c.canary_available},
                                         {c.stable, c.stable_available});
    EXPECT_EQ(t, (ReplicaTargets{c.want_canary, c.want_stable})) << c.name;
  }
}

TEST(RolloutRules, CanariesByTrafficAreRoundedUp) {
  EXPECT_EQ(canary_replicas(10, 5), 1U);
  EXPECT_EQ(canary_replicas(10, 10), 1U);
  EXPECT_EQ(canary_replicas(10, 70), 7U);
  EXPECT_EQ(canary_replicas(3, 34), 2U);
  EXPECT_EQ(canary_replicas(0, 50), 0U);
}

// Whatever becomes ready when, a rolling update ends, and neither limit is ever exceeded by a step of its own.
TEST(RolloutRules, RandomUpdatesKeepTheLimitsAndEnd) {
  const StreamKey draws(7, "rollout rules");
  for (std::uint64_t run = 0; run < 2000; ++run) {
    Rng g = draws.at(run);
    const auto replicas = static_cast<std::uint32_t>(1 + uniform_index(g, 12));
    const Fenceposts limits = fenceposts(number(static_cast<double>(uniform_index(g, 4))),
                                         number(static_cast<double>(uniform_index(g, 4))), replicas);
    const bool canary = run % 2 == 1;
    VersionCounts fresh, old{replicas, replicas};
    int steps = 0;
    for (; steps < 1000 && !(old.replicas == 0 && fresh.available == replicas); ++steps) {
      const ReplicaTargets t = canary ? canary_step(replicas, 100, limits, fresh, old) : rolling_step(replicas, limits, fresh, old);
      EXPECT_LE(t.fresh + t.old, replicas + limits.surge);
      const bool shrinks = t.old < old.replicas;
      old.available = std::min(old.available, t.old);
      old.replicas = t.old;
      fresh.replicas = t.fresh;
      fresh.available = std::min(fresh.available, t.fresh);
      if (shrinks) {
        EXPECT_GE(fresh.available + old.available + limits.unavailable, replicas);
      }
      if (fresh.available < fresh.replicas && uniform_index(g, 2) == 0) ++fresh.available;
    }
    EXPECT_LT(steps, 1000) << replicas << " replicas, " << limits.surge << ", " << limits.unavailable;
  }
}

// ---- analyses --------------------------------------------------------------------------------------

TEST(RolloutAnalysis, JudgesThresholdsAndTheOldVersion) {
  AnalysisSpec s;
  s.least_requests = 10;
  s.at_most = 0.05;
  double value = 0;
  EXPECT_EQ(judge(s, {100, 5, {}}, {}, value), Measured::passed);
  EXPECT_DOUBLE_EQ(value, 0.05);
  EXPECT_EQ(judge(s, {100, 6, {}}, {}, value), Measured::failed);
  EXPECT_EQ(judge(s, {9, 9, {}}, {}, value), Measured::inconclusive);
  EXPECT_TRUE(std::isnan(value));
  s.at_most = HUGE_VAL;
  s.margin = 0.01;
  EXPECT_EQ(judge(s, {100, 6, {}}, {1000, 50, {}}, value), Measured::passed);
  EXPECT_EQ(judge(s, {100, 7, {}}, {1000, 50, {}}, value), Measured::failed);
  EXPECT_EQ(judge(s, {100, 7, {}}, {3, 0, {}}, value), Measured::inconclusive);

  AnalysisSpec l;
  l.metric = RolloutMetric::latency;
  l.percentile = 90;
  l.factor = 2;
  l.least_requests = 1;
  const VersionWindow old{10, 0, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}};
  EXPECT_EQ(judge(l, {10, 0, {18, 18, 18, 18, 18, 18, 18, 18, 18, 99}}, old, value), Measured::passed);
  EXPECT_DOUBLE_EQ(value, 18);  // the ninth of ten
  EXPECT_EQ(judge(l, {10, 0, {18, 18, 18, 18, 18, 18, 18, 18, 19, 99}}, old, value), Measured::failed);
  EXPECT_EQ(judge(l, {10, 10, {}}, old, value), Measured::inconclusive);
}

TEST(RolloutAnalysis, EndsByCountAndLimits) {
  using State = AnalysisRun::State;
  AnalysisSpec s;
  s.count = 3;
  s.failure_limit = 1;
  s.inconclusive_limit = 2;
  AnalysisRun a;
  EXPECT_EQ(a.add(s, Measured::passed), State::running);
  EXPECT_EQ(a.add(s, Measured::failed), State::running);
  EXPECT_EQ(a.add(s, Measured::inconclusive), State::running);  // does not count
  EXPECT_EQ(a.add(s, Measured::passed), State::succeeded);
  AnalysisRun b;
  b.add(s, Measured::failed);
  EXPECT_EQ(b.add(s, Measured::failed), State::failed);
  EXPECT_EQ(b.add(s, Measured::passed), State::failed);
  AnalysisRun c;
  c.add(s, Measured::inconclusive);
  c.add(s, Measured::inconclusive);
  EXPECT_EQ(c.add(s, Measured::inconclusive), State::inconclusive);
  s.count = 0;
  AnalysisRun d;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(d.add(s, Measured::passed), State::running);
}

TEST(RolloutAnalysis, SeesOnlyWhatWasScraped) {
  const auto at = [](double s) { return Instant::zero() + Duration::from_seconds(s); };
  VersionScrapes v(Duration::from_seconds(30));
  v.count(true, true, 0);
  EXPECT_EQ(v.window(true, Duration::from_seconds(30), at(9)).requests, 0U);
  v.scrape(at(10));
  v.count(true, false, 0.5);
  v.count(false, false, 0.25);
  EXPECT_EQ(v.window(true, Duration::from_seconds(30), at(19)).errors, 1U);
  EXPECT_EQ(v.window(true, Duration::from_seconds(30), at(19)).requests, 1U);
  v.scrape(at(20));
  const VersionWindow both = v.window(true, Duration::from_seconds(30), at(20));
  EXPECT_EQ(both.requests, 2U);
  EXPECT_EQ(both.latencies, std::vector<double>{0.5});
  EXPECT_EQ(v.window(true, Duration::from_seconds(10), at(20)).requests, 1U);  // since the scrape of 10 s
  EXPECT_EQ(v.window(false, Duration::from_seconds(30), at(20)).requests, 1U);
  v.scrape(at(60));
  EXPECT_EQ(v.window(true, Duration::from_seconds(30), at(60)).requests, 0U);
}

}  // namespace
}  // namespace isthmus::schedulers
