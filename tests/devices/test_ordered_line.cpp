// Orders of a line by hand, and fair shares against the fluid they approximate.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

#include "devices/ordered_line.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"

namespace isthmus::devices {
namespace {

using By = OrderedLine::By;

TEST(OrderedLine, PriorityThenArrival) {
  OrderedLine l(By::priority);
  l.push({.tag = 1, .priority = 0});
  l.push({.tag = 2, .priority = 5});
  l.push({.tag = 3, .priority = 5});
  l.push({.tag = 4, .priority = -1});
  EXPECT_TRUE(l.erase(3));
  EXPECT_FALSE(l.erase(3));
  EXPECT_EQ(l.pop(), 2U);
  EXPECT_FALSE(l.erase(2));  // in service
  EXPECT_EQ(l.pop(), 1U);
  EXPECT_EQ(l.pop(), 4U);
  EXPECT_THROW(l.pop(), InternalError);
}

TEST(OrderedLine, EarliestDeadlineFirst) {
  OrderedLine l(By::due);
  l.push({.tag = 1});
  l.push({.tag = 2, .due = Instant(9)});
  l.push({.tag = 3, .due = Instant(7)});
  EXPECT_EQ(l.pop(), 3U);
  EXPECT_EQ(l.pop(), 2U);
  EXPECT_EQ(l.pop(), 1U);
}

TEST(OrderedLine, TheLastInServiceGivesWayAndComesBackToItsPlace) {
  OrderedLine l(By::priority);
  for (std::uint64_t t = 1; t <= 3; ++t) l.push({.tag = t, .priority = 1});
  EXPECT_EQ(l.pop(), 1U);
  EXPECT_EQ(l.pop(), 2U);
  EXPECT_FALSE(l.displaced());  // an equal waits
  l.push({.tag = 4, .priority = 2});
  EXPECT_EQ(l.displaced(), 2U);  // the later one of the two
  l.put_back(2, Duration(70));
  EXPECT_EQ(l.pop(), 4U);
  EXPECT_EQ(l.left(2), Duration(70));
  EXPECT_FALSE(l.left(3));
  l.end(4);
  EXPECT_EQ(l.pop(), 2U);  // before 3, which came later
  std::vector<std::uint64_t> lost;
  l.clear(lost);
  EXPECT_EQ(lost, std::vector<std::uint64_t>{3});
}

// Tags of start-time fair queueing by hand: flow 0 has weight 1, flow 1 weight 2, costs 1.
// Starts: flow 0 at 0, 1, 2; flow 1 at 0, 0.5, 1, 1.5.
TEST(OrderedLine, FairTagsByHand) {
  OrderedLine l(By::fair);
  for (std::uint64_t t = 0; t < 3; ++t) l.push({.tag = 10 + t, .flow = 0});
  for (std::uint64_t t = 0; t < 4; ++t) l.push({.tag = 20 + t, .flow = 1, .weight = 2});
  std::vector<std::uint64_t> order;
  while (!l.empty()) {
    order.push_back(l.pop());
    l.end(order.back());
  }
  EXPECT_EQ(order, (std::vector<std::uint64_t>{10, 20, 21, 11, 22, 23, 12}));
}

// A flow that comes back does not get what it did not ask for meanwhile.
TEST(OrderedLine, NobodySavesUpShares) {
  OrderedLine l(By::fair);
  for (std::uint64_t t = 0; t < 10; ++t) l.push({.tag = t, .flow = 0});
  for (int i = 0; i < 8; ++i) l.end(l.pop());
  l.push({.tag = 100, .flow = 1});
  l.push({.tag = 101, .flow = 1});
  EXPECT_EQ(l.pop(), 100U);
  EXPECT_EQ(l.pop(), 8U);
  EXPECT_EQ(l.pop(), 101U);
}

// A server of rate 1, always backlogged flows: in any interval in which both wait, what two flows got
// per weight differs by at most a largest request of each (Goyal et al., theorem 1); so each is within
// that of its share of the fluid (GPS).
TEST(OrderedLine, SharesAreWithinOneRequestOfTheFluid) {
  const std::vector<double> weights{1, 2, 5};
  Rng g = StreamKey(3, "fair").sequence();
  OrderedLine l(By::fair);
  std::uint64_t tag = 0;
  std::map<std::uint64_t, std::pair<std::uint32_t, double>> what;
  const double largest = 3;
  const auto join = [&](std::uint32_t flow) {
    const double cost = 0.1 + (largest - 0.1) * uniform01(g);
    what[tag] = {flow, cost};
    l.push({.tag = tag++, .flow = flow, .weight = weights[flow], .cost = cost});
  };
  for (std::uint32_t f = 0; f < 3; ++f)
    for (int i = 0; i < 20; ++i) join(f);
  std::vector<double> got(3, 0);
  std::vector<std::vector<double>> history;
  for (int i = 0; i < 5000; ++i) {
    const std::uint64_t next = l.pop();
    l.end(next);
    const auto [flow, cost] = what[next];
    got[flow] += cost;
    history.push_back(got);
    join(flow);  // always backlogged
  }
  for (std::size_t from = 0; from < history.size(); from += 97)
    for (std::size_t to = from + 1; to < history.size(); to += 31)
      for (std::size_t a = 0; a < 3; ++a)
        for (std::size_t b = a + 1; b < 3; ++b) {
          const double x = (history[to][a] - history[from][a]) / weights[a];
          const double y = (history[to][b] - history[from][b]) / weights[b];
          ASSERT_LE(std::abs(x - y), largest / weights[a] + largest / weights[b] + 1e-9);
        }
}

// With whom it shares does not matter to a flow below its share: it waits for a request of each other
// flow at most.
TEST(OrderedLine, ALightFlowIsServedSoon) {
  OrderedLine l(By::fair);
  std::uint64_t tag = 1000;
  for (int i = 0; i < 500; ++i) l.push({.tag = tag++, .flow = 0});
  for (std::uint64_t light = 1; light <= 50; ++light) {
    l.push({.tag = light, .flow = 1});
    int behind = 0;
    for (;; ++behind) {
      const std::uint64_t next = l.pop();
      l.end(next);
      if (next == light) break;
    }
    ASSERT_LE(behind, 1);
    for (int i = 0; i < 3; ++i) l.end(l.pop());
  }
}

}  // namespace
}  // namespace isthmus::devices
