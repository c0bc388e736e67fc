#include "devices/graph_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "devices/unit_power.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::devices {

namespace {

using models::GraphCost;
using models::Operator;
using models::OperatorGraph;
using models::OperatorKind;

// Fused graphs of one plan are copies of each other; a caller that mixed up two graphs learns it.
void require_same_graph(const GraphCost& a, const GraphCost& b) {
  const auto differ = [&](const std::string& what) {
    throw InputError(fmt::format("units '{}' and '{}' are timed for different graphs: {}",
                                 a.unit().name, b.unit().name, what));
  };
  const OperatorGraph &g = a.graph(), &h = b.graph();
  if (g.size() != h.size()) differ(fmt::format("{} and {} operators", g.size(), h.size()));
  for (std::size_t v = 0; v < g.size(); ++v) {
    if (g.at(v).name != h.at(v).name || g.at(v).kind != h.at(v).kind ||
        g.at(v).output != h.at(v).output || g.predecessors(v) != h.predecessors(v))
      differ(fmt::format("operator '{}' against '{}'", g.at(v).name, h.at(v).name));
    if (a.output_bytes(v, 1) != b.output_bytes(v, 1))
      differ(fmt::format("formats of operator '{}'", g.at(v).name));
  }
}

void require_transfers(const UnitTransfers& t, std::size_t units) {
  if (t.bandwidth.size() != units * units || t.latency.size() != units * units)
    throw InputError(
        fmt::format("transfers between {} units need {} bandwidths and latencies, "
                    "not {} and {}",
                    units, units * units, t.bandwidth.size(), t.latency.size()));
  for (std::size_t i = 0; i < units * units; ++i) {
    if (i % (units + 1) == 0) continue;  // within one unit
    if (!(t.bandwidth[i] > 0))
      throw InputError(
          fmt::format("the bandwidth from unit {} to unit {} must be positive, not {} "
                      "bytes/s",
                      i / units, i % units, t.bandwidth[i]));
    if (!(t.latency[i] >= 0 && t.latency[i] < std::numeric_limits<double>::infinity()))
      throw InputError(
          fmt::format("the latency from unit {} to unit {} must be finite and not "
                      "negative, not {} s",
                      i / units, i % units, t.latency[i]));
  }
  if (t.host < -1 || t.host >= static_cast<int>(units))
    throw InputError(fmt::format("there is no unit {} to hold the inputs", t.host));
}

OperatorTime time_of(const GraphCost* cost, std::size_t v, std::int64_t batch) {
  if (!cost || !cost->unit().supports(cost->graph().at(v).kind)) return {};
  const models::OperatorTimeParts parts = cost->operator_parts(v, batch);
  const double share = cost->operator_time(v, batch).compute_share;
  const double power = active_power(cost->unit(), share).value();
  return {true, parts.launch, parts.body, parts.compute, parts.memory, parts.bytes, power};
}

[[noreturn]] void fail_no_unit(const Operator& op, std::span<const GraphCost* const> costs) {
  std::string units;
  for (std::size_t u = 0; u < costs.size(); ++u)
    units +=
        fmt::format("{}{}", u ? ", " : "",
                    costs[u] ? fmt::format("'{}' does not support the kind", costs[u]->unit().name)
                             : fmt::format("unit {} cannot compute the format", u));
  throw InputError(fmt::format("no unit can run operator '{}' of kind {}: {}; add a unit that can",
                               op.name, models::name_of(op.kind), units));
}

}  // namespace

UnitTransfers UnitTransfers::shared_memory(std::uint32_t units, double latency) {
  const std::size_t pairs = static_cast<std::size_t>(units) * units;
  return {std::vector<double>(pairs, std::numeric_limits<double>::infinity()),
          std::vector<double>(pairs, latency), -1};
}

