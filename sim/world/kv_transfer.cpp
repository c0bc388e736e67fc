// From prefill to decode replicas. A prefill replica computes the prompt and its first token and
// holds the KV blocks; a decode replica is chosen, the blocks travel as soon as it has room for
// them, and the request goes on there with its second token. The room is promised when the transfer
// begins and taken when the request starts. Whatever breaks on the way (a link, either node) ends
// this attempt: the request is prefilled again if its client retries.
#include <algorithm>
#include <cmath>

#include "sim/world/saturated.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

enum : std::uint32_t { layers_follow, within_machine };  // targets of kv_transfer events

std::int64_t prompt_of(const Request& r) {
  return std::max<std::int64_t>(1, r.record.prompt_tokens);
}

// The first token is part of the prompt at the decode replica, and all but it has been received.
devices::EngineRequest decode_job(const Request& r, std::uint64_t tag) {
  devices::EngineRequest job;
  job.tag = tag;
  job.prompt = prompt_of(r) + 1;
  job.image = r.image_tokens;
  job.output = static_cast<std::int64_t>(r.record.output_tokens) - 1;
  job.received = job.prompt - 1;
  return job;
}

}  // namespace

// A decode replica that can ever hold the request, or ~0.
std::uint32_t World::decode_replica_for(std::uint32_t slot) {
  const Request& r = requests_[slot];
  Router& router = *services_[r.serving].decode;
  const devices::EngineRequest job = decode_job(r, 0);
  std::vector<std::uint32_t> fitting;
  for (const std::uint32_t id : router.ready)
    if (services_[replicas_[id].service].sample->fits(job)) fitting.push_back(id);
  return choose_replica(slot, router, fitting, 1);
}

// A prompt started; the first iteration on it ends at `end`. Where layers follow one by one, the
// first is there after its part of that time.
void World::prefill_began(std::uint32_t slot, Instant end) {
  Request& r = requests_[slot];
  const Service& pool = scenario_.services[replicas_[r.replica].service];
  if (scenario_.services[r.serving].pools->transfer != KvTransfer::layerwise) return;
  if (r.record.output_tokens <= 1) return;
  const std::uint32_t to = decode_replica_for(slot);
  if (to == ~0U) return;
  const std::int64_t blocks = blocks_at(to, r);
  if (!replicas_[to].incoming.empty() || !has_room(to, blocks)) return;  // all of it later
  const LlmModel& model = std::get<LlmModel>(pool.work);
  r.handover = std::make_unique<KvHandover>();
  r.handover->to = to;
  r.handover->blocks = blocks;
  r.handover->early = true;
  r.handover->timer =
      queue_.push(now_ + Duration((end - now_).ns() / model.shape.layers), EventKind::kv_transfer,
                  layers_follow, handle_of(slot).pack());
  replicas_[to].promised_blocks += blocks;
  ++replicas_[to].outstanding;
}

// The first token is there.
void World::prefilled(std::uint32_t slot) {
  Request& r = requests_[slot];
  r.stage = Stage::handing_over;
  if (!r.handover) return find_decode_replica(slot);
  if (!r.handover->early_done) return;  // the last layer follows the others
  r.handover->sent = true;
  send_kv(slot, r.handover->bytes);
}

void World::find_decode_replica(std::uint32_t slot) {
  Request& r = requests_[slot];
  if (!r.handover) r.handover = std::make_unique<KvHandover>();
  const std::uint32_t to = decode_replica_for(slot);
  if (to != ~0U) {
    r.handover->to = to;
    ++replicas_[to].outstanding;
    return send_when_room(slot);
  }
  const std::vector<std::uint32_t>& pools = scenario_.services[r.serving].pools->decode;
  if (std::none_of(pools.begin(), pools.end(), [&](std::uint32_t p) { return expects_replica(p); })) {
    withdraw(slot);
    return drop(slot, results::Status::rejected, results::Cause::no_replica);
  }
  services_[r.serving].decode->pending.push_back(handle_of(slot).pack());
}

// KV blocks that a request needs to start at a decode replica.
std::int64_t World::blocks_at(std::uint32_t id, const Request& r) const {
  const std::int64_t block =
      scenario_.services[replicas_[id].service].batching.continuous.block_size;
  return (prompt_of(r) + 1 + block - 1) / block;
}

bool World::has_room(std::uint32_t id, std::int64_t blocks) {
  const Replica& p = replicas_[id];
  if (p.promised_blocks == 0 && !p.engine->has_work()) return true;
  const auto used = std::llround(p.engine->kv_usage(now_) * static_cast<double>(p.kv_blocks));
  return p.kv_blocks - used - p.promised_blocks >= blocks;
}

// First come, first served at the decode replica.
void World::send_when_room(std::uint32_t slot) {
  KvHandover& h = *requests_[slot].handover;
  replicas_[h.to].incoming.push_back(handle_of(slot).pack());
  fill_room(h.to);
}

// Fetches what waits for room, as far as there is some.
void World::fill_room(std::uint32_t id) {
  Replica& p = replicas_[id];
  while (!p.incoming.empty() && p.engine && nodes_[p.node].up) {
    const std::uint32_t slot = Handle::unpack(p.incoming.front()).slot;
    const std::int64_t blocks = blocks_at(id, requests_[slot]);
    if (!has_room(id, blocks)) return;
    p.incoming.pop_front();
    p.promised_blocks += blocks;
    Request& r = requests_[slot];
    r.handover->blocks = blocks;
    r.handover->sent = true;
    const LlmModel& model =
        std::get<LlmModel>(scenario_.services[replicas_[r.replica].service].work);
    send_kv(slot, model.cost->kv_bytes_per_token() * static_cast<double>(prompt_of(r)));
  }
}

