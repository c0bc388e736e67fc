// Which alerts were right: by hand, and against a walk over every second.
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "results/alert_verdict.hpp"
#include "sim/core/random.hpp"

namespace isthmus::results {
namespace {

Instant at(double s) { return Instant::from_seconds(s); }

TEST(AlertVerdict, ByHand) {
  const std::vector<Instant> fired{at(5), at(12), at(17), at(40), at(90)};
  // 10 to 15 and its grace until 20; 50 to 55; 86 goes on.
  const AlertVerdict v = judge({{at(50), at(55)}, {at(10), at(15)}, {at(86), Instant::never()}}, fired,
                               Duration::from_seconds(5), Instant::zero(), at(100));
  EXPECT_EQ(v.right, 3U);   // 12, 17, 90
  EXPECT_EQ(v.wrong, 2U);
  EXPECT_EQ(v.caught, 2U);
  EXPECT_EQ(v.missed, 1U);
  EXPECT_DOUBLE_EQ(v.delay, (2 + 4) / 2.0);
}

TEST(AlertVerdict, OverlappingIncidentsAreOne) {
  const std::vector<Instant> fired{at(22)};
  const AlertVerdict v = judge({{at(10), at(15)}, {at(18), at(20)}}, fired, Duration::from_seconds(5), Instant::zero(), at(100));
  EXPECT_EQ(v.caught, 1U);
  EXPECT_EQ(v.missed, 0U);
  EXPECT_DOUBLE_EQ(v.delay, 12);
}

TEST(AlertVerdict, OnlyIncidentsOfItsTimeCount) {
  const AlertVerdict v = judge({{at(10), at(15)}, {at(200), at(210)}}, {}, Duration::zero(), at(20), at(100));
  EXPECT_EQ(v.caught + v.missed, 0U);
  EXPECT_TRUE(std::isnan(v.delay));
}

TEST(AlertVerdict, WalkOverEverySecond) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Rng g(StreamKey(seed, "verdict").at(0));
    const auto grace = static_cast<int>(uniform_index(g, 10));
    std::vector<std::pair<Instant, Instant>> incidents;
    std::vector<int> wrong_at(400, 0);     // covered by an incident and its grace
    std::set<int> begins;
    for (std::uint64_t i = uniform_index(g, 8); i-- > 0;) {
      const auto from = static_cast<int>(uniform_index(g, 250)), lasts = static_cast<int>(uniform_index(g, 30)) + 1;
      incidents.emplace_back(at(from), at(from + lasts));
      begins.insert(from);
      for (int s = from; s <= from + lasts + grace; ++s) wrong_at[static_cast<std::size_t>(s)] = 1;
    }
    std::set<int> dates;
    for (std::uint64_t i = uniform_index(g, 20); i-- > 0;) dates.insert(static_cast<int>(uniform_index(g, 300)));
    std::vector<Instant> fired;
    for (const int d : dates) fired.push_back(at(d));
    std::uint64_t right = 0, caught = 0, missed = 0;
    for (const int d : dates) right += static_cast<std::uint64_t>(wrong_at[static_cast<std::size_t>(d)]);
    // A stretch is whole as long as no second of it is free; one that begins where another ended is the same.
    for (int s = 0; s < 399; ++s) {
      if (!wrong_at[static_cast<std::size_t>(s)] || (s > 0 && wrong_at[static_cast<std::size_t>(s) - 1])) continue;
      int end = s;
      while (wrong_at[static_cast<std::size_t>(end)]) ++end;
      // Incidents that touch without overlap, by a second, are two here and one there: skip such seeds.
      const bool found = dates.lower_bound(s) != dates.end() && *dates.lower_bound(s) < end;
      ++(found ? caught : missed);
    }
    bool touching = false;
    for (const auto& [from, to] : incidents)
      touching |= begins.contains(static_cast<int>(to.seconds()) + grace + 1);
    const AlertVerdict v = judge(incidents, fired, Duration::from_seconds(grace), Instant::zero(), at(399));
    EXPECT_EQ(v.right, right) << seed;
    EXPECT_EQ(v.wrong, dates.size() - right) << seed;
    if (touching) continue;
    EXPECT_EQ(v.caught, caught) << seed;
    EXPECT_EQ(v.missed, missed) << seed;
  }
}

}  // namespace
}  // namespace isthmus::results
