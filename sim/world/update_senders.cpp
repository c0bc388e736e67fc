// Who sends an update to whom: origins, and relays that fill themselves. Devices among themselves:
// update_peers.cpp.
#include <algorithm>
#include <cmath>

#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

constexpr std::uint32_t none = UpdateDevice::none;
constexpr double nothing = 1e-3;  // bytes; what rounding leaves of sums

// Whole chunks among the first bytes of a parcel.
double whole_chunks(const ModelUpdate& spec, std::uint32_t parcel, double bytes) {
  if (bytes >= spec.parcels[parcel].bytes - nothing) return spec.parcels[parcel].bytes;
  return std::floor((bytes + nothing) / spec.chunk) * spec.chunk;
}

}  // namespace

void World::open_senders(std::uint32_t u) {
  const ModelUpdate& spec = scenario_.updates[u];
  UpdateState& s = updates_->states[u];
  const auto add = [&](std::uint32_t group, std::uint32_t limit, std::vector<UpdateSender>& senders) {
    const NodeGroup& g = scenario_.nodes[group];
    for (std::uint32_t i = 0; i < g.count; ++i) {
      UpdateSender& sender = senders.emplace_back();
      sender.node = g.first + i;
      sender.limit = limit;
    }
  };
  add(spec.origin, spec.concurrent, s.origins);
  if (spec.way == UpdateWay::cdn) {
    add(spec.relays, spec.relay_concurrent, s.relays);
    for (std::uint32_t i = 0; i < s.relays.size(); ++i) {
      s.relays[i].holdings.resize(spec.parcels.size());
      s.relays_of_zone[zone_of(s.relays[i].node)].push_back(i);
    }
  }
  if (spec.way != UpdateWay::peer) return;
  s.swarms.resize(spec.parcels.size());
  s.chunks.resize(spec.parcels.size());
}

// In its fleet.
std::uint32_t World::number_of(const UpdateDevice& d) const {
  const ModelUpdate& spec = scenario_.updates[d.update];
  std::size_t t = 0;
  while (spec.targets[t].line != d.line) ++t;
  const auto index = static_cast<std::uint32_t>(&d - updates_->devices.data());
  return updates_->states[d.update].offsets[t] + (index - updates_->lines[d.line].first);
}

std::uint32_t World::origin_of(const UpdateDevice& d) const {
  return number_of(d) % static_cast<std::uint32_t>(updates_->states[d.update].origins.size());
}

// One of its zone, or of all where the zone has none.
std::uint32_t World::relay_of(const UpdateDevice& d) const {
  const UpdateState& s = updates_->states[d.update];
  const std::uint32_t number = number_of(d);
  if (const auto it = s.relays_of_zone.find(zone_of(d.node)); it != s.relays_of_zone.end())
    return it->second[number % it->second.size()];
  return number % static_cast<std::uint32_t>(s.relays.size());
}

std::uint32_t World::zone_of(std::uint32_t node) const { return scenario_.topology.hosts[node].zone; }

// Asks for the bytes that it lacks.
void World::seek(UpdateDevice& d) {
  const ModelUpdate& spec = scenario_.updates[d.update];
  UpdateState& s = updates_->states[d.update];
  if (!nodes_[d.node].up) return set_stage(d, UpdateStage::down);
  const double left = spec.parcels[d.parcel].bytes - d.received;
  if (left < nothing) return loaded(d);
  if (spec.way == UpdateWay::direct) return seek_origin(d, left);
  if (spec.way == UpdateWay::peer) return seek_peer(d);
  const std::uint32_t index = relay_of(d);
  UpdateSender& relay = s.relays[index];
  if (!nodes_[relay.node].up) return seek_origin(d, left);
  UpdateSender::Holding& holding = relay.holdings[d.parcel];
  const double there = whole_chunks(spec, d.parcel, holding.bytes) - d.received;
  if (there < nothing) {
    set_stage(d, UpdateStage::queued);
    holding.waiting.push_back({static_cast<std::uint32_t>(&d - updates_->devices.data()), d.serial});
    if (!holding.filling) fill(d.update, index, d.parcel);
    return;
  }
  if (relay.active >= relay.limit) return wait_for(d, relay.waiting);
  send_update(d, UpdateCargo::parcel, UpdateSource::relay, index, there);
}

