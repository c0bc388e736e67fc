#include "scenarios/schedule_question.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "devices/graph_executor.hpp"
#include "devices/graph_plan.hpp"
#include "devices/plan_schedule.hpp"
#include "models/kernel_profile.hpp"
#include "scenarios/reader.hpp"
#include "schedulers/list_scheduler.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

using models::GraphCost;
using models::OperatorKind;
using nlohmann::json;
using schedulers::Schedule;
using schedulers::TaskGraph;

constexpr double infinity = std::numeric_limits<double>::infinity();

// A unit on which any format can be computed, so that the model is read whatever the device can.
constexpr const char* reading_unit = "reading";

LoadedScenario as_scenario(const ScheduleQuestion& q) {
  if (q.model.empty() || q.device.empty())
    throw InputError("name a model and a device (--on), or a scenario file");
  json node{{"device", q.device}};
  node["units"][reading_unit] = {{"kind", "cpu"},
                                 {"peak", {{"fp32", "1 PFLOPS"}}},
                                 {"memory_bandwidth", "1 GB/s"},
                                 {"memory", "1000 TB"}};
  const json own = own_model(q.model, q.sizes);
  json service{{"model", own.is_null() ? q.model : "own"}, {"on", "node"}, {"unit", reading_unit}};
  if (!q.variant.empty()) service["variant"] = q.variant;
  json scenario{
      {"isthmus", 1},
      {"name", "schedule"},
      {"duration", "1 s"},
      {"nodes", {{"node", node}}},
      {"services", {{"model", service}}},
      {"workload", json::array({{{"source", "poisson"}, {"rate", "1 /s"}, {"target", "model"}}})}};
  if (!own.is_null()) scenario["models"]["own"] = own;
  return load_text(scenario.dump(), q.set, "schedule", std::filesystem::current_path());
}

const world::Service& chosen_service(const world::Scenario& s, const std::string& name) {
  const world::Service* found = nullptr;
  std::vector<std::string> known;
  for (const world::Service& service : s.services) {
    if (!std::holds_alternative<world::GraphModel>(service.work)) continue;
    known.push_back(service.name);
    if (!name.empty() && service.name != name) continue;
    if (found)
      throw InputError(fmt::format("the scenario serves several graphs; name a service: {}",
                                   fmt::join(known, ", ")));
    found = &service;
  }
  if (found) return *found;
  throw InputError(known.empty()
                       ? "the scenario serves no operator graph; language models run in an engine "
                         "and service times have no operators"
                       : fmt::format("there is no service \"{}\" with a graph; {}", name,
                                     schedulers::hint(name, known)));
}

// Indices of the wanted units, by default all.
std::vector<std::uint32_t> chosen_units(const std::vector<models::ComputeUnit>& all,
                                        const std::vector<std::string>& wanted,
                                        const std::string& device) {
  std::vector<std::uint32_t> units, every;
  std::vector<std::string> known;
  for (std::uint32_t u = 0; u < all.size(); ++u) {
    if (all[u].name == reading_unit) continue;
    known.push_back(all[u].name);
    every.push_back(u);
  }
  for (const std::string& name : wanted) {
    const auto it = std::find(known.begin(), known.end(), name);
    if (it == known.end())
      throw InputError(fmt::format("\"{}\" has no unit \"{}\"; {}", device, name,
                                   schedulers::hint(name, known)));
    const std::uint32_t u = every[static_cast<std::size_t>(it - known.begin())];
    if (std::find(units.begin(), units.end(), u) != units.end())
      throw InputError(fmt::format("unit \"{}\" is named twice", name));
    units.push_back(u);
  }
  return wanted.empty() ? every : units;
}

// The graph's cost on each unit; none, with the reason, where a unit cannot compute the format.
struct Costs {
  std::vector<std::optional<GraphCost>> of_unit;
  std::vector<std::string> refusals;

  std::vector<const GraphCost*> pointers() const {
    std::vector<const GraphCost*> p;
    for (const auto& c : of_unit) p.push_back(c ? &*c : nullptr);
    return p;
  }
};

Costs costs_of(const GraphCost& any, const std::vector<models::ComputeUnit>& all,
               const std::vector<std::uint32_t>& units) {
  Costs costs;
  std::map<std::string, std::shared_ptr<const models::KernelProfile>> profiles;
  for (const std::uint32_t i : units) {
    const models::ComputeUnit& u = all[i];
    std::shared_ptr<const models::KernelProfile> profile;
    if (!u.profile.empty()) {
      auto& known = profiles[u.profile];
      if (!known)
        known =
            std::make_shared<const models::KernelProfile>(models::KernelProfile::load(u.profile));
      profile = known;
    }
    costs.refusals.emplace_back();
    costs.of_unit.emplace_back();
    try {
      costs.of_unit.back().emplace(any.on(u, profile));
    } catch (const InputError& e) {
      const std::string why = e.what();  // the advice after the colon is for whoever adds units
      costs.refusals.back() = why.substr(0, why.rfind(": give"));
    }
  }
  if (std::none_of(costs.of_unit.begin(), costs.of_unit.end(), [](auto& c) { return c; }))
    throw InputError(fmt::format("no unit can run the graph: {}", fmt::join(costs.refusals, "; ")));
  return costs;
}

