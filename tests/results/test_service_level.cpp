// Windows, burn rates, budgets and alerts against published and closed-form cases.
#include <cmath>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "results/metrics.hpp"
#include "results/service_level.hpp"
#include "results/statistics.hpp"
#include "results/tally.hpp"
#include "tests/results/fixtures.hpp"
#include "tests/shared_data.hpp"

namespace isthmus::results::test {
namespace {

using nlohmann::json;

// Cases whose name begins so; nothing when there are no shared data.
std::vector<json> cases(const std::string& prefix) {
  const auto path = isthmus::testing::shared_data() / "truth" / "slo_metrics.json";
  std::vector<json> found;
  if (!std::filesystem::exists(path)) return found;
  std::ifstream in(path);
  const json all = json::parse(in);
  for (const json& c : all.at("cases"))
    if (c.at("id").get<std::string>().starts_with(prefix)) found.push_back(c);
  EXPECT_FALSE(found.empty()) << prefix;
  return found;
}

#define NEED(list) if ((list).empty()) GTEST_SKIP() << "no shared cases"

TEST(ServiceLevelTruth, BurnRateThresholds) {
  const auto list = cases("burn_thresholds");
  NEED(list);
  const json& table = list[0].at("expected").at("table");
  const auto rules = burn_rate_rules(Duration::from_seconds(list[0].at("inputs").at("period_days").get<double>() * 86400));
  ASSERT_EQ(table.size(), rules.size());
  for (std::size_t i = 0; i < rules.size(); ++i) {
    EXPECT_EQ(rules[i].severity, table[i].at("sev").get<std::string>());
    EXPECT_EQ(rules[i].long_window.seconds(), table[i].at("long_s").get<double>());
    EXPECT_EQ(rules[i].short_window.seconds(), table[i].at("short_s").get<double>());
    EXPECT_DOUBLE_EQ(rules[i].factor, table[i].at("burn").get<double>());
  }
}

// A step from no errors to a share of errors and back, with a thousand events in every slice.
TEST(ServiceLevelTruth, StepsOfErrorsFireAndResolve) {
  const auto list = cases("burn_slo");
  NEED(list);
  EXPECT_EQ(list.size(), 10U);
  for (const json& c : list) {
    const double objective = c.at("inputs").at("slo"), errors = c.at("inputs").at("error_ratio");
    const double tolerance = c.at("tolerance").at("rel");
    const auto rules = burn_rate_rules(Duration::from_seconds(30 * 86400));
    const json& alerts = c.at("expected").at("alerts");
    ASSERT_EQ(alerts.size(), rules.size());
    for (std::size_t i = 0; i < rules.size(); ++i) {
      const std::string where = c.at("id").get<std::string>() + " " + rules[i].name;
      const std::int64_t long_s = rules[i].long_window.ns() / 1'000'000'000,
                         short_s = rules[i].short_window.ns() / 1'000'000'000;
      const std::int64_t slice = std::max<std::int64_t>(1, long_s / 8640);
      SlidingCounts counts(static_cast<std::size_t>(long_s / slice));
      AlertState alert(Duration::zero());
      std::int64_t now = 0;
      const auto step = [&](double bad_share) {
        const auto bad = static_cast<int>(std::lround(1000 * bad_share));
        for (int e = 0; e < 1000; ++e) counts.add(e >= bad);
        counts.close();
        now += slice;
        const double share = rules[i].factor * (1 - objective);
        const bool holds = at_least_bad(counts.last(static_cast<std::size_t>(long_s / slice)), share) &&
                           at_least_bad(counts.last(static_cast<std::size_t>(short_s / slice)), share);
        return alert.evaluate(holds, Instant::from_seconds(static_cast<double>(now)));
      };
      for (std::int64_t t = 0; t < long_s; t += slice) ASSERT_EQ(step(0), AlertState::Change::none) << where;
      const std::int64_t start = now;
      double fired = -1;
      const bool fires = alerts[i].at("fires");
      const double detect = fires ? alerts[i].at("detect_s").get<double>() : 0.0;
      // Until it fires and the short window is full of errors; an alert that does not fire gets a whole window.
      const double last = fires ? std::max(detect * (1 + tolerance) + static_cast<double>(slice),
                                           static_cast<double>(short_s))
                                : static_cast<double>(long_s);
      while (static_cast<double>(now - start) < last)
        if (step(errors) == AlertState::Change::fires) fired = static_cast<double>(now - start);
      EXPECT_EQ(fired >= 0, fires) << where;
      if (!fires) continue;
      EXPECT_NEAR(fired, detect, tolerance * detect + static_cast<double>(slice)) << where;
      EXPECT_GE(fired, detect * (1 - 1e-9)) << where;
      const std::int64_t recovery = now;
      while (alert.active() && now < recovery + long_s) step(0);
      const double reset = alerts[i].at("reset_after_recovery_s");
      EXPECT_NEAR(static_cast<double>(now - recovery), reset, tolerance * reset + static_cast<double>(slice) + 1e-6) << where;
      const double consumed = errors * detect / ((1 - objective) * 30 * 86400);
      EXPECT_NEAR(consumed, alerts[i].at("budget_consumed_at_detection").get<double>(), 1e-9) << where;
    }
  }
}

TEST(ServiceLevelTruth, ErrorBudgets) {
  const auto list = cases("budget_");
  NEED(list);
  for (const json& c : list) {
    const double objective = c.at("inputs").at("slo");
    const json& e = c.at("expected");
    const auto budget = [&](double days) {
      return error_budget(objective, Duration::from_seconds(days * 86400)).seconds();
    };
    EXPECT_NEAR(budget(30) / 60, e.at("per_30d_min").get<double>(), 1e-9 * budget(30));
    EXPECT_NEAR(budget(28) / 60, e.at("per_28d_min").get<double>(), 1e-9 * budget(28));
    EXPECT_NEAR(budget(365) / 3600, e.at("per_year_h").get<double>(), 1e-9 * budget(365));
  }
}

TEST(ServiceLevelTruth, Apdex) {
  const auto list = cases("apdex");
  NEED(list);
  const json& in = list[0].at("inputs");
  const std::uint64_t satisfied = in.at("satisfied"), tolerating = in.at("tolerating"), frustrated = in.at("frustrated");
  EXPECT_NEAR(apdex(satisfied, tolerating, satisfied + tolerating + frustrated),
              list[0].at("expected").at("apdex").get<double>(), 1e-9);
}

TEST(ServiceLevelTruth, Percentiles) {
  const auto list = cases("percentile_defs");
  NEED(list);
  const auto data = list[0].at("inputs").at("data").get<std::vector<double>>();
  for (const auto& [p, value] : list[0].at("expected").at("nearest_rank").items())
    EXPECT_EQ(data.at(nearest_rank(std::stod(p), data.size()) - 1), value.get<double>()) << p;
  for (const auto& [p, value] : list[0].at("expected").at("linear_inclusive").items())
    EXPECT_NEAR(percentile_linear(data, std::stod(p)), value.get<double>(), 1e-9) << p;
}

TEST(ServiceLevelTruth, HistogramQuantile) {
  const auto list = cases("hist_quantile");
  NEED(list);
  const auto buckets = list[0].at("inputs").at("buckets").get<std::vector<std::pair<double, std::uint64_t>>>();
  for (const auto& [name, value] : list[0].at("expected").items())
    EXPECT_NEAR(histogram_quantile(buckets, std::stod(name.substr(1)) / 100), value.get<double>(), 1e-9) << name;
}

TEST(ServiceLevelTruth, LlmGoodput) {
  const auto list = cases("llm_goodput");
  NEED(list);
  const json &in = list[0].at("inputs"), &want = list[0].at("expected");
  const auto rules = ObjectiveRule::of({{"ttft", 95, ms(200)}, {"tpot", 95, ms(50)}});
  RequestTally all(true, &rules);
  for (std::size_t i = 0; i < in.at("requests").size(); ++i) {
    const json& q = in.at("requests")[i];
    RequestRecord r = answered_llm(i, 3);
    r.created = Instant::from_seconds(q.at("arr"));
    r.sent = r.arrived = r.started = r.created;
    r.first_token = Instant::from_seconds(q.at("first"));
    r.served = r.completed = Instant::from_seconds(q.at("last"));
    r.output_tokens = q.at("out");
    RequestTally one(true, &rules);
    one.add(r);
    all.add(r);
    EXPECT_EQ(one.good == 1, want.at("meets")[i].get<bool>()) << i;
    EXPECT_NEAR(std::as_const(one).timed(Timed::ttft).max() * 1e-9, want.at("ttft")[i].get<double>(), 1e-9);
    if (!want.at("tpot")[i].is_null()) {
      EXPECT_NEAR(std::as_const(one).timed(Timed::tpot).max() * 1e-9, want.at("tpot")[i].get<double>(), 1e-9);
    }
  }
  EXPECT_NEAR(static_cast<double>(all.good) / 4, want.at("attainment").get<double>(), 1e-9);
  EXPECT_NEAR(static_cast<double>(all.good) / in.at("horizon").get<double>(), want.at("goodput_rps").get<double>(), 1e-9);
}

TEST(ServiceLevel, WindowsForgetWhatIsOld) {
  SlidingCounts counts(3);
  EXPECT_EQ(counts.last(3), GoodCount());
  for (int i = 0; i < 10; ++i) {
    for (int k = 0; k <= i; ++k) counts.add(k % 2 == 0);
    counts.close();
  }
  counts.add(false);  // the open slice is in no window
  EXPECT_EQ(counts.last(1), (GoodCount{5, 10}));
  EXPECT_EQ(counts.last(2), (GoodCount{10, 19}));
  EXPECT_EQ(counts.last(3), (GoodCount{14, 27}));
  EXPECT_EQ(counts.last(99), counts.last(3));
  EXPECT_EQ(counts.total().all, 56U);
}

TEST(ServiceLevel, PercentileAboveMeansNearestRank) {
  // P95 of 100 values is the 95th: above the threshold from the sixth bad one on.
  EXPECT_FALSE(more_bad_than({95, 100}, 1 - 0.95));
  EXPECT_TRUE(more_bad_than({94, 100}, 1 - 0.95));
  EXPECT_FALSE(more_bad_than({90, 100}, 1 - 0.9));
  EXPECT_TRUE(more_bad_than({89, 100}, 1 - 0.9));
  EXPECT_FALSE(more_bad_than({0, 0}, 0));
  EXPECT_TRUE(more_bad_than({0, 1}, 0.999));
  EXPECT_TRUE(at_least_bad({90, 100}, 1 - 0.9));
  EXPECT_FALSE(at_least_bad({91, 100}, 1 - 0.9));
  EXPECT_FALSE(at_least_bad({0, 0}, 0));
}

TEST(ServiceLevel, AlertsHoldBeforeTheyFire) {
  AlertState a(Duration::from_seconds(20));
  using Change = AlertState::Change;
  const auto at = [](double s) { return Instant::from_seconds(s); };
  EXPECT_EQ(a.evaluate(true, at(10)), Change::none);
  EXPECT_EQ(a.evaluate(false, at(20)), Change::none);  // begins anew
  EXPECT_EQ(a.evaluate(true, at(30)), Change::none);
  EXPECT_EQ(a.evaluate(true, at(40)), Change::none);
  EXPECT_EQ(a.evaluate(true, at(50)), Change::fires);
  EXPECT_EQ(a.pending(), at(30));
  EXPECT_EQ(a.evaluate(true, at(60)), Change::none);
  EXPECT_EQ(a.evaluate(false, at(70)), Change::resolves);
  EXPECT_EQ(a.evaluate(false, at(80)), Change::none);
}

TEST(ServiceLevel, SummariesKeepLevelsAndAlerts) {
  Summary s;
  s.info = two_services();
  LevelTotals l;
  l.name = "fast";
  l.indicator = "latency <= 200 ms";
  l.objective = 0.95;
  l.period = 100;
  l.good = 3;
  l.events = 4;
  l.budget_left = -0.5;
  l.progress = {{0, 1}, {5, -0.5}};
  l.alerts = {"a"};
  s.levels = {l};
  s.alerts = {{"fast", "a", "page", Instant(1), Instant(123456789012345678), Instant::never()}};
  const std::string text = to_json(s);
  const Summary back = summary_from_json(text);
  EXPECT_EQ(to_json(back), text);
  EXPECT_EQ(back.alerts.at(0).fired, s.alerts[0].fired);
  EXPECT_TRUE(back.alerts[0].resolved.is_never());
  EXPECT_EQ(back.levels.at(0).progress, l.progress);
}

}  // namespace
}  // namespace isthmus::results::test
