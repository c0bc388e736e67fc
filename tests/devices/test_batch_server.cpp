#include "devices/batch_server.hpp"

#include <gtest/gtest.h>

#include "devices/power_meter.hpp"
#include "devices/unit_power.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::devices {
namespace {

std::shared_ptr<schedulers::BatchingPolicy> policy(const char* name, double max_batch, double delay = 0) {
  const auto& entry = schedulers::find_entry(schedulers::batching_policies(), name);
  schedulers::Parameters p(entry.parameters);
  p.set("max_batch", max_batch);
  if (delay > 0) p.set("max_queue_delay", delay);
  return entry.make(p);
}

TEST(BatchServer, ServesOneByOneWithoutAPolicy) {
  BatchServer s(2, 1, nullptr);
  EXPECT_TRUE(s.enqueue(1, Instant(0)));
  std::vector<std::uint64_t> batch;
  EXPECT_TRUE(s.form_batch(Instant(0), batch).is_never());
  EXPECT_EQ(batch, std::vector<std::uint64_t>{1});
  EXPECT_TRUE(s.enqueue(2, Instant(1)));
  s.form_batch(Instant(1), batch);
  // Both slots are taken: one may wait, the next is turned away.
  EXPECT_TRUE(s.enqueue(3, Instant(2)));
  EXPECT_FALSE(s.enqueue(4, Instant(2)));
  EXPECT_FALSE(s.can_start());
  s.finish(1);
  EXPECT_TRUE(s.can_start());
  EXPECT_EQ(s.in_service(), 1U);
}

TEST(BatchServer, CapacityZeroMeansNobodyWaits) {
  BatchServer s(1, 0, nullptr);
  EXPECT_TRUE(s.enqueue(1, Instant(0)));
  std::vector<std::uint64_t> batch;
  s.form_batch(Instant(0), batch);
  EXPECT_FALSE(s.enqueue(2, Instant(0)));
}

TEST(BatchServer, WaitsAsLongAsThePolicySays) {
  BatchServer s(1, 100, policy("timeout", 4, 0.010));
  s.enqueue(1, Instant(0));
  s.enqueue(2, Instant(1'000'000));
  std::vector<std::uint64_t> batch;
  EXPECT_EQ(s.form_batch(Instant(1'000'000), batch), Instant(10'000'000));
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(s.busy_slots(), 0U);
  EXPECT_TRUE(s.form_batch(Instant(10'000'000), batch).is_never());
  EXPECT_EQ(batch, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(s.waiting(), 0U);
}

TEST(BatchServer, TakesNoMoreThanTheLargestBatch) {
  BatchServer s(1, 100, policy("greedy", 4));
  for (std::uint64_t tag = 1; tag <= 6; ++tag) s.enqueue(tag, Instant(0));
  std::vector<std::uint64_t> batch;
  s.form_batch(Instant(0), batch);
  EXPECT_EQ(batch, (std::vector<std::uint64_t>{1, 2, 3, 4}));
  EXPECT_EQ(s.waiting(), 2U);
}

TEST(BatchServer, RemovesAndClears) {
  BatchServer s(1, 100, nullptr);
  for (std::uint64_t tag = 1; tag <= 3; ++tag) s.enqueue(tag, Instant(0));
  EXPECT_TRUE(s.remove(2));
  EXPECT_FALSE(s.remove(2));
  std::vector<std::uint64_t> lost;
  s.clear(lost);
  EXPECT_EQ(lost, (std::vector<std::uint64_t>{1, 3}));
  EXPECT_EQ(s.busy_slots(), 0U);
  EXPECT_THROW(BatchServer(0, 1, nullptr), InputError);
}

TEST(PowerMeter, IntegratesPiecewiseConstantPowerExactly) {
  PowerMeter m;
  m.set(Instant(0), Watts(2));
  m.change(Instant(1'000'000'000), Watts(3));
  m.change(Instant(3'000'000'000), Watts(-1));
  EXPECT_DOUBLE_EQ(m.energy(Instant(4'000'000'000)).value(), 2 + 10 + 4);
  m.reset(Instant(4'000'000'000));
  EXPECT_DOUBLE_EQ(m.energy(Instant(6'500'000'000)).value(), 10);
}

TEST(UnitPower, LiesBetweenTheMemoryAndTheComputeFigure) {
  models::ComputeUnit u;
  u.idle_power = 10;
  u.bandwidth_power = 60;
  u.compute_power = 70;
  EXPECT_DOUBLE_EQ(active_power(u, 0).value(), 50);
  EXPECT_DOUBLE_EQ(active_power(u, 1).value(), 60);
  EXPECT_DOUBLE_EQ(active_power(u, 0.5).value(), 55);
  u.bandwidth_power = u.compute_power = 0;  // unknown figures never make energy negative
  EXPECT_DOUBLE_EQ(active_power(u, 0.5).value(), 0);
}

}  // namespace
}  // namespace isthmus::devices
