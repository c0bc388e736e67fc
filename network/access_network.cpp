#include "network/access_network.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "network/links.hpp"
#include "network/tcp_loss.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::network {

AccessNetwork::AccessNetwork(std::unique_ptr<Network> backend, const Topology& topology,
                             std::uint64_t seed)
    : backend_(std::move(backend)),
      topology_(topology),
      rules_(topology.access),
      router_(topology),
      follower_(topology, seed),
      cells_(topology, seed),
      hosts_(topology.hosts.size()),
      of_mover_(cells_.size()),
      mover_timed_(cells_.size(), 0),
      promotion_draws_(seed, "network/promotion"),
      jitter_draws_(seed, "network/jitter"),
      backoff_draws_(seed, "network/backoff") {
  for (const LinkRule& r : rules_.links) {
    jitter_ = jitter_ || r.jitter;
    loss_ = loss_ || r.loss > 0;
  }
  for (std::uint32_t h = 0; h < hosts_.size(); ++h)
    for (const LinkId l : topology.hosts[h].access) {
      const std::uint32_t rule = topology.links[l.value()].rule;
      if (rule < rules_.links.size() && rules_.links[rule].promotion && hosts_[h].radio == none)
        hosts_[h].radio = rule;
    }
}

void AccessNetwork::push(Instant at, Do what, std::uint32_t subject, std::uint64_t serial) {
  timers_.push_back({at, order_++, what, subject, serial});
  std::push_heap(timers_.begin(), timers_.end(), std::greater<>());
}

FlowId AccessNetwork::start(const Transfer& transfer, Instant now) {
  now_ = std::max(now_, now);
  if (transfer.from >= hosts_.size() || transfer.to >= hosts_.size())
    throw InputError("transfer between hosts that do not exist");
  const std::uint32_t slot = slots_.take();
  Slot& s = slots_[slot];
  s.attempts = 1;
  s.serial = ++order_;
  s.transfer = transfer;
  s.left = transfer.bytes;
  s.present = false;
  s.traced.clear();
  const FlowId id = slots_.id(slot);
  begin(slot, now);
  return id;
}

// One attempt: radios wake up, then its jitter passes.
void AccessNetwork::begin(std::uint32_t slot, Instant now) {
  Slot& s = slots_[slot];
  s.since = now;
  s.phase = Phase::waiting;
  if (s.transfer.from == s.transfer.to) return launch(slot, now);
  enter(slot, s.transfer.from, now);
  enter(slot, s.transfer.to, now);
  s.present = true;
  Instant ready = std::max({now, hosts_[s.transfer.from].ready, hosts_[s.transfer.to].ready});
  if (jitter_) {
    path_.clear();
    router_.append_path(s.transfer.from, s.transfer.to, path_);
    for (const LinkUse& u : path_) {
      const std::uint32_t rule = topology_.links[u.link.value()].rule;
      if (rule >= rules_.links.size() || !rules_.links[rule].jitter) continue;
      HostState& h = hosts_[s.transfer.from];
      ready += drawn(rules_.links[rule].jitter, jitter_draws_.at(s.transfer.from, h.draws++));
    }
  }
  if (ready > now) push(ready, Do::launch, slot, s.serial);
  else launch(slot, now);
}

// Into the backend, unless a host is between two cells.
void AccessNetwork::launch(std::uint32_t slot, Instant now) {
  Slot& s = slots_[slot];
  if (s.present && !connected(s.transfer)) {
    ++counters_.handovers;
    if (!stalls(s.transfer)) return fail(slot, now, s.left);
    s.phase = Phase::stalled;
    return;
  }
  counters_.waited += (now - s.since).seconds();
  s.phase = Phase::moving;
  Transfer t = s.transfer;
  t.bytes = s.left;
  t.tag = slot;
  t.policy = 0;
  if (loss_ || !follower_.empty()) {
    path_.clear();
    router_.append_path(t.from, t.to, path_);
  }
  if (!follower_.empty())
    for (const LinkUse& u : path_) {
      if (topology_.links[u.link.value()].rule >= rules_.links.size()) continue;
      follower_.use(u.link, now, *backend_);
      s.traced.push_back(u.link);
    }
  if (loss_) {
    const double cap = rate_cap(t);
    if (std::isfinite(cap)) t.rate_cap = t.rate_cap > 0 ? std::min(t.rate_cap, cap) : cap;
  }
  s.inner = backend_->start(t, now);
}

