// Connections of one client: reuse, idle timeouts, limits, streams, and who waits for whom.
#include "sim/world/connections.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace isthmus::world {
namespace {

using Answer = ConnectionPool::Answer;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Instant at(double s) { return Instant::zero() + Duration::from_seconds(s); }

Protocol rules(std::uint32_t streams = 1, std::uint32_t limit = 0xffffffffU) {
  Protocol p;
  p.idle_timeout = Duration::from_seconds(10);
  p.streams = streams;
  p.limit = limit;
  return p;
}

TEST(Connections, AreReusedUntilTheIdleTimeout) {
  ConnectionPool pool;
  const Protocol p = rules();
  EXPECT_FALSE(pool.known());
  auto place = pool.acquire(p, at(0), 1);
  EXPECT_EQ(place.answer, Answer::open);
  EXPECT_THAT(pool.opened(place.connection), IsEmpty());
  EXPECT_TRUE(pool.known());
  pool.release(p, place.connection, false, at(1));
  place = pool.acquire(p, at(10.9), 2);
  EXPECT_EQ(place.answer, Answer::ready);
  pool.release(p, place.connection, false, at(20));
  EXPECT_EQ(pool.acquire(p, at(30), 3).answer, Answer::open);  // 10 s later
}

TEST(Connections, OneStreamEachMakesSeveral) {
  ConnectionPool pool;
  const Protocol p = rules(1, 2);
  const auto a = pool.acquire(p, at(0), 1), b = pool.acquire(p, at(0), 2);
  EXPECT_EQ(a.answer, Answer::open);
  EXPECT_EQ(b.answer, Answer::open);
  EXPECT_NE(a.connection, b.connection);
  EXPECT_EQ(pool.acquire(p, at(0), 3).answer, Answer::wait);
  EXPECT_EQ(pool.acquire(p, at(0), 4).answer, Answer::wait);
  pool.opened(a.connection);
  pool.opened(b.connection);
  pool.forget(3);
  EXPECT_THAT(pool.release(p, b.connection, false, at(1)), ElementsAre(4));
  EXPECT_EQ(pool.acquire(p, at(1), 4).connection, b.connection);
  // The last one used goes first.
  pool.release(p, a.connection, false, at(2));
  pool.release(p, b.connection, false, at(3));
  EXPECT_EQ(pool.acquire(p, at(4), 5).connection, b.connection);
}

TEST(Connections, StreamsShareOneAndWaitForItsSetUp) {
  ConnectionPool pool;
  const Protocol p = rules(3, 1);
  const auto a = pool.acquire(p, at(0), 1);
  EXPECT_EQ(a.answer, Answer::open);
  const auto b = pool.acquire(p, at(0), 2), c = pool.acquire(p, at(0), 3);
  EXPECT_EQ(b.connection, a.connection);
  EXPECT_EQ(b.answer, Answer::wait);
  EXPECT_EQ(pool.acquire(p, at(0), 4).connection, ConnectionPool::none);
  pool.forget(3);
  pool.release(p, c.connection, false, at(0));  // who waits takes its stream
  EXPECT_THAT(pool.opened(a.connection), ElementsAre(2));
}

TEST(Connections, ABrokenSetUpSendsTheOthersBack) {
  ConnectionPool pool;
  const Protocol p = rules(2, 1);
  const auto a = pool.acquire(p, at(0), 1);
  pool.acquire(p, at(0), 2);
  pool.acquire(p, at(0), 3);
  EXPECT_THAT(pool.release(p, a.connection, true, at(1)), ElementsAre(2, 3));
  EXPECT_EQ(pool.acquire(p, at(1), 2).answer, Answer::open);
  EXPECT_EQ(pool.acquire(p, at(1), 3).answer, Answer::wait);
  EXPECT_FALSE(pool.known());
}

TEST(Connections, ABrokenOneKeepsItsPlaceUntilAllHaveLeft) {
  ConnectionPool pool;
  const Protocol p = rules(2);
  const auto a = pool.acquire(p, at(0), 1);
  pool.opened(a.connection);
  pool.acquire(p, at(0), 2);
  pool.release(p, a.connection, true, at(1));
  const auto b = pool.acquire(p, at(1), 3);
  EXPECT_EQ(b.answer, Answer::open);
  EXPECT_NE(b.connection, a.connection);
  pool.release(p, a.connection, false, at(2));
  pool.opened(b.connection);
  EXPECT_EQ(pool.acquire(p, at(2), 4).connection, b.connection);
}

}  // namespace
}  // namespace isthmus::world
