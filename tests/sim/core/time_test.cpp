// Time, ids, units and errors: the small types that every layer uses.
#include "sim/core/time.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <unordered_set>
#include <vector>

#include "sim/core/ids.hpp"
#include "sim/core/random.hpp"
#include "sim/core/units.hpp"

namespace isthmus {
namespace {

TEST(Duration, FromSecondsRoundsToTheNearestNanosecond) {
  EXPECT_EQ(Duration::from_seconds(0.1).ns(), 100'000'000);
  EXPECT_EQ(Duration::from_seconds(1e-9).ns(), 1);
  EXPECT_EQ(Duration::from_seconds(0.6e-9).ns(), 1);
  EXPECT_EQ(Duration::from_seconds(0.4e-9).ns(), 0);
  EXPECT_EQ(Duration::from_seconds(-0.6e-9).ns(), -1);
  EXPECT_EQ(Duration::from_seconds(3600.000000001).ns(), 3'600'000'000'001);
}

TEST(Duration, FromSecondsRefusesWhatDoesNotFit) {
  EXPECT_THROW(Duration::from_seconds(9.3e9), Error);
  EXPECT_THROW(Duration::from_seconds(-9.3e9), Error);
  EXPECT_THROW(Duration::from_seconds(std::numeric_limits<double>::infinity()), Error);
  EXPECT_THROW(Duration::from_seconds(std::numeric_limits<double>::quiet_NaN()), Error);
  EXPECT_EQ(Duration::from_seconds(9.1e9).ns(), 9'100'000'000'000'000'000);
}

TEST(Duration, EveryNanosecondCountSurvivesSecondsUpTo26Days) {
  constexpr std::int64_t limit = std::int64_t{1} << 51;
  Rng g(1);
  for (int i = 0; i < 100'000; ++i) {
    const auto ns = static_cast<std::int64_t>(uniform_index(g, limit));
    ASSERT_EQ(Duration::from_seconds(Duration(ns).seconds()).ns(), ns);
  }
  EXPECT_EQ(Duration::from_seconds(Duration(limit - 1).seconds()).ns(), limit - 1);
  // The nearest double to the decimal, not a neighbour: 3 ns is printed as 3e-09.
  EXPECT_EQ(Duration(3).seconds(), 3e-9);
  EXPECT_EQ(Instant(300'000'000).seconds(), 0.3);
}

TEST(Duration, ArithmeticSaturates) {
  const Duration one(1), most = Duration::max(), least = Duration::min();
  EXPECT_EQ(most + one, most);
  EXPECT_EQ(least + -one, least);
  EXPECT_EQ(least - one, least);
  EXPECT_EQ(most - -one, most);
  EXPECT_EQ(-least, most);
  EXPECT_EQ(most * 2, most);
  EXPECT_EQ(most * -2, least);
  EXPECT_EQ(least * 2, least);
  EXPECT_EQ(least * -1, most);
  Duration d = most;
  d += one;
  EXPECT_EQ(d, most);
  d -= Duration(5);
  EXPECT_EQ(d.ns(), std::numeric_limits<std::int64_t>::max() - 5);
  EXPECT_EQ(Duration(7) * 3 - Duration(1) + Duration(2), Duration(22));
}

TEST(Instant, NeverAbsorbs) {
  const Instant never = Instant::never();
  EXPECT_TRUE(never.is_never());
  EXPECT_FALSE(Instant::zero().is_never());
  EXPECT_EQ(never + Duration(1), never);
  EXPECT_EQ(never + Duration(-1), never);
  EXPECT_EQ(never - Duration(1), never);
  EXPECT_EQ(Instant(-5) + Duration::max(), never);
  EXPECT_EQ(never - Instant(5), Duration::max());
  EXPECT_EQ(never - Instant(-5), Duration::max());
  EXPECT_EQ(never - never, Duration::zero());
  EXPECT_EQ(Instant(5) + (never - Instant(5)), never);
}

TEST(Instant, SaturatesAtBothEnds) {
  EXPECT_EQ(Instant(Instant::never().ns() - 1) + Duration(5), Instant::never());
  // Far below zero is not "never": a sum that underflows stays before every other date.
  EXPECT_LT(Instant(-5) + Duration::min(), Instant::zero());
  EXPECT_LT(Instant(-5) - Duration::max(), Instant::zero());
  EXPECT_EQ(Instant(5) - Instant(Duration::min().ns()), Duration::max());
}

TEST(Instant, OrdinaryArithmetic) {
  Instant t = Instant::from_seconds(1.5);
  t += Duration(10);
  EXPECT_EQ(t.ns(), 1'500'000'010);
  t -= Duration(20);
  EXPECT_EQ(t - Instant::from_seconds(1.0), Duration(499'999'990));
  EXPECT_LT(Instant(1), Instant(2));
  EXPECT_DOUBLE_EQ(Instant::from_seconds(2.5).seconds(), 2.5);
}

TEST(Id, ValuesAndNone) {
  EXPECT_FALSE(NodeId().valid());
  EXPECT_EQ(NodeId(), NodeId::none());
  EXPECT_EQ(NodeId::of(std::size_t{7}).value(), 7U);
  EXPECT_EQ(RequestId::of(std::uint64_t{1} << 40).value(), std::uint64_t{1} << 40);
  EXPECT_LT(NodeId(1), NodeId(2));
  const std::unordered_set<LinkId> set{LinkId(1), LinkId(1), LinkId(2)};
  EXPECT_EQ(set.size(), 2U);
}

TEST(Id, IndicesThatDoNotFitAreRefused) {
  EXPECT_THROW(NodeId::of(-1), InternalError);
  EXPECT_THROW(NodeId::of(std::uint64_t{1} << 32), InternalError);
  EXPECT_THROW(NodeId::of(0xffffffffU), InternalError);  // would name nothing
  EXPECT_EQ(NodeId::of(0xfffffffeU).value(), 0xfffffffeU);
  EXPECT_THROW(RequestId::of(-1), InternalError);
}

TEST(Quantity, DimensionsCombine) {
  EXPECT_DOUBLE_EQ((Watts(3.0) * Duration::from_seconds(2.0)).value(), 6.0);
  EXPECT_DOUBLE_EQ((Duration::from_seconds(0.5) * Watts(4.0)).value(), 2.0);
  EXPECT_DOUBLE_EQ(Bytes(10e6) / BytesPerSecond(1e6), 10.0);
  EXPECT_DOUBLE_EQ(Flops(1e12) / FlopsPerSecond(4e12), 0.25);
  EXPECT_DOUBLE_EQ(Bytes(6.0) / Bytes(4.0), 1.5);
  Usd bill = 2.0 * Usd(1.25);
  bill += Usd(0.5);
  bill -= Usd(1.0);
  EXPECT_EQ(bill, Usd(2.0));
  EXPECT_LT(Joules(1.0), Joules(2.0));
}

TEST(Errors, InputErrorKeepsItsProblemsApart) {
  const InputError one("a.json:1:2: bad");
  EXPECT_EQ(one.problems().size(), 1U);
  const InputError two(std::vector<std::string>{"first", "second"});
  EXPECT_STREQ(two.what(), "first\nsecond");
  EXPECT_EQ(two.problems().size(), 2U);
}

}  // namespace
}  // namespace isthmus
