// Hashes and fingerprints. The expected numbers are golden for ever: run files and golden tests
// hold values that depend on them. They were derived with an independent Python implementation.
#include "sim/core/fingerprint.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <set>

#include "sim/core/random.hpp"

namespace isthmus {
namespace {

TEST(Hash, GoldenValues) {
  EXPECT_EQ(mix64(1), 0x5692161d100b05e5ULL);
  EXPECT_EQ(hash_combine(1, 2), 0x5f77162e6ff25f13ULL);
  EXPECT_EQ(hash_combine(2, 1), 0xab99b3f747bfd3cfULL);
  // The published FNV-1a vectors of "a" and "foobar", then mixed.
  EXPECT_EQ(hash_name("a"), mix64(0xaf63dc4c8601ec8cULL));
  EXPECT_EQ(hash_name("foobar"), mix64(0x85944171f73967e8ULL));
  EXPECT_EQ(hash_name("arrivals/cam3"), 0xa6e506cea852dd9eULL);
}

TEST(Fingerprint, GoldenValues) {
  Fingerprint f;
  EXPECT_EQ(f.value(), 0x3564b439cd1e1f16ULL);
  f.add(1, 2, 3, 4);
  f.add(5, 6, 7, 8);
  EXPECT_EQ(f.value(), 0x24d33893f61084d9ULL);
  Fingerprint last;
  last.add(std::numeric_limits<std::int64_t>::max(), 0xffffffffU, 0xffffffffU, ~0ULL);
  EXPECT_EQ(last.value(), 0x46db09f4a48c6d48ULL);
}

TEST(Fingerprint, DependsOnTheOrder) {
  Fingerprint ab, ba;
  ab.add(1, 2, 3, 4);
  ab.add(1, 2, 3, 5);
  ba.add(1, 2, 3, 5);
  ba.add(1, 2, 3, 4);
  EXPECT_NE(ab.value(), ba.value());
}

TEST(Fingerprint, EveryFieldAndEveryEventCounts) {
  const auto one = [](std::int64_t t, std::uint32_t k, std::uint32_t target, std::uint64_t p) {
    Fingerprint f;
    f.add(t, k, target, p);
    return f.value();
  };
  std::set<std::uint64_t> seen{Fingerprint().value(), one(0, 0, 0, 0)};
  for (int bit = 0; bit < 63; ++bit) seen.insert(one(std::int64_t{1} << bit, 0, 0, 0));
  for (int bit = 0; bit < 8; ++bit) seen.insert(one(0, 1U << bit, 0, 0));
  for (int bit = 0; bit < 32; ++bit) seen.insert(one(0, 0, 1U << bit, 0));
  for (int bit = 0; bit < 64; ++bit) seen.insert(one(0, 0, 0, std::uint64_t{1} << bit));
  EXPECT_EQ(seen.size(), 2U + 63U + 8U + 32U + 64U);
}

TEST(Fingerprint, NoCollisionAmongAMillionShortHistories) {
  // 10^6 values of 64 bits collide with probability 3e-8; a weak fold of neighbouring times,
  // targets and payloads would collide often.
  std::set<std::uint64_t> seen;
  for (std::int64_t t = 0; t < 100; ++t)
    for (std::uint32_t target = 0; target < 100; ++target)
      for (std::uint64_t payload = 0; payload < 100; ++payload) {
        Fingerprint f;
        f.add(t, 1, target, payload);
        f.add(t + 1, 2, target, payload);
        seen.insert(f.value());
      }
  EXPECT_EQ(seen.size(), 1'000'000U);
}

TEST(Fingerprint, ReadingItDoesNotChangeIt) {
  Fingerprint a, b;
  a.add(1, 2, 3, 4);
  b.add(1, 2, 3, 4);
  EXPECT_EQ(a.value(), a.value());
  a.add(2, 2, 3, 4);
  b.add(2, 2, 3, 4);
  EXPECT_EQ(a.value(), b.value());
}

}  // namespace
}  // namespace isthmus
