// Pools of connections: the order of reuse, limits, the line, and why connections are closed.
#include "sim/world/call_pool.hpp"

#include <gtest/gtest.h>

namespace isthmus::world {
namespace {

using Answer = CallPool::Answer;
using Reason = CallPool::Reason;

Instant at(double s) { return Instant::zero() + Duration::from_seconds(s); }

std::uint64_t closed(const CallPool& p, Reason why) { return p.counts().closed[static_cast<std::size_t>(why)]; }

std::uint32_t opened(CallPool& p, double s) {
  const auto place = p.acquire(at(s), 99);
  EXPECT_EQ(place.answer, Answer::open);
  p.opened(place.connection, at(s));
  return place.connection;
}

TEST(CallPool, TakesTheNewestIdleConnection) {
  ConnectionPoolSpec spec;
  CallPool p(spec);
  const auto a = opened(p, 0), b = opened(p, 0);
  EXPECT_FALSE(p.release(b, at(1)));
  EXPECT_FALSE(p.release(a, at(2)));
  EXPECT_EQ(p.acquire(at(3), 1).connection, a);
  EXPECT_EQ(p.acquire(at(3), 2).connection, b);
  EXPECT_EQ(p.acquire(at(3), 3).answer, Answer::open);
  EXPECT_EQ(p.counts().opened, 2U);
  EXPECT_DOUBLE_EQ(p.open().value(), 3);
}

TEST(CallPool, ClosesWhatComesBackWhileEnoughAreIdle) {
  ConnectionPoolSpec spec;
  spec.max_idle = 1;
  CallPool p(spec);
  const auto a = opened(p, 0), b = opened(p, 0);
  p.release(a, at(1));
  p.release(b, at(1));
  EXPECT_EQ(closed(p, Reason::idle_limit), 1U);
  EXPECT_DOUBLE_EQ(p.open().value(), 1);
  EXPECT_DOUBLE_EQ(p.idle().value(), 1);
}

TEST(CallPool, KeepsALineAndHandsConnectionsOver) {
  ConnectionPoolSpec spec;
  spec.max_open = 2;
  spec.max_idle = 0;
  CallPool p(spec);
  const auto a = opened(p, 0), b = opened(p, 0);
  for (const std::uint64_t tag : {1, 2, 3, 4}) EXPECT_EQ(p.acquire(at(1), tag).answer, Answer::wait);
  EXPECT_TRUE(p.forget(2, at(2)));
  EXPECT_FALSE(p.forget(2, at(2)));
  // A line keeps connections from being closed, whatever max_idle.
  const auto first = p.release(a, at(3));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->tag, 1U);
  EXPECT_EQ(first->place.answer, Answer::ready);
  EXPECT_EQ(first->place.connection, a);
  // In place of a broken one the next opens one.
  const auto next = p.release(b, at(4), Reason::broken);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->tag, 3U);
  EXPECT_EQ(next->place.answer, Answer::open);
  EXPECT_DOUBLE_EQ(p.open().value(), 2);
  // It fails, too: the last one tries.
  const auto last = p.release(next->place.connection, at(5));
  ASSERT_TRUE(last);
  EXPECT_EQ(last->tag, 4U);
  EXPECT_EQ(closed(p, Reason::broken), 2U);
  EXPECT_DOUBLE_EQ(p.waiting().integral(at(5)), 4 * 1 + 3 * 1 + 2 * 1 + 1 * 1);
}

TEST(CallPool, LifetimesEndWhenIdle) {
  ConnectionPoolSpec spec;
  spec.max_idle = 5;
  spec.max_lifetime = Duration::from_seconds(10);
  spec.max_idle_time = Duration::from_seconds(4);
  CallPool p(spec);
  const auto a = opened(p, 0), b = opened(p, 0), c = opened(p, 3);
  p.release(a, at(5));    // idle until 9
  p.release(c, at(8.5));  // idle until 12.5
  p.release(b, at(11));   // used beyond its life
  EXPECT_EQ(closed(p, Reason::idle_time), 1U);
  EXPECT_EQ(closed(p, Reason::lifetime), 1U);
  p.expire(at(12.6));
  EXPECT_EQ(closed(p, Reason::idle_time), 2U);
  EXPECT_DOUBLE_EQ(p.open().value(), 0);
  // Each was closed at its own date, not when somebody looked.
  EXPECT_NEAR(p.open().integral(at(20)), 9 + 11 + 9.5, 1e-9);
  EXPECT_NEAR(p.idle().integral(at(20)), 4 + 4, 1e-9);
}

TEST(CallPool, LifetimeCountsAlsoWithoutAPause) {
  ConnectionPoolSpec spec;
  spec.max_open = 1;
  spec.max_lifetime = Duration::from_seconds(2);
  CallPool p(spec);
  const auto a = opened(p, 0);
  p.acquire(at(1), 7);
  const auto next = p.release(a, at(3));
  ASSERT_TRUE(next);
  EXPECT_EQ(next->place.answer, Answer::open);
  EXPECT_EQ(closed(p, Reason::lifetime), 1U);
}

TEST(CallPool, ForgetsEverythingWithItsCaller) {
  ConnectionPoolSpec spec;
  spec.max_open = 2;
  CallPool p(spec);
  const auto a = opened(p, 0), b = opened(p, 0);
  p.acquire(at(1), 1);
  p.clear(at(1));
  EXPECT_FALSE(p.release(a, at(2), Reason::gone));
  EXPECT_FALSE(p.release(b, at(2)));
  p.clear(at(3));
  EXPECT_EQ(closed(p, Reason::gone), 2U);
  EXPECT_DOUBLE_EQ(p.open().value(), 0);
  EXPECT_DOUBLE_EQ(p.waiting().value(), 0);
}

}  // namespace
}  // namespace isthmus::world
