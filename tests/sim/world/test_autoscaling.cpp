// What autoscalers are shown of a service, held to hand-calculated runs.
#include <gtest/gtest.h>

#include "small_worlds.hpp"

namespace isthmus::world {
namespace {

using schedulers::AutoscalingDecision;
using schedulers::AutoscalingPolicy;
using schedulers::AutoscalingView;
using schedulers::ServiceMetrics;

struct Seen {
  Instant now;
  ServiceMetrics metrics;
  std::vector<double> latencies;
  std::vector<double> external;
  bool woken = false;
};
std::vector<Seen> seen;  // by the policy of the running test

// Notes what it sees; wants one replica as soon as there is something to do, none after two idle
// samples.
class Watcher final : public AutoscalingPolicy {
 public:
  explicit Watcher(const schedulers::Parameters&) {}
  bool wants_metrics() const override { return true; }
  bool wants_latencies() const override { return true; }
  bool wakes() const override { return true; }
  AutoscalingDecision decide(const AutoscalingView& view) override {
    for (const ServiceMetrics& m : view.samples) {
      Seen s{view.now, m, {m.latencies.begin(), m.latencies.end()}, {}, view.woken};
      for (const auto& e : m.external) s.external.push_back(e.value);
      seen.push_back(s);
      idle_ = m.in_flight == 0 && m.arrivals == 0 ? idle_ + 1 : 0;
    }
    return {idle_ < 2 ? 1U : 0U, "watching"};
  }

 private:
  int idle_ = 0;
};

const schedulers::PolicyEntry<AutoscalingPolicy>& watcher() {
  static const schedulers::PolicyEntry<AutoscalingPolicy> entry{
      "watcher", "Watches.", "test", "always.", "O(1)", {}, [](const schedulers::Parameters& p) {
        return std::shared_ptr<AutoscalingPolicy>(std::make_shared<Watcher>(p));
      }};
  return entry;
}

Distribution constant(double seconds) {
  Distribution d;
  d.kind = DistributionKind::constant;
  d.a = seconds;
  return d;
}

Scenario watched(double rate, double service, double seconds) {
  seen.clear();
  Scenario s = testing::queue_scenario(constant(service), rate, seconds);
  s.workloads[0].arrivals.kind = ArrivalKind::deterministic;
  Autoscaling& a = s.services[0].autoscaling;
  a.policy = &watcher();
  a.parameters.emplace(watcher().parameters);
  a.period = Duration::from_seconds(10);
  a.scrape_period = Duration::from_seconds(5);
  a.scrape_delay = Duration::from_seconds(1);
  return s;
}

TEST(ServiceMetrics, AreThoseOfEachWindowAndReachThePolicyOnce) {
  Scenario s = watched(2, 0.3, 42);
  s.warmup = Duration::from_seconds(7);  // totals begin anew within a window
  s.services[0].autoscaling.external = {{"orders", {{Instant::zero() + Duration::from_seconds(12), 4.0}}}};
  run(s, {});
  ASSERT_EQ(seen.size(), 7u);  // scrapes at 5 ... 35 s; that of 40 s would be seen at 50 s
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const ServiceMetrics& m = seen[i].metrics;
    SCOPED_TRACE(i);
    EXPECT_EQ(m.observed_at, Instant::zero() + Duration::from_seconds(5.0 * static_cast<double>(i + 1)));
    EXPECT_GE(seen[i].now - m.observed_at, Duration::from_seconds(1));
    EXPECT_LT(seen[i].now - m.observed_at, Duration::from_seconds(11));
    EXPECT_EQ(m.window, Duration::from_seconds(5));
    EXPECT_EQ(m.arrivals, 10);
    EXPECT_EQ(m.completed, i == 0 ? 9 : 10);
    EXPECT_NEAR(m.concurrency, i == 0 ? 0.54 : 0.6, 1e-9);
    EXPECT_NEAR(m.queue_length, 0, 1e-9);
    EXPECT_NEAR(m.utilization, i == 0 ? 0.54 : 0.6, 1e-9);
    EXPECT_EQ(m.ready, 1u);
    EXPECT_EQ(m.failed, 0);
    EXPECT_NEAR(m.mean_latency.value_or(0), 0.3, 1e-9);
    EXPECT_EQ(seen[i].latencies.size(), static_cast<std::size_t>(m.completed));
    EXPECT_EQ(seen[i].external.size(), i < 2 ? 0u : 1u);
  }
}

TEST(ServiceMetrics, CountWhatIsTurnedAway) {
  Scenario s = watched(2, 10, 42);
  s.services[0].queue_capacity = 0;
  run(s, {});
  double arrivals = 0, failed = 0, completed = 0;
  for (const Seen& w : seen) {
    arrivals += w.metrics.arrivals;
    failed += w.metrics.failed;
    completed += w.metrics.completed;
  }
  EXPECT_EQ(arrivals, 70);
  EXPECT_EQ(completed, 3);  // those that arrived at 0.5, 10.5 and 20.5 s
  EXPECT_EQ(failed, 66);    // one is being served
}

// From nothing: a request wakes the autoscaler, waits for the signal and for the start of a replica.
TEST(Waking, ARequestThatFindsNobodyIsAnsweredAfterSignalStartAndService) {
  Scenario s = watched(0.02, 0.3, 140);  // at 50 and 100 s
  s.warmup = Duration::zero();
  Service& v = s.services[0];
  v.replicas = v.min_replicas = 0;
  v.max_replicas = 1;
  v.cold_start = Duration::from_seconds(2);
  run(s, {});
  std::vector<double> latencies;
  std::vector<Instant> woken;
  for (const Seen& w : seen) {
    latencies.insert(latencies.end(), w.latencies.begin(), w.latencies.end());
    if (w.woken) {
      woken.push_back(w.now);
      EXPECT_EQ(w.metrics.arrivals, 1);
      EXPECT_EQ(w.metrics.in_flight, 1);
    }
  }
  ASSERT_EQ(woken.size(), 2u);
  EXPECT_EQ(woken[0], Instant::zero() + Duration::from_seconds(51));
  ASSERT_EQ(latencies.size(), 2u);
  for (const double l : latencies) EXPECT_NEAR(l, 1 + 2 + 0.3, 1e-9);
}

TEST(ExternalSeries, HoldsEachValueFromItsDateOn) {
  const auto at = [](double t) { return Instant::zero() + Duration::from_seconds(t); };
  const ExternalSeries e{"x", {{at(1), 5.0}, {at(2), 7.0}}};
  EXPECT_EQ(e.at(at(0.5)), nullptr);
  EXPECT_EQ(*e.at(at(1)), 5);
  EXPECT_EQ(*e.at(at(1.9)), 5);
  EXPECT_EQ(*e.at(at(1e6)), 7);
}

}  // namespace
}  // namespace isthmus::world
