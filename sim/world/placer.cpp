#include "sim/world/cluster_autoscaler.hpp"
#include "sim/world/disruptions.hpp"
#include "sim/world/placer.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "sim/core/errors.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

// What an event is about: replicas that wait, the descheduler, or else a service (plus 1) that lost some.
constexpr std::uint32_t retry_event = 0, deschedule_event = ~0U;

using schedulers::PlacementDemand;
using schedulers::Refusal;

}  // namespace

Placer::Placer(World& world) : world_(world), draws_(world.seed_, "placement") {
  const std::vector<Service>& services = world.scenario_.services;
  states_.resize(services.size());
  memory_.assign(world.nodes_.size(), 0);
  for (std::uint32_t i = 0; i < services.size(); ++i) {
    const Service& s = services[i];
    if (!s.placement) continue;
    services_.push_back(i);
    states_[i].policy = s.placement->policy->make(*s.placement->parameters);
    if (s.pools) states_[i].members = s.pools->first;
    else states_[i].members = {i};
  }
}

void Placer::start() {
  for (const std::uint32_t i : services_) {
    const Service& spec = world_.scenario_.services[i];
    std::uint32_t there = 0;
    while (there < spec.replicas && place(i, true)) ++there;
    if (there < spec.replicas && !world_.cluster_)
      throw InputError(fmt::format("service \"{}\": {} of {} replicas find a machine; for the next one, {}",
                                   spec.name, there, spec.replicas, schedulers::explain(states_[i].why)));
    set_pending(i, spec.replicas - there);  // the cluster autoscaler may order machines for them
    world_.ask_for(i, spec.replicas);
    if (spec.autoscaling.policy) world_.open_autoscaling(i);
  }
  if (const auto& d = world_.scenario_.descheduler)
    world_.every(d->period, EventKind::placement, deschedule_event);
}

const Placement& Placer::spec(std::uint32_t service) const {
  return *world_.scenario_.services[service].placement;
}

PlacementDemand Placer::demand(std::uint32_t member) const {
  const Service& s = world_.scenario_.services[member];
  return {s.takes_units() ? static_cast<double>(s.units_held()) : 0.0, s.reserves_memory};
}

// Up, and not about to be taken down.
bool Placer::usable(std::uint32_t node) const {
  return world_.nodes_[node].up && !(world_.disruptions_ && world_.disruptions_->cordoned(node)) &&
         !(world_.cluster_ && world_.cluster_->cordoned(node));
}

bool Placer::usable(std::uint32_t node, const Plan& plan) const {
  if (std::find(plan.closed.begin(), plan.closed.end(), node) != plan.closed.end()) return false;
  return usable(node) || std::find(plan.arrived.begin(), plan.arrived.end(), node) != plan.arrived.end();
}

double Placer::accelerators_of(std::uint32_t member) const {
  const Service& s = world_.scenario_.services[member];
  const NodeGroup& group = world_.scenario_.nodes[s.group];
  return group.count_of(s.unit);
}

// Of the units that the replica takes, all of them together.
double Placer::memory_of(std::uint32_t member) const {
  const Service& s = world_.scenario_.services[member];
  return world_.scenario_.nodes[s.group].units[s.unit].memory * accelerators_of(member);
}

double Placer::free_accelerators(std::uint32_t member, std::uint32_t node, const Plan& plan) const {
  const std::uint32_t unit = world_.scenario_.services[member].unit;
  const auto taken = plan.units.find({node, unit});
  return world_.nodes_[node].free_units[unit] - (taken == plan.units.end() ? 0.0 : taken->second);
}

double Placer::free_memory(std::uint32_t member, std::uint32_t node, const Plan& plan) const {
  const auto taken = plan.memory.find(node);
  return memory_of(member) - memory_[node] - (taken == plan.memory.end() ? 0.0 : taken->second);
}

std::uint32_t Placer::zone_of(std::uint32_t node) const { return world_.zone_of(node); }

// It runs, and is to stay or may yet have to (its move has not ended).
bool Placer::stands(std::uint32_t replica, const Plan& plan) const {
  const ReplicaPhase phase = world_.replicas_[replica].phase;
  return phase != ReplicaPhase::draining && phase != ReplicaPhase::gone &&
         std::find(plan.gone.begin(), plan.gone.end(), replica) == plan.gone.end();
}

// Replicas that are about to go are not asked for.
bool Placer::counts(std::uint32_t replica, const Plan& plan) const {
  return stands(replica, plan) && !leaving(replica);
}

bool Placer::present(std::uint32_t service, std::uint32_t node, bool zone, const Plan& plan) const {
  const std::vector<std::uint32_t> all = world_.replicas_of(service);
  const auto here = [&](std::uint32_t at) { return zone ? zone_of(at) == zone_of(node) : at == node; };
  return std::any_of(all.begin(), all.end(),
                     [&](std::uint32_t id) { return stands(id, plan) && here(world_.replicas_[id].node); }) ||
         std::any_of(plan.put.begin(), plan.put.end(),
                     [&](const auto& p) { return p.first == service && here(p.second); });
}

