// Zipf's law and the keys of items.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "sim/world/cache_spec.hpp"

namespace isthmus::world {
namespace {

// Chi-square over the ranks, the tail as one class; within 4 standard deviations.
TEST(Popularity, ZipfDrawsFollowTheLaw) {
  for (const double exponent : {0.0, 0.5, 1.0, 1.7, 4.0})
    for (const std::uint64_t items : {1ULL, 2ULL, 30ULL, 5000ULL}) {
      const ZipfLaw law(items, exponent);
      constexpr int n = 200'000;
      const std::size_t classes = std::min<std::size_t>(items, 20);
      std::vector<double> seen(classes, 0), expected(classes, 0);
      Rng g(9);
      for (int i = 0; i < n; ++i) {
        const std::uint64_t k = law.sample(g);
        ASSERT_GE(k, 1U);
        ASSERT_LE(k, items);
        ++seen[std::min<std::size_t>(k, classes) - 1];
      }
      double sum = 0;
      for (std::uint64_t k = 1; k <= items; ++k) {
        const double p = std::pow(static_cast<double>(k), -exponent);
        sum += p;
        expected[std::min<std::size_t>(k, classes) - 1] += p;
      }
      double chi = 0, degrees = -1;
      for (std::size_t c = 0; c < classes; ++c) {
        const double e = expected[c] / sum * n;
        if (e < 5) continue;
        chi += (seen[c] - e) * (seen[c] - e) / e;
        ++degrees;
      }
      EXPECT_LE(chi, degrees + 4 * std::sqrt(2 * std::max(1.0, degrees))) << exponent << " " << items;
    }
}

TEST(Popularity, HugeNumbersOfItemsTakeNoMemory) {
  const ZipfLaw law(1'000'000'000'000'000ULL, 0.8);
  Rng g(1);
  std::uint64_t most = 0;
  for (int i = 0; i < 1000; ++i) most = std::max(most, law.sample(g));
  EXPECT_GT(most, 100'000'000'000'000ULL);
  EXPECT_LE(most, law.items());
}

TEST(Popularity, ItemsKeepTheirRankForALifetime) {
  KeyLaw law;
  law.space = hash_name("x");
  law.lifetime = Duration::from_seconds(10);
  for (const std::uint64_t rank : {1ULL, 2ULL, 77ULL}) {
    std::vector<double> changes;
    std::uint64_t before = law.key(rank, Instant::zero());
    std::set<std::uint64_t> keys{before};
    for (int i = 1; i < 5000; ++i) {
      const double t = i * 0.01;
      const std::uint64_t key = law.key(rank, Instant::zero() + Duration::from_seconds(t));
      if (key == before) continue;
      EXPECT_TRUE(keys.insert(key).second);  // never seen before
      changes.push_back(t);
      before = key;
    }
    ASSERT_EQ(changes.size(), 5U);
    for (std::size_t i = 1; i < changes.size(); ++i)
      EXPECT_NEAR(changes[i] - changes[i - 1], 10, 0.011);
  }
  EXPECT_NE(law.key(1, Instant::zero()), law.key(2, Instant::zero()));
}

TEST(Popularity, ChancesBetweenPointsAreLinear) {
  CacheTier tier;
  tier.suits = {{0.5, 0.2}, {0.9, 1.0}};
  EXPECT_EQ(tier.suits_at(0.1), 0.2);
  EXPECT_NEAR(tier.suits_at(0.7), 0.6, 1e-12);
  EXPECT_EQ(tier.suits_at(0.95), 1.0);
}

}  // namespace
}  // namespace isthmus::world
