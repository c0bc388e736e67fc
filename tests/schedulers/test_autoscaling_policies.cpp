// Policies on metrics, view by view.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "schedulers/kpa_windows.hpp"
#include "schedulers/registry.hpp"
#include "schedulers/vpa_recommender.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {
namespace {

Duration s(double v) { return Duration::from_seconds(v); }

class Driver {
 public:
  explicit Driver(const std::string& policy, double tick = 2) : tick_(tick) {
    entry_ = &find_entry(autoscaling_policies(), policy);
    parameters_.emplace(entry_->parameters);
  }
  template <class Value>
  Driver& with(const std::string& name, const Value& value) {
    parameters_->set(name, value);
    return *this;
  }
  // One tick later; the newest metrics come from `fill`.
  template <class Fill>
  AutoscalingDecision tick(std::uint32_t current, Fill fill, bool woken = false) {
    if (!policy_) policy_ = entry_->make(*parameters_);
    if (!woken) now_ += s(tick_);
    std::vector<ServiceMetrics> samples(1);
    ServiceMetrics& m = samples[0];
    m.observed_at = now_;
    m.window = s(tick_);
    m.ready = current;
    fill(m);
    const std::vector<ReplicaSample> replicas(m.ready);
    AutoscalingView view;
    view.now = now_;
    view.observed_at = now_;
    view.current = current;
    view.replicas = replicas;
    view.samples = samples;
    view.woken = woken;
    return policy_->decide(view);
  }
  std::string refusal() {
    try {
      entry_->make(*parameters_);
    } catch (const InputError& e) {
      return e.what();
    }
    return "";
  }
  double now() const { return now_.seconds(); }