// What TCP gets out of path_ if it loses packets, from the latencies of this moment.
double AccessNetwork::rate_cap(const Transfer& t) const {
  double kept = 1;
  for (const LinkUse& u : path_) {
    const std::uint32_t rule = topology_.links[u.link.value()].rule;
    if (rule < rules_.links.size()) kept *= 1 - rules_.links[rule].loss;
  }
  const Duration rtt =
      backend_->path_latency(t.from, t.to) + backend_->path_latency(t.to, t.from);
  return tcp_rate(rules_.tcp_loss, 1 - kept, rtt.seconds(), rules_.segment, rules_.timeout);
}

// A transfer becomes active at one of its hosts.
void AccessNetwork::enter(std::uint32_t slot, std::uint32_t host, Instant now) {
  HostState& h = hosts_[host];
  if (h.radio != none && h.active == 0) {
    const LinkRule& radio = rules_.links[h.radio];
    if (h.idle_since.is_never() || now - h.idle_since >= radio.idle_after) {
      h.ready = now + drawn(radio.promotion, promotion_draws_.at(host, h.draws++));
      ++counters_.promotions;
    }
  }
  ++h.active;
  const std::uint32_t mover = cells_.of_host(host);
  if (mover == CellWalk::none) return;
  follow_moves(host, now);
  of_mover_[mover].push_back(slot);
  if (mover_timed_[mover] || cells_.next(mover).is_never()) return;
  mover_timed_[mover] = 1;
  push(cells_.next(mover), Do::handover, mover);
}

void AccessNetwork::leave(std::uint32_t slot, Instant at) {
  Slot& s = slots_[slot];
  for (const LinkId l : s.traced) follower_.leave(l);
  s.traced.clear();
  if (!s.present) return;
  s.present = false;
  for (const std::uint32_t host : {s.transfer.from, s.transfer.to}) {
    HostState& h = hosts_[host];
    if (--h.active == 0) h.idle_since = at;
    const std::uint32_t mover = cells_.of_host(host);
    if (mover == CellWalk::none) continue;
    auto& list = of_mover_[mover];
    list.erase(std::find(list.begin(), list.end(), slot));
  }
}

void AccessNetwork::follow_moves(std::uint32_t host, Instant now) const {
  const std::uint32_t mover = cells_.of_host(host);
  if (mover == CellWalk::none) return;
  if (const auto cell = cells_.catch_up(mover, now)) {
    router_.set_access(host, cells_.place(mover), *cell);
    backend_->set_access(host, cells_.place(mover), *cell);
  }
}

bool AccessNetwork::connected(const Transfer& t) const {
  for (const std::uint32_t host : {t.from, t.to}) {
    const std::uint32_t mover = cells_.of_host(host);
    if (mover != CellWalk::none && !cells_.connected(mover)) return false;
  }
  return true;
}

// What waits while either host is without a cell.
bool AccessNetwork::stalls(const Transfer& t) const {
  for (const std::uint32_t host : {t.from, t.to}) {
    const std::uint32_t mover = cells_.of_host(host);
    if (mover != CellWalk::none && !cells_.connected(mover) && !cells_.stalls(mover)) return false;
  }
  return true;
}

