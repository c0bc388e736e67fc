#include "sim/world/sharing.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "devices/unit_power.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

constexpr std::uint32_t nowhere = 0xffffffffU;

}  // namespace

Sharing::Sharing(World& world)
    : world_(world), services_(world.scenario_.services.size()), groups_(world.scenario_.nodes.size()) {
  for (const NodeGroup& group : world.scenario_.nodes) {
    if (!group.sharing) continue;
    for (std::uint32_t node = group.first; node < group.first + group.count; ++node) {
      const auto first = static_cast<std::uint32_t>(accelerators_.size());
      for (std::uint32_t u = 0; u < group.units.size(); ++u) {
        if (!group.shared(u)) continue;
        const std::uint32_t each = std::max(1U, group.count_of(u) / group.accelerators);
        for (std::uint32_t i = 0; i < group.count_of(u); ++i) {
          Accelerator a;
          a.node = node;
          a.unit = u;
          a.number = i / each;
          a.memory = group.units[u].memory;
          accelerators_.push_back(std::move(a));
        }
      }
      of_node_[node] = {first, static_cast<std::uint32_t>(accelerators_.size())};
    }
  }
}

bool Sharing::concerns(std::uint32_t service) const {
  const world::Service& s = world_.scenario_.services[service];
  return s.takes_units() && world_.scenario_.nodes[s.group].shared(s.unit);
}

bool Sharing::fits(const Accelerator& a, std::uint32_t service) const {
  const world::Service& s = world_.scenario_.services[service];
  const NodeGroup& group = world_.scenario_.nodes[s.group];
  if (a.broken || a.unit != s.unit || a.replicas.size() >= group.sharing->replicas) return false;
  double memory = s.shared_use.memory;
  for (const std::uint32_t id : a.replicas)
    memory += world_.scenario_.services[world_.replicas_[id].service].shared_use.memory;
  return a.memory <= 0 || memory <= a.memory;
}

// The one with the fewest replicas, as NVIDIA's device plugin for Kubernetes spreads them; the first of equals.
std::uint32_t Sharing::room(std::uint32_t service, std::uint32_t node) const {
  const auto [first, last] = of_node_.at(node);
  std::uint32_t best = nowhere;
  for (std::uint32_t i = first; i < last; ++i)
    if (fits(accelerators_[i], service) &&
        (best == nowhere || accelerators_[i].replicas.size() < accelerators_[best].replicas.size()))
      best = i;
  return best;
}

bool Sharing::has_room(std::uint32_t service, std::uint32_t node) const {
  return !concerns(service) || room(service, node) != nowhere;
}

void Sharing::placed(std::uint32_t replica) {
  if (seats_.size() <= replica) seats_.resize(replica + 1);
  const Replica& p = world_.replicas_[replica];
  if (!concerns(p.service)) return;
  const std::uint32_t i = room(p.service, p.node);
  if (i == nowhere) throw InternalError("no room on a shared accelerator");
  accelerators_[i].replicas.push_back(replica);
  seats_[replica].accelerator = i;
}

void Sharing::removed(std::uint32_t replica) {
  const std::uint32_t i = seats_[replica].accelerator;
  if (i == nowhere) return;
  touched(replica);
  take_part(replica, false, 1);
  for (auto* list : {&accelerators_[i].replicas, &accelerators_[i].working, &accelerators_[i].touched})
    std::erase(*list, replica);
  seats_[replica].accelerator = nowhere;
}

// All that changes at one date is looked at together.
void Sharing::touched(std::uint32_t replica) {
  const std::uint32_t i = seats_[replica].accelerator;
  if (i == nowhere) return;
  accelerators_[i].touched.push_back(replica);
  if (std::exchange(accelerators_[i].pending, true)) return;
  world_.queue_.push(world_.now_, EventKind::sharing, i);
}

bool Sharing::active(std::uint32_t replica) const {
  const Replica& p = world_.replicas_[replica];
  if (p.engine) return p.engine->busy() || (p.dispatch_pending && p.engine->has_work());
  return std::any_of(p.batches.begin(), p.batches.end(), [](const Batch& b) { return b.live; });
}

// Of those with work, in their order.
std::vector<double> Sharing::speeds(const Accelerator& a, const std::vector<std::uint32_t>& active) const {
  const AcceleratorSharing& how = *world_.scenario_.nodes[world_.nodes_[a.node].group].sharing;
  if (how.kind == AcceleratorSharing::Kind::time_slicing) {
    const auto n = static_cast<double>(active.size());
    const double useful = active.size() > 1 ? how.slice / (how.slice + how.context_switch) : 1.0;
    return std::vector<double>(active.size(), useful / n);
  }
  // Multiprocessors go to kernels in proportion to what each could use.
  std::vector<double> out;
  double wanted = 0;
  for (const std::uint32_t id : active) {
    const SharedUse& use = world_.scenario_.services[world_.replicas_[id].service].shared_use;
    const double part = std::min(use.cap, use.fills);
    wanted += part;
    out.push_back(part / use.fills);
  }
  for (double& s : out) s /= std::max(1.0, wanted);
  return out;
}

double Sharing::speed(std::uint32_t replica) const { return seats_[replica].speed; }

double Sharing::next_speed(std::uint32_t replica) const {
  if (seats_[replica].accelerator == nowhere) return 1;
  const Accelerator& a = accelerators_[seats_[replica].accelerator];
  std::vector<std::uint32_t> there;
  for (const std::uint32_t id : a.replicas)
    if (id == replica || active(id)) there.push_back(id);
  std::sort(there.begin(), there.end());  // as they are re-rated
  return speeds(a, there)[static_cast<std::size_t>(std::find(there.begin(), there.end(), replica) - there.begin())];
}

