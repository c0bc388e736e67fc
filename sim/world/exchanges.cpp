// Requests that speak a protocol with their service: work on the client, a connection, the bytes of
// all layers, a broker, work on the server, and the same on the way back.
#include <algorithm>
#include <utility>

#include "sim/world/saturated.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

using Phase = Exchange::Phase;

// False when the service speaks no protocol. `wait`: what else holds it back before it is sent.
bool World::begin_exchange(std::uint32_t slot, double wait) {
  Request& r = requests_[slot];
  const std::uint32_t index = scenario_.services[r.serving].protocol;
  if (index == ~0U) return false;
  const Protocol& p = scenario_.protocols[index];
  r.exchange = std::make_unique<Exchange>();
  Exchange& e = *r.exchange;
  e.protocol = &p;
  const double payload = r.split ? r.hop_bytes[r.part - 1] : r.record.upload;
  e.wire = wire_bytes(p, p.up, payload);
  const double work = (payload * p.up.sender + e.wire * p.cipher) / core_speed(r.host);
  e.server_before = payload * p.up.receiver + e.wire * p.cipher;  // of a core of speed 1 so far
  e.held = payload;
  if (r.record.counted) talk_.client_work += work;
  r.stage = Stage::connecting;
  if (wait + work > 0)
    r.timer = queue_.push(now_ + saturated(wait + work), EventKind::local_step, 0, handle_of(slot).pack());
  else
    go_on_connecting(slot);
  return true;
}

// A delay before the upload is over.
void World::go_on_connecting(std::uint32_t slot) {
  switch (requests_[slot].exchange->phase) {
    case Phase::encoding: return ask_for_connection(slot);
    case Phase::shaking: return start_shake_flow(slot);
    case Phase::opened: return connected(slot);
    default: throw InternalError("exchange: delay ended in a phase without delays");
  }
}

void World::ask_for_connection(std::uint32_t slot) {
  Request& r = requests_[slot];
  Exchange& e = *r.exchange;
  const Protocol& p = *e.protocol;
  if (!p.connects) {
    e.phase = Phase::sending;
    return start_upload(slot);
  }
  e.pool = &connections_[{r.record.workload, r.record.client, r.serving}];
  const ConnectionPool::Place place = e.pool->acquire(p, now_, handle_of(slot).pack());
  e.connection = place.connection;
  switch (place.answer) {
    case ConnectionPool::Answer::wait: e.phase = Phase::waiting; return;
    case ConnectionPool::Answer::ready:
      if (r.record.counted) ++talk_.reused;
      e.phase = Phase::sending;
      return start_upload(slot);
    case ConnectionPool::Answer::open:
      e.opens = true;
      e.resumed = p.resumes && e.pool->known();
      e.since = now_;
      e.phase = Phase::shaking;
      return shake(slot);
  }
}

// The next step of a set-up.
void World::shake(std::uint32_t slot) {
  Request& r = requests_[slot];
  Exchange& e = *r.exchange;
  const Protocol& p = *e.protocol;
  const Handshake& h = e.resumed ? p.resumed : p.full;
  const double client = h.client / core_speed(r.host);
  const double server = h.server / core_speed(replicas_[r.replica].node);
  const auto after = [&](double seconds) {
    r.timer = queue_.push(now_ + saturated(seconds), EventKind::local_step, 0, handle_of(slot).pack());
  };
  if (e.step < 2 * (p.trips + h.trips)) {
    if (e.step != 2 * p.trips + 1 || server <= 0) return start_shake_flow(slot);
    if (r.record.counted) talk_.server_work += server;
    return after(server);
  }
  if (h.trips == 0) {  // what it takes travels with the request and its answer
    e.extra_up = packed(p, h.up);
    e.extra_down = packed(p, h.down);
    e.server_before += h.server;
  }
  e.phase = Phase::opened;
  if (r.record.counted) talk_.client_work += client;
  if (client > 0) return after(client);
  connected(slot);
}

