// The descheduler: replicas move so that others fit, or that machines become free. And what placements add up to.
#include <algorithm>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "sim/core/errors.hpp"
#include "sim/world/placer.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

using schedulers::PlacementDemand;
using schedulers::Refusal;

namespace {
// Where nothing limits the replicas of a machine.
constexpr std::uint64_t much_room = 1'000'000;
}  // namespace

// Ready replicas of placed services, unless these say otherwise.
bool Placer::movable(std::uint32_t replica) const {
  const Replica& p = world_.replicas_[replica];
  const std::uint32_t service = world_.placed_by(p.service);
  return service != ~0U && spec(service).movable && p.phase == ReplicaPhase::ready && !leaving(replica);
}

// One round; replicas on their way end theirs first.
void Placer::deschedule() {
  const Descheduler& d = *world_.scenario_.descheduler;
  if (!moves_.empty()) return;
  std::uint32_t left = d.max_moves;
  if (d.make_room)
    for (const std::uint32_t i : services_)
      if (pending(i) && left > 0) left -= empty_for(i, left);
  if (d.consolidate && left > 0) consolidate(left);
}

// Where each of the replicas could go, none of them back to its machine.
bool Placer::plan_moves(const std::vector<std::uint32_t>& replicas, Plan& plan,
                        std::vector<std::pair<std::uint32_t, Found>>& moves) {
  for (const std::uint32_t id : replicas) {
    plan.gone.push_back(id);
    schedulers::RefusalCounts why;
    const Found found = find(world_.placed_by(world_.replicas_[id].service), plan, why);
    if (found.node == ~0U) return false;
    const PlacementDemand d = demand(found.service);
    plan.units[{found.node, world_.scenario_.services[found.service].unit}] += d.accelerators;
    plan.memory[found.node] += d.memory;
    moves.emplace_back(id, found);
  }
  return true;
}

// The old replica goes when the new one is ready.
void Placer::carry_out(const std::vector<std::pair<std::uint32_t, Found>>& moves) {
  for (const auto& [old, found] : moves) {
    const auto fresh = static_cast<std::uint32_t>(world_.replicas_.size());
    moves_[old] = fresh;
    moves_back_[fresh] = old;
    ++states_[world_.placed_by(found.service)].moves;
    world_.make_replica(found.service, found.node, false);
  }
}

// Makes room for a replica of the service on the machine where that takes the fewest moves.
std::uint32_t Placer::empty_for(std::uint32_t service, std::uint32_t budget) {
  std::vector<std::pair<std::uint32_t, Found>> best;
  for (const std::uint32_t member : states_[service].members) {
    const NodeGroup& group = world_.scenario_.nodes[world_.scenario_.services[member].group];
    const PlacementDemand wanted = demand(member);
    const auto spread = domains(service, {});
    for (std::uint32_t n = group.first; n < group.first + group.count; ++n) {
      const Refusal r = refusal(service, member, n, spread, {});
      if (r != Refusal::accelerators && r != Refusal::memory) continue;
      std::vector<std::uint32_t> here = world_.nodes_[n].replicas;
      std::erase_if(here, [&](std::uint32_t id) { return !movable(id); });
      std::sort(here.begin(), here.end(), [&](std::uint32_t a, std::uint32_t b) {
        const PlacementDemand x = demand(world_.replicas_[a].service), y = demand(world_.replicas_[b].service);
        return std::tuple(-x.accelerators, -x.memory, a) < std::tuple(-y.accelerators, -y.memory, b);
      });
      // The largest first, then without those that turn out not to be needed.
      double units = free_accelerators(member, n, {}), memory = free_memory(member, n, {});
      const std::uint32_t unit = world_.scenario_.services[member].unit;
      const auto size = [&](std::uint32_t id) {
        PlacementDemand d = demand(world_.replicas_[id].service);
        if (world_.scenario_.services[world_.replicas_[id].service].unit != unit) d.accelerators = 0;
        return d;
      };
      const auto fits = [&] { return schedulers::room_for(wanted, units, memory, 1) > 0; };
      std::vector<std::uint32_t> out;
      for (const std::uint32_t id : here) {
        if (fits()) break;
        units += size(id).accelerators;
        memory += size(id).memory;
        out.push_back(id);
      }
      if (!fits()) continue;
      for (std::size_t i = out.size(); i-- > 0;) {
        units -= size(out[i]).accelerators;
        memory -= size(out[i]).memory;
        if (fits()) {
          out.erase(out.begin() + static_cast<std::ptrdiff_t>(i));
          continue;
        }
        units += size(out[i]).accelerators;
        memory += size(out[i]).memory;
      }
      if (out.size() > budget || (!best.empty() && out.size() >= best.size())) continue;
      Plan plan;
      plan.avoid = n;
      std::vector<std::pair<std::uint32_t, Found>> moves;
      if (plan_moves(out, plan, moves)) best = std::move(moves);
    }
  }
  carry_out(best);
  return static_cast<std::uint32_t>(best.size());
}

