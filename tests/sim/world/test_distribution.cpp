#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sim/world/distribution.hpp"
#include "tests/sim/world/test_arrivals_support.hpp"

namespace isthmus::world {
namespace {

using ::testing::HasSubstr;

constexpr double infinity = std::numeric_limits<double>::infinity();

Distribution make(DistributionKind kind, double a, double b = 0, double c = 0, int k = 1) {
  Distribution d;
  d.kind = kind;
  d.a = a;
  d.b = b;
  d.c = c;
  d.k = k;
  return d;
}

Distribution table(DistributionKind kind, std::vector<double> p, std::vector<double> v) {
  Distribution d;
  d.kind = kind;
  d.probability = std::move(p);
  d.value = std::move(v);
  return d;
}

std::vector<double> draw(const Distribution& d, std::size_t n) {
  Rng g = StreamKey(7, "test/distribution").sequence();
  std::vector<double> x(n);
  for (double& v : x) v = d.sample(g);
  return x;
}

std::string problem_of(const Distribution& d) {
  try {
    d.validate();
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

struct Case {
  const char* name;
  Distribution d;
  double mean, cv;
};

class EveryKind : public ::testing::TestWithParam<Case> {};

TEST_P(EveryKind, HasItsMomentsAndIsValid) {
  const Case& c = GetParam();
  EXPECT_EQ(problem_of(c.d), "");
  EXPECT_NEAR(c.d.mean(), c.mean, 1e-9 * std::max(1.0, c.mean));
  const auto x = draw(c.d, 400'000);
  const double error = c.cv / std::sqrt(400'000.0);
  EXPECT_NEAR(arrival_testing::mean_of(x) / c.mean, 1, 4.5 * error + 1e-12);
  EXPECT_NEAR(std::sqrt(arrival_testing::variance_of(x)) / c.mean, c.cv, 0.02 * c.cv + 1e-9);
}

INSTANTIATE_TEST_SUITE_P(
    Distribution, EveryKind,
    ::testing::Values(
        Case{"constant", make(DistributionKind::constant, 3), 3, 0},
        Case{"uniform", make(DistributionKind::uniform, 1, 3), 2, std::sqrt(1 / 3.0) / 2},
        Case{"exponential", make(DistributionKind::exponential, 0.2), 0.2, 1},
        Case{"erlang", make(DistributionKind::erlang, 2, 0, 0, 4), 2, 0.5},
        Case{"gamma", make(DistributionKind::gamma, 5, 1.5), 5, 1.5},
        Case{"lognormal", make(DistributionKind::lognormal, 10, 0.5), 10 * std::exp(0.125),
             std::sqrt(std::exp(0.25) - 1)},
        Case{"weibull", make(DistributionKind::weibull, 2, 2), std::sqrt(std::acos(-1.0)),
             std::sqrt(4 / std::acos(-1.0) - 1)},
        Case{"pareto", make(DistributionKind::pareto, 1, infinity, 5), 1.25,
             std::sqrt(5.0 / 3) / 1.25 * std::sqrt(1 - 1.25 * 1.25 * 3 / 5)},
        Case{"bounded_pareto", make(DistributionKind::pareto, 1, std::exp(1), 1),
             1 / (1 - std::exp(-1)),
             std::sqrt(std::exp(1) * (1 - std::exp(-1)) * (1 - std::exp(-1)) - 1)},
        Case{"hyperexponential", make(DistributionKind::hyperexponential, 1, 4), 1, 2},
        Case{"normal", make(DistributionKind::normal, 10, 2), 10.000000105, 0.2},
        Case{"quantiles", table(DistributionKind::quantiles, {0, .5, 1}, {0, 1, 3}), 1.25,
             std::sqrt(7.0 / 3 - 1.5625) / 1.25},
        Case{"choice", table(DistributionKind::choice, {3, 1}, {2, 6}), 3, std::sqrt(3.0) / 3}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Distribution, FollowsItsLaw) {
  const std::size_t n = 50'000;
  const auto near = [&](const Distribution& d, const std::function<double(double)>& cdf) {
    EXPECT_LT(arrival_testing::ks_distance(draw(d, n), cdf), arrival_testing::ks_bound(n));
  };
  near(make(DistributionKind::uniform, 2, 5), [](double x) { return (x - 2) / 3; });
  near(make(DistributionKind::exponential, 3), [](double x) { return 1 - std::exp(-x / 3); });
  near(make(DistributionKind::weibull, 2, 0.7),
       [](double x) { return 1 - std::exp(-std::pow(x / 2, 0.7)); });
  near(make(DistributionKind::lognormal, 4, 1),
       [](double x) { return 0.5 * std::erfc(-std::log(x / 4) / std::sqrt(2.0)); });
  near(make(DistributionKind::pareto, 2, 20, 1.5),
       [](double x) { return (1 - std::pow(2 / x, 1.5)) / (1 - std::pow(0.1, 1.5)); });
  near(make(DistributionKind::erlang, 2, 0, 0, 2),
       [](double x) { return 1 - std::exp(-x) * (1 + x); });
  near(table(DistributionKind::quantiles, {0, .9, 1}, {0, 9, 100}),
       [](double x) { return x <= 9 ? x / 10 : 0.9 + 0.1 * (x - 9) / 91; });
}

TEST(Distribution, DrawsStayWithinTheLimits) {
  Distribution d = make(DistributionKind::exponential, 10);
  d.min = 2;
  d.max = 5;
  for (const double v : draw(d, 10'000)) {
    ASSERT_GE(v, 2);
    ASSERT_LE(v, 5);
  }
  EXPECT_EQ(d.mean(), 10);  // by contract without the limits
}

TEST(Distribution, NegativeNormalsBecomeZeroAndTheMeanKnows) {
  const Distribution d = make(DistributionKind::normal, 0, 1);
  EXPECT_NEAR(d.mean(), 1 / std::sqrt(2 * std::acos(-1.0)), 1e-12);
  const auto x = draw(d, 200'000);
  EXPECT_NEAR(arrival_testing::mean_of(x), d.mean(), 0.006);
  EXPECT_GE(*std::min_element(x.begin(), x.end()), 0);
  EXPECT_EQ(make(DistributionKind::normal, -3, 0).mean(), 0);
}

TEST(Distribution, HeavyTailsHaveNoMean) {
  EXPECT_EQ(make(DistributionKind::pareto, 1, infinity, 1).mean(), infinity);
  EXPECT_EQ(make(DistributionKind::pareto, 2, 2, 1).mean(), 2);
  // Continuous through alpha = 1.
  EXPECT_NEAR(make(DistributionKind::pareto, 1, 50, 1 + 1e-9).mean(),
              make(DistributionKind::pareto, 1, 50, 1).mean(), 1e-6);
}

TEST(Distribution, RefusesImpossibleParameters) {
  const auto nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(problem_of(make(DistributionKind::exponential, -1)),
            "exponential: the mean must be non-negative and finite, found -1");
  EXPECT_EQ(problem_of(make(DistributionKind::constant, -2)),
            "constant: the value must be between 0 and 1e+300, found -2");
  EXPECT_EQ(problem_of(make(DistributionKind::uniform, 3, 2)),
            "uniform: the upper end must be at least the lower end, 3, found 2");
  EXPECT_THAT(problem_of(make(DistributionKind::constant, nan)), HasSubstr("finite"));
  EXPECT_THAT(problem_of(make(DistributionKind::erlang, 1, 0, 0, 0)), HasSubstr("phases"));
  EXPECT_THAT(problem_of(make(DistributionKind::gamma, 1, 0)), HasSubstr("variation"));
  EXPECT_THAT(problem_of(make(DistributionKind::lognormal, 0, 1)), HasSubstr("median"));
  EXPECT_THAT(problem_of(make(DistributionKind::weibull, 1, 0)), HasSubstr("shape"));
  EXPECT_THAT(problem_of(make(DistributionKind::pareto, 5, 2, 1)), HasSubstr("at least"));
  EXPECT_THAT(problem_of(make(DistributionKind::pareto, 1, nan, 1)), HasSubstr("maximum"));
  EXPECT_THAT(problem_of(make(DistributionKind::hyperexponential, 1, 0.5)), HasSubstr("squared"));
  EXPECT_THAT(problem_of(make(DistributionKind::normal, 1, -1)), HasSubstr("deviation"));
  EXPECT_THAT(problem_of(table(DistributionKind::choice, {}, {})), HasSubstr("at least one"));
  EXPECT_THAT(problem_of(table(DistributionKind::choice, {0, 0}, {1, 2})), HasSubstr("sum"));
  EXPECT_THAT(problem_of(table(DistributionKind::quantiles, {0, 1}, {1})), HasSubstr("2 and 1"));
  EXPECT_THAT(problem_of(table(DistributionKind::quantiles, {0, .5, .5, 1}, {1, 2, 3, 4})),
              HasSubstr("probability 2"));
  EXPECT_THAT(problem_of(table(DistributionKind::quantiles, {0, 1}, {2, 1})), HasSubstr("value 1"));
  Distribution limits = make(DistributionKind::exponential, 1);
  limits.min = 5;
  limits.max = 1;
  EXPECT_THAT(problem_of(limits), HasSubstr("largest value"));
}

TEST(Distribution, ReportsAllProblemsAtOnce) {
  try {
    make(DistributionKind::pareto, -1, -2, 0).validate();
    FAIL();
  } catch (const InputError& e) {
    EXPECT_EQ(e.problems().size(), 3u);
  }
}

TEST(Distribution, AQuantileTableKeepsItsPercentilesAndAtoms) {
  const auto d = table(DistributionKind::quantiles, {0, .25, .5, 1}, {5, 5, 10, 20});
  const auto x = draw(d, 100'000);
  std::size_t fives = 0;
  for (const double v : x) fives += v == 5;
  EXPECT_NEAR(static_cast<double>(fives) / 100'000, 0.25, 0.006);
  EXPECT_NEAR(arrival_testing::quantile_of(x, 0.5), 10, 0.1);
  EXPECT_NEAR(arrival_testing::quantile_of(x, 0.75), 15, 0.15);
}

}  // namespace
}  // namespace isthmus::world
