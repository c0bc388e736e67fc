// Comparison of two shares of right answers, and rollouts in summaries and reports.
#include <gtest/gtest.h>

#include <cmath>

#include "fixtures.hpp"
#include "results/rollout.hpp"
#include "results/comparison.hpp"

namespace isthmus::results::test {
namespace {

AbSide side(std::uint64_t right, std::uint64_t answers) { return {answers, right, 0, 0}; }

// Table II of Newcombe, "Interval estimation for the difference between independent proportions", Statistics in
// Medicine 17 (1998), method 10, 95 %.
TEST(AbTest, IntervalsAreThoseOfNewcombe) {
  struct Case {
    AbSide fresh, old;
    double low, high;
  };
  for (const Case& c : {Case{side(56, 70), side(48, 80), 0.0524, 0.3339}, Case{side(9, 10), side(3, 10), 0.1705, 0.8090},
                        Case{side(5, 56), side(0, 29), -0.0381, 0.1926}, Case{side(10, 10), side(0, 10), 0.6075, 1.0}}) {
    const ProportionTest t = compare_proportions(c.old, c.fresh, 0.95);
    EXPECT_NEAR(t.low, c.low, 5e-5);
    EXPECT_NEAR(t.high, c.high, 5e-5);
  }
}

TEST(AbTest, PooledTestByHand) {
  // Pooled share 104/150, standard error 0.075467, z = 2.6502.
  EXPECT_NEAR(compare_proportions(side(48, 80), side(56, 70), 0.95).p_value, 0.008045, 5e-7);
  EXPECT_DOUBLE_EQ(compare_proportions(side(56, 70), side(48, 80), 0.95).p_value,
                   compare_proportions(side(48, 80), side(56, 70), 0.95).p_value);
  EXPECT_DOUBLE_EQ(compare_proportions(side(5, 10), side(10, 20), 0.95).p_value, 1);
  EXPECT_DOUBLE_EQ(compare_proportions(side(10, 10), side(20, 20), 0.95).p_value, 1);
  EXPECT_TRUE(std::isnan(compare_proportions(side(0, 0), side(1, 2), 0.95).p_value));
}

TEST(Rollouts, ComeBackFromTheSummary) {
  Recorder recorder(two_services(), {});
  recorder.add(answered(1, 3));
  const Summary s = recorder.finish(totals(1));
  const Summary back = summary_from_json(to_json(s));
  EXPECT_EQ(to_json(back), to_json(s));
  ASSERT_EQ(back.rollouts.size(), 1U);
  EXPECT_EQ(back.rollouts[0].events.size(), 2U);
  EXPECT_EQ(back.rollouts[0].test->fresh.right, 81U);
  EXPECT_EQ(back.value("rollout_exposed_share.edge/v2"), 0.25);
  EXPECT_EQ(back.value("ab_accuracy_new.edge/v2"), 0.9);
  EXPECT_EQ(back.value("version.edge/v2"), 0.25);
  const std::string report = run_report(s);
  for (const char* words : {"edge/v2", "completed", "81 of 90", "parts of different versions in 5 of 20"})
    EXPECT_NE(report.find(words), std::string::npos) << words;
}

}  // namespace
}  // namespace isthmus::results::test
