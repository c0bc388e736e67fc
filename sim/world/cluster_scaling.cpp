// The cluster autoscaler: which machines are ordered for replicas that wait, and which are not needed.
#include <algorithm>

#include "sim/world/cluster_autoscaler.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

using schedulers::PlacementDemand;
using schedulers::Refusal;

// Small groups grow to their least size; then replicas that wait; machines are given up only when none was ordered.
void ClusterAutoscaler::scan() {
  ++scans_;
  for (std::uint32_t g = 0; g < groups_.size(); ++g) {
    const std::uint32_t there = count(g, false), least = spec_.groups[g].min;
    if (there < least && !backing_off(g)) order(g, std::min(least - there, spec_.groups[g].max - count(g, true)));
  }
  if (!scale_up() && spec_.scale_down) {
    look_for_unneeded();
    scale_down();
  }
  world_.every(spec_.scan_interval, EventKind::cluster_scan, 0);
}

// ---- growing ---------------------------------------------------------------------------------------

ClusterAutoscaler::Waiting ClusterAutoscaler::waiting() const {
  Waiting all;
  for (const std::uint32_t s : world_.placer_->services_)
    all.insert(all.end(), static_cast<std::size_t>(world_.placer_->states_[s].pending.value()), s);
  return all;
}

// What a replica takes of a machine of the group, as a share; below 0: it may not stand there at all.
double ClusterAutoscaler::size_of(std::uint32_t service, std::uint32_t group) const {
  const Placer& placer = *world_.placer_;
  for (const std::uint32_t member : placer.states_[service].members) {
    if (world_.scenario_.services[member].group != spec_.groups[group].group) continue;
    const PlacementDemand d = placer.demand(member);
    const double units = placer.accelerators_of(member), memory = placer.memory_of(member);
    return (units > 0 ? d.accelerators / units : 0) + (d.memory > 0 && memory > 0 ? d.memory / memory : 0);
  }
  return -1;
}

// Puts a replica on the machine in the plan, if its rules allow that.
bool ClusterAutoscaler::put(std::uint32_t service, std::uint32_t node, Plan& plan) const {
  const Placer& placer = *world_.placer_;
  for (const std::uint32_t member : placer.states_[service].members) {
    if (world_.scenario_.services[member].group != world_.nodes_[node].group) continue;
    if (placer.refusal(service, member, node, placer.domains(service, plan), plan) != Refusal::none) continue;
    const PlacementDemand d = placer.demand(member);
    plan.units[{node, world_.scenario_.services[member].unit}] += d.accelerators;
    plan.memory[node] += d.memory;
    plan.put.emplace_back(service, node);
    return true;
  }
  return false;
}

// Replicas that find room on machines that are there or on their way wait for no further one.
void ClusterAutoscaler::fill_present(Waiting& waiting, Plan& plan) const {
  std::vector<std::uint32_t> machines;
  for (std::uint32_t n = 0; n < states_.size(); ++n) {
    if (states_[n].stage == Stage::ordered) plan.arrived.push_back(n);
    if (states_[n].stage != Stage::absent) machines.push_back(n);
  }
  std::erase_if(waiting, [&](std::uint32_t s) {
    return std::any_of(machines.begin(), machines.end(), [&](std::uint32_t n) { return put(s, n, plan); });
  });
}

// First fit, the largest first, on as many new machines as that takes.
ClusterAutoscaler::Option ClusterAutoscaler::estimate(std::uint32_t group, const Waiting& waiting, const Plan& before) const {
  Option option;
  option.group = group;
  const NodeGroup& nodes = machines_of(group);
  std::vector<std::uint32_t> fresh;
  for (std::uint32_t n = nodes.first; n < nodes.first + nodes.count; ++n)
    if (states_[n].stage == Stage::absent) fresh.push_back(n);
  const std::uint32_t there = count(group, true), most = spec_.groups[group].max;
  fresh.resize(std::min<std::size_t>(fresh.size(), there < most ? most - there : 0));
  std::vector<std::pair<double, std::uint32_t>> order;  // size, service
  for (const std::uint32_t s : waiting)
    if (const double size = size_of(s, group); size >= 0) order.emplace_back(size, s);
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  Plan plan = before;
  double taken = 0, whole = 0, memory = 0, all_memory = 0;
  for (const auto& [size, s] : order) {
    const auto known = fresh.begin() + option.machines;
    auto at = std::find_if(fresh.begin(), known, [&](std::uint32_t n) { return put(s, n, plan); });
    if (at == known) {
      if (known == fresh.end()) continue;
      plan.arrived.push_back(*known);
      if (!put(s, *known, plan)) {
        plan.arrived.pop_back();
        continue;
      }
      ++option.machines;
    }
    ++option.helped;
    const Placer& placer = *world_.placer_;
    for (const std::uint32_t member : placer.states_[s].members)
      if (world_.scenario_.services[member].group == spec_.groups[group].group) {
        const PlacementDemand d = placer.demand(member);
        taken += d.accelerators;
        memory += d.memory;
        if (d.accelerators > 0) whole = placer.accelerators_of(member);
        if (d.memory > 0) all_memory = placer.memory_of(member);
      }
  }
  const auto wasted = [&](double used, double each) { return each > 0 ? 1 - used / (each * option.machines) : 0.0; };
  if (option.machines > 0) option.waste = wasted(taken, whole) + wasted(memory, all_memory);
  return option;
}