void World::start_shake_flow(std::uint32_t slot) {
  Request& r = requests_[slot];
  const Exchange& e = *r.exchange;
  const Protocol& p = *e.protocol;
  const Handshake& h = e.resumed ? p.resumed : p.full;
  const bool up = e.step % 2 == 0;
  double bytes = p.packet.overhead;  // a bare segment
  if (e.step / 2 == p.trips) bytes = packed(p, up ? h.up : h.down);
  if (r.record.counted) talk_.wire += bytes;
  const std::uint32_t node = replicas_[r.replica].node;
  r.transfer_start = now_;
  set_radio(r.host, up ? 1 : 0, up ? 0 : 1);
  r.flow = transfer(r.replica, up ? r.host : node, up ? node : r.host, bytes, handle_of(slot).pack());
}

void World::end_shake(Request& r) {
  rest_radio(r, r.host, r.exchange->step % 2 == 0, r.transfer_start);
  r.flow = FlowId::none();
}

void World::on_shake_ended(std::uint32_t slot, network::Outcome outcome) {
  Request& r = requests_[slot];
  end_shake(r);
  if (outcome != network::Outcome::delivered)
    return retry_or_fail(slot, results::Cause::network_failed);
  ++r.exchange->step;
  shake(slot);
}

// The connection is there, for all who wait for it.
void World::connected(std::uint32_t slot) {
  Exchange& e = *requests_[slot].exchange;
  if (requests_[slot].record.counted) {
    ++talk_.opened;
    if (e.resumed) ++talk_.resumed;
    talk_.handshake += (now_ - e.since).seconds();
  }
  e.opens = false;
  e.phase = Phase::sending;
  const std::vector<std::uint64_t> joined = e.pool->opened(e.connection);
  start_upload(slot);
  for (const std::uint64_t tag : joined) {
    const Handle h = Handle::unpack(tag);
    Request* r = find(h);
    if (!r) continue;
    if (r->record.counted) ++talk_.reused;
    r->exchange->phase = Phase::sending;
    start_upload(h.slot);
  }
}

// It has been uploaded. True when it waits in a broker.
bool World::pass_broker(std::uint32_t slot) {
  Request& r = requests_[slot];
  Exchange& e = *r.exchange;
  const Protocol& p = *e.protocol;
  const std::uint32_t node = replicas_[r.replica].node;
  e.phase = Phase::serving;
  e.server_before /= core_speed(node);
  if (r.record.counted) talk_.server_work += e.server_before;
  if (!p.broker) return false;
  BrokerState& b = brokers_[{&p, node}];
  r.stage = Stage::admitting;
  if (b.held >= p.broker->capacity) {
    withdraw(slot);
    drop(slot, results::Status::rejected, results::Cause::queue_full);
    return true;
  }
  e.broker = &b;
  e.held += p.broker->per_request;
  b.most = std::max(b.most, ++b.held);
  b.memory += e.held;
  b.peak = std::max(b.peak, b.memory);
  if (p.broker->timeout != Duration::max())
    queue_.push(now_ + p.broker->timeout, EventKind::queue_timeout, broker_timer | r.record.attempts,
                handle_of(slot).pack());
  e.phase = Phase::passing;
  begin_pass(slot);
  return true;
}

void World::begin_pass(std::uint32_t slot) {
  Request& r = requests_[slot];
  Exchange& e = *r.exchange;
  if (e.broker->busy >= e.protocol->broker->workers) {
    e.broker->queue.push_back(handle_of(slot).pack());
    return;
  }
  ++e.broker->busy;
  e.working = true;
  r.timer = queue_.push(now_ + saturated(e.protocol->broker->time), EventKind::local_step, 0,
                        handle_of(slot).pack());
}

// A worker of the broker is done with it.
void World::on_passed(std::uint32_t slot) {
  Request& r = requests_[slot];
  Exchange& e = *r.exchange;
  e.phase = Phase::serving;
  const bool done = e.answers || !e.protocol->broker->both_ways;
  if (done) leave_broker(r);
  else free_worker(e);
  if (e.answers) return start_download(slot);
  r.stage = Stage::uploading;
  arrive(slot);
}

void World::free_worker(Exchange& e) {
  if (!std::exchange(e.working, false)) return;
  BrokerState& b = *e.broker;
  --b.busy;
  if (b.queue.empty()) return;
  const std::uint32_t next = Handle::unpack(b.queue.front()).slot;
  b.queue.pop_front();
  begin_pass(next);
}

