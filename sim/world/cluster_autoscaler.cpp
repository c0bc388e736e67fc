#include "sim/world/cluster_autoscaler.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "sim/core/units.hpp"
#include "sim/world/saturated.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

// In the lowest bits of an event's payload; above: the turn of the machine that it is about.
enum class Step : std::uint8_t { arrives, given_up, interrupted, gone, drained, scheduled };
constexpr unsigned step_bits = 3;

std::uint64_t payload_of(Step step, std::uint64_t turn) { return turn << step_bits | static_cast<std::uint64_t>(step); }

// Streams of draws of a machine.
constexpr std::uint64_t of_orders = 1, of_failures = 2, of_lives = 3;

}  // namespace

ClusterAutoscaler::ClusterAutoscaler(World& world)
    : world_(world), spec_(*world.scenario_.cluster), draws_(world.seed_, "cluster") {
  states_.resize(world.nodes_.size());
  groups_.resize(spec_.groups.size());
  for (std::uint32_t g = 0; g < groups_.size(); ++g) {
    const NodeGroup& machines = machines_of(g);
    for (std::uint32_t i = 0; i < machines.count; ++i) {
      const std::uint32_t node = machines.first + i;
      Machine& m = states_[node];
      m.group = g;
      m.stage = i < spec_.groups[g].start ? Stage::up : Stage::absent;
      if (m.stage == Stage::up) continue;
      NodeState& n = world.nodes_[node];
      n.up = false;
      n.billed.set(world.now_, 0);
      if (world.costs_) world.costs_->rented_since[node] = Instant::never();
      if (n.cache) n.cache->clear();
      if (n.physics) n.physics->set_running(world.now_, false);
      else n.power.set(world.now_, Watts(0));
    }
    count_machines(g);
  }
}

const ClusterGroup& ClusterAutoscaler::spec_of(std::uint32_t node) const { return spec_.groups[states_[node].group]; }

const NodeGroup& ClusterAutoscaler::machines_of(std::uint32_t group) const {
  return world_.scenario_.nodes[spec_.groups[group].group];
}

void ClusterAutoscaler::hold_absent() {
  for (std::uint32_t n = 0; n < states_.size(); ++n)
    if (states_[n].stage == Stage::absent) ++world_.node_holds_[n];
}

void ClusterAutoscaler::begin() {
  for (std::uint32_t n = 0; n < states_.size(); ++n)
    if (states_[n].stage == Stage::up) draw_life(n);
  for (std::uint32_t g = 0; g < groups_.size(); ++g)
    if (const auto& spot = spec_.groups[g].spot)
      for (std::size_t i = 0; i < spot->schedule.size(); ++i)
        world_.queue_.push(spot->schedule[i].at, EventKind::cluster_machine, g, payload_of(Step::scheduled, i));
  world_.every(spec_.scan_interval, EventKind::cluster_scan, 0);
}

void ClusterAutoscaler::on_event(std::uint32_t target, std::uint64_t payload) {
  const auto step = static_cast<Step>(payload & ((1U << step_bits) - 1));
  const std::uint64_t turn = payload >> step_bits;
  if (step == Step::scheduled) return interrupt_some(target, spec_.groups[target].spot->schedule[turn].machines);
  if (states_[target].turns != turn) return;
  switch (step) {
    case Step::arrives: return arrives(target);
    case Step::given_up: return given_up(target);
    case Step::interrupted: return interrupt(target);
    case Step::gone: return take_away(target);
    default:
      if (world_.now_ >= states_[target].since + spec_.graceful_termination || drained(target)) take_away(target);
  }
}

void ClusterAutoscaler::set_stage(std::uint32_t node, Stage stage) {
  Machine& m = states_[node];
  m.stage = stage;
  m.since = world_.now_;
  m.unneeded_since = Instant::never();
  ++m.turns;
  count_machines(m.group);
}

// Machines that exist.
void ClusterAutoscaler::count_machines(std::uint32_t group) {
  const NodeGroup& machines = machines_of(group);
  double n = 0;
  for (std::uint32_t i = machines.first; i < machines.first + machines.count; ++i)
    n += states_[i].stage == Stage::up || states_[i].stage == Stage::draining ? 1 : 0;
  groups_[group].machines.set(world_.now_, n);
  groups_[group].most = std::max(groups_[group].most, n);
}

