// Fluid backend: many flows on several bottlenecks, as few groups. Who belongs to which group, and
// which links tie them together. A contended link has its place: it holds groups back, or it only
// watches the water level of the group that all its flows belong to, or of all groups when they are
// of several.
#include <algorithm>

#include "network/fluid_network.hpp"

namespace isthmus::network {

namespace {

// With fewer flows than this each is solved for itself; the second figure ends a mesh, so that it
// does not come and go. Classes pay even where few flows share one: most of them stay as they are.
constexpr std::size_t least_flows = 32, last_flows = 16;

}  // namespace

// Takes the flows of the last walk, which solve_mesh() has solved, if they are many. The links that
// filled up hold classes back.
bool FluidNetwork::build_mesh() {
  if (mesh_solver_ == MeshSolver::flows) return false;
  if (mesh_solver_ == MeshSolver::automatic && walk_flows_.size() < least_flows) return false;

  std::uint32_t mesh;
  if (free_meshes_.empty()) {
    mesh = static_cast<std::uint32_t>(meshes_.size());
    meshes_.emplace_back();
  } else {
    mesh = free_meshes_.back();
    free_meshes_.pop_back();
  }
  meshes_[mesh].active = true;
  for (const ResourceIndex r : walk_resources_)
    if (resources_[r].full) {
      resources_[r].mesh = mesh;
      meshes_[mesh].links.push_back(r);
    }
  for (const std::uint32_t slot : walk_flows_) {
    Flow& f = flows_[slot];
    if (f.value >= f.cap) set_rate(slot, f.cap);  // enters on the capped side
    // Someone must hold it back, if only in name.
    const auto placed = [&](const Element& e) { return resources_[e.resource].mesh != none; };
    if (std::none_of(f.elements.begin(), f.elements.end(), placed)) {
      const auto e = std::find_if(f.elements.begin(), f.elements.end(), [&](const Element& x) {
        return resources_[x.resource].contended;
      });
      resources_[e->resource].mesh = mesh;
      meshes_[mesh].links.push_back(e->resource);
    }
  }
  for (const std::uint32_t slot : walk_flows_) enter_mesh(slot, mesh);
  for (const ResourceIndex r : walk_resources_) place_link(r, mesh);
  drop_empty_groups(mesh);
  meshes_[mesh].most = 0;
  touch_mesh(mesh);
  return true;
}

// Takes an arrived flow in, unless it ties the mesh to others.
bool FluidNetwork::settle_in_mesh(std::uint32_t slot, std::uint32_t mesh) {
  const auto inside = [&](std::uint32_t group) {
    return group != none && groups_[group].mesh == mesh;
  };
  for (const Element& e : flows_[slot].elements) {
    const Resource& r = resources_[e.resource];
    if (!r.contended || r.mesh == mesh) continue;
    if (r.host != none && mesh_of_host(r.host) == mesh) continue;
    const bool fresh = std::find(fresh_.begin(), fresh_.end(), e.resource) != fresh_.end();
    if (!fresh || r.host != none ||
        !std::all_of(r.flows.begin(), r.flows.end(), [&](const Member& m) {
          return m.flow == slot || inside(flows_[m.flow].group);
        }))
      return false;
  }
  // Someone must hold it back, if only in name.
  const std::vector<Element>& elements = flows_[slot].elements;
  const auto holds = [&](const Element& e) { return resources_[e.resource].mesh == mesh; };
  const auto watches = [&](const Element& e) { return resources_[e.resource].contended; };
  if (std::none_of(elements.begin(), elements.end(), holds))
    promote(std::find_if(elements.begin(), elements.end(), watches)->resource, mesh);
  enter_mesh(slot, mesh);
  place_links_of(flows_[slot], mesh);
  return true;
}

// The group of the links of the mesh that a flow crosses; made when there is none.
std::uint32_t FluidNetwork::class_of(const Flow& f, std::uint32_t mesh) {
  key_.clear();
  for (const Element& e : f.elements)
    if (resources_[e.resource].mesh == mesh) key_.push_back(e.resource);
  std::sort(key_.begin(), key_.end());
  const auto found = meshes_[mesh].by_links.find(key_);
  if (found != meshes_[mesh].by_links.end()) return found->second;

  const std::uint32_t group = take_group();
  Group& g = groups_[group];
  g.mesh = mesh;
  g.place = static_cast<std::uint32_t>(meshes_[mesh].groups.size());
  for (const ResourceIndex r : key_) add_share(group, r);
  meshes_[mesh].groups.push_back(group);
  meshes_[mesh].by_links.emplace(key_, group);
  return group;
}

// A flow in phase `own` becomes a member; one that runs at its cap stays on the capped side.
void FluidNetwork::enter_mesh(std::uint32_t slot, std::uint32_t mesh) {
  Flow& f = flows_[slot];
  const std::uint32_t group = class_of(f, mesh);
  Group& g = groups_[group];
  touch_group(group);
  f.group = group;
  for (Element& e : f.elements) {
    e.share = none;
    for (std::uint32_t i = 0; i < g.shares.size(); ++i)
      if (g.shares[i].link == e.resource) e.share = i;
  }
  ++g.members;
  ++g.updates;
  ++meshes_[mesh].flows;
  if (f.rate == f.cap * model_.bandwidth_factor && flow_places_[slot] != none) {
    ++f.stamp;
    count_capped(g, f);
    g.falling.push_back({f.cap / f.weight, slot, f.stamp, f.order});
    std::push_heap(g.falling.begin(), g.falling.end());
  } else {
    to_virtual(g, slot);
  }
  touch_mesh(mesh);
}

// The links that a member crosses are no longer the same.
void FluidNetwork::change_class(std::uint32_t slot, std::uint32_t mesh) {
  Flow& f = flows_[slot];
  const double left = left_of(f);
  const bool in_virtual_time = f.phase == Phase::virtual_;
  leave_group(slot);
  if (in_virtual_time) {
    f.phase = Phase::own;
    f.left = left;
    f.since = clock_;
    f.rate = 0;
  }
  const auto placed = [&](const Element& e) { return resources_[e.resource].mesh == mesh; };
  if (std::any_of(f.elements.begin(), f.elements.end(), placed)) return enter_mesh(slot, mesh);

  // Nothing of the mesh holds it back: it leaves, with the links that only its class knew.
  bool free = true;
  for (const Element& e : f.elements) {
    Resource& r = resources_[e.resource];
    if (!r.contended) continue;
    free = false;
    r.host = none;
    ++r.stamp;
    mark(e.resource);
  }
  if (free) set_rate(slot, f.cap);
}

// Lets a contended link watch whoever crosses it. Not when some are on hold: then a walk comes
// along.
void FluidNetwork::place_link(ResourceIndex q, std::uint32_t mesh) {
  Resource& r = resources_[q];
  if (r.mesh != none || !r.contended) return;
  const std::uint32_t group = flows_[r.flows.front().flow].group;
  bool several = false;
  for (const Member& m : r.flows) {
    if (flows_[m.flow].group == none) return;
    several = several || flows_[m.flow].group != group;
  }
  r.host = several ? mesh | group_bit : group;
  limit_host(q);
}

void FluidNetwork::place_links_of(const Flow& f, std::uint32_t mesh) {
  for (const Element& e : f.elements) {
    const Resource& r = resources_[e.resource];
    if (!r.contended || r.mesh != none) continue;
    if (r.host == f.group || r.host == (mesh | group_bit))
      limit_host(e.resource);
    else
      place_link(e.resource, mesh);
  }
}

// From now on the link holds back whoever crosses it: its flows form classes of their own.
void FluidNetwork::promote(ResourceIndex q, std::uint32_t mesh) {
  Resource& r = resources_[q];
  r.mesh = mesh;
  r.host = none;
  ++r.stamp;
  meshes_[mesh].links.push_back(q);
  const auto member = [&](const Member& m) { return flows_[m.flow].group != none; };
  for (const Member& m : r.flows)
    if (member(m)) change_class(m.flow, mesh);
  for (const Member& m : r.flows)
    if (member(m)) place_links_of(flows_[m.flow], mesh);
}

// The opposite, for a link that is no longer contended.
void FluidNetwork::demote(ResourceIndex q, std::uint32_t mesh) {
  Resource& r = resources_[q];
  r.mesh = none;
  std::erase(meshes_[mesh].links, q);
  const auto member = [&](const Member& m) {
    return flows_[m.flow].group != none && groups_[flows_[m.flow].group].mesh == mesh;
  };
  for (const Member& m : r.flows)
    if (member(m)) change_class(m.flow, mesh);
  for (const Member& m : r.flows)
    if (member(m)) place_links_of(flows_[m.flow], mesh);
}

void FluidNetwork::drop_empty_groups(std::uint32_t mesh) {
  std::erase_if(meshes_[mesh].touched, [&](std::uint32_t group) {
    if (groups_[group].members > 0) return false;
    drop_group(group);
    return true;
  });
}

// Ends a group of a mesh without members.
void FluidNetwork::drop_group(std::uint32_t group) {
  Group& g = groups_[group];
  Mesh& mesh = meshes_[g.mesh];
  key_.clear();
  for (const Share& s : g.shares) {
    key_.push_back(s.link);
    std::vector<Sharer>& sharers = resources_[s.link].sharers;
    const Sharer last = sharers.back();
    sharers[s.place] = last;
    groups_[last.group].shares[last.share].place = s.place;
    sharers.pop_back();
  }
  mesh.by_links.erase(key_);
  mesh.groups[g.place] = mesh.groups.back();
  groups_[mesh.groups.back()].place = g.place;
  mesh.groups.pop_back();
  clear_group(group);
}

// Before a mesh is solved: links that do not count any more, groups without members, and whether it
// still pays.
void FluidNetwork::review_mesh(std::uint32_t mesh) {
  if (!meshes_[mesh].active) return;
  for (std::size_t i = meshes_[mesh].links.size(); i-- > 0;) {
    const ResourceIndex q = meshes_[mesh].links[i];
    if (!resources_[q].contended) demote(q, mesh);
  }
  drop_empty_groups(mesh);
  const Mesh& m = meshes_[mesh];
  const std::size_t least = mesh_solver_ == MeshSolver::classes ? 1 : last_flows;
  if (m.flows < least || m.groups.size() > m.most) dissolve_mesh(mesh);
}

// Ends a mesh; flush() walks from its links.
void FluidNetwork::dissolve_mesh(std::uint32_t mesh) {
  Mesh& m = meshes_[mesh];
  for (const ResourceIndex q : m.links) {
    Resource& r = resources_[q];
    for (const Member& member : r.flows) {
      const std::uint32_t group = flows_[member.flow].group;
      if (group != none && groups_[group].mesh == mesh) release(member.flow);
    }
    r.mesh = none;
    r.sharers.clear();
    mark(q);
  }
  for (const std::uint32_t group : m.groups) clear_group(group);
  m.active = false;
  m.flows = 0;
  m.links.clear();
  m.groups.clear();
  m.touched.clear();
  m.limits.clear();
  m.by_links.clear();
  free_meshes_.push_back(mesh);
}

void FluidNetwork::touch_mesh(std::uint32_t mesh) {
  if (meshes_[mesh].dirty) return;
  meshes_[mesh].dirty = true;
  dirty_.push_back(mesh | group_bit);
}

}  // namespace isthmus::network