double transfer_time(const devices::GraphPlan& plan, std::uint32_t from, std::uint32_t to,
                     double bytes) {
  if (from == to) return 0;
  const std::size_t pair = static_cast<std::size_t>(from) * plan.units + to;
  return plan.transfer_latency[pair] + bytes * plan.transfer_seconds_per_byte[pair];
}

// Where a processor of list schedulers is.
struct Lane {
  std::uint32_t unit = 0, lane = 0;
};

// One instance on an idle node, as a list scheduler wants it.
struct Execution {
  Schedule planned;
  std::vector<devices::OperatorRun> runs;  // by operator
  double overhead = 0, makespan = 0, energy = 0;
  std::uint64_t transfers = 0;
};

class Node {
 public:
  Node(const world::NodeGroup& group, const std::vector<std::uint32_t>& units,
       const devices::GraphPlan& plan)
      : group_(group),
        units_(units),
        plan_(plan),
        tasks_(devices::lane_graph(plan, group.executor, units)) {
    for (std::uint32_t k = 0; k < units.size(); ++k)
      for (std::uint32_t l = 0; l < group.executor.units[units[k]].lanes; ++l)
        lanes_.push_back({k, l});
  }

  const std::vector<Lane>& lanes() const { return lanes_; }

  Execution execute(const schedulers::PolicyEntry<schedulers::ListScheduler>& entry,
                    const schedulers::Parameters& parameters) const {
    Execution e;
    e.planned = entry.make(parameters)->schedule(tasks_);
    const devices::PlanInput input =
        devices::plan_input(plan_, e.planned, group_.executor, units_, group_.units);
    const devices::ExecutionPlan plan = devices::make_plan(input, group_.executor);
    devices::GraphExecutor executor(group_.executor, false);
    std::vector<devices::OperatorRun> runs;
    std::vector<devices::FinishedInstance> done;
    executor.record(&runs);
    executor.start(Instant::zero(), plan, 0);
    while (!executor.next().is_never()) executor.advance(executor.next(), done);
    e.runs.resize(runs.size());
    for (const devices::OperatorRun& r : runs) e.runs[r.op] = r;
    e.overhead = Duration(plan.overhead()).seconds();
    e.makespan = plan.makespan().seconds();
    e.energy = plan.energy();
    for (const schedulers::TaskEdge& edge : plan_.edges)
      e.transfers += unit(e.planned, edge.from) != unit(e.planned, edge.to);
    return e;
  }

  std::uint32_t unit(const Schedule& s, std::uint32_t task) const {
    return lanes_[s.tasks[task].processor].unit;
  }

 private:
  const world::NodeGroup& group_;
  const std::vector<std::uint32_t>& units_;
  const devices::GraphPlan& plan_;
  TaskGraph tasks_;
  std::vector<Lane> lanes_;
};

// Everything on one unit: no choice is left.
void fill_alone(const devices::GraphPlan& plan, const GraphCost* cost, const Costs& costs,
                std::uint32_t u, ScheduledUnit& unit) {
  unit.alone = plan.unit_overhead[u];
  unit.refusal = costs.refusals[u];
  if (!cost) {
    unit.alone = unit.alone_energy = infinity;
    return;
  }
  double inputs = 0;  // from the host, where there is one
  for (std::uint32_t v = 0; v < plan.operators.size(); ++v) {
    const devices::OperatorTime& t = plan.at(v, u);
    if (cost->graph().at(v).kind == OperatorKind::input) {
      for (std::uint32_t host = 0; host < plan.units; ++host)
        if (!t.runnable && plan.at(v, host).runnable)
          inputs = std::max(inputs, transfer_time(plan, host, u, plan.output_bytes[v]));
    } else if (!t.runnable) {
      unit.refusal = fmt::format("does not support {} ('{}')",
                                 models::name_of(cost->graph().at(v).kind), plan.operators[v]);
      unit.alone = unit.alone_energy = infinity;
      return;
    } else {
      unit.alone += t.total();
      unit.alone_energy += t.total() * t.busy_power;
    }
  }
  unit.alone += inputs;
}

