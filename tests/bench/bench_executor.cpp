// Operators and graph instances per CPU second of the graph executor. Prints; never fails.
#include <cstdio>
#include <ctime>
#include <limits>

#include "devices/graph_executor.hpp"
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

}  // namespace

int main() {
  contended("5 lanes, 2 instances, memory never short", 1e12, 0.2, 2);
  contended("5 lanes, 8 instances, memory never short", 1e12, 0.2, 8);
  contended("5 lanes, 2 instances, memory short", 20e9, 0.2, 2);
  contended("5 lanes, 8 instances, memory short", 20e9, 0.2, 8);
  leapt();
}
