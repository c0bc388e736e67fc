#include "sim/world/disruptions.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "sim/world/saturated.hpp"
#include "sim/world/service_levels.hpp"
#include "sim/world/sharing.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

// In the four upper bits of an event's target; the rest is an index.
constexpr std::uint32_t planned_crash = 0, random_crash = 1, maintenance_begins = 2, machine_drained = 3,
                        machine_back = 4, machine_done = 5, experiment_due = 6, experiment_over = 7;
constexpr unsigned kind_shift = 28;
constexpr std::uint32_t target_of(std::uint32_t kind, std::uint32_t index) { return kind << kind_shift | index; }

// Stages of a machine under maintenance.
constexpr std::uint32_t waits = 0, drains = 1, is_down = 2, comes_back = 3, is_done = 4;

constexpr std::uint32_t nobody = 0xffffffffU;

}  // namespace

Disruptions::Disruptions(World& world) : world_(world), draws_(world.seed_, "disruptions") {
  const Scenario& s = world.scenario_;
  machines_.resize(world.nodes_.size());
  groups_.resize(s.nodes.size());
  services_.resize(s.services.size());
  for (std::uint32_t i = 0; i < services_.size(); ++i) ready_changed(i);
  for (std::uint32_t i = 0; i < s.crashes.size(); ++i) {
    const CrashSpec& c = s.crashes[i];
    services_[c.service].crashing = true;
    if (!c.time_to_failure) world.queue_.push(c.at, EventKind::disruption, target_of(planned_crash, i));
  }
  for (std::uint32_t i = 0; i < s.maintenance.size(); ++i) {
    rolling_.push_back({0, 0, std::vector<std::uint32_t>(s.nodes[s.maintenance[i].group].count, waits)});
    world.queue_.push(s.maintenance[i].at, EventKind::disruption, target_of(maintenance_begins, i));
  }
  experiments_.resize(s.chaos.size());
  for (std::uint32_t i = 0; i < s.chaos.size(); ++i) {
    if (s.chaos[i].action == ChaosSpec::Action::crash) services_[s.chaos[i].service].crashing = true;
    schedule_experiment(i);
  }
  for (const Fault& f : s.faults) {
    if (f.accelerator == nobody) continue;
    for (const std::uint32_t node : f.nodes) {
      const NodeGroup& group = s.nodes[world.nodes_[node].group];
      accelerators_.try_emplace(node, group.accelerators, Accelerator{places_of_accelerator(group), {}, false});
    }
  }
  for (std::uint32_t id = 0; id < world.replicas_.size(); ++id) {
    units_taken(id);
    if (world.replicas_[id].phase == ReplicaPhase::ready) replica_ready(id);
  }
}

void Disruptions::on_event(std::uint32_t what, std::uint64_t payload) {
  const std::uint32_t index = what & ((1U << kind_shift) - 1);
  const auto number = static_cast<std::uint32_t>(payload);
  switch (what >> kind_shift) {
    case planned_crash: {
      const CrashSpec& c = world_.scenario_.crashes[index];
      const std::vector<std::uint32_t> all = world_.services_[c.service].replicas;
      for (const std::uint32_t id : all)
        if (c.replica == nobody || world_.replicas_[id].number == c.replica) crash(id, c.restart);
      return;
    }
    case random_crash: {
      // Only what was drawn at the last start counts.
      const bool gone = world_.replicas_[number].phase == ReplicaPhase::gone;
      if (!gone && starts_[number] == (payload >> 32) + 1) crash(number, world_.scenario_.crashes[index].restart);
      return;
    }
    case maintenance_begins: return roll(index);
    case machine_drained:
      if (rolling_[index].stage[number] == drains) take_down(index, number);
      return;
    case machine_back: return bring_back(index, number);
    case machine_done: return finish(index, number);
    case experiment_due: return experiment(index);
    default: return end_experiment(index);
  }
}

// ---- processes -------------------------------------------------------------------------------------

// It fails after some time of being ready.
void Disruptions::arm(std::uint32_t index, std::uint32_t id) {
  const CrashSpec& c = world_.scenario_.crashes[index];
  const Replica& p = world_.replicas_[id];
  if (!c.time_to_failure || c.service != p.service || (c.replica != nobody && c.replica != p.number)) return;
  Rng g = draws_.at(hash_combine(c.identity, p.number), starts_[id]);
  const Duration lives = std::max(Duration(1'000'000), saturated(c.time_to_failure->sample(g)));
  world_.queue_.push(world_.now_ + lives, EventKind::disruption, target_of(random_crash, index),
                     starts_[id] << 32 | id);
}

