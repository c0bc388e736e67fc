#include <gtest/gtest.h>

#include "tests/sim/world/small_worlds.hpp"

namespace isthmus::world {
namespace {

using testing::queue_scenario;

Distribution exponential(double mean) {
  Distribution d;
  d.kind = DistributionKind::exponential;
  d.a = mean;
  return d;
}

// M/M/1 at load 0.5: W = 2, Wq = 1, L = 1 (Kleinrock, Queueing Systems 1, ch. 3).
TEST(World, MM1) {
  const auto r = run(queue_scenario(exponential(1.0), 0.5, 1e6), {});
  EXPECT_NEAR(r.value("latency.mean"), 2.0, 0.04);
  EXPECT_NEAR(r.value("latency.p99"), 9.2103, 0.4);
  EXPECT_NEAR(r.services[0].utilization, 0.5, 0.005);
  EXPECT_NEAR(r.services[0].mean_in_system, 1.0, 0.03);
  EXPECT_EQ(r.created, r.completed + r.in_flight);
}

// M/M/2 at load 0.8: W = 2.7778 (Erlang C).
TEST(World, MM2) {
  const auto r = run(queue_scenario(exponential(1.0), 1.6, 5e5, 2), {});
  EXPECT_NEAR(r.value("latency.mean"), 2.7778, 0.06);
}

// Same seed, same bytes; another replication, other draws.
TEST(World, FingerprintDependsOnTheSeedOnly) {
  const Scenario s = queue_scenario(exponential(1.0), 0.7, 2e4);
  auto a = run(s, {}), b = run(s, {});
  EXPECT_EQ(a.fingerprint, b.fingerprint);
  a.cpu_seconds = b.cpu_seconds = 0;  // the only figure that may differ
  EXPECT_TRUE(results::to_json(a) == results::to_json(b));
  RunOptions other;
  other.replication = 1;
  EXPECT_NE(run(s, other).fingerprint, a.fingerprint);
}

// Little's law between independently measured figures.
TEST(World, LittlesLaw) {
  const auto r = run(queue_scenario(exponential(1.0), 0.8, 3e5), {});
  EXPECT_NEAR(r.services[0].mean_in_system, r.value("throughput") * r.value("latency.mean"),
              0.01 * r.services[0].mean_in_system);
}

}  // namespace
}  // namespace isthmus::world
