// Clocks, heat and batteries of nodes: what work draws, and how fast it runs.
#include <algorithm>

#include "sim/world/saturated.hpp"
#include "sim/world/sharing.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

void World::open_physics(std::uint32_t node) {
  NodeState& n = nodes_[node];
  const NodeGroup& group = scenario_.nodes[n.group];
  n.physics = std::make_unique<devices::NodePhysics>(group.physics, now_);
  n.loads.resize(group.units.size());
  draw(node, group.base_power);
  watch_physics(node);
}

// Power outside units: base, radio. `watts` is the change.
void World::draw(std::uint32_t node, double watts) {
  NodeState& n = nodes_[node];
  if (!n.physics) {
    n.power.change(now_, Watts(watts));
    return;
  }
  n.other_power += watts;
  n.physics->set_other_power(now_, n.other_power);
  watch_physics(node);
}

// A service that has `units` of a kind alone begins (or, negative, ends) to work.
void World::occupy(std::uint32_t node, std::uint32_t unit, double units, double watts) {
  NodeState& n = nodes_[node];
  n.busy_units.change(now_, units);
  if (!n.physics) {
    n.power.change(now_, Watts(watts));
    return;
  }
  const NodeGroup& group = scenario_.nodes[n.group];
  const double of = group.count_of(unit);
  NodeState::UnitLoad& l = n.loads[unit];
  l.busy += units / of;
  l.watts += watts;
  if (l.busy < 1e-12) l.busy = l.watts = 0;  // no rounding is left behind
  show_activity(node);
}

// Tells the physics what the units do.
void World::show_activity(std::uint32_t node) {
  NodeState& n = nodes_[node];
  double nominal = 0;
  for (std::uint32_t u = 0; u < n.loads.size(); ++u) {
    const NodeState::UnitLoad& l = n.loads[u];
    devices::UnitActivity a;
    a.busy = l.busy;
    a.dynamic_power = l.watts;
    a.pending = l.pending;
    a.deadline = l.deadline;
    if (n.executor) {
      a.busy += n.executor->busy(u);
      a.dynamic_power += n.executor->watts(u);
    }
    a.busy = std::min(1.0, a.busy);
    nominal += a.dynamic_power;
    n.physics->set_activity(now_, u, a);
  }
  if (nominal != n.nominal.power().value()) n.nominal.set(now_, Watts(nominal));
  watch_physics(node);
}

// Work and deadlines that governors see.
void World::look_at_pending(std::uint32_t node) {
  NodeState& n = nodes_[node];
  for (std::uint32_t u = 0; u < n.loads.size(); ++u) {
    n.loads[u].pending = n.executor ? n.executor->pending(u) : 0.0;
    n.loads[u].deadline = Instant::never();
  }
  for (const std::uint32_t id : n.replicas) {
    Replica& p = replicas_[id];
    const Service& service = scenario_.services[p.service];
    if (!p.server || p.phase == ReplicaPhase::gone) continue;
    // Work counts where it runs; of a spread graph that waits, on the units of its plan.
    std::vector<std::uint32_t> units{service.unit};
    const double waiting = p.server->waiting() + (p.line ? p.line->size() : 0);
    double one = 0;
    if (const GraphExecution* e = service.execution()) {
      units = e->units;
      const devices::ExecutionPlan& plan = plan_of(p.service, 1);
      for (const std::uint32_t u : units) n.loads[u].pending += waiting * plan.unit_seconds(u);
    } else if (const auto* law = std::get_if<ServiceLaw>(&service.work)) {
      one = law->time.mean() + law->per_item;
    } else if (const auto* graph = std::get_if<GraphModel>(&service.work)) {
      one = graph->cost->batch(1).time.seconds();
    }
    n.loads[service.unit].pending += waiting * one;
    const auto urge = [&](std::uint64_t tag) {
      Request* r = find(Handle::unpack(tag));
      if (!r) return;
      const Workload& w = scenario_.workloads[r->record.workload];
      Duration limit = w.request.deadline;
      for (const results::Objective& o : scenario_.objectives)
        if (o.metric == "latency") limit = std::min(limit, o.target);
      if (limit == Duration::max()) return;
      for (const std::uint32_t u : units)
        n.loads[u].deadline = std::min(n.loads[u].deadline, r->record.created + limit);
    };
    const bool urgent = n.physics->wants_deadlines();
    if (urgent) p.server->for_each_waiting(urge);
    if (urgent && p.line) p.line->for_each_waiting(urge);
    for (const Batch& b : p.batches) {
      if (!b.live) continue;
      if (urgent)
        for (const std::uint64_t tag : b.tags) urge(tag);
      if (service.execution()) continue;
      const double gone = (now_ - b.since).seconds() / b.seconds;
      const double whole = b.law_seconds > 0 ? b.law_seconds : batch_seconds(p, b, 1);
      n.loads[service.unit].pending += std::max(0.0, b.left - gone) * whole;
    }
  }
  show_activity(node);
}

