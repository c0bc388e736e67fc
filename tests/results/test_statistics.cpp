// Percentiles against hand values, Student's t against its printed table.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "results/statistics.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::results {
namespace {

TEST(Percentile, IsTheNearestRank) {
  // The textbook example of the nearest-rank method.
  std::vector<double> v{50, 20, 15, 40, 35};
  EXPECT_EQ(percentile(v, 5), 15);
  EXPECT_EQ(percentile(v, 30), 20);
  EXPECT_EQ(percentile(v, 40), 20);
  EXPECT_EQ(percentile(v, 50), 35);
  EXPECT_EQ(percentile(v, 100), 50);
  EXPECT_EQ(percentile(v, 0), 15);
}

TEST(Percentile, RankIsExactWhereFloatingPointIsNot) {
  // 0.07 * 100 is 7.000000000000001 and 0.29 * 100 is 28.999999999999996 in doubles.
  for (std::uint64_t n : {100ULL, 1000ULL, 100000ULL})
    for (std::uint64_t p = 1; p <= 100; ++p)
      EXPECT_EQ(nearest_rank(static_cast<double>(p), n), p * n / 100) << p << " of " << n;
  EXPECT_EQ(nearest_rank(99.9, 1000), 999U);
  EXPECT_EQ(nearest_rank(99.9, 1001), 1000U);
  EXPECT_EQ(nearest_rank(95, 1), 1U);
}

TEST(Percentile, RefusesNonsense) {
  EXPECT_THROW(nearest_rank(-1, 5), Error);
  EXPECT_THROW(nearest_rank(101, 5), Error);
  EXPECT_THROW(nearest_rank(NAN, 5), Error);
  EXPECT_THROW(nearest_rank(50, 0), Error);
  EXPECT_TRUE(std::isnan(percentile({}, 50)));
}

TEST(Moments, OfAFewValues) {
  const std::vector<double> v{2, 4, 4, 4, 5, 5, 7, 9};
  EXPECT_DOUBLE_EQ(mean_of(v), 5);
  EXPECT_DOUBLE_EQ(variance_of(v), 32.0 / 7);
  EXPECT_TRUE(std::isnan(mean_of({})));
  EXPECT_TRUE(std::isnan(variance_of(std::vector<double>{1})));
}

TEST(IncompleteBeta, ClosedForms) {
  EXPECT_NEAR(incomplete_beta(1, 1, 0.3), 0.3, 1e-14);
  EXPECT_NEAR(incomplete_beta(2, 1, 0.3), 0.09, 1e-14);
  EXPECT_NEAR(incomplete_beta(1, 3, 0.3), 1 - 0.343, 1e-14);
  EXPECT_NEAR(incomplete_beta(0.5, 0.5, 0.5), 0.5, 1e-14);
  EXPECT_EQ(incomplete_beta(2, 3, 0), 0);
  EXPECT_EQ(incomplete_beta(2, 3, 1), 1);
  EXPECT_THROW(incomplete_beta(0, 1, 0.5), Error);
  EXPECT_THROW(incomplete_beta(1, 1, 1.5), Error);
}

TEST(StudentT, QuantilesOfTheTable) {
  struct Row {
    double p, degrees, t;
  };
  // NIST/SEMATECH handbook 1.3.6.7.2, more digits from the closed forms (1, 2, 4 degrees) and R's
  // qt().
  for (const Row& r : {Row{0.975, 1, 12.706204736432095}, Row{0.975, 2, 4.302652729911275},
                       Row{0.975, 4, 2.7764451051977987}, Row{0.975, 9, 2.2621571627409915},
                       Row{0.975, 29, 2.045229642132703}, Row{0.95, 5, 2.015048372669157},
                       Row{0.995, 10, 3.169272667175838}, Row{0.9, 3, 1.63774435369621},
                       Row{0.975, 1000, 1.9623390808264074}})
    EXPECT_NEAR(student_t_quantile(r.p, r.degrees), r.t, 1e-6) << r.p << ' ' << r.degrees;
}

TEST(StudentT, IsSymmetricAndInvertsItsDistribution) {
  for (double degrees : {1.0, 2.0, 7.0, 100.0})
    for (double p : {0.001, 0.025, 0.3, 0.5, 0.8, 0.999}) {
      const double t = student_t_quantile(p, degrees);
      EXPECT_NEAR(student_t_cdf(t, degrees), p, 1e-12);
      EXPECT_NEAR(student_t_quantile(1 - p, degrees), -t, 1e-9 * (1 + std::abs(t)));
    }
  EXPECT_THROW(student_t_quantile(0, 3), Error);
  EXPECT_THROW(student_t_quantile(1, 3), Error);
  EXPECT_THROW(student_t_quantile(0.5, 0), Error);
}

}  // namespace
}  // namespace isthmus::results
