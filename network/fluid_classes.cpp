// Fluid backend: the rates of a mesh, group by group. All uncapped members of a group share one
// level, so that an event costs as much as there are groups on links, however many flows they have.
#include <algorithm>
#include <functional>
#include <limits>

#include "network/fluid_network.hpp"

namespace isthmus::network {

// Before anything about a group of a mesh changes.
void FluidNetwork::touch_group(std::uint32_t group) {
  Group& g = groups_[group];
  advance_group(g);
  if (g.touched) return;
  g.touched = true;
  meshes_[g.mesh].touched.push_back(group);
}

// What the solver has to know of a group that has changed.
void FluidNetwork::look_at(std::uint32_t group) {
  Group& g = groups_[group];
  Water& w = waters_[group];
  constexpr double infinity = std::numeric_limits<double>::infinity();
  w.low = refresh(g.rising, Phase::virtual_) ? g.rising.front().key : infinity;
  w.high = refresh(g.falling, Phase::own) ? g.falling.front().key : 0.0;
  w.limit = g.limits.empty() ? infinity : g.limits.front().key;
}

// New speeds, and dates where they or the members have changed.
void FluidNetwork::solve_classes(std::uint32_t mesh) {
  Mesh& m = meshes_[mesh];
  ++solves_.by_class;
  for (const std::uint32_t group : m.touched) {
    Group& g = groups_[group];
    if (g.updates > 64 + 4 * g.members) renew_group(g);
    look_at(group);
  }
  do fill_classes(m);
  while (promote_limits(mesh));

  drop_empty_groups(mesh);
  if (m.most == 0) m.most = 16 + 2 * m.groups.size();
  for (const std::uint32_t group : m.groups) {
    Water& w = waters_[group];
    const double speed = std::isinf(w.low) ? 0.0 : w.target;
    if (speed == w.speed) continue;
    touch_group(group);
    w.speed = groups_[group].speed = speed;
  }
  for (const std::uint32_t group : m.touched) {
    groups_[group].touched = false;
    date_group(group);
  }
  m.touched.clear();
}

// Progressive filling. A link's level under the present sides of the members is too low where a
// side is wrong, never too high: so the lowest one can be trusted to be below the solution, members
// whose caps are below it are capped for good, and once there are none, the largest cap above it is
// one of an uncapped member.
void FluidNetwork::fill_classes(const Mesh& mesh) {
  ++epoch_;  // marks members that have been uncapped
  std::size_t open = mesh.groups.size();
  for (const std::uint32_t group : mesh.groups) waters_[group].target = -1;
  by_level_.clear();
  for (const ResourceIndex r : mesh.links) push_level(r, fill_level(r));

  while (open > 0 && !by_level_.empty()) {
    const Entry top = by_level_.front();
    drop_top(by_level_, std::greater<>());
    const ResourceIndex r = top.flow;
    if (top.key != resources_[r].level) continue;
    const double level = fill_level(r);
    if (level > top.key) {
      push_level(r, level);
      continue;
    }
    if (cap_below(r, level)) {
      push_level(r, fill_level(r));
      continue;
    }
    if (uncap_above(r, level)) continue;
    for (const Sharer& s : resources_[r].sharers) {
      Water& w = waters_[s.group];
      if (w.target >= 0) continue;
      w.target = level;
      --open;
    }
  }
  // No link holds the rest back: all their members are capped.
  for (const std::uint32_t group : mesh.groups)
    if (waters_[group].target < 0) waters_[group].target = 0;
}

// Caps the members that the water has reached, in groups that still rise on the link.
bool FluidNetwork::cap_below(ResourceIndex r, double level) {
  bool any = false;
  for (const Sharer& s : resources_[r].sharers) {
    const Water& w = waters_[s.group];
    if (w.target >= 0 || w.low > level) continue;
    any = true;
    touch_group(s.group);
    Group& g = groups_[s.group];
    for (; w.low <= level; look_at(s.group)) {
      const std::uint32_t slot = g.rising.front().flow;
      drop_top(g.rising, std::greater<>());
      ++g.updates;
      to_own(g, slot);
    }
  }
  return any;
}

// Uncaps the member with the largest cap above the water; once per filling, so that rounding cannot
// move it to and fro.
bool FluidNetwork::uncap_above(ResourceIndex r, double level) {
  std::uint32_t best = none;
  for (const Sharer& s : resources_[r].sharers) {
    const Water& w = waters_[s.group];
    if (w.target >= 0 || w.high <= level) continue;
    const Entry& top = groups_[s.group].falling.front();
    if (flows_[top.flow].epoch == epoch_) continue;
    if (best == none || groups_[best].falling.front() < top) best = s.group;
  }
  if (best == none) return false;
  touch_group(best);
  Group& g = groups_[best];
  const std::uint32_t slot = g.falling.front().flow;
  drop_top(g.falling, std::less<>());
  ++g.updates;
  discount_capped(g, flows_[slot]);
  to_virtual(g, slot);
  flows_[slot].epoch = epoch_;
  look_at(best);
  for (const Share& s : g.shares) push_level(s.link, fill_level(s.link));
  return true;
}

// Where the water fills a link if nobody changes sides; infinite when the capped members fit and
// nobody else rises.
double FluidNetwork::fill_level(ResourceIndex r) const {
  const double room = capacity(r);
  double left = room, rise = 0;
  for (const Sharer& s : resources_[r].sharers) {
    const double target = waters_[s.group].target;
    left -= s.taken;
    if (target >= 0)
      left -= s.weight * target;
    else
      rise += s.weight;
  }
  if (rise > 0) return std::max(left, 0.0) / rise;
  return left >= -1e-12 * room ? std::numeric_limits<double>::infinity() : 0.0;
}

void FluidNetwork::push_level(ResourceIndex r, double level) {
  resources_[r].level = level;
  if (std::isinf(level)) return;
  by_level_.push_back({level, r, 0, r});
  std::push_heap(by_level_.begin(), by_level_.end(), std::greater<>());
}

// Lets links that the new levels could overload hold back whoever crosses them; false when there
// are none.
bool FluidNetwork::promote_limits(std::uint32_t mesh) {
  bool any = false;
  double highest = 0;
  const auto level = [&](std::uint32_t group) {
    const Water& w = waters_[group];
    return std::isinf(w.low) ? w.high : w.target;
  };
  for (std::size_t i = 0; i < meshes_[mesh].groups.size(); ++i) {
    const std::uint32_t group = meshes_[mesh].groups[i];
    highest = std::max(highest, level(group));
    if (level(group) <= waters_[group].limit) continue;
    waters_[group].limit = limit_of(groups_[group].limits, group);
    if (level(group) <= waters_[group].limit) continue;
    promote(groups_[group].limits.front().flow, mesh);
    any = true;
  }
  while (highest > limit_of(meshes_[mesh].limits, mesh | group_bit)) {
    promote(meshes_[mesh].limits.front().flow, mesh);
    any = true;
  }
  if (any)
    for (const std::uint32_t group : meshes_[mesh].touched) look_at(group);
  return any;
}

}  // namespace isthmus::network
