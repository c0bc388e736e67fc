// Graph costs: the roofline by hand, profiles before the roofline, and the shipped CPU profile.
#include "models/graph_cost.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "models/builtin_graphs.hpp"
#include "models/graph_builder.hpp"
#include "models/kernel_profile.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {
namespace {

ComputeUnit plain_unit() {
  ComputeUnit u;
  u.name = "plain";
  u.kind = UnitKind::cpu;
  u.peak[static_cast<std::size_t>(Precision::fp32)] = 100e9;
  u.memory_bandwidth = 10e9;
  u.launch_overhead = Duration(1000);
  u.iteration_overhead = Duration(50000);
  u.efficiency_error = 0.2;
  return u;
}

// One fully connected layer 1000 -> 500 with a fused activation.
OperatorGraph one_layer() {
  GraphBuilder b("layer");
  b.activation(b.gemm(b.input({1000}), 500, true, "fc"), "relu");
  return b.build();
}

GraphVariant variant_of(Precision precision) {
  GraphVariant v;
  v.name = name_of(precision);
  v.weights = v.activations = precision;
  return v;
}

TEST(GraphCost, IsTheRooflineWithoutAProfile) {
  const GraphCost cost(one_layer(), {}, plain_unit(), nullptr);
  const double weights = 1000.0 * 500 + 500;
  // Batch 1 reads the weights; batch 1000 computes.
  const double memory_ns = 4 * (weights + 1500) / 10e9 * 1e9;
  EXPECT_EQ(cost.batch_ns(1), std::llround(51000 + memory_ns));
  EXPECT_EQ(cost.batch(1).kind, PredictionKind::roofline);
  EXPECT_DOUBLE_EQ(cost.batch(1).compute_share, 0);
  // The activation is folded into the product, with its arithmetic.
  const double compute_ns = (2 * 1000.0 * 500 + 500 + 500) * 1000 / 100e9 * 1e9;
  EXPECT_EQ(cost.batch_ns(1000), std::llround(51000 + compute_ns));
  EXPECT_GT(cost.batch(1000).compute_share, 0.99);
  EXPECT_EQ(cost.weight_bytes(), 4 * weights);
  EXPECT_EQ(cost.peak_activation_bytes(3), 3 * 4 * 1500);
  EXPECT_NEAR(cost.batch(1).relative_error, 0.2 * memory_ns / (51000 + memory_ns), 0.01);
}

TEST(GraphCost, ExplainsEveryOperator) {
  const GraphCost cost(builtin_graph("resnet-50"), {}, plain_unit(), nullptr);
  for (const std::int64_t batch : {1, 8, 100}) {
    std::int64_t sum = 0;
    for (const auto& row : cost.explain(batch)) sum += row.prediction.time.ns();
    EXPECT_NEAR(static_cast<double>(sum), static_cast<double>(cost.batch_ns(batch)), 100);
  }
  EXPECT_GT(cost.batch_ns(2), cost.batch_ns(1));
  EXPECT_LT(cost.batch_ns(2), 2 * cost.batch_ns(1));
}

KernelProfile gemm_profile() {
  KernelProfile p({"device", "by hand", "CC0-1.0", "0.1.0"});
  KernelTable t;
  t.kind = "gemm";
  t.parameters = {"n", "k", "m"};
  for (const double m : {1.0, 4.0, 16.0}) {
    const double ns = 1000 * m;
    t.shapes.insert(t.shapes.end(), {500, 1000, m});
    t.median_ns.push_back(ns);
    t.p10_ns.push_back(ns);
    t.p90_ns.push_back(ns);
    t.n.push_back(1);
  }
  p.add(t);
  return p;
}

TEST(GraphCost, PrefersTheProfile) {
  const auto profile = std::make_shared<const KernelProfile>(gemm_profile());
  const GraphCost cost(one_layer(), {}, plain_unit(), profile);
  EXPECT_EQ(cost.batch_ns(4), 51000 + 4000);
  EXPECT_EQ(cost.batch(4).kind, PredictionKind::measured);
  EXPECT_EQ(cost.batch_ns(10), 51000 + 10000);
  EXPECT_EQ(cost.batch(10).kind, PredictionKind::interpolated);
  // Beyond the grid: the row m = 16, scaled as the roofline scales, and said so.
  EXPECT_EQ(cost.batch(1000).kind, PredictionKind::extrapolated);
  EXPECT_GE(cost.batch(1000).relative_error, 0.3 * 0.9);
  EXPECT_GT(cost.batch_ns(1000), 51000 + 16000 * 20);
  // Int8 activations have no table: the roofline.
  ComputeUnit unit = plain_unit();
  unit.peak[static_cast<std::size_t>(Precision::int8)] = 400e9;
  const GraphCost int8(one_layer(), variant_of(Precision::int8), unit, profile);
  EXPECT_EQ(int8.batch(4).kind, PredictionKind::roofline);
}

TEST(GraphCost, RefusesAUnitWithoutTheFormat) {
  EXPECT_THROW(GraphCost(one_layer(), variant_of(Precision::fp16), ComputeUnit{}, nullptr),
               InputError);
  ComputeUnit npu = plain_unit();
  npu.peak.fill(0);
  npu.peak[static_cast<std::size_t>(Precision::int8)] = 1e12;
  EXPECT_THROW(GraphCost(one_layer(), {}, npu, nullptr), InputError);
}

// The shipped profile answers for whole networks on its CPU: nothing falls back to the roofline.
TEST(GraphCost, ShippedProfilePredictsWholeNetworks) {
  const auto profile = std::make_shared<const KernelProfile>(
      KernelProfile::load(ISTHMUS_SOURCE_DIR "/models/profiles/amd-epyc-zen4-1core.h5"));
  for (const KernelTable* t : profile->tables()) {
    const auto error = profile->leave_one_out_error(t->kind, t->precision);
    ASSERT_TRUE(error) << t->kind;
    std::printf("%-15s %4zu rows, leave-one-out error %.1f %%\n", t->kind.c_str(), t->rows(),
                100 * *error);
  }
  ComputeUnit unit = plain_unit();
  unit.launch_overhead = unit.iteration_overhead = Duration::zero();
  for (const auto& [name, slowest_ms] :
       {std::pair{"mobilenet-v3-large", 200.0}, std::pair{"mobilenet-v2", 250.0},
        std::pair{"resnet-50", 1500.0}}) {
    const OperatorGraph graph = builtin_graph(name);
    const GraphCost cost(graph, {}, unit, profile);
    const Prediction p = cost.batch(1);
    std::printf("%-18s %8.2f ms (%s, +-%.0f %%)\n", name, p.time.seconds() * 1e3,
                std::string(name_of(p.kind)).c_str(), 100 * p.relative_error);
    EXPECT_LE(p.kind, PredictionKind::interpolated) << name;
    for (const auto& row : cost.explain(1))
      EXPECT_LE(row.prediction.kind, PredictionKind::interpolated) << name << " " << row.name;
    EXPECT_LT(p.time.seconds() * 1e3, slowest_ms);
    // Not faster than 64 fp32 flops per cycle at 3.7 GHz, the most that such a core can do.
    EXPECT_GT(p.time.seconds(), graph.totals().flops / (64 * 3.7e9));
  }
}

}  // namespace
}  // namespace isthmus::models
