// Fluid backend: flows whose only contended link is one shared link, in virtual time. An arrival or
// an end costs O(log n), however many flows share the link.
#include <algorithm>
#include <functional>

#include "network/fluid_network.hpp"

namespace isthmus::network {

// The sums over uncapped and over capped members; a sum over nobody is zero exactly.
void FluidNetwork::count_uncapped(Group& g, const Flow& f) {
  ++g.uncapped;
  for (const Element& e : f.elements)
    if (e.share != none) sums(g.shares[e.share]).weight += e.use * f.weight;
}

void FluidNetwork::discount_uncapped(Group& g, const Flow& f) {
  --g.uncapped;
  for (const Element& e : f.elements) {
    if (e.share == none) continue;
    Sharer& s = sums(g.shares[e.share]);
    s.weight = g.uncapped > 0 ? s.weight - e.use * f.weight : 0.0;
  }
}

void FluidNetwork::count_capped(Group& g, const Flow& f) {
  for (const Element& e : f.elements)
    if (e.share != none) sums(g.shares[e.share]).taken += e.use * f.cap;
}

void FluidNetwork::discount_capped(Group& g, const Flow& f) {
  for (const Element& e : f.elements)
    if (e.share != none) sums(g.shares[e.share]).taken -= e.use * f.cap;
}

// Virtual time up to the present date.
void FluidNetwork::advance_group(Group& g) {
  if (g.uncapped > 0)
    g.level += g.speed * (clock_ - g.since);
  else
    g.level = 0;  // nobody counts on it: keep the numbers small
  g.since = clock_;
}

// An empty group without links.
std::uint32_t FluidNetwork::take_group() {
  std::uint32_t group;
  if (free_groups_.empty()) {
    group = static_cast<std::uint32_t>(groups_.size());
    groups_.emplace_back();
    waters_.emplace_back();
  } else {
    group = free_groups_.back();
    free_groups_.pop_back();
  }
  Group& g = groups_[group];
  g.active = true;
  g.touched = false;
  g.mesh = none;
  g.updates = g.members = g.uncapped = 0;
  g.level = g.speed = 0;
  g.since = clock_;
  g.shares.clear();
  waters_[group] = {};
  return group;
}

void FluidNetwork::add_share(std::uint32_t group, ResourceIndex r) {
  std::vector<Share>& shares = groups_[group].shares;
  std::vector<Sharer>& sharers = resources_[r].sharers;
  sharers.push_back({group, static_cast<std::uint32_t>(shares.size())});
  shares.push_back({r, static_cast<std::uint32_t>(sharers.size() - 1)});
}

// Ends a group that no flow belongs to any more.
void FluidNetwork::clear_group(std::uint32_t group) {
  Group& g = groups_[group];
  g.active = false;
  heap_.remove(group | group_bit);
  g.ends.clear();
  g.rising.clear();
  g.falling.clear();
  g.limits.clear();
  free_groups_.push_back(group);
}

// Starts a group on a link with the flows of the last walk; they are in phase `own`. False when
// another link of the walk would be overloaded: then the group must be dissolved again.
bool FluidNetwork::build_group(ResourceIndex r) {
  const std::uint32_t group = take_group();
  resources_[r].group = group;
  add_share(group, r);
  for (const std::uint32_t slot : walk_flows_) {
    hold(slot);
    Flow& f = flows_[slot];
    f.group = group;
    for (Element& e : f.elements) e.share = e.resource == r ? 0 : none;
    ++groups_[group].members;
    to_virtual(groups_[group], slot);
  }
  for (const ResourceIndex q : walk_resources_) {
    if (q == r) continue;
    resources_[q].host = group;
    limit_host(q);
  }
  building_ = true;
  const double level = balance_group(group);
  building_ = false;
  return level <= limit_of(groups_[group].limits, group);
}

// Notes the water level up to which link `q` does not matter to its host.
void FluidNetwork::limit_host(ResourceIndex q) {
  Resource& s = resources_[q];
  ++s.stamp;
  const bool by_mesh = (s.host & group_bit) != 0;
  const std::uint32_t mesh = mesh_of_host(s.host);
  std::vector<Entry>& limits = by_mesh ? meshes_[mesh].limits : groups_[s.host].limits;
  const std::size_t flows = by_mesh ? meshes_[mesh].flows : groups_[s.host].members;
  if (limits.size() > 64 + 2 * flows) {
    std::erase_if(limits, [&](const Entry& e) { return resources_[e.flow].stamp != e.stamp; });
    std::make_heap(limits.begin(), limits.end(), std::greater<>());
  }
  limits.push_back({capacity(q) / s.weight * (1 - 1e-12), q, s.stamp, q});
  std::push_heap(limits.begin(), limits.end(), std::greater<>());
  if (mesh == none) return;
  if (!by_mesh) touch_group(s.host);
  touch_mesh(mesh);
}

// The lowest of those levels; its link is at the top.
double FluidNetwork::limit_of(std::vector<Entry>& limits, std::uint32_t host) const {
  while (!limits.empty()) {
    const Entry& top = limits.front();
    const Resource& q = resources_[top.flow];
    if (q.stamp == top.stamp && q.host == host) return top.key;
    drop_top(limits, std::greater<>());
  }
  return std::numeric_limits<double>::infinity();
}

// Ends the group of a link, which has no members any more.
void FluidNetwork::dissolve_group(ResourceIndex r) {
  if (!alone(r)) return;
  clear_group(resources_[r].group);
  resources_[r].group = none;
  resources_[r].sharers.clear();
}

void FluidNetwork::join_group(std::uint32_t group, std::uint32_t slot) {
  Group& g = groups_[group];
  advance_group(g);
  Flow& f = flows_[slot];
  f.group = group;
  f.since = clock_;
  for (Element& e : f.elements) e.share = e.resource == g.shares[0].link ? 0 : none;
  ++g.members;
  to_virtual(g, slot);
  balance_group(group);
}

// Takes a flow out; its phase stays what it was, and the caller has read what is left of it.
void FluidNetwork::leave_group(std::uint32_t slot) {
  Flow& f = flows_[slot];
  const std::uint32_t group = f.group;
  Group& g = groups_[group];
  advance_group(g);
  --g.members;
  if (f.phase == Phase::virtual_)
    discount_uncapped(g, f);
  else
    discount_capped(g, f);
  ++f.stamp;
  f.group = none;
  if (g.mesh == none) {
    balance_group(group);
  } else {
    --meshes_[g.mesh].flows;
    touch_group(group);
    touch_mesh(g.mesh);
  }
}

// Stops a member at the present date, as if there were no group; a capped one keeps its rate.
void FluidNetwork::release(std::uint32_t slot) {
  Flow& f = flows_[slot];
  if (f.phase == Phase::virtual_) {
    const double left = left_of(f);
    f.phase = Phase::own;
    f.left = left;
    f.since = clock_;
    f.rate = 0;
  }
  f.group = none;
  ++f.stamp;
}

// To the uncapped side: from now on served at weight * speed.
void FluidNetwork::to_virtual(Group& g, std::uint32_t slot) {
  Flow& f = flows_[slot];
  f.left = left_of(f);
  heap_.remove(slot);
  f.phase = Phase::virtual_;
  f.left = g.level + f.left / (f.weight * model_.bandwidth_factor);
  f.since = clock_;
  f.rate = 0;
  ++f.stamp;
  count_uncapped(g, f);
  g.ends.push_back({f.left, slot, f.stamp, f.order});
  std::push_heap(g.ends.begin(), g.ends.end(), std::greater<>());
  g.rising.push_back({f.cap / f.weight, slot, f.stamp, f.order});
  std::push_heap(g.rising.begin(), g.rising.end(), std::greater<>());
}

// To the capped side: its own rate, its own date.
void FluidNetwork::to_own(Group& g, std::uint32_t slot) {
  Flow& f = flows_[slot];
  const double left = std::max(0.0, (f.left - g.level) * f.weight * model_.bandwidth_factor);
  discount_uncapped(g, f);
  count_capped(g, f);
  f.phase = Phase::own;
  f.left = left;
  f.since = clock_;
  f.rate = 0;
  ++f.stamp;
  set_rate(slot, f.cap);
  g.falling.push_back({f.cap / f.weight, slot, f.stamp, f.order});
  std::push_heap(g.falling.begin(), g.falling.end());
}

// Renews running sums and drops stale entries; called every so many updates, amortized O(1).
void FluidNetwork::renew_group(Group& g) {
  g.updates = 0;
  std::erase_if(g.ends, [&](const Entry& e) { return !fresh(e, Phase::virtual_); });
  std::make_heap(g.ends.begin(), g.ends.end(), std::greater<>());
  std::erase_if(g.rising, [&](const Entry& e) { return !fresh(e, Phase::virtual_); });
  std::make_heap(g.rising.begin(), g.rising.end(), std::greater<>());
  std::erase_if(g.falling, [&](const Entry& e) { return !fresh(e, Phase::own); });
  std::make_heap(g.falling.begin(), g.falling.end());
  // Every uncapped member now stands in `rising` once, every capped one in `falling`.
  for (const Share& s : g.shares) sums(s).weight = sums(s).taken = 0;
  g.uncapped = 0;
  for (const Entry& e : g.rising) count_uncapped(g, flows_[e.flow]);
  for (const Entry& e : g.falling) count_capped(g, flows_[e.flow]);
}

// Finds who is capped at the new water level, sets the date of the group's next end and returns the
// level. The group is alone, and virtual time stands at the present date.
double FluidNetwork::balance_group(std::uint32_t group) {
  Group& g = groups_[group];
  if (++g.updates > 64 + 4 * g.members) renew_group(g);

  // Speed of the water; infinite when nobody is left to rise.
  const ResourceIndex link = g.shares[0].link;
  const double capacity = this->capacity(link);
  const Sharer& share = sums(g.shares[0]);
  const auto speed = [&] {
    return g.uncapped > 0 ? std::max(capacity - share.taken, 0.0) / share.weight
                          : std::numeric_limits<double>::infinity();
  };
  double s = speed();
  // Capped flows whose cap is above the water go back to the uncapped ...
  while (refresh(g.falling, Phase::own)) {
    const Entry top = g.falling.front();
    // With nobody uncapped the caps alone must fit.
    const bool above = g.uncapped > 0 ? top.key > s : share.taken > capacity;
    if (!above) break;
    discount_capped(g, flows_[top.flow]);
    drop_top(g.falling, std::less<>());
    to_virtual(g, top.flow);
    s = speed();
  }
  // ... and uncapped flows whose cap is below it become capped.
  while (refresh(g.rising, Phase::virtual_)) {
    const Entry top = g.rising.front();
    if (top.key > s) break;
    drop_top(g.rising, std::greater<>());
    to_own(g, top.flow);
    s = speed();
  }
  g.speed = g.uncapped > 0 ? s : 0.0;

  // Too high for another link: flush() decides.
  if (!building_ && !g.limits.empty() && s > limit_of(g.limits, group)) mark(link);
  date_group(group);
  return s;
}

// The date of the next end in virtual time, which stands at the present date.
void FluidNetwork::date_group(std::uint32_t group) {
  Group& g = groups_[group];
  const std::uint32_t first = next_of_group(g);
  if (first == none || g.speed <= 0) return heap_.remove(group | group_bit);
  const double wait = std::max(0.0, flows_[first].left - g.level) / g.speed;
  heap_.set({clock_ + wait, flows_[first].order, group | group_bit});
}

// The uncapped flow that ends first, or none.
std::uint32_t FluidNetwork::next_of_group(Group& g) {
  return refresh(g.ends, Phase::virtual_) ? g.ends.front().flow : none;
}

}  // namespace isthmus::network
