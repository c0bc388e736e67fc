// Requests at services that look into caches or call other services. A service that waits for
// another one keeps its replica, and the request goes on there once the answer is back. What
// happens within a machine takes no time but goes through an event, so that whoever serves a batch
// or ends a span finds things as they were.
#include <algorithm>
#include <utility>

#include "sim/world/calls.hpp"
#include "sim/world/message_queues.hpp"
#include "sim/world/saturated.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {
// Bytes that go back from where the request is, if a cache does not say otherwise.
double answer_bytes(const Scenario& s, const Visit& v, const Request& r) {
  if (!v.nested()) return r.record.download;
  const Level& caller = v.levels[v.levels.size() - 2];
  const Call& call = s.services[caller.serving].fetching->calls[caller.call];
  return call.answer.value_or(r.record.download);
}
}  // namespace

// At a service with caches or calls. False: its own work comes first.
bool World::begin_visit(std::uint32_t slot) {
  Request& r = requests_[slot];
  const Fetching& f = *scenario_.services[r.serving].fetching;
  const bool asks = !f.caches.empty() && r.key != 0;
  if (!asks && f.calls.empty()) return false;
  if (!r.visit) {
    r.visit = std::make_unique<Visit>();
    r.visit->levels.emplace_back();
    r.visit->made_bytes = r.record.download;
    r.visit->made_tokens = r.record.output_tokens;
    r.record.cache = 0;
    r.record.wrong = false;
  }
  Level& l = r.visit->here();
  l.serving = r.serving;
  l.replica = r.replica;
  if (!asks || f.caches_calls) return false;
  look(slot);
  return true;
}

// On to the next cache, or to what has to be done without.
void World::look(std::uint32_t slot) {
  Request& r = requests_[slot];
  const Fetching& f = *scenario_.services[r.serving].fetching;
  const Level& l = r.visit->here();
  if (l.tier == f.caches.size()) {
    if (f.caches_calls) {
      calls_->next(slot);  // the one call, which always is made
      return;
    }
    r.stage = Stage::queued;
    return enqueue(slot);
  }
  const Duration takes = f.caches[l.tier].lookup;
  if (takes <= Duration::zero()) return look_up(slot);
  r.stage = Stage::looking_up;
  r.timer = queue_.push(now_ + takes, EventKind::local_step, 0, handle_of(slot).pack());
}

void World::look_up(std::uint32_t slot) {
  Request& r = requests_[slot];
  Visit& v = *r.visit;
  Level& l = v.here();
  const CacheTier& tier = scenario_.services[r.serving].fetching->caches[l.tier];
  CacheState& state = caches_[tier.id - 1];
  if (tier.scope == CacheScope::server) {
    if (services_[tier.server].ready.empty()) {
      ++state.counts.lookups;
      ++state.counts.unanswered;
      l.holders[l.tier++] = ~0U;
      return look(slot);
    }
    l.asks_cache = true;
    return call(slot, tier.server, tier.request_bytes, l.path);
  }
  const std::uint32_t holder =
      tier.scope == CacheScope::replica ? r.replica : replicas_[r.replica].node;
  l.holders[l.tier] = holder;
  if (find_answer(tier, holder, r)) return found(slot);
  if (tier.coalesce) {
    const auto [waiting, first] = holder_of(tier, holder).waiting.try_emplace(r.key);
    if (!first) {
      ++state.counts.coalesced;
      waiting->second.push_back(handle_of(slot).pack());
      r.stage = Stage::coalesced;
      return;
    }
    l.leads |= 1U << l.tier;
  }
  ++l.tier;
  look(slot);
}

// ---- from one service to another and back ---------------------------------------------------------

// The path tells what is drawn for this visit from what is drawn for others of the request.
void World::call(std::uint32_t slot, std::uint32_t service, double bytes, std::uint64_t path) {
  Request& r = requests_[slot];
  Visit& v = *r.visit;
  Level& l = v.here();
  if (slot < tries_.size()) l.tried = std::exchange(static_cast<Try&>(tries_[slot]), Try());
  l.from = r.from;
  l.number = r.record.replica;
  l.batch = r.record.batch;
  l.arrived = r.record.arrived;
  l.started = r.record.started;
  const bool leases = l.lease.pool != nullptr;
  v.levels.emplace_back();
  v.levels.back().serving = service;
  v.levels.back().path = path;
  v.bytes = bytes;
  ++v.hops;
  r.from = replicas_[r.replica].node;
  r.replica = ~0U;
  r.record.arrived = r.record.started = Instant::never();
  r.record.batch = 0;
  ++services_[service].calls;
  if (leases) return calls_->connect(slot);
  approach(slot, service);
}