void World::seek_origin(UpdateDevice& d, double bytes) {
  const std::uint32_t index = origin_of(d);
  UpdateSender& origin = updates_->states[d.update].origins[index];
  if (!nodes_[origin.node].up) return back_off(d);
  if (origin.active >= origin.limit) return wait_for(d, origin.waiting);
  send_update(d, UpdateCargo::parcel, UpdateSource::origin, index, bytes);
}

void World::wait_for(UpdateDevice& d, std::deque<UpdateTicket>& line) {
  set_stage(d, UpdateStage::queued);
  line.push_back({static_cast<std::uint32_t>(&d - updates_->devices.data()), d.serial});
}

// ---- transfers -------------------------------------------------------------------------------------

UpdateTransfer& World::new_transfer(std::uint32_t u, UpdateCargo cargo, UpdateSource source,
                                    std::uint32_t from, double bytes) {
  Updates& all = *updates_;
  auto slot = static_cast<std::uint32_t>(all.transfers.size());
  if (all.free_transfers.empty()) {
    all.transfers.emplace_back();
  } else {
    slot = all.free_transfers.back();
    all.free_transfers.pop_back();
  }
  UpdateTransfer& t = all.transfers[slot];
  const std::uint32_t generation = t.generation;
  t = {};
  t.generation = generation;
  t.live = true;
  t.update = u;
  t.cargo = cargo;
  t.source = source;
  t.from = from;
  t.bytes = t.left = bytes;
  return t;
}

void World::send_update(UpdateDevice& d, UpdateCargo cargo, UpdateSource source, std::uint32_t from,
                        double bytes) {
  if (cargo == UpdateCargo::parcel) set_stage(d, UpdateStage::loading);
  UpdateTransfer& t = new_transfer(d.update, cargo, source, from, bytes);
  t.to = static_cast<std::uint32_t>(&d - updates_->devices.data());
  t.parcel = d.parcel;
  d.transfer = static_cast<std::uint32_t>(&t - updates_->transfers.data());
  begin_update_flow(t);
}

// Head of the list of transfers of the sender.
std::uint32_t& World::sender_list(const UpdateTransfer& t) {
  if (t.source == UpdateSource::peer) return updates_->devices[t.from].uploads;
  UpdateState& s = updates_->states[t.update];
  return (t.source == UpdateSource::relay ? s.relays : s.origins)[t.from].transfers;
}

std::uint32_t World::sender_node(const UpdateTransfer& t) const {
  if (t.source == UpdateSource::peer) return updates_->devices[t.from].node;
  const UpdateState& s = updates_->states[t.update];
  return (t.source == UpdateSource::relay ? s.relays : s.origins)[t.from].node;
}

std::uint32_t World::receiver_node(const UpdateTransfer& t) const {
  return t.cargo == UpdateCargo::fill ? updates_->states[t.update].relays[t.to].node
                                      : updates_->devices[t.to].node;
}

void World::begin_update_flow(UpdateTransfer& t) {
  const auto slot = static_cast<std::uint32_t>(&t - updates_->transfers.data());
  std::uint32_t& first = sender_list(t);
  t.next = first;
  if (first != none) updates_->transfers[first].before = slot;
  first = slot;
  if (t.cargo == UpdateCargo::parcel) {
    UpdateState& s = updates_->states[t.update];
    if (t.source == UpdateSource::peer) ++updates_->devices[t.from].uploading;
    else ++(t.source == UpdateSource::relay ? s.relays : s.origins)[t.from].active;
  }
  const std::uint32_t from = sender_node(t), to = receiver_node(t);
  set_radio(from, 1, 0);
  set_radio(to, 0, 1);
  const double cap = t.cargo == UpdateCargo::parcel ? scenario_.updates[t.update].rate_cap : 0;
  t.flow = network_->start({from, to, t.bytes, cap, flow_tag(FlowOwner::update, {slot, t.generation}), 0}, now_);
}

// Out of all lists and counts, its slot free.
void World::end_update_flow(UpdateTransfer& t) {
  const auto slot = static_cast<std::uint32_t>(&t - updates_->transfers.data());
  if (t.before != none) updates_->transfers[t.before].next = t.next;
  else sender_list(t) = t.next;
  if (t.next != none) updates_->transfers[t.next].before = t.before;
  if (t.cargo == UpdateCargo::parcel) {
    UpdateState& s = updates_->states[t.update];
    if (t.source == UpdateSource::peer) --updates_->devices[t.from].uploading;
    else --(t.source == UpdateSource::relay ? s.relays : s.origins)[t.from].active;
  }
  set_radio(sender_node(t), -1, 0);
  set_radio(receiver_node(t), 0, -1);
  t.live = false;
  ++t.generation;
  updates_->free_transfers.push_back(slot);
}