void World::on_machine_tick(std::uint32_t node) {
  NodeState& n = nodes_[node];
  n.physics_date = Instant::never();
  look_at_pending(node);
  const bool changed = n.physics->tick(now_);
  if (scenario_.nodes[n.group].physics->trace) take_samples(node);
  if (n.physics->shut_down() && n.up) {
    fail_node(node);
  } else if (changed) {
    take_over_clocks(node);
  }
  watch_physics(node);
}

// Running work goes on at the new clocks, or at the new speed of a machine that was slowed down to `before`.
void World::take_over_clocks(std::uint32_t node, double before) {
  NodeState& n = nodes_[node];
  if (n.executor) {
    for (std::uint32_t u = 0; u < scenario_.nodes[n.group].units.size(); ++u)
      n.executor->set_speed(now_, u, (n.physics ? n.physics->speed(u) : 1.0) * slow(node));
    watch_machine(node);
  }
  for (const std::uint32_t id : n.replicas) {
    Replica& p = replicas_[id];
    if (p.phase == ReplicaPhase::gone) continue;
    const Service& service = scenario_.services[p.service];
    if (p.engine && p.engine->busy()) {  // the next one is at the new clock
      if (before == slow(node)) interrupt_span(id);
      else cut_span(id);
    }
    if (service.execution()) continue;
    for (std::uint32_t i = 0; i < p.batches.size(); ++i) {
      const Batch& b = p.batches[i];
      if (b.live)
        retime(id, i, n.physics ? batch_seconds(p, b, n.physics->speed(service.unit)) / slow(node)
                                : b.seconds * before / slow(node));
    }
  }
  if (n.physics) show_activity(node);
}

// Share of their speed that slow machines and neighbours on its accelerator leave to what the replica runs.
double World::pace(std::uint32_t replica) const {
  return slow(replicas_[replica].node) * (sharing_ ? sharing_->speed(replica) : 1.0);
}

// What it runs on a shared accelerator takes `factor` times as long from now on; engines follow between two
// iterations.
void World::change_pace(std::uint32_t id, double factor) {
  Replica& p = replicas_[id];
  if (p.engine) {
    if (p.engine->busy() && engine_speeds_[id] != pace(id) * p.speed) cut_span(id);
    return;
  }
  if (factor == 1) return;
  for (std::uint32_t i = 0; i < p.batches.size(); ++i)
    if (p.batches[i].live) retime(id, i, p.batches[i].seconds * factor);
}

// From now on the whole batch would take `seconds`; what is left of it ends accordingly.
void World::retime(std::uint32_t replica, std::uint32_t batch, double seconds) {
  Batch& b = replicas_[replica].batches[batch];
  b.left = std::max(0.0, b.left - (now_ - b.since).seconds() / b.seconds);
  b.since = now_;
  b.seconds = seconds;
  queue_.cancel(b.done);
  b.done = queue_.push(now_ + saturated(b.left * b.seconds), EventKind::work_done, replica, batch);
}

// A batch at a relative clock: arithmetic stretches, memory traffic and launches do not.
double World::batch_seconds(const Replica& p, const Batch& b, double speed) {
  if (b.law_seconds > 0) return b.law_seconds / speed + b.extra;
  double seconds = 0;
  for (const Batch::Part& part : b.parts) {
    const auto [it, fresh] =
        services_[p.service].clocked_seconds.emplace(std::tuple(part.cost, part.size, speed), 0.0);
    if (fresh && speed == 1) {
      it->second = part.cost->batch(part.size).time.seconds();
    } else if (fresh) {
      it->second = part.cost->unit().iteration_overhead.seconds();
      for (std::size_t i = 0; i < part.cost->graph().size(); ++i) {
        const models::OperatorTimeParts t = part.cost->operator_parts(i, part.size);
        it->second += t.launch + std::max(t.body, t.compute / speed);
      }
    }
    seconds += part.sign * it->second;
  }
  return std::max(b.extra + b.factor * seconds, 1e-12);
}

// What a batch drew above idle: its share of the work that ran on the node meanwhile.
double World::joules_of(const NodeState& n, const Batch& b) const {
  if (!n.physics) return b.nominal;
  const double nominal = n.nominal.energy(now_).value() - b.nominal_before;
  return nominal > 0 ? b.nominal / nominal * (n.physics->dynamic_energy(now_) - b.work_before)
                     : 0.0;
}

void World::take_samples(std::uint32_t node) {
  NodeState& n = nodes_[node];
  for (const devices::PowerSample& s : n.physics->take_samples()) {
    if (warm_) {
      n.power_samples.add(s.watts);
      n.speed_samples.add(s.speed);
    }
    recorder_.add(results::NodeSample{s.at, n.group, node - scenario_.nodes[n.group].first, s.watts,
                                      s.temperature, s.speed, s.busy});
  }
}

void World::watch_physics(std::uint32_t node) {
  NodeState& n = nodes_[node];
  Instant next = n.physics->next_tick();
  if (!next.is_never() && next < now_) next = now_;
  if (next == n.physics_date) return;
  queue_.cancel(n.physics_tick);
  n.physics_date = next;
  n.physics_tick =
      next.is_never() ? EventHandle() : queue_.push(next, EventKind::machine_tick, node, 0);
}

}  // namespace isthmus::world
