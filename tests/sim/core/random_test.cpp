// Generators, streams and quantile functions. Golden numbers come from an independent Python
// implementation that reproduces the published test vectors of SplitMix64 (seed 1234567) and of
// xoshiro256++ (state 1, 2, 3, 4).
#include "sim/core/random.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "sim/core/errors.hpp"

namespace isthmus {
namespace {

TEST(Rng, GoldenValues) {
  const auto first = [](std::uint64_t seed) {
    Rng g(seed);
    return std::array<std::uint64_t, 4>{g(), g(), g(), g()};
  };
  using Four = std::array<std::uint64_t, 4>;
  EXPECT_EQ(first(0), (Four{0x53175d61490b23dfULL, 0x61da6f3dc380d507ULL, 0x5c0fdf91ec9a7bfcULL,
                            0x02eebf8c3bbe5e1aULL}));
  EXPECT_EQ(first(1), (Four{0xcfc5d07f6f03c29bULL, 0xbf424132963fe08dULL, 0x19a37d5757aaf520ULL,
                            0xbf08119f05cd56d6ULL}));
  EXPECT_EQ(first(~0ULL), (Four{0x56ccf8ce948e27b2ULL, 0xe68588432e5a5b90ULL, 0xe3e9b5a48119ca8bULL,
                                0x460f19495532ae73ULL}));
  Rng g(42);
  EXPECT_EQ(g(), 0xd0764d4f4476689fULL);
  std::uint64_t last = 0;
  for (int i = 1; i < 1'000'000; ++i) last = g();
  EXPECT_EQ(last, 0x38d26b526dd02d0fULL);
}

TEST(Rng, SplitMixVectorSeedsIt) {
  // SplitMix64 of seed 1234567, as published: the generator's state words.
  EXPECT_EQ(mix64(1234567 + 0x9e3779b97f4a7c15ULL), 6457827717110365317ULL);
  EXPECT_EQ(mix64(1234567 + 2 * 0x9e3779b97f4a7c15ULL), 3203168211198807973ULL);
}

TEST(StreamKey, GoldenValues) {
  constexpr StreamKey key(7, "arrivals/cam3");
  EXPECT_EQ(key.value(), 0xbb5273a8b38b736dULL);
  EXPECT_EQ(key.sequence()(), 0x081da0f2bcbad9e6ULL);
  EXPECT_EQ(key.at(5, 1)(), 0xb4aee1a5b2b8b836ULL);
}

TEST(StreamKey, AddingAnEntityMovesNoOtherStream) {
  // A stream is a function of the seed and of its own name: whatever else exists or draws, in
  // whatever order, cam1 sees the same numbers.
  const auto draws = [](const std::vector<std::string>& names, const std::string& wanted) {
    std::vector<Rng> streams;
    std::vector<double> out;
    for (const auto& n : names) streams.push_back(StreamKey(9, "arrivals/" + n).sequence());
    for (int i = 0; i < 100; ++i)
      for (std::size_t s = 0; s < streams.size(); ++s) {
        const double x = sample_gamma(streams[s], 0.7, 1.0);
        if (names[s] == wanted) out.push_back(x);
      }
    return out;
  };
  const auto alone = draws({"cam1"}, "cam1");
  EXPECT_EQ(draws({"cam0", "cam1", "cam2"}, "cam1"), alone);
  EXPECT_EQ(draws({"cam2", "cam1"}, "cam1"), alone);
  EXPECT_NE(draws({"cam2"}, "cam2"), alone);
}

TEST(StreamKey, RequestDrawsDependOnIndexAttemptNameAndSeedOnly) {
  const StreamKey key(1, "service/cloud");
  EXPECT_EQ(key.at(3)(), key.at(3, 0)());
  // Close keys and indices must not give close or shifted sequences.
  std::vector<std::uint64_t> first;
  for (std::uint64_t seed : {1, 2})
    for (const char* name : {"service/cloud", "service/clouD", "service/cloud2"})
      for (std::uint64_t index = 0; index < 50; ++index)
        for (std::uint64_t attempt = 0; attempt < 3; ++attempt)
          first.push_back(StreamKey(seed, name).at(index, attempt)());
  std::sort(first.begin(), first.end());
  EXPECT_EQ(std::adjacent_find(first.begin(), first.end()), first.end());
}

TEST(StreamKey, FirstDrawsOfConsecutiveRequestsAreUncorrelated) {
  // Each request has its own generator, so the seeding itself must be random.
  const StreamKey key(1, "tokens/chat");
  const int n = 100'000;
  double sum = 0, lag = 0, squares = 0, previous = 0;
  for (int i = 0; i < n; ++i) {
    Rng g = key.at(static_cast<std::uint64_t>(i));
    const double x = uniform01(g) - 0.5;
    sum += x;
    squares += x * x;
    lag += x * previous;
    previous = x;
  }
  EXPECT_NEAR(sum / n, 0.0, 4.0 * std::sqrt(1.0 / 12.0 / n));
  EXPECT_NEAR(squares / n, 1.0 / 12.0, 4.0 * std::sqrt(1.0 / 180.0 / n));
  EXPECT_NEAR(lag / n * 12.0, 0.0, 4.0 / std::sqrt(n));
}

TEST(Uniform01, NeverReachesItsEnds) {
  // The conversion at both extremes of the generator's output, as uniform01 does it.
  constexpr double lowest = (static_cast<double>(std::uint64_t{0} >> 12) + 0.5) * 0x1.0p-52;
  constexpr double highest = (static_cast<double>(~std::uint64_t{0} >> 12) + 0.5) * 0x1.0p-52;
  EXPECT_GT(lowest, 0.0);
  EXPECT_LT(highest, 1.0);
  // And uniform01 does exactly that.
  Rng a(3), b(3);
  for (int i = 0; i < 1000; ++i)
    ASSERT_EQ(uniform01(a), (static_cast<double>(b() >> 12) + 0.5) * 0x1.0p-52);
}

TEST(UniformIndex, CoversItsRangeEvenly) {
  Rng g(5);
  std::array<int, 7> count{};
  const int n = 70'000;
  for (int i = 0; i < n; ++i) ++count.at(uniform_index(g, 7));
  double chi2 = 0;
  for (const int c : count) chi2 += (c - 10'000.0) * (c - 10'000.0) / 10'000.0;
  EXPECT_LT(chi2, 22.46);  // 0.1 % of chi-square with 6 degrees of freedom
}

TEST(UniformIndex, LargeRangesHaveNoBias) {
  // With n = 3 * 2^62 a plain modulo would hit the lowest third twice as often.
  Rng g(6);
  const std::uint64_t n = 3ULL << 62;
  int low = 0;
  for (int i = 0; i < 30'000; ++i) {
    const std::uint64_t x = uniform_index(g, n);
    ASSERT_LT(x, n);
    low += x < n / 3;
  }
  EXPECT_NEAR(low, 10'000, 4 * std::sqrt(30'000.0 * 2 / 9));
  EXPECT_EQ(uniform_index(g, 1), 0U);
  EXPECT_THROW(uniform_index(g, 0), InternalError);
}

TEST(NormalQuantile, KnownValues) {
  // mpmath, 40 digits, of the double nearest to each p; covers the three branches and their seams.
  const std::pair<double, double> known[] = {
      {1e-300, -37.047096299361199237}, {1e-100, -21.273453560965324294},
      {1e-16, -8.2220822161304356152},  {1e-10, -6.3613409024040561991},
      {1e-5, -4.2648907939228246102},   {0.001, -3.0902323061678135354},
      {0.01, -2.3263478740408410931},   {0.05, -1.644853626951472688},
      {0.0749, -1.4402382675279636631}, {0.0751, -1.4388253927525399824},
      {0.1, -1.2815515655446004353},    {0.2, -0.84162123357291416552},
      {0.25, -0.6744897501960817432},   {0.3, -0.52440051270804081597},
      {0.4, -0.25334710313579974132},   {0.45, -0.12566134685507400616},
      {0.975, 1.9599639845400538556}};
  for (const auto& [p, x] : known) EXPECT_NEAR(normal_quantile(p), x, 1e-12) << p;
  EXPECT_EQ(normal_quantile(0.5), 0.0);
}

TEST(NormalQuantile, InvertsTheDistributionAndIsOdd) {
  for (int i = 1; i < 2000; ++i) {
    const double p = i / 2000.0;
    const double x = normal_quantile(p);
    EXPECT_NEAR(0.5 * std::erfc(-x / std::sqrt(2.0)), p, 1e-14);
    EXPECT_NEAR(normal_quantile(1.0 - p), -x, 1e-11);
  }
  EXPECT_EQ(normal_quantile(0.0), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(normal_quantile(1.0), std::numeric_limits<double>::infinity());
}

TEST(QuantileTable, InterpolatesLinearly) {
  const QuantileTable t({0.0, 0.5, 0.9, 1.0}, {10.0, 20.0, 100.0, 100.0});
  EXPECT_DOUBLE_EQ(t.quantile(0.0), 10.0);
  EXPECT_DOUBLE_EQ(t.quantile(0.25), 15.0);
  EXPECT_DOUBLE_EQ(t.quantile(0.5), 20.0);
  EXPECT_DOUBLE_EQ(t.quantile(0.7), 60.0);
  EXPECT_DOUBLE_EQ(t.quantile(0.95), 100.0);
  EXPECT_DOUBLE_EQ(t.quantile(1.0), 100.0);
  EXPECT_DOUBLE_EQ(t.quantile(-1.0), 10.0);
  EXPECT_DOUBLE_EQ(t.quantile(2.0), 100.0);
  EXPECT_DOUBLE_EQ(t.mean(), 0.5 * 15.0 + 0.4 * 60.0 + 0.1 * 100.0);
  Rng g(8);
  double sum = 0;
  const int n = 200'000;
  for (int i = 0; i < n; ++i) sum += t.sample(g);
  EXPECT_NEAR(sum / n, t.mean(), 4.0 * 36.0 / std::sqrt(n));
}

TEST(QuantileTable, RefusesWhatIsNotADistribution) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  using V = std::vector<double>;
  EXPECT_THROW(QuantileTable(V{0.0}, V{1.0}), Error);
  EXPECT_THROW(QuantileTable(V{}, V{}), Error);
  EXPECT_THROW(QuantileTable(V{0.0, 1.0}, V{1.0}), Error);
  EXPECT_THROW(QuantileTable(V{0.1, 1.0}, V{1.0, 2.0}), Error);
  EXPECT_THROW(QuantileTable(V{0.0, 0.9}, V{1.0, 2.0}), Error);
  EXPECT_THROW(QuantileTable(V{0.0, 0.5, 0.5, 1.0}, V{1.0, 2.0, 3.0, 4.0}), Error);
  EXPECT_THROW(QuantileTable(V{0.0, nan, 1.0}, V{1.0, 2.0, 3.0}), Error);
  EXPECT_THROW(QuantileTable(V{0.0, 1.0}, V{2.0, 1.0}), Error);
  EXPECT_THROW(QuantileTable(V{0.0, 1.0}, V{1.0, inf}), Error);
  EXPECT_THROW(QuantileTable(V{0.0, 0.5, 1.0}, V{1.0, nan, 2.0}), Error);
  EXPECT_NO_THROW(QuantileTable(V{0.0, 1.0}, V{1.0, 1.0}));
}

}  // namespace
}  // namespace isthmus
