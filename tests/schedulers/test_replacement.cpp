// Replacement policies on strings of accesses, worked out by hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "schedulers/registry.hpp"
#include "sim/core/random.hpp"

namespace isthmus::schedulers {
namespace {

std::shared_ptr<ReplacementPolicy> policy(const std::string& name, const std::string& aging = "") {
  const auto& entry = find_entry(replacement_policies(), name);
  Parameters p(entry.parameters);
  if (!aging.empty()) p.set("aging", aging);
  return entry.make(p);
}

// A cache of equal entries: "h" per hit, "m" per miss, and who left, e.g. "mmhm-a".
std::string run(ReplacementPolicy& p, std::size_t room, const std::string& accesses) {
  p.begin(static_cast<double>(room));
  std::map<char, std::uint32_t> slots;
  std::vector<char> keys;
  std::vector<std::uint32_t> free;
  std::string out;
  for (const char key : accesses) {
    if (const auto it = slots.find(key); it != slots.end()) {
      p.use(it->second);
      out += 'h';
      continue;
    }
    out += 'm';
    if (slots.size() == room) {
      const std::uint32_t victim = p.evict();
      out += std::string("-") + keys.at(victim);
      slots.erase(keys[victim]);
      free.push_back(victim);
    }
    std::uint32_t slot = static_cast<std::uint32_t>(keys.size());
    if (free.empty()) keys.push_back(key);
    else slot = free.back(), free.pop_back(), keys[slot] = key;
    slots[key] = slot;
    p.admit(slot, static_cast<std::uint64_t>(key), 1);
  }
  return out;
}

// The reference string of Belady's anomaly (Belady, Nelson, Shedler 1969): more room, more misses.
TEST(Replacement, FifoShowsBeladysAnomaly) {
  const auto misses = [](const std::string& s) { return std::count(s.begin(), s.end(), 'm'); };
  EXPECT_EQ(misses(run(*policy("fifo"), 3, "123412512345")), 9);
  EXPECT_EQ(misses(run(*policy("fifo"), 4, "123412512345")), 10);
  EXPECT_EQ(misses(run(*policy("lru"), 3, "123412512345")), 10);
  EXPECT_EQ(misses(run(*policy("lru"), 4, "123412512345")), 8);
}

TEST(Replacement, LruTakesTheOneNotUsedForLongest) {
  EXPECT_EQ(run(*policy("lru"), 3, "abcabdbca"), "mmmhhm-chm-am-d");
  EXPECT_EQ(run(*policy("fifo"), 3, "abcabdbca"), "mmmhhm-ahhm-b");
}

// Uses: a 3, b 2, c 1. d takes the place of c; then d and b ... with a use each they stay by count.
TEST(Replacement, LfuTakesTheLeastUsedAndTheLeastRecentOfThese) {
  EXPECT_EQ(run(*policy("lfu", "none"), 3, "aaabbcdcd"), "mhhmhmm-cm-dm-c");
}

// Without aging, "a" stays for ever, for b to g are used once each. With it, each eviction raises
// the age: c is worth 1 + 1, d 2 + 1, e 3 + 1 > a's 3.
TEST(Replacement, AgingLetsGoWhatWasPopularOnce) {
  EXPECT_EQ(run(*policy("lfu", "none"), 2, "aaabcdefg"), "mhhmm-bm-cm-dm-em-f");
  EXPECT_EQ(run(*policy("lfu", "dynamic"), 2, "aaabcdefg"), "mhhmm-bm-cm-am-dm-e");
}

// Room of ten: one for the small queue, whose tail leaves as soon as the cache is full. a is used
// twice on the way and goes to the main queue; the others leave, and are remembered: b comes back to
// the main queue at once, and survives what passes the small one.
TEST(Replacement, S3FifoFiltersOneHitWonders) {
  auto p = policy("s3-fifo");
  EXPECT_EQ(run(*p, 10, "aaabcdefghij"), "mhhmmmmmmmmm");
  p = policy("s3-fifo");
  // k: a moves to main, b leaves. b: c leaves, and b goes to main.
  EXPECT_EQ(run(*p, 10, "aaabcdefghijkblmnopqrstuvab"),
            "mhhmmmmmmmmmm-bm-cm-dm-em-fm-gm-hm-im-jm-km-lm-mm-nhh");
}

// In the main queue an entry gets as many more rounds as it has uses left, at most three.
TEST(Replacement, S3FifoGivesUsedEntriesAnotherRound) {
  const auto& entry = find_entry(replacement_policies(), "s3-fifo");
  Parameters half(entry.parameters);
  half.set("small", 0.5);
  const auto p = entry.make(half);
  // c: a and b go on to main, and a, the older one, leaves. d: c goes on; b was used and goes around,
  // so that c leaves.
  EXPECT_EQ(run(*p, 2, "aaabbbcbccdb"), "mhhmhhm-ahhhm-ch");
}

// Whatever happens: who leaves was there, and everybody can be made to leave.
TEST(Replacement, EveryPolicyKeepsExactlyWhatItWasGiven) {
  for (const auto& entry : replacement_policies()) {
    SCOPED_TRACE(entry.name);
    const auto p = entry.make(Parameters(entry.parameters));
    p->begin(50);
    Rng g(7);
    std::vector<bool> there(64, false);
    std::size_t size = 0;
    for (int i = 0; i < 20000; ++i) {
      const auto slot = static_cast<std::uint32_t>(uniform_index(g, 64));
      if (size == 50 || (size > 0 && uniform_index(g, 10) == 0)) {
        const std::uint32_t victim = p->evict();
        ASSERT_LT(victim, there.size());
        ASSERT_TRUE(there[victim]);
        there[victim] = false;
        --size;
      } else if (!there[slot]) {
        p->admit(slot, uniform_index(g, 200), 1);
        there[slot] = true;
        ++size;
      } else if (uniform_index(g, 4) == 0) {
        p->forget(slot);
        there[slot] = false;
        --size;
      } else {
        p->use(slot);
      }
    }
    for (; size > 0; --size) {
      const std::uint32_t victim = p->evict();
      ASSERT_TRUE(there.at(victim));
      there[victim] = false;
    }
  }
}

}  // namespace
}  // namespace isthmus::schedulers
