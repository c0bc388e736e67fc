// Calls over connections of pools: the wish for one, the line, the opening, and its end.
#include <utility>

#include "sim/world/calls.hpp"
#include "sim/world/saturated.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {
Level& caller_of(const Request& r) { return r.visit->levels[r.visit->levels.size() - 2]; }
}  // namespace

bool Calls::is_bound(const Request& r) const {
  return r.visit && r.visit->nested() && caller_of(r).lease.pool != nullptr;
}

// The other end is the replica that it was opened to, without a restart since.
bool Calls::intact(const CallPool::Connection& c) const {
  const Replica& p = world_.replicas_[c.replica];
  return p.phase == ReplicaPhase::ready && p.ready_since.ns() == c.incarnation;
}

void Calls::connect(std::uint32_t slot) {
  Request& r = world_.requests_[slot];
  Level& caller = caller_of(r);
  r.serving = r.visit->here().serving;
  caller.lease.since = world_.now_;
  if (const Duration limit = caller.lease.pool->spec().wait_timeout; limit != Duration::max())
    r.queue_timer =
        world_.queue_.push(world_.now_ + limit, EventKind::queue_timeout, 0, world_.handle_of(slot).pack());
  acquire(slot);
}

void Calls::acquire(std::uint32_t slot) {
  Request& r = world_.requests_[slot];
  Lease& lease = caller_of(r).lease;
  CallPool& pool = *lease.pool;
  r.stage = Stage::pooling;
  for (;;) {
    const CallPool::Place place = pool.acquire(world_.now_, world_.handle_of(slot).pack());
    lease.connection = place.connection;
    switch (place.answer) {
      case CallPool::Answer::wait: lease.waited = true; return;
      case CallPool::Answer::open: return open(slot);
      case CallPool::Answer::ready:
        if (intact(pool.at(place.connection))) return go(slot);
        pool.release(place.connection, world_.now_, CallPool::Reason::gone);  // nobody waits: it was idle
        break;
    }
  }
}

void Calls::open(std::uint32_t slot) {
  Request& r = world_.requests_[slot];
  r.stage = Stage::pooling;
  caller_of(r).lease.half = 0;
  const std::uint32_t replica = world_.route(slot, r.serving);
  if (replica == ~0U) {  // nobody listens
    if (r.record.counted) ++totals_of(*caller_of(r).lease.pool).refused;
    return world_.retry_or_fail(slot, results::Cause::refused);
  }
  CallPool::Connection& c = caller_of(r).lease.pool->at(caller_of(r).lease.connection);
  c.replica = replica;
  c.incarnation = world_.replicas_[replica].ready_since.ns();
  shake(slot);
}

// The next half of a round trip of an opening.
void Calls::shake(std::uint32_t slot) {
  Request& r = world_.requests_[slot];
  Lease& lease = caller_of(r).lease;
  const ConnectionPoolSpec& spec = lease.pool->spec();
  const std::uint32_t node = world_.replicas_[lease.pool->at(lease.connection).replica].node;
  if (node == r.from || lease.half == 2 * spec.trips.size()) return accept(slot);
  const OpeningTrip& trip = spec.trips[lease.half / 2];
  const bool up = lease.half % 2 == 0;
  r.transfer_start = world_.now_;
  world_.set_radio(r.from, up ? 1 : 0, up ? 0 : 1);
  world_.add_egress(up ? r.from : node, up ? node : r.from, up ? trip.up : trip.down);
  r.flow = world_.transfer(lease.pool->at(lease.connection).replica, up ? r.from : node, up ? node : r.from,
                           up ? trip.up : trip.down, world_.handle_of(slot).pack());
}

void Calls::on_flow(std::uint32_t slot, network::Outcome outcome) {
  Request& r = world_.requests_[slot];
  Lease& lease = caller_of(r).lease;
  world_.rest_radio(r, r.from, lease.half % 2 == 0, r.transfer_start);
  r.flow = FlowId::none();
  if (outcome != network::Outcome::delivered)
    return world_.retry_or_fail(slot, results::Cause::network_failed);
  ++lease.half;
  shake(slot);
}

