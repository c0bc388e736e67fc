// The other kinds of registered policies on random views: valid decisions, whoever adds the policy.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "schedulers/registry.hpp"
#include "sim/core/random.hpp"

namespace isthmus::schedulers {
namespace {

constexpr int views_per_policy = 10'000;

std::uint32_t below(Rng& g, std::uint64_t n) { return static_cast<std::uint32_t>(uniform_index(g, n)); }

// Extremes more often than a plain draw would give them.
double skewed(Rng& g, double most) {
  const std::uint32_t kind = below(g, 4);
  return kind == 0 ? 0 : kind == 1 ? most : most * uniform01(g);
}

Instant later(Instant now, Rng& g, double most) { return now + Duration::from_seconds(skewed(g, most)); }

TEST(RegisteredViews, VariantsExist) {
  static constexpr std::string_view names[] = {"a", "b", "c", "d", "e"};
  for (const auto& e : variant_policies()) {
    SCOPED_TRACE(e.name);
    const auto policy = e.make(Parameters(e.parameters));
    Rng g = StreamKey(21, e.name).sequence();
    for (int i = 0; i < views_per_policy; ++i) {
      std::vector<VariantOption> options(1 + below(g, 5));
      for (std::size_t k = 0; k < options.size(); ++k) {
        options[k].name = names[k];
        options[k].service = Duration::from_seconds(skewed(g, 10));
        options[k].energy = skewed(g, 5);
        options[k].accuracy = skewed(g, 1);
        options[k].weight_bytes = skewed(g, 1e9);
      }
      VariantView v;
      v.now = Instant(1'000'000'000LL * i);
      v.created = Instant(v.now.ns() / 2);
      if (below(g, 2) == 0) v.deadline = later(v.created, g, 100);
      v.waiting = below(g, 4) == 0 ? 4'000'000'000U : below(g, 50);
      v.slots = 1 + below(g, 8);
      v.battery = skewed(g, 1);
      v.alerts = below(g, 3);
      v.priority = static_cast<std::int32_t>(below(g, 7)) - 3;
      v.over_quota = below(g, 2) == 0;
      v.options = options;
      const VariantDecision d = policy->choose(v);
      ASSERT_LT(d.option, options.size());
      ASSERT_FALSE(d.reason.empty());
    }
  }
}

TEST(RegisteredViews, AdmissionIsNotInThePast) {
  for (const auto& e : admission_policies()) {
    SCOPED_TRACE(e.name);
    const auto policy = e.make(Parameters(e.parameters));
    Rng g = StreamKey(22, e.name).sequence();
    Instant now;
    std::uint32_t inside = 0;
    for (int i = 0; i < views_per_policy; ++i) {
      now = later(now, g, 0.1);
      AdmissionView v;
      v.now = now;
      v.tokens = skewed(g, 1e5);
      v.priority = static_cast<std::int32_t>(below(g, 7)) - 3;
      if (below(g, 2) == 0) v.deadline = later(now, g, 10);
      v.waiting = below(g, 100);
      v.running = below(g, 10);
      v.slots = 1 + below(g, 10);
      v.service = Duration::from_seconds(skewed(g, 1));
      const AdmissionDecision d = policy->decide(v);
      ASSERT_FALSE(d.reason.empty());
      if (d.admitted) {
        ASSERT_GE(d.at, now);
        ++inside;
      }
      if (below(g, 3) == 0) policy->started(now, Duration::from_seconds(skewed(g, 1)));
      while (inside > 0 && below(g, 2) == 0)
        policy->ended({now, Duration::from_seconds(skewed(g, 5)), inside--, below(g, 4) != 0});
    }
  }
}

TEST(RegisteredViews, PlacementsAreSites) {
  for (const auto& e : placement_policies()) {
    SCOPED_TRACE(e.name);
    const auto policy = e.make(Parameters(e.parameters));
    Rng g = StreamKey(23, e.name).sequence();
    for (int i = 0; i < views_per_policy; ++i) {
      std::vector<PlacementSite> sites(1 + below(g, 12));
      for (std::size_t k = 0; k < sites.size(); ++k) {
        PlacementSite& s = sites[k];
        s.node = static_cast<std::uint32_t>(3 * k);
        s.accelerators = below(g, 9);
        s.free_accelerators = s.accelerators * uniform01(g);
        s.memory = skewed(g, 1e12);
        s.free_memory = s.memory * uniform01(g);
        s.price = skewed(g, 40);
        s.replica_price = s.price * uniform01(g);
        s.replicas = below(g, 5);
        s.own = s.replicas == 0 ? 0 : below(g, s.replicas);
      }
      ASSERT_LT(policy->place({{static_cast<double>(below(g, 4)), skewed(g, 1e11)}, sites, uniform01(g)}), sites.size());
    }
  }
}

TEST(RegisteredViews, ClocksExist) {
  for (const auto& e : governor_policies()) {
    SCOPED_TRACE(e.name);
    const auto policy = e.make(Parameters(e.parameters));
    EXPECT_GE(policy->period(), Duration::zero());
    Rng g = StreamKey(24, e.name).sequence();
    std::vector<double> clocks{0.3, 0.6, 0.9, 1.4, 2.2};
    std::size_t current = 0;
    Instant now;
    for (int i = 0; i < views_per_policy; ++i) {
      GovernorView v;
      v.since = Duration::from_seconds(1e-3 + skewed(g, 1));
      v.now = now = now + v.since;
      v.frequencies = clocks;
      v.current = current;
      v.busy = skewed(g, 1);
      v.busy_now = skewed(g, 1);
      v.pending = skewed(g, 10);
      if (below(g, 2) == 0) v.deadline = later(now, g, 1);
      v.battery = skewed(g, 1);
      current = policy->decide(v);
      ASSERT_LT(current, clocks.size());
    }
  }
}

TEST(RegisteredViews, EvictedModelsAreThere) {
  for (const auto& e : eviction_policies()) {
    SCOPED_TRACE(e.name);
    const auto policy = e.make(Parameters(e.parameters));
    Rng g = StreamKey(25, e.name).sequence();
    Instant now;
    for (int i = 0; i < views_per_policy; ++i) {
      now = later(now, g, 1);
      std::vector<ResidentModel> models(1 + below(g, 6));
      for (std::size_t k = 0; k < models.size(); ++k) {
        ResidentModel& m = models[k];
        m.model = static_cast<std::uint32_t>(k);
        m.bytes = 1 + skewed(g, 1e10);
        m.load = skewed(g, 10);
        m.priority = skewed(g, 3);
        m.loaded = Instant(now.ns() / 2);
        m.last_used = Instant(now.ns() / 2 + now.ns() / 4);
        m.uses = below(g, 100);
      }
      policy->used(models[below(g, models.size())]);
      ASSERT_LT(policy->evict(models, now), models.size());
    }
  }
}

TEST(RegisteredViews, EvictedEntriesAreThere) {
  for (const auto& e : replacement_policies()) {
    SCOPED_TRACE(e.name);
    const auto policy = e.make(Parameters(e.parameters));
    policy->begin(50);
    Rng g = StreamKey(26, e.name).sequence();
    std::set<std::uint32_t> there;
    for (int i = 0; i < views_per_policy; ++i) {
      const std::uint32_t what = below(g, 4);
      if (there.size() >= 50 || (what == 0 && !there.empty())) {
        ASSERT_EQ(there.erase(policy->evict()), 1U);
      } else if (what == 1 && !there.empty()) {
        policy->use(*there.begin());
      } else if (what == 2 && !there.empty()) {
        policy->forget(*there.rbegin());
        there.erase(std::prev(there.end()));
      } else {
        std::uint32_t slot = below(g, 64);
        while (there.contains(slot)) slot = (slot + 1) % 64;
        policy->admit(slot, below(g, 1000), 1);
        there.insert(slot);
      }
    }
    while (!there.empty()) ASSERT_EQ(there.erase(policy->evict()), 1U);
  }
}

TEST(RegisteredViews, PartitionersStayWithinTheirTiers) {
  for (const auto& e : partitioners()) {
    SCOPED_TRACE(e.name);
    const auto policy = e.make(Parameters(e.parameters));
    Rng g = StreamKey(27, e.name).sequence();
    for (int i = 0; i < 500; ++i) {
      PartitionProblem p;
      p.tasks = 2 + below(g, 8);
      p.seconds = {0, 0};
      p.output_bytes = {skewed(g, 1e6)};
      for (std::uint32_t t = 1; t < p.tasks; ++t) {
        p.seconds.insert(p.seconds.end(), {skewed(g, 1), skewed(g, 0.1)});
        p.output_bytes.push_back(skewed(g, 1e6));
        p.edges.emplace_back(t - 1, t);
      }
      p.pinned.assign(p.tasks, -1);
      p.pinned[0] = 0;
      p.bandwidth = {1 + skewed(g, 1e8)};
      p.latency = {skewed(g, 0.1)};
      const Partition best = policy->partition(p);
      ASSERT_EQ(best.tier.size(), p.tasks);
      ASSERT_EQ(best.tier[0], 0U);
      for (const std::uint32_t tier : best.tier) ASSERT_LE(tier, 1U);
      EXPECT_NEAR(evaluate(p, best.tier).latency, best.latency, 1e-9 * (1 + best.latency));
      const auto there = std::count(best.tier.begin() + 1, best.tier.end(), 1U);
      if (e.name == "client-only") {
        EXPECT_EQ(there, 0);
      }
      if (e.name == "remote-only") {
        EXPECT_EQ(there, p.tasks - 1);
      }
    }
  }
}

TEST(RegisteredViews, FixedGovernorsStay) {
  const std::vector<double> clocks{0.5, 1, 2};
  GovernorView v;
  v.frequencies = clocks;
  v.busy = v.busy_now = 1;
  v.pending = 100;
  const auto decide = [&](const char* name) {
    const auto& e = find_entry(governor_policies(), name);
    return e.make(Parameters(e.parameters))->decide(v);
  };
  EXPECT_EQ(decide("powersave"), 0U);
  EXPECT_EQ(decide("performance"), 2U);
}

}  // namespace
}  // namespace isthmus::schedulers
