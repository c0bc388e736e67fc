#include <gtest/gtest.h>

#include <cmath>

#include "schedulers/registry.hpp"

namespace isthmus::schedulers {
namespace {

struct Feed {
  std::shared_ptr<AutoscalingPolicy> policy;
  Instant now = Instant::zero();
  std::uint32_t current = 1;

  Feed(const char* name, const std::vector<std::pair<const char*, double>>& numbers,
       const std::vector<std::pair<const char*, const char*>>& texts = {}) {
    const auto& entry = find_entry(autoscaling_policies(), name);
    Parameters p(entry.parameters);
    for (const auto& [key, value] : numbers) p.set(key, value);
    for (const auto& [key, value] : texts) p.set(key, std::string(value));
    policy = entry.make(p);
  }
  // A scrape of 10 s that is 1 s old.
  AutoscalingDecision scrape(double rate, double utilization = 0, std::uint32_t ready = 1) {
    now = now + Duration::from_seconds(10);
    ServiceMetrics m;
    m.observed_at = now - Duration::from_seconds(1);
    m.window = Duration::from_seconds(10);
    m.arrivals = m.completed = rate * 10;
    m.concurrency = rate;
    m.utilization = utilization;
    m.ready = ready;
    AutoscalingView v;
    v.now = now;
    v.observed_at = m.observed_at;
    v.current = current;
    v.samples = {&m, 1};
    const AutoscalingDecision d = policy->decide(v);
    current = d.desired;
    return d;
  }
};

TEST(Predictive, LooksAHorizonAhead) {
  // The load grows by 10 per scrape; 1 s old, 49 s ahead: 5 scrapes.
  Feed f("predictive", {{"target", 10}, {"horizon", 49}, {"max_replicas", 100}, {"alpha", 1}, {"beta", 1}},
         {{"metric", "rate"}});
  AutoscalingDecision d;
  for (int t = 0; t <= 10; ++t) d = f.scrape(10.0 * t);
  EXPECT_EQ(d.desired, 15U);
}

TEST(Predictive, KnowsTheNextRushHour) {
  const auto load = [](int t) { return t % 12 >= 6 ? 100.0 : 20.0; };
  for (const char* model : {"naive", "holt-winters"}) {
    Feed f("predictive", {{"target", 10}, {"horizon", 19}, {"season", 120}, {"max_replicas", 100},
                          {"stabilization", 0}, {"gamma", 0.1}, {"beta", 0}},
           {{"metric", "rate"}, {"model", model}});
    std::vector<std::uint32_t> wanted;
    for (int t = 0; t < 60; ++t) wanted.push_back(f.scrape(load(t)).desired);
    // Scrape 51 sees 20, and two scrapes on the rush; scrape 55 still has one rush hour behind it.
    EXPECT_EQ(wanted[50], 2U) << model;
    EXPECT_EQ(wanted[52], 10U) << model;
    EXPECT_EQ(wanted[48], 2U) << model;
  }
}

TEST(Predictive, HoldsTheMostOfTheWindowAndItsLimits) {
  Feed f("predictive", {{"target", 1}, {"horizon", 0}, {"stabilization", 25}, {"min_replicas", 2}, {"max_replicas", 8}},
         {{"model", "naive"}, {"metric", "rate"}});
  EXPECT_EQ(f.scrape(5).desired, 5U);
  EXPECT_EQ(f.scrape(3).desired, 5U);
  EXPECT_EQ(f.scrape(1).desired, 5U);
  EXPECT_EQ(f.scrape(1).desired, 3U);
  EXPECT_EQ(f.scrape(1).desired, 2U);
  EXPECT_EQ(f.scrape(1000).desired, 8U);
}

TEST(Predictive, RefusesWhatIsNoSum) {
  const auto& entry = find_entry(autoscaling_policies(), "predictive");
  Parameters p(entry.parameters);
  p.set("metric", std::string("utilization"));
  EXPECT_THROW(entry.make(p), InputError);
  p.set("metric", std::string("no such"));
  EXPECT_THROW(entry.make(p), InputError);
}

// Erlang's C formula by its sum.
double mmn(int n, double a) {
  double sum = 0, term = 1;
  for (int k = 0; k < n; ++k) {
    sum += term;
    term *= a / (k + 1);
  }
  const double last = term * n / (n - a);
  return 1 + last / (sum + last) / (n - a);
}

TEST(CostEfficiency, MinimizesItsObjective) {
  for (const double busy : {0.4, 2.3, 5.5}) {
    for (const double lambda : {0.1, 0.3, 0.5, 0.7, 0.95}) {
      Feed f("cost-efficiency",
             {{"lambda", lambda}, {"lambda_above", lambda}, {"max_replicas", 12}, {"weight", 1}});
      // 10 requests/s; 12 ready replicas share the load.
      const std::uint32_t got = f.scrape(10, busy / 12, 12).desired;
      int best = 0;
      double least = 1e9;
      for (int n = 1; n <= 12; ++n) {
        if (n <= busy) continue;
        const double value = lambda * n / 12 - (1 - lambda) / mmn(n, busy);
        if (value < least) least = value, best = n;
      }
      EXPECT_EQ(got, static_cast<std::uint32_t>(best)) << busy << " " << lambda;
    }
  }
}

TEST(CostEfficiency, WeighsByTheLoadOfWhatIsThere) {
  Feed f("cost-efficiency", {{"max_replicas", 10}, {"weight", 1}});
  f.current = 10;
  const std::uint32_t light = f.scrape(10, 0.25, 10).desired;  // 2.5 busy of 10
  f.current = 3;
  const std::uint32_t heavy = f.scrape(10, 2.5 / 3, 3).desired;  // 83 % of 3
  EXPECT_LT(light, heavy);
  Feed none("cost-efficiency", {{"max_replicas", 10}});
  none.current = 4;
  EXPECT_EQ(none.scrape(0).desired, 4U);
}

}  // namespace
}  // namespace isthmus::schedulers
