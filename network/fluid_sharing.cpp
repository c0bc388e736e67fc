// Fluid backend: which links are contended, which flows that ties together, and their rates.
#include <algorithm>
#include <functional>

#include "network/fluid_network.hpp"

namespace isthmus::network {

namespace {

// A link counts as contended when the demand on it comes this close to its capacity (in doubt it is
// contended: that is exact too, only slower), and stops when demand falls below the lower mark.
constexpr double contended_above = 1.0 - 1e-9;
constexpr double contended_until = 0.5;

}  // namespace

void FluidNetwork::mark(ResourceIndex r) {
  if (resources_[r].dirty) return;
  resources_[r].dirty = true;
  dirty_.push_back(r);
}

// Keeps the sum of what flows could ask of a resource, and whether that is too much.
void FluidNetwork::add_demand(ResourceIndex r, double amount, double weight) {
  Resource& s = resources_[r];
  s.demand += amount;
  s.weight += weight;
  // Rounding never piles up: an idle link starts at zero, a busy one is summed afresh now and then.
  if (s.flows.empty()) {
    s.demand = s.weight = 0;
  } else if (++s.updates > 64 + 4 * s.flows.size()) {
    s.updates = 0;
    s.demand = s.weight = 0;
    for (const Member& m : s.flows) {
      const Flow& f = flows_[m.flow];
      s.demand += f.elements[m.element].use * f.cap;
      s.weight += f.elements[m.element].use * f.weight;
    }
  }
  review(r);
}

void FluidNetwork::review(ResourceIndex r) {
  Resource& s = resources_[r];
  const double capacity = this->capacity(r);
  const bool limits = s.flows.size() > 1 && links_.sharing(LinkId(r / 2)) != Sharing::fatpipe;
  if (!s.contended && limits && s.demand > capacity * contended_above) {
    // An arrival may find that it changes nothing; settle() decides.
    s.contended = true;
    if (s.mesh != none) return;
    if (arriving_)
      fresh_.push_back(r);
    else
      mark(r);
  } else if (s.contended && (!limits || s.demand < capacity * contended_until)) {
    s.contended = false;
    if (s.mesh != none) return touch_mesh(s.mesh);
    if (s.host == none) return mark(r);
    s.host = none;
    ++s.stamp;
  }
}

// Gives an arrived flow its rate at once where that touches nobody else, else leaves it to flush().
void FluidNetwork::settle(std::uint32_t slot) {
  const Flow& f = flows_[slot];
  std::uint32_t host = none, mesh = none;
  std::uint32_t contended = 0, hosts = 0;
  bool simple = true;
  for (const Element& e : f.elements) {
    const Resource& r = resources_[e.resource];
    if (r.dirty) simple = false;
    if (!r.contended && r.mesh == none) continue;
    ++contended;
    if (r.mesh != none) {
      if (mesh == none) mesh = r.mesh;
      if (mesh != r.mesh) simple = false;
    } else if (r.host != none && mesh_of_host(r.host) != none) {
      if (mesh == none) mesh = mesh_of_host(r.host);
      if (mesh != mesh_of_host(r.host)) simple = false;
    } else if (alone(e.resource)) {
      host = r.group;
      ++hosts;
    }
  }
  if (simple && contended == 0) return set_rate(slot, f.cap);
  if (simple && mesh != none && hosts == 0 && settle_in_mesh(slot, mesh)) return;

  // It may join a group when all its other contended links are known only to that group.
  simple = simple && mesh == none && hosts == 1;
  if (simple && contended > 1) {
    for (const Element& e : f.elements) {
      const Resource& r = resources_[e.resource];
      if (!r.contended || r.group == host || r.host == host) continue;
      const bool fresh = std::find(fresh_.begin(), fresh_.end(), e.resource) != fresh_.end();
      simple = simple && fresh && r.host == none &&
               std::all_of(r.flows.begin(), r.flows.end(), [&](const Member& m) {
                 return m.flow == slot || flows_[m.flow].group == host;
               });
      if (!simple) break;
    }
  }
  if (!simple) {
    for (const Element& e : f.elements)
      if (resources_[e.resource].contended || resources_[e.resource].mesh != none) mark(e.resource);
    return;
  }
  for (const Element& e : f.elements) {
    Resource& r = resources_[e.resource];
    if (!r.contended || r.group == host) continue;
    r.host = host;
    limit_host(e.resource);
  }
  join_group(host, slot);
}

// Stops a flow at the present date, outside every group, until flush() gives it a rate.
void FluidNetwork::hold(std::uint32_t slot) {
  Flow& f = flows_[slot];
  const double left = left_of(f);
  if (f.group != none) leave_group(slot);
  heap_.remove(slot);
  f.phase = Phase::own;
  f.left = left;
  f.since = clock_;
  f.rate = 0;
}

// Sets the rate of a flow in phase `own`; an unchanged rate keeps its date to the last bit.
void FluidNetwork::set_rate(std::uint32_t slot, double consumption) {
  Flow& f = flows_[slot];
  const double rate = consumption * model_.bandwidth_factor;
  if (rate == f.rate && flow_places_[slot] != none) return;
  f.left = left_of(f);
  f.since = clock_;
  f.rate = rate;
  if (rate > 0)
    heap_.set({clock_ + f.left / rate, f.order, slot});
  else
    heap_.remove(slot);
}

// New rates for every component that a change has touched. Meshes may give up, which leaves their
// links to the walks; walks may end meshes and begin new ones.
void FluidNetwork::flush() {
  ++epoch_;
  for (std::size_t i = 0; i < dirty_.size(); ++i)
    if ((dirty_[i] & group_bit) != 0) review_mesh(dirty_[i] & ~group_bit);
  for (std::size_t i = 0; i < dirty_.size(); ++i) {
    const ResourceIndex r = dirty_[i];
    if ((r & group_bit) != 0) continue;
    for (std::size_t k = 0; k < resources_[r].flows.size(); ++k) {
      const std::uint32_t slot = resources_[r].flows[k].flow;
      if (flows_[slot].epoch != epoch_) solve_from(slot);
    }
    // A group that lost its contention is empty by now.
    if (!resources_[r].contended) dissolve_group(r);
    resources_[r].dirty = false;
  }
  for (std::size_t i = 0; i < dirty_.size(); ++i) {
    if ((dirty_[i] & group_bit) == 0) continue;
    const std::uint32_t mesh = dirty_[i] & ~group_bit;
    if (meshes_[mesh].active && meshes_[mesh].dirty) solve_classes(mesh);
    meshes_[mesh].dirty = false;
  }
  dirty_.clear();
}

// Collects the flows that contended links tie to this one and shares those links among them.
void FluidNetwork::solve_from(std::uint32_t slot) {
  walk_flows_.assign(1, slot);
  walk_resources_.clear();
  flows_[slot].epoch = epoch_;
  for (std::size_t i = 0; i < walk_flows_.size(); ++i) {
    for (const Element& e : flows_[walk_flows_[i]].elements) {
      Resource& r = resources_[e.resource];
      if (!r.contended || r.epoch == epoch_) continue;
      r.epoch = epoch_;
      walk_resources_.push_back(e.resource);
      for (const Member& m : r.flows) {
        if (flows_[m.flow].epoch == epoch_) continue;
        flows_[m.flow].epoch = epoch_;
        walk_flows_.push_back(m.flow);
      }
    }
  }

  // Out of virtual time: whatever groups they were in no longer fit.
  for (const std::uint32_t s : walk_flows_) {
    const std::uint32_t group = flows_[s].group;
    if (group != none && groups_[group].mesh != none) dissolve_mesh(groups_[group].mesh);
    if (flows_[s].group != none) release(s);
  }
  for (const ResourceIndex r : walk_resources_) {
    if (resources_[r].mesh != none) dissolve_mesh(resources_[r].mesh);
    resources_[r].host = none;
    ++resources_[r].stamp;
    dissolve_group(r);
  }

  // Alone, one bottleneck for all, many flows in few classes, or each for itself.
  if (walk_resources_.empty()) {
    for (const std::uint32_t s : walk_flows_) set_rate(s, flows_[s].cap);
  } else if (!solve_as_group()) {
    solve_mesh();
    if (!build_mesh()) set_rates();
  }
}

// Tries the link that fills up first as the one bottleneck of all flows of the walk.
bool FluidNetwork::solve_as_group() {
  ResourceIndex host = none;
  double lowest = 0;
  for (const ResourceIndex r : walk_resources_) {
    Resource& s = resources_[r];
    s.weight = 0;
    for (const Member& m : s.flows)
      s.weight += flows_[m.flow].elements[m.element].use * flows_[m.flow].weight;
    const double level = capacity(r) / s.weight;
    if (host != none && level >= lowest) continue;
    host = r;
    lowest = level;
  }
  if (resources_[host].flows.size() != walk_flows_.size()) return false;
  if (build_group(host)) return true;

  // Another link fills up as well: back to phase `own`.
  for (const std::uint32_t slot : walk_flows_) release(slot);
  for (const ResourceIndex r : walk_resources_) {
    resources_[r].host = none;
    ++resources_[r].stamp;
  }
  dissolve_group(host);
  return false;
}

// Progressive filling: the water level rises; a flow stops at its cap, a link stops all flows that
// are still rising on it. Links' levels only grow while flows stop below them. Leaves the solution in
// Flow::value and Resource::full.
void FluidNetwork::solve_mesh() {
  by_cap_.clear();
  by_level_.clear();
  for (const ResourceIndex r : walk_resources_) {
    Resource& s = resources_[r];
    s.left = capacity(r);
    s.usage = 0;
    s.unfixed = 0;
    s.full = false;
  }
  for (const std::uint32_t slot : walk_flows_) {
    Flow& f = flows_[slot];
    f.fixed = false;
    by_cap_.push_back({f.cap / f.weight, slot, 0, f.order});
    for (const Element& e : f.elements) {
      Resource& s = resources_[e.resource];
      if (!s.contended) continue;
      s.usage += e.use * f.weight;
      ++s.unfixed;
    }
  }
  std::sort(by_cap_.begin(), by_cap_.end(), std::greater<>());  // smallest at the back
  std::reverse(by_cap_.begin(), by_cap_.end());

  const auto push_level = [&](ResourceIndex r, bool exact) {
    Resource& s = resources_[r];
    s.level = std::max(s.left, 0.0) / s.usage;
    s.exact = exact;
    by_level_.push_back({s.level, r, 0, r});
    std::push_heap(by_level_.begin(), by_level_.end(), std::greater<>());
  };
  for (const ResourceIndex r : walk_resources_) push_level(r, true);

  const auto fix = [&](std::uint32_t slot, double value) {
    Flow& f = flows_[slot];
    f.fixed = true;
    f.value = value;
    for (const Element& e : f.elements) {
      Resource& s = resources_[e.resource];
      if (!s.contended) continue;
      s.left -= e.use * value;
      s.usage -= e.use * f.weight;
      if (--s.unfixed > 0) s.exact = false;
    }
  };

  std::size_t next_cap = 0, fixed = 0;
  while (fixed < walk_flows_.size()) {
    // The next link to fill up, with its level brought up to date.
    ResourceIndex full = none;
    while (!by_level_.empty()) {
      const ResourceIndex r = by_level_.front().flow;
      Resource& s = resources_[r];
      if (s.unfixed > 0 && s.exact && by_level_.front().key == s.level) {
        full = r;
        break;
      }
      const bool current = by_level_.front().key == s.level;
      std::pop_heap(by_level_.begin(), by_level_.end(), std::greater<>());
      by_level_.pop_back();
      if (s.unfixed == 0 || !current) continue;
      // Summed afresh, so that no rounding of the running sums survives.
      s.left = capacity(r);
      s.usage = 0;
      for (const Member& m : s.flows) {
        const Flow& f = flows_[m.flow];
        const double use = f.elements[m.element].use;
        if (f.fixed)
          s.left -= use * f.value;
        else
          s.usage += use * f.weight;
      }
      push_level(r, true);
    }
    while (next_cap < by_cap_.size() && flows_[by_cap_[next_cap].flow].fixed) ++next_cap;

    // A cap comes first, or the link fills up.
    if (full == none || by_cap_[next_cap].key <= resources_[full].level) {
      const std::uint32_t slot = by_cap_[next_cap].flow;
      fix(slot, flows_[slot].cap);
      ++fixed;
      continue;
    }
    const double level = resources_[full].level;
    resources_[full].full = true;
    for (const Member& m : resources_[full].flows) {
      if (flows_[m.flow].fixed) continue;
      fix(m.flow, flows_[m.flow].weight * level);
      ++fixed;
    }
  }
}

void FluidNetwork::set_rates() {
  ++solves_.by_flow;
  for (const std::uint32_t slot : walk_flows_) set_rate(slot, flows_[slot].value);
}

}  // namespace isthmus::network
