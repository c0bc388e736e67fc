// Loads of the parts of a mixture: against draws, and where they are known exactly.
#include "models/expert_load.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/core/random.hpp"

namespace isthmus::models {
namespace {

double d(std::int64_t v) { return static_cast<double>(v); }

TEST(ExpertLoad, ChancesAddUpToTheChoices) {
  for (const double skew : {0.0, 0.5, 1.2, 4.0})
    for (const auto& [experts, active] : {std::pair{8, 2}, {128, 8}, {16, 16}}) {
      const auto chances = choice_chances(experts, active, skew);
      EXPECT_NEAR(std::accumulate(chances.begin(), chances.end(), 0.0), active, 1e-9);
      EXPECT_TRUE(std::is_sorted(chances.rbegin(), chances.rend()));
      EXPECT_LE(chances.front(), 1);
    }
  for (const double c : choice_chances(128, 8, 0)) EXPECT_NEAR(c, 8.0 / 128, 1e-12);
}

TEST(ExpertLoad, SmallCasesByHand) {
  // Two draws from two equal shares: both in one with chance 1/2.
  EXPECT_NEAR(expected_largest_count({0.5, 0.5}, 2), 1.5, 1e-12);
  // Three draws from three: all different 6/27, all equal 3/27.
  EXPECT_NEAR(expected_largest_count({1 / 3.0, 1 / 3.0, 1 / 3.0}, 3), (6 + 2 * 18 + 3 * 3) / 27.0, 1e-12);
  EXPECT_NEAR(expected_largest_count({1.0, 0.0}, 5), 5, 1e-12);
  // Two experts of a token on two parts of one expert each.
  EXPECT_NEAR(ExpertLoad({.experts = 2, .active = 2, .parts = 2}).imbalance(1), 1, 1e-12);
  // One token with one choice has all its load on one of four parts.
  EXPECT_NEAR(ExpertLoad({.experts = 8, .active = 1, .parts = 4}).imbalance(1), 4, 1e-12);
  EXPECT_EQ(ExpertLoad({.experts = 8, .active = 2, .parts = 1}).imbalance(7), 1);
}

// Draws of every token's experts, as the law says them.
double sampled(const ExpertLaw& law, std::int64_t tokens, int runs) {
  Rng g(7);
  double sum = 0;
  std::vector<double> weight;
  for (std::int64_t i = 1; i <= law.experts; ++i) weight.push_back(std::pow(d(i), -law.skew));
  std::vector<std::pair<double, std::size_t>> keys(weight.size());
  for (int run = 0; run < runs; ++run) {
    std::vector<std::size_t> part(weight.size());
    for (std::size_t i = 0; i < part.size(); ++i)
      part[i] = i * static_cast<std::size_t>(law.parts) / part.size();
    for (std::size_t i = part.size(); i > 1; --i) std::swap(part[i - 1], part[uniform_index(g, i)]);
    std::vector<double> load(static_cast<std::size_t>(law.parts), 0.0);
    for (std::int64_t t = 0; t < tokens; ++t) {
      // The smallest of exponential dates at these rates are draws without replacement.
      for (std::size_t i = 0; i < keys.size(); ++i)
        keys[i] = {sample_exponential(g, 1 / weight[i]), i};
      std::nth_element(keys.begin(), keys.begin() + (law.active - 1), keys.end());
      for (std::int64_t k = 0; k < law.active; ++k) ++load[part[keys[static_cast<std::size_t>(k)].second]];
    }
    sum += *std::max_element(load.begin(), load.end());
  }
  return sum / runs * law.parts / d(tokens * law.active);
}

TEST(ExpertLoad, AgreesWithDraws) {
  for (const ExpertLaw& law : {ExpertLaw{8, 2, 4, 0}, ExpertLaw{128, 8, 8, 0}, ExpertLaw{64, 6, 2, 0},
                               ExpertLaw{128, 8, 8, 0.5}, ExpertLaw{8, 2, 8, 1.0}})
    for (const std::int64_t tokens : {1, 4, 64, 512}) {
      const double expected = sampled(law, tokens, tokens < 64 ? 4000 : 200);
      // Choices without replacement are somewhat more even than the law's independent draws.
      EXPECT_NEAR(ExpertLoad(law).imbalance(d(tokens)) / expected, 1.03, 0.09)
          << law.experts << " experts, " << law.parts << " parts, skew " << law.skew << ", " << tokens
          << " tokens: " << expected;
    }
}

TEST(ExpertLoad, EvenChoicesEvenOutAndPopularOnesDoNot) {
  const ExpertLoad even({.experts = 128, .active = 8, .parts = 8});
  for (double tokens = 1; tokens < 60000; tokens *= 2)
    EXPECT_GE(even.imbalance(tokens), even.imbalance(2 * tokens));
  EXPECT_NEAR(even.imbalance(65536), 1, 0.01);
  EXPECT_EQ(even.imbalance(1e9), even.imbalance(65536));
  double last = 1;
  for (const double skew : {0.0, 0.5, 1.0, 1.5}) {
    const ExpertLoad load({.experts = 128, .active = 8, .parts = 8, .skew = skew});
    EXPECT_GT(load.imbalance(4096), last);
    EXPECT_LE(load.imbalance(4096), 8);
    last = load.imbalance(4096);
  }
}

}  // namespace
}  // namespace isthmus::models
