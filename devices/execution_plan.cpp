#include "devices/execution_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "devices/graph_executor.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::devices {

namespace {

void check(const PlanInput& in, const ExecutorSpec& spec) {
  if (in.operators.empty()) throw InputError("execution plan: a graph without operators");
  if (in.rank.size() != in.operators.size())
    throw InputError(fmt::format("execution plan: {} ranks for {} operators", in.rank.size(),
                                 in.operators.size()));
  std::vector<double> bandwidth;  // of each lane's domain
  for (const ExecutorUnit& u : spec.units) {
    if (u.memory_domain >= spec.memory_bandwidth.size())
      throw InputError(fmt::format("execution plan: unit \"{}\" is in no memory domain", u.name));
    bandwidth.insert(bandwidth.end(), u.lanes, spec.memory_bandwidth[u.memory_domain]);
  }
  for (std::size_t i = 0; i < in.operators.size(); ++i) {
    const PlannedOperator& op = in.operators[i];
    if (op.lane >= bandwidth.size())
      throw InputError(fmt::format("execution plan: operator {} on lane {} of {}", i, op.lane,
                                   bandwidth.size()));
    if (op.fixed < 0 || op.body < 0 || op.compute < 0 || !(op.bytes >= 0) || !(op.watts >= 0) ||
        !(op.occupancy >= 0 && op.occupancy <= 1))
      throw InputError(fmt::format("execution plan: operator {} has a figure out of range", i));
    if (op.bytes > 0 && !(bandwidth[op.lane] > 0))
      throw InputError(fmt::format(
          "execution plan: operator {} moves {} bytes, but its unit has no memory bandwidth", i,
          op.bytes));
  }
  for (const PlanInput::Edge& e : in.edges) {
    if (e.from >= in.operators.size() || e.to >= in.operators.size() || e.delay < 0)
      throw InputError(fmt::format("execution plan: bad edge {} -> {}", e.from, e.to));
    if (in.rank[e.from] >= in.rank[e.to])
      throw InputError(fmt::format(
          "execution plan: operator {} needs the output of {}, which is ranked after it", e.to,
          e.from));
  }
  std::vector<std::uint32_t> ranks = in.rank;
  std::sort(ranks.begin(), ranks.end());
  if (std::adjacent_find(ranks.begin(), ranks.end()) != ranks.end())
    throw InputError("execution plan: two operators have the same rank");
}

}  // namespace

class PlanMaker {
 public:
  static ExecutionPlan make(const PlanInput& in, const ExecutorSpec& spec) {
    check(in, spec);
    ExecutionPlan plan;
    const std::size_t n = in.operators.size();
    plan.operators_ = in.operators;
    plan.overhead_ = in.overhead;

    // Edges by producer.
    plan.first_edge_.assign(n + 1, 0);
    plan.predecessors_.assign(n, 0);
    for (const PlanInput::Edge& e : in.edges) {
      ++plan.first_edge_[e.from + 1];
      ++plan.predecessors_[e.to];
    }
    std::partial_sum(plan.first_edge_.begin(), plan.first_edge_.end(), plan.first_edge_.begin());
    plan.edges_.resize(in.edges.size() + 1);  // one more: a past-the-end element to point at
    std::vector<std::uint32_t> at(plan.first_edge_.begin(), plan.first_edge_.end());
    for (const PlanInput::Edge& e : in.edges) plan.edges_[at[e.from]++] = {e.to, e.delay};
    for (std::uint32_t i = 0; i < n; ++i)
      if (plan.predecessors_[i] == 0) {
        plan.sources_.push_back(i);
        plan.predecessors_[i] = 1;  // the start of the instance
      }

    plan.order_.resize(spec.lanes());
    std::vector<std::uint32_t> by_rank(n);
    std::iota(by_rank.begin(), by_rank.end(), 0U);
    std::sort(by_rank.begin(), by_rank.end(),
              [&](std::uint32_t a, std::uint32_t b) { return in.rank[a] < in.rank[b]; });
    for (const std::uint32_t i : by_rank) plan.order_[in.operators[i].lane].push_back(i);

    std::vector<std::uint32_t> unit_of;
    for (std::uint32_t u = 0; u < spec.units.size(); ++u)
      unit_of.insert(unit_of.end(), spec.units[u].lanes, u);
    plan.unit_seconds_.assign(spec.units.size(), 0);
    for (const PlannedOperator& op : in.operators)
      plan.unit_seconds_[unit_of[op.lane]] += static_cast<double>(op.fixed + op.body) * 1e-9;

    run_idle(plan, spec);
    return plan;
  }

 private:
  static void run_idle(ExecutionPlan& plan, const ExecutorSpec& spec) {
    GraphExecutor executor(spec, false);
    std::vector<FinishedInstance> done;
    plan.idle_.push_back({});
    executor.start(Instant::zero(), plan, 0);
    for (;;) {
      const Instant t = executor.next();
      executor.advance(t, done);
      const IdleMark mark{t.ns(), executor.energy(t), executor.busy_seconds(t)};
      if (plan.idle_.back().at == mark.at)
        plan.idle_.back() = mark;
      else
        plan.idle_.push_back(mark);
      if (!done.empty()) return;
    }
  }
};

ExecutionPlan make_plan(const PlanInput& input, const ExecutorSpec& spec) {
  return PlanMaker::make(input, spec);
}

IdleMark ExecutionPlan::idle_at(std::int64_t ns) const {
  if (ns >= idle_.back().at) return idle_.back();
  const auto after = std::upper_bound(idle_.begin(), idle_.end(), ns,
                                      [](std::int64_t t, const IdleMark& m) { return t < m.at; });
  const IdleMark& b = *after;
  const IdleMark& a = *(after - 1);
  const double share = static_cast<double>(ns - a.at) / static_cast<double>(b.at - a.at);
  return {ns, a.energy + share * (b.energy - a.energy),
          a.busy_seconds + share * (b.busy_seconds - a.busy_seconds)};
}

}  // namespace isthmus::devices
