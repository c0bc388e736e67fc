// Operators and graph instances per CPU second of the graph executor. Prints; never fails.
#include <cstdio>
#include <ctime>
#include <limits>

#include "devices/graph_executor.hpp"
#include "devices/node_physics.hpp"
#include "devices/physics_spec.hpp"
#include "sim/core/random.hpp"

namespace {

using namespace isthmus;
using namespace isthmus::devices;

double seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// A network of `n` operators over the units of a phone: a chain with branches, 5 % of its edges
// between units, every operator with memory traffic.
ExecutionPlan network(const ExecutorSpec& spec, std::uint32_t n, double unit_change) {
  Rng g = StreamKey(1, "bench").at(n);
  PlanInput in;
  std::uint32_t lane = 0;
  for (std::uint32_t i = 0; i < n; ++i) {
    if (uniform01(g) < unit_change)
      lane = static_cast<std::uint32_t>(uniform_index(g, spec.lanes()));
    PlannedOperator op;
    op.lane = lane;
    op.fixed = 3'000;
    op.body = 20'000 + static_cast<std::int64_t>(uniform_index(g, 180'000));
    op.compute = op.body / 2;
    op.bytes = static_cast<double>(op.body) * 12;  // 12 GB/s
    op.watts = 2;
    in.operators.push_back(op);
    in.rank.push_back(i);
    if (i > 0) {
      const bool moved = in.operators[i - 1].lane != op.lane;
      in.edges.push_back({i - 1, i, moved ? 20'000 : 0});
      if (i > 4 && uniform01(g) < 0.2) in.edges.push_back({i - 4, i, 0});
    }
  }
  return make_plan(in, spec);
}

void contended(const char* what, double bandwidth, double unit_change, std::uint32_t concurrent) {
  ExecutorSpec spec;
  spec.units = {{"npu", 1, 0}, {"gpu", 2, 0}, {"cpu", 1, 0}, {"little", 1, 0}};
  spec.memory_bandwidth = {bandwidth};
  const ExecutionPlan plan = network(spec, 64, unit_change);
  GraphExecutor e(spec);
  std::vector<FinishedInstance> done;
  const double start = seconds();
  for (std::uint64_t k = 0; k < concurrent; ++k) e.start(Instant::zero(), plan, k);
  while (e.operators_executed() < 5'000'000) {
    const Instant now = e.next();
    done.clear();
    e.advance(now, done);
    for (const FinishedInstance& f : done) e.start(now, plan, f.tag);
  }
  const double s = seconds() - start;
  std::printf("%-58s %6.2f M operators/s\n", what,
              static_cast<double>(e.operators_executed()) * 1e-6 / s);
}

void leapt() {
  ExecutorSpec spec;
  spec.units = {{"npu", 1, 0}, {"gpu", 2, 0}, {"cpu", 1, 0}};
  spec.memory_bandwidth = {50e9};
  const ExecutionPlan plan = network(spec, 64, 0.05);
  GraphExecutor e(spec);
  std::vector<FinishedInstance> done;
  const double start = seconds();
  Instant now;
  while (e.instances_leapt() < 20'000'000) {
    e.start(now, plan, 0);
    now = e.next();
    done.clear();
    e.advance(now, done);
    now += Duration(1000);
  }
  const double s = seconds() - start;
  std::printf("%-58s %6.2f M instances/s\n",
              "one instance at a time, reused schedule (64 operators)",
              static_cast<double>(e.instances_leapt()) * 1e-6 / s);
}

// What a change of activity costs on a node with two thermal parts, leakage and trip points.
void heated() {
  auto spec = std::make_shared<PhysicsSpec>();
  for (int u = 0; u < 2; ++u) {
    UnitPhysics unit;
    unit.points = {{0.5, 0.1, 0, 0.3}, {1, 0.2, 0, 1}};
    unit.thermal_node = static_cast<std::uint32_t>(u);
    spec->units.push_back(unit);
  }
  ThermalSpec heat;
  heat.network.nodes = {{"chip", 5, 20, 0.01}, {"case", 50, 8, 0}};
  heat.network.links = {{0, 1, 2}};
  heat.trips = {{0, 70, 65, 0.5, false}};
  spec->thermal = heat;
  NodePhysics physics(spec, Instant::zero());
  const double start = seconds();
  constexpr int changes = 5'000'000;
  Instant now;
  for (int i = 0; i < changes; ++i) {
    now += Duration(50'000);
    while (physics.next_tick() <= now) physics.tick(physics.next_tick());
    physics.set_activity(now, i % 2,
                         i % 4 < 2 ? UnitActivity{1, 3, 0, Instant::never()} : UnitActivity{});
  }
  std::printf("%-58s %6.0f ns\n", "change of activity on a node with heat, ticks included",
              (seconds() - start) / changes * 1e9);
}

}  // namespace

int main() {
  contended("5 lanes, 2 instances, memory never short", 1e12, 0.2, 2);
  contended("5 lanes, 8 instances, memory never short", 1e12, 0.2, 8);
  contended("5 lanes, 2 instances, memory short", 20e9, 0.2, 2);
  contended("5 lanes, 8 instances, memory short", 20e9, 0.2, 8);
  leapt();
  heated();
}