// Machines that exist or are ordered; those that are leaving on demand.
std::uint32_t ClusterAutoscaler::count(std::uint32_t group, bool leaving_too) const {
  const NodeGroup& machines = machines_of(group);
  std::uint32_t n = 0;
  for (std::uint32_t i = machines.first; i < machines.first + machines.count; ++i) {
    const Stage stage = states_[i].stage;
    n += stage == Stage::ordered || stage == Stage::up || (leaving_too && stage == Stage::draining) ? 1 : 0;
  }
  return n;
}

// ---- machines come ---------------------------------------------------------------------------------

bool ClusterAutoscaler::backing_off(std::uint32_t group) const { return world_.now_ < groups_[group].backoff_until; }

void ClusterAutoscaler::order(std::uint32_t group, std::uint32_t machines) {
  const ClusterGroup& spec = spec_.groups[group];
  const NodeGroup& nodes = machines_of(group);
  for (std::uint32_t n = nodes.first; n < nodes.first + nodes.count && machines > 0; ++n) {
    Machine& m = states_[n];
    if (m.stage != Stage::absent) continue;
    --machines;
    set_stage(n, Stage::ordered);
    if (world_.counted()) ++groups_[group].orders;
    Rng g = draws_.at(hash_combine(of_orders, n), m.orders);
    const Duration takes = saturated(spec.provisioning.sample(g));
    Rng f = draws_.at(hash_combine(of_failures, n), m.orders++);
    const bool comes = takes <= spec_.max_provision_time && uniform01(f) >= spec.failure;
    world_.queue_.push(world_.now_ + (comes ? takes : spec_.max_provision_time), EventKind::cluster_machine, n,
                       payload_of(comes ? Step::arrives : Step::given_up, m.turns));
  }
  last_add_ = world_.now_;
}

void ClusterAutoscaler::arrives(std::uint32_t node) {
  Group& g = groups_[states_[node].group];
  if (world_.counted()) {
    ++g.arrivals;
    g.waited += (world_.now_ - states_[node].since).seconds();
  }
  g.backoff = Duration::zero();
  g.backoff_until = Instant::zero();
  set_stage(node, Stage::up);
  world_.nodes_[node].billed.set(world_.now_, 1);
  if (world_.costs_) world_.rent(node, true);
  world_.hold_node(node, false);
  draw_life(node);
}

// The order is withdrawn; nothing more is ordered of the group for a while.
void ClusterAutoscaler::given_up(std::uint32_t node) {
  Group& g = groups_[states_[node].group];
  if (world_.counted()) ++g.failures;
  // All that were ordered together fail together, as one failure.
  if (!backing_off(states_[node].group)) {
    const bool anew = g.backoff == Duration::zero() || world_.now_ - g.failed_at > spec_.backoff_reset;
    g.backoff = anew ? spec_.backoff : std::min(spec_.longest_backoff, g.backoff * 2);
    g.backoff_until = world_.now_ + g.backoff;
    g.failed_at = world_.now_;
  }
  set_stage(node, Stage::absent);
}

// ---- machines go -----------------------------------------------------------------------------------

void ClusterAutoscaler::draw_life(std::uint32_t node) {
  const auto& spot = spec_of(node).spot;
  if (!spot || !(spot->per_hour > 0)) return;
  Machine& m = states_[node];
  Rng g = draws_.at(hash_combine(of_lives, node), m.lives++);
  const Instant at = world_.now_ + saturated(sample_exponential(g, 3600 / spot->per_hour));
  if (!at.is_never()) world_.queue_.push(at, EventKind::cluster_machine, node, payload_of(Step::interrupted, m.turns));
}

// Those that have run longest.
void ClusterAutoscaler::interrupt_some(std::uint32_t group, std::uint32_t machines) {
  const NodeGroup& nodes = machines_of(group);
  std::vector<std::uint32_t> running;
  for (std::uint32_t n = nodes.first; n < nodes.first + nodes.count; ++n)
    if (states_[n].stage == Stage::up) running.push_back(n);
  std::stable_sort(running.begin(), running.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return states_[a].since < states_[b].since; });
  running.resize(std::min<std::size_t>(running.size(), machines));
  for (const std::uint32_t n : running) interrupt(n);
}

// A warning: its replicas drain, and the machine goes when the notice is over.
void ClusterAutoscaler::interrupt(std::uint32_t node) {
  if (world_.counted()) ++groups_[states_[node].group].interruptions;
  set_stage(node, Stage::draining);
  states_[node].interrupted = true;
  world_.queue_.push(world_.now_ + spec_of(node).spot->notice, EventKind::cluster_machine, node,
                     payload_of(Step::gone, states_[node].turns));
  drain(node);
}