// A replica of the called service is chosen.
void World::send_call(std::uint32_t slot) {
  Request& r = requests_[slot];
  const std::uint32_t node = replicas_[r.replica].node;
  if (node == r.from) return resume_later(slot, Visit::Next::arrive);
  r.stage = Stage::calling;
  r.transfer_start = now_;
  set_radio(r.from, 1, 0);
  add_egress(r.from, node, r.visit->bytes);
  r.flow = transfer(r.replica, r.from, node, r.visit->bytes, handle_of(slot).pack());
}

// A client that calls from its own machine pays for its radio.
void World::end_call_transfer(Request& r) {
  const bool out = r.stage == Stage::calling;
  rest_radio(r, out ? r.from : replicas_[r.replica].node, out, r.transfer_start);
}

void World::on_call_flow(std::uint32_t slot, network::Outcome outcome) {
  Request& r = requests_[slot];
  const bool out = r.stage == Stage::calling;
  end_call_transfer(r);
  r.flow = FlowId::none();
  if (outcome == network::Outcome::delivered) return out ? arrive(slot) : back(slot);
  Visit& v = *r.visit;
  if (out || !v.here().asks_cache) return retry_or_fail(slot, results::Cause::network_failed);
  // The cache's answer is lost: as if it had none.
  v.found = false;
  back(slot);
}

// The request's fields are about the service that it came from again.
void World::return_to(Request& r) {
  r.visit->levels.pop_back();
  Level& l = r.visit->here();
  if (l.tried.replica != ~0U)
    static_cast<Try&>(tries_[static_cast<std::size_t>(&r - requests_.data())]) =
        std::exchange(l.tried, Try());
  r.serving = l.serving;
  r.replica = l.replica;
  r.from = l.from;
  r.record.replica = l.number;
  r.record.batch = l.batch;
  r.record.arrived = l.arrived;
  r.record.started = l.started;
}

void World::go_back(std::uint32_t slot, double bytes) {
  Request& r = requests_[slot];
  end_try(slot, schedulers::TryEnd::answered);
  const std::uint32_t done = r.replica, from = replicas_[done].node;
  if (!meters_.empty()) note_answer(slot, now_);
  return_to(r);
  --replicas_[done].outstanding;
  if (replicas_[done].phase == ReplicaPhase::draining) release(done);
  const std::uint32_t to = replicas_[r.replica].node;
  if (from == to) return resume_later(slot, Visit::Next::back);
  r.stage = Stage::returning;
  r.transfer_start = now_;
  set_radio(to, 0, 1);
  add_egress(from, to, bytes);
  r.flow = transfer(done, from, to, bytes, handle_of(slot).pack());
}

void World::back(std::uint32_t slot) {
  Visit& v = *requests_[slot].visit;
  Level& l = v.here();
  if (!l.asks_cache) return calls_->returned(slot);
  l.asks_cache = false;
  if (v.found) {
    v.found = false;
    return found(slot);
  }
  ++l.tier;
  look(slot);
}

// ---- answers --------------------------------------------------------------------------------------

// A service is done with the request. True: the answer goes to the client.
bool World::leaves(std::uint32_t slot) {
  Request& r = requests_[slot];
  Visit& v = *r.visit;
  if (v.done) return true;
  if (v.nested()) {
    Level& caller = v.levels[v.levels.size() - 2];
    if (caller.asks_cache) {
      const CacheTier& tier = scenario_.services[caller.serving].fetching->caches[caller.tier];
      caller.holders[caller.tier] = r.replica;
      v.found = find_answer(tier, r.replica, r);
      go_back(slot, v.found ? v.answer.bytes : tier.miss_bytes);
      return false;
    }
  }
  const Fetching* f = scenario_.services[r.serving].fetching.get();
  if (f && !f->calls.empty() && !v.here().called) {
    if (f->caches_calls && !f->caches.empty() && r.key != 0) {
      look(slot);
      return false;
    }
    if (f->queue) {
      if (!queues_->publish(slot)) {
        turn_away(slot, results::Cause::queue_full);
        return false;
      }
    } else if (calls_->next(slot)) {
      return false;
    }
    v.here().called = true;
  }
  return conclude(slot);
}

