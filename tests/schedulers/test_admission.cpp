// Rules of admission on views by hand: exact dates, laws and limits.
#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <map>
#include <string>

#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"

namespace isthmus::schedulers {
namespace {

std::shared_ptr<AdmissionPolicy> policy(const char* name, const std::map<std::string, double>& set = {},
                                        const std::map<std::string, std::string>& texts = {}) {
  const auto& entry = find_entry(admission_policies(), name);
  Parameters p(entry.parameters);
  for (const auto& [key, value] : set) p.set(key, value);
  for (const auto& [key, value] : texts) p.set(key, value);
  return entry.make(p);
}

AdmissionDecision ask(AdmissionPolicy& p, std::int64_t ms, double tokens = 0) {
  AdmissionView v;
  v.now = Instant(ms * 1'000'000);
  v.tokens = tokens;
  v.running = 1;
  return p.decide(v);
}

TEST(Admission, TokenBucketGivesExactDates) {
  const auto p = policy("token-bucket", {{"rate", 4}, {"burst", 2}});
  EXPECT_TRUE(ask(*p, 0).admitted);
  EXPECT_TRUE(ask(*p, 0).admitted);
  const AdmissionDecision early = ask(*p, 0);
  EXPECT_FALSE(early.admitted);
  EXPECT_EQ(early.at, Instant(250'000'000));  // one token takes 1/4 s
  EXPECT_FALSE(ask(*p, 249).admitted);
  EXPECT_TRUE(ask(*p, 250).admitted);
  EXPECT_FALSE(ask(*p, 250).admitted);
  // Full again after 1/2 s, and not fuller.
  EXPECT_TRUE(ask(*p, 10'000).admitted);
  EXPECT_TRUE(ask(*p, 10'000).admitted);
  EXPECT_FALSE(ask(*p, 10'000).admitted);
}

TEST(Admission, TokenBucketPacesThoseWhoMayWait) {
  const auto p = policy("token-bucket", {{"rate", 10}, {"burst", 1}, {"max_wait", 0.25}});
  EXPECT_EQ(ask(*p, 0).at, Instant(0));
  EXPECT_EQ(ask(*p, 0).at, Instant(100'000'000));
  EXPECT_EQ(ask(*p, 0).at, Instant(200'000'000));
  const AdmissionDecision late = ask(*p, 0);
  EXPECT_FALSE(late.admitted);
  EXPECT_EQ(late.at, Instant(300'000'000));
  EXPECT_EQ(ask(*p, 150).at, Instant(300'000'000));  // the one turned away took nothing
}

TEST(Admission, TokenBucketCountsTokens) {
  const auto p = policy("token-bucket", {{"rate", 1000}, {"burst", 500}}, {{"unit", "tokens"}});
  EXPECT_TRUE(ask(*p, 0, 400).admitted);
  EXPECT_EQ(ask(*p, 0, 300).at, Instant(200'000'000));
  EXPECT_TRUE(ask(*p, 200, 300).admitted);
  EXPECT_TRUE(ask(*p, 100'000, 501).at.is_never());  // larger than the bucket: never
}

// In no window of any length t more than burst + rate t.
TEST(Admission, TokenBucketNeverAdmitsMore) {
  for (const double rate : {3.0, 7.3, 1e5}) {
    for (const double burst : {1.0, 5.0}) {
      const auto p = policy("token-bucket", {{"rate", rate}, {"burst", burst}, {"max_wait", 0.5 / rate}});
      Rng g = StreamKey(1, "bucket").sequence();
      std::vector<double> at;
      double t = 0;
      std::uint64_t asked = 0;
      for (; asked < 5000; ++asked) {
        t += -std::log(1 - uniform01(g)) / (1.5 * rate);
        AdmissionView v;
        v.now = Instant::from_seconds(t);
        const AdmissionDecision d = p->decide(v);
        if (d.admitted) at.push_back(d.at.seconds());
        else {
          ASSERT_GT(d.at, v.now);
        }
      }
      for (std::size_t i = 0; i < at.size(); ++i)
        for (std::size_t j = i; j < std::min(at.size(), i + 60); ++j)
          ASSERT_LE(static_cast<double>(j - i + 1), burst + rate * (at[j] - at[i]) + 1e-6);
      EXPECT_GT(static_cast<double>(at.size()), 0.7 * rate * t);  // nor much less, for arrivals by chance
    }
  }
}

TEST(Admission, ConcurrencyCountsThoseInside) {
  const auto p = policy("concurrency", {{"limit", 2}});
  EXPECT_TRUE(ask(*p, 0).admitted);
  EXPECT_TRUE(ask(*p, 0).admitted);
  EXPECT_FALSE(ask(*p, 1).admitted);
  p->ended({Instant(2), Duration(1), 2, false});
  EXPECT_TRUE(ask(*p, 3).admitted);
  EXPECT_FALSE(ask(*p, 4).admitted);
}

TEST(Admission, FixedWindowsBeginAtMultiples) {
  const auto p = policy("quota", {{"amount", 2}, {"window", 10}});
  EXPECT_TRUE(ask(*p, 9'000).admitted);
  EXPECT_TRUE(ask(*p, 9'500).admitted);
  const AdmissionDecision d = ask(*p, 9'999);
  EXPECT_FALSE(d.admitted);
  EXPECT_EQ(d.at, Instant(10'000'000'000));
  EXPECT_TRUE(ask(*p, 10'000).admitted);  // four within a second: what fixed windows let happen
  EXPECT_TRUE(ask(*p, 10'000).admitted);
  EXPECT_EQ(ask(*p, 10'001).at, Instant(20'000'000'000));
}

TEST(Admission, SlidingWindowsLookBack) {
  const auto p = policy("quota", {{"amount", 2}, {"window", 10}}, {{"kind", "sliding"}});
  EXPECT_TRUE(ask(*p, 9'000).admitted);
  EXPECT_TRUE(ask(*p, 9'500).admitted);
  EXPECT_EQ(ask(*p, 10'000).at, Instant(19'000'000'000));
  EXPECT_FALSE(ask(*p, 18'999).admitted);
  EXPECT_TRUE(ask(*p, 19'000).admitted);
  EXPECT_EQ(ask(*p, 19'001).at, Instant(19'500'000'000));
}

TEST(Admission, QuotasHoldBackWithinTheirPatience) {
  const auto fixed = policy("quota", {{"amount", 1}, {"window", 10}, {"max_wait", 25}});
  EXPECT_EQ(ask(*fixed, 5'000).at, Instant(5'000'000'000));
  EXPECT_EQ(ask(*fixed, 5'000).at, Instant(10'000'000'000));
  EXPECT_EQ(ask(*fixed, 5'000).at, Instant(20'000'000'000));
  EXPECT_EQ(ask(*fixed, 5'000).at, Instant(30'000'000'000));
  EXPECT_FALSE(ask(*fixed, 5'000).admitted);
  const auto sliding = policy("quota", {{"amount", 1}, {"window", 10}, {"max_wait", 25}}, {{"kind", "sliding"}});
  EXPECT_EQ(ask(*sliding, 5'000).at, Instant(5'000'000'000));
  EXPECT_EQ(ask(*sliding, 5'000).at, Instant(15'000'000'000));
  EXPECT_EQ(ask(*sliding, 6'000).at, Instant(25'000'000'000));
  EXPECT_FALSE(ask(*sliding, 6'000).admitted);
}

// No window of that length, wherever it begins, has more than the amount.
TEST(Admission, SlidingQuotaHoldsInEveryWindow) {
  for (const double wait : {0.0, 3.0}) {
    const auto p = policy("quota", {{"amount", 40}, {"window", 2}, {"max_wait", wait}},
                          {{"kind", "sliding"}, {"unit", "tokens"}});
    Rng g = StreamKey(2, "quota").sequence();
    std::deque<std::pair<double, double>> inside;
    double t = 0, sum = 0, all = 0;
    for (int i = 0; i < 20000; ++i) {
      t += 0.1 * uniform01(g);
      AdmissionView v;
      v.now = Instant::from_seconds(t);
      v.tokens = 1 + static_cast<double>(uniform_index(g, 10));
      const AdmissionDecision d = p->decide(v);
      if (!d.admitted) continue;
      const double at = d.at.seconds();
      while (!inside.empty() && inside.front().first <= at - 2 + 1e-9) {
        sum -= inside.front().second;
        inside.pop_front();
      }
      inside.emplace_back(at, v.tokens);
      sum += v.tokens;
      all += v.tokens;
      ASSERT_LE(sum, 40);
    }
    EXPECT_GT(all, 0.7 * 20 * t);
  }
}

// The figures of AIMDLimit: int(limit * 0.9), at least one less; one more if half of it is used.
TEST(Admission, AimdFollowsItsRule) {
  const auto p = policy("aimd", {{"initial_limit", 10}, {"timeout", 1}});
  const auto fill = [&] {
    int n = 0;
    while (ask(*p, 0).admitted) ++n;
    return n;
  };
  EXPECT_EQ(fill(), 10);
  p->ended({Instant(1), Duration::from_seconds(0.5), 5, true});   // 2 x 5 >= 10: 11
  EXPECT_EQ(fill(), 2);
  p->ended({Instant(2), Duration::from_seconds(0.5), 5, true});   // 2 x 5 < 11: stays
  EXPECT_EQ(fill(), 1);
  p->ended({Instant(3), Duration::from_seconds(1.5), 11, true});  // late: int(9.9) = 9
  EXPECT_EQ(fill(), 0);
  p->ended({Instant(4), Duration::from_seconds(0.1), 1, false});  // failed: int(8.1) = 8
  EXPECT_EQ(fill(), 0);
  p->ended({Instant(5), Duration::from_seconds(0.1), 1, true});   // 8 inside, limit 8
  EXPECT_EQ(fill(), 0);
  p->ended({Instant(6), Duration::from_seconds(0.1), 1, true});
  EXPECT_EQ(fill(), 1);
}

TEST(Admission, GradientShrinksWithLatencyAndComesBack) {
  const auto p = policy("gradient", {{"initial_limit", 100}, {"min_limit", 1}, {"max_limit", 1000}, {"queue", 4}});
  const auto fill = [&] {
    int n = 0;
    while (ask(*p, 0).admitted) ++n;
    return n;
  };
  EXPECT_EQ(fill(), 100);
  // Constant latency: the gradient is 1 and the limit grows by 0.2 x 4 per answer.
  for (int i = 0; i < 10; ++i) p->ended({Instant(i), Duration(1'000'000), 100, true});
  EXPECT_EQ(fill(), 18);  // 100 + 8, 90 inside
  // Five times as long: the gradient is at its floor of 0.5, each takes 10 % and gives 0.8.
  p->ended({Instant(20), Duration(100'000'000), 100, true});
  EXPECT_EQ(fill(), 0);   // 108 x 0.9 + 0.8 = 98, 107 inside
  int inside = 107;
  double limit = 98;
  for (int i = 0; i < 5; ++i, --inside) {
    p->ended({Instant(30), Duration(100'000'000), 100, true});
    limit = limit * 0.9 + 0.8;
  }
  EXPECT_EQ(fill(), 0);
  for (; inside > 0; --inside) p->ended({Instant(40), Duration(100'000'000), 0, true});  // far from the limit: it stays
  EXPECT_EQ(fill(), static_cast<int>(limit));
}

// Drops at t, t + i, t + i + i / sqrt 2, ...: the control law of RFC 8289, section 5.3.
TEST(Admission, CoDelFollowsItsControlLaw) {
  const auto p = policy("codel", {{"target", 0.005}, {"interval", 0.1}});
  const auto start = [&](std::int64_t ms, std::int64_t waited_ms) {
    p->started(Instant(ms * 1'000'000), Duration(waited_ms * 1'000'000));
  };
  start(0, 6);
  start(99, 6);
  EXPECT_TRUE(ask(*p, 99).admitted);
  start(100, 6);  // above the target for an interval
  std::vector<std::int64_t> drops;
  for (std::int64_t ms = 100; ms < 500; ++ms) {
    start(ms, 6);
    if (!ask(*p, ms).admitted) drops.push_back(ms);
  }
  double next = 100;
  for (std::size_t i = 0; i < drops.size(); ++i) {
    EXPECT_EQ(drops[i], static_cast<std::int64_t>(std::ceil(next - 1e-6))) << i;
    next += 100 / std::sqrt(static_cast<double>(i + 1));
  }
  EXPECT_EQ(drops.size(), 7U);
  start(500, 4);  // a short wait ends it
  EXPECT_TRUE(ask(*p, 501).admitted);
  // Soon after, the rate goes on from where it was: by one less than it had dropped.
  start(510, 6);
  start(610, 6);
  drops.clear();
  for (std::int64_t ms = 610; ms < 720; ++ms)
    if (!ask(*p, ms).admitted) drops.push_back(ms);
  ASSERT_GE(drops.size(), 3U);
  EXPECT_EQ(drops[0], 610);
  EXPECT_EQ(drops[1], static_cast<std::int64_t>(std::ceil(610 + 100 / std::sqrt(6.0))));
}

TEST(Admission, CoDelSparesTheImportant) {
  const auto p = policy("codel", {{"target", 0.005}, {"interval", 0.1}, {"spare_priority", 5}});
  p->started(Instant(0), Duration(6'000'000));
  p->started(Instant(100'000'000), Duration(6'000'000));
  AdmissionView v;
  v.now = Instant(100'000'000);
  v.running = 1;
  v.priority = 5;
  EXPECT_TRUE(p->decide(v).admitted);
  v.priority = 4;
  EXPECT_FALSE(p->decide(v).admitted);
  v.now += Duration::from_seconds(10);
  v.running = 0;  // idle: nobody waits
  EXPECT_TRUE(p->decide(v).admitted);
}

TEST(Admission, ShedTakesTheLeastImportantFirst) {
  const auto& entry = find_entry(admission_policies(), "shed");
  Parameters parameters(entry.parameters);
  parameters.set("thresholds", std::vector<double>{1, 3});
  const auto p = entry.make(parameters);
  AdmissionView v;
  v.slots = 2;
  const auto admits = [&](std::int32_t priority, double waiting) {
    v.priority = priority;
    v.waiting = waiting;
    v.running = 2;
    return p->decide(v).admitted;
  };
  v.running = 0;
  EXPECT_FALSE(admits(0, 0));  // 2 running on 2 slots
  EXPECT_FALSE(admits(-7, 0));
  EXPECT_TRUE(admits(1, 3));
  EXPECT_FALSE(admits(1, 4));
  EXPECT_FALSE(admits(1000, 4));
  parameters.set("thresholds", std::vector<double>{3, 1});
  EXPECT_THROW(entry.make(parameters), InputError);
}

TEST(Admission, DeadlineCountsTheQueue) {
  const auto p = policy("deadline");
  EXPECT_TRUE(p->wants_estimates());
  AdmissionView v;
  v.service = Duration::from_seconds(1);
  EXPECT_TRUE(p->decide(v).admitted);  // no deadline
  v.deadline = Instant(3'000'000'000);
  v.slots = 2;
  v.running = 2;
  v.waiting = 3;  // (3 + 1) / 2 rounds, then its own second
  EXPECT_TRUE(p->decide(v).admitted);
  v.waiting = 4;
  EXPECT_FALSE(p->decide(v).admitted);
  v.running = 1;  // a slot is free
  EXPECT_TRUE(p->decide(v).admitted);
}

// Any view: dates are never in the past, and refusals name a later date or none.
TEST(Admission, DecisionsAreValidOnRandomViews) {
  for (const auto& e : admission_policies()) {
    SCOPED_TRACE(e.name);
    const auto p = e.make(Parameters(e.parameters));
    Rng g = StreamKey(7, e.name).sequence();
    AdmissionView v;
    std::vector<std::uint32_t> inside;
    for (int i = 0; i < 10'000; ++i) {
      v.now += Duration(static_cast<std::int64_t>(uniform_index(g, 3) * uniform_index(g, 1'000'000'000)));
      v.tokens = static_cast<double>(uniform_index(g, 20));
      v.priority = static_cast<std::int32_t>(uniform_index(g, 9)) - 4;
      v.waiting = static_cast<double>(uniform_index(g, 50));
      v.running = static_cast<double>(uniform_index(g, 4));
      v.slots = static_cast<double>(uniform_index(g, 4));
      v.service = Duration(static_cast<std::int64_t>(uniform_index(g, 1'000'000'000)));
      v.deadline = uniform_index(g, 2) == 0 ? Instant::never() : v.now + Duration(static_cast<std::int64_t>(uniform_index(g, 5'000'000'000)));
      const AdmissionDecision d = p->decide(v);
      ASSERT_FALSE(d.reason.empty());
      if (d.admitted) {
        ASSERT_GE(d.at, v.now);
        ASSERT_FALSE(d.at.is_never());
        inside.push_back(static_cast<std::uint32_t>(inside.size() + 1));
      } else {
        ASSERT_GT(d.at, v.now);
      }
      if (!inside.empty() && uniform_index(g, 2) == 0) {
        p->ended({v.now, Duration(static_cast<std::int64_t>(uniform_index(g, 10'000'000'000))), inside.back(), uniform_index(g, 5) != 0});
        inside.pop_back();
      }
      p->started(v.now, Duration(static_cast<std::int64_t>(uniform_index(g, 20'000'000))));
    }
  }
}

}  // namespace
}  // namespace isthmus::schedulers