// A host leaves its cell, or gets to the next one.
void AccessNetwork::handover(std::uint32_t mover, Instant now) {
  mover_timed_[mover] = 0;
  if (of_mover_[mover].empty()) return;  // its moves are made up for when somebody asks
  if (cells_.connected(mover))
    for (const std::uint32_t slot : of_mover_[mover]) {
      Slot& s = slots_[slot];
      if (s.phase != Phase::moving) continue;
      ++counters_.handovers;
      s.phase = cells_.stalls(mover) ? Phase::stopping : Phase::failing;
      backend_->cancel(s.inner, now);
    }
  follow_moves(cells_.host(mover), now);
  if (cells_.connected(mover)) {
    const std::vector<std::uint32_t> waiting = of_mover_[mover];
    for (const std::uint32_t slot : waiting)
      if (slots_[slot].phase == Phase::stalled && connected(slots_[slot].transfer))
        launch(slot, now);
  }
  if (cells_.next(mover).is_never()) return;
  mover_timed_[mover] = 1;
  push(cells_.next(mover), Do::handover, mover);
}

// An attempt has failed: the policy of the transfer says what is next.
void AccessNetwork::fail(std::uint32_t slot, Instant at, double left) {
  Slot& s = slots_[slot];
  s.left = left;
  using Policy = TransferPolicy::OnFailure;
  const std::uint32_t number = s.transfer.policy;
  const TransferPolicy* policy = number > 0 ? &rules_.policies.at(number - 1) : nullptr;
  if (policy == nullptr || policy->on_failure == Policy::fail || s.attempts >= policy->attempts) {
    if (policy != nullptr && policy->on_failure != Policy::fail) ++counters_.given_up;
    return end_soon(slot, Outcome::failed, at);
  }
  leave(slot, at);
  if (policy->on_failure == Policy::retry) {
    ++counters_.retries;
    counters_.resent += s.transfer.bytes - left;
    s.left = s.transfer.bytes;
  } else {
    ++counters_.resumes;
  }
  double wait = policy->initial.seconds();
  if (wait > 0)
    wait = std::min(wait * std::pow(policy->factor, s.attempts - 1), policy->longest.seconds());
  if (policy->jitter > 0) {
    Rng g = backoff_draws_.at(s.transfer.from, hosts_[s.transfer.from].draws++);
    wait *= 1 - policy->jitter * uniform01(g);
  }
  ++s.attempts;
  s.phase = Phase::backing_off;
  push(at + Duration::from_seconds(wait), Do::begin, slot, s.serial);
}

// Ends that come up inside a step are reported by an event of their own: the caller of start has no
// FlowId yet.
void AccessNetwork::end_soon(std::uint32_t slot, Outcome outcome, Instant now) {
  leave(slot, now);
  slots_[slot].phase = Phase::ending;
  slots_[slot].outcome = outcome;
  push(now, Do::end, slot, slots_[slot].serial);
}

void AccessNetwork::finish(std::uint32_t slot, Outcome outcome, Instant at) {
  leave(slot, at);
  const FlowEnd end{slots_[slot].transfer.tag, outcome, at, slots_[slot].left};
  slots_.release(slot);
  loop_->flow_ended(end);
}

void AccessNetwork::flow_ended(const FlowEnd& end) {
  const auto slot = static_cast<std::uint32_t>(end.tag);
  Slot& s = slots_[slot];
  if (!s.used || !s.inner.valid()) throw InternalError("network: a transfer ended twice");
  s.inner = FlowId::none();
  now_ = std::max(now_, end.at);
  if (end.outcome == Outcome::delivered) {
    s.left = 0;
    return finish(slot, Outcome::delivered, end.at);
  }
  const Phase phase = s.phase;
  if (phase == Phase::cancelling) {
    s.left = end.left;
    return finish(slot, Outcome::cancelled, end.at);
  }
  if (phase == Phase::stopping && end.outcome == Outcome::cancelled) {
    for (const LinkId l : s.traced) follower_.leave(l);
    s.traced.clear();
    s.left = end.left;
    s.since = end.at;
    s.phase = Phase::stalled;
    // Where the handover took no time, its host has a cell already.
    if (connected(s.transfer)) push(end.at, Do::launch, slot, s.serial);
    return;
  }
  fail(slot, end.at, end.left);
}

