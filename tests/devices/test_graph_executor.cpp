// Instances of operator graphs on the units of a node: dates by hand, laws on random graphs, and
// leaps that end at the nanosecond at which single steps do.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "devices/graph_executor.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"

namespace isthmus::devices {
namespace {

Instant at_us(std::int64_t us) { return Instant(us * 1000); }

PlannedOperator op_us(std::uint32_t lane, std::int64_t us, double bytes = 0, double watts = 1) {
  PlannedOperator op;
  op.lane = lane;
  op.body = op.compute = us * 1000;
  op.bytes = bytes;
  op.watts = watts;
  return op;
}

PlanInput chain(std::vector<PlannedOperator> operators) {
  PlanInput in;
  in.operators = std::move(operators);
  for (std::uint32_t i = 0; i < in.operators.size(); ++i) {
    in.rank.push_back(i);
    if (i > 0) in.edges.push_back({i - 1, i, 0});
  }
  return in;
}

ExecutorSpec units(std::vector<std::uint32_t> lanes, double bandwidth = 1e300) {
  ExecutorSpec s;
  for (const std::uint32_t l : lanes)
    s.units.push_back({"u" + std::to_string(s.units.size()), l, 0});
  s.memory_bandwidth = {bandwidth};
  return s;
}

// Ends of all instances, by tag.
std::map<std::uint64_t, std::int64_t> drain(GraphExecutor& e) {
  std::vector<FinishedInstance> done;
  while (!e.next().is_never()) e.advance(e.next(), done);
  std::map<std::uint64_t, std::int64_t> ends;
  for (const FinishedInstance& f : done) ends[f.tag] = f.at.ns();
  return ends;
}

TEST(GraphExecutor, ChainTakesTheSum) {
  const ExecutorSpec spec = units({1});
  PlanInput in = chain({op_us(0, 10), op_us(0, 20, 0, 3)});
  in.overhead = 5'000;
  const ExecutionPlan plan = make_plan(in, spec);
  EXPECT_EQ(plan.makespan(), Duration(35'000));
  EXPECT_DOUBLE_EQ(plan.energy(), 10e-6 * 1 + 20e-6 * 3);
  GraphExecutor e(spec);
  e.start(at_us(100), plan, 7);
  EXPECT_EQ(e.next(), at_us(135));
  EXPECT_EQ(drain(e).at(7), 135'000);
  EXPECT_EQ(e.instances_leapt(), 1U);
  EXPECT_EQ(e.operators_executed(), 2U);
}

TEST(GraphExecutor, DroppedInstancesLeaveTheirLanesToOthers) {
  const ExecutorSpec spec = units({1});
  const ExecutionPlan plan = make_plan(chain({op_us(0, 10), op_us(0, 20, 0, 3)}), spec);
  GraphExecutor e(spec);
  e.start(at_us(0), plan, 1);
  e.start(at_us(0), plan, 2);
  e.start(at_us(0), plan, 3);
  e.drop(at_us(15), {1, 3, 99});
  EXPECT_EQ(e.instances(), 1U);
  EXPECT_EQ(drain(e), (std::map<std::uint64_t, std::int64_t>{{2, 45'000}}));
  EXPECT_NEAR(e.energy(at_us(45)), (10 + 5 * 3 + 10 + 20 * 3) * 1e-6, 1e-18);
  EXPECT_DOUBLE_EQ(e.pending(0), 0);
}

TEST(GraphExecutor, DroppedInstancesLeaveTheirBandwidthToOthers) {
  const ExecutorSpec spec = units({2}, 1e9);  // 1,000 bytes per us
  const ExecutionPlan plan = make_plan(chain({op_us(0, 20, 20'000)}), spec);
  const ExecutionPlan other = make_plan(chain({op_us(1, 20, 20'000)}), spec);
  GraphExecutor e(spec);
  e.start(at_us(0), plan, 1);
  e.start(at_us(0), other, 2);
  // Each at half its rate: 5 of 20 us are done after 10.
  e.drop(at_us(10), {1});
  EXPECT_EQ(drain(e), (std::map<std::uint64_t, std::int64_t>{{2, 25'000}}));
}

TEST(GraphExecutor, ALeapIsDroppedLikeTheRest) {
  const ExecutorSpec spec = units({1});
  const ExecutionPlan plan = make_plan(chain({op_us(0, 10), op_us(0, 20)}), spec);
  GraphExecutor e(spec);
  e.start(at_us(0), plan, 1);
  e.drop(at_us(10), {1});
  EXPECT_EQ(e.instances(), 0U);
  EXPECT_TRUE(e.next().is_never());
  EXPECT_NEAR(e.busy_seconds(at_us(50)), 10e-6, 1e-18);
  e.start(at_us(60), plan, 1);
  EXPECT_EQ(drain(e), (std::map<std::uint64_t, std::int64_t>{{1, 90'000}}));
}

TEST(GraphExecutor, TransfersBetweenUnitsDelayConsumers) {
  const ExecutorSpec spec = units({1, 1});
  PlanInput in;
  in.operators = {op_us(0, 10), op_us(1, 10), op_us(0, 4)};
  in.rank = {0, 1, 2};
  in.edges = {{0, 1, 3'000}, {1, 2, 3'000}};
  EXPECT_EQ(make_plan(in, spec).makespan(), Duration(10'000 + 3'000 + 10'000 + 3'000 + 4'000));
}

TEST(GraphExecutor, OperatorsShareMemoryBandwidthMaxMin) {
  // 1 GB/s in all; each wants 0.8 and 0.4 of it: the small one gets 0.4, the large one 0.6.
  const ExecutorSpec spec = units({1, 1}, 1e9);
  PlanInput in;
  in.operators = {op_us(0, 100, 100e-6 * 0.8e9), op_us(1, 100, 100e-6 * 0.4e9)};
  in.rank = {0, 1};
  // The large one has 25 us of work left when the small one ends at 100 us.
  EXPECT_EQ(make_plan(in, spec).makespan(), Duration(125'000));
  // Both starved: 0.8 and 0.8 get half each; rate 0.625, so both end at 160 us.
  in.operators[1].bytes = in.operators[0].bytes;
  EXPECT_EQ(make_plan(in, spec).makespan(), Duration(160'000));
}

TEST(GraphExecutor, StreamsShareArithmetic) {
  const ExecutorSpec spec = units({2});
  PlanInput in;
  in.operators = {op_us(0, 100), op_us(1, 100)};
  in.operators[0].occupancy = in.operators[1].occupancy = 0.5;
  in.rank = {0, 1};
  EXPECT_EQ(make_plan(in, spec).makespan(), Duration(100'000));  // both fit
  in.operators[0].occupancy = in.operators[1].occupancy = 1;
  EXPECT_EQ(make_plan(in, spec).makespan(), Duration(200'000));  // half the rate each
}

TEST(GraphExecutor, ClockStretchesArithmeticOnly) {
  const ExecutorSpec spec = units({1});
  PlanInput in = chain({op_us(0, 100), op_us(0, 100)});
  in.operators[1].compute = 30'000;  // memory-bound
  in.operators[1].fixed = 7'000;
  const ExecutionPlan plan = make_plan(in, spec);
  GraphExecutor e(spec);
  e.set_speed(Instant::zero(), 0, 0.5);
  e.start(Instant::zero(), plan, 1);
  EXPECT_EQ(drain(e).at(1), 200'000 + 107'000);
}

TEST(GraphExecutor, ClockChangesInTheMiddleOfAnOperator) {
  const ExecutorSpec spec = units({1});
  const ExecutionPlan plan = make_plan(chain({op_us(0, 100)}), spec);
  GraphExecutor e(spec);
  e.start(Instant::zero(), plan, 1);  // a leap, cut short by the change
  e.set_speed(at_us(40), 0, 0.5);
  e.set_speed(at_us(100), 0, 1.0);  // 40 + 30 are done
  EXPECT_EQ(drain(e).at(1), 130'000);
}

TEST(GraphExecutor, PriorityPreemptsAtOperatorBoundaries) {
  const ExecutorSpec spec = units({1});
  const ExecutionPlan plan = make_plan(chain({op_us(0, 10), op_us(0, 10)}), spec);
  GraphExecutor e(spec);
  e.start(at_us(0), plan, 1, 0);
  e.start(at_us(1), plan, 2, 0);
  e.start(at_us(3), plan, 3, 5);
  const auto ends = drain(e);
  EXPECT_EQ(ends.at(3), 30'000);  // waits for the running operator only
  EXPECT_EQ(ends.at(1), 40'000);
  EXPECT_EQ(ends.at(2), 60'000);
}

TEST(GraphExecutor, ZeroWorkOperatorsTakeNoTime) {
  const ExecutorSpec spec = units({1, 1});
  PlanInput in = chain({op_us(0, 0), op_us(1, 0), op_us(0, 0)});
  const ExecutionPlan plan = make_plan(in, spec);
  EXPECT_EQ(plan.makespan(), Duration::zero());
  GraphExecutor e(spec);
  e.start(at_us(5), plan, 1);
  EXPECT_EQ(drain(e).at(1), 5'000);
}

TEST(GraphExecutor, InterStreamConcurrencyOfAnInceptionBlock) {
  // Inter-operator scheduler (Ding et al., MLSys 2021), V100, batch 1, two streams: convolutions
  // measured alone and side by side. Occupancy: FLOP over 15.7 TFLOPS at 80 %.
  const double peak = 15.7e12 * 0.8;
  const auto conv = [&](std::uint32_t lane, double out_channels, double ms) {
    PlannedOperator op;
    op.lane = lane;
    op.body = op.compute = static_cast<std::int64_t>(ms * 1e6);
    op.occupancy = 2 * 375.0 * 9 * out_channels * 225 / peak / (ms * 1e-3);
    return op;
  };
  const auto together = [&](PlannedOperator a, PlannedOperator b) {
    PlanInput in;
    in.operators = {a, b};
    in.rank = {0, 1};
    return make_plan(in, units({2})).makespan().seconds() * 1e3;
  };
  const double first = together(conv(0, 375, 0.11070578), conv(1, 750, 0.12603733));
  EXPECT_GT(first, 0.12603733);
  EXPECT_LT(first, 0.11070578 + 0.12603733);
  EXPECT_NEAR(first, 0.16145067, 0.10 * 0.16145067);
  const double second = together(conv(0, 750, 0.12549689), conv(1, 375, 0.10604089));
  EXPECT_NEAR(second, 0.15448178, 0.10 * 0.15448178);
  // Sequentially they take 0.486 ms with the concatenation, in stages 0.333 (measured).
  EXPECT_NEAR(first + second + 0.01732267, 0.333, 0.10 * 0.333);
  printf("stage 1: %.4f ms (measured 0.1615), stage 2: %.4f ms (0.1545)\n", first, second);
}

// ---- random graphs -----------------------------------------------------------------------------

struct RandomPlans {
  explicit RandomPlans(std::uint64_t seed) : rng(StreamKey(seed, "plans").at(0)) {}
  double uniform() { return uniform01(rng); }
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(uniform_index(rng, n)); }

  ExecutorSpec spec() {
    ExecutorSpec s;
    const std::uint32_t n = 1 + below(4);
    for (std::uint32_t u = 0; u < n; ++u) s.units.push_back({"u", 1 + below(3), below(2)});
    s.memory_bandwidth = {1e9, uniform() < 0.3 ? std::numeric_limits<double>::infinity() : 2e9};
    return s;
  }

  PlanInput input(const ExecutorSpec& s) {
    PlanInput in;
    const std::uint32_t n = 1 + below(20);
    for (std::uint32_t i = 0; i < n; ++i) {
      PlannedOperator op;
      op.lane = below(s.lanes());
      op.fixed = uniform() < 0.5 ? below(3000) : 0;
      op.body = uniform() < 0.1 ? 0 : below(20'000);
      op.compute = static_cast<std::int64_t>(uniform() * static_cast<double>(op.body));
      op.bytes = uniform() < 0.7 ? uniform() * 40'000 : 0;
      op.occupancy = uniform();
      op.watts = uniform() * 5;
      in.operators.push_back(op);
      in.rank.push_back(i);
      for (std::uint32_t k = 0; k < 2 && i > 0; ++k)
        if (uniform() < 0.6) in.edges.push_back({below(i), i, uniform() < 0.3 ? below(5000) : 0});
    }
    if (uniform() < 0.3) in.overhead = below(4000);
    return in;
  }
  Rng rng;
};

TEST(GraphExecutor, LeapsEndWhereStepsDo) {
  std::uint64_t leapt = 0, instances = 0;
  for (std::uint64_t seed = 0; seed < 1500; ++seed) {
    RandomPlans random(seed);
    const ExecutorSpec spec = random.spec();
    std::vector<ExecutionPlan> plans;
    for (int i = 0; i < 3; ++i) plans.push_back(make_plan(random.input(spec), spec));
    GraphExecutor leap(spec), step(spec, false);
    std::vector<OperatorRun> runs;
    step.record(&runs);
    std::vector<FinishedInstance> a, b;
    const double load = 0.3 + random.uniform() * 1.5;
    Instant now;
    for (std::uint64_t k = 0; k < 12; ++k) {
      const ExecutionPlan& plan = plans[random.below(3)];
      now += Duration(static_cast<std::int64_t>(random.uniform() * 2 * load *
                                                static_cast<double>(plan.makespan().ns())));
      for (GraphExecutor* e : {&leap, &step})
        while (e->next() <= now) e->advance(e->next(), e == &leap ? a : b);
      ASSERT_NEAR(leap.energy(now), step.energy(now), 1e-12 * (1 + step.energy(now))) << seed;
      ASSERT_NEAR(leap.busy_seconds(now), step.busy_seconds(now), 1e-12) << seed;
      const auto priority = static_cast<std::int32_t>(random.below(2));
      leap.start(now, plan, k, priority);
      step.start(now, plan, k, priority);
      ++instances;
    }
    while (!leap.next().is_never()) leap.advance(leap.next(), a);
    while (!step.next().is_never()) step.advance(step.next(), b);
    ASSERT_EQ(a.size(), 12U);
    ASSERT_EQ(b.size(), 12U);
    for (std::size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i].tag, b[i].tag) << seed;
      ASSERT_EQ(a[i].at, b[i].at) << seed;
    }
    ASSERT_EQ(leap.operators_executed(), step.operators_executed());
    ASSERT_EQ(runs.size(), step.operators_executed());
    leapt += leap.instances_leapt();
  }
  EXPECT_GT(leapt, instances / 20);  // both ways were really taken
  EXPECT_LT(leapt, instances * 19 / 20);
}

TEST(GraphExecutor, LanesPrecedenceAndBandwidthHoldOnRandomGraphs) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    RandomPlans random(9000 + seed);
    const ExecutorSpec spec = random.spec();
    const PlanInput in = random.input(spec);
    const ExecutionPlan plan = make_plan(in, spec);
    GraphExecutor e(spec, false);
    std::vector<OperatorRun> runs;
    e.record(&runs);
    for (std::uint64_t k = 0; k < 4; ++k)
      e.start(Instant(static_cast<std::int64_t>(k) * 3000), plan, k,
              static_cast<std::int32_t>(k % 2));
    const auto ends = drain(e);
    ASSERT_EQ(ends.size(), 4U);
    std::map<std::pair<std::uint64_t, std::uint32_t>, OperatorRun> by;
    for (const OperatorRun& r : runs) by[{r.tag, r.op}] = r;
    ASSERT_EQ(by.size(), 4 * plan.size());
    double energy = 0, last = 0;
    for (const OperatorRun& r : runs) {
      // Nobody is faster than alone.
      ASSERT_GE((r.end - r.start).ns(), plan.at(r.op).alone(1)) << seed;
      energy += plan.at(r.op).watts * static_cast<double>(plan.at(r.op).alone(1)) * 1e-9;
      last = std::max(last, r.end.seconds());
      for (const OperatorRun& o : runs)  // one at a time on a lane
        if (&o != &r && o.lane == r.lane && o.start < r.end && r.start < o.end) {
          ASSERT_TRUE(o.end == o.start || r.end == r.start) << seed;
        }
    }
    for (std::uint64_t k = 0; k < 4; ++k)
      for (const PlanInput::Edge& edge : in.edges)
        ASSERT_GE((by[{k, edge.to}].start - by[{k, edge.from}].end).ns(), edge.delay) << seed;
    // Energy above idle depends on the work alone, whoever ran beside it: dates are rounded up to
    // whole ns, at most 5 W of them per operator.
    const double rounding = 5e-9 * static_cast<double>(runs.size());
    ASSERT_GE(e.energy(Instant::from_seconds(last + 1)), energy * (1 - 1e-12)) << seed;
    ASSERT_LE(e.energy(Instant::from_seconds(last + 1)), energy + rounding) << seed;
  }
}

TEST(GraphExecutor, ClearForgetsEverything) {
  const ExecutorSpec spec = units({1});
  const ExecutionPlan plan = make_plan(chain({op_us(0, 10), op_us(0, 10)}), spec);
  GraphExecutor e(spec);
  e.start(at_us(0), plan, 1);
  e.start(at_us(5), plan, 2);
  std::vector<std::uint64_t> lost;
  e.clear(at_us(12), lost);
  EXPECT_EQ(lost, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_TRUE(e.next().is_never());
  EXPECT_DOUBLE_EQ(e.energy(at_us(100)), 12e-6);
  e.start(at_us(200), plan, 3);
  EXPECT_EQ(drain(e).at(3), 220'000);
}

TEST(GraphExecutor, BadPlansAreRefused) {
  const ExecutorSpec spec = units({1});
  EXPECT_THROW(make_plan({}, spec), InputError);
  PlanInput in = chain({op_us(0, 1), op_us(1, 1)});
  EXPECT_THROW(make_plan(in, spec), InputError);  // lane out of range
  in = chain({op_us(0, 1), op_us(0, 1)});
  in.edges.push_back({1, 0, 0});
  EXPECT_THROW(make_plan(in, spec), InputError);  // cycle
  in = chain({op_us(0, 1, 100)});
  EXPECT_THROW(make_plan(in, units({1}, 0.0)), InputError);  // no bandwidth
}

}  // namespace
}  // namespace isthmus::devices
