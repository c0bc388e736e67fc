// Operators on the units of nodes: plans, executors, and the events that drive them.
#include <algorithm>

#include "devices/graph_packing.hpp"
#include "devices/plan_schedule.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

struct PlannedGraph {
  devices::GraphPlan graph;
  std::vector<std::uint32_t> macro;  // of the graph's operators; empty: each is one
  schedulers::Schedule schedule;
};

PlannedGraph planned(const GraphExecution& e, const NodeGroup& group, std::int64_t batch) {
  std::vector<const models::GraphCost*> costs;
  std::vector<models::UnitKind> kinds;
  for (std::size_t k = 0; k < e.units.size(); ++k) {
    costs.push_back(e.costs[k].get());
    kinds.push_back(group.units[e.units[k]].kind);
  }
  const auto transfers =
      devices::UnitTransfers::of_node(kinds, group.unit_bandwidth, group.unit_latency);
  PlannedGraph p{devices::plan_graph(costs, batch, transfers), {}, {}};
  if (e.pack > 0) {
    devices::PackedPlan packed = devices::pack(p.graph, e.pack);
    p.graph = std::move(packed.plan);
    p.macro = std::move(packed.macro);
  }
  p.schedule = e.scheduler->make(*e.parameters)
                   ->schedule(devices::lane_graph(p.graph, group.executor, e.units));
  return p;
}

}  // namespace

devices::ExecutionPlan execution_plan(const GraphExecution& e, const NodeGroup& group,
                                      std::int64_t batch) {
  const PlannedGraph p = planned(e, group, batch);
  return devices::make_plan(
      devices::plan_input(p.graph, p.schedule, group.executor, e.units, group.units),
      group.executor);
}

std::vector<UnitMemory> memory_by_unit(const GraphExecution& e, const NodeGroup& group,
                                       std::int64_t batch) {
  const PlannedGraph p = planned(e, group, batch);
  std::vector<std::size_t> unit_of;  // of each lane
  for (std::size_t k = 0; k < e.units.size(); ++k)
    unit_of.insert(unit_of.end(), group.executor.units[e.units[k]].lanes, k);
  const models::GraphCost& cost =
      **std::find_if(e.costs.begin(), e.costs.end(), [](const auto& c) { return c != nullptr; });
  const models::OperatorGraph& graph = cost.graph();
  const auto runs_on = [&](std::size_t v) {
    return unit_of[p.schedule.tasks[p.macro.empty() ? v : p.macro[v]].processor];
  };
  std::vector<UnitMemory> memory(e.units.size());
  std::vector<double> live(e.units.size(), 0.0);
  std::vector<std::size_t> readers(graph.size());
  for (std::size_t v = 0; v < graph.size(); ++v) readers[v] = graph.successors(v).size();
  // A tensor is on the units of its producer and its readers.
  const auto change = [&](std::size_t v, double sign) {
    std::vector<bool> on(e.units.size(), false);
    on[runs_on(v)] = true;
    for (const std::size_t reader : graph.successors(v)) on[runs_on(reader)] = true;
    for (std::size_t k = 0; k < on.size(); ++k) {
      if (!on[k]) continue;
      live[k] += sign * cost.output_bytes(v, batch);
      memory[k].activations = std::max(memory[k].activations, live[k]);
    }
  };
  for (const std::size_t v : graph.topological_order()) {
    memory[runs_on(v)].weights += cost.weight_bytes(v);
    change(v, 1);
    for (const std::size_t u : graph.predecessors(v))
      if (--readers[u] == 0) change(u, -1);
  }
  return memory;
}

// Plans are made when a batch size comes up for the first time.
const devices::ExecutionPlan& World::plan_of(std::uint32_t service, std::size_t batch) {
  auto& plans = services_[service].plans;
  if (plans.size() < batch) plans.resize(batch);
  auto& plan = plans[batch - 1];
  if (!plan) {
    const Service& spec = scenario_.services[service];
    plan = std::make_shared<const devices::ExecutionPlan>(execution_plan(
        *spec.execution(), scenario_.nodes[spec.group], static_cast<std::int64_t>(batch)));
  }
  return *plan;
}

// Batch `index` of the replica waits for the weights of its model, where they may be away.
void World::start_on_units(std::uint32_t replica, std::uint32_t index) {
  const Replica& p = replicas_[replica];
  const std::uint32_t model = scenario_.services[p.service].cached;
  if (model == ~0U ||
      nodes_[p.node].cache->acquire(model, static_cast<std::uint64_t>(replica) << 32 | index, now_))
    return begin_on_units(replica, index);
  begin_with_weights(p.node, {});
}

