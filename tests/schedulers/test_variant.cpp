// Variant policies on views by hand.
#include <gtest/gtest.h>

#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {
namespace {

const std::vector<VariantOption> options{{"fp32", Duration(100'000'000), 1.0, 0.80, 100},
                                         {"int8", Duration(40'000'000), 0.3, 0.79, 25},
                                         {"tiny", Duration(10'000'000), 0.1, 0.70, 5}};

std::shared_ptr<VariantPolicy> policy(const char* name,
                                      const std::map<std::string, double>& set = {}) {
  const auto& entry = find_entry(variant_policies(), name);
  Parameters p(entry.parameters);
  for (const auto& [key, value] : set) p.set(key, value);
  return entry.make(p);
}

std::size_t choose(VariantPolicy& p, double left_ms = 1e9, std::uint32_t waiting = 0) {
  VariantView v;
  v.now = Instant(1'000'000'000);
  v.deadline =
      left_ms < 1e8 ? v.now + Duration(static_cast<std::int64_t>(left_ms * 1e6)) : Instant::never();
  v.waiting = waiting;
  v.options = options;
  return p.choose(v).option;
}

TEST(Variants, SimpleRules) {
  EXPECT_EQ(choose(*policy("fixed")), 0U);
  EXPECT_EQ(choose(*policy("most-accurate")), 0U);
  EXPECT_EQ(choose(*policy("fastest")), 2U);
  EXPECT_EQ(choose(*policy("energy")), 2U);
  EXPECT_EQ(choose(*policy("energy", {{"accuracy_floor", 0.75}})), 1U);
  EXPECT_EQ(choose(*policy("energy", {{"accuracy_floor", 0.95}})), 0U);
  const auto& entry = find_entry(variant_policies(), "fixed");
  Parameters p(entry.parameters);
  p.set("variant", std::string("int8"));
  EXPECT_EQ(choose(*entry.make(p)), 1U);
  p.set("variant", std::string("int4"));
  EXPECT_THROW(choose(*entry.make(p)), InputError);
}

TEST(Variants, DeadlineTakesTheMostAccurateInTime) {
  const auto p = policy("deadline", {{"margin", 0}});
  EXPECT_EQ(choose(*p), 0U);
  EXPECT_EQ(choose(*p, 100), 0U);
  EXPECT_EQ(choose(*p, 99), 1U);
  EXPECT_EQ(choose(*p, 39), 2U);
  EXPECT_EQ(choose(*p, 1), 2U);  // nothing is in time: the fastest
}

TEST(Variants, LoadAdaptiveStepsDownAndRelaxes) {
  const auto p = policy("load-adaptive", {{"queue", 4}, {"relax", 1}});
  EXPECT_EQ(choose(*p, 1e9, 0), 0U);
  EXPECT_EQ(choose(*p, 1e9, 4), 1U);
  EXPECT_EQ(choose(*p, 1e9, 2), 1U);  // hysteresis
  EXPECT_EQ(choose(*p, 1e9, 9), 2U);
  EXPECT_EQ(choose(*p, 1e9, 100), 2U);
  EXPECT_EQ(choose(*p, 1e9, 1), 0U);
}

TEST(Variants, WeightsTradeAccuracyForTime) {
  EXPECT_EQ(choose(*policy("weighted", {{"latency", 0}, {"energy", 0}})), 0U);
  EXPECT_EQ(choose(*policy("weighted", {{"latency", 0.1}, {"energy", 0}})), 1U);
  EXPECT_EQ(choose(*policy("weighted", {{"latency", 10}})), 2U);
}

TEST(Variants, AlertsDegradeToTheFastestAboveTheFloor) {
  const auto ask = [](VariantPolicy& p, std::uint32_t alerts) {
    VariantView v;
    v.alerts = alerts;
    v.options = options;
    return p.choose(v).option;
  };
  EXPECT_EQ(ask(*policy("alert-degrade"), 0), 0U);
  EXPECT_EQ(ask(*policy("alert-degrade"), 1), 2U);
  EXPECT_EQ(ask(*policy("alert-degrade", {{"accuracy_floor", 0.75}}), 2), 1U);
  EXPECT_EQ(ask(*policy("alert-degrade", {{"accuracy_floor", 0.95}}), 2), 0U);
}

TEST(Variants, ClassesDegradeOverTheLimitOnly) {
  const auto ask = [](VariantPolicy& p, std::uint32_t waiting, std::int32_t priority, bool over_quota) {
    VariantView v;
    v.waiting = waiting;
    v.slots = 2;
    v.priority = priority;
    v.over_quota = over_quota;
    v.options = options;
    return p.choose(v).option;
  };
  const auto p = policy("class-degrade", {{"queue", 4}, {"keep_priority", 2}, {"accuracy_floor", 0.75}});
  EXPECT_EQ(ask(*p, 7, 0, true), 0U);   // 3.5 per slot: within the limit
  EXPECT_EQ(ask(*p, 8, 0, false), 1U);  // low class; tiny is not accurate enough
  EXPECT_EQ(ask(*p, 8, 1, false), 1U);
  EXPECT_EQ(ask(*p, 8, 2, false), 0U);  // high class
  EXPECT_EQ(ask(*p, 8, 2, true), 1U);   // but over its quota
  // By the estimated wait: 0.1 s for each full answer that waits per slot.
  const auto wait = policy("class-degrade", {{"queue", 0}, {"wait", 0.5}});
  EXPECT_EQ(ask(*wait, 9, 0, false), 0U);
  EXPECT_EQ(ask(*wait, 10, 0, false), 2U);
  EXPECT_EQ(ask(*wait, 10, 1, false), 0U);
  // Quotas that count always.
  const auto& entry = find_entry(variant_policies(), "class-degrade");
  Parameters always(entry.parameters);
  always.set("over_quota", std::string("always"));
  EXPECT_EQ(ask(*entry.make(always), 0, 5, true), 2U);
  EXPECT_EQ(ask(*entry.make(always), 0, 0, false), 0U);
  // Nothing is faster and accurate enough: the full one.
  EXPECT_EQ(ask(*policy("class-degrade", {{"accuracy_floor", 0.9}}), 100, 0, false), 0U);
}

}  // namespace
}  // namespace isthmus::schedulers
