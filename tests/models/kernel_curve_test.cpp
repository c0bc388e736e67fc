// Curves of kernels over one parameter: values, sums and what a table gives.
#include "models/kernel_curve.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "models/kernel_profile.hpp"

namespace isthmus::models {
namespace {

TEST(KernelCurve, IsLinearBetweenPointsAndConstantBefore) {
  const KernelCurve c({2, 4, 8}, {10, 20, 30});
  EXPECT_DOUBLE_EQ(c.at(0), 10);
  EXPECT_DOUBLE_EQ(c.at(2), 10);
  EXPECT_DOUBLE_EQ(c.at(3), 15);
  EXPECT_DOUBLE_EQ(c.at(4), 20);
  EXPECT_DOUBLE_EQ(c.at(6), 25);
  EXPECT_DOUBLE_EQ(c.at(12), 40);  // the last slope goes on
  EXPECT_DOUBLE_EQ(c.end_of_piece(3), 4);
  EXPECT_FALSE(std::isfinite(c.end_of_piece(9)));
}

TEST(KernelCurve, NeverFallsBelowItsLastPoint) {
  const KernelCurve c({1, 2}, {10, 8});
  EXPECT_DOUBLE_EQ(c.at(1.5), 9);
  EXPECT_DOUBLE_EQ(c.at(1e6), 8);
}

TEST(KernelCurve, SumsLikeALoop) {
  const KernelCurve c({2, 4.5, 8, 100}, {10, 20, 30, 31});
  for (double first = 0; first < 12; first += 0.5)
    for (double last = first - 1; last < 140; last += 7) {
      double loop = 0;
      for (double x = first; x <= last; ++x) loop += c.at(x);
      EXPECT_NEAR(c.sum(first, last), loop, 1e-9 * (1 + loop)) << first << " " << last;
    }
}

TEST(KernelCurve, ScalesCountAndAxis) {
  const KernelCurve c = KernelCurve({2, 4}, {10, 20}).scaled(3, 8);
  for (const double x : {0.0, 16.0, 24.0, 32.0, 100.0})
    EXPECT_DOUBLE_EQ(c.at(x), 3 * KernelCurve({2, 4}, {10, 20}).at(x / 8));
}

TEST(MeasuredCurve, FollowsTheTable) {
  KernelProfile profile(
      {.device = "d", .provenance = "p", .licence = "CC0-1.0", .program_version = "1"});
  KernelTable t;
  t.kind = "gemm";
  t.parameters = {"n", "k", "m"};
  for (const double n : {64.0, 128.0})
    for (const double m : {1.0, 16.0, 32.0}) {
      t.shapes.insert(t.shapes.end(), {n, 64, m});
      const double ns = 100 + n * m;
      t.median_ns.push_back(ns);
      t.p10_ns.push_back(ns);
      t.p90_ns.push_back(ns);
      t.n.push_back(1);
    }
  profile.add(t);
  const auto rows = CurveMaker(profile, "gemm", Precision::fp32, "m")({{"n", 64}, {"k", 64}});
  ASSERT_TRUE(rows);
  EXPECT_DOUBLE_EQ(rows->curve.at(16), 100 + 64 * 16);
  EXPECT_EQ(rows->kind(16), PredictionKind::measured);
  EXPECT_EQ(rows->kind(17), PredictionKind::interpolated);
  EXPECT_EQ(rows->kind(33), PredictionKind::extrapolated);
  const auto between = CurveMaker(profile, "gemm", Precision::fp32, "m")({{"k", 64}, {"n", 96}});
  ASSERT_TRUE(between);
  EXPECT_NEAR(between->curve.at(32), 100 + 96 * 32, 1e-6);
  EXPECT_EQ(between->kind(16), PredictionKind::interpolated);

  // Outside in another parameter, of another format, over a parameter that there is not.
  EXPECT_FALSE(CurveMaker(profile, "gemm", Precision::fp32, "m")({{"n", 999}, {"k", 64}}));
  EXPECT_FALSE(CurveMaker(profile, "gemm", Precision::bf16, "m")({{"n", 64}, {"k", 64}}));
  EXPECT_FALSE(CurveMaker(profile, "gemm", Precision::fp32, "rows")({{"n", 64}, {"k", 64}}));
}

}  // namespace
}  // namespace isthmus::models
