#include "models/least_squares.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace isthmus::models {
namespace {

using Eigen::VectorXd;

constexpr double inf = std::numeric_limits<double>::infinity();

// Residuals of one point at a time; every one is a group of its own.
LeastSquaresProblem problem(std::vector<Unknown> unknowns, std::size_t rows,
                            std::function<double(const VectorXd&, std::size_t)> residual) {
  LeastSquaresProblem p;
  p.unknowns = std::move(unknowns);
  for (Unknown& u : p.unknowns) u.first = u.start;
  for (std::size_t i = 0; i < rows; ++i) p.groups.push_back(i);
  p.residuals = [=](const std::vector<VectorXd>& points) {
    std::vector<VectorXd> all;
    for (const VectorXd& x : points) {
      VectorXd r(static_cast<Eigen::Index>(rows));
      for (std::size_t i = 0; i < rows; ++i) r[static_cast<Eigen::Index>(i)] = residual(x, i);
      all.push_back(r);
    }
    return all;
  };
  return p;
}

// Times a + b t of noisy observations with a = 3, b = 0.5, as logarithms of ratios.
std::vector<double> observations(std::size_t rows, double noise, unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> y;
  for (std::size_t i = 0; i < rows; ++i)
    y.push_back((3 + 0.5 * static_cast<double>(i % 20)) * std::exp(noise * normal(random)));
  return y;
}

LeastSquaresProblem line(const std::vector<double>& y) {
  return problem({{1, 0, inf, 0.01}, {5, 0, inf, 0.01}}, y.size(),
                 [y](const VectorXd& x, std::size_t i) {
                   return std::log((x[0] + x[1] * static_cast<double>(i % 20) + 1e-9) / y[i]);
                 });
}

TEST(LeastSquares, RecoversExactValues) {
  const LeastSquaresFit f = least_squares(line(observations(100, 0, 1)));
  EXPECT_TRUE(f.converged);
  EXPECT_NEAR(f.unknowns[0].value, 3, 1e-2);
  EXPECT_NEAR(f.unknowns[1].value, 0.5, 1e-3);
  EXPECT_LT(f.cost_after, f.cost_before * 1e-3);
}

// Over many samples the true value lies within 1.96 standard errors about as often as it should.
TEST(LeastSquares, StandardErrorsCoverTheTruth) {
  int covered = 0, runs = 120;
  for (int k = 0; k < runs; ++k) {
    const LeastSquaresFit f = least_squares(line(observations(200, 0.2, 100U + unsigned(k))));
    ASSERT_EQ(f.unknowns[1].identified, Identified::yes);
    covered += std::abs(f.unknowns[1].value - 0.5) < 1.96 * f.unknowns[1].standard_error;
  }
  EXPECT_GT(covered, runs * 88 / 100);
  EXPECT_LT(covered, runs * 995 / 1000);
}

// Errors that come in groups make the estimate less certain.
TEST(LeastSquares, DependentResidualsCountOnce) {
  const std::vector<double> y = observations(20, 0.1, 5);
  std::vector<double> repeated;
  for (int k = 0; k < 9; ++k) repeated.insert(repeated.end(), y.begin(), y.end());
  LeastSquaresProblem p = line(repeated);
  const double apart = least_squares(p).unknowns[1].standard_error;
  for (std::size_t i = 0; i < p.groups.size(); ++i) p.groups[i] = i % 20;
  const double grouped = least_squares(p).unknowns[1].standard_error;
  EXPECT_GT(grouped / apart, 2.7);
  EXPECT_LT(grouped / apart, 3.6);
}

TEST(LeastSquares, OutliersHardlyMove) {
  std::vector<double> y = observations(200, 0.02, 9);
  for (std::size_t i = 0; i < y.size(); i += 13) y[i] *= 20;
  const LeastSquaresFit f = least_squares(line(y));
  EXPECT_NEAR(f.unknowns[0].value, 3, 0.1);
  EXPECT_NEAR(f.unknowns[1].value, 0.5, 0.02);
}

TEST(LeastSquares, StopsAtBounds) {
  const std::vector<double> y = observations(100, 0.01, 3);
  LeastSquaresProblem p = line(y);
  p.unknowns[0] = {4, 3.5, inf, 0.01, 4};  // the truth, 3, lies below
  const LeastSquaresFit f = least_squares(p);
  EXPECT_EQ(f.unknowns[0].identified, Identified::at_bound);
  EXPECT_EQ(f.unknowns[0].value, 3.5);
  EXPECT_TRUE(std::isnan(f.unknowns[0].standard_error));
  EXPECT_EQ(f.unknowns[1].identified, Identified::yes);
}

TEST(LeastSquares, SaysWhatHasNoEffect) {
  const std::vector<double> y = observations(100, 0.01, 3);
  const LeastSquaresProblem base = line(y);
  LeastSquaresProblem p = base;
  p.unknowns.push_back({7, 0, inf, 0.1, 7});
  const LeastSquaresFit f = least_squares(p);
  EXPECT_EQ(f.unknowns[2].identified, Identified::no_effect);
  EXPECT_EQ(f.unknowns[2].value, 7);
  EXPECT_NEAR(f.unknowns[1].value, 0.5, 0.01);
}

// Two constants add up: the second keeps its start, and the first makes up for it.
TEST(LeastSquares, SaysWhatCannotBeToldApart) {
  const std::vector<double> y = observations(200, 0.01, 3);
  const LeastSquaresProblem p =
      problem({{1, 0, inf, 0.01}, {5, 0, inf, 0.01}, {0.75, 0, inf, 0.01}}, y.size(),
              [y](const VectorXd& x, std::size_t i) {
                return std::log((x[0] + x[2] + x[1] * static_cast<double>(i % 20)) / y[i]);
              });
  const LeastSquaresFit f = least_squares(p);
  EXPECT_EQ(f.unknowns[2].identified, Identified::confounded);
  EXPECT_EQ(f.unknowns[2].other, 0U);
  EXPECT_EQ(f.unknowns[2].value, 0.75);
  EXPECT_NEAR(f.unknowns[0].value, 2.25, 5 * f.unknowns[0].standard_error);
  EXPECT_LT(f.unknowns[0].standard_error, 0.05);
}

TEST(LeastSquares, RefusesWhatIsNoNumber) {
  EXPECT_ANY_THROW(least_squares(problem({{1, 0, 2, 0.1}}, 3, [](const VectorXd& x, std::size_t) {
    return std::log(-x[0]);
  })));
  EXPECT_ANY_THROW(least_squares(problem({{1, 2, 3, 0.1}}, 3, [](const VectorXd& x, std::size_t) {
    return x[0];
  })));
}

// Without the only group that says something about a value, nothing is known of it.
TEST(LeastSquares, AGroupThatDecidesAloneShows) {
  const std::vector<double> y = observations(200, 0.05, 3);
  // The second unknown acts on the first ten residuals only.
  LeastSquaresProblem p = problem({{1, 0, 9, 0.01, 1}, {1, 0, 9, 0.01, 1}}, y.size(),
                                  [y](const VectorXd& x, std::size_t i) {
                                    const double base = 3 + 0.5 * static_cast<double>(i % 20);
                                    return std::log(x[0] * base / y[i]) + (i < 10 ? x[1] : 1) - 1;
                                  });
  for (std::size_t i = 0; i < y.size(); ++i) p.groups[i] = i / 10;
  const LeastSquaresFit alone = least_squares(p);
  for (std::size_t i = 0; i < y.size(); ++i) p.groups[i] = i;
  const LeastSquaresFit apart = least_squares(p);
  EXPECT_TRUE(std::isinf(alone.unknowns[1].standard_error));
  EXPECT_NEAR(alone.unknowns[1].value, 1, 0.1);
  EXPECT_NEAR(apart.unknowns[1].standard_error, 0.05 / std::sqrt(10), 0.01);
  EXPECT_LT(alone.unknowns[0].standard_error, 2 * apart.unknowns[0].standard_error);
}

}  // namespace
}  // namespace isthmus::models