// A cache had the answer, or another request has fetched it.
void World::found(std::uint32_t slot) {
  Request& r = requests_[slot];
  Visit& v = *r.visit;
  const Fetching& f = *scenario_.services[r.serving].fetching;
  v.hit = true;
  r.record.cache = static_cast<std::uint8_t>(f.caches[v.here().tier].id);
  r.record.wrong = v.answer.wrong;
  r.record.accuracy = v.answer.accuracy;
  if (!f.caches_calls) {
    r.record.output_tokens = v.answer.tokens;
    if (f.tokens && r.record.output_tokens > 0) r.record.first_token = now_;
  }
  leave(slot);
}

// What the service itself, or the one that it calls, has answered, for the caches.
void World::make_answer(std::uint32_t slot) {
  Request& r = requests_[slot];
  Visit& v = *r.visit;
  const Fetching& f = *scenario_.services[r.serving].fetching;
  v.answer.bytes = f.caches_calls ? f.calls.front().answer.value_or(r.record.download)
                                  : answer_bytes(scenario_, v, r);
  v.answer.tokens = r.record.output_tokens;
  v.answer.wrong = r.record.wrong;
  v.answer.accuracy = r.record.accuracy;
}

// The answer is written to the caches that did not have it and given to those who wait for it. True
// at the outermost service; else it goes back to the caller.
bool World::conclude(std::uint32_t slot) {
  Request& r = requests_[slot];
  Visit& v = *r.visit;
  Level& l = v.here();
  double bytes = answer_bytes(scenario_, v, r);
  if (const Fetching* f = scenario_.services[r.serving].fetching.get(); f && l.tier + v.hit > 0) {
    if (!v.hit) make_answer(slot);
    else if (!f->caches_calls) bytes = v.answer.bytes;
    v.answer.key = r.key;
    v.answer.cluster = scenario_.workloads[r.record.workload].request.key->cluster(r.key);
    for (std::uint32_t t = 0; t < l.tier; ++t)
      if (l.holders[t] != ~0U)
        write_answer(f->caches[t], l.holders[t], replicas_[r.replica].node, r);
    for (std::uint32_t t = 0; t < l.tier; ++t) {
      if ((l.leads >> t & 1U) == 0) continue;
      auto& waiting = holder_of(f->caches[t], l.holders[t]).waiting;
      const auto node = waiting.extract(r.key);
      if (node.empty()) continue;
      for (const std::uint64_t tag : node.mapped()) {
        requests_[Handle::unpack(tag).slot].visit->answer = v.answer;
        resume_later(Handle::unpack(tag).slot, Visit::Next::conclude);
      }
    }
    l.leads = 0;
    v.hit = false;
  }
  if (!v.nested()) {
    r.record.download = bytes;
    return true;
  }
  go_back(slot, bytes);
  return false;
}

void World::leave(std::uint32_t slot) {
  if (!conclude(slot)) return;
  requests_[slot].visit->done = true;
  served(slot, now_);
}

void World::resume_later(std::uint32_t slot, Visit::Next next) {
  Request& r = requests_[slot];
  r.visit->next = next;
  r.stage = Stage::resuming;
  r.timer = queue_.push(now_, EventKind::local_step, 0, handle_of(slot).pack());
}

void World::resume(std::uint32_t slot) {
  switch (requests_[slot].visit->next) {
    case Visit::Next::arrive: return arrive(slot);
    case Visit::Next::back: return back(slot);
    case Visit::Next::look: return look(slot);
    case Visit::Next::conclude: return found(slot);
    case Visit::Next::begin: return calls_->begin(slot);
    case Visit::Next::turn: return calls_->turn(slot);
  }
}

// ---- what goes wrong ------------------------------------------------------------------------------

