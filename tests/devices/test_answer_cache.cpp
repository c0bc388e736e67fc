// The cache of answers against closed forms: Che's approximation, renewals with a time to live.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "devices/answer_cache.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/random.hpp"

namespace isthmus::devices {
namespace {

AnswerCache cache(const AnswerCacheLimits& limits, const std::string& name = "lru") {
  const auto& entry = schedulers::find_entry(schedulers::replacement_policies(), name);
  return {limits, entry.make(schedulers::Parameters(entry.parameters))};
}

Answer answer(std::uint64_t key, double bytes = 1, std::uint64_t cluster = 0) {
  Answer a;
  a.key = key;
  a.bytes = bytes;
  a.cluster = cluster;
  return a;
}

Instant at(double s) { return Instant::zero() + Duration::from_seconds(s); }

TEST(AnswerCache, KeepsAsManyEntriesAndBytesAsItMay) {
  AnswerCacheLimits limits;
  limits.entries = 2;
  AnswerCache by_count = cache(limits);
  for (std::uint64_t k = 1; k <= 3; ++k) by_count.write(answer(k), at(0));
  EXPECT_EQ(by_count.find(1, at(0)), nullptr);
  EXPECT_NE(by_count.find(2, at(0)), nullptr);
  EXPECT_EQ(by_count.counts().evictions, 1U);

  limits = {};
  limits.bytes = 100;
  AnswerCache by_bytes = cache(limits);
  by_bytes.write(answer(1, 60), at(0));
  by_bytes.write(answer(2, 40), at(0));
  by_bytes.write(answer(3, 90), at(0));  // both leave for it
  EXPECT_EQ(by_bytes.entries(), 1U);
  EXPECT_EQ(by_bytes.bytes(), 90);
  by_bytes.write(answer(4, 100.5), at(0));  // nothing leaves for what does not fit
  EXPECT_EQ(by_bytes.counts().refused, 1U);
  EXPECT_NE(by_bytes.find(3, at(0)), nullptr);
  by_bytes.write(answer(3, 10), at(0));  // anew, smaller
  EXPECT_EQ(by_bytes.bytes(), 10);
  EXPECT_EQ(by_bytes.entries(), 1U);
}

TEST(AnswerCache, EntriesLiveForTheirTime) {
  AnswerCacheLimits limits;
  limits.ttl = Duration::from_seconds(10);
  AnswerCache c = cache(limits);
  c.write(answer(1), at(0));
  EXPECT_NE(c.find(1, at(9.9)), nullptr);
  EXPECT_EQ(c.find(1, at(10)), nullptr);
  EXPECT_EQ(c.counts().expired, 1U);
  EXPECT_EQ(c.entries(), 0U);
  limits.renewed = true;
  AnswerCache renewed = cache(limits);
  renewed.write(answer(1), at(0));
  renewed.write(answer(2), at(5));
  EXPECT_NE(renewed.find(1, at(9.9)), nullptr);
  EXPECT_EQ(renewed.find(2, at(15)), nullptr);
  EXPECT_NE(renewed.find(1, at(19.8)), nullptr);
}

TEST(AnswerCache, FindsSimilarEntriesOfAClusterOnly) {
  AnswerCacheLimits limits;
  limits.entries = 3;
  limits.similar = true;
  AnswerCache c = cache(limits);
  c.write(answer(1, 1, 7), at(0));
  c.write(answer(2, 1, 7), at(0));
  c.write(answer(3, 1, 8), at(0));
  EXPECT_EQ(c.similar(7, at(0)).size(), 2U);
  c.write(answer(4, 1, 8), at(0));  // 1 leaves
  EXPECT_EQ(c.similar(7, at(0)).size(), 1U);
  EXPECT_EQ(c.at(c.similar(7, at(0)).front()).key, 2U);
  c.clear();
  EXPECT_TRUE(c.similar(8, at(0)).empty());
  EXPECT_EQ(c.find(4, at(0)), nullptr);
}

// Poisson arrivals of one item: with expiry T after writing, each miss is followed by lambda T hits
// on average: hits / all = lambda T / (1 + lambda T). Renewed by use, a request hits when its gap is
// shorter than T: 1 - exp(-lambda T).
TEST(AnswerCache, TimeToLiveAgreesWithRenewalTheory) {
  for (const double lambda_t : {0.2, 1.0, 3.0})
    for (const bool renewed : {false, true}) {
      AnswerCacheLimits limits;
      limits.ttl = Duration::from_seconds(lambda_t);
      limits.renewed = renewed;
      AnswerCache c = cache(limits);
      Rng g(5);
      double t = 0, hits = 0;
      constexpr int n = 200'000;
      for (int i = 0; i < n; ++i) {
        t += sample_exponential(g, 1);
        if (c.find(1, at(t))) ++hits;
        else c.write(answer(1), at(t));
      }
      const double expected = renewed ? 1 - std::exp(-lambda_t) : lambda_t / (1 + lambda_t);
      // Five standard errors, with renewals as the independent trials.
      EXPECT_NEAR(hits / n, expected, 5 * std::sqrt(expected * (1 - expected) * 4 / n))
          << lambda_t << renewed;
    }
}

// Che, Tung, Wang 2002: an item of popularity q hits with 1 - exp(-q t), where t is such that the
// expected number of items in the cache is its size. FIFO (Martina, Garetto, Leonardi 2014):
// q t / (1 + q t) likewise.
TEST(AnswerCache, LruAndFifoUnderZipfAgreeWithChesApproximation) {
  constexpr std::size_t items = 5000;
  for (const double exponent : {0.7, 1.0, 1.3})
    for (const std::size_t room : {50UL, 500UL})
      for (const char* name : {"lru", "fifo"}) {
        std::vector<double> q(items);
        double sum = 0;
        for (std::size_t k = 0; k < items; ++k)
          sum += q[k] = std::pow(static_cast<double>(k + 1), -exponent);
        for (double& x : q) x /= sum;
        const bool lru = std::string(name) == "lru";
        const auto there = [&](double p, double t) {
          return lru ? -std::expm1(-p * t) : p * t / (1 + p * t);
        };
        double low = 0, high = 1e12;
        for (int i = 0; i < 200; ++i) {
          const double t = (low + high) / 2;
          double in = 0;
          for (const double p : q) in += there(p, t);
          (in < static_cast<double>(room) ? low : high) = t;
        }
        double expected = 0;
        for (const double p : q) expected += p * there(p, low);

        AnswerCacheLimits limits;
        limits.entries = static_cast<double>(room);
        AnswerCache c = cache(limits, name);
        std::vector<double> summed(items);
        double all = 0;
        for (std::size_t k = 0; k < items; ++k) summed[k] = all += q[k];
        Rng g(3);
        int hits = 0;
        constexpr int n = 400'000, warm = 50'000;
        for (int i = 0; i < n + warm; ++i) {
          const auto k = static_cast<std::uint64_t>(
              std::lower_bound(summed.begin(), summed.end() - 1, uniform01(g) * all) - summed.begin());
          if (c.find(k, at(0))) hits += i >= warm ? 1 : 0;
          else c.write(answer(k), at(0));
        }
        EXPECT_NEAR(static_cast<double>(hits) / n, expected, 0.01)
            << name << " " << exponent << " " << room;
      }
}

// What is known of the policies under Zipf: counting uses beats recency, recency beats age, and
// S3-FIFO is near the best of them (Yang et al. 2023).
TEST(AnswerCache, PoliciesRankAsPublished) {
  std::map<std::string, double> ratio;
  for (const char* name : {"lru", "fifo", "lfu", "s3-fifo"}) {
    AnswerCacheLimits limits;
    limits.entries = 200;
    AnswerCache c = cache(limits, name);
    std::vector<double> summed;
    double all = 0;
    for (int k = 1; k <= 20000; ++k) summed.push_back(all += std::pow(k, -1.0));
    Rng g(3);
    int hits = 0;
    for (int i = 0; i < 300'000; ++i) {
      const auto k = static_cast<std::uint64_t>(
          std::lower_bound(summed.begin(), summed.end() - 1, uniform01(g) * all) - summed.begin());
      if (c.find(k, at(0))) ++hits;
      else c.write(answer(k), at(0));
    }
    ratio[name] = hits / 3e5;
  }
  EXPECT_GT(ratio["lru"], ratio["fifo"] + 0.01);
  EXPECT_GT(ratio["lfu"], ratio["lru"] + 0.03);
  EXPECT_GT(ratio["s3-fifo"], ratio["lru"] + 0.03);
}

}  // namespace
}  // namespace isthmus::devices
