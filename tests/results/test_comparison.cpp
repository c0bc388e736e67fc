// Intervals against hand values, and every kind of verdict.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "fixtures.hpp"
#include "results/comparison.hpp"

namespace isthmus::results {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::Not;

struct Figures {
  double p95 = 0;
  double attainment = 0.99;
  double timing_error = 0;
};

// One alternative with a replication per set of figures; objective: latency <= 500 ms for 95 %.
Alternative alternative(const std::string& label, const std::vector<Figures>& figures,
                        bool objective = true) {
  Alternative a;
  a.label = label;
  for (std::size_t k = 0; k < figures.size(); ++k) {
    const Figures& f = figures[k];
    Summary s;
    s.info = two_services();
    s.info.seed = 100 + k;
    if (objective) s.info.objectives = {{"latency", 95, ms(500)}};
    s.metrics = {{"latency.mean", f.p95 / 2, "s"}, {"latency.p95", f.p95, "s"},
                 {"throughput", 1 / f.p95, "1/s"}, {"accuracy", 0.8, "1"},
                 {"service_share", 0.5, "1"},      {"share.edge", 0.25, "1"},
                 {"share.cloud", 0.75, "1"},       {"timing_error", f.timing_error, "1"},
                 {"energy_per_request", 2.5, "J"}, {"cost_per_1000", 0.12, "USD"}};
    if (objective) s.metrics.push_back({"slo.0.attainment", f.attainment, "1"});
    a.replications.push_back(s);
  }
  return a;
}

Comparison compare(std::vector<Alternative> list) {
  Comparison c;
  c.alternatives = std::move(list);
  return c;
}

TEST(Interval, OfTheMean) {
  const Interval i = mean_interval({1, 2, 3, 4, 5});
  EXPECT_DOUBLE_EQ(i.mean, 3);
  // 2.776445 * sqrt(2.5 / 5)
  EXPECT_NEAR(i.high - i.mean, 2.7764451051977987 * std::sqrt(0.5), 1e-9);
  EXPECT_NEAR(i.mean - i.low, i.high - i.mean, 1e-12);
  EXPECT_EQ(i.n, 5U);
  const Interval one = mean_interval({7});
  EXPECT_EQ(one.mean, 7);
  EXPECT_TRUE(std::isinf(one.low) && one.low < 0);
  EXPECT_TRUE(std::isinf(one.high) && one.high > 0);
  EXPECT_THROW(mean_interval({}), Error);
  EXPECT_THROW(mean_interval({1, 2}, 1), Error);
  EXPECT_TRUE(std::isnan(mean_interval({1, NAN}).mean));
}

TEST(Interval, PairingRemovesCommonNoise) {
  const std::vector<double> a{10, 20, 30, 40}, b{11, 21.2, 30.9, 41.1};
  const Interval d = paired_difference(a, b);
  EXPECT_NEAR(d.mean, 1.05, 1e-12);
  EXPECT_GT(d.low, 0);
  EXPECT_LT(mean_interval(b).low, mean_interval(a).high);  // unpaired they overlap
  EXPECT_THROW(paired_difference(a, {1}), Error);
}

TEST(Verdict, ClearWinner) {
  const Verdict v = judge(compare({alternative("slow", {{0.40}, {0.42}, {0.41}}),
                                   alternative("fast", {{0.20}, {0.21}, {0.215}})}));
  EXPECT_EQ(v.ranking, (std::vector<std::size_t>{1, 0}));
  EXPECT_FALSE(v.too_close);
  EXPECT_THAT(v.text, HasSubstr("fast has the lowest latency.p95"));
  EXPECT_THAT(v.text, HasSubstr("208 ms"));
  EXPECT_THAT(v.text, HasSubstr("99.0 % with latency <= 500 ms (95.0 % wanted)"));
  EXPECT_THAT(v.text, HasSubstr("95 % interval of the paired difference"));
  EXPECT_THAT(v.text, HasSubstr("Recommendation: fast."));
}

TEST(Verdict, TooCloseByInterval) {
  const Verdict v = judge(compare(
      {alternative("a", {{0.20}, {0.30}, {0.25}}), alternative("b", {{0.21}, {0.27}, {0.28}})}));
  EXPECT_EQ(v.ranking.front(), 0U);
  EXPECT_TRUE(v.too_close);
  EXPECT_THAT(v.text, HasSubstr("Too close to call: the interval covers zero"));
  EXPECT_THAT(v.text, HasSubstr("replications"));
  EXPECT_THAT(v.text, Not(HasSubstr("Recommendation")));
}

TEST(Verdict, TooCloseByTimingError) {
  const auto with_error = [](double e) {
    return judge(
        compare({alternative("a", {{0.200, 0.99, e}, {0.202, 0.99, e}, {0.201, 0.99, e}}),
                 alternative("b", {{0.210, 0.99, e}, {0.212, 0.99, e}, {0.211, 0.99, e}})}));
  };
  // Difference 10 ms. Two standard errors: 2 * sqrt(2) * e * 0.5 * ~205 ms = 291 ms * e.
  EXPECT_FALSE(with_error(0.03).too_close);
  EXPECT_THAT(with_error(0.03).text, HasSubstr("Uncertain service times could move it by 8.7"));
  EXPECT_TRUE(with_error(0.04).too_close);
  EXPECT_THAT(with_error(0.04).text,
              HasSubstr("Too close to call: the service times are uncertain"));
}

TEST(Verdict, TimingErrorDoesNotTouchOtherUnits) {
  Comparison c = compare({alternative("a", {{0.200, 0.99, 0.5}, {0.202, 0.99, 0.5}}),
                          alternative("b", {{0.310, 0.99, 0.5}, {0.312, 0.99, 0.5}})});
  EXPECT_TRUE(judge(c).too_close);
  c.metric = "throughput";  // higher is better
  const Verdict v = judge(c);
  EXPECT_FALSE(v.too_close);
  EXPECT_EQ(v.ranking.front(), 0U);
  EXPECT_THAT(v.text, HasSubstr("a has the highest throughput"));
}

TEST(Verdict, OneReplicationCannotTell) {
  for (const double attainment : {0.99, 0.5}) {
    const Verdict v =
        judge(compare({alternative("a", {{0.1}}), alternative("b", {{0.4, attainment}})}));
    EXPECT_TRUE(v.too_close);
    EXPECT_EQ(v.ranking.front(), 0U);
    EXPECT_THAT(v.text, testing::AnyOf(HasSubstr("one replication cannot tell"),
                                       HasSubstr("One replication cannot tell")));
    EXPECT_THAT(v.text, HasSubstr("--replications 5"));
  }
}

TEST(Verdict, ObjectivesComeBeforeTheMetric) {
  const Verdict v = judge(compare({alternative("fast but unfair", {{0.1, 0.9}, {0.1, 0.92}}),
                                   alternative("fair", {{0.3, 0.97}, {0.31, 0.971}})}));
  EXPECT_EQ(v.ranking, (std::vector<std::size_t>{1, 0}));
  EXPECT_FALSE(v.too_close);
  EXPECT_THAT(v.text, HasSubstr("fast but unfair has 100 ms"));
  EXPECT_THAT(v.text, HasSubstr("misses an objective: 91.0 % with latency <= 500 ms"));
  EXPECT_THAT(v.text, HasSubstr("Recommendation: fair"));
}

TEST(Verdict, ObjectivesAreMetInTheMean) {
  // 94 % and 97 % average to 95.5 %: met, though doubtful.
  const Verdict v = judge(compare({alternative("a", {{0.3, 0.94}, {0.31, 0.97}}),
                                   alternative("b", {{0.4, 0.99}, {0.45, 0.99}})}));
  EXPECT_EQ(v.ranking.front(), 0U);
  EXPECT_THAT(v.text, HasSubstr("within the noise"));
}

TEST(Verdict, NobodyMeetsTheObjective) {
  const Verdict v = judge(compare({alternative("a", {{0.6, 0.80}, {0.61, 0.80}}),
                                   alternative("b", {{0.9, 0.90}, {0.91, 0.90}})}));
  EXPECT_EQ(v.ranking, (std::vector<std::size_t>{0, 1}));
  EXPECT_THAT(v.text, HasSubstr("No alternative meets every objective; b comes nearest: 90.0 %"));
}

TEST(Verdict, EqualAlternatives) {
  const Verdict v =
      judge(compare({alternative("a", {{0.2}, {0.3}}), alternative("b", {{0.2}, {0.3}})}));
  EXPECT_TRUE(v.too_close);
  EXPECT_THAT(v.text, HasSubstr("equal in every replication"));
}

TEST(Verdict, MissingDataComesLast) {
  const Verdict v =
      judge(compare({alternative("empty", {{NAN}, {NAN}}), alternative("b", {{0.2}, {0.3}})}));
  EXPECT_EQ(v.ranking, (std::vector<std::size_t>{1, 0}));
  EXPECT_TRUE(v.too_close);
  EXPECT_THAT(v.text, HasSubstr("empty has no data"));
}

TEST(Verdict, OfASingleAlternative) {
  const Verdict v = judge(compare({alternative("a", {{0.2}, {0.3}}, false)}));
  EXPECT_EQ(v.ranking.size(), 1U);
  EXPECT_THAT(v.text, HasSubstr("nothing to compare"));
}

TEST(Verdict, RefusesWhatCannotBeCompared) {
  EXPECT_THROW(judge({}), Error);
  EXPECT_THROW(judge(compare({alternative("a", {})})), Error);
  EXPECT_THROW(judge(compare({alternative("a", {{1}}), alternative("b", {{1}, {2}})})), Error);
  Comparison seeds = compare({alternative("a", {{1}}), alternative("b", {{1}})});
  seeds.alternatives[1].replications[0].info.seed = 5;
  EXPECT_THROW(judge(seeds), Error);
  Comparison misspelt = compare({alternative("a", {{1}})});
  misspelt.metric = "latency.p59";
  try {
    judge(misspelt);
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("did you mean 'latency.p95'"));
  }
}