// A cache server that cannot answer is one that has no answer. True when the request was on its way
// to one, or there; it has left the server's replica.
bool World::miss_instead(std::uint32_t slot) {
  Request& r = requests_[slot];
  Visit& v = *r.visit;
  if (!v.nested()) return false;
  const Level& caller = v.levels[v.levels.size() - 2];
  if (!caller.asks_cache) return false;
  const CacheTier& tier = scenario_.services[caller.serving].fetching->caches[caller.tier];
  CacheState& state = caches_[tier.id - 1];
  ++state.counts.lookups;
  ++state.counts.unanswered;
  queue_.cancel(r.queue_timer);
  return_to(r);
  Level& l = v.here();
  l.asks_cache = false;
  l.holders[l.tier++] = ~0U;
  resume_later(slot, Visit::Next::look);
  return true;
}

// The replica where it is counts it, and not the request that it is a branch of.
bool World::holds_replica(const Request& r) const { return !r.visit || !r.visit->here().borrowed; }

// Forgets the way of a request that has left the replica where it was. Those who wait for its answer
// fetch it themselves.
void World::abandon_visit(std::uint32_t slot) {
  Request& r = requests_[slot];
  const std::unique_ptr<Visit> v = std::move(r.visit);
  if (calls_)
    for (Level& l : v->levels) calls_->give_back(slot, l, false);
  for (std::size_t i = 0; i < v->levels.size(); ++i) {
    const Level& l = v->levels[i];
    const Fetching* f = scenario_.services[l.serving].fetching.get();
    if (r.stage == Stage::coalesced && i + 1 == v->levels.size())
      stop_waiting(f->caches[l.tier], l.holders[l.tier], r.key, handle_of(slot).pack());
    for (std::uint32_t t = 0; l.leads >> t != 0; ++t)
      if (l.leads >> t & 1U) hand_over_lead(f->caches[t], l.holders[t], r.key);
    if (i + 1 == v->levels.size()) break;
    if (l.borrowed) continue;
    if (l.tried.replica != ~0U) close_try(l.tried, r, schedulers::TryEnd::abandoned);
    --replicas_[l.replica].outstanding;
    if (replicas_[l.replica].phase == ReplicaPhase::draining) release(l.replica);
  }
  if (!r.record.completed.is_never()) return;
  if (v->nested()) {
    r.record.replica = v->levels.front().number;
    r.record.batch = v->levels.front().batch;
    r.record.arrived = v->levels.front().arrived;
    r.record.started = v->levels.front().started;
  }
  r.record.cache = 0;
  r.record.wrong = false;
  r.record.download = v->made_bytes;
  r.record.output_tokens = v->made_tokens;
}

// Requests that are at the node, or wait there for another service, are lost with it. Those in its
// queues are known already.
void World::lose_visits(std::uint32_t node) {
  for (std::uint32_t slot = 0; slot < requests_.size(); ++slot) {
    const Request& r = requests_[slot];
    if (!r.live || !r.visit || r.visit->done) continue;
    const auto& levels = r.visit->levels;
    bool lost = std::any_of(levels.begin(), levels.end() - 1, [&](const Level& l) {
      return replicas_[l.replica].node == node;
    });
    const bool here = r.stage == Stage::looking_up || r.stage == Stage::coalesced ||
                      r.stage == Stage::returning || r.stage == Stage::joining ||
                      (r.stage == Stage::resuming && r.visit->next != Visit::Next::arrive &&
                       r.visit->next != Visit::Next::turn);
    lost = lost || (here && replicas_[r.replica].node == node);
    if (!lost) continue;
    withdraw(slot);
    queue_.cancel(requests_[slot].queue_timer);
    if (calls_ && calls_->branch_failed(slot, results::Status::failed, results::Cause::node_failed, true)) continue;
    abandon_visit(slot);
    retry_or_fail(slot, results::Cause::node_failed);
  }
}

// Between services: what leaves the cloud for another tier costs money.
void World::add_egress(std::uint32_t from, std::uint32_t to, double bytes) {
  const auto in_cloud = [&](std::uint32_t node) {
    return scenario_.nodes[nodes_[node].group].tier == schedulers::Tier::cloud;
  };
  if (warm_ && in_cloud(from) && !in_cloud(to)) {
    egress_cost_ += bytes * scenario_.egress_price;
    egress_bytes_ += bytes;
  }
}

}  // namespace isthmus::world
