// Load strategies by hand.
#include <gtest/gtest.h>

#include <limits>

#include "devices/model_loading.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::devices {
namespace {

constexpr double GB = 1e9;

LoadPath path() {
  LoadPath p;
  p.storage_bandwidth = 2 * GB;
  p.storage_latency = 0.001;
  p.deserialize = 4 * GB;
  p.copy_bandwidth = 10 * GB;
  p.page_fault = 1e-6;
  return p;
}

LoadPlan plan(LoadStrategy s, double weights = 20 * GB, double room = 0, bool disk = false,
              std::uint32_t accelerators = 1) {
  return plan_loading({s, weights, room, 1 * GB, accelerators, disk}, path());
}

TEST(ModelLoading, EveryStrategyByHand) {
  const LoadPlan eager = plan(LoadStrategy::eager);
  EXPECT_NEAR(eager.ready, 0.001 + 10 + 5 + 2, 1e-9);
  EXPECT_EQ(eager.host_peak, 40 * GB);
  EXPECT_EQ(eager.first_use, 0);

  const LoadPlan lazy = plan(LoadStrategy::lazy);
  EXPECT_NEAR(lazy.ready, 0.001, 1e-12);
  EXPECT_NEAR(lazy.first_use, 20 * 0.001 + 17, 1e-9);
  EXPECT_EQ(lazy.host_peak, 2 * GB);

  const LoadPlan mapped = plan(LoadStrategy::mmap);
  EXPECT_NEAR(mapped.first_use, 20 * GB / 65536 * 1e-6 + 10 + 2, 1e-9);
  EXPECT_EQ(mapped.host_peak, 0);
  EXPECT_EQ(mapped.page_cache, 20 * GB);

  // Copies hide behind reading and building.
  const LoadPlan sharded = plan(LoadStrategy::sharded);
  EXPECT_NEAR(sharded.ready, 20 * 0.001 + 20 * 0.75 + 0.1, 1e-9);
  EXPECT_EQ(sharded.host_peak, 3 * GB);

  const LoadPlan balanced = plan(LoadStrategy::balanced, 20 * GB, 0, false, 3);
  EXPECT_EQ(balanced.device_peak, 7 * GB);  // 20 shards: 7, 7, 6

  const LoadPlan offload = plan(LoadStrategy::offload, 20 * GB, 15 * GB);
  EXPECT_NEAR(offload.ready, 0.001 + 15 + 1.5, 1e-9);
  EXPECT_NEAR(offload.every_use, 0.5, 1e-12);
  EXPECT_EQ(offload.resident, 15 * GB);
  EXPECT_NEAR(plan(LoadStrategy::offload, 20 * GB, 15 * GB, true).every_use, 0.5 + 2.5, 1e-12);
  EXPECT_EQ(plan(LoadStrategy::offload, 10 * GB, 15 * GB).every_use, 0);  // it fits
}

TEST(ModelLoading, OneMemoryIsNotCopied) {
  LoadPath p = path();
  p.copy_bandwidth = std::numeric_limits<double>::infinity();
  EXPECT_NEAR(plan_loading({LoadStrategy::eager, 2 * GB, 0, GB, 1, false}, p).ready, 0.001 + 1.5,
              1e-9);
}

TEST(ModelLoading, ImpossibleFiguresAreRefused) {
  LoadPath p = path();
  p.storage_bandwidth = 0;
  EXPECT_THROW(plan_loading({LoadStrategy::eager, GB, 0, GB, 1, false}, p), InputError);
  EXPECT_THROW(plan_loading({LoadStrategy::sharded, GB, 0, 0, 1, false}, path()), InputError);
  EXPECT_THROW(load_strategy_from("eagre"), InputError);
  EXPECT_EQ(load_strategy_from("mmap"), LoadStrategy::mmap);
}

}  // namespace
}  // namespace isthmus::devices