// The server takes the connection, or has as many as it takes.
void Calls::accept(std::uint32_t slot) {
  Request& r = world_.requests_[slot];
  CallPool& pool = *caller_of(r).lease.pool;
  CallPool::Connection& c = pool.at(caller_of(r).lease.connection);
  if (!intact(c)) return world_.retry_or_fail(slot, results::Cause::node_failed);
  std::uint32_t taken = 0;
  const std::uint32_t most = world_.scenario_.services[r.serving].max_connections;
  if (most != ~0U)
    for (auto& [key, other] : pools_) {
      other.expire(world_.now_);
      taken += other.accepted(c.replica, c.incarnation);
    }
  if (taken >= most) {
    if (r.record.counted) ++totals_of(pool).refused;
    return world_.retry_or_fail(slot, results::Cause::refused);
  }
  c.accepted = true;
  if (pool.spec().open_time <= Duration::zero()) return on_step(slot);
  r.timer = world_.queue_.push(world_.now_ + pool.spec().open_time, EventKind::local_step, 0,
                               world_.handle_of(slot).pack());
}

void Calls::on_step(std::uint32_t slot) {
  Request& r = world_.requests_[slot];
  Lease& lease = caller_of(r).lease;
  if (!intact(lease.pool->at(lease.connection)))
    return world_.retry_or_fail(slot, results::Cause::node_failed);
  lease.pool->opened(lease.connection, world_.now_);
  go(slot);
}

// It has its connection.
void Calls::go(std::uint32_t slot) {
  Request& r = world_.requests_[slot];
  Lease& lease = caller_of(r).lease;
  const Duration wait = world_.now_ - lease.since;
  lease.used = true;
  r.record.pool_wait += static_cast<float>(wait.seconds());
  if (r.record.counted) {
    totals_of(*lease.pool).waits.add(static_cast<double>(wait.ns()));
    if (lease.waited) ++totals_of(*lease.pool).waited;
  }
  world_.go_to(slot, lease.pool->at(lease.connection).replica);
}

// Whoever was first in the line goes on once this event is over.
void Calls::give(const std::optional<CallPool::Turn>& turn) {
  if (!turn) return;
  const std::uint32_t slot = Handle::unpack(turn->tag).slot;
  caller_of(world_.requests_[slot]).lease.connection = turn->place.connection;
  world_.resume_later(slot, Visit::Next::turn);
}

void Calls::turn(std::uint32_t slot) {
  Request& r = world_.requests_[slot];
  Lease& lease = caller_of(r).lease;
  const CallPool::Connection& c = lease.pool->at(lease.connection);
  if (c.opening) return open(slot);
  if (intact(c)) return go(slot);
  // Its other end has gone at this very instant.
  lease.pool->reopen(lease.connection, CallPool::Reason::gone);
  open(slot);
}

void Calls::on_timeout(std::uint32_t slot) {
  const Request& r = world_.requests_[slot];
  if (r.record.counted) ++totals_of(*caller_of(r).lease.pool).timeouts;
  world_.withdraw(slot);
  world_.retry_or_fail(slot, results::Cause::pool_timeout);
}

void Calls::withdraw(std::uint32_t slot) {
  Request& r = world_.requests_[slot];
  world_.queue_.cancel(r.timer);
  if (!r.flow.valid()) return;
  world_.rest_radio(r, r.from, caller_of(r).lease.half % 2 == 0, r.transfer_start);
  world_.network_->cancel(std::exchange(r.flow, FlowId::none()), world_.now_);
}

void Calls::give_back(std::uint32_t slot, Level& level, bool answered) {
  const Lease lease = std::exchange(level.lease, Lease());
  if (!lease.pool) return;
  if (lease.connection == CallPool::none) {
    lease.pool->forget(world_.handle_of(slot).pack(), world_.now_);
    return;
  }
  std::optional<CallPool::Reason> why;
  const CallPool::Connection& c = lease.pool->at(lease.connection);
  if (!c.opening && !intact(c)) why = CallPool::Reason::gone;
  else if (lease.used && !answered) why = CallPool::Reason::broken;
  give(lease.pool->release(lease.connection, world_.now_, why));
}

void Calls::forget(std::uint32_t replica) {
  for (auto& [key, pool] : pools_)
    if (key.second == replica) pool.clear(world_.now_);
}

}  // namespace isthmus::world
