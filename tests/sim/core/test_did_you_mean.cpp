#include <gtest/gtest.h>

#include <vector>

#include "sim/core/did_you_mean.hpp"

namespace isthmus {
namespace {

TEST(EditDistance, CountsEachKindOfEditOnce) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("edge", "egde"), 1u);  // swap of neighbours
  EXPECT_EQ(edit_distance("ca", "abc"), 3u);     // optimal string alignment, not the full form (2)
  EXPECT_EQ(edit_distance("edge", "edg"), 1u);
  EXPECT_EQ(edit_distance("edge", "wedge"), 1u);
}

TEST(EditDistance, IgnoresCaseAndSeparator) {
  EXPECT_EQ(edit_distance("Always_Local", "always-local"), 0u);
}

TEST(EditDistance, IsSymmetric) {
  const std::vector<std::string> words{"min-latency", "min-energy", "threshold", "score", "", "a"};
  for (const auto& a : words)
    for (const auto& b : words)
      EXPECT_EQ(edit_distance(a, b), edit_distance(b, a)) << a << " " << b;
}

TEST(DidYouMean, FindsTheNearest) {
  const std::vector<std::string> names{"always-local", "always-edge", "min-latency",
                                       "min-energy",   "score",       "score-corrected"};
  EXPECT_EQ(did_you_mean("alway-local", names), "always-local");
  EXPECT_EQ(did_you_mean("min_latency", names), "min-latency");
  EXPECT_EQ(did_you_mean("min-latnecy", names), "min-latency");
  EXPECT_EQ(did_you_mean("scroe", names), "score");
  EXPECT_EQ(did_you_mean("SCORE", names), "score");
}

TEST(DidYouMean, AcceptsAnAbbreviation) {
  const std::vector<std::string> names{"min-latency", "queue-length"};
  EXPECT_EQ(did_you_mean("latency", names), "min-latency");
  EXPECT_EQ(did_you_mean("queue", names), "queue-length");
}

TEST(DidYouMean, IsSilentWhenNothingIsClose) {
  const std::vector<std::string> names{"score", "random", "a"};
  EXPECT_EQ(did_you_mean("zebra", names), "");
  EXPECT_EQ(did_you_mean("b", names), "");
  EXPECT_EQ(did_you_mean("", names), "");
  EXPECT_EQ(did_you_mean("score", {}), "");
}

TEST(DidYouMean, BreaksTiesByOrder) {
  const std::vector<std::string> names{"nodes", "modes"};
  EXPECT_EQ(did_you_mean("codes", names), "nodes");
}

}  // namespace
}  // namespace isthmus
