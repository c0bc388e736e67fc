// The histogram's error bound as a property of random values, and exact percentiles through it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "results/distribution.hpp"
#include "results/statistics.hpp"
#include "sim/core/random.hpp"

namespace isthmus::results {
namespace {

constexpr double bound = 0.001;  // promised: 0.1 %

std::vector<double> log_uniform(std::uint64_t seed, std::size_t n) {
  Rng g(seed);
  std::vector<double> v;
  for (std::size_t i = 0; i < n; ++i) v.push_back(std::pow(10, -3 + 21 * uniform01(g)));
  return v;
}

TEST(HdrHistogram, BucketsAreOrderedAndClose) {
  std::vector<double> v = log_uniform(1, 20000);
  std::sort(v.begin(), v.end());
  std::uint32_t last = 0;
  for (const double x : v) {
    const std::uint32_t bucket = HdrHistogram::bucket_of(x);
    EXPECT_GE(bucket, last);
    last = bucket;
    EXPECT_NEAR(HdrHistogram::middle_of(bucket), x, bound * x);
  }
}

TEST(HdrHistogram, PercentilesStayWithinTheBound) {
  for (std::uint64_t seed : {1ULL, 2ULL, 3ULL}) {
    std::vector<double> v = log_uniform(seed, 5001);
    HdrHistogram h;
    for (const double x : v) h.add(x);
    for (const double p : {0.0, 1.0, 50.0, 90.0, 95.0, 99.0, 99.9, 100.0}) {
      const double exact = percentile(v, p);
      EXPECT_NEAR(h.percentile(p), exact, bound * exact) << seed << ' ' << p;
    }
  }
}

TEST(HdrHistogram, Edges) {
  HdrHistogram h;
  EXPECT_TRUE(std::isnan(h.percentile(50)));
  EXPECT_THROW(h.place_of(1), Error);
  h.add(0);
  h.add(1e-30);  // below the range: zero
  h.add(1e30);   // above it: the last bucket
  EXPECT_EQ(h.count(), 3U);
  EXPECT_EQ(h.count_in(HdrHistogram::zero_bucket), 2U);
  EXPECT_EQ(h.count_in(HdrHistogram::bucket_count - 1), 1U);
  EXPECT_EQ(h.percentile(50), 0);
  EXPECT_EQ(HdrHistogram::bucket_of(HdrHistogram::smallest), 1U);
  EXPECT_THROW(h.add(-1), InternalError);
  EXPECT_THROW(h.add(NAN), InternalError);
  EXPECT_EQ(h.count(), 3U);
}

TEST(HdrHistogram, MergeIsTheHistogramOfAll) {
  const std::vector<double> v = log_uniform(9, 1000);
  HdrHistogram all, a, b;
  for (std::size_t i = 0; i < v.size(); ++i) {
    all.add(v[i]);
    (i % 3 == 0 ? a : b).add(v[i]);
  }
  a.merge(b);
  EXPECT_EQ(a.count(), all.count());
  std::vector<std::pair<std::uint32_t, std::uint64_t>> merged, direct;
  a.for_each([&](std::uint32_t k, std::uint64_t n) { merged.emplace_back(k, n); });
  all.for_each([&](std::uint32_t k, std::uint64_t n) { direct.emplace_back(k, n); });
  EXPECT_EQ(merged, direct);
}

TEST(Distribution, ExactPercentilesAreExact) {
  // Several parts, repeated values and zeros; more values than one block holds.
  Rng g(5);
  std::vector<double> v;
  Distribution a(true), b(true);
  for (int i = 0; i < 20000; ++i) {
    const double x = std::floor(sample_exponential(g, 1000));  // many ties
    v.push_back(x);
    (i % 2 == 0 ? a : b).add(x);
  }
  a.seal();
  b.seal();
  const MergedDistribution all({&a, &b});
  const std::vector<double> ps{0, 10, 50, 90, 95, 99, 99.99, 100};
  const std::vector<double> got = all.percentiles(ps);
  for (std::size_t i = 0; i < ps.size(); ++i) EXPECT_EQ(got[i], percentile(v, ps[i])) << ps[i];
  EXPECT_EQ(all.count(), v.size());
  EXPECT_NEAR(all.mean(), mean_of(v), 1e-9 * mean_of(v));
  EXPECT_EQ(all.max(), percentile(v, 100));
}

TEST(Distribution, SketchNeverExceedsTheMaximum) {
  Distribution d(false);
  for (int i = 0; i < 100; ++i) d.add(1.0e6);
  d.seal();
  const MergedDistribution all({&d});
  const std::vector<double> p99 = all.percentiles(std::vector<double>{99});
  EXPECT_LE(p99[0], 1.0e6);
  EXPECT_NEAR(p99[0], 1.0e6, bound * 1e6);
}

TEST(Distribution, RefusesNegativeDurations) {
  Distribution exact(true), sketch(false);
  EXPECT_THROW(exact.add(-1), InternalError);
  EXPECT_THROW(sketch.add(-1), InternalError);
}

}  // namespace
}  // namespace isthmus::results
