#include <gtest/gtest.h>

#include <deque>

#include "schedulers/registry.hpp"

namespace isthmus::schedulers {
namespace {

Duration s(double v) { return Duration::from_seconds(v); }

using Settings = std::vector<std::pair<std::string, double>>;

// A policy with settings, and a clock that ticks every 15 s.
class Service {
 public:
  Service(std::string_view policy, const Settings& numbers,
          const std::vector<std::pair<std::string, std::string>>& texts = {}) {
    const auto& e = find_entry(autoscaling_policies(), policy);
    Parameters p(e.parameters);
    for (const auto& [name, value] : numbers) p.set(name, value);
    for (const auto& [name, value] : texts) p.set(name, value);
    policy_ = e.make(p);
  }

  AutoscalingDecision tick(std::uint32_t current, const std::vector<ReplicaSample>& samples,
                           double waiting = 0) {
    AutoscalingView view;
    now_ += s(15);
    view.now = view.observed_at = now_;
    view.current = current;
    view.replicas = samples;
    view.waiting = waiting;
    return policy_->decide(view);
  }

 private:
  std::shared_ptr<AutoscalingPolicy> policy_;
  Instant now_;
};

ReplicaSample sample(std::optional<double> utilization, std::optional<double> in_flight = {}) {
  ReplicaSample r;
  r.age = s(3600);
  r.utilization = utilization;
  r.in_flight = in_flight;
  return r;
}

std::vector<ReplicaSample> each(std::uint32_t n, const ReplicaSample& r) {
  return std::vector<ReplicaSample>(n, r);
}

TEST(FixedCount, KeepsTheInitialCount) {
  Service service("fixed", {});
  EXPECT_EQ(service.tick(4, each(4, sample(1.0))).desired, 4u);
  EXPECT_EQ(service.tick(3, each(3, sample(1.0))).desired, 4u);  // one was lost: ask for it again
}

TEST(QueueLength, DividesWhatIsInFlightByTheTarget) {
  Service service("queue-length", {{"target", 4}, {"max_replicas", 8}});
  EXPECT_EQ(service.tick(2, each(2, sample({}, 6.5))).desired, 4u);  // ceil(13 / 4)
  EXPECT_EQ(service.tick(2, each(2, sample({}, 0))).desired, 1u);
  EXPECT_EQ(service.tick(2, each(2, sample({}, 1000))).desired, 8u);
  EXPECT_EQ(service.tick(2, each(2, sample({}, 4)), 1).desired, 3u);
}

TEST(QueueLength, DoesNotShrinkOnMissingSamples) {
  Service service("queue-length", {{"target", 4}});
  EXPECT_EQ(service.tick(3, {sample({}, 1), sample({}, 1), sample({}, {})}).desired, 3u);
  ReplicaSample starting = sample({}, {});
  starting.ready = false;
  EXPECT_EQ(service.tick(3, {sample({}, 1), sample({}, 1), starting}).desired, 1u);
}

TEST(QueueLength, LeavesZeroWhenSomethingWaits) {
  Service service("queue-length", {{"target", 4}, {"min_replicas", 0}});
  EXPECT_EQ(service.tick(0, {}, 0).desired, 0u);
  EXPECT_EQ(service.tick(0, {}, 5).desired, 2u);
}

TEST(Hpa, HoldsTheTargetUtilization) {
  Service service("hpa", {{"target_utilization", 0.5}});
  EXPECT_EQ(service.tick(4, each(4, sample(0.75))).desired, 6u);
  EXPECT_EQ(service.tick(6, each(6, sample(0.52))).desired, 6u);  // within tolerance
}

TEST(Hpa, ShrinksOnlyAfterTheStabilizationWindow) {
  Service service("hpa", {{"target_utilization", 0.5}, {"max_replicas", 20}});
  EXPECT_EQ(service.tick(8, each(8, sample(0.5))).desired, 8u);
  for (int i = 0; i < 19; ++i) EXPECT_EQ(service.tick(8, each(8, sample(0.1))).desired, 8u) << i;
  EXPECT_EQ(service.tick(8, each(8, sample(0.1))).desired, 2u);  // 300 s after the last 8
}

TEST(Hpa, ScalesOnInFlightRequests) {
  Service service("hpa", {{"target_in_flight", 10}}, {{"metric", "in_flight"}});
  EXPECT_EQ(service.tick(2, each(2, sample({}, 25))).desired, 5u);
}

TEST(Hpa, TakesTheLargerOfTwoMetrics) {
  const Settings settings{{"target_utilization", 0.5}, {"target_in_flight", 10}};
  Service service("hpa", settings, {{"metric", "both"}});
  EXPECT_EQ(service.tick(2, each(2, sample(0.75, 20))).desired, 4u);
  Service blind("hpa", settings, {{"metric", "both"}});
  EXPECT_EQ(blind.tick(2, each(2, sample(0.1, {}))).reason, "FailedGetMetrics");
}

TEST(Hpa, FreshReplicasDampScalingUp) {
  Service service("hpa", {{"target_utilization", 0.5}});
  ReplicaSample starting = sample({});
  starting.ready = false;
  starting.age = s(5);
  // 2 busy and 2 starting: 180 % of 4 requests is 45 %, within the tolerance of 50 %.
  EXPECT_EQ(service.tick(4, {sample(0.9), sample(0.9), starting, starting}).desired, 4u);
}

TEST(Hpa, IgnoresSamplesThatReachBackBeforeReadiness) {
  Service service("hpa", {{"target_utilization", 0.5}});
  ReplicaSample fresh = sample(1.0);
  fresh.age = s(60);
  fresh.since_transition = s(10);  // the 15 s window saw the start-up
  EXPECT_EQ(service.tick(2, {sample(0.5), fresh}).desired, 2u);
  fresh.since_transition = s(20);
  EXPECT_EQ(service.tick(2, {sample(0.5), fresh}).desired, 3u);
}

TEST(Hpa, WithoutBehaviorGrowsToFourAtOnceAndThenDoubles) {
  Service service("hpa", {{"target_utilization", 0.1}, {"max_replicas", 100}},
                  {{"behavior", "none"}});
  EXPECT_EQ(service.tick(1, each(1, sample(1.0))).desired, 4u);
  EXPECT_EQ(service.tick(4, each(4, sample(1.0))).desired, 8u);
}

TEST(Hpa, ScalesFromZeroOnWhatWaits) {
  Service service("hpa", {{"target_in_flight", 4}, {"min_replicas", 0}}, {{"metric", "in_flight"}});
  EXPECT_EQ(service.tick(0, {}, 0).desired, 0u);
  EXPECT_EQ(service.tick(0, {}, 7).desired, 2u);
}

TEST(Hpa, RejectsContradictorySettings) {
  EXPECT_THROW(Service("hpa", {{"min_replicas", 5}, {"max_replicas", 4}}), InputError);
  EXPECT_THROW(Service("hpa", {{"scale_down_percent", 0}}), InputError);
  EXPECT_NO_THROW(Service("hpa", {{"scale_down_percent", 0}}, {{"scale_down_select", "disabled"}}));
}

// Whatever the load does, the count stays in its bounds and grows no faster than the default limits
// allow.
TEST(Hpa, ObeysItsRateLimits) {
  Service service("hpa", {{"target_utilization", 0.5}, {"min_replicas", 2}, {"max_replicas", 64}});
  std::uint32_t n = 2;
  for (int i = 0; i < 2000; ++i) {
    const double load = 16 * (1 + ((i / 60) % 3) * ((i % 7) / 7.0));
    const std::uint32_t next = service.tick(n, each(n, sample(load / n))).desired;
    EXPECT_GE(next, 2u);
    EXPECT_LE(next, 64u);
    EXPECT_LE(next, std::max(n + 4, 2 * n));
    n = next;
  }
}

}  // namespace
}  // namespace isthmus::schedulers
