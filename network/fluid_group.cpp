// Fluid backend: flows whose only contended link is one shared link, in virtual time. An arrival or
// an end costs O(log n), however many flows share the link.
#include <algorithm>
#include <functional>

#include "network/fluid_network.hpp"

namespace isthmus::network {

namespace {

template <class Heap, class Compare>
void drop_top(Heap& heap, Compare compare) {
  std::pop_heap(heap.begin(), heap.end(), compare);
  heap.pop_back();
}

}  // namespace

double FluidNetwork::use_in_group(const Flow& f) const {
  for (const Element& e : f.elements)
    if (e.resource == f.group) return e.use;
  return 1.0;
}

// Virtual time up to the present date.
void FluidNetwork::advance_group(Group& g) {
  if (g.uncapped > 0)
    g.level += g.speed * (clock_ - g.since);
  else
    g.level = 0;  // nobody counts on it: keep the numbers small
  g.since = clock_;
}

// Starts a group on a link with the flows of the last walk; they are in phase `own`. False when
// another link of the walk would be overloaded: then the group must be dissolved again.
bool FluidNetwork::build_group(ResourceIndex r) {
  if (resources_[r].group == none) {
    resources_[r].group = static_cast<std::uint32_t>(groups_.size());
    groups_.emplace_back();
    group_resource_.push_back(r);
  }
  Group& g = group_at(r);
  g.active = true;
  g.updates = 0;
  g.uncapped = 0;
  g.level = g.speed = g.weight = g.taken = 0;
  g.since = clock_;
  g.ends.clear();
  g.rising.clear();
  g.falling.clear();
  g.limits.clear();
  for (const std::uint32_t slot : walk_flows_) {
    hold(slot);
    flows_[slot].group = r;
    to_virtual(g, slot);
  }
  for (const ResourceIndex q : walk_resources_) {
    if (q == r) continue;
    resources_[q].host = r;
    limit_group(g, r, q);
  }
  building_ = true;
  const double level = balance_group(r);
  building_ = false;
  return level <= limit_of(g, r);
}

// Notes the water level up to which link `q` does not matter to the group of `host`.
void FluidNetwork::limit_group(Group& g, ResourceIndex host, ResourceIndex q) {
  Resource& s = resources_[q];
  ++s.stamp;
  if (g.limits.size() > 64 + 2 * resources_[host].flows.size()) {
    std::erase_if(g.limits, [&](const Entry& e) { return resources_[e.flow].stamp != e.stamp; });
    std::make_heap(g.limits.begin(), g.limits.end(), std::greater<>());
  }
  g.limits.push_back({capacity(q) / s.weight * (1 - 1e-12), q, s.stamp, q});
  std::push_heap(g.limits.begin(), g.limits.end(), std::greater<>());
}

double FluidNetwork::limit_of(Group& g, ResourceIndex host) {
  while (!g.limits.empty()) {
    const Entry& top = g.limits.front();
    const Resource& q = resources_[top.flow];
    if (q.stamp == top.stamp && q.host == host) return top.key;
    drop_top(g.limits, std::greater<>());
  }
  return std::numeric_limits<double>::infinity();
}

// Ends a group that no flow belongs to any more.
void FluidNetwork::dissolve_group(ResourceIndex r) {
  Group& g = group_at(r);
  if (!g.active) return;
  g.active = false;
  heap_.remove(resources_[r].group | group_bit);
  g.ends.clear();
  g.rising.clear();
  g.falling.clear();
  g.limits.clear();
}

void FluidNetwork::join_group(ResourceIndex r, std::uint32_t slot) {
  Group& g = group_at(r);
  advance_group(g);
  flows_[slot].group = r;
  flows_[slot].since = clock_;
  to_virtual(g, slot);
  balance_group(r);
}

// Takes a flow out; its phase stays what it was, and the caller has read what is left of it.
void FluidNetwork::leave_group(std::uint32_t slot) {
  Flow& f = flows_[slot];
  const ResourceIndex r = f.group;
  Group& g = group_at(r);
  advance_group(g);
  const double use = use_in_group(f);
  if (f.phase == Phase::virtual_) {
    --g.uncapped;
    g.weight = g.uncapped > 0 ? g.weight - use * f.weight : 0.0;
  } else {
    g.taken -= use * f.cap;
  }
  ++f.stamp;
  f.group = none;
  balance_group(r);
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
  ++g.uncapped;
  g.weight += use_in_group(f) * f.weight;
  g.ends.push_back({f.left, slot, f.stamp, f.order});
  std::push_heap(g.ends.begin(), g.ends.end(), std::greater<>());
  g.rising.push_back({f.cap / f.weight, slot, f.stamp, f.order});
  std::push_heap(g.rising.begin(), g.rising.end(), std::greater<>());
}

// To the capped side: its own rate, its own date.
void FluidNetwork::to_own(Group& g, std::uint32_t slot) {
  Flow& f = flows_[slot];
  const double left = std::max(0.0, (f.left - g.level) * f.weight * model_.bandwidth_factor);
  const double use = use_in_group(f);
  --g.uncapped;
  g.weight = g.uncapped > 0 ? g.weight - use * f.weight : 0.0;
  g.taken += use * f.cap;
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
void FluidNetwork::renew_group(ResourceIndex r) {
  Group& g = group_at(r);
  g.updates = 0;
  g.weight = g.taken = 0;
  for (const Member& m : resources_[r].flows) {
    const Flow& f = flows_[m.flow];
    if (f.group != r) continue;
    const double use = f.elements[m.element].use;
    if (f.phase == Phase::virtual_)
      g.weight += use * f.weight;
    else
      g.taken += use * f.cap;
  }
  std::erase_if(g.ends, [&](const Entry& e) { return !fresh(e, Phase::virtual_); });
  std::make_heap(g.ends.begin(), g.ends.end(), std::greater<>());
  std::erase_if(g.rising, [&](const Entry& e) { return !fresh(e, Phase::virtual_); });
  std::make_heap(g.rising.begin(), g.rising.end(), std::greater<>());
  std::erase_if(g.falling, [&](const Entry& e) { return !fresh(e, Phase::own); });
  std::make_heap(g.falling.begin(), g.falling.end());
}

// Finds who is capped at the new water level, sets the date of the group's next end and returns the
// level. Virtual time must stand at the present date.
double FluidNetwork::balance_group(ResourceIndex r) {
  Group& g = group_at(r);
  if (++g.updates > 64 + 4 * resources_[r].flows.size()) renew_group(r);

  // Speed of the water; infinite when nobody is left to rise.
  const double capacity = this->capacity(r);
  const auto speed = [&] {
    return g.uncapped > 0 ? std::max(capacity - g.taken, 0.0) / g.weight
                          : std::numeric_limits<double>::infinity();
  };
  double s = speed();
  // Capped flows whose cap is above the water go back to the uncapped ...
  while (!g.falling.empty()) {
    const Entry top = g.falling.front();
    if (fresh(top, Phase::own)) {
      // With nobody uncapped the caps alone must fit.
      const bool above = g.uncapped > 0 ? top.key > s : g.taken > capacity;
      if (!above) break;
      const Flow& f = flows_[top.flow];
      g.taken -= use_in_group(f) * f.cap;
      drop_top(g.falling, std::less<>());
      to_virtual(g, top.flow);
      s = speed();
    } else {
      drop_top(g.falling, std::less<>());
    }
  }
  // ... and uncapped flows whose cap is below it become capped.
  while (!g.rising.empty()) {
    const Entry top = g.rising.front();
    if (fresh(top, Phase::virtual_)) {
      if (top.key > s) break;
      drop_top(g.rising, std::greater<>());
      to_own(g, top.flow);
      s = speed();
    } else {
      drop_top(g.rising, std::greater<>());
    }
  }
  g.speed = g.uncapped > 0 ? s : 0.0;

  // Too high for another link: flush() decides.
  if (!building_ && !g.limits.empty() && s > limit_of(g, r)) mark(r);

  // The next end in virtual time.
  const std::uint32_t owner = resources_[r].group | group_bit;
  const std::uint32_t first = next_of_group(g);
  if (first == none || g.speed <= 0) {
    heap_.remove(owner);
    return s;
  }
  const double wait = std::max(0.0, flows_[first].left - g.level) / g.speed;
  heap_.set({clock_ + wait, flows_[first].order, owner});
  return s;
}

// The uncapped flow that ends first, or none.
std::uint32_t FluidNetwork::next_of_group(Group& g) {
  while (!g.ends.empty()) {
    if (fresh(g.ends.front(), Phase::virtual_)) return g.ends.front().flow;
    drop_top(g.ends, std::greater<>());
  }
  return none;
}

}  // namespace isthmus::network
