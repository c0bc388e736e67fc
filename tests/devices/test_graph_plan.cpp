// Plans of graphs over several units: parts of times, fallback, transfers, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "devices/graph_plan.hpp"
#include "models/builtin_graphs.hpp"
#include "models/graph_builder.hpp"
#include "models/kernel_profile.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::devices {
namespace {

using models::ComputeUnit;
using models::GraphCost;
using models::GraphVariant;
using models::OperatorKind;
using models::Precision;
using testing::HasSubstr;
using testing::ThrowsMessage;

ComputeUnit unit(const std::string& name, double flops, double bandwidth) {
  ComputeUnit u;
  u.name = name;
  u.peak[static_cast<std::size_t>(Precision::fp32)] = flops;
  u.memory_bandwidth = bandwidth;
  u.launch_overhead = Duration(1000);
  u.iteration_overhead = Duration(50000);
  u.idle_power = 1;
  u.bandwidth_power = 3;
  u.compute_power = 6;
  return u;
}

ComputeUnit without(ComputeUnit u, OperatorKind kind) {
  u.unsupported.set(static_cast<std::size_t>(kind));
  return u;
}

// Two branches of one product each, which are added and normalized.
models::OperatorGraph branches() {
  models::GraphBuilder b("branches");
  const auto in = b.input({1000});
  const auto left = b.gemm(in, 500, true, "left"), right = b.gemm(in, 500, true, "right");
  b.norm(b.add(left, right, "sum"), "norm");
  return b.build();
}

TEST(GraphPlan, SplitsTimesIntoLaunchArithmeticAndTraffic) {
  const GraphCost cost(branches(), {}, unit("cpu", 100e9, 10e9), nullptr);
  const GraphCost* units[] = {&cost};
  const GraphPlan plan = plan_graph(units, 1000, UnitTransfers::shared_memory(1, 0));
  ASSERT_EQ(plan.operators.size(), cost.graph().size());
  double sum = plan.iteration_overhead;
  for (std::uint32_t v = 0; v < plan.operators.size(); ++v) {
    const OperatorTime& t = plan.at(v, 0);
    ASSERT_TRUE(t.runnable);
    sum += t.total();
    EXPECT_EQ(t.body, std::max(t.compute, t.memory)) << plan.operators[v];
    if (cost.graph().at(v).kind == OperatorKind::input) {
      EXPECT_EQ(t.total(), 0);
      continue;
    }
    EXPECT_EQ(t.fixed, 1e-6);
    EXPECT_EQ(t.busy_power, t.compute > t.memory ? 5 : 2) << plan.operators[v];
    EXPECT_NEAR(t.memory, t.bytes / 10e9, 1e-15);
  }
  // The sum is what a serial run of the same batch takes.
  EXPECT_NEAR(sum, cost.batch(1000).time.seconds(), 1e-9);
}

TEST(GraphPlan, KeepsMeasuredTimesAndBoundsTheirParts) {
  const auto profile = std::make_shared<const models::KernelProfile>(
      models::KernelProfile::load(ISTHMUS_SOURCE_DIR "/models/profiles/amd-epyc-zen4-1core.h5"));
  for (const char* name : {"resnet-50", "bert-base", "yolov5n"}) {
    const GraphCost fast(models::builtin_graph(name), {}, unit("fast", 160e9, 25e9), profile);
    const GraphCost slow(models::builtin_graph(name), {}, unit("slow", 1e11, 10e9), nullptr);
    const GraphCost* units[] = {&fast, &slow};
    const GraphPlan plan = plan_graph(units, 4, UnitTransfers::shared_memory(2, 1e-5));
    for (std::uint32_t v = 0; v < plan.operators.size(); ++v)
      for (std::uint32_t u = 0; u < 2; ++u) {
        const OperatorTime& t = plan.at(v, u);
        EXPECT_LE(t.compute, t.body);
        EXPECT_LE(t.memory, t.body);
        EXPECT_NEAR(t.total(), units[u]->operator_time(v, 4).time.seconds(), 0.51e-9);
      }
    // A topological order of operators exists along the edges.
    for (const schedulers::TaskEdge& e : plan.edges) {
      EXPECT_NE(e.from, e.to);
      EXPECT_EQ(e.data, plan.output_bytes[e.from]);
    }
  }
}

TEST(GraphPlan, InputsAreAtHandUnlessAHostHoldsThem) {
  const GraphCost gpu(branches(), {}, unit("gpu", 1e12, 1e11), nullptr);
  const GraphCost cpu(branches(), {}, unit("cpu", 1e11, 1e10), nullptr);
  const GraphCost* units[] = {&gpu, &cpu};
  const auto shared = plan_graph(units, 2, UnitTransfers::shared_memory(2, 1e-5));
  UnitTransfers pcie{{0, 1e10, 2e10, 0}, {0, 3e-6, 4e-6, 0}, 1};
  const auto copied = plan_graph(units, 2, pcie);
  ASSERT_EQ(gpu.graph().at(0).kind, OperatorKind::input);
  EXPECT_TRUE(shared.at(0, 0).runnable && shared.at(0, 1).runnable);
  EXPECT_FALSE(copied.at(0, 0).runnable);
  EXPECT_TRUE(copied.at(0, 1).runnable);
  EXPECT_EQ(copied.edges.size(), shared.edges.size() + 2);
  EXPECT_EQ(copied.edges.front().data, 2 * 4 * 1000.0);

  const auto tasks = task_graph(copied);
  EXPECT_EQ(tasks.cost[0], schedulers::cannot_run);
  EXPECT_EQ(tasks.cost[1], 0);
  EXPECT_EQ(tasks.transfer, (std::vector<double>{0, 1e-10, 0.5e-10, 0}));
  EXPECT_EQ(tasks.latency, (std::vector<double>{0, 3e-6, 4e-6, 0}));
  EXPECT_EQ(task_graph(shared).transfer, (std::vector<double>{0, 0, 0, 0}));
}

TEST(GraphPlan, FallsBackToUnitsThatSupportTheKind) {
  const GraphCost npu(branches(), {}, without(unit("npu", 1e12, 1e11), OperatorKind::norm),
                      nullptr);
  const GraphCost cpu(branches(), {}, unit("cpu", 1e11, 1e10), nullptr);
  const GraphCost* both[] = {&npu, &cpu};
  const auto plan = plan_graph(both, 1, UnitTransfers::shared_memory(2, 1e-5));
  const auto norm = static_cast<std::uint32_t>(plan.operators.size() - 1);
  ASSERT_EQ(npu.graph().at(norm).kind, OperatorKind::norm);
  EXPECT_FALSE(plan.at(norm, 0).runnable);
  EXPECT_TRUE(plan.at(norm, 1).runnable);
  EXPECT_TRUE(plan.at(norm - 1, 0).runnable);
  EXPECT_EQ(task_graph(plan).cost[norm * 2], schedulers::cannot_run);

  const GraphCost* alone[] = {&npu, nullptr};
  EXPECT_THAT(([&] { plan_graph(alone, 1, UnitTransfers::shared_memory(2, 0)); }),
              ThrowsMessage<InputError>(
                  HasSubstr("no unit can run operator 'norm' of kind norm: 'npu' does not support "
                            "the kind, unit 1 cannot compute the format")));
}

TEST(GraphPlan, CpuUnitsShareTheMemoryOfTheHost) {
  using models::UnitKind;
  const UnitKind kinds[] = {UnitKind::gpu, UnitKind::cpu, UnitKind::cpu};
  const double inf = std::numeric_limits<double>::infinity();
  const auto card = UnitTransfers::of_node(kinds, 2e10, 1e-5);
  EXPECT_EQ(card.host, 1);
  EXPECT_EQ(card.bandwidth,
            (std::vector<double>{2e10, 2e10, 2e10, 2e10, inf, inf, 2e10, inf, inf}));
  EXPECT_EQ(card.latency, std::vector<double>(9, 1e-5));
  const auto chip = UnitTransfers::of_node(kinds, inf, 2e-5);
  EXPECT_EQ(chip.host, -1);
  EXPECT_EQ(chip.bandwidth, std::vector<double>(9, inf));
  // Two cards and no CPU: the inputs are wherever they are needed.
  EXPECT_EQ(UnitTransfers::of_node({kinds, 1}, 2e10, 0).host, -1);
}

TEST(GraphPlan, TakesTheOverheadOfTheUnitsInUse) {
  ComputeUnit slow_start = unit("npu", 1e12, 1e11);
  slow_start.iteration_overhead = Duration(90000);
  const GraphCost npu(branches(), {}, slow_start, nullptr);
  const GraphCost cpu(branches(), {}, unit("cpu", 1e11, 1e10), nullptr);
  const GraphCost* units[] = {&cpu, &npu};
  const auto plan = plan_graph(units, 1, UnitTransfers::shared_memory(2, 0));
  EXPECT_EQ(plan.iteration_overhead, 90e-6);
  schedulers::Schedule s;
  for (std::uint32_t v = 0; v < plan.operators.size(); ++v) s.tasks.push_back({v, 0, 0, 0});
  EXPECT_EQ(iteration_overhead(plan, s), 50e-6);
  s.tasks[0].processor = 1;  // an input: no time is spent there
  EXPECT_EQ(iteration_overhead(plan, s), 50e-6);
  s.tasks[1].processor = 1;
  EXPECT_EQ(iteration_overhead(plan, s), 90e-6);
}

TEST(GraphPlan, RefusesWhatMakesNoSense) {
  const GraphCost a(branches(), {}, unit("a", 1e11, 1e10), nullptr);
  const GraphCost other(models::builtin_graph("resnet-50"), {}, unit("b", 1e11, 1e10), nullptr);
  GraphVariant half;
  half.weights = half.activations = Precision::fp16;
  const GraphCost format(branches(), half, unit("b", 1e11, 1e10), nullptr);
  const auto refused = [](std::vector<const GraphCost*> units, std::int64_t batch,
                          const UnitTransfers& t, const char* text) {
    EXPECT_THAT(([&] { plan_graph(units, batch, t); }), ThrowsMessage<InputError>(HasSubstr(text)));
  };
  const auto shared = UnitTransfers::shared_memory(2, 0);
  refused({&a, &other}, 1, shared, "units 'a' and 'b' are timed for different graphs");
  refused({&a, &format}, 1, shared, "formats of operator");
  refused({&a, &a}, 0, shared, "at least one input, not 0");
  refused({nullptr, nullptr}, 1, shared, "no unit of the node can compute");
  refused({}, 1, {}, "no unit");
  refused({&a}, 1, shared, "need 1 bandwidths and latencies, not 4 and 4");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  refused({&a, &a}, 1, {{0, 0, 1e9, 0}, {0, 0, 0, 0}}, "from unit 0 to unit 1 must be positive");
  refused({&a, &a}, 1, {{0, 1, nan, 0}, {0, 0, 0, 0}}, "from unit 1 to unit 0 must be positive");
  refused({&a, &a}, 1, {{0, 1, 1, 0}, {0, -1, 0, 0}}, "latency from unit 0 to unit 1");
  refused({&a, &a}, 1, {{0, 1, 1, 0}, {0, 0, 0, 0}, 2}, "no unit 2 to hold the inputs");
}

}  // namespace
}  // namespace isthmus::devices