 private:
  double tick_;
  const PolicyEntry<AutoscalingPolicy>* entry_ = nullptr;
  std::optional<Parameters> parameters_;
  std::shared_ptr<AutoscalingPolicy> policy_;
  Instant now_;
};

auto concurrency(double value) {
  return [=](ServiceMetrics& m) { m.concurrency = m.in_flight = value; };
}

TEST(AlertStep, GrowsWhileAnAlertIsActiveAndShrinksAfterCalm) {
  const auto& entry = find_entry(autoscaling_policies(), "alert-step");
  Parameters p(entry.parameters);
  p.set("step", 2.0);
  p.set("calm", 60.0);
  p.set("max_replicas", 6.0);
  const auto policy = entry.make(p);
  const auto ask = [&](double at, std::uint32_t current, std::uint32_t alerts) {
    AutoscalingView view;
    view.now = Instant::from_seconds(at);
    view.current = current;
    view.alerts = alerts;
    return policy->decide(view).desired;
  };
  EXPECT_EQ(ask(0, 3, 1), 5U);
  EXPECT_EQ(ask(15, 5, 2), 6U);   // never more
  EXPECT_EQ(ask(30, 6, 0), 6U);   // calm from here on
  EXPECT_EQ(ask(89, 6, 0), 6U);
  EXPECT_EQ(ask(90, 6, 0), 4U);
  EXPECT_EQ(ask(120, 4, 0), 4U);
  EXPECT_EQ(ask(130, 4, 1), 6U);  // an alert starts the calm anew
  EXPECT_EQ(ask(150, 6, 0), 6U);
  EXPECT_EQ(ask(200, 6, 0), 6U);
  EXPECT_EQ(ask(210, 6, 0), 4U);
  EXPECT_EQ(ask(270, 4, 0), 2U);
  EXPECT_EQ(ask(330, 2, 0), 1U);  // never fewer
  EXPECT_EQ(ask(390, 1, 0), 1U);
}

TEST(KpaWindows, AWeightedAverageOfAConstantApproachesIt) {
  KpaBuckets b(60, true);
  for (int i = 0; i < 60; ++i) b.record(i, 5);
  EXPECT_NEAR(b.average(59), 5, 0.001);
  EXPECT_LT(b.average(70), b.average(61));
  EXPECT_EQ(b.average(120), 0);
}

TEST(KpaWindows, LateValuesBelongToTheirSecond) {
  KpaBuckets b(5);
  b.record(10, 5);
  b.record(8, 1);  // earlier than the first
  EXPECT_DOUBLE_EQ(b.average(10), 2);
  b.record(5, 100);  // a window ago
  EXPECT_DOUBLE_EQ(b.average(10), 2);
}

TEST(KpaWindows, TheMaximumForgetsAfterItsSteps) {
  KpaMaximum m(3);
  EXPECT_EQ(m.record(0, 5), 5);
  EXPECT_EQ(m.record(1, 2), 5);
  EXPECT_EQ(m.record(1, 3), 5);
  EXPECT_EQ(m.record(2, 1), 5);
  EXPECT_EQ(m.record(3, 1), 3);
  EXPECT_EQ(m.record(4, 1), 1);
}

TEST(Kpa, SizesByConcurrencyAndPanicsOnBursts) {
  Driver d("kpa");
  d.with("target", 10.0).with("max_replicas", 100.0);  // 7 per replica
  EXPECT_EQ(d.tick(1, concurrency(7)).desired, 1u);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(d.tick(1, concurrency(7)).desired, 1u);
  // 35 in the panic window of 6 s: (35 * 4 + 7 * 2) / 6 = 25.7 asks for 4, twice the replicas and more.
  d.tick(1, concurrency(35));
  const auto panic = d.tick(1, concurrency(35));
  EXPECT_EQ(panic.desired, 4u);
  EXPECT_EQ(panic.reason, "panic");
  EXPECT_EQ(d.tick(4, concurrency(0)).desired, 4u);  // nothing shrinks in panic
}

TEST(Kpa, TakesAStableWindowAndTheGracePeriodToZeroAndWakesAtOnce) {
  Driver d("kpa");
  d.with("target_burst_capacity", 0.0);
  std::uint32_t n = d.tick(1, concurrency(1)).desired;
  EXPECT_EQ(n, 1u);
  const double idle_since = d.now();
  while (n == 1 && d.now() < 1000) n = d.tick(1, concurrency(0)).desired;
  // The one busy second leaves the stable window after 60 s; then 30 s of grace.
  EXPECT_NEAR(d.now() - idle_since, 60 + 30, 4);
  EXPECT_EQ(d.tick(0, concurrency(0)).desired, 0u);
  EXPECT_EQ(d.tick(0, [](ServiceMetrics& m) { m.in_flight = 1; m.window = s(0.3); }, true).desired, 1u);
}

TEST(Kpa, AnActivatorInThePathShortensTheWayToZero) {
  Driver d("kpa");  // one replica has less than 211 spare: the activator is there all the time
  std::uint32_t n = d.tick(1, concurrency(1)).desired;
  const double idle_since = d.now();
  while (n == 1 && d.now() < 1000) n = d.tick(1, concurrency(0)).desired;
  EXPECT_NEAR(d.now() - idle_since, 60, 4);
}

TEST(Kpa, CountsArrivalsForRps) {
  Driver d("kpa");
  d.with("metric", std::string("rps")).with("target", 50.0);  // 35 a second
  EXPECT_EQ(d.tick(3, [](ServiceMetrics& m) { m.arrivals = 210; }).desired, 3u);  // 105/s
}

TEST(Kpa, RefusesContradictions) {
  EXPECT_THAT(Driver("kpa").with("min_replicas", 11.0).refusal(), testing::HasSubstr("min_replicas"));
}

TEST(Keda, WaitsForAPollToLeaveZeroAndForTheCooldownToReturn) {
  Driver d("keda", 10);
  d.with("threshold", 5.0).with("scale_down_stabilization", 0.0).with("cooldown_period", 60.0);
  EXPECT_EQ(d.tick(0, concurrency(0)).desired, 0u);
  EXPECT_EQ(d.tick(0, concurrency(8)).desired, 0u);   // looked 10 s ago
  EXPECT_EQ(d.tick(0, concurrency(8)).desired, 0u);
  EXPECT_EQ(d.tick(0, concurrency(8)).desired, 1u);   // the next poll
  EXPECT_EQ(d.tick(1, concurrency(8)).desired, 2u);   // the HPA, between polls
  EXPECT_EQ(d.tick(2, concurrency(0)).desired, 1u);
  double gone = 0;
  for (std::uint32_t n = 1; n > 0 && d.now() < 1000; gone = d.now()) n = d.tick(1, concurrency(0)).desired;
  EXPECT_EQ(gone, 40 + 60);  // the poll at 40 s saw activity
}

TEST(Keda, MissingValuesKeepWhatThereIs) {
  Driver d("keda", 30);
  d.with("metric", std::string("external:orders"));
  const std::vector<ExternalMetric> orders{{"orders", 50}};
  EXPECT_EQ(d.tick(1, [&](ServiceMetrics& m) { m.external = orders; }).desired, 5u);  // at most + 4
  for (int i = 0; i < 20; ++i) EXPECT_EQ(d.tick(5, concurrency(0)).desired, 5u);
}

TEST(Keda, IdleReplicasAreFewerThanTheFewest) {
  Driver d("keda", 30);
  d.with("idle_replicas", 1.0).with("min_replicas", 3.0);
  EXPECT_EQ(d.tick(1, concurrency(0)).desired, 1u);
  EXPECT_EQ(d.tick(1, concurrency(1)).desired, 3u);
  EXPECT_THAT(Driver("keda").with("idle_replicas", 0.0).refusal(), testing::HasSubstr("idle_replicas"));
}

auto utilization(double value) {
  return [=](ServiceMetrics& m) { m.utilization = value; };
}

TEST(TargetTracking, KeepsWhatItHasWithoutSamples) {
  Driver d("target-tracking", 60);
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(d.tick(3, [](ServiceMetrics& m) { m.ready = 0; }).desired, 3u);
}

TEST(StepScaling, TheStepGrowsWithTheDistance) {
  const auto steps = [] {
    Driver d("step-scaling", 60);
    d.with("scale_out_from", std::vector<double>{0, 0.2})
        .with("scale_out_change", std::vector<double>{1, 3})
        .with("cooldown", 0.0);
    return d;
  };
  Driver small = steps();
  EXPECT_EQ(small.tick(2, utilization(0.8)).desired, 2u);
  EXPECT_EQ(small.tick(2, utilization(0.8)).desired, 3u);
  Driver large = steps();
  large.tick(2, utilization(0.95));
  EXPECT_EQ(large.tick(2, utilization(0.95)).desired, 5u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(large.tick(5, utilization(0.1)).desired, 5u);
  EXPECT_EQ(large.tick(5, utilization(0.1)).desired, 4u);
}

TEST(StepScaling, PercentagesMoveByOneAtLeastAndCooldownsHold) {
  Driver d("step-scaling", 60);
  d.with("adjustment", std::string("percent")).with("scale_out_change", std::vector<double>{10});
  d.tick(4, utilization(0.9));
  EXPECT_EQ(d.tick(4, utilization(0.9)).desired, 5u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(d.tick(5, utilization(0.9)).reason, "cooldown");
  EXPECT_EQ(d.tick(5, utilization(0.9)).desired, 6u);
}

TEST(StepScaling, RefusesStepsThatDoNotFit) {
  EXPECT_THAT(Driver("step-scaling").with("scale_out_from", std::vector<double>{0, 1}).refusal(),
              testing::HasSubstr("equally long"));
  EXPECT_THAT(Driver("step-scaling")
                  .with("scale_out_from", std::vector<double>{0, 0})
                  .with("scale_out_change", std::vector<double>{1, 2})
                  .refusal(),
              testing::HasSubstr("increases"));
  EXPECT_THAT(Driver("step-scaling").with("scale_in_below", 0.9).refusal(), testing::HasSubstr("at once"));
}

TEST(Scheduled, FollowsLocalTimeAndWeekdays) {
  const double hour = 3600;
  Driver d("scheduled", hour);
  d.with("at", std::vector<double>{8 * hour, 20 * hour})
      .with("replicas", std::vector<double>{6, 2})
      .with("weekdays", std::vector<double>{0, 1, 2, 3, 4})
      .with("start_weekday", 4.0)  // Friday, 00:00 UTC
      .with("utc_offset", 2.0);
  const auto at = [&](double hours) {
    std::uint32_t n = 0;
    while (d.now() < hours * hour) n = d.tick(1, utilization(0)).desired;
    return n;
  };
  EXPECT_EQ(at(5), 2u);    // 7:00; Thursday's last entry holds
  EXPECT_EQ(at(6), 6u);    // 8:00
  EXPECT_EQ(at(17), 6u);
  EXPECT_EQ(at(18), 2u);   // 20:00
  EXPECT_EQ(at(48), 2u);   // the weekend
  EXPECT_EQ(at(77), 2u);   // Monday, 7:00
  EXPECT_EQ(at(78), 6u);
  EXPECT_THAT(Driver("scheduled")
                  .with("at", std::vector<double>{1})
                  .with("replicas", std::vector<double>{11})
                  .refusal(),
              testing::HasSubstr("outside"));
  EXPECT_THAT(Driver("scheduled").with("at", std::vector<double>{1}).refusal(),
              testing::HasSubstr("equally long"));
  EXPECT_THAT(Driver("scheduled")
                  .with("at", std::vector<double>{1, 1})
                  .with("replicas", std::vector<double>{1, 2})
                  .refusal(),
              testing::HasSubstr("same time"));
}

TEST(Slo, GrowsInProportionAndShrinksOneByOneWithSlack) {
  Driver d("slo", 60);
  const auto latency = [](double value, double busy) {
    return [=](ServiceMetrics& m) {
      static std::vector<double> times;
      times.assign(100, value);
      m.latencies = times;
      m.utilization = busy;
    };
  };
  EXPECT_EQ(d.tick(4, latency(0.3, 0.9)).desired, 6u);    // 0.3 / 0.2
  EXPECT_EQ(d.tick(4, latency(2, 0.9)).desired, 8u);      // at most doubled
  EXPECT_EQ(d.tick(8, latency(0.16, 0.1)).desired, 8u);   // no slack
  for (int i = 0; i < 5; ++i) EXPECT_EQ(d.tick(8, latency(0.1, 0.1)).desired, 8u);
  EXPECT_EQ(d.tick(8, latency(0.1, 0.1)).desired, 7u);    // 300 s with slack
  for (int i = 0; i < 20; ++i) EXPECT_EQ(d.tick(2, latency(0.1, 0.4)).desired, 2u);  // 0.8 for the other
  EXPECT_EQ(d.tick(3, [](ServiceMetrics& m) { m.in_flight = 5; }).desired, 6u);      // no answers at all
}

TEST(Vpa, OldSamplesFade) {
  DecayingHistogram h(0.01, 1.05, 1000, s(3600));
  h.add(Instant::zero(), 10, 1);
  h.add(Instant::zero() + s(3600), 1, 1);
  EXPECT_NEAR(h.percentile(0.66), 1, 0.05);   // weights 1 : 2
  EXPECT_NEAR(h.percentile(0.67), 10, 0.5);
  h.add(Instant::zero() + s(3600.0 * 500), 1, 1);  // far beyond what a double can weigh
  EXPECT_NEAR(h.percentile(0.999), 1, 0.05);
}

TEST(Vpa, BoundsCloseInWithHistory) {
  VpaRecommender r(VpaRecommender::Resource::cpu);
  EXPECT_FALSE(r.recommend());
  const auto until = [&](int first, int last) {
    for (int minute = first; minute < last; ++minute) r.add(Instant::zero() + s(60.0 * minute), 2.0);
    return *r.recommend();
  };
  const VpaRecommendation day = until(0, 1441), week = until(1441, 7 * 1440 + 1);
  EXPECT_NEAR(day.target, 2.3, 0.12);
  EXPECT_NEAR(day.upper / day.target, 2, 0.01);
  EXPECT_NEAR(week.upper / week.target, 8.0 / 7, 0.01);
  EXPECT_LT(week.lower, week.target + 1e-9);
  EXPECT_GT(week.lower, day.lower);
}

}  // namespace
}  // namespace isthmus::schedulers