// It joins whatever runs on the node.
void World::begin_on_units(std::uint32_t replica, std::uint32_t index) {
  Replica& p = replicas_[replica];
  Batch& b = p.batches[index];
  NodeState& n = nodes_[p.node];
  if (!n.executor) {
    n.executor = std::make_unique<devices::GraphExecutor>(scenario_.nodes[n.group].executor,
                                                          n.physics == nullptr);
    if (n.physics || slow(p.node) != 1)
      for (std::uint32_t u = 0; u < scenario_.nodes[n.group].units.size(); ++u)
        n.executor->set_speed(now_, u, (n.physics ? n.physics->speed(u) : 1.0) * slow(p.node));
  }
  if (scenario_.record_operators) n.executor->record(&operator_runs_[p.node]);
  const devices::ExecutionPlan& plan = plan_of(p.service, b.tags.size());
  b.watts = 0;
  b.nominal = plan.energy();
  if (n.physics) {
    b.work_before = n.physics->dynamic_energy(now_);
    b.nominal_before = n.nominal.energy(now_).value();
  }
  n.executor->start(now_, plan, static_cast<std::uint64_t>(replica) << 32 | index,
                    scenario_.services[p.service].execution()->priority);
  record_operators(p.node);
  if (n.physics) show_activity(p.node);
  watch_machine(p.node);
}

// Batches that a process takes with it when it ends.
void World::leave_units(std::uint32_t node, const std::vector<std::uint64_t>& batches) {
  NodeState& n = nodes_[node];
  if (batches.empty() || !n.executor) return;
  n.executor->drop(now_, batches);
  record_operators(node);
  if (n.physics) show_activity(node);
  watch_machine(node);
}

void World::on_machine_work(std::uint32_t node) {
  nodes_[node].machine_date = Instant::never();
  finished_.clear();
  nodes_[node].executor->advance(now_, finished_);
  record_operators(node);
  const std::vector<devices::FinishedInstance> ended = finished_;  // batches may start meanwhile
  for (const devices::FinishedInstance& f : ended) {
    const auto replica = static_cast<std::uint32_t>(f.tag >> 32);
    const auto batch = static_cast<std::uint32_t>(f.tag);
    Batch& b = replicas_[replica].batches[batch];
    if (!b.live) continue;
    b.nominal = f.energy;
    on_batch_done(replica, batch);
  }
  if (nodes_[node].physics) show_activity(node);
  watch_machine(node);
}

// Hands over what ended on the node since the last call; inputs take no time and are left out.
void World::record_operators(std::uint32_t node) {
  const auto runs = operator_runs_.find(node);
  if (runs == operator_runs_.end()) return;
  const NodeState& n = nodes_[node];
  for (const devices::OperatorRun& run : runs->second) {
    const Replica& p = replicas_[static_cast<std::uint32_t>(run.tag >> 32)];
    const auto& graph = graph_of(*scenario_.services[p.service].execution());
    if (graph.at(run.op).kind == models::OperatorKind::input) continue;
    recorder_.add(results::OperatorRecord{
        .start = run.start,
        .end = run.end,
        .group = n.group,
        .node = node - scenario_.nodes[n.group].first,
        .lane = codes_.lane_of[n.group][run.lane],
        .service = p.service,
        .replica = p.number,
        .op = codes_.operator_of[p.service][run.op],
        .kind = static_cast<std::uint32_t>(graph.at(run.op).kind)});
  }
  runs->second.clear();
}

// Keeps one event at the executor's next date.
void World::watch_machine(std::uint32_t node) {
  NodeState& n = nodes_[node];
  Instant next = n.executor->next();
  if (!next.is_never() && next < now_) next = now_;
  if (next == n.machine_date) return;
  queue_.cancel(n.machine_work);
  n.machine_date = next;
  n.machine_work =
      next.is_never() ? EventHandle() : queue_.push(next, EventKind::machine_work, node, 0);
}

double World::node_energy(const NodeState& n) const {
  if (n.physics) return n.physics->energy(now_) - n.energy_before;
  const double operators = n.executor ? n.executor->energy(now_) - n.energy_before : 0.0;
  return n.power.energy(now_).value() + operators;
}

double World::node_busy_seconds(const NodeState& n) const {
  const double operators = n.executor ? n.executor->busy_seconds(now_) - n.busy_before : 0.0;
  return n.busy_units.integral(now_) + operators;
}

}  // namespace isthmus::world
