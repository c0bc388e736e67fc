// Machines of a zone that send each other the chunks of an update.
#include <algorithm>
#include <bit>
#include <cmath>

#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

constexpr std::uint32_t none = UpdateDevice::none;

std::uint32_t chunk_count(const ModelUpdate& spec, std::uint32_t parcel) {
  return static_cast<std::uint32_t>(std::ceil(spec.parcels[parcel].bytes / spec.chunk));
}

}  // namespace

double World::chunk_bytes(const UpdateDevice& d, std::uint32_t chunk) const {
  const ModelUpdate& spec = scenario_.updates[d.update];
  return std::min(spec.chunk, spec.parcels[d.parcel].bytes - chunk * spec.chunk);
}

UpdateSwarm& World::swarm_of(const UpdateDevice& d) {
  auto& zones = updates_->states[d.update].swarms[d.parcel];
  const std::uint32_t zone = zone_of(d.node);
  if (zone >= zones.size()) zones.resize(zone + 1);
  UpdateSwarm& swarm = zones[zone];
  if (swarm.holders.empty())
    swarm.holders.resize(chunk_count(scenario_.updates[d.update], d.parcel), 0);
  return swarm;
}

// Its bits.
std::uint64_t* World::chunks_of(const UpdateDevice& d) {
  UpdateState& s = updates_->states[d.update];
  const std::size_t words = (chunk_count(scenario_.updates[d.update], d.parcel) + 63) / 64;
  std::vector<std::uint64_t>& bits = s.chunks[d.parcel];
  if (bits.empty()) bits.resize(words * s.order.size(), 0);
  return &bits[words * number_of(d)];
}

// Of those that it lacks (and that `held` has, if not null) the one that the fewest in its zone have;
// the salt breaks ties. ~0: none.
std::uint32_t World::rarest(const UpdateDevice& d, const std::uint64_t* held, std::uint64_t salt) {
  const std::uint32_t chunks = chunk_count(scenario_.updates[d.update], d.parcel);
  const std::uint64_t* own = chunks_of(d);
  const UpdateSwarm& swarm = swarm_of(d);
  if (d.partial > 0)  // the one that broke
    return !held || (held[d.chunk / 64] >> (d.chunk % 64) & 1) ? d.chunk : none;
  std::uint32_t best = none, fewest = none;
  std::uint64_t best_salt = 0;
  for (std::uint32_t w = 0; w * 64 < chunks; ++w) {
    std::uint64_t open = ~own[w] & (held ? held[w] : ~0ULL);
    for (; open != 0; open &= open - 1) {
      const std::uint32_t c = w * 64 + static_cast<std::uint32_t>(std::countr_zero(open));
      if (c >= chunks) break;
      const std::uint64_t mixed = mix64(salt ^ c);
      if (swarm.holders[c] > fewest || (swarm.holders[c] == fewest && best != none && mixed >= best_salt))
        continue;
      best = c;
      fewest = swarm.holders[c];
      best_salt = mixed;
    }
  }
  return best;
}

// The next chunk from a peer if the draw finds one that has it, else from the origin.
void World::seek_peer(UpdateDevice& d) {
  UpdateState& s = updates_->states[d.update];
  UpdateSwarm& swarm = swarm_of(d);
  Rng g = update_draws_.at(hash_combine(d.node, d.serial), 2);
  const std::uint64_t salt = g();
  // A tracker names some peers, all where there are few.
  constexpr std::size_t named = 8;
  const std::size_t known = swarm.open.size();
  const std::size_t start = known > 0 ? uniform_index(g, known) : 0;
  for (std::size_t i = 0; i < std::min(known, named); ++i) {
    const std::size_t place = known <= named ? (start + i) % known : uniform_index(g, known);
    if (fetch_from(updates_->devices[swarm.open[place]], d, salt)) return;
  }
  UpdateSender& origin = s.origins[origin_of(d)];
  if (!nodes_[origin.node].up) return back_off(d);
  if (origin.active < origin.limit) {
    d.chunk = rarest(d, nullptr, salt);
    return send_update(d, UpdateCargo::parcel, UpdateSource::origin, origin_of(d),
                       chunk_bytes(d, d.chunk) - d.partial);
  }
  wait_for(d, origin.waiting);
  swarm.waiting.push_back(origin.waiting.back());
}

// False when the peer has nothing for it.
bool World::fetch_from(UpdateDevice& peer, UpdateDevice& d, std::uint64_t salt) {
  if (&peer == &d) return false;
  const std::uint32_t chunk = rarest(d, chunks_of(peer), salt);
  if (chunk == none) return false;
  d.chunk = chunk;
  send_update(d, UpdateCargo::parcel, UpdateSource::peer,
              static_cast<std::uint32_t>(&peer - updates_->devices.data()),
              chunk_bytes(d, chunk) - d.partial);
  if (peer.uploading >= scenario_.updates[peer.update].uploads) close_to_peers(peer);
  return true;
}

// A peer has room or a new chunk: for those who wait in its zone.
void World::offer_chunks(UpdateDevice& peer) {
  if (!peer.has_chunks) return;
  open_to_peers(peer);
  UpdateSwarm& swarm = swarm_of(peer);
  for (int tries = 4; tries > 0 && peer.open_place != none && !swarm.waiting.empty();) {
    const UpdateTicket ticket = swarm.waiting.front();
    swarm.waiting.pop_front();
    UpdateDevice& d = updates_->devices[ticket.device];
    if (d.serial != ticket.serial) continue;
    Rng g = update_draws_.at(hash_combine(d.node, d.serial), 3);
    if (fetch_from(peer, d, g())) continue;
    swarm.waiting.push_back(ticket);
    --tries;
  }
}

void World::open_to_peers(UpdateDevice& d) {
  if (d.open_place != none || !d.has_chunks || !nodes_[d.node].up ||
      d.uploading >= scenario_.updates[d.update].uploads)
    return;
  std::vector<std::uint32_t>& open = swarm_of(d).open;
  d.open_place = static_cast<std::uint32_t>(open.size());
  open.push_back(static_cast<std::uint32_t>(&d - updates_->devices.data()));
}

void World::close_to_peers(UpdateDevice& d) {
  if (d.open_place == none) return;
  std::vector<std::uint32_t>& open = swarm_of(d).open;
  updates_->devices[open.back()].open_place = d.open_place;
  open[d.open_place] = open.back();
  open.pop_back();
  d.open_place = none;
}

// It throws its chunks away; who gets one from it just now still does.
void World::leave_swarm(UpdateDevice& d) {
  if (!d.has_chunks) return;
  close_to_peers(d);
  d.has_chunks = false;
  UpdateSwarm& swarm = swarm_of(d);
  std::uint64_t* own = chunks_of(d);
  for (std::uint32_t c = 0; c < swarm.holders.size(); ++c)
    if (own[c / 64] >> (c % 64) & 1) --swarm.holders[c];
  std::fill_n(own, (swarm.holders.size() + 63) / 64, 0);
}

}  // namespace isthmus::world