void Disruptions::replica_ready(std::uint32_t id) {
  for (std::uint32_t i = 0; i < world_.scenario_.crashes.size(); ++i) arm(i, id);
  if (!world_.scenario_.crashes.empty()) ++starts_[id];
  const std::uint32_t node = world_.replicas_[id].node;
  for (std::uint32_t m = 0; m < rolling_.size(); ++m) {
    const NodeGroup& group = world_.scenario_.nodes[world_.scenario_.maintenance[m].group];
    if (node < group.first || node >= group.first + group.count) continue;
    if (rolling_[m].stage[node - group.first] != comes_back) continue;
    const std::vector<std::uint32_t>& here = world_.nodes_[node].replicas;
    if (std::all_of(here.begin(), here.end(), [&](std::uint32_t other) {
          return world_.replicas_[other].phase != ReplicaPhase::starting;
        }))
      world_.queue_.push(world_.now_, EventKind::disruption, target_of(machine_done, m), node - group.first);
  }
}

void Disruptions::crash(std::uint32_t id, const RestartRule& rule) {
  const ReplicaPhase phase = world_.replicas_[id].phase;
  if (phase != ReplicaPhase::ready && phase != ReplicaPhase::draining) return;
  const std::uint32_t service = world_.replicas_[id].service;
  if (world_.counted()) ++services_[service].crashes;
  if (world_.levels_) world_.levels_->failed_once();
  Restarts& r = restarts_[id];
  if (world_.now_ - world_.replicas_[id].ready_since >= rule.reset) r.in_a_row = 0;
  const Duration wait = std::min(rule.longest, rule.first * (1LL << std::min(r.in_a_row, 30U)));
  ++r.in_a_row;
  const bool leaving = phase == ReplicaPhase::draining, kept = kept_.erase(id) > 0;
  world_.end_process(id);
  if (kept) return idle(id);  // its machine goes down anyway
  if (leaving) return world_.remove_replica(id);
  world_.restart(id, wait);
}

// ---- maintenance -----------------------------------------------------------------------------------

// Further machines, as far as others are available.
void Disruptions::roll(std::uint32_t index) {
  const Maintenance& m = world_.scenario_.maintenance[index];
  Rolling& r = rolling_[index];
  while (r.busy < m.max_unavailable && r.next < r.stage.size()) {
    ++r.busy;
    drain(index, r.next++);
  }
}

// No new requests; replicas that a controller scales leave for good.
void Disruptions::drain(std::uint32_t index, std::uint32_t machine) {
  const Maintenance& m = world_.scenario_.maintenance[index];
  const std::uint32_t node = world_.scenario_.nodes[m.group].first + machine;
  rolling_[index].stage[machine] = drains;
  cordoned_.insert(node);
  std::vector<std::uint32_t> here = world_.nodes_[node].replicas;
  std::sort(here.begin(), here.end());
  for (const std::uint32_t id : here) {
    Replica& p = world_.replicas_[id];
    if (world_.scenario_.services[p.service].autoscaling.policy) {
      if (p.phase != ReplicaPhase::draining) world_.retire(id);
    } else if (p.phase == ReplicaPhase::ready) {
      world_.leave_router(id);
      world_.delist(id);
      p.phase = ReplicaPhase::draining;
      kept_.insert(id);
      world_.update_ready(p.service);
    } else {
      world_.queue_.cancel(p.ready);
    }
  }
  world_.queue_.push(world_.now_ + (drained(node) ? Duration::zero() : m.grace), EventKind::disruption,
                     target_of(machine_drained, index), machine);
}

bool Disruptions::drained(std::uint32_t node) const {
  const std::vector<std::uint32_t>& here = world_.nodes_[node].replicas;
  return std::none_of(here.begin(), here.end(), [&](std::uint32_t id) { return world_.busy(id); });
}

void Disruptions::idle(std::uint32_t id) {
  const std::uint32_t node = world_.replicas_[id].node;
  if (!drained(node)) return;
  for (std::uint32_t i = 0; i < rolling_.size(); ++i) {
    const NodeGroup& group = world_.scenario_.nodes[world_.scenario_.maintenance[i].group];
    if (node >= group.first && node < group.first + group.count && rolling_[i].stage[node - group.first] == drains)
      world_.queue_.push(world_.now_, EventKind::disruption, target_of(machine_drained, i), node - group.first);
  }
}

void Disruptions::take_down(std::uint32_t index, std::uint32_t machine) {
  const Maintenance& m = world_.scenario_.maintenance[index];
  rolling_[index].stage[machine] = is_down;
  world_.queue_.push(world_.now_ + m.takes, EventKind::disruption, target_of(machine_back, index), machine);
  world_.hold_node(world_.scenario_.nodes[m.group].first + machine, true);
}