bool ClusterAutoscaler::scale_up() {
  Waiting left = waiting();
  if (left.empty()) return false;
  Plan plan;
  fill_present(left, plan);
  if (left.empty()) return false;
  std::vector<Option> options;
  for (std::uint32_t g = 0; g < groups_.size(); ++g) {
    if (backing_off(g)) continue;
    const Option o = estimate(g, left, plan);
    if (o.machines > 0) options.push_back(o);
  }
  if (options.empty()) return false;
  // The smallest is best.
  const auto rank = [&](const Option& o) -> double {
    switch (spec_.expander) {
      case Expander::random: return 0;
      case Expander::most_pods: return -static_cast<double>(o.helped);
      case Expander::least_waste: return o.waste;
      case Expander::price: return spec_.groups[o.group].price * o.machines / o.helped;
      case Expander::priority: return -spec_.groups[o.group].priority;
    }
    return 0;
  };
  double best = rank(options.front());
  for (const Option& o : options) best = std::min(best, rank(o));
  std::erase_if(options, [&](const Option& o) { return rank(o) > best + 1e-12; });
  Rng g = draws_.at(0, scans_);
  const Option& chosen = options[options.size() == 1 ? 0 : uniform_index(g, options.size())];
  order(chosen.group, chosen.machines);
  return true;
}

// ---- shrinking -------------------------------------------------------------------------------------

// Of the resource that is taken most.
double ClusterAutoscaler::utilization(std::uint32_t node) const {
  const NodeState& n = world_.nodes_[node];
  const NodeGroup& group = world_.scenario_.nodes[n.group];
  double most = 0;
  for (std::size_t u = 0; u < n.free_units.size(); ++u)
    if (group.count_of(u) > 0)
      most = std::max(most, 1 - static_cast<double>(n.free_units[u]) / static_cast<double>(group.count_of(u)));
  for (const std::uint32_t id : n.replicas)
    if (const double memory = world_.placer_->memory_of(world_.replicas_[id].service); memory > 0)
      most = std::max(most, world_.placer_->memory_[node] / memory);
  return most;
}

// Whether all replicas of the machine fit on others; the plan has them there then.
bool ClusterAutoscaler::rehouse(std::uint32_t node, Plan& plan) const {
  std::vector<std::uint32_t> here = world_.nodes_[node].replicas;
  std::erase_if(here, [&](std::uint32_t id) { return world_.replicas_[id].phase == ReplicaPhase::draining; });
  std::sort(here.begin(), here.end());
  if (!std::all_of(here.begin(), here.end(), [&](std::uint32_t id) { return world_.placer_->movable(id); })) return false;
  std::stable_sort(here.begin(), here.end(), [&](std::uint32_t a, std::uint32_t b) {
    const auto size = [&](std::uint32_t id) {
      return size_of(world_.placed_by(world_.replicas_[id].service), states_[node].group);
    };
    return size(a) > size(b);
  });
  Plan with = plan;
  with.closed.push_back(node);
  for (const std::uint32_t id : here) {
    with.gone.push_back(id);
    const std::uint32_t service = world_.placed_by(world_.replicas_[id].service);
    bool found = false;
    for (std::uint32_t n = 0; n < states_.size() && !found; ++n) found = n != node && put(service, n, with);
    if (!found) return false;
  }
  plan = std::move(with);
  return true;
}

void ClusterAutoscaler::look_for_unneeded() {
  Plan plan;
  for (std::uint32_t n = 0; n < states_.size(); ++n) {
    Machine& m = states_[n];
    if (m.stage != Stage::up) continue;
    // A machine that others of this scan move to stays.
    const bool taken = std::any_of(plan.put.begin(), plan.put.end(), [&](const auto& p) { return p.second == n; });
    if (taken || !world_.nodes_[n].up || utilization(n) >= spec_.utilization || !rehouse(n, plan))
      m.unneeded_since = Instant::never();
    else if (m.unneeded_since.is_never())
      m.unneeded_since = world_.now_;
  }
}

void ClusterAutoscaler::scale_down() {
  const Instant now = world_.now_;
  if (!last_add_.is_never() && now < last_add_ + spec_.delay_after_add) return;
  if (!last_delete_.is_never() && now < last_delete_ + spec_.delay_after_delete) return;
  std::vector<std::uint32_t> empty, used;
  bool draining = false;
  for (std::uint32_t n = 0; n < states_.size(); ++n) {
    const Machine& m = states_[n];
    draining |= m.stage == Stage::draining && !m.interrupted;
    if (m.stage != Stage::up || m.unneeded_since.is_never() || now - m.unneeded_since < spec_.unneeded_time) continue;
    (world_.nodes_[n].replicas.empty() ? empty : used).push_back(n);
  }
  const auto above_least = [&](std::uint32_t n) {
    return count(states_[n].group, false) > spec_.groups[states_[n].group].min;
  };
  std::uint32_t removed = 0;
  for (const std::uint32_t n : empty) {
    if (removed == spec_.max_empty) break;
    if (!above_least(n)) continue;
    take_away(n);
    ++removed;
  }
  if (removed > 0 || draining) return;
  for (const std::uint32_t n : used) {
    if (!above_least(n)) continue;
    return give_up(n);
  }
}

}  // namespace isthmus::world