// The chain of operators and transfers that decides the end, marked; `shown` and `sent` map
// operators and edges to their places in s, -1 = not there.
void mark_critical(const devices::GraphPlan& plan, const Node& node, const Execution& e,
                   const std::vector<int>& shown, const std::vector<int>& sent, GraphSchedule& s) {
  const auto close = [](Instant a, Instant b) { return (a > b ? a - b : b - a).ns() <= 1; };
  std::uint32_t at = 0;
  for (std::uint32_t v = 0; v < e.runs.size(); ++v)
    if (e.runs[v].end > e.runs[at].end) at = v;
  for (std::size_t steps = 0; steps <= e.runs.size(); ++steps) {
    const devices::OperatorRun& run = e.runs[at];
    if (shown[at] >= 0) s.operators[static_cast<std::size_t>(shown[at])].critical = true;
    // What it waited for: a tensor, or its lane.
    int before = -1;
    for (std::size_t i = 0; i < plan.edges.size() && before < 0; ++i) {
      const schedulers::TaskEdge& edge = plan.edges[i];
      if (edge.to != at) continue;
      const double seconds =
          transfer_time(plan, node.unit(e.planned, edge.from), node.unit(e.planned, at), edge.data);
      if (!close(e.runs[edge.from].end + Duration::from_seconds(seconds), run.start)) continue;
      before = static_cast<int>(edge.from);
      if (sent[i] >= 0) s.transfers[static_cast<std::size_t>(sent[i])].critical = true;
    }
    for (std::uint32_t v = 0; v < e.runs.size() && before < 0; ++v) {
      const devices::OperatorRun& other = e.runs[v];
      if (v != at && other.lane == run.lane && other.end > other.start &&
          close(other.end, run.start))
        before = static_cast<int>(v);
    }
    if (before < 0) return;
    at = static_cast<std::uint32_t>(before);
  }
}

// Lower bounds that hold whatever a scheduler does.
void fill_bounds(const models::OperatorGraph& graph, const devices::GraphPlan& plan,
                 const std::vector<const GraphCost*>& costs, std::size_t lanes, GraphSchedule& s) {
  std::vector<double> least;
  double overhead = infinity;
  for (std::uint32_t v = 0; v < plan.operators.size(); ++v) {
    least.push_back(infinity);
    for (std::uint32_t u = 0; u < plan.units; ++u)
      if (plan.at(v, u).runnable) least.back() = std::min(least.back(), plan.at(v, u).total());
  }
  for (std::uint32_t u = 0; u < plan.units; ++u)
    if (costs[u]) overhead = std::min(overhead, plan.unit_overhead[u]);
  const double work = std::accumulate(least.begin(), least.end(), 0.0);
  s.path_bound = overhead + graph.critical_path(least).cost;
  s.work_bound = overhead + work / static_cast<double>(lanes);
}

}  // namespace