void Disruptions::bring_back(std::uint32_t index, std::uint32_t machine) {
  const std::uint32_t node = world_.scenario_.nodes[world_.scenario_.maintenance[index].group].first + machine;
  rolling_[index].stage[machine] = comes_back;
  cordoned_.erase(node);
  world_.hold_node(node, false);
  if (world_.nodes_[node].replicas.empty()) finish(index, machine);
}

void Disruptions::finish(std::uint32_t index, std::uint32_t machine) {
  if (rolling_[index].stage[machine] != comes_back) return;
  rolling_[index].stage[machine] = is_done;
  --rolling_[index].busy;
  roll(index);
}

// ---- experiments -----------------------------------------------------------------------------------

void Disruptions::schedule_experiment(std::uint32_t index) {
  const ChaosSpec& c = world_.scenario_.chaos[index];
  Rng g = draws_.at(hash_combine(hash_name(c.name), 0), experiments_[index]);
  const Instant after = std::max(world_.now_, c.from);
  const Instant at = after + std::max(Duration(1'000'000), saturated(c.every.sample(g)));
  if (at < c.until) world_.queue_.push(at, EventKind::disruption, target_of(experiment_due, index));
}

void Disruptions::experiment(std::uint32_t index) {
  const ChaosSpec& c = world_.scenario_.chaos[index];
  Rng g = draws_.at(hash_combine(hash_name(c.name), 1), experiments_[index]);
  ++experiments_[index];
  std::vector<std::uint32_t> candidates;
  if (c.action == ChaosSpec::Action::crash) {
    candidates = world_.services_[c.service].ready;
  } else {
    const NodeGroup& group = world_.scenario_.nodes[c.group];
    for (std::uint32_t n = group.first; n < group.first + group.count; ++n)
      if (world_.nodes_[n].up) candidates.push_back(n);
  }
  const std::size_t victims = std::min<std::size_t>(c.victims, candidates.size());
  for (std::size_t i = 0; i < victims; ++i)
    std::swap(candidates[i], candidates[i + uniform_index(g, candidates.size() - i)]);
  candidates.resize(victims);
  schedule_experiment(index);
  if (c.action == ChaosSpec::Action::crash) {
    for (const std::uint32_t id : candidates) crash(id, c.restart);
    return;
  }
  const Duration lasts = std::max(Duration(1'000'000), saturated(c.lasts.sample(g)));
  const auto number = static_cast<std::uint32_t>(victims_.size());
  victims_.push_back({index, candidates});
  if (victims > 0 && world_.levels_) world_.levels_->fault(true);
  if (victims > 0)
    world_.queue_.push(world_.now_ + lasts, EventKind::disruption, target_of(experiment_over, number));
  for (const std::uint32_t node : candidates) {
    if (c.action == ChaosSpec::Action::slow) world_.change_speed(node, c.speed, true);
    else world_.hold_node(node, true);
  }
}

void Disruptions::end_experiment(std::uint32_t number) {
  const Victims v = std::move(victims_[number]);
  const ChaosSpec& c = world_.scenario_.chaos[v.chaos];
  if (world_.levels_) world_.levels_->fault(false);
  for (const std::uint32_t node : v.nodes) {
    if (c.action == ChaosSpec::Action::slow) world_.change_speed(node, c.speed, false);
    else world_.hold_node(node, false);
  }
}

// ---- accelerators ----------------------------------------------------------------------------------

// Replicas take the first accelerators that are free; those that share one know theirs.
void Disruptions::units_taken(std::uint32_t id) {
  const Replica& p = world_.replicas_[id];
  const Service& spec = world_.scenario_.services[p.service];
  const auto it = accelerators_.find(p.node);
  if (it == accelerators_.end() || !spec.takes_units()) return;
  if (world_.scenario_.nodes[world_.nodes_[p.node].group].units[spec.unit].kind == models::UnitKind::cpu) return;
  std::uint32_t left = spec.units_held();
  const std::uint32_t known = world_.sharing_ ? world_.sharing_->accelerator_of(id) : nobody;
  for (std::uint32_t i = 0; i < it->second.size(); ++i) {
    Accelerator& a = it->second[i];
    if (left == 0 || a.broken || a.free[spec.unit] == 0 || (known != nobody && i != known)) continue;
    a.owners.push_back(id);
    --a.free[spec.unit];
    --left;
  }
}