void AccessNetwork::cancel(FlowId flow, Instant now) {
  const std::uint32_t slot = slots_.find(flow);
  if (slot == FlowSlots<Slot>::slot_mask) return;
  now_ = std::max(now_, now);
  Slot& s = slots_[slot];
  switch (s.phase) {
    case Phase::moving:
      s.phase = Phase::cancelling;
      backend_->cancel(s.inner, now);
      break;
    case Phase::stopping:
    case Phase::failing: s.phase = Phase::cancelling; break;
    case Phase::waiting:
    case Phase::stalled:
    case Phase::backing_off: end_soon(slot, Outcome::cancelled, now); break;
    case Phase::cancelling:
    case Phase::ending: break;
  }
}

Instant AccessNetwork::next() {
  const Instant own = timers_.empty() ? Instant::never() : timers_.front().at;
  return std::min({own, follower_.next(), loop_->next()});
}

void AccessNetwork::step() {
  // Links change before anything else happens, as in the table of event kinds.
  const Instant own = timers_.empty() ? Instant::never() : timers_.front().at;
  const Instant change = follower_.next(), outside = loop_->next();
  now_ = std::max(now_, std::min({own, change, outside}));
  if (change <= own && change <= outside) return follower_.step(*backend_);
  if (outside < own || (outside == own && timers_.front().late())) return loop_->step();

  std::pop_heap(timers_.begin(), timers_.end(), std::greater<>());
  const Timer t = timers_.back();
  timers_.pop_back();
  if (t.what == Do::handover) return handover(t.subject, t.at);
  const std::uint32_t slot = t.subject;
  if (!slots_[slot].used || slots_[slot].serial != t.serial) return;  // it has ended
  const Phase phase = slots_[slot].phase;
  if (t.what == Do::end && phase == Phase::ending) finish(slot, slots_[slot].outcome, t.at);
  else if (t.what == Do::begin && phase == Phase::backing_off) begin(slot, t.at);
  else if (t.what == Do::launch && (phase == Phase::waiting || phase == Phase::stalled))
    launch(slot, t.at);
}

void AccessNetwork::change_link(LinkId link, const LinkChange& change, Instant now) {
  now_ = std::max(now_, now);
  backend_->change_link(link, follower_.merged(link, change), now);
}

void AccessNetwork::set_access(std::uint32_t host, std::size_t place, LinkId link) {
  router_.set_access(host, place, link);
  backend_->set_access(host, place, link);
}

void AccessNetwork::run(EventLoop& loop, Instant horizon) {
  loop_ = &loop;
  backend_->run(*this, horizon);
}

// Cells and traces of a path as of now.
void AccessNetwork::refresh(std::uint32_t from, std::uint32_t to) const {
  follow_moves(from, now_);
  follow_moves(to, now_);
  if (follower_.empty()) return;
  path_.clear();
  router_.append_path(from, to, path_);
  for (const LinkUse& u : path_) follower_.refresh(u.link, now_, *backend_);
}

Duration AccessNetwork::path_latency(std::uint32_t from, std::uint32_t to) const {
  refresh(from, to);
  return backend_->path_latency(from, to);
}

double AccessNetwork::path_bandwidth(std::uint32_t from, std::uint32_t to) const {
  refresh(from, to);
  return connected({from, to}) ? backend_->path_bandwidth(from, to) : 0.0;
}

std::unique_ptr<Network> with_access_rules(std::unique_ptr<Network> backend,
                                           const Topology& topology, std::uint64_t seed) {
  if (topology.access.empty()) return backend;
  return std::make_unique<AccessNetwork>(std::move(backend), topology, seed);
}

}  // namespace isthmus::network
