// Placement: rules that keep replicas off machines, and policies against textbook and exhaustive packings.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "schedulers/placement_rules.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"

namespace isthmus::schedulers {
namespace {

std::size_t choose(const std::string& name, const PlacementDemand& d, const std::vector<PlacementSite>& sites,
                   double uniform = 0.5) {
  const auto& entry = find_entry(placement_policies(), name);
  return entry.make(Parameters(entry.parameters))->place({d, sites, uniform});
}

// Packs items of given sizes into bins of `capacity` units, opening one when none has room; the bin of each.
std::vector<std::size_t> pack(const std::string& name, double capacity, const std::vector<double>& items) {
  std::vector<double> free;
  std::vector<std::size_t> bins;
  for (const double item : items) {
    std::vector<PlacementSite> sites;
    std::vector<std::size_t> of;
    for (std::size_t b = 0; b < free.size(); ++b)
      if (free[b] >= item) {
        sites.push_back({.node = static_cast<std::uint32_t>(b), .accelerators = capacity, .free_accelerators = free[b]});
        of.push_back(b);
      }
    if (sites.empty()) {
      of.push_back(free.size());
      free.push_back(capacity);
    } else {
      const std::size_t chosen = of.at(choose(name, {item, 0}, sites));
      of = {chosen};
    }
    free[of[0]] -= item;
    bins.push_back(of[0]);
  }
  return bins;
}

std::size_t bins_of(const std::vector<std::size_t>& bins) {
  return bins.empty() ? 0 : *std::max_element(bins.begin(), bins.end()) + 1;
}

TEST(Placement, PacksTextbookItems) {
  // Items 4, 8, 1, 4, 2, 1 into bins of 10: first fit and best fit as drawn in textbooks on bin packing.
  const std::vector<double> items{4, 8, 1, 4, 2, 1};
  EXPECT_EQ(pack("first-fit", 10, items), (std::vector<std::size_t>{0, 1, 0, 0, 1, 0}));
  EXPECT_EQ(pack("best-fit", 10, items), (std::vector<std::size_t>{0, 1, 1, 0, 0, 1}));
  // 2, 5, 4, 7, 1, 3, 8: worst fit goes to the emptiest open bin.
  EXPECT_EQ(pack("worst-fit", 10, {2, 5, 4, 7, 1, 3, 8}), (std::vector<std::size_t>{0, 0, 1, 2, 1, 1, 3}));
  // 6, 7, 3, 4: best fit fills both bins, worst fit spoils the room for the 4.
  EXPECT_EQ(bins_of(pack("best-fit", 10, {6, 7, 3, 4})), 2U);
  EXPECT_EQ(bins_of(pack("worst-fit", 10, {6, 7, 3, 4})), 3U);
}

// Fewest bins, by trying everything.
std::size_t optimal(double capacity, const std::vector<double>& items) {
  std::size_t best = items.size();
  std::vector<double> free;
  const std::function<void(std::size_t)> go = [&](std::size_t i) {
    if (free.size() >= best && i < items.size()) return;
    if (i == items.size()) {
      best = std::min(best, free.size());
      return;
    }
    for (std::size_t b = 0; b < free.size(); ++b)
      if (free[b] >= items[i]) {
        free[b] -= items[i];
        go(i + 1);
        free[b] += items[i];
      }
    free.push_back(capacity - items[i]);
    go(i + 1);
    free.pop_back();
  };
  go(0);
  return best;
}

TEST(Placement, StaysWithinTheBoundsOfAnyFit) {
  // First fit and best fit need at most floor(1.7 OPT) bins (Dosa and Sgall 2013, 2014); most-allocated is best fit
  // for bins of one size.
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Rng g(seed);
    std::vector<double> items(2 + uniform_index(g, 8));
    for (double& x : items) x = 1 + static_cast<double>(uniform_index(g, 8));
    const std::size_t least = optimal(8, items);
    for (const char* name : {"first-fit", "best-fit", "most-allocated"}) {
      const std::size_t used = bins_of(pack(name, 8, items));
      EXPECT_GE(used, least);
      EXPECT_LE(used, static_cast<std::size_t>(1.7 * static_cast<double>(least))) << name << " seed " << seed;
    }
    EXPECT_EQ(pack("best-fit", 8, items), pack("most-allocated", 8, items));
  }
}

TEST(Placement, EachPolicyHasItsOwnChoice) {
  const PlacementDemand d{1, 10};
  const std::vector<PlacementSite> sites{
      {.node = 0, .accelerators = 8, .free_accelerators = 4, .memory = 100, .free_memory = 20, .price = 4,
       .replica_price = 0.5, .replicas = 4, .own = 2},
      {.node = 1, .accelerators = 8, .free_accelerators = 2, .memory = 100, .free_memory = 90, .price = 3,
       .replica_price = 0.4, .replicas = 2, .own = 1},
      {.node = 2, .accelerators = 4, .free_accelerators = 4, .memory = 100, .free_memory = 100, .price = 1,
       .replica_price = 0.25, .replicas = 0, .own = 0},
      {.node = 3, .accelerators = 8, .free_accelerators = 7, .memory = 100, .free_memory = 50, .price = 2,
       .replica_price = 0.3, .replicas = 1, .own = 1}};
  EXPECT_EQ(choose("first-fit", d, sites), 0U);
  EXPECT_EQ(choose("best-fit", d, sites), 1U);
  EXPECT_EQ(choose("worst-fit", d, sites), 3U);
  EXPECT_EQ(choose("spread", d, sites), 2U);
  // Shares with the replica, (accelerators + memory) / 2: 0.7625, 0.5375, 0.175, 0.425.
  EXPECT_EQ(choose("most-allocated", d, sites), 0U);
  EXPECT_EQ(choose("least-allocated", d, sites), 2U);
  // The scarcest: 0.9, 0.875, 0.25, 0.6.
  EXPECT_EQ(choose("dominant-resource", d, sites), 2U);
  EXPECT_EQ(choose("dominant-resource", d, {sites[0], sites[1], sites[3]}), 2U);
  EXPECT_EQ(choose("least-cost", d, sites), 3U) << "in use already, and its share is the cheapest";
  EXPECT_EQ(choose("random", d, sites, 0.01), 0U);
  EXPECT_EQ(choose("random", d, sites, 0.99), 3U);
}

TEST(Placement, TolerationsTable) {
  struct Row {
    const char *toleration, *taint;
    bool tolerated;
  };
  for (const Row& r : {Row{"gpu", "gpu", true}, Row{"gpu", "gpu=a100", true}, Row{"gpu=a100", "gpu=a100", true},
                       Row{"gpu=a100", "gpu=t4", false}, Row{"gpu=a100", "gpu", false}, Row{"*", "gpu=t4", true},
                       Row{"disk", "gpu", false}, Row{"gpu", "gpu=a100:NoExecute", true},
                       Row{"gpu=t4", "gpu=a100:NoSchedule", false}})
    EXPECT_EQ(tolerates(parse_toleration(r.toleration), parse_taint(r.taint)), r.tolerated)
        << r.toleration << " on " << r.taint;
  const std::vector<Taint> taints{parse_taint("a"), parse_taint("b=1:PreferNoSchedule")};
  EXPECT_FALSE(tolerates_all({}, taints));
  EXPECT_TRUE(tolerates_all(std::vector{parse_toleration("a")}, taints)) << "a soft taint keeps nobody off";
  EXPECT_EQ(untolerated_soft(std::vector{parse_toleration("a")}, taints), 1U);
  EXPECT_EQ(untolerated_soft(std::vector{parse_toleration("b")}, taints), 0U);
  for (const char* bad : {"", "=", "a=", "a b", "a=1=2", "a:Never", ":NoSchedule"})
    EXPECT_THROW(parse_taint(bad), InputError) << bad;
  for (const char* bad : {"", "=x", "a=", "a:NoSchedule"}) EXPECT_THROW(parse_toleration(bad), InputError) << bad;
}

TEST(Placement, SkewRoomAndReasons) {
  const std::vector<std::uint32_t> domains{2, 1, 3};
  EXPECT_EQ(skew_with_one_more(domains, 0), 2U);
  EXPECT_EQ(skew_with_one_more(domains, 1), 1U);
  EXPECT_EQ(skew_with_one_more(domains, 2), 3U);
  EXPECT_EQ(skew_with_one_more(std::vector<std::uint32_t>{5}, 0), 1U) << "one domain is never skewed";
  EXPECT_THROW(skew_with_one_more(domains, 3), InternalError);
  EXPECT_EQ(room_for({2, 0}, 7, 0, 100), 3U);
  EXPECT_EQ(room_for({2, 3}, 7, 4, 100), 1U);
  EXPECT_EQ(room_for({0, 0}, 0, 0, 100), 100U);
  EXPECT_EQ(room_for({1, 0}, -1, 0, 100), 0U);
  RefusalCounts counts{};
  counts[static_cast<std::size_t>(Refusal::accelerators)] = 3;
  counts[static_cast<std::size_t>(Refusal::taint)] = 2;
  EXPECT_EQ(explain(counts),
            "0 of 5 machines can take it: 2 with a taint that it does not tolerate, 3 without enough free "
            "accelerators");
}

}  // namespace
}  // namespace isthmus::schedulers
