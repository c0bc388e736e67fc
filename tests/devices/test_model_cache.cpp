// Models that share a memory: textbook reference strings, by hand, and laws under random use.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "devices/model_cache.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"

namespace isthmus::devices {
namespace {

using schedulers::eviction_policies;

std::shared_ptr<schedulers::EvictionPolicy> policy(std::string_view name) {
  const auto& entry = schedulers::find_entry(eviction_policies(), std::string(name));
  return entry.make(schedulers::Parameters(entry.parameters));
}

Instant at(double s) { return Instant::zero() + Duration::from_seconds(s); }

// Loads of a string of uses, one after another, in a memory of `frames` equal models.
std::uint64_t faults(std::string_view name, const std::vector<std::uint32_t>& uses,
                     std::uint32_t frames) {
  const std::uint32_t models = *std::max_element(uses.begin(), uses.end()) + 1;
  ModelCache cache(frames, policy(name),
                   std::vector<CachedModel>(
                       models, {1, Duration::from_seconds(0.5), Duration::from_seconds(0.5), 0}));
  double now = 0;
  for (const std::uint32_t m : uses) {
    std::vector<std::uint64_t> started;
    now += 1;
    if (!cache.acquire(m, m, at(now))) {
      EXPECT_EQ(cache.next(), at(now + 0.5));
      cache.advance(cache.next(), started);
      EXPECT_EQ(started, std::vector<std::uint64_t>{m});
      started.clear();
    }
    cache.release(m, at(now + 0.75), started);
    EXPECT_TRUE(started.empty());
  }
  std::uint64_t loads = 0;
  for (std::uint32_t m = 0; m < models; ++m) loads += cache.counts(m).loads;
  return loads;
}

// Silberschatz, Galvin, Gagne: Operating System Concepts, ch. "Virtual Memory", and Belady's
// anomaly: more room, more loads.
TEST(ModelCache, PagesAsTheTextbookDoes) {
  const std::vector<std::uint32_t> book{7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1};
  EXPECT_EQ(faults("fifo", book, 3), 15U);
  EXPECT_EQ(faults("lru", book, 3), 12U);
  const std::vector<std::uint32_t> belady{1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5};
  EXPECT_EQ(faults("fifo", belady, 3), 9U);
  EXPECT_EQ(faults("fifo", belady, 4), 10U);
  EXPECT_EQ(faults("lru", belady, 3), 10U);
  EXPECT_EQ(faults("lru", belady, 4), 8U);
  // With equal sizes and load times greedy-dual is an aged LFU: never below the distinct models.
  EXPECT_GE(faults("greedy-dual", book, 3), 6U);
}

TEST(ModelCache, PoliciesTakeTheirVictims) {
  // Uses: 0 twice, then 1 three times, then 2 once; 0 is dear to load, 2 important.
  const auto victim = [](std::string_view name) {
    const Duration s = Duration::from_seconds(1);
    ModelCache cache(
        3, policy(name),
        {{1, at(9) - at(0), at(9) - at(0), 0}, {1, s, s, 0}, {1, s, s, 5}, {1, s, s, 0}});
    cache.preload(at(0));
    std::vector<std::uint64_t> started;
    double now = 1;
    for (const std::uint32_t m : {0U, 0U, 1U, 1U, 1U, 2U}) {
      EXPECT_TRUE(cache.acquire(m, 0, at(now += 1)));
      cache.release(m, at(now), started);
    }
    EXPECT_FALSE(cache.acquire(3, 0, at(now + 1)));
    for (std::uint32_t m = 0; m < 3; ++m)
      if (!cache.resident(m)) return m;
    return 9U;
  };
  EXPECT_EQ(victim("lru"), 0U);
  EXPECT_EQ(victim("fifo"), 0U);  // all came together: the first
  EXPECT_EQ(victim("lfu"), 2U);
  EXPECT_EQ(victim("priority"), 0U);
  EXPECT_EQ(victim("greedy-dual"), 2U);  // 18, 3 and 1 s per byte
}

TEST(ModelCache, BusyModelsLeaveOnceTheyAreDone) {
  const Duration s = Duration::from_seconds(1);
  ModelCache cache(4, policy("lru"), {{2, s, s, 0}, {2, s, s, 0}, {3, s, s, 0}});
  cache.preload(at(0));
  std::vector<std::uint64_t> started;
  EXPECT_TRUE(cache.acquire(0, 10, at(0)));
  EXPECT_TRUE(cache.acquire(1, 11, at(1)));
  // 2 needs both gone; they take nothing new.
  EXPECT_FALSE(cache.acquire(2, 12, at(2)));
  EXPECT_TRUE(cache.next().is_never());
  EXPECT_FALSE(cache.acquire(0, 13, at(2)));
  cache.release(0, at(3), started);
  EXPECT_TRUE(cache.next().is_never());
  cache.release(1, at(4), started);
  EXPECT_TRUE(started.empty());
  EXPECT_EQ(cache.next(), at(5));
  cache.advance(at(5), started);
  EXPECT_EQ(started, std::vector<std::uint64_t>{12});
  started.clear();
  // 0 comes back as soon as 2 is done.
  EXPECT_TRUE(cache.next().is_never());
  cache.release(2, at(6), started);
  EXPECT_EQ(cache.next(), at(7));
  cache.advance(at(7), started);
  EXPECT_EQ(started, std::vector<std::uint64_t>{13});
  EXPECT_EQ(cache.counts(0).hits, 1U);
  EXPECT_EQ(cache.counts(0).batches, 2U);
  EXPECT_EQ(cache.counts(0).evictions, 1U);
}

TEST(ModelCache, RoomThatComesByItselfLetsTheOthersStay) {
  const Duration s = Duration::from_seconds(1);
  ModelCache cache(4, policy("lru"), {{2, s, s, 0}, {2, s, s, 0}, {2, s, s, 0}});
  cache.preload(at(0));
  std::vector<std::uint64_t> started;
  EXPECT_TRUE(cache.acquire(0, 10, at(0)));
  EXPECT_TRUE(cache.acquire(1, 11, at(1)));
  EXPECT_FALSE(cache.acquire(2, 12, at(2)));  // 0, the older one, shall leave
  EXPECT_FALSE(cache.acquire(0, 13, at(2)));
  EXPECT_TRUE(cache.acquire(1, 14, at(2)));
  cache.release(0, at(3), started);
  EXPECT_EQ(cache.next(), at(4));
  cache.advance(at(4), started);
  EXPECT_EQ(started, std::vector<std::uint64_t>{12});
}

TEST(ModelCache, ReloadsFromHostMemory) {
  ModelCache cache(1, policy("lru"),
                   {{1, Duration::from_seconds(4), Duration::from_seconds(1), 0},
                    {1, Duration::from_seconds(4), Duration::from_seconds(1), 0}});
  std::vector<std::uint64_t> started;
  double now = 0, took = 0;
  for (const std::uint32_t m : {0U, 1U, 0U, 1U}) {
    EXPECT_FALSE(cache.acquire(m, m, at(now)));
    took += (cache.next() - at(now)).seconds();
    now += (cache.next() - at(now)).seconds();
    cache.advance(at(now), started);
    cache.release(m, at(now), started);
  }
  EXPECT_DOUBLE_EQ(took, 10);
  cache.clear();  // a machine that failed reads from storage again
  EXPECT_FALSE(cache.acquire(0, 0, at(20)));
  EXPECT_EQ(cache.next(), at(24));
}

TEST(ModelCache, RefusesWhatNeverFits) {
  EXPECT_THROW(ModelCache(1, policy("lru"), {{2, Duration::zero(), Duration::zero(), 0}}),
               InputError);
}

// Whatever the policy: never above capacity, every batch begins, and exactly once.
TEST(ModelCache, RandomUseKeepsItsLaws) {
  for (const auto& entry : eviction_policies()) {
    SCOPED_TRACE(entry.name);
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
      Rng g = StreamKey(seed, "cache").at(0);
      const auto below = [&](std::uint64_t n) { return uniform_index(g, n); };
      std::vector<CachedModel> models(2 + below(6));
      for (CachedModel& m : models)
        m = {1.0 + static_cast<double>(below(5)), Duration(1 + static_cast<std::int64_t>(below(9))),
             Duration(static_cast<std::int64_t>(below(3))), static_cast<double>(below(3))};
      const double capacity = 6;
      ModelCache cache(capacity, entry.make(schedulers::Parameters(entry.parameters)), models);
      if (below(2) == 0) cache.preload(Instant::zero());
      std::multimap<std::int64_t, std::uint64_t> ends;
      std::set<std::uint64_t> waiting, ran;
      std::vector<std::uint64_t> started;
      std::uint64_t tag = 0;
      std::int64_t now = 0;
      const auto begin = [&](std::uint64_t t) {
        EXPECT_TRUE(ran.insert(t).second);
        EXPECT_TRUE(cache.resident(static_cast<std::uint32_t>(t % models.size())));
        waiting.erase(t);
        ends.emplace(now + static_cast<std::int64_t>(below(12)), t);
      };
      while (tag < 200 * models.size() || !ends.empty() || !waiting.empty()) {
        const std::int64_t load =
            cache.next().is_never() ? INT64_MAX : (cache.next() - Instant::zero()).ns();
        const std::int64_t end = ends.empty() ? INT64_MAX : ends.begin()->first;
        const std::int64_t come =
            tag < 200 * models.size() ? now + static_cast<std::int64_t>(below(6)) : INT64_MAX;
        ASSERT_FALSE(load == INT64_MAX && end == INT64_MAX && come == INT64_MAX)
            << waiting.size() << " batches wait for ever";
        now = std::min({load, end, come});
        const Instant date = Instant::zero() + Duration(now);
        started.clear();
        if (load == now) {
          cache.advance(date, started);
        } else if (end == now) {
          const std::uint64_t done = ends.begin()->second;
          ends.erase(ends.begin());
          cache.release(static_cast<std::uint32_t>(done % models.size()), date, started);
        } else {
          tag += 1 + below(models.size());
          waiting.insert(tag);
          if (cache.acquire(static_cast<std::uint32_t>(tag % models.size()), tag, date)) begin(tag);
        }
        for (const std::uint64_t t : started) begin(t);
        ASSERT_LE(cache.used_bytes(), capacity);
      }
      std::uint64_t batches = 0, loads = 0, evictions = 0, resident = 0;
      for (std::uint32_t m = 0; m < models.size(); ++m) {
        batches += cache.counts(m).batches;
        loads += cache.counts(m).loads;
        evictions += cache.counts(m).evictions;
        resident += cache.resident(m) ? 1 : 0;
      }
      EXPECT_EQ(batches, ran.size());
      EXPECT_GE(loads + models.size(), resident + evictions);
    }
  }
}

}  // namespace
}  // namespace isthmus::devices
