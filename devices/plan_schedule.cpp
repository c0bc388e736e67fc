#include "devices/plan_schedule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "sim/core/errors.hpp"

namespace isthmus::devices {

namespace {

// Plans are added up and scaled by clocks, so that they stay well below the range of time.
constexpr double longest = 1e9;  // s

std::int64_t to_ns(double seconds) {
  if (!(seconds < longest))
    throw InputError(fmt::format(
        "an operator or a transfer would take {:.3g} s: check the counts of the graph, the speeds "
        "of the units and unit_transfer",
        seconds));
  return Duration::from_seconds(seconds).ns();
}

std::uint32_t first_lane(const ExecutorSpec& spec, std::uint32_t unit) {
  std::uint32_t lane = 0;
  for (std::uint32_t u = 0; u < unit; ++u) lane += spec.units[u].lanes;
  return lane;
}

}  // namespace

ExecutorSpec executor_spec(std::span<const models::ComputeUnit> units, double bandwidth,
                           double memory_share) {
  ExecutorSpec spec;
  spec.memory_bandwidth.clear();
  const bool one_memory = std::isinf(bandwidth);
  std::vector<double> fastest, reached;  // per domain: of the memory, and by one unit alone
  std::size_t shared = ~std::size_t{0};
  for (const models::ComputeUnit& u : units) {
    const bool shares = one_memory || u.kind == models::UnitKind::cpu;
    if (!shares || shared == ~std::size_t{0}) {
      fastest.push_back(0);
      reached.push_back(0);
      if (shares) shared = fastest.size() - 1;
    }
    const std::size_t domain = shares ? shared : fastest.size() - 1;
    fastest[domain] = std::max(fastest[domain], u.memory_bandwidth);
    reached[domain] = std::max(reached[domain], u.memory_bandwidth * u.bandwidth_efficiency);
    spec.units.push_back({u.name, std::max(1U, u.streams), static_cast<std::uint32_t>(domain)});
  }
  // Together they never reach less than the best of them alone.
  for (std::size_t d = 0; d < fastest.size(); ++d) {
    const double together = std::max(fastest[d] * memory_share, reached[d]);
    spec.memory_bandwidth.push_back(together > 0 ? together
                                                 : std::numeric_limits<double>::infinity());
  }
  return spec;
}

std::vector<std::uint32_t> lanes_of(const ExecutorSpec& spec,
                                    std::span<const std::uint32_t> units) {
  std::vector<std::uint32_t> lanes;
  for (const std::uint32_t u : units)
    for (std::uint32_t k = 0; k < spec.units[u].lanes; ++k)
      lanes.push_back(first_lane(spec, u) + k);
  return lanes;
}

schedulers::TaskGraph lane_graph(const GraphPlan& plan, const ExecutorSpec& spec,
                                 std::span<const std::uint32_t> units) {
  const schedulers::TaskGraph by_unit = task_graph(plan);
  std::vector<std::uint32_t> unit_of;  // plan unit of each processor
  for (std::uint32_t k = 0; k < units.size(); ++k)
    unit_of.insert(unit_of.end(), spec.units[units[k]].lanes, k);
  const auto lanes = static_cast<std::uint32_t>(unit_of.size());
  if (lanes == by_unit.processors) return by_unit;

  schedulers::TaskGraph g = by_unit;
  g.processors = lanes;
  g.cost.resize(static_cast<std::size_t>(g.tasks) * lanes);
  for (std::uint32_t t = 0; t < g.tasks; ++t)
    for (std::uint32_t l = 0; l < lanes; ++l)
      g.cost[t * lanes + l] = by_unit.cost[t * by_unit.processors + unit_of[l]];
  const auto widen = [&](std::vector<double>& matrix) {
    if (matrix.empty()) return;
    std::vector<double> wide(static_cast<std::size_t>(lanes) * lanes, 0.0);
    for (std::uint32_t a = 0; a < lanes; ++a)
      for (std::uint32_t b = 0; b < lanes; ++b)
        if (unit_of[a] != unit_of[b])
          wide[a * lanes + b] = matrix[unit_of[a] * by_unit.processors + unit_of[b]];
    matrix = std::move(wide);
  };
  widen(g.transfer);
  widen(g.latency);
  return g;
}

PlanInput plan_input(const GraphPlan& plan, const schedulers::Schedule& schedule,
                     const ExecutorSpec& spec, std::span<const std::uint32_t> units,
                     std::span<const models::ComputeUnit> node_units) {
  const std::vector<std::uint32_t> lanes = lanes_of(spec, units);
  std::vector<std::uint32_t> unit_of;
  for (std::uint32_t k = 0; k < units.size(); ++k)
    unit_of.insert(unit_of.end(), spec.units[units[k]].lanes, k);
  const std::size_t n = plan.operators.size();
  if (schedule.tasks.size() != n || schedule.order.size() != n)
    throw InternalError("plan_input: the schedule is of another graph");

  PlanInput in;
  in.operators.resize(n);
  std::vector<std::uint32_t> plan_unit(n);
  double overhead = 0;
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::uint32_t processor = schedule.tasks[i].processor;
    const std::uint32_t k = plan_unit[i] = unit_of[processor];
    const OperatorTime& t = plan.at(i, k);
    if (t.total() > 0) overhead = std::max(overhead, plan.unit_overhead[k]);
    PlannedOperator& op = in.operators[i];
    op.lane = lanes[processor];
    op.fixed = to_ns(t.fixed);
    op.body = to_ns(t.body);
    op.compute = std::min(op.body, to_ns(t.compute));
    if (node_units[units[k]].kind == models::UnitKind::cpu) {
      op.body += op.fixed;
      op.compute += op.fixed;
      op.fixed = 0;
    }
    op.bytes = t.bytes;
    op.occupancy = t.body > 0 ? std::min(1.0, t.compute / t.body) : 0.0;
    op.watts = t.busy_power;
  }
  for (const schedulers::TaskEdge& e : plan.edges) {
    const std::uint32_t a = plan_unit[e.from], b = plan_unit[e.to];
    double delay = 0;
    if (a != b)
      delay = plan.transfer_latency[a * plan.units + b] +
              e.data * plan.transfer_seconds_per_byte[a * plan.units + b];
    in.edges.push_back({e.from, e.to, to_ns(delay)});
  }
  // By planned start; what starts together keeps the scheduler's order, which respects edges.
  std::vector<std::uint32_t> by_start = schedule.order;
  std::stable_sort(by_start.begin(), by_start.end(), [&](std::uint32_t a, std::uint32_t b) {
    return schedule.tasks[a].start < schedule.tasks[b].start;
  });
  in.rank.resize(n);
  for (std::uint32_t r = 0; r < n; ++r) in.rank[by_start[r]] = r;
  in.overhead = to_ns(overhead);
  return in;
}

}  // namespace isthmus::devices