void Disruptions::units_given_back(std::uint32_t id) {
  const auto it = accelerators_.find(world_.replicas_[id].node);
  if (it == accelerators_.end()) return;
  const std::uint32_t unit = world_.scenario_.services[world_.replicas_[id].service].unit;
  for (Accelerator& a : it->second) a.free[unit] += static_cast<std::uint32_t>(std::erase(a.owners, id));
}

void Disruptions::accelerator_fails(std::uint32_t node, std::uint32_t accelerator) {
  if (++broken_[{node, accelerator}] > 1) return;
  Accelerator& a = accelerators_[node][accelerator];
  a.broken = true;
  if (world_.sharing_) world_.sharing_->accelerator_fails(node, accelerator, true);
  const std::vector<std::uint32_t> owners = a.owners;
  for (const std::uint32_t owner : owners) {
    const std::uint32_t service = world_.replicas_[owner].service;
    if (world_.replicas_[owner].phase == ReplicaPhase::ready || world_.replicas_[owner].phase == ReplicaPhase::draining)
      world_.end_process(owner);
    world_.queue_.cancel(world_.replicas_[owner].ready);
    world_.remove_replica(owner);
    if (!world_.scenario_.services[service].autoscaling.policy) missing_.push_back(service);
  }
  world_.take_accelerator(node, true);
  replace_missing();
}

void Disruptions::accelerator_recovers(std::uint32_t node, std::uint32_t accelerator) {
  if (--broken_[{node, accelerator}] > 0) return;
  accelerators_[node][accelerator].broken = false;
  if (world_.sharing_) world_.sharing_->accelerator_fails(node, accelerator, false);
  world_.take_accelerator(node, false);
  replace_missing();
}

// Elsewhere, if there is room.
void Disruptions::replace_missing() {
  std::erase_if(missing_, [&](std::uint32_t service) { return world_.start_replica(service, false); });
}

// ---- figures ---------------------------------------------------------------------------------------

void Disruptions::ready_changed(std::uint32_t service) {
  services_[service].up.set(world_.now_, world_.services_[service].ready.empty() ? 0 : 1);
}

void Disruptions::node_down(std::uint32_t node) {
  Machine& m = machines_[node];
  Group& g = groups_[world_.nodes_[node].group];
  m.down_since = world_.now_;
  m.down = true;
  g.down.change(world_.now_, 1);
  if (world_.counted()) ++g.failures;
}

void Disruptions::node_up(std::uint32_t node) {
  Machine& m = machines_[node];
  if (!std::exchange(m.down, false)) return;
  Group& g = groups_[world_.nodes_[node].group];
  g.down.change(world_.now_, -1);
  if (world_.counted()) {
    ++g.repairs;
    g.repaired += (world_.now_ - m.down_since).seconds();
  }
  replace_missing();
}

void Disruptions::request_lost(std::uint32_t service) { ++services_[service].lost; }

void Disruptions::reset_totals() {
  for (Group& g : groups_) {
    g.failures = g.repairs = 0;
    g.repaired = 0;
    g.down.reset(world_.now_);
  }
  for (Serving& s : services_) {
    s.crashes = s.lost = 0;
    s.up.reset(world_.now_);
  }
}

void Disruptions::add_totals(std::vector<std::pair<std::string, double>>& out) const {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const Scenario& scenario = world_.scenario_;
  const auto ratio = [&](double part, double whole) { return whole > 0 ? part / whole : nan; };
  const double seconds =
      (world_.now_ - Instant::zero() - (world_.warm_ ? scenario.warmup : Duration::zero())).seconds();
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    const Group& g = groups_[i];
    const std::string& name = scenario.nodes[i].name;
    const double all = seconds * scenario.nodes[i].count, down = g.down.integral(world_.now_);
    const auto failures = static_cast<double>(g.failures);
    out.emplace_back("node_failures." + name, failures);
    out.emplace_back("node_downtime." + name, down);
    out.emplace_back("node_availability." + name, all > 0 ? 1 - down / all : nan);
    out.emplace_back("node_mtbf." + name, ratio(all - down, failures));
    out.emplace_back("node_mttr." + name, ratio(g.repaired, static_cast<double>(g.repairs)));
  }
  for (std::size_t i = 0; i < services_.size(); ++i) {
    if (scenario.services[i].front != nobody) continue;
    const Serving& s = services_[i];
    const std::string& name = scenario.services[i].name;
    out.emplace_back("service_availability." + name, s.up.mean(world_.now_));
    if (s.crashing) out.emplace_back("crashes." + name, static_cast<double>(s.crashes));
    out.emplace_back("requests_lost." + name, static_cast<double>(s.lost));
  }
}

}  // namespace isthmus::world
