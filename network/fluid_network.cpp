// Fluid backend: the life of a flow and the order of dates.
#include "network/fluid_network.hpp"

#include <fmt/format.h>

#include "sim/core/errors.hpp"

namespace isthmus::network {

namespace {

const Topology& checked(const Topology& t) {
  validate(t);
  if (!t.platform_xml.empty())
    throw InputError(fmt::format("platform file '{}': SimGrid platforms need the simgrid backend",
                                 t.platform_xml));
  return t;
}

}  // namespace

FluidNetwork::FluidNetwork(const Topology& topology, const FlowModel& model)
    : model_(model),
      router_(checked(topology)),
      links_(topology),
      changes_(topology),
      heap_(Place{this}),
      busy_(topology) {
  validate(model);
  if ((model.name != "CM02" && model.name != "LV08") || model.native)
    throw InputError(
        fmt::format("the fluid backend knows the flow models CM02 and LV08, not '{}'{}", model.name,
                    model.native ? " run natively by SimGrid" : ""));
  resources_.resize(2 * links_.size());
  carried_.assign(links_.size(), 0.0);
  for (std::size_t l = 0; l < topology.links.size(); ++l) {
    if (topology.links[l].contention.empty()) continue;
    contention_.resize(topology.links.size());
    contention_[l] = topology.links[l].contention;
  }
  while (changes_.next() <= Instant::zero()) {
    const ChangeStream::Item item = changes_.pop();
    links_.apply(item.link, item.change);
  }
}

FlowId FluidNetwork::start(const Transfer& transfer, Instant now) {
  const auto hosts = router_.host_count();
  if (transfer.from >= hosts || transfer.to >= hosts)
    throw InputError(fmt::format("transfer from host {} to host {}, there are {}", transfer.from,
                                 transfer.to, hosts));
  advance_to(now);
  const std::uint32_t slot = flows_.take();
  if (slot >= flow_places_.size()) flow_places_.resize(slot + 1, none);
  Flow& f = flows_[slot];
  f.path.clear();
  f.elements.clear();
  f.phase = Phase::latent;
  f.group = none;
  f.rate = 0;
  f.tag = transfer.tag;
  f.bytes = transfer.bytes;
  f.rate_cap = transfer.rate_cap;
  f.left = std::max(transfer.bytes, 0.0);
  f.order = order_++;
  ++f.stamp;
  const FlowId id = flows_.id(slot);

  // The links it crosses, there and (for its ACKs) back.
  scratch_.clear();
  try {
    router_.append_path(transfer.from, transfer.to, f.path);
    if (model_.cross_traffic) router_.append_path(transfer.to, transfer.from, scratch_);
  } catch (...) {
    flows_.release(slot);
    throw;
  }
  build_elements(f, scratch_);

  // Inside one host nothing is transferred; over a dead link neither.
  const bool dead = !links_.path_up(f.path) || !links_.path_up(scratch_);
  if (transfer.from == transfer.to || dead) {
    f.phase = Phase::ended;
    soon_.push_back({id, dead ? Outcome::failed : Outcome::delivered, now});
    return id;
  }
  const double delay = model_.latency_factor * links_.path_latency(f.path).seconds();
  if (delay > 0)
    heap_.set({now.seconds() + delay, f.order, slot});
  else
    activate(slot);
  return id;
}

// Several crossings of one resource add up; on a fatpipe they do not.
void FluidNetwork::build_elements(Flow& f, const std::vector<LinkUse>& back) const {
  const auto add = [&](const LinkUse& u, double use, std::uint32_t crossings) {
    const ResourceIndex r = links_.resource(u);
    for (Element& e : f.elements) {
      if (e.resource != r) continue;
      e.use += use;
      e.crossings += crossings;
      return;
    }
    f.elements.push_back({r, none, crossings, none, use});
  };
  for (const LinkUse& u : f.path) add(u, u.air, 1);
  for (const LinkUse& u : back) add(u, 0.05 * u.air, 0);
}

// The most that a flow may consume if it is alone; fatpipes are in its bound already. Contention only
// ever leaves less.
double FluidNetwork::cap_of(const Flow& f) const {
  double cap = f.bound;
  for (const Element& e : f.elements)
    if (links_.sharing(LinkId(e.resource / 2)) != Sharing::fatpipe)
      cap = std::min(cap, (contention_.empty() ? links_.capacity(e.resource)
                                               : links_.capacity(e.resource) *
                                                     left_by_contention(e.resource, 1)) /
                              e.use);
  return cap;
}

// Flows that cross a link forward, for links whose capacity they diminish.
void FluidNetwork::count_crossings(const Flow& f, std::uint32_t change) {
  for (const Element& e : f.elements)
    if (e.place != none && e.crossings > 0) resources_[e.resource].crossed_by += change;
}

// Dates only grow; pending re-rating happens before they do.
void FluidNetwork::advance_to(Instant now) {
  last_ = std::max(last_, now);
  const double t = now.seconds();
  if (t <= clock_) return;
  if (!dirty_.empty()) flush();
  clock_ = t;
}

// Its latency is paid: the flow takes its place on every link of its path.
void FluidNetwork::activate(std::uint32_t slot) {
  Flow& f = flows_[slot];
  const FlowTerms terms = flow_terms(links_, model_, f.path, f.rate_cap);
  f.weight = terms.weight;
  f.bound = terms.bound;
  f.cap = cap_of(f);
  f.phase = Phase::own;
  f.since = clock_;

  // Nothing to send, or nothing that limits it.
  if (f.left <= 0 || std::isinf(f.cap)) {
    f.left = 0;
    heap_.set({clock_, f.order, slot});
    return;
  }
  arriving_ = true;
  for (std::uint32_t i = 0; i < f.elements.size(); ++i) {
    Element& e = f.elements[i];
    Resource& r = resources_[e.resource];
    e.place = static_cast<std::uint32_t>(r.flows.size());
    r.flows.push_back({slot, i});
    if (!contention_.empty() && e.crossings > 0) ++r.crossed_by;
    add_demand(e.resource, e.use * f.cap, e.use * f.weight);
  }
  arriving_ = false;
  settle(slot);
  fresh_.clear();
}

// The opposite: also takes it out of its group and out of the date heap.
void FluidNetwork::deactivate(std::uint32_t slot) {
  Flow& f = flows_[slot];
  heap_.remove(slot);
  if (!contention_.empty()) count_crossings(f, ~0U);
  if (f.group != none) leave_group(slot);
  ++f.stamp;
  for (const Element& e : f.elements) {
    if (e.place == none) continue;
    Resource& r = resources_[e.resource];
    const Member moved = r.flows.back();
    r.flows[e.place] = moved;
    flows_[moved.flow].elements[moved.element].place = e.place;
    r.flows.pop_back();
    add_demand(e.resource, -e.use * f.cap, -e.use * f.weight);
    // Those who share a contended link outside virtual time need new rates.
    if (!r.contended) continue;
    if (r.host != none)
      limit_host(e.resource);
    else if (!alone(e.resource) && r.mesh == none)
      mark(e.resource);
  }
  for (Element& e : f.elements) e.place = none;
}

// Books the end of a flow; `left` says what was not moved.
void FluidNetwork::finish(std::uint32_t slot, Outcome outcome, Instant at) {
  Flow& f = flows_[slot];
  const double moved = f.bytes - f.left;
  if (moved > 0) {
    for (const Element& e : f.elements) carried_[e.resource / 2] += moved * e.crossings;
    if (busy_.any())
      for (const Element& e : f.elements)
        if (busy_.tracks(LinkId(e.resource / 2)))
          busy_.add(e.resource, moved * e.use / model_.bandwidth_factor);
  }
  last_ = std::max(last_, at);
  report({f.tag, outcome, last_, f.left, f.order});
  flows_.release(slot);
}

double FluidNetwork::left_of(const Flow& f) const {
  if (f.phase == Phase::virtual_) {
    const Group& g = groups_[f.group];
    const double level = g.level + g.speed * (clock_ - g.since);
    return std::max(0.0, (f.left - level) * f.weight * model_.bandwidth_factor);
  }
  if (f.phase != Phase::own) return f.left;
  return std::max(0.0, f.left - f.rate * (clock_ - f.since));
}

void FluidNetwork::cancel(FlowId flow, Instant now) {
  const std::uint32_t slot = flows_.find(flow);
  if (slot == FlowSlots<Flow>::slot_mask || flows_[slot].phase == Phase::ended) return;
  advance_to(now);
  Flow& f = flows_[slot];
  const double left = left_of(f);
  deactivate(slot);
  f.left = left;
  f.phase = Phase::ended;
  soon_.push_back({flow, Outcome::cancelled, now});
}

void FluidNetwork::change_link(LinkId link, const LinkChange& change, Instant now) {
  advance_to(now);
  apply(link, change);
}

void FluidNetwork::apply(LinkId link, const LinkChange& change) {
  const bool known = link.valid() && link.value() < links_.size();
  const bool was_up = known && links_.up(link);
  if (known && (change.bandwidth || change.scale) && busy_.tracks(link))
    busy_.settle(link, flying_bytes(link), links_);
  links_.apply(link, change);
  if (was_up && !links_.up(link)) fail_flows_on(link);
  if (change.bandwidth || change.latency || change.scale) retune_flows_on(link);
}

// Transfers on a failing link fail, those in their latency phase too (they are in no list: scan).
void FluidNetwork::fail_flows_on(LinkId link) {
  for (std::uint32_t i = 0; i < flows_.extent(); ++i) {
    Flow& f = flows_[i];
    if (!f.used || f.phase == Phase::ended) continue;
    const bool hit = std::any_of(f.elements.begin(), f.elements.end(),
                                 [&](const Element& e) { return e.resource / 2 == link.value(); });
    if (!hit) continue;
    const double left = left_of(f);
    deactivate(i);
    f.left = left;
    f.phase = Phase::ended;
    soon_.push_back({flows_.id(i), Outcome::failed, std::max(last_, instant_of(clock_))});
  }
}

// New capacity or latency: weights, bounds and caps of the flows on the link, then their rates.
void FluidNetwork::retune_flows_on(LinkId link) {
  for (ResourceIndex r = 2 * link.value(); r < 2 * link.value() + 2; ++r) {
    Resource& s = resources_[r];
    for (std::size_t i = 0; i < s.flows.size(); ++i) {
      const std::uint32_t slot = s.flows[i].flow;
      Flow& f = flows_[slot];
      const std::uint32_t mesh = f.group != none ? groups_[f.group].mesh : none;
      const FlowTerms terms = flow_terms(links_, model_, f.path, f.rate_cap);
      const double weight = f.weight, old_cap = f.cap;
      f.bound = terms.bound;
      const double cap = cap_of(f);
      if (mesh != none && cap == old_cap && terms.weight == weight) continue;
      hold(slot);
      f.cap = cap;
      f.weight = terms.weight;
      for (const Element& e : f.elements) {
        add_demand(e.resource, e.use * (cap - old_cap), e.use * (terms.weight - weight));
        if (mesh == none && resources_[e.resource].contended) mark(e.resource);
      }
      if (mesh == none) continue;
      enter_mesh(slot, mesh);
      place_links_of(f, mesh);
    }
    review(r);
    if (s.flows.empty()) continue;
    if (s.mesh != none)
      touch_mesh(s.mesh);
    else if (s.host != none && mesh_of_host(s.host) != none)
      limit_host(r);
    else
      mark(r);
  }
}

// The thing at the top of the date heap.
void FluidNetwork::happen(const HeapKey& top) {
  clock_ = std::max(clock_, top.date());
  std::uint32_t slot = top.owner();
  if ((slot & group_bit) != 0) {
    const std::uint32_t g = slot & ~group_bit;
    advance_group(groups_[g]);
    slot = next_of_group(groups_[g]);
    if (slot == none) throw InternalError("fluid network: a group without an end");
  } else if (flows_[slot].phase == Phase::latent) {
    // Its place at the top is for the date of its end, if it gets one now.
    activate(slot);
    const Flow& f = flows_[slot];
    if (f.phase == Phase::own && f.rate == 0 && f.left > 0) heap_.remove(slot);
    return;
  }
  const Instant at = instant_of(top.date());
  deactivate(slot);
  flows_[slot].left = 0;
  flows_[slot].phase = Phase::ended;
  finish(slot, Outcome::delivered, at);
}

void FluidNetwork::collect(Instant until, std::vector<FlowEnd>& out) {
  const std::size_t first = out.size();
  ends_ = &out;
  collect_unsorted(until);
  // Those of one nanosecond by start, not by what rounding makes of their dates.
  if (out.size() - first > 1)
    std::sort(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(),
              [](const FlowEnd& a, const FlowEnd& b) {
                return a.at != b.at ? a.at < b.at : a.order < b.order;
              });
}

void FluidNetwork::collect_unsorted(Instant until) {
  for (;;) {
    // What start, cancel and change_link found.
    if (!soon_.empty()) {
      for (std::size_t i = 0; i < soon_.size(); ++i)
        finish(flows_.find(soon_[i].flow), soon_[i].outcome, soon_[i].at);
      soon_.clear();
    }
    if (!dirty_.empty()) flush();

    // Changes come before ends of the same nanosecond, as in the table of event kinds.
    const Instant change = changes_.next();
    const Instant inside = heap_.empty() ? Instant::never() : instant_of(heap_.top().date());
    if (change <= inside && change <= until && !change.is_never()) {
      const ChangeStream::Item item = changes_.pop();
      clock_ = std::max(clock_, change.seconds());
      apply(item.link, item.change);
    } else if (inside <= until && !inside.is_never()) {
      happen(heap_.top());
    } else {
      return;
    }
  }
}

void FluidNetwork::run(EventLoop& loop, Instant horizon) {
  for (;;) {
    const Instant event = loop.next();
    const Instant inside = next_completion();
    if (event.is_never() && flows_.live() == 0) return;
    if (std::min(event, inside) > horizon || std::min(event, inside).is_never()) return;
    if (inside <= event) {
      run_ends_.clear();
      collect(inside, run_ends_);
      for (const FlowEnd& e : run_ends_) loop.flow_ended(e);
    } else {
      advance_to(event);
      loop.step();
    }
  }
}

Duration FluidNetwork::path_latency(std::uint32_t from, std::uint32_t to) const {
  return links_.path_latency(router_.path(from, to));
}

double FluidNetwork::path_bandwidth(std::uint32_t from, std::uint32_t to) const {
  return links_.path_bandwidth(router_.path(from, to));
}

double FluidNetwork::carried_bytes(LinkId link) const {
  double sum = carried_.at(link.value());
  for (ResourceIndex r = 2 * link.value(); r < 2 * link.value() + 2; ++r)
    for (const Member& m : resources_[r].flows) {
      const Flow& f = flows_[m.flow];
      sum += (f.bytes - left_of(f)) * f.elements[m.element].crossings;
    }
  return sum;
}

// Capacity that the flows in flight have taken of each way so far, in bytes. Those that have ended
// but wait to be collected are in no list: their slots tell.
std::array<double, 2> FluidNetwork::flying_bytes(LinkId link) const {
  std::array<double, 2> sum{};
  const auto add = [&](const Flow& f) {
    for (const Element& e : f.elements)
      if (e.resource / 2 == link.value())
        sum[e.resource % 2] += (f.bytes - left_of(f)) * e.use / model_.bandwidth_factor;
  };
  for (ResourceIndex r = 2 * link.value(); r < 2 * link.value() + 2; ++r)
    for (const Member& m : resources_[r].flows) {
      const Flow& f = flows_[m.flow];
      const Element& e = f.elements[m.element];
      sum[r % 2] += (f.bytes - left_of(f)) * e.use / model_.bandwidth_factor;
    }
  for (const Soon& s : soon_) add(flows_[flows_.find(s.flow)]);
  return sum;
}

double FluidNetwork::busy_seconds(LinkId link) const {
  if (link.value() >= links_.size() || !busy_.tracks(link)) return 0;
  return busy_.seconds(link, flying_bytes(link), links_);
}

std::unique_ptr<Network> make_fluid_network(const Topology& topology, const FlowModel& model) {
  return std::make_unique<FluidNetwork>(topology, model);
}

}  // namespace isthmus::network
