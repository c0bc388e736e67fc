// Macro-operators on plans by hand and on random ones.
#include <gtest/gtest.h>

#include <numeric>

#include "devices/graph_packing.hpp"
#include "schedulers/task_graph.hpp"
#include "sim/core/random.hpp"

namespace isthmus::devices {
namespace {

GraphPlan plan_of(std::vector<double> body, std::vector<schedulers::TaskEdge> edges,
                  double launch = 10e-6) {
  GraphPlan p;
  p.units = 1;
  for (std::size_t i = 0; i < body.size(); ++i) {
    p.operators.push_back("op" + std::to_string(i));
    p.times.push_back({true, launch, body[i], body[i], 0, 100, 1});
    p.output_bytes.push_back(1);
  }
  p.edges = std::move(edges);
  p.transfer_seconds_per_byte = {0};
  p.transfer_latency = {0};
  p.unit_overhead = {0};
  return p;
}

TEST(GraphPacking, ChainsOfLightOperatorsPayOneLaunch) {
  const GraphPlan p = plan_of({1e-6, 2e-6, 500e-6, 1e-6}, {{0, 1, 8}, {1, 2, 8}, {2, 3, 8}});
  const PackedPlan packed = pack(p, 50e-6);
  // The heavy one has light neighbours on both sides: all four are one.
  ASSERT_EQ(packed.plan.operators.size(), 1U);
  EXPECT_DOUBLE_EQ(packed.plan.times[0].total(), 10e-6 + 504e-6);
  EXPECT_DOUBLE_EQ(packed.plan.times[0].bytes, 400);
  EXPECT_EQ(packed.macro, (std::vector<std::uint32_t>{0, 0, 0, 0}));
  // Nothing is light: nothing changes.
  EXPECT_EQ(pack(p, 5e-6).plan.operators.size(), 4U);
}

TEST(GraphPacking, LightSiblingsAreOneLaunch) {
  // 0 -> {1, 2, 3} -> 4; 3 is heavy and stays beside.
  const GraphPlan p = plan_of({500e-6, 1e-6, 2e-6, 400e-6, 500e-6},
                              {{0, 1, 8}, {0, 2, 8}, {0, 3, 8}, {1, 4, 8}, {2, 4, 8}, {3, 4, 8}});
  const PackedPlan packed = pack(p, 50e-6);
  ASSERT_EQ(packed.plan.operators.size(), 4U);
  EXPECT_EQ(packed.macro[1], packed.macro[2]);
  EXPECT_NE(packed.macro[1], packed.macro[3]);
}

TEST(GraphPacking, OperatorsWithoutACommonUnitStayApart) {
  GraphPlan p = plan_of({1e-6, 1e-6}, {{0, 1, 8}});
  p.units = 2;
  const OperatorTime none;
  p.times = {p.times[0], none, none, p.times[1]};
  p.transfer_seconds_per_byte = p.transfer_latency = {0, 0, 0, 0};
  p.unit_overhead = {0, 0};
  EXPECT_EQ(pack(p, 1).plan.operators.size(), 2U);
}

TEST(GraphPacking, RandomGraphsKeepTheirWorkAndStayAcyclic) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    Rng g = StreamKey(seed, "packing").at(0);
    const auto n = static_cast<std::uint32_t>(1 + uniform_index(g, 25));
    std::vector<double> body;
    std::vector<schedulers::TaskEdge> edges;
    for (std::uint32_t i = 0; i < n; ++i) {
      body.push_back(1e-6 + 1e-4 * uniform01(g));
      for (std::uint32_t k = 0; k < i; ++k)
        if (uniform01(g) < 2.0 / n) edges.push_back({k, i, 10});
    }
    const GraphPlan p = plan_of(body, edges);
    const PackedPlan packed = pack(p, 5e-5);
    double before = 0, after = 0;
    for (const OperatorTime& t : p.times) before += t.body;
    for (const OperatorTime& t : packed.plan.times) after += t.body;
    ASSERT_NEAR(before, after, 1e-15 * n);
    ASSERT_LE(packed.plan.operators.size(), p.operators.size());
    const schedulers::TaskGraph graph = task_graph(packed.plan);
    ASSERT_NO_THROW(schedulers::Tasks{graph}) << seed;  // would name a cycle
    // Whatever depended on something still does, unless both are one.
    for (const schedulers::TaskEdge& e : p.edges) {
      const auto a = packed.macro[e.from], b = packed.macro[e.to];
      if (a == b) continue;
      bool found = false;
      for (const schedulers::TaskEdge& f : packed.plan.edges) found |= f.from == a && f.to == b;
      ASSERT_TRUE(found) << seed;
    }
  }
}

}  // namespace
}  // namespace isthmus::devices