std::size_t widest_line(const std::string& text) {
  std::istringstream in(text);
  std::string line;
  std::size_t widest = 0;
  while (std::getline(in, line)) widest = std::max(widest, line.size());
  return widest;
}

TEST(Table, SixAlternativesFitTheTerminal) {
  std::vector<Alternative> list;
  for (int i = 0; i < 6; ++i)
    list.push_back(alternative("/offload/policy = weighted-score-" + std::to_string(i),
                               {{0.2 + 0.01 * i}, {0.21 + 0.012 * i}, {0.19 + 0.011 * i}}));
  list[5].replications[0].metrics.push_back({"task_duration.mean", 12.5, "s"});
  list[5].replications[1].metrics.push_back({"task_duration.mean", 12.7, "s"});
  list[5].replications[2].metrics.push_back({"task_duration.mean", 12.9, "s"});
  const std::string t = comparison_table(compare(list));
  EXPECT_LE(widest_line(t), 110U) << t;
  for (const char* needed :
       {"latency mean", "latency p95", "SLO", "energy/request", "cost per 1k", "accuracy",
        "at edge", "at cloud", "task mean", "Paired differences", "99.0 %", "2.50 J", "0.120 USD",
        "75.0 %", "Recommendation", "latency <= 500 ms for 95.0 % of requests"})
    EXPECT_THAT(t, HasSubstr(needed));
}