void World::on_update_flow_ended(Handle h, network::Outcome outcome) {
  if (h.slot >= updates_->transfers.size() || updates_->transfers[h.slot].generation != h.generation) return;
  const UpdateTransfer t = updates_->transfers[h.slot];
  end_update_flow(updates_->transfers[h.slot]);
  UpdateState& s = updates_->states[t.update];
  const bool delivered = outcome == network::Outcome::delivered;
  const double moved = delivered ? t.bytes : t.bytes - t.left;
  if (!delivered && !t.orphan) ++s.totals.broken;
  add_egress(sender_node(t), receiver_node(t), moved);
  if (t.cargo == UpdateCargo::fill) return filled(t, moved, delivered);

  UpdateDevice& d = updates_->devices[t.to];
  if (!t.orphan) d.transfer = none;
  if (t.cargo == UpdateCargo::message) {
    s.totals.news += moved;
    if (t.orphan) return;
    return delivered ? hear(d) : not_heard(d);
  }
  (t.source == UpdateSource::origin  ? s.totals.from_origin
   : t.source == UpdateSource::relay ? s.totals.from_relays
                                     : s.totals.from_peers) += moved;
  if (t.orphan) s.totals.wasted += moved;
  else take_in(d, moved, delivered);
  // Those who wait come before those who are served already.
  if (t.source == UpdateSource::peer) offer_chunks(updates_->devices[t.from]);
  else serve_waiting(t.update, (t.source == UpdateSource::relay ? s.relays : s.origins)[t.from]);
  if (t.orphan) return;
  if (!delivered) return back_off(d);
  if (d.has_chunks) offer_chunks(d);
  seek(d);
}

// What has arrived of a parcel, and what of it is kept.
void World::take_in(UpdateDevice& d, double moved, bool delivered) {
  const ModelUpdate& spec = scenario_.updates[d.update];
  results::UpdateTotals& t = updates_->states[d.update].totals;
  if (moved > 0) d.failures = 0;
  t.received += moved;
  const auto lose = [&](double bytes) {
    t.received -= bytes;
    t.wasted += bytes;
  };
  if (spec.way == UpdateWay::peer) {
    d.partial += moved;
    if (delivered) {
      d.received += d.partial;
      d.partial = 0;
      UpdateSwarm& swarm = swarm_of(d);
      chunks_of(d)[d.chunk / 64] |= 1ULL << (d.chunk % 64);
      ++swarm.holders[d.chunk];
      d.chunk = none;
      d.has_chunks = true;
      open_to_peers(d);
    } else if (spec.loss == DownloadLoss::chunk) {
      lose(d.partial);
      d.partial = 0;
      d.chunk = none;
    }
    return;
  }
  d.received += moved;
  if (delivered || spec.loss == DownloadLoss::nothing) return;
  const double kept = spec.loss == DownloadLoss::all ? 0 : whole_chunks(spec, d.parcel, d.received);
  lose(d.received - kept);
  d.received = kept;
}

// Whoever waits for that sender, while it has room.
void World::serve_waiting(std::uint32_t u, UpdateSender& sender) {
  while (sender.active < sender.limit && !sender.waiting.empty()) {
    const UpdateTicket ticket = sender.waiting.front();
    sender.waiting.pop_front();
    UpdateDevice& d = updates_->devices[ticket.device];
    if (d.serial == ticket.serial && d.update == u) seek(d);
  }
}

// ---- relays ----------------------------------------------------------------------------------------

// The next chunk, once for all who wait for it.
void World::fill(std::uint32_t u, std::uint32_t index, std::uint32_t parcel) {
  const ModelUpdate& spec = scenario_.updates[u];
  UpdateState& s = updates_->states[u];
  UpdateSender& relay = s.relays[index];
  UpdateSender::Holding& holding = relay.holdings[parcel];
  holding.filling = true;
  const std::uint32_t from = index % static_cast<std::uint32_t>(s.origins.size());
  if (!nodes_[s.origins[from].node].up || !nodes_[relay.node].up) {
    queue_.push(now_ + retry_wait(spec, holding.failures), EventKind::update_step, relay_retries,
                static_cast<std::uint64_t>(index * 4 + parcel) << 32 | u);
    holding.failures = static_cast<std::uint8_t>(std::min(holding.failures + 1, 60));
    return;
  }
  const double end =
      std::min(spec.parcels[parcel].bytes, whole_chunks(spec, parcel, holding.bytes) + spec.chunk);
  UpdateTransfer& t =
      new_transfer(u, UpdateCargo::fill, UpdateSource::origin, from, end - holding.bytes);
  t.to = index;
  t.parcel = static_cast<std::uint8_t>(parcel);
  holding.transfer = static_cast<std::uint32_t>(&t - updates_->transfers.data());
  begin_update_flow(t);
}