void World::send_kv(std::uint32_t slot, double bytes) {
  Request& r = requests_[slot];
  const std::uint64_t tag = handle_of(slot).pack();
  const std::uint32_t from = replicas_[r.replica].node, to = replicas_[r.handover->to].node;
  if (r.record.kv_sent.is_never()) r.record.kv_sent = now_;
  r.record.kv_bytes += bytes;
  if (from != to) {
    r.handover->flow = transfer(r.replica, from, to, bytes, tag);
    return;
  }
  const NodeGroup& group = scenario_.nodes[nodes_[from].group];
  r.handover->timer = queue_.push(
      now_ + saturated(group.interconnect_latency + bytes / group.interconnect_bandwidth),
      EventKind::kv_transfer, within_machine, tag);
}

void World::on_kv_event(std::uint32_t what, Handle h) {
  Request* r = find(h);
  if (!r || !r->handover) return;
  r->handover->timer = EventHandle();
  if (what == within_machine) return on_kv_sent(h.slot);
  const LlmModel& model =
      std::get<LlmModel>(scenario_.services[replicas_[r->replica].service].work);
  const double layer = model.cost->kv_bytes_per_token() * static_cast<double>(prompt_of(*r)) /
                       static_cast<double>(model.shape.layers);
  r->handover->bytes = layer;
  send_kv(h.slot, layer * static_cast<double>(model.shape.layers - 1));
}

// All that was under way is there.
void World::on_kv_sent(std::uint32_t slot) {
  Request& r = requests_[slot];
  KvHandover& h = *r.handover;
  if (h.sent) return land(slot);
  h.early_done = true;
  if (r.stage == Stage::handing_over) prefilled(slot);
}

// The KV cache is at the decode replica; the prefill replica forgets it.
void World::land(std::uint32_t slot) {
  Request& r = requests_[slot];
  const std::uint64_t tag = handle_of(slot).pack();
  const std::uint32_t from = r.replica;
  if (!meters_.empty()) {
    note_answer(slot, now_);
    note_arrival(slot, r.handover->to);
  }
  r.record.kv_received = now_;
  r.handover->landed = true;
  r.replica = r.handover->to;
  Replica& p = replicas_[r.replica];
  r.record.replica = p.number;
  r.record.accuracy = scenario_.services[p.service].accuracy;
  r.stage = Stage::queued;
  devices::EngineRequest job = decode_job(r, tag);
  label(job, r);
  p.engine->enqueue(job);
  look_again(r.replica);
  show_load(r.replica);

  replicas_[from].engine->release(tag);
  look_again(from);
  --replicas_[from].outstanding;
  if (replicas_[from].phase == ReplicaPhase::draining) release(from);
}

// Its blocks are its own now, no longer promised ones.
void World::started_to_decode(Request& r) {
  replicas_[r.replica].promised_blocks -= r.handover->blocks;
  r.handover.reset();
  if (r.stream && !r.stream->flow.valid())
    replicas_[r.replica].streams.push_back(handle_of(r).pack());
}

// The engine's work or room has changed from outside.
void World::look_again(std::uint32_t id) {
  Replica& p = replicas_[id];
  if (!p.engine) return;
  if (p.engine->busy()) interrupt_span(id);
  else if (p.engine->has_work()) request_dispatch(id);
}

// Forgets the transfer and what it has promised. Who has been prefilled gives back the blocks;
// the caller takes the request out of the replica where it is.
void World::give_up_handover(std::uint32_t slot) {
  Request& r = requests_[slot];
  const std::uint64_t tag = handle_of(slot).pack();
  const std::unique_ptr<KvHandover> h = std::move(r.handover);
  queue_.cancel(h->timer);
  if (h->flow.valid()) network_->cancel(h->flow, now_);
  if (!h->landed) {
    r.record.kv_bytes = 0;
    r.record.kv_sent = Instant::never();
  }
  if (r.stage == Stage::handing_over) {
    if (const auto& engine = replicas_[r.replica].engine) engine->release(tag);
    look_again(r.replica);
  }
  if (h->to == ~0U) {
    auto& pending = services_[r.serving].decode->pending;
    const auto waits = std::find(pending.begin(), pending.end(), tag);
    if (waits != pending.end()) pending.erase(waits);
    return;
  }
  Replica& p = replicas_[h->to];
  p.promised_blocks -= h->blocks;
  const auto waits = std::find(p.incoming.begin(), p.incoming.end(), tag);
  if (waits != p.incoming.end()) p.incoming.erase(waits);
  if (!h->landed) --p.outstanding;
  fill_room(h->to);
  if (!h->landed && p.phase == ReplicaPhase::draining) release(h->to);
}

// What was held on the node or was on its way to it is lost. Who has landed there is known to its
// engine.
void World::lose_handovers(std::uint32_t node) {
  if (!disaggregated_) return;
  for (std::uint32_t slot = 0; slot < requests_.size(); ++slot) {
    const Request& r = requests_[slot];
    if (!r.live || !r.handover || r.handover->landed) continue;
    const bool held = r.stage == Stage::handing_over && replicas_[r.replica].node == node;
    const bool expected = r.handover->to != ~0U && replicas_[r.handover->to].node == node;
    if (held || (expected && r.stage == Stage::handing_over))
      retry_or_fail(slot, results::Cause::node_failed);
    else if (expected)
      give_up_handover(slot);  // the prompt goes on
  }
}

}  // namespace isthmus::world
