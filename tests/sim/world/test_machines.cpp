// Services whose graphs run operator by operator on the units of a node, beside others.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "models/builtin_graphs.hpp"
#include "tests/sim/world/small_worlds.hpp"

namespace isthmus::world::testing {
namespace {

// Everything in order on the first unit that can run it; tests need no better one.
class FirstUnit final : public schedulers::ListScheduler {
 public:
  schedulers::Schedule schedule(const schedulers::TaskGraph& g) const override {
    schedulers::Schedule s;
    double now = g.release;
    s.tasks.resize(g.tasks);
    for (std::uint32_t t = 0; t < g.tasks; ++t) {
      std::uint32_t p = 0;
      while (std::isinf(g.cost[t * g.processors + p])) ++p;
      s.tasks[t] = {t, p, now, now + g.cost[t * g.processors + p]};
      now = s.tasks[t].end;
      s.order.push_back(t);
    }
    s.makespan = now;
    return s;
  }
};

const schedulers::PolicyEntry<schedulers::ListScheduler>& first_unit() {
  static const schedulers::PolicyEntry<schedulers::ListScheduler> entry = [] {
    schedulers::PolicyEntry<schedulers::ListScheduler> e;
    e.name = "first-unit";
    e.make = [](const schedulers::Parameters&) -> std::shared_ptr<schedulers::ListScheduler> {
      return std::make_shared<FirstUnit>();
    };
    return e;
  }();
  return entry;
}

models::ComputeUnit unit(const char* name, double gflops) {
  models::ComputeUnit u;
  u.name = name;
  u.kind = models::UnitKind::npu;
  u.peak[static_cast<std::size_t>(models::Precision::fp32)] = gflops * 1e9;
  u.memory_bandwidth = 10e9;
  u.launch_overhead = Duration(2'000);
  u.iteration_overhead = Duration(100'000);
  u.bandwidth_power = 1;
  u.compute_power = 2;
  return u;
}

// One machine with an NPU; `services` of MobileNetV2 that share it.
Scenario shared_units(double rate, std::size_t services, double seconds, double bandwidth = 10e9) {
  Scenario s = queue_scenario(Distribution::constant(1), rate, seconds);
  NodeGroup& g = s.nodes[0];
  g.units = {unit("npu", 100)};
  g.base_power = 0.5;
  g.executor.units = {{"npu", 1, 0}};
  g.executor.memory_bandwidth = {bandwidth};
  const auto graph = models::builtin_graph("mobilenet-v2");
  const models::GraphVariant variant;
  GraphModel model;
  model.cost = std::make_shared<models::GraphCost>(graph, variant, g.units[0], nullptr);
  GraphExecution e;
  e.units = {0};
  e.costs = {model.cost};
  e.scheduler = &first_unit();
  e.parameters.emplace(e.scheduler->parameters);
  model.execution = e;
  s.services[0].work = model;
  for (std::size_t i = 1; i < services; ++i) {
    s.services.push_back(s.services[0]);
    s.services.back().name = "s" + std::to_string(i);
    s.workloads.push_back(s.workloads[0]);
    s.workloads.back().name = "load" + std::to_string(i);
    s.workloads.back().service = static_cast<int>(i);
  }
  return s;
}

double alone(const Scenario& s) {
  return std::get<GraphModel>(s.services[0].work).cost->batch(1).time.seconds();
}

TEST(Machines, OneServiceAloneTakesTheTimeOfItsGraph) {
  Scenario s = shared_units(1, 1, 100);
  s.warmup = Duration::zero();
  s.workloads[0].arrivals.kind = ArrivalKind::deterministic;
  const results::Summary r = run(s, {});
  // Operators are rounded to whole nanoseconds one by one.
  EXPECT_NEAR(r.value("latency.mean"), alone(s), 200e-9);
  EXPECT_NEAR(r.value("latency.max"), r.value("latency.mean"), 1e-12);
  EXPECT_GT(r.completed, 98U);
  EXPECT_NEAR(r.nodes[0].busy_seconds, static_cast<double>(r.completed) * (alone(s) - 100e-6),
              1e-3);
  // 0.5 W for the machine; 1 to 2 W while operators run.
  const double dynamic = r.nodes[0].energy - 0.5 * 100;
  EXPECT_GE(dynamic, 1.0 * r.nodes[0].busy_seconds * (1 - 1e-9));
  EXPECT_LE(dynamic, 2.0 * r.nodes[0].busy_seconds * (1 + 1e-9));
}

TEST(Machines, ServicesOfANodeShareItsUnits) {
  // Two services with half the load each wait for one unit as one service with all of it does: the
  // unit is an M/D/1 queue either way, in another order within overlaps.
  const double rate = 0.7 / alone(shared_units(1, 1, 1));
  const results::Summary one = run(shared_units(rate, 1, 400), {});
  const results::Summary two = run(shared_units(rate / 2, 2, 400), {});
  const double expected = alone(shared_units(1, 1, 1)) * (1 + 0.7 / 2 / 0.3);
  EXPECT_NEAR(one.value("latency.mean"), expected, 0.05 * expected);
  EXPECT_NEAR(two.value("latency.mean"), expected, 0.10 * expected);
  EXPECT_EQ(run(shared_units(rate / 2, 2, 400), {}).fingerprint, two.fingerprint);
}

TEST(Machines, PriorityGoesFirstAtOperatorBoundaries) {
  const double rate = 0.45 / alone(shared_units(1, 1, 1));
  Scenario s = shared_units(rate, 2, 400);
  std::get<GraphModel>(s.services[1].work).execution->priority = 1;
  const results::Summary r = run(s, {});
  const auto mean = [&](const char* workload) {
    for (const results::Metric& m : r.by_workload.at(workload))
      if (m.name == "latency.mean") return m.value;
    return std::numeric_limits<double>::quiet_NaN();
  };
  // The favoured service is a queue of its own but for one operator in its way (M/D/1 at 0.45).
  const double own = alone(s) * (1 + 0.45 / 2 / 0.55);
  EXPECT_NEAR(mean("load1"), own, 0.06 * own);
  EXPECT_GT(mean("load"), 2 * mean("load1"));
}

TEST(Machines, WhatAFailingNodeRunsIsLost) {
  Scenario s = shared_units(0.9 / alone(shared_units(1, 1, 1)), 2, 100);
  Fault fault;
  fault.nodes = {0};
  fault.at = Instant::from_seconds(50);
  fault.lasts = Duration::from_seconds(10);
  s.faults.push_back(fault);
  const results::Summary r = run(s, {});
  EXPECT_EQ(r.created, r.completed + r.rejected + r.failed + r.in_flight);
  EXPECT_GT(r.failed, 0U);
  EXPECT_GT(r.completed, 0U);
}

}  // namespace
}  // namespace isthmus::world::testing