// Replicas get no further requests, and others start elsewhere at once, or wait for a machine.
void ClusterAutoscaler::drain(std::uint32_t node) {
  std::vector<std::uint32_t> here = world_.nodes_[node].replicas;
  std::sort(here.begin(), here.end());
  std::vector<std::uint32_t> services;
  for (const std::uint32_t id : here) {
    if (world_.replicas_[id].phase == ReplicaPhase::draining) continue;
    services.push_back(world_.placed_by(world_.replicas_[id].service));
    world_.retire(id);
  }
  std::sort(services.begin(), services.end());
  services.erase(std::unique(services.begin(), services.end()), services.end());
  for (const std::uint32_t s : services) world_.placer_->set_replicas(s, world_.services_[s].asked);
}

bool ClusterAutoscaler::drained(std::uint32_t node) const {
  const std::vector<std::uint32_t>& here = world_.nodes_[node].replicas;
  return std::none_of(here.begin(), here.end(), [&](std::uint32_t id) { return world_.busy(id); });
}

void ClusterAutoscaler::calmed(std::uint32_t node) {
  const Machine& m = states_[node];
  if (m.stage != Stage::draining || m.interrupted || removing() || !drained(node)) return;
  world_.queue_.push(world_.now_, EventKind::cluster_machine, node, payload_of(Step::drained, m.turns));
}

// It goes when its replicas have nothing left to do, or when they take too long.
void ClusterAutoscaler::give_up(std::uint32_t node) {
  set_stage(node, Stage::draining);
  world_.queue_.push(world_.now_ + spec_.graceful_termination, EventKind::cluster_machine, node,
                     payload_of(Step::drained, states_[node].turns));
  drain(node);
  calmed(node);
}

// What still runs there is lost. Its next life begins with an empty disk.
void ClusterAutoscaler::take_away(std::uint32_t node) {
  Machine& m = states_[node];
  Group& g = groups_[m.group];
  if (world_.counted() && !m.interrupted) ++g.removals;
  if (!m.interrupted) last_delete_ = world_.now_;
  removing_ = node;
  world_.hold_node(node, true);
  removing_ = nobody;
  m.interrupted = false;
  set_stage(node, Stage::absent);
  world_.nodes_[node].billed.set(world_.now_, 0);
  if (world_.costs_) world_.rent(node, false);
  if (!world_.startups_) return;
  std::erase_if(world_.startups_->held, [&](const auto& layer) { return layer.first == node; });
  for (const Service& service : world_.scenario_.services)
    if (service.startup && service.startup->on_machines && service.group == world_.nodes_[node].group)
      for (const ImageLayer& l : service.startup->layers) world_.startups_->held.emplace(node, l.id);
}

void ClusterAutoscaler::request_lost(const Request& r) {
  if (!r.record.counted) return;
  Group& g = groups_[states_[removing_].group];
  ++g.lost;
  if (!r.record.started.is_never()) g.lost_work += (world_.now_ - r.record.started).seconds();
}

// ---- figures ---------------------------------------------------------------------------------------

void ClusterAutoscaler::reset_totals() {
  for (Group& g : groups_) {
    g.orders = g.failures = g.removals = g.interruptions = g.lost = g.arrivals = 0;
    g.lost_work = g.waited = 0;
    g.machines.reset(world_.now_);
    g.most = g.machines.value();
  }
}

void ClusterAutoscaler::add_totals(std::vector<std::pair<std::string, double>>& out) const {
  for (std::uint32_t i = 0; i < groups_.size(); ++i) {
    const Group& g = groups_[i];
    const auto put = [&](const char* name, double value) {
      out.emplace_back(fmt::format("node_{}.{}", name, machines_of(i).name), value);
    };
    put("count", g.machines.mean(world_.now_));
    put("count_max", g.most);
    put("orders", static_cast<double>(g.orders));
    put("orders_failed", static_cast<double>(g.failures));
    put("provisioning", g.arrivals > 0 ? g.waited / static_cast<double>(g.arrivals) : 0.0);
    put("removals", static_cast<double>(g.removals));
    put("interruptions", static_cast<double>(g.interruptions));
    put("requests_lost", static_cast<double>(g.lost));
    put("work_lost", g.lost_work);
  }
  out.emplace_back("pending_replica_seconds", world_.placer_->waited_seconds());
}

}  // namespace isthmus::world