bool Placer::present_anywhere(std::uint32_t service, const Plan& plan) const {
  const std::vector<std::uint32_t> all = world_.replicas_of(service);
  return std::any_of(all.begin(), all.end(), [&](std::uint32_t id) { return counts(id, plan); }) ||
         std::any_of(plan.put.begin(), plan.put.end(), [&](const auto& p) { return p.first == service; });
}

// Replicas of the service in every domain that could take one; domains whose machines are all down are none.
std::map<std::uint32_t, std::uint32_t> Placer::domains(std::uint32_t service, const Plan& plan) const {
  std::map<std::uint32_t, std::uint32_t> found;
  const Placement& p = spec(service);
  if (!p.spread) return found;
  for (const std::uint32_t member : states_[service].members) {
    const NodeGroup& group = world_.scenario_.nodes[world_.scenario_.services[member].group];
    for (std::uint32_t n = group.first; n < group.first + group.count; ++n) {
      if (!usable(n, plan)) continue;
      if (!p.zones.empty() &&
          std::find(p.zones.begin(), p.zones.end(), world_.scenario_.topology.zones[zone_of(n)].name) ==
              p.zones.end())
        continue;
      found.try_emplace(p.spread->zones ? zone_of(n) : n, 0);
    }
  }
  for (const std::uint32_t id : world_.replicas_of(service)) {
    if (!counts(id, plan)) continue;
    const std::uint32_t at = world_.replicas_[id].node;
    const auto domain = found.find(p.spread->zones ? zone_of(at) : at);
    if (domain != found.end()) ++domain->second;
  }
  for (const auto& [of, at] : plan.put) {
    if (of != service) continue;
    const auto domain = found.find(p.spread->zones ? zone_of(at) : at);
    if (domain != found.end()) ++domain->second;
  }
  return found;
}

Refusal Placer::refusal(std::uint32_t service, std::uint32_t member, std::uint32_t node,
                        const std::map<std::uint32_t, std::uint32_t>& domains, const Plan& plan) const {
  const Placement& p = spec(service);
  const NodeGroup& group = world_.scenario_.nodes[world_.scenario_.services[member].group];
  if (!usable(node, plan)) return Refusal::down;
  if (!p.zones.empty() &&
      std::find(p.zones.begin(), p.zones.end(), world_.scenario_.topology.zones[zone_of(node)].name) ==
          p.zones.end())
    return Refusal::requirement;
  if (!schedulers::tolerates_all(p.tolerates, group.taints)) return Refusal::taint;
  for (const std::uint32_t other : p.near) {
    if (present(other, node, p.near_zone, plan)) continue;
    // The first replica of a service that wants to be near itself goes anywhere.
    if (other == service && !present_anywhere(other, plan)) continue;
    return Refusal::affinity;
  }
  for (const std::uint32_t other : p.apart)
    if (present(other, node, p.apart_zone, plan)) return Refusal::anti_affinity;
  for (const std::uint32_t other : services_) {  // rules of those that are there hold for newcomers too
    const Placement& o = spec(other);
    if (other != service && std::find(o.apart.begin(), o.apart.end(), service) != o.apart.end() &&
        present(other, node, o.apart_zone, plan))
      return Refusal::anti_affinity;
  }
  if (p.spread && p.spread->hard) {
    std::vector<std::uint32_t> counts;
    std::size_t own = 0;
    for (const auto& [domain, replicas] : domains) {
      if (domain == (p.spread->zones ? zone_of(node) : node)) own = counts.size();
      counts.push_back(replicas);
    }
    if (schedulers::skew_with_one_more(counts, own) > p.spread->max_skew) return Refusal::spread;
  }
  const PlacementDemand d = demand(member);
  if (free_accelerators(member, node, plan) < d.accelerators) return Refusal::accelerators;
  if (d.memory > 0 && schedulers::room_for({0, d.memory}, 0, free_memory(member, node, plan), 1) < 1)
    return Refusal::memory;
  return Refusal::none;
}