// Frees the machine with the fewest replicas whose replicas all fit on other machines in use.
std::uint32_t Placer::consolidate(std::uint32_t budget) {
  std::vector<std::uint32_t> nodes;
  for (std::uint32_t n = 0; n < world_.nodes_.size(); ++n) {
    const std::vector<std::uint32_t>& here = world_.nodes_[n].replicas;
    if (!here.empty() && here.size() <= budget &&
        std::all_of(here.begin(), here.end(), [&](std::uint32_t id) { return movable(id); }))
      nodes.push_back(n);
  }
  std::stable_sort(nodes.begin(), nodes.end(), [&](std::uint32_t a, std::uint32_t b) {
    return world_.nodes_[a].replicas.size() < world_.nodes_[b].replicas.size();
  });
  for (const std::uint32_t n : nodes) {
    Plan plan;
    plan.avoid = n;
    plan.used_only = true;
    std::vector<std::pair<std::uint32_t, Found>> moves;
    if (!plan_moves(world_.nodes_[n].replicas, plan, moves)) continue;
    carry_out(moves);
    return static_cast<std::uint32_t>(moves.size());
  }
  return 0;
}

// Rules that what stands now does not keep: counted anew from the replicas, without the search for machines.
std::uint64_t Placer::broken_rules() const {
  std::uint64_t broken = 0;
  std::map<std::pair<std::uint32_t, std::uint32_t>, double> units;
  std::map<std::uint32_t, double> memory, capacity;
  std::vector<std::uint32_t> all;
  for (const ServiceState& s : world_.services_) all.insert(all.end(), s.replicas.begin(), s.replicas.end());
  for (const std::uint32_t i : all) {
    const Replica& p = world_.replicas_[i];
    const Service& s = world_.scenario_.services[p.service];
    const NodeGroup& group = world_.scenario_.nodes[world_.nodes_[p.node].group];
    if (s.takes_units() && !group.units.empty()) units[{p.node, s.unit}] += s.units_held();
    memory[p.node] += s.reserves_memory;
    const std::uint32_t front = world_.placed_by(p.service);
    if (front == ~0U) continue;
    if (s.reserves_memory > 0) capacity[p.node] = memory_of(p.service);
    if (!counts(i, {})) continue;
    const Placement& rules = spec(front);
    if (!schedulers::tolerates_all(rules.tolerates, group.taints)) ++broken;
    const std::string& zone = world_.scenario_.topology.zones[zone_of(p.node)].name;
    if (!rules.zones.empty() && std::find(rules.zones.begin(), rules.zones.end(), zone) == rules.zones.end())
      ++broken;
    for (const std::uint32_t other : rules.apart)
      for (const std::uint32_t id : world_.replicas_of(other)) {
        const std::uint32_t at = world_.replicas_[id].node;
        if (id != i && counts(id, {}) && (rules.apart_zone ? zone_of(at) == zone_of(p.node) : at == p.node))
          ++broken;
      }
  }
  for (const auto& [key, taken] : units) {
    const NodeGroup& group = world_.scenario_.nodes[world_.nodes_[key.first].group];
    if (taken > group.count_of(key.second)) ++broken;
  }
  for (const auto& [node, bytes] : capacity)
    if (memory[node] > bytes * (1 + 1e-9)) ++broken;
  return broken;
}

