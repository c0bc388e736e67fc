// The event queue against a plain ordered map that keeps the documented order by construction.
#include "sim/core/event_queue.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "sim/core/random.hpp"

namespace isthmus {
namespace {

// What EventQueue promises, in the slowest and plainest way.
class ReferenceQueue {
 public:
  using Order = std::tuple<std::int64_t, std::uint8_t, std::uint64_t>;  // date, rank, sequence

  Order push(Instant time, EventKind kind, std::uint32_t target, std::uint64_t payload) {
    const Order o{time.ns(), rank_of(kind), next_++};
    events_.emplace(o, Event{time, kind, target, payload});
    return o;
  }
  bool cancel(const Order& o) { return events_.erase(o) != 0; }
  Event pop() {
    const Event e = events_.begin()->second;
    events_.erase(events_.begin());
    return e;
  }
  Instant next_time() const {
    return events_.empty() ? Instant::never() : events_.begin()->second.time;
  }
  std::size_t size() const { return events_.size(); }

 private:
  std::multimap<Order, Event> events_;
  std::uint64_t next_ = 0;
};

void expect_same(const Event& a, const Event& b) {
  ASSERT_EQ(a.time, b.time);
  ASSERT_EQ(a.kind, b.kind);
  ASSERT_EQ(a.target, b.target);
  ASSERT_EQ(a.payload, b.payload);
}

struct Mix {
  std::uint64_t seed;
  std::uint64_t push, pop, cancel;  // relative frequencies
  std::uint64_t spread;             // dates lie within so many ns: small means many ties
  std::uint64_t first_sequence;
};

// Names the case in the output of a failing test.
void PrintTo(const Mix& m, std::ostream* os) {
  *os << "seed " << m.seed << " spread " << m.spread << " first " << m.first_sequence;
}

class AgainstReference : public testing::TestWithParam<Mix> {};

TEST_P(AgainstReference, EveryOperationAgrees) {
  const Mix mix = GetParam();
  Rng g(mix.seed);
  EventQueue queue(mix.first_sequence);
  ReferenceQueue reference;
  // Handles are never forgotten, so that stale ones are used as well.
  std::vector<std::pair<EventHandle, ReferenceQueue::Order>> handles;
  const std::uint64_t total = mix.push + mix.pop + mix.cancel;
  for (std::uint64_t step = 0; step < 60'000; ++step) {
    const std::uint64_t choice = uniform_index(g, total);
    if (choice < mix.push) {
      const Instant t =
          queue.now() + Duration(static_cast<std::int64_t>(uniform_index(g, mix.spread)));
      const auto kind = static_cast<EventKind>(uniform_index(g, event_kinds.size()));
      const auto target = static_cast<std::uint32_t>(g());
      handles.emplace_back(queue.push(t, kind, target, step),
                           reference.push(t, kind, target, step));
    } else if (choice < mix.push + mix.pop) {
      if (reference.size() != 0) {
        const Event e = queue.pop();
        expect_same(e, reference.pop());
        ASSERT_EQ(queue.now(), e.time);
      }
    } else if (!handles.empty()) {
      const auto& [handle, order] = handles[uniform_index(g, handles.size())];
      ASSERT_EQ(queue.cancel(handle), reference.cancel(order));
    }
    ASSERT_EQ(queue.size(), reference.size());
    ASSERT_EQ(queue.empty(), reference.size() == 0);
    // Not at each step: the queue must also be right when nobody looked in between.
    if (step % 3 == 0) {
      ASSERT_EQ(queue.next_time(), reference.next_time());
    }
  }
  while (reference.size() != 0) expect_same(queue.pop(), reference.pop());
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.next_time(), Instant::never());
}

constexpr std::uint64_t near_end = EventQueue::last_sequence - 5'000;

INSTANTIATE_TEST_SUITE_P(Mixes, AgainstReference,
                         testing::Values(Mix{1, 5, 5, 0, 1'000'000, 0},   // balanced, no cancel
                                         Mix{2, 5, 4, 1, 10, 0},          // growing, many ties
                                         Mix{3, 6, 2, 4, 1'000, 0},       // many cancels
                                         Mix{4, 5, 1, 9, 50, 0},          // purges
                                         Mix{5, 4, 6, 1, 3, 0},           // nearly empty
                                         Mix{6, 5, 4, 1, 20, near_end},   // crosses renumbering
                                         Mix{7, 6, 2, 4, 1, near_end}));  // all at one date

TEST(EventQueue, OneInstantRunsByRankThenInOrderOfScheduling) {
  EventQueue q;
  const Instant t(100);
  q.push(t, EventKind::phase_end, 0);
  q.push(t, EventKind::dispatch, 1);
  q.push(t, EventKind::local_step, 2);
  q.push(t, EventKind::arrival, 3);
  q.push(t, EventKind::task_step, 4);
  q.push(t, EventKind::condition_change, 5);
  q.push(Instant(99), EventKind::phase_end, 6);
  std::vector<std::uint32_t> order;
  while (!q.empty()) order.push_back(q.pop().target);
  EXPECT_EQ(order, (std::vector<std::uint32_t>{6, 5, 2, 3, 4, 1, 0}));
}

TEST(EventQueue, AnEventOfTheCurrentInstantMayHaveALowerRank) {
  // E.g. a dispatch that completes at once: time order wins, the rank orders what is pending.
  EventQueue q;
  q.push(Instant(5), EventKind::control, 1);
  q.push(Instant(5), EventKind::sample, 2);
  EXPECT_EQ(q.pop().target, 1U);
  q.push(Instant(5), EventKind::work_done, 3);
  EXPECT_EQ(q.pop().target, 3U);
  EXPECT_EQ(q.pop().target, 2U);
}

TEST(EventQueue, RenumberingKeepsTheOrderOfScheduling) {
  EventQueue q(EventQueue::last_sequence - 9);
  for (std::uint32_t i = 0; i < 40; ++i) q.push(Instant(7), EventKind::arrival, i);
  for (std::uint32_t i = 0; i < 40; ++i) EXPECT_EQ(q.pop().target, i);
}

TEST(EventQueue, RenumberingKeepsHandlesAndDropsCancelled) {
  EventQueue q(EventQueue::last_sequence - 1);
  const EventHandle a = q.push(Instant(1), EventKind::arrival, 1);
  const EventHandle b = q.push(Instant(2), EventKind::arrival, 2);
  EXPECT_TRUE(q.cancel(a));
  const EventHandle c = q.push(Instant(3), EventKind::arrival, 3);  // renumbers
  EXPECT_FALSE(q.cancel(a));
  EXPECT_TRUE(q.cancel(b));
  EXPECT_EQ(q.pop().target, 3U);
  EXPECT_FALSE(q.cancel(c));
}

TEST(EventQueue, RenumberingRightAfterAPop) {
  EventQueue q(EventQueue::last_sequence - 2);
  q.push(Instant(1), EventKind::arrival, 1);
  q.push(Instant(2), EventKind::arrival, 2);
  q.push(Instant(3), EventKind::arrival, 3);
  EXPECT_EQ(q.pop().target, 1U);
  q.push(Instant(2), EventKind::arrival, 4);
  EXPECT_EQ(q.pop().target, 2U);
  EXPECT_EQ(q.pop().target, 4U);
  EXPECT_EQ(q.pop().target, 3U);
}

TEST(EventQueue, StaleHandleDoesNotCancelTheNextOwnerOfItsSlot) {
  EventQueue q;
  const EventHandle old = q.push(Instant(1), EventKind::arrival, 1);
  q.pop();
  const EventHandle next = q.push(Instant(2), EventKind::arrival, 2);
  ASSERT_EQ(old.slot, next.slot);  // otherwise this test proves nothing
  EXPECT_FALSE(q.cancel(old));
  EXPECT_EQ(q.size(), 1U);
  EXPECT_TRUE(q.cancel(next));
  EXPECT_FALSE(q.cancel(next));
  EXPECT_TRUE(q.empty());
}

TEST(EventQueue, DefaultAndForeignHandlesCancelNothing) {
  EventQueue q;
  EXPECT_FALSE(EventHandle{}.valid());
  EXPECT_FALSE(q.cancel({}));
  EXPECT_FALSE(q.cancel({7, 0}));
  EXPECT_TRUE(q.push(Instant(1), EventKind::arrival, 1).valid());
  EXPECT_FALSE(q.cancel({0, 1}));
  EXPECT_EQ(q.size(), 1U);
}

TEST(EventQueue, CancelledSlotsAreReusedSoThatMemoryStaysBounded) {
  // A timeout that is always cancelled: the highest slot must not grow with the number of rounds.
  EventQueue q;
  q.push(Instant(1'000'000'000), EventKind::phase_end, 0);
  std::uint32_t highest = 0;
  for (int i = 0; i < 100'000; ++i) {
    const EventHandle h = q.push(Instant(1'000'000), EventKind::queue_timeout, 1);
    highest = std::max(highest, h.slot);
    ASSERT_TRUE(q.cancel(h));
  }
  EXPECT_LT(highest, 200U);
  EXPECT_EQ(q.pop().kind, EventKind::phase_end);
}

TEST(EventQueue, PurgedHeapsOfEverySizeStayHeaps) {
  // Cancelling most events rebuilds the heap; each size has another last inner node.
  Rng g(16);
  for (std::size_t size = 130; size < 400; ++size) {
    EventQueue q;
    std::vector<EventHandle> doomed;
    for (std::size_t i = 0; i < size; ++i) {
      const Instant t(static_cast<std::int64_t>(uniform_index(g, 1'000'000)));
      const EventHandle h = q.push(t, EventKind::arrival, 1);
      if (i % 5 < 3) doomed.push_back(h);
    }
    for (const EventHandle h : doomed) ASSERT_TRUE(q.cancel(h));
    ASSERT_EQ(q.size(), size - doomed.size());
    // Replacing what is popped keeps the end of the heap in place, so that a fault there shows.
    std::size_t popped = 0;
    for (Instant last = Instant::zero(); !q.empty(); ++popped) {
      const Instant t = q.pop().time;
      ASSERT_LE(last, t);
      last = t;
      if (popped < size) q.push(t + Duration(1'000'000), EventKind::arrival, 1);
    }
    ASSERT_EQ(popped, 2 * size - doomed.size());
  }
}

TEST(EventQueue, NextTimeLooksThroughCancelledEvents) {
  EventQueue q;
  const EventHandle a = q.push(Instant(1), EventKind::arrival, 1);
  const EventHandle b = q.push(Instant(2), EventKind::arrival, 2);
  q.push(Instant(3), EventKind::arrival, 3);
  q.cancel(a);
  EXPECT_EQ(q.next_time(), Instant(2));
  q.cancel(b);
  EXPECT_EQ(q.next_time(), Instant(3));
  EXPECT_EQ(q.pop().target, 3U);
  EXPECT_EQ(q.next_time(), Instant::never());
}

TEST(EventQueue, PastDatesAreRefused) {
  EventQueue q;
  EXPECT_THROW(q.push(Instant(-1), EventKind::arrival, 1), InternalError);
  q.push(Instant(10), EventKind::arrival, 1);
  q.pop();
  EXPECT_THROW(q.push(Instant(9), EventKind::arrival, 1), InternalError);
  EXPECT_TRUE(q.push(Instant(10), EventKind::arrival, 1).valid());
}

TEST(EventQueue, NeverIsNotStored) {
  EventQueue q;
  EXPECT_FALSE(q.push(Instant::never(), EventKind::arrival, 1).valid());
  EXPECT_TRUE(q.empty());
  // The last date before never is an ordinary one.
  q.push(Instant(Instant::never().ns() - 1), EventKind::phase_end, 2);
  EXPECT_EQ(q.pop().target, 2U);
}

TEST(EventQueue, PopOfAnEmptyQueueIsRefused) {
  EventQueue q;
  EXPECT_THROW(q.pop(), InternalError);
  q.cancel(q.push(Instant(1), EventKind::arrival, 1));
  EXPECT_THROW(q.pop(), InternalError);
}

TEST(EventQueue, AdvanceMovesTheClockForwardOnlyAndNotPastAnEvent) {
  EventQueue q;
  q.push(Instant(20), EventKind::arrival, 1);
  q.advance_to(Instant(10));
  EXPECT_EQ(q.now(), Instant(10));
  q.advance_to(Instant(5));
  EXPECT_EQ(q.now(), Instant(10));
  EXPECT_THROW(q.push(Instant(9), EventKind::arrival, 2), InternalError);
  q.advance_to(Instant(20));
  EXPECT_THROW(q.advance_to(Instant(21)), InternalError);
  EXPECT_EQ(q.pop().time, Instant(20));
  q.advance_to(Instant(21));
  EXPECT_EQ(q.now(), Instant(21));
}

TEST(EventQueue, ACopyRunsOnItsOwn) {
  EventQueue a;
  for (std::uint32_t i = 0; i < 100; ++i) a.push(Instant(100 - i), EventKind::arrival, i);
  a.pop();
  EventQueue b = a;
  std::vector<std::uint32_t> of_a, of_b;
  while (!a.empty()) of_a.push_back(a.pop().target);
  while (!b.empty()) of_b.push_back(b.pop().target);
  EXPECT_EQ(of_a.size(), 99U);
  EXPECT_EQ(of_a, of_b);
}

TEST(EventKinds, TheTableKeepsTheDocumentedOrder) {
  // Invariants that the world's handlers rely on.
  EXPECT_LT(rank_of(EventKind::condition_change), rank_of(EventKind::flow_ended));
  EXPECT_LT(rank_of(EventKind::work_done), rank_of(EventKind::arrival));
  EXPECT_LT(rank_of(EventKind::arrival), rank_of(EventKind::dispatch));
  EXPECT_LT(rank_of(EventKind::dispatch), rank_of(EventKind::queue_timeout));
  EXPECT_LT(rank_of(EventKind::scrape), rank_of(EventKind::control));
  EXPECT_EQ(rank_of(EventKind::arrival), rank_of(EventKind::local_step));
  for (const auto& row : event_kinds) EXPECT_LE(row.rank, rank_of(EventKind::phase_end));
  EXPECT_EQ(name_of(EventKind::queue_timeout), "queue_timeout");
}

}  // namespace
}  // namespace isthmus