TEST(Table, ManyServicesContinueInAnotherBlock) {
  std::vector<Alternative> list{alternative("a", {{0.2}, {0.21}}),
                                alternative("b", {{0.3}, {0.31}})};
  for (Alternative& a : list)
    for (Summary& s : a.replications)
      for (int k = 0; k < 12; ++k) {
        s.info.services.push_back("service-number-" + std::to_string(k));
        s.metrics.push_back({"share." + s.info.services.back(), 0.0, "1"});
      }
  const std::string t = comparison_table(compare(list));
  EXPECT_LE(widest_line(t), 110U) << t;
  EXPECT_THAT(t, HasSubstr("at service-number-11"));
}

TEST(Json, SaysTheSame) {
  const auto j = nlohmann::json::parse(comparison_json(
      compare({alternative("a", {{0.2}, {0.21}}), alternative("b", {{0.3}, {0.312}})})));
  EXPECT_EQ(j.at("best"), "a");
  EXPECT_EQ(j.at("too_close"), false);
  EXPECT_EQ(j.at("ranking"), (std::vector<std::size_t>{0, 1}));
  const auto& b = j.at("alternatives").at(1);
  EXPECT_NEAR(b.at("metrics").at("latency.p95").at("mean").get<double>(), 0.306, 1e-12);
  EXPECT_EQ(b.at("metrics").at("latency.p95").at("unit"), "s");
  EXPECT_NEAR(b.at("difference_to_best").at("latency.p95").at("mean").get<double>(), 0.101, 1e-12);
  EXPECT_EQ(b.at("meets_objectives"), true);
  EXPECT_TRUE(nlohmann::json::parse(comparison_json(compare({alternative("a", {{0.2}})})))
                  .at("alternatives")
                  .at(0)
                  .at("metrics")
                  .at("latency.p95")
                  .at("low")
                  .is_null());
}

}  // namespace
}  // namespace isthmus::results
