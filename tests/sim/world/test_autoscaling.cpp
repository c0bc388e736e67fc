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
      const bool newest = &m == &view.samples.back();
      Seen s{view.now, m, {m.latencies.begin(), m.latencies.end()}, {}, view.woken && newest};
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
    EXPECT_EQ(m.arrivals, i == 0 ? 11 : 10);  // from 0 s on, that at the date of the scrape included
    EXPECT_EQ(m.completed, 10);
    EXPECT_NEAR(m.concurrency, 0.6, 1e-9);
    EXPECT_NEAR(m.queue_length, 0, 1e-9);
    EXPECT_NEAR(m.utilization, 0.6, 1e-9);
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
  EXPECT_EQ(arrivals, 71);
  EXPECT_EQ(completed, 3);  // those that arrived at 0, 10 and 20 s
  EXPECT_EQ(failed, 67);    // one is being served
}

// From nothing: a request wakes the autoscaler, waits for the signal and for the start of a replica.
TEST(Waking, ARequestThatFindsNobodyIsAnsweredAfterSignalStartAndService) {
  Scenario s = watched(0.02, 0.3, 140);
  s.workloads[0].arrivals.start = Duration::from_seconds(3);  // at 3, 53 and 103 s, between scrapes
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
  ASSERT_EQ(woken.size(), 3u);
  EXPECT_EQ(woken[1], Instant::zero() + Duration::from_seconds(54));
  ASSERT_EQ(latencies.size(), 3u);
  for (const double l : latencies) EXPECT_NEAR(l, 1 + 2 + 0.3, 1e-9);
}

// Knative's autoscaler with requests further apart than its way to zero: every one starts a replica.
TEST(Kpa, EveryRequestAfterAnIdleTimeStartsAReplica) {
  Scenario s = watched(0.005, 0.3, 1010);  // at 0, 200, 400, 600, 800 and 1000 s
  s.warmup = Duration::zero();
  Service& v = s.services[0];
  v.replicas = v.min_replicas = 0;
  v.max_replicas = 3;
  v.cold_start = Duration::from_seconds(2);
  const auto& kpa = schedulers::find_entry(schedulers::autoscaling_policies(), "kpa");
  v.autoscaling.policy = &kpa;
  v.autoscaling.parameters.emplace(kpa.parameters);
  v.autoscaling.period = Duration::from_seconds(2);
  v.autoscaling.scrape_period = Duration::from_seconds(1);
  v.autoscaling.scrape_delay = Duration::zero();
  const results::Summary r = run(s, {});
  double mean = 0, most = 0;
  for (const auto& m : r.metrics) {
    if (m.name == "latency.mean") mean = m.value;
    if (m.name == "latency.p99") most = m.value;
  }
  EXPECT_NEAR(mean, 2.3, 1e-6);
  EXPECT_NEAR(most, 2.3, 1e-6);
  EXPECT_EQ(r.services[0].cold_starts, 6u);
  EXPECT_EQ(r.services[0].max_replicas, 1u);
  // Ready 2 s after each; the second in which it was answered leaves the stable window 63 s after it came, which
  // the decision of the next even second sees. The activator is in the path all the time: no grace period.
  EXPECT_NEAR(r.services[0].mean_replicas, (5 * (64 - 2) + 8) / 1010.0, 1e-9);
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
