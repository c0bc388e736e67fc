// Version vectors against textbook cases and against the happens-before relation itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "sim/core/random.hpp"
#include "sim/core/version_vector.hpp"

namespace isthmus {
namespace {

VersionVector vector(std::vector<std::uint64_t> writes) {
  VersionVector v;
  for (std::uint32_t r = 0; r < writes.size(); ++r)
    for (std::uint64_t i = 0; i < writes[r]; ++i) v.bump(r);
  return v;
}

TEST(VersionVector, ComparesAsInTheTextbook) {
  EXPECT_EQ(vector({}).compare(vector({})), Causality::equal);
  EXPECT_EQ(vector({}).compare(vector({1})), Causality::before);
  EXPECT_EQ(vector({2, 1}).compare(vector({1, 1})), Causality::after);
  EXPECT_EQ(vector({1, 1}).compare(vector({1, 1})), Causality::equal);
  EXPECT_EQ(vector({2, 0}).compare(vector({1, 1})), Causality::concurrent);
  EXPECT_EQ(vector({0, 1}).compare(vector({1, 0})), Causality::concurrent);
  // Parker et al. 1983, figure 1: a file on sites A, B, C.
  EXPECT_EQ(vector({2, 0, 1}).compare(vector({3, 0, 0})), Causality::concurrent);
  EXPECT_EQ(vector({3, 0, 1}).compare(vector({3, 0, 0})), Causality::after);
}

TEST(VersionVector, JoinsAndCounts) {
  VersionVector a = vector({2, 0, 1});
  a.join(vector({1, 4}));
  EXPECT_EQ(a, vector({2, 4, 1}));
  EXPECT_EQ(a.size(), 3U);
  EXPECT_EQ(a[1], 4U);
  EXPECT_EQ(a[9], 0U);
  EXPECT_EQ(a.bump(9), 1U);
  EXPECT_TRUE(a.covers(vector({2, 4, 1})));
  EXPECT_FALSE(vector({2, 4, 1}).covers(a));
}

// Replicas write and take over each other's states; the writes that a state has seen are kept as sets.
TEST(VersionVector, IsTheHappensBeforeRelation) {
  Rng g = StreamKey(7, "histories").at(0);
  int concurrent = 0;
  for (int history = 0; history < 300; ++history) {
    struct State {
      VersionVector vector;
      std::set<int> seen;
    };
    std::vector<State> replicas(2 + uniform_index(g, 4)), snapshots;
    int writes = 0;
    for (int step = 0; step < 25; ++step) {
      State& r = replicas[uniform_index(g, replicas.size())];
      if (uniform01(g) < 0.5) {
        r.vector.bump(static_cast<std::uint32_t>(&r - replicas.data()));
        r.seen.insert(writes++);
      } else {
        const State& other = replicas[uniform_index(g, replicas.size())];
        r.vector.join(other.vector);
        r.seen.insert(other.seen.begin(), other.seen.end());
      }
      snapshots.push_back(r);
    }
    for (const State& a : snapshots)
      for (const State& b : snapshots) {
        const bool more = std::includes(a.seen.begin(), a.seen.end(), b.seen.begin(), b.seen.end());
        const bool less = std::includes(b.seen.begin(), b.seen.end(), a.seen.begin(), a.seen.end());
        const Causality truth = more && less ? Causality::equal
                                : more       ? Causality::after
                                : less       ? Causality::before
                                             : Causality::concurrent;
        ASSERT_EQ(a.vector.compare(b.vector), truth);
        concurrent += truth == Causality::concurrent ? 1 : 0;
        VersionVector ab = a.vector, ba = b.vector;
        ab.join(b.vector);
        ba.join(a.vector);
        ASSERT_EQ(ab, ba);
        ASSERT_TRUE(ab.covers(a.vector) && ab.covers(b.vector));
        VersionVector again = ab;
        again.join(b.vector);
        ASSERT_EQ(again, ab);
      }
  }
  EXPECT_GT(concurrent, 1000);
}

}  // namespace
}  // namespace isthmus