void World::retry_fill(std::uint32_t u, std::uint32_t relay_and_parcel) {
  fill(u, relay_and_parcel / 4, relay_and_parcel % 4);
}

void World::filled(const UpdateTransfer& t, double moved, bool delivered) {
  const ModelUpdate& spec = scenario_.updates[t.update];
  UpdateState& s = updates_->states[t.update];
  UpdateSender::Holding& holding = s.relays[t.to].holdings[t.parcel];
  holding.transfer = none;
  s.totals.to_relays += moved;
  holding.bytes += moved;
  if (moved > 0) holding.failures = 0;
  if (!delivered) {
    queue_.push(now_ + retry_wait(spec, holding.failures), EventKind::update_step, relay_retries,
                static_cast<std::uint64_t>(t.to * 4 + t.parcel) << 32 | t.update);
    holding.failures = static_cast<std::uint8_t>(std::min(holding.failures + 1, 60));
    return;
  }
  holding.filling = false;
  // It goes on to the end, whoever waits.
  if (spec.parcels[t.parcel].bytes - holding.bytes >= nothing) fill(t.update, t.to, t.parcel);
  std::vector<UpdateTicket> waiting;
  waiting.swap(s.relays[t.to].holdings[t.parcel].waiting);
  for (const UpdateTicket& ticket : waiting) {
    UpdateDevice& d = updates_->devices[ticket.device];
    if (d.serial == ticket.serial && d.update == t.update) seek(d);
  }
}

// ---- nodes that fail -------------------------------------------------------------------------------

// Transfers of a sender; their ends follow.
void World::break_transfers(std::uint32_t first) {
  for (std::uint32_t i = first; i != none; i = updates_->transfers[i].next)
    network_->cancel(updates_->transfers[i].flow, now_);
}

void World::lose_updates(std::uint32_t node) {
  Updates& all = *updates_;
  const std::uint32_t group = nodes_[node].group;
  for (std::size_t l = 0; l < all.lines.size(); ++l) {
    if (scenario_.update_lines[l].group != group) continue;
    UpdateDevice& d = all.devices[all.lines[l].first + (node - scenario_.nodes[group].first)];
    break_transfers(d.uploads);
    if (d.has_chunks) close_to_peers(d);
    d.stopped = false;  // its service comes back with the node
    switch (d.stage) {
      case UpdateStage::asking:
      case UpdateStage::loading: network_->cancel(all.transfers[d.transfer].flow, now_); break;
      case UpdateStage::queued:
      case UpdateStage::backing_off:
      case UpdateStage::installing:
      case UpdateStage::restarting: set_stage(d, UpdateStage::down); break;
      case UpdateStage::settled:
      case UpdateStage::polling:
      case UpdateStage::down: break;
    }
  }
  for (UpdateState& s : all.states)
    for (std::vector<UpdateSender>* senders : {&s.origins, &s.relays})
      for (UpdateSender& sender : *senders) {
        if (sender.node != node) continue;
        break_transfers(sender.transfers);
        for (const UpdateSender::Holding& h : sender.holdings)
          if (h.transfer != none) network_->cancel(all.transfers[h.transfer].flow, now_);
      }
}

void World::resume_updates(std::uint32_t node) {
  Updates& all = *updates_;
  const std::uint32_t group = nodes_[node].group;
  for (std::size_t l = 0; l < all.lines.size(); ++l) {
    if (scenario_.update_lines[l].group != group) continue;
    UpdateDevice& d = all.devices[all.lines[l].first + (node - scenario_.nodes[group].first)];
    if (d.has_chunks) offer_chunks(d);
    if (d.stage == UpdateStage::down) go_on(d);
  }
  for (std::uint32_t u = 0; u < all.states.size(); ++u)
    for (std::vector<UpdateSender>* senders : {&all.states[u].origins, &all.states[u].relays})
      for (UpdateSender& sender : *senders)
        if (sender.node == node) serve_waiting(u, sender);
}

}  // namespace isthmus::world
