// Interpolation along one parameter, against curves that are known.
#include "models/kernel_interpolation.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "sim/core/errors.hpp"

namespace isthmus::models {
namespace {

TEST(LineThrough, IsStraight) {
  EXPECT_DOUBLE_EQ(line_through({2, 10}, {6, 30}, 3), 15);
  EXPECT_DOUBLE_EQ(line_through({2, 10}, {6, 30}, 2), 10);
  EXPECT_DOUBLE_EQ(line_through({2, 10}, {6, 30}, 6), 30);
}

TEST(CurveThrough, FollowsPowersOfOnePlusX) {
  std::vector<CurvePoint> points;
  for (const double x : {63.0, 127.0, 255.0, 511.0}) points.push_back({x, 3 * (x + 1) * (x + 1)});
  for (const double x : {130.0, 181.0, 250.0})
    EXPECT_NEAR(curve_through(points, 1, x) / (3 * (x + 1) * (x + 1)), 1, 1e-12);
  // A straight line errs by an eighth in the middle of a doubling.
  EXPECT_GT(line_through(points[1], points[2], 181) / curve_through(points, 1, 181), 1.1);
}

TEST(CurveThrough, TurnsFromFlatToSteepBetterThanALine) {
  // A launch of 10 us, then quadratic: what attention of one prompt does.
  const auto f = [](double x) { return 1e4 + x * x; };
  std::vector<CurvePoint> points;
  for (const double x : {64.0, 128.0, 256.0, 512.0}) points.push_back({x, f(x)});
  const double x = 190;
  const double curve = std::abs(curve_through(points, 1, x) / f(x) - 1);
  const double line = std::abs(line_through(points[1], points[2], x) / f(x) - 1);
  EXPECT_LT(curve, line / 2);
}

TEST(CurveThrough, StaysBetweenItsTwoPoints) {
  // A jump like those of cache edges: splines overshoot here, this must not.
  const std::vector<CurvePoint> points{{1, 10}, {2, 10.5}, {4, 1000}, {8, 1001}};
  double before = 10.5;
  for (double x = 2; x <= 4; x += 0.01) {
    const double ns = curve_through(points, 1, x);
    EXPECT_GE(ns, before - 1e-9);
    EXPECT_LE(ns, 1000 + 1e-9);
    before = ns;
  }
  // A dip: each side falls and rises monotonically.
  const std::vector<CurvePoint> dip{{1, 10}, {2, 5}, {3, 5}, {4, 10}};
  EXPECT_NEAR(curve_through(dip, 1, 2.5), 5, 1e-9);
}

TEST(CurveThrough, HitsItsPointsAndWorksAtEnds) {
  const std::vector<CurvePoint> points{{0, 7}, {10, 9}, {100, 40}};
  EXPECT_NEAR(curve_through(points, 0, 0), 7, 1e-12);
  EXPECT_NEAR(curve_through(points, 0, 10), 9, 1e-12);
  EXPECT_NEAR(curve_through(points, 1, 100), 40, 1e-10);
  const std::vector<CurvePoint> two{{0, 8}, {3, 32}};
  EXPECT_NEAR(curve_through(two, 0, 1), 16, 1e-12);  // log2(2)/log2(4) half-way, in logarithms
}

TEST(CurveThrough, RefusesTooFewPoints) {
  const std::vector<CurvePoint> points{{0, 7}, {10, 9}, {20, 10}, {30, 11}, {40, 12}};
  EXPECT_THROW((void)curve_through({points.data(), 1}, 0, 5), InternalError);
  EXPECT_THROW((void)curve_through(points, 0, 5), InternalError);
  EXPECT_THROW((void)curve_through({points.data(), 2}, 1, 5), InternalError);
}

}  // namespace
}  // namespace isthmus::models