// How full and how mixed the machines are that the service may take.
void Placer::observe(std::uint32_t service) {
  State& s = states_[service];
  std::set<std::uint32_t> own;
  for (const std::uint32_t id : world_.replicas_of(service)) own.insert(world_.replicas_[id].node);
  double shared = 0;
  for (const std::uint32_t n : own) {
    const auto& here = world_.nodes_[n].replicas;
    shared += std::any_of(here.begin(), here.end(), [&](std::uint32_t id) {
      return world_.front_of(world_.replicas_[id].service) != service;
    });
  }
  double free = 0, usable = 0, room = 0;
  for (const std::uint32_t member : s.members) {
    const NodeGroup& group = world_.scenario_.nodes[world_.scenario_.services[member].group];
    const PlacementDemand d = demand(member);
    if (d.accelerators <= 0 && d.memory <= 0) continue;
    for (std::uint32_t n = group.first; n < group.first + group.count; ++n) {
      if (!this->usable(n)) continue;
      const double units = free_accelerators(member, n, {}), memory = free_memory(member, n, {});
      const auto more = static_cast<double>(schedulers::room_for(d, units, memory, much_room));
      room += more;
      free += d.accelerators > 0 ? units : memory;
      usable += more * (d.accelerators > 0 ? d.accelerators : d.memory);
    }
  }
  s.machines.set(world_.now_, static_cast<double>(own.size()));
  s.shared.set(world_.now_, own.empty() ? 0 : shared / static_cast<double>(own.size()));
  s.room.set(world_.now_, room);
  s.wasted.set(world_.now_, free > 0 ? std::max(0.0, 1 - usable / free) : 0);
}

void Placer::observe() {
  for (const std::uint32_t i : services_) observe(i);
  violations_ += broken_rules();
}

void Placer::reset_totals() {
  violations_ = 0;
  for (const std::uint32_t i : services_) {
    State& s = states_[i];
    for (TimeAverage* a : {&s.pending, &s.machines, &s.shared, &s.wasted, &s.room}) a->reset(world_.now_);
    s.placed = s.moves = s.refused = 0;
    s.longest = 0;
    if (pending(i)) s.waiting_since = world_.now_;
  }
}

double Placer::waited_seconds() const {
  double sum = 0;
  for (const std::uint32_t i : services_) sum += states_[i].pending.integral(world_.now_);
  return sum;
}

void Placer::add_totals(std::vector<std::pair<std::string, double>>& out) {
  for (const std::uint32_t i : services_) {
    State& s = states_[i];
    const Instant now = world_.now_;
    const auto put = [&](const char* name, double value) {
      out.emplace_back(fmt::format("placement_{}.{}", name, world_.scenario_.services[i].name), value);
    };
    put("placed", static_cast<double>(s.placed));
    put("refused", static_cast<double>(s.refused));
    put("pending", s.pending.mean(now));
    put("waited", std::max(s.longest, pending(i) ? (now - s.waiting_since).seconds() : 0.0));
    put("moves", static_cast<double>(s.moves));
    put("machines", s.machines.mean(now));
    put("shared", s.shared.mean(now));
    put("fragmentation", s.wasted.mean(now));
    put("room", s.room.mean(now));
  }
  out.emplace_back("placement_violations", static_cast<double>(violations_ + broken_rules()));
}

void Placer::add_notes(std::vector<std::string>& out) const {
  for (const std::uint32_t i : services_)
    if (pending(i))
      out.push_back(fmt::format("service \"{}\": {:.0f} replicas wait for a machine: {}",
                                world_.scenario_.services[i].name, states_[i].pending.value(),
                                schedulers::explain(states_[i].why)));
}

}  // namespace isthmus::world