void Sharing::take_part(std::uint32_t replica, bool active, double speed) {
  Seat& seat = seats_[replica];
  Service& s = services_[world_.replicas_[replica].service];
  const double before = seat.active ? seat.speed : 0.0, after = active ? speed : 0.0;
  if (active != seat.active) s.active.change(world_.now_, active ? 1 : -1);
  if (before != after) s.speed.change(world_.now_, after - before);
  seat.active = active;
  seat.speed = speed;
}

void Sharing::on_event(std::uint32_t index) {
  Accelerator& a = accelerators_[index];
  a.pending = false;
  std::vector<std::uint32_t>& working = a.working;
  for (const std::uint32_t id : a.touched) {
    const auto at = std::lower_bound(working.begin(), working.end(), id);
    const bool listed = at != working.end() && *at == id, works = active(id);
    if (works && !listed) working.insert(at, id);
    if (!works && listed) working.erase(at);
    if (!works) take_part(id, false, 1);
  }
  a.touched.clear();
  const std::vector<double> speed = speeds(a, working);
  for (std::size_t k = 0; k < working.size(); ++k) {
    const double factor = seats_[working[k]].speed / speed[k];
    take_part(working[k], true, speed[k]);
    world_.change_pace(working[k], factor);
  }
  meter(a, working);
}

// Each replica counts as if it had the accelerator alone; this is corrected here.
void Sharing::meter(Accelerator& a, const std::vector<std::uint32_t>& working) {
  const NodeGroup& group = world_.scenario_.nodes[world_.nodes_[a.node].group];
  const models::ComputeUnit& unit = group.units[a.unit];
  const bool turns = group.sharing->kind == AcceleratorSharing::Kind::time_slicing;
  const auto n = static_cast<double>(working.size());
  double units = 0, watts = 0, drawn = 0;
  for (const std::uint32_t id : working) {
    const Replica& p = world_.replicas_[id];
    double w = 0;
    if (p.engine && p.engine->busy()) {
      units += p.span_units;
      w += p.span_watts;
    }
    for (const Batch& b : p.batches) {
      if (!b.live) continue;
      units += 1.0 / world_.scenario_.services[p.service].slots;
      w += b.watts;
    }
    watts += w;
    drawn += w * (turns ? 1 / n : seats_[id].speed);
  }
  drawn = std::min(drawn, devices::active_power(unit, 1.0).value());
  const double units_off = n > 1 ? units - units / n : 0.0, watts_off = working.empty() ? 0.0 : watts - drawn;
  world_.occupy(a.node, a.unit, a.units_off - units_off, a.watts_off - watts_off);
  a.units_off = units_off;
  a.watts_off = watts_off;

  Group& g = groups_[world_.nodes_[a.node].group];
  const double busy = working.empty() ? 0 : 1;
  const double switching =
      turns && n > 1 ? group.sharing->context_switch / (group.sharing->slice + group.sharing->context_switch) : 0.0;
  if (busy != a.busy) g.busy.change(world_.now_, busy - a.busy);
  if (switching != a.switching) g.switching.change(world_.now_, switching - a.switching);
  a.busy = busy;
  a.switching = switching;
}

// ---- failures --------------------------------------------------------------------------------------

std::uint32_t Sharing::accelerator_of(std::uint32_t replica) const {
  const std::uint32_t i = replica < seats_.size() ? seats_[replica].accelerator : nowhere;
  return i == nowhere ? nowhere : accelerators_[i].number;
}

void Sharing::accelerator_fails(std::uint32_t node, std::uint32_t number, bool fails) {
  const auto it = of_node_.find(node);
  if (it == of_node_.end()) return;
  for (std::uint32_t i = it->second.first; i < it->second.second; ++i)
    if (accelerators_[i].number == number) accelerators_[i].broken = fails;
}

// Its meters stand at nothing; what runs no more is seen with everything else of this date.
void Sharing::node_failed(std::uint32_t node) {
  const auto it = of_node_.find(node);
  if (it == of_node_.end()) return;
  for (std::uint32_t i = it->second.first; i < it->second.second; ++i) {
    Accelerator& a = accelerators_[i];
    a.units_off = a.watts_off = 0;
    a.touched = a.replicas;
    if (!a.pending) world_.queue_.push(world_.now_, EventKind::sharing, i);
    a.pending = true;
  }
}

// ---- figures ---------------------------------------------------------------------------------------

void Sharing::reset_totals() {
  for (Service& s : services_) {
    s.active.reset(world_.now_);
    s.speed.reset(world_.now_);
  }
  for (Group& g : groups_) {
    g.busy.reset(world_.now_);
    g.switching.reset(world_.now_);
  }
}

void Sharing::add_totals(std::vector<std::pair<std::string, double>>& out) const {
  const Scenario& scenario = world_.scenario_;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const NodeGroup& group = scenario.nodes[g];
    if (!group.sharing) continue;
    double accelerators = 0;
    for (std::uint32_t u = 0; u < group.units.size(); ++u)
      accelerators += group.shared(u) ? group.count * group.count_of(u) : 0;
    out.emplace_back("accelerator_busy." + group.name, groups_[g].busy.mean(world_.now_) / accelerators);
    out.emplace_back("accelerator_switching." + group.name, groups_[g].switching.mean(world_.now_) / accelerators);
  }
  for (std::uint32_t i = 0; i < services_.size(); ++i) {
    if (!concerns(i)) continue;
    const double worked = services_[i].speed.integral(world_.now_);
    out.emplace_back("sharing_slowdown." + scenario.services[i].name,
                     worked > 0 ? services_[i].active.integral(world_.now_) / worked
                                : std::numeric_limits<double>::quiet_NaN());
  }
}

}  // namespace isthmus::world
