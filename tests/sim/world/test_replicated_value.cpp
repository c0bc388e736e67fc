// Versions of a key at several replicas: conflicts are found exactly where writes are concurrent, and all
// replicas end alike.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "sim/core/random.hpp"
#include "sim/world/replicated_value.hpp"

namespace isthmus::world {
namespace {

TEST(ReplicatedValue, RulesByHand) {
  for (const ConflictRule rule :
       {ConflictRule::last_writer_wins, ConflictRule::hub_wins, ConflictRule::keep_both}) {
    ReplicatedValue hub, phone;
    hub.write(0, 100);
    EXPECT_TRUE(phone.merge(hub, rule, true).changed);
    EXPECT_EQ(phone, hub);
    EXPECT_FALSE(phone.merge(hub, rule, true).changed);
    phone.write(1, 300);
    EXPECT_FALSE(hub.merge(phone, rule, false).conflict);  // it has seen the hub's
    EXPECT_EQ(hub, phone);

    phone.write(1, 500);
    hub.write(0, 400);
    const ReplicatedValue before = phone;
    const auto at_hub = hub.merge(phone, rule, false);
    EXPECT_TRUE(at_hub.conflict);
    const bool both = rule == ConflictRule::keep_both;
    ASSERT_EQ(hub.versions().size(), both ? 2U : 1U);
    EXPECT_EQ(at_hub.lost.size(), both ? 0U : 1U);
    EXPECT_EQ(hub.versions().back().writer, rule == ConflictRule::hub_wins ? 0U : 1U);
    EXPECT_FALSE(phone.merge(hub, rule, true).conflict);
    EXPECT_EQ(phone, hub);
    EXPECT_FALSE(hub.merge(before, rule, false).changed);
    phone.write(1, 0);  // a slow clock: what has been seen is replaced all the same
    EXPECT_EQ(phone.versions().size(), 1U);
    hub.merge(phone, rule, false);
    EXPECT_EQ(hub, phone);
  }
}

// What a replica knows, as sets of writes: the truth that vectors stand for.
struct Truth {
  std::set<int> seen;
  std::set<int> values;  // not overwritten as far as the replica knows
};

class Histories : public ::testing::TestWithParam<ConflictRule> {};

// Replicas write at random and hand states to each other (under hub-wins: to and from the hub), old ones too.
// In the end everybody exchanges with everybody.
TEST_P(Histories, ConflictsAreConcurrentWritesAndAllEndAlike) {
  const ConflictRule rule = GetParam();
  Rng g = StreamKey(11, "histories").at(static_cast<std::uint64_t>(rule));
  int conflicts = 0, calm = 0;
  for (int history = 0; history < 400; ++history) {
    const std::uint32_t n = 2 + static_cast<std::uint32_t>(uniform_index(g, 4));
    std::vector<ReplicatedValue> replicas(n);
    std::vector<Truth> truth(n);
    std::vector<std::tuple<std::uint32_t, ReplicatedValue, Truth>> sent;
    std::map<std::pair<std::uint32_t, std::uint64_t>, int> write_of;
    std::vector<std::set<int>> past;  // writes that each write had seen
    const auto hand = [&](std::uint32_t to, std::uint32_t from, const ReplicatedValue& value, const Truth& has) {
      if (to == from || (rule == ConflictRule::hub_wins && to != 0 && from != 0)) return;
      Truth& mine = truth[to];
      const bool news = !std::includes(mine.seen.begin(), mine.seen.end(), has.seen.begin(), has.seen.end());
      const bool more = !std::includes(has.seen.begin(), has.seen.end(), mine.seen.begin(), mine.seen.end());
      // A conflict: two current values, each unknown to the other side.
      bool concurrent = false;
      for (const int a : mine.values)
        for (const int b : has.values)
          concurrent = concurrent || (!has.seen.contains(a) && !mine.seen.contains(b));
      const auto found = replicas[to].merge(value, rule, from == 0);
      ASSERT_EQ(found.changed, news);
      ASSERT_EQ(found.conflict, concurrent);
      ASSERT_EQ(concurrent, news && more);
      (concurrent ? conflicts : calm)++;
      std::set<int> values;
      for (const int a : mine.values)
        if (has.values.contains(a) || !has.seen.contains(a)) values.insert(a);
      for (const int b : has.values)
        if (mine.values.contains(b) || !mine.seen.contains(b)) values.insert(b);
      mine.values = values;
      mine.seen.insert(has.seen.begin(), has.seen.end());
    };
    for (int step = 0; step < 40; ++step) {
      const auto r = static_cast<std::uint32_t>(uniform_index(g, n));
      const double u = uniform01(g);
      if (u < 0.35) {
        const Version& v = replicas[r].write(r, static_cast<std::int64_t>(uniform_index(g, 1000)));
        const int id = static_cast<int>(past.size());
        write_of[{v.writer, v.number}] = id;
        past.push_back(truth[r].seen);
        truth[r].seen.insert(id);
        truth[r].values = {id};
      } else if (u < 0.7) {
        sent.emplace_back(r, replicas[r], truth[r]);
      } else if (!sent.empty()) {
        const auto& [from, value, has] = sent[uniform_index(g, sent.size())];
        hand(r, from, value, has);
      }
      if (rule == ConflictRule::keep_both) {
        std::set<int> kept;
        for (const Version& v : replicas[r].versions()) kept.insert(write_of.at({v.writer, v.number}));
        ASSERT_EQ(kept, truth[r].values);
      }
    }
    for (int round = 0; round < 2; ++round)
      for (std::uint32_t to = 0; to < n; ++to)
        for (std::uint32_t from = 0; from < n; ++from) {
          const ReplicatedValue value = replicas[from];
          const Truth has = truth[from];
          hand(to, from, value, has);
        }
    for (std::uint32_t r = 1; r < n; ++r) ASSERT_EQ(replicas[r], replicas[0]);
    // Nobody's last word is lost without a conflict: what stays is the past of nothing else that stays.
    for (const Version& v : replicas[0].versions())
      for (const Version& w : replicas[0].versions())
        ASSERT_FALSE(past[write_of.at({v.writer, v.number})].contains(write_of.at({w.writer, w.number})));
  }
  EXPECT_GT(conflicts, 300);
  EXPECT_GT(calm, 300);
}

INSTANTIATE_TEST_SUITE_P(Rules, Histories,
                         ::testing::Values(ConflictRule::last_writer_wins, ConflictRule::hub_wins,
                                           ConflictRule::keep_both));

// The order and repetition of merges does not matter where no hub decides.
TEST(ReplicatedValue, MergesCommute) {
  Rng g = StreamKey(5, "merges").at(0);
  for (const ConflictRule rule : {ConflictRule::last_writer_wins, ConflictRule::keep_both})
    for (int round = 0; round < 300; ++round) {
      std::vector<ReplicatedValue> r(4);
      for (int step = 0; step < 16; ++step) {
        const auto a = static_cast<std::uint32_t>(uniform_index(g, 4));
        if (uniform01(g) < 0.5) r[a].write(a, static_cast<std::int64_t>(uniform_index(g, 50)));
        else r[a].merge(ReplicatedValue(r[uniform_index(g, 4)]), rule, false);
      }
      const auto merged = [&](std::vector<std::size_t> order) {
        ReplicatedValue v;
        for (const std::size_t i : order) v.merge(r[i], rule, false);
        return v;
      };
      const ReplicatedValue all = merged({0, 1, 2, 3});
      EXPECT_EQ(merged({3, 2, 1, 0}), all);
      EXPECT_EQ(merged({1, 1, 3, 0, 1, 2, 3}), all);
      ReplicatedValue left = merged({0, 1});
      left.merge(merged({2, 3}), rule, false);
      EXPECT_EQ(left, all);
    }
}

}  // namespace
}  // namespace isthmus::world