GraphSchedule schedule(const ScheduleQuestion& asked) {
  ScheduleQuestion q = asked;
  if (const std::size_t slash = q.device.find('/'); slash != std::string::npos) {
    if (!q.units.empty()) throw InputError("give the units after the device or apart, not both");
    q.units = {q.device.substr(slash + 1)};
    q.device.resize(slash);
  }
  if (q.batch < 1 || q.batch > 1'000'000)
    throw InputError(fmt::format("--batch must be between 1 and 1000000, not {}", q.batch));
  if (!q.scenario.empty() && !(q.model.empty() && q.device.empty()))
    throw InputError("give either a model and a device, or a scenario file");
  const schedulers::PolicyEntry<schedulers::ListScheduler>* entry = &schedulers::find_entry(
      schedulers::list_schedulers(), q.scheduler.empty() ? "heft" : q.scheduler);
  schedulers::Parameters parameters(entry->parameters);
  const LoadedScenario loaded = q.scenario.empty() ? as_scenario(q) : load(q.scenario, q.set);
  const world::Service& service = chosen_service(*loaded.scenario, q.service);
  const world::NodeGroup& group = loaded.scenario->nodes[service.group];
  const std::string device = group.device.empty() ? group.name : group.device;
  std::vector<std::uint32_t> units = chosen_units(group.units, q.units, device);
  if (const world::GraphExecution* own = service.execution()) {
    if (q.units.empty()) units = own->units;
    if (q.scheduler.empty()) {
      entry = own->scheduler;
      parameters = *own->parameters;
    }
  }
  const Costs costs = costs_of(*std::get<world::GraphModel>(service.work).cost, group.units, units);

  const auto pointers = costs.pointers();
  std::vector<models::UnitKind> kinds;
  for (const std::uint32_t u : units) kinds.push_back(group.units[u].kind);
  const devices::GraphPlan plan = devices::plan_graph(
      pointers, q.batch,
      devices::UnitTransfers::of_node(kinds, group.unit_bandwidth, group.unit_latency));
  const models::OperatorGraph& graph =
      (*std::find_if(pointers.begin(), pointers.end(), [](auto* p) { return p; }))->graph();
  const Node node(group, units, plan);
  const Execution e = node.execute(*entry, parameters);

  GraphSchedule s;
  s.model = service.model == "own" && !q.model.empty() ? q.model : service.model;
  s.variant = service.variant;
  s.device = device;
  s.scheduler = entry->name;
  s.batch = q.batch;
  s.overhead = e.overhead;
  s.makespan = e.makespan;
  s.planned = e.overhead + e.planned.makespan;
  s.energy = e.energy;
  s.optimal = e.planned.optimal;
  for (std::uint32_t k = 0; k < units.size(); ++k) {
    const models::ComputeUnit& u = group.units[units[k]];
    ScheduledUnit unit;
    unit.name = u.name;
    unit.kind = models::name_of(u.kind);
    unit.lanes = group.executor.units[units[k]].lanes;
    fill_alone(plan, pointers[k], costs, k, unit);
    if (std::isfinite(unit.alone) &&
        (s.best_alone < 0 || unit.alone < s.units[static_cast<std::size_t>(s.best_alone)].alone))
      s.best_alone = static_cast<int>(k);
    s.units.push_back(std::move(unit));
  }

  // Operators by start, inputs left out; then what crosses between units.
  const auto seconds = [](Instant t) { return (t - Instant::zero()).seconds(); };
  std::vector<std::uint32_t> order(e.runs.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return e.runs[a].start < e.runs[b].start;
  });
  std::vector<int> shown(e.runs.size(), -1), sent(plan.edges.size(), -1);
  double error = 0, work = 0;
  for (const std::uint32_t v : order) {
    const models::Operator& op = graph.at(v);
    if (op.kind == OperatorKind::input) continue;
    const Lane lane = node.lanes()[e.planned.tasks[v].processor];
    const devices::OperatorTime& time = plan.at(v, lane.unit);
    const models::Prediction p = pointers[lane.unit]->operator_time(v, q.batch);
    const double start = seconds(e.runs[v].start), end = seconds(e.runs[v].end);
    shown[v] = static_cast<int>(s.operators.size());
    s.operators.push_back({.name = op.name,
                           .kind = std::string(models::name_of(op.kind)),
                           .module = op.module,
                           .unit = lane.unit,
                           .lane = lane.lane,
                           .start = start,
                           .end = end,
                           .flops = op.flops * static_cast<double>(q.batch),
                           .bytes = time.bytes,
                           .evidence = p.kind});
    ScheduledUnit& unit = s.units[lane.unit];
    ++unit.operators;
    unit.busy += end - start;
    unit.energy += time.total() * time.busy_power;
    error += time.total() * p.relative_error;
    work += time.total();
  }
  s.relative_error = work > 0 ? error / work : 0;
  for (std::size_t i = 0; i < plan.edges.size(); ++i) {
    const schedulers::TaskEdge& edge = plan.edges[i];
    const Lane a = node.lanes()[e.planned.tasks[edge.from].processor];
    const Lane b = node.lanes()[e.planned.tasks[edge.to].processor];
    if (a.unit == b.unit) continue;
    const double start = seconds(e.runs[edge.from].end);
    sent[i] = static_cast<int>(s.transfers.size());
    s.transfers.push_back({.from = plan.operators[edge.from],
                           .to = plan.operators[edge.to],
                           .from_unit = a.unit,
                           .from_lane = a.lane,
                           .to_unit = b.unit,
                           .to_lane = b.lane,
                           .start = start,
                           .end = start + transfer_time(plan, a.unit, b.unit, edge.data),
                           .bytes = edge.data});
  }
  mark_critical(plan, node, e, shown, sent, s);
  std::stable_sort(s.transfers.begin(), s.transfers.end(),
                   [](const auto& a, const auto& b) { return a.start < b.start; });
  fill_bounds(graph, plan, pointers, node.lanes().size(), s);

  if (q.compare)
    for (const auto& other : schedulers::list_schedulers()) {
      ScheduleAlternative a;
      a.scheduler = other.name;
      try {
        const Execution o = node.execute(other, schedulers::Parameters(other.parameters));
        a.makespan = o.makespan;
        a.planned = o.overhead + o.planned.makespan;
        a.transfers = o.transfers;
        a.optimal = o.planned.optimal;
      } catch (const InputError& refused) {
        a.refusal = refused.what();
      }
      s.compared.push_back(std::move(a));
    }
  return s;
}

}  // namespace isthmus::scenarios
