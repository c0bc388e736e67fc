// Fluid backend: the rates of a mesh, group by group. All uncapped members of a group share one level,
// so that an event costs as much as there are groups on links, however many flows they have.
#include <algorithm>
#include <functional>
#include <limits>

#include "network/fluid_network.hpp"

namespace isthmus::network {

// Before anything about a group of a mesh changes.
void FluidNetwork::touch_group(Group& g) {
  advance_group(g);
  g.touched = true;
}

// New speeds, and dates where they or the members have changed.
void FluidNetwork::solve_classes(std::uint32_t mesh) {
  ++epoch_;  // marks members that this solution has uncapped
  ++solves_.by_class;
  for (const std::uint32_t group : meshes_[mesh].groups) {
    Group& g = groups_[group];
    if (g.updates > 64 + 4 * g.members) renew_group(g);
  }
  do fill_classes(meshes_[mesh]);
  while (promote_limits(mesh));
  for (const std::uint32_t group : meshes_[mesh].groups) {
    Group& g = groups_[group];
    const double speed = g.uncapped > 0 ? g.target : 0.0;
    if (!g.touched && speed == g.speed) continue;
    advance_group(g);
    g.speed = speed;
    g.touched = false;
    date_group(group);
  }
}

// Progressive filling. A link's level under the present sides of the members is too low where a side
// is wrong, never too high: so the lowest one can be trusted to be below the solution, members whose
// caps are below it are capped for good, and once there are none, the largest cap above it is one of
// an uncapped member.
void FluidNetwork::fill_classes(const Mesh& mesh) {
  std::size_t unfixed = mesh.groups.size();
  for (const std::uint32_t group : mesh.groups) groups_[group].fixed = false;
  by_level_.clear();
  for (const ResourceIndex r : mesh.links) push_level(r, fill_level(r));

  while (unfixed > 0 && !by_level_.empty()) {
    const Entry top = by_level_.front();
    drop_top(by_level_, std::greater<>());
    const ResourceIndex r = top.flow;
    if (top.key != resources_[r].level) continue;
    const double level = fill_level(r);
    if (level > top.key || cap_below(r, level)) {
      push_level(r, fill_level(r));
      continue;
    }
    if (uncap_above(r, level)) continue;
    for (const Sharer& s : resources_[r].sharers) {
      Group& g = groups_[s.group];
      if (g.fixed) continue;
      g.fixed = true;
      g.target = level;
      --unfixed;
    }
  }
  // No link holds the rest back: all their members are capped.
  for (const std::uint32_t group : mesh.groups)
    if (!groups_[group].fixed) groups_[group].target = 0;
}

// Caps the members that the water has reached, in groups that still rise on the link.
bool FluidNetwork::cap_below(ResourceIndex r, double level) {
  bool any = false;
  for (const Sharer& s : resources_[r].sharers) {
    Group& g = groups_[s.group];
    if (g.fixed) continue;
    while (refresh(g.rising, Phase::virtual_) && g.rising.front().key <= level) {
      const std::uint32_t slot = g.rising.front().flow;
      drop_top(g.rising, std::greater<>());
      touch_group(g);
      ++g.updates;
      to_own(g, slot);
      any = true;
    }
  }
  return any;
}

// Uncaps the member with the largest cap above the water; once per solution, so that rounding cannot
// move it to and fro.
bool FluidNetwork::uncap_above(ResourceIndex r, double level) {
  Group* best = nullptr;
  for (const Sharer& s : resources_[r].sharers) {
    Group& g = groups_[s.group];
    if (g.fixed || !refresh(g.falling, Phase::own)) continue;
    const Entry& top = g.falling.front();
    if (top.key <= level || flows_[top.flow].epoch == epoch_) continue;
    if (best == nullptr || best->falling.front() < top) best = &g;
  }
  if (best == nullptr) return false;
  const std::uint32_t slot = best->falling.front().flow;
  drop_top(best->falling, std::less<>());
  touch_group(*best);
  ++best->updates;
  discount_capped(*best, flows_[slot]);
  to_virtual(*best, slot);
  flows_[slot].epoch = epoch_;
  for (const Share& s : best->shares) push_level(s.link, fill_level(s.link));
  return true;
}

// Where the water fills a link if nobody changes sides; infinite when the capped members fit and
// nobody else rises.
double FluidNetwork::fill_level(ResourceIndex r) const {
  const double room = capacity(r);
  double left = room, rise = 0;
  for (const Sharer& s : resources_[r].sharers) {
    const Group& g = groups_[s.group];
    const Share& share = g.shares[s.share];
    left -= share.taken;
    if (g.fixed)
      left -= share.weight * g.target;
    else
      rise += share.weight;
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

// Gives links that the new levels would overload to the mesh; false when there are none.
bool FluidNetwork::promote_limits(std::uint32_t mesh) {
  bool any = false;
  for (std::size_t i = 0; i < meshes_[mesh].groups.size(); ++i) {
    const std::uint32_t group = meshes_[mesh].groups[i];
    for (;;) {
      Group& g = groups_[group];
      if (g.limits.empty()) break;
      double level = g.target;
      if (g.uncapped == 0) level = refresh(g.falling, Phase::own) ? g.falling.front().key : 0.0;
      if (level <= limit_of(group)) break;
      promote(g.limits.front().flow, mesh);
      any = true;
    }
  }
  return any;
}

}  // namespace isthmus::network