void World::leave_broker(Request& r) {
  Exchange& e = *r.exchange;
  if (!e.broker) return;
  if (e.phase == Phase::passing && !e.working)
    std::erase(e.broker->queue, handle_of(r).pack());
  --e.broker->held;
  e.broker->memory -= e.held;
  if (e.broker->held == 0) e.broker->memory = 0;
  free_worker(e);
  e.broker = nullptr;
}

// The service is done: the server works on the answer, which then leaves.
void World::answer(std::uint32_t slot) {
  Request& r = requests_[slot];
  Exchange& e = *r.exchange;
  r.stage = Stage::answering;
  if (e.phase != Phase::answering) {
    e.phase = Phase::answering;
    const Protocol& p = *e.protocol;
    const double work = (r.record.download * p.down.sender +
                         wire_bytes(p, p.down, r.record.download) * p.cipher) /
                        core_speed(replicas_[r.replica].node);
    if (r.record.counted) talk_.server_work += work;
    if (work > 0) {
      r.timer = queue_.push(now_ + saturated(work), EventKind::local_step, 0, handle_of(slot).pack());
      return;
    }
  }
  if (!e.broker) return start_download(slot);
  e.answers = true;
  e.phase = Phase::passing;
  begin_pass(slot);
}

void World::start_download(std::uint32_t slot) {
  Request& r = requests_[slot];
  const std::uint32_t node = replicas_[r.replica].node;
  r.stage = Stage::downloading;
  r.transfer_start = now_;
  set_radio(r.host, 0, 1);
  const double bytes = r.exchange ? wire_of_answer(r, r.record.download) : r.record.download;
  r.flow = transfer(r.replica, node, r.host, bytes, handle_of(slot).pack());
}

// Bytes on the wire of an answer, or of a message of a streamed one.
double World::wire_of_answer(Request& r, double payload) {
  Exchange& e = *r.exchange;
  const Protocol& p = *e.protocol;
  const double bytes = wire_bytes(p, p.down, payload) + std::exchange(e.extra_down, 0.0);
  const double work = (payload * p.down.receiver + bytes * p.cipher) / core_speed(r.host);
  if (!r.stream) e.client_after += work;  // of a stream it hides behind the next message
  if (r.record.counted) {
    talk_.client_work += work;
    talk_.payload += payload;
    talk_.wire += bytes;
    if (!p.encrypted) talk_.in_clear += payload;
  }
  return bytes;
}

// Gives back what the attempt holds. `answered`: the connection may carry the next request; a
// connection with one request at a time is closed under one that is given up.
void World::end_exchange(std::uint32_t slot, bool answered, bool broken) {
  Request& r = requests_[slot];
  if (!r.exchange) return;
  if (r.stage == Stage::connecting && r.flow.valid()) {
    const FlowId flow = r.flow;
    end_shake(r);
    network_->cancel(flow, now_);
  }
  leave_broker(r);
  const std::unique_ptr<Exchange> e = std::move(r.exchange);
  if (!e->pool) return;
  const Protocol& p = *e->protocol;
  const bool waits = e->phase == Phase::waiting;
  if (waits) e->pool->forget(handle_of(slot).pack());
  if (e->connection == ConnectionPool::none) return;
  const bool closes = e->opens || (!waits && (broken || (!answered && p.streams == 1)));
  for (const std::uint64_t tag : e->pool->release(p, e->connection, closes, now_)) {
    const Handle h = Handle::unpack(tag);
    if (find(h)) ask_for_connection(h.slot);
  }
}

std::optional<results::ProtocolTotals> World::protocol_totals() const {
  if (scenario_.protocols.empty()) return std::nullopt;
  results::ProtocolTotals t = talk_;
  for (const auto& [key, b] : brokers_) {
    t.broker_memory = std::max(t.broker_memory, b.peak + key.first->broker->resident);
    t.broker_held = std::max<std::uint64_t>(t.broker_held, b.most);
  }
  return t;
}

}  // namespace isthmus::world