// The machine for one replica more, and how many machines there are for each reason.
Placer::Found Placer::find(std::uint32_t service, const Plan& plan, schedulers::RefusalCounts& why) {
  const Placement& p = spec(service);
  State& state = states_[service];
  why = {};
  for (const auto& [group, reason] : p.excluded)
    why[static_cast<std::size_t>(Refusal::requirement)] += world_.scenario_.nodes[group].count;
  const std::map<std::uint32_t, std::uint32_t> spread = domains(service, plan);
  std::vector<schedulers::PlacementSite> sites;
  std::vector<Found> found;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> drawbacks;  // soft taints, replicas of its domain
  for (const std::uint32_t member : state.members) {
    const NodeGroup& group = world_.scenario_.nodes[world_.scenario_.services[member].group];
    const PlacementDemand d = demand(member);
    for (std::uint32_t n = group.first; n < group.first + group.count; ++n) {
      const Refusal r = refusal(service, member, n, spread, plan);
      ++why[static_cast<std::size_t>(r)];
      const NodeState& node = world_.nodes_[n];
      if (r != Refusal::none || n == plan.avoid || (plan.used_only && node.hosted == 0)) continue;
      schedulers::PlacementSite s;
      s.node = n;
      s.accelerators = accelerators_of(member);
      s.free_accelerators = free_accelerators(member, n, plan);
      s.memory = memory_of(member);
      s.free_memory = free_memory(member, n, plan);
      s.price = group.price_per_hour;
      s.replicas = node.hosted;
      for (const std::uint32_t id : node.replicas)
        s.own += world_.front_of(world_.replicas_[id].service) == service && counts(id, plan) ? 1 : 0;
      const double share = std::max(s.accelerators > 0 ? d.accelerators / s.accelerators : 0.0,
                                    s.memory > 0 ? d.memory / s.memory : 0.0);
      s.replica_price = share * s.price;
      sites.push_back(s);
      found.push_back({member, n});
      std::uint32_t others = 0;
      if (p.spread && !p.spread->hard) others = spread.at(p.spread->zones ? zone_of(n) : n);
      drawbacks.emplace_back(schedulers::untolerated_soft(p.tolerates, group.taints), others);
    }
  }
  if (sites.empty()) return {};
  const auto best = *std::min_element(drawbacks.begin(), drawbacks.end());
  std::vector<schedulers::PlacementSite> preferred;
  std::vector<Found> of;
  for (std::size_t i = 0; i < sites.size(); ++i)
    if (drawbacks[i] == best) {
      preferred.push_back(sites[i]);
      of.push_back(found[i]);
    }
  Rng g = draws_.at(service, state.tries++);
  const schedulers::PlacementView view{demand(of.front().service), preferred, uniform01(g)};
  const std::size_t chosen = state.policy->place(view);
  if (chosen >= of.size()) throw InternalError("a placement policy chose a machine that is not there");
  return of[chosen];
}

bool Placer::place(std::uint32_t service, bool at_once) {
  State& state = states_[service];
  schedulers::RefusalCounts why;
  const Found found = find(service, {}, why);
  if (found.node == ~0U) {
    state.why = why;
    ++state.refused;
    return false;
  }
  ++state.placed;
  world_.make_replica(found.service, found.node, at_once);
  return true;
}

void Placer::set_replicas(std::uint32_t service, std::uint32_t desired) {
  std::vector<std::uint32_t> alive = world_.replicas_of(service);
  std::erase_if(alive, [&](std::uint32_t id) { return !counts(id, {}); });
  std::uint32_t missing = desired > alive.size() ? desired - static_cast<std::uint32_t>(alive.size()) : 0;
  while (missing > 0 && place(service, false)) --missing;
  set_pending(service, missing);
  for (; alive.size() > desired; alive.pop_back()) world_.retire(alive.back());
}

void Placer::set_pending(std::uint32_t service, std::uint32_t replicas) {
  State& s = states_[service];
  const bool waited = s.pending.value() > 0;
  s.pending.set(world_.now_, replicas);
  if (!waited && replicas > 0) s.waiting_since = world_.now_;
  if (waited && replicas == 0) {
    s.longest = std::max(s.longest, (world_.now_ - s.waiting_since).seconds());
    s.waiting_since = Instant::never();
  }
}

void Placer::changed(std::uint32_t replica, bool came) {
  const Replica& p = world_.replicas_[replica];
  const double bytes = world_.scenario_.services[p.service].reserves_memory;
  memory_[p.node] = std::max(0.0, memory_[p.node] + (came ? bytes : -bytes));
  if (!came) {
    // A move ends with either side: the other one is a replica like any other.
    if (const auto old = moves_back_.find(replica); old != moves_back_.end()) {
      moves_.erase(old->second);
      moves_back_.erase(old);
    } else if (const auto fresh = moves_.find(replica); fresh != moves_.end()) {
      moves_back_.erase(fresh->second);
      moves_.erase(fresh);
    }
    retry_later();
  }
  observe();
}

void Placer::ready(std::uint32_t replica) {
  const auto old = moves_back_.find(replica);
  if (old == moves_back_.end()) return;
  const std::uint32_t leaves = old->second;
  moves_.erase(leaves);
  moves_back_.erase(old);
  world_.retire(leaves);
}

void Placer::lost(std::uint32_t service) {
  world_.queue_.push(world_.now_ + spec(service).failover, EventKind::placement, service + 1);
}

// At the end of this instant, when all that frees room has done so.
void Placer::retry_later() {
  if (retrying_ || std::none_of(services_.begin(), services_.end(), [&](std::uint32_t i) { return pending(i); }))
    return;
  retrying_ = true;
  world_.queue_.push(world_.now_, EventKind::placement, retry_event);
}

void Placer::on_event(std::uint32_t what) {
  if (what == deschedule_event) {
    deschedule();
    world_.every(world_.scenario_.descheduler->period, EventKind::placement, deschedule_event);
    return;
  }
  if (what != retry_event) {
    set_replicas(what - 1, world_.services_[what - 1].asked);
    return;
  }
  retrying_ = false;
  for (const std::uint32_t i : services_)
    if (pending(i)) set_replicas(i, world_.services_[i].asked);
}

}  // namespace isthmus::world