UnitTransfers UnitTransfers::of_node(std::span<const models::UnitKind> kinds, double bandwidth,
                                     double latency) {
  const std::size_t units = kinds.size();
  UnitTransfers t = shared_memory(static_cast<std::uint32_t>(units), latency);
  if (bandwidth == std::numeric_limits<double>::infinity()) return t;
  for (std::size_t from = 0; from < units; ++from) {
    if (kinds[from] == models::UnitKind::cpu && t.host < 0) t.host = static_cast<int>(from);
    for (std::size_t to = 0; to < units; ++to)
      if (kinds[from] != models::UnitKind::cpu || kinds[to] != models::UnitKind::cpu)
        t.bandwidth[from * units + to] = bandwidth;
  }
  return t;
}

GraphPlan plan_graph(std::span<const GraphCost* const> costs, std::int64_t batch,
                     const UnitTransfers& transfers) {
  if (batch < 1) throw InputError(fmt::format("a batch has at least one input, not {}", batch));
  const auto first =
      std::find_if(costs.begin(), costs.end(), [](const GraphCost* c) { return c != nullptr; });
  if (first == costs.end()) throw InputError("no unit of the node can compute the model's format");
  for (auto it = first + 1; it != costs.end(); ++it)
    if (*it) require_same_graph(**first, **it);
  require_transfers(transfers, costs.size());

  const GraphCost& any = **first;
  const OperatorGraph& graph = any.graph();
  GraphPlan plan;
  plan.units = static_cast<std::uint32_t>(costs.size());
  for (const GraphCost* c : costs) {
    const double overhead = c ? c->unit().iteration_overhead.seconds() : 0;
    plan.unit_overhead.push_back(overhead);
    plan.iteration_overhead = std::max(plan.iteration_overhead, overhead);
  }
  plan.transfer_latency = transfers.latency;
  for (const double b : transfers.bandwidth) plan.transfer_seconds_per_byte.push_back(1 / b);
  for (std::size_t u = 0; u < costs.size(); ++u)
    plan.transfer_seconds_per_byte[u * (costs.size() + 1)] =
        plan.transfer_latency[u * (costs.size() + 1)] = 0;

  plan.times.reserve(graph.size() * costs.size());
  for (std::size_t v = 0; v < graph.size(); ++v) {
    const Operator& op = graph.at(v);
    const bool input = op.kind == OperatorKind::input;
    plan.operators.push_back(op.name);
    plan.output_bytes.push_back(any.output_bytes(v, batch));
    bool runnable = false;
    for (std::size_t u = 0; u < costs.size(); ++u) {
      OperatorTime t = time_of(costs[u], v, batch);
      // The host needs no speed of its own to hold the inputs.
      if (input) t = {.runnable = transfers.host < 0 || static_cast<int>(u) == transfers.host};
      runnable |= t.runnable;
      plan.times.push_back(t);
    }
    if (!runnable) fail_no_unit(op, costs);
    for (const std::size_t p : graph.predecessors(v))
      if (transfers.host >= 0 || graph.at(p).kind != OperatorKind::input)
        plan.edges.push_back(
            {static_cast<std::uint32_t>(p), static_cast<std::uint32_t>(v), plan.output_bytes[p]});
  }
  return plan;
}

schedulers::TaskGraph task_graph(const GraphPlan& plan) {
  schedulers::TaskGraph g;
  g.tasks = static_cast<std::uint32_t>(plan.operators.size());
  g.processors = plan.units;
  for (const OperatorTime& t : plan.times)
    g.cost.push_back(t.runnable ? t.total() : schedulers::cannot_run);
  g.edges = plan.edges;
  g.transfer = plan.transfer_seconds_per_byte;
  g.latency = plan.transfer_latency;
  g.memory = plan.output_bytes;
  return g;
}

double iteration_overhead(const GraphPlan& plan, const schedulers::Schedule& schedule) {
  double overhead = 0;
  for (const schedulers::ScheduledTask& t : schedule.tasks)
    if (plan.at(t.task, t.processor).total() > 0)
      overhead = std::max(overhead, plan.unit_overhead[t.processor]);
  return overhead;
}

}  // namespace isthmus::devices
