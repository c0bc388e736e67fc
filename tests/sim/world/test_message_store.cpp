// Stores of outboxes: room, order, and a model of them that is too simple to be wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "sim/core/random.hpp"
#include "sim/world/message_store.hpp"

namespace isthmus::world {
namespace {

constexpr double no_limit = std::numeric_limits<double>::infinity();

Message message(std::uint64_t id, double bytes = 1, std::int32_t priority = 0) {
  Message m;
  m.id = id;
  m.made = Instant::from_seconds(static_cast<double>(id));
  m.bytes = bytes;
  m.priority = priority;
  return m;
}

std::vector<std::uint64_t> ids(const std::vector<Message>& messages) {
  std::vector<std::uint64_t> out;
  for (const Message& m : messages) out.push_back(m.id);
  return out;
}

using Ids = std::vector<std::uint64_t>;

TEST(MessageStore, OrdersAndBatches) {
  std::vector<Message> dropped;
  for (const auto& [order, expected] :
       {std::pair{SendOrder::fifo, Ids{0, 1, 2, 3}}, std::pair{SendOrder::newest_first, Ids{3, 2, 1, 0}},
        std::pair{SendOrder::priority, Ids{1, 3, 0, 2}}}) {
    MessageStore s(no_limit, ~0ULL, WhenFull::drop_oldest, order);
    for (std::uint64_t i = 0; i < 4; ++i) EXPECT_TRUE(s.add(message(i, 10, i % 2), dropped));
    const auto first = s.take(3, 25);  // two fit into 25 bytes
    EXPECT_EQ(ids(first), Ids(expected.begin(), expected.begin() + 2));
    EXPECT_EQ(s.waiting(), 2U);
    EXPECT_EQ(s.size(), 4U);
    s.give_back(first);
    EXPECT_EQ(ids(s.take(9, no_limit)), expected);
    EXPECT_EQ(s.size(), 4U);
  }
  MessageStore s(no_limit, ~0ULL, WhenFull::drop_oldest, SendOrder::fifo);
  EXPECT_TRUE(s.add(message(0, 100), dropped));
  EXPECT_EQ(s.take(5, 1).size(), 1U);  // one always goes
}

TEST(MessageStore, MakesRoomOrNot) {
  std::vector<Message> dropped;
  MessageStore newest(20, ~0ULL, WhenFull::drop_newest, SendOrder::fifo);
  EXPECT_TRUE(newest.add(message(0, 20), dropped));
  EXPECT_FALSE(newest.add(message(1, 1), dropped));
  EXPECT_TRUE(dropped.empty());

  MessageStore oldest(20, 3, WhenFull::drop_oldest, SendOrder::fifo);
  for (std::uint64_t i = 0; i < 3; ++i) EXPECT_TRUE(oldest.add(message(i, 5), dropped));
  EXPECT_TRUE(oldest.add(message(3, 5), dropped));  // too many messages
  EXPECT_EQ(ids(dropped), Ids{0});
  EXPECT_TRUE(oldest.add(message(4, 15), dropped));  // too many bytes
  EXPECT_EQ(ids(dropped), (Ids{0, 1, 2}));
  EXPECT_FALSE(oldest.add(message(5, 21), dropped));  // never fits: nobody leaves in vain
  EXPECT_EQ(dropped.size(), 3U);
  const auto out = oldest.take(9, no_limit);
  EXPECT_EQ(ids(out), (Ids{3, 4}));
  EXPECT_FALSE(oldest.add(message(6, 1), dropped));  // what is on its way keeps its room
  oldest.settle(out);
  EXPECT_TRUE(oldest.add(message(7, 20), dropped));

  MessageStore levels(2, ~0ULL, WhenFull::drop_oldest, SendOrder::priority);
  dropped.clear();
  EXPECT_TRUE(levels.add(message(0, 1, 5), dropped));
  EXPECT_TRUE(levels.add(message(1, 1, 1), dropped));
  EXPECT_TRUE(levels.add(message(2, 1, 3), dropped));
  EXPECT_EQ(ids(dropped), Ids{1});  // the lowest priority first
  EXPECT_FALSE(levels.add(message(3, 1, 1), dropped));  // nobody of higher priority leaves
}

// Any sequence of calls keeps every message in exactly one place, within the limits.
TEST(MessageStore, LosesNothing) {
  Rng g = StreamKey(3, "stores").at(0);
  for (int round = 0; round < 300; ++round) {
    const double capacity = static_cast<double>(1 + uniform_index(g, 30));
    const std::uint64_t most = 1 + uniform_index(g, 8);
    MessageStore s(capacity, most, static_cast<WhenFull>(uniform_index(g, 3)),
                   static_cast<SendOrder>(uniform_index(g, 3)));
    std::vector<Message> dropped, refused, sent, settled;
    for (std::uint64_t i = 0; i < 60; ++i) {
      const double u = uniform01(g);
      if (u < 0.6) {
        const Message m = message(i, static_cast<double>(uniform_index(g, 9)),
                                  static_cast<std::int32_t>(uniform_index(g, 3)));
        const bool room = s.has_room(m.bytes);
        const std::size_t before = dropped.size();
        if (!s.add(m, dropped)) refused.push_back(m);
        else ASSERT_EQ(room, dropped.size() == before);
      } else if (sent.empty()) {
        sent = s.take(1 + static_cast<std::uint32_t>(uniform_index(g, 4)), 12);
      } else {
        if (u < 0.8) s.give_back(sent);
        else s.settle(sent), settled.insert(settled.end(), sent.begin(), sent.end());
        sent.clear();
      }
      ASSERT_LE(s.size(), most);
      ASSERT_LE(s.bytes(), capacity);
      ASSERT_EQ(s.size(), s.waiting() + sent.size());
    }
    std::vector<Message> rest = s.clear();
    Ids all;
    for (const std::vector<Message>* part : {&dropped, &refused, &sent, &settled, &rest})
      for (const Message& m : *part) all.push_back(m.id);
    std::sort(all.begin(), all.end());
    EXPECT_TRUE(std::adjacent_find(all.begin(), all.end()) == all.end());
    EXPECT_EQ(s.size(), sent.size());
  }
}

}  // namespace
}  // namespace isthmus::world
