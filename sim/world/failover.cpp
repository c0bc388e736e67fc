#include "sim/world/failover.hpp"

#include <algorithm>
#include <limits>

#include "sim/world/saturated.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {
// In the upper bits of an event's payload.
constexpr std::uint32_t probing = 0, promoted = 1, shipping_due = 2, checkpoint_begins = 3, checkpoint_ends = 4,
                        restored = 5, resend = 6;
constexpr unsigned kind_shift = 56;
constexpr Duration resend_after = Duration(1'000'000'000);
}  // namespace

Failover::Failover(World& world) : world_(world), draws_(world.seed_, "failover") {
  const Scenario& s = world.scenario_;
  states_.resize(s.failovers.size());
  for (std::uint32_t i = 0; i < states_.size(); ++i) {
    of_service_[spec(i).service] = i;
    const std::vector<std::uint32_t> replicas = world.services_[spec(i).service].replicas;
    states_[i].primary = replicas.front();
    for (const std::uint32_t id : replicas)
      if (id != states_[i].primary && is_ready(id)) {
        world.leave_router(id);
        states_[i].standbys[id];
      }
    world.update_ready(spec(i).service);
    after(spec(i).probe, i, probing);
    if (spec(i).durability == Durability::checkpoint) after(spec(i).checkpoint, i, checkpoint_begins);
    else if (spec(i).ship > Duration::zero()) after(spec(i).ship, i, shipping_due);
  }
}

const FailoverSpec& Failover::spec(std::uint32_t index) const { return world_.scenario_.failovers[index]; }

std::uint32_t Failover::index_of(std::uint32_t replica) const {
  const auto it = of_service_.find(world_.replicas_[replica].service);
  return it == of_service_.end() ? nobody : it->second;
}

bool Failover::is_ready(std::uint32_t replica) const {
  return world_.replicas_[replica].phase == ReplicaPhase::ready;
}

// It may be draining.
bool Failover::is_alive(std::uint32_t replica) const {
  const ReplicaPhase phase = world_.replicas_[replica].phase;
  return phase == ReplicaPhase::ready || phase == ReplicaPhase::draining;
}

void Failover::after(Duration wait, std::uint32_t index, std::uint32_t kind, std::uint64_t what) {
  world_.queue_.push(world_.now_ + wait, EventKind::failover, index,
                     static_cast<std::uint64_t>(kind) << kind_shift | what);
}

void Failover::on_event(std::uint32_t i, std::uint64_t payload) {
  State& s = states_[i];
  const std::uint64_t what = payload & ((1ULL << kind_shift) - 1);
  switch (payload >> kind_shift) {
    case probing: return probe(i);
    case promoted: return take_over(i, static_cast<std::uint32_t>(what));
    case shipping_due:
      if (s.primary != nobody && is_alive(s.primary)) {
        if (s.next > s.shipping)
          for (const auto& [id, standby] : s.standbys) send(i, id, s.shipping, s.next - 1, false);
        s.shipping = s.next;
      }
      return after(spec(i).ship, i, shipping_due);
    case checkpoint_begins:
      if (s.primary != nobody && is_ready(s.primary)) {
        s.storing = s.next - 1;
        s.totals.bytes += spec(i).stored;
        after(saturated(spec(i).stored / spec(i).bandwidth), i, checkpoint_ends, s.primary);
      }
      return after(spec(i).checkpoint, i, checkpoint_begins);
    case checkpoint_ends:
      // One that was interrupted is worth nothing.
      if (s.primary != what || !is_ready(s.primary) || s.storing == 0) return;
      s.stored = s.storing;
      s.writes.erase(s.writes.begin(), s.writes.upper_bound(s.stored));
      return;
    case restored:
      if (what >> 32 != s.restores % 0xffffffU) return;  // it failed meanwhile
      return serve(i, static_cast<std::uint32_t>(what));
    default: {  // a message to a standby again
      const auto standby = static_cast<std::uint32_t>(what >> 24);
      const auto it = s.standbys.find(standby);
      if (it == s.standbys.end()) return;
      it->second.resending = false;
      if (s.primary == nobody || !is_alive(s.primary) || it->second.missing.empty()) return;
      return send(i, standby, *it->second.missing.begin(), *it->second.missing.rbegin(), false);
    }
  }
}

// ---- writes ----------------------------------------------------------------------------------------

// Whether a request writes: its call says so, or chance.
bool Failover::writes(std::uint32_t i, const Request& r) const {
  std::uint64_t path = 0;
  if (r.visit && r.visit->nested()) {
    const Level& caller = r.visit->levels[r.visit->levels.size() - 2];
    if (!caller.asks_cache) {
      const Operation does = world_.scenario_.services[caller.serving].fetching->calls[caller.call].operation;
      if (does != Operation::any) return does == Operation::write;
    }
    path = r.visit->here().path;
  }
  Rng g = draws_.at(path == 0 ? r.record.identity : hash_combine(r.record.identity, path), r.record.attempts);
  return uniform01(g) < spec(i).write_share;
}

namespace {
std::uint64_t client_of(const Request& r) { return std::uint64_t{r.record.workload} << 32 | r.record.client; }
}  // namespace

std::uint32_t Failover::reader(std::uint32_t slot, std::uint32_t service) {
  const auto it = of_service_.find(service);
  if (it == of_service_.end() || spec(it->second).reads == ReadsFrom::primary) return nobody;
  const std::uint32_t i = it->second;
  const Request& r = world_.requests_[slot];
  if (writes(i, r)) return nobody;
  State& s = states_[i];
  const bool nearest = spec(i).reads == ReadsFrom::nearest;
  const std::uint32_t from = r.from != ~0U ? r.from : r.host;
  const auto distance = [&](std::uint32_t id) {
    const std::uint32_t node = world_.replicas_[id].node;
    if (!nearest || from == ~0U || node == from) return Duration();
    return world_.network_->path_latency(from, node);
  };
  std::uint64_t own = 0;
  if (const auto last = s.own.find(client_of(r)); last != s.own.end()) own = last->second;
  std::uint32_t best = nobody;
  bool behind = false;
  const auto consider = [&](std::uint32_t id) {
    const auto rank = [&](std::uint32_t x) { return std::pair(distance(x), world_.replicas_[x].outstanding); };
    if (best == nobody || rank(id) < rank(best)) best = id;
  };
  if (nearest && s.primary != nobody && is_ready(s.primary)) consider(s.primary);
  for (const auto& [id, standby] : s.standbys) {
    if (!is_ready(id)) continue;
    if (spec(i).own_writes && !standby.missing.empty() && *standby.missing.begin() <= own) behind = true;
    else consider(id);
  }
  if (best == nobody && behind && r.record.counted) ++s.totals.sent_back;
  return best;
}

// At the end of its service: it has missed what was answered before it came, and has not arrived since.
void Failover::note_read(std::uint32_t i, const Request& r) {
  State& s = states_[i];
  if (!r.record.counted) return;
  ++s.totals.reads;
  const auto standby = s.standbys.find(r.replica);
  if (standby == s.standbys.end()) return;
  ++s.totals.apart;
  for (const std::uint64_t number : standby->second.missing) {
    const auto w = s.writes.find(number);
    if (w == s.writes.end() || w->second.answered.is_never() || w->second.answered > r.record.arrived) continue;
    if (r.key != 0 && w->second.key != r.key) continue;
    ++s.totals.stale;
    return;
  }
}

bool Failover::hold(std::uint32_t slot) {
  const Request& r = world_.requests_[slot];
  const std::uint32_t i = index_of(r.replica);
  if (i == nobody || world_.handle_of(slot).pack() == passing_) return false;
  State& s = states_[i];
  const bool is_write = s.primary == r.replica && writes(i, r);
  if (!is_write) {
    note_read(i, r);
    return false;
  }
  const std::uint64_t number = s.next++;
  if (spec(i).own_writes) s.own[client_of(r)] = number;
  Write& w = s.writes[number];
  w.key = r.key;
  w.counted = r.record.counted;
  if (w.counted) ++s.totals.writes;
  if (spec(i).durability != Durability::checkpoint)
    for (auto& [id, standby] : s.standbys) standby.missing.insert(number);
  if (spec(i).durability == Durability::synchronous && !s.standbys.empty()) {
    s.held[number] = {world_.handle_of(slot).pack(), r.replica, s.standbys.size()};
    std::vector<std::uint32_t> to;
    for (const auto& [id, standby] : s.standbys) to.push_back(id);
    for (const std::uint32_t id : to) send(i, id, number, number, false);
    return true;
  }
  w.answered = world_.now_;
  if (spec(i).durability == Durability::synchronous) ++s.totals.alone;
  if (spec(i).durability == Durability::asynchronous && spec(i).ship == Duration::zero())
    for (const auto& [id, standby] : s.standbys) send(i, id, number, number, false);
  if (spec(i).durability != Durability::checkpoint) forget_known(i);
  return false;
}

// Writes from the primary to a standby, or the acknowledgement of one.
void Failover::send(std::uint32_t i, std::uint32_t standby, std::uint64_t first, std::uint64_t last, bool back) {
  State& s = states_[i];
  if (free_flows_.empty()) {
    free_flows_.push_back(static_cast<std::uint32_t>(flows_.size()));
    flows_.emplace_back();
  }
  const std::uint32_t slot = free_flows_.back();
  free_flows_.pop_back();
  Flow& f = flows_[slot];
  f = {i, standby, f.generation, first, last, true, back, FlowId::none()};
  const double bytes = back ? spec(i).ack : spec(i).record * static_cast<double>(last - first + 1);
  s.totals.bytes += bytes;
  const std::uint32_t here = world_.replicas_[s.primary].node, there = world_.replicas_[standby].node;
  world_.add_egress(back ? there : here, back ? here : there, bytes);
  const FlowId flow = world_.network_->start({back ? there : here, back ? here : there, bytes, 0.0,
                          flow_tag(FlowOwner::failover, {slot, f.generation})},
                         world_.now_);
  flows_[slot].flow = flow;
}

void Failover::on_flow_ended(Handle h, network::Outcome outcome) {
  Flow& f = flows_[h.slot];
  if (!f.live || f.generation != h.generation) return;
  const Flow ended = f;
  f.live = false;
  ++f.generation;
  free_flows_.push_back(h.slot);
  State& s = states_[ended.index];
  const bool there = s.primary != nobody && s.standbys.contains(ended.standby);
  if (outcome != network::Outcome::delivered) {
    if (!there) return;
    // The primary goes on without a standby that it does not reach, and sends again what that one misses.
    if (!std::exchange(s.standbys[ended.standby].resending, true))
      after(resend_after, ended.index, resend, static_cast<std::uint64_t>(ended.standby) << 24);
    for (std::uint64_t n = ended.first; n <= ended.last; ++n) {
      const auto held = s.held.find(n);
      if (held == s.held.end() || --held->second.pending > 0) continue;
      ++s.totals.alone;
      answer(ended.index, n);
    }
    return;
  }
  if (!there) return;
  if (ended.back) return answer(ended.index, ended.first);
  has(ended.index, ended.standby, ended.first, ended.last);
}

// A standby has got some writes.
void Failover::has(std::uint32_t i, std::uint32_t standby, std::uint64_t first, std::uint64_t last) {
  State& s = states_[i];
  std::set<std::uint64_t>& missing = s.standbys[standby].missing;
  for (auto it = missing.lower_bound(first); it != missing.end() && *it <= last; it = missing.erase(it)) {
    const auto w = s.writes.find(*it);
    if (w == s.writes.end() || w->second.answered.is_never() || !w->second.counted) continue;
    const double lag = (world_.now_ - w->second.answered).seconds();
    ++s.totals.shipped;
    s.totals.lag += lag;
    s.totals.longest_lag = std::max(s.totals.longest_lag, lag);
  }
  for (std::uint64_t n = first; n <= last; ++n)
    if (s.held.contains(n)) send(i, standby, n, n, true);
  forget_known(i);
}

// The answer to a write goes to its client.
void Failover::answer(std::uint32_t i, std::uint64_t number) {
  State& s = states_[i];
  const auto it = s.held.find(number);
  if (it == s.held.end()) return;  // another standby was faster
  const Held held = it->second;
  s.held.erase(it);
  if (const auto w = s.writes.find(number); w != s.writes.end()) w->second.answered = world_.now_;
  forget_known(i);
  if (!world_.find(Handle::unpack(held.tag))) return;
  passing_ = held.tag;
  world_.served(Handle::unpack(held.tag).slot, world_.now_);
  passing_ = ~0ULL;
}

// Writes that every standby has will not be lost.
void Failover::forget_known(std::uint32_t i) {
  State& s = states_[i];
  if (spec(i).durability == Durability::checkpoint) return;
  std::uint64_t known = s.next;
  for (const auto& [id, standby] : s.standbys)
    if (!standby.missing.empty()) known = std::min(known, *standby.missing.begin());
  for (auto it = s.writes.begin(); it != s.writes.end() && it->first < known && !it->second.answered.is_never();)
    it = s.writes.erase(it);
}

void Failover::take_held(std::uint32_t replica, std::vector<std::uint64_t>& lost) {
  const std::uint32_t i = index_of(replica);
  if (i == nobody) return;
  std::erase_if(states_[i].held, [&](const auto& entry) {
    if (entry.second.replica != replica) return false;
    if (world_.find(Handle::unpack(entry.second.tag))) lost.push_back(entry.second.tag);
    return true;
  });
  // Messages under way from or to it do not arrive.
  const std::uint32_t primary = states_[i].primary;
  for (std::uint32_t slot = 0; slot < flows_.size(); ++slot) {
    Flow& f = flows_[slot];
    if (!f.live || f.index != i || (primary != replica && f.standby != replica)) continue;
    f.live = false;
    ++f.generation;
    free_flows_.push_back(slot);
    world_.network_->cancel(f.flow, world_.now_);
  }
}

// ---- who serves ------------------------------------------------------------------------------------

bool Failover::may_serve(std::uint32_t id) {
  const std::uint32_t i = index_of(id);
  if (i == nobody) return true;
  State& s = states_[i];
  if (s.primary != id) {
    s.standbys[id];  // with a copy of what the primary has
    return false;
  }
  if (s.lost_at.is_never()) return true;
  if (spec(i).durability == Durability::checkpoint) {
    if (!std::exchange(s.restoring, true))
      after(restore_time(i), i, restored, static_cast<std::uint64_t>(s.restores % 0xffffffU) << 32 | id);
    return false;
  }
  // It is back before anybody missed it, with its own disk.
  s.totals.downtime += (world_.now_ - s.lost_at).seconds();
  s.totals.longest = std::max(s.totals.longest, (world_.now_ - s.lost_at).seconds());
  s.lost_at = Instant::never();
  return true;
}

void Failover::left(std::uint32_t id) {
  const std::uint32_t i = index_of(id);
  if (i == nobody) return;
  State& s = states_[i];
  if (s.primary == id) {
    if (s.lost_at.is_never()) s.lost_at = world_.now_;
    s.restoring = false;
    ++s.restores;
    s.storing = 0;
    return;
  }
  if (s.standbys.erase(id) == 0 || !s.standbys.empty() || s.primary == nobody) return;
  // Nobody is left that an answer could wait for.
  while (!s.held.empty()) {
    ++s.totals.alone;
    answer(i, s.held.begin()->first);
  }
}

void Failover::probe(std::uint32_t i) {
  State& s = states_[i];
  after(spec(i).probe, i, probing);
  if (s.primary == nobody) return choose(i);
  s.misses = is_ready(s.primary) ? 0 : s.misses + 1;
  if (s.misses < spec(i).misses) return;
  choose(i);
}

// The standby that misses least; the first of several. Without one the primary may yet come back.
void Failover::choose(std::uint32_t i) {
  State& s = states_[i];
  if (s.promoting || s.standbys.empty()) return;
  std::uint32_t best = nobody;
  std::uint64_t position = 0;
  for (const auto& [id, standby] : s.standbys) {
    const std::uint64_t has = standby.missing.empty() ? s.next : *standby.missing.begin();
    if (best == nobody || has > position) best = id, position = has;
  }
  s.misses = 0;
  s.promoting = true;
  s.primary = nobody;  // fenced: should it come back, it is a standby
  Duration takes = spec(i).promotion;
  if (spec(i).durability == Durability::checkpoint) takes = takes + restore_time(i);
  after(takes, i, promoted, best);
}

Duration Failover::restore_time(std::uint32_t i) const {
  const State& s = states_[i];
  const FailoverSpec& f = spec(i);
  const Duration load = saturated(f.stored / f.bandwidth);
  const auto after_it = static_cast<std::int64_t>(s.next - 1 - s.stored);
  return f.logged ? load + f.replay * after_it : load;
}

void Failover::take_over(std::uint32_t i, std::uint32_t id) {
  State& s = states_[i];
  s.promoting = false;
  if (!s.standbys.contains(id)) return choose(i);  // it has failed meanwhile
  ++s.totals.failovers;
  serve(i, id);
}

// The replica has what there is, and serves.
void Failover::serve(std::uint32_t i, std::uint32_t id) {
  State& s = states_[i];
  if (!is_ready(id) || (s.restoring && s.primary != id)) return;
  lose_writes(i, id);
  s.standbys.erase(id);
  for (auto& [other, standby] : s.standbys) standby.missing.clear();  // they follow the new primary
  s.writes.clear();
  s.shipping = s.next;
  s.storing = 0;
  s.primary = id;
  s.restoring = false;
  s.totals.downtime += (world_.now_ - s.lost_at).seconds();
  s.totals.longest = std::max(s.totals.longest, (world_.now_ - s.lost_at).seconds());
  s.lost_at = Instant::never();
  world_.join_router(id);
  world_.update_ready(spec(i).service);
  world_.wake_pending(spec(i).service);
}

// What was answered and is nowhere now.
void Failover::lose_writes(std::uint32_t i, std::uint32_t successor) {
  State& s = states_[i];
  const FailoverSpec& f = spec(i);
  if (f.durability == Durability::checkpoint && f.logged) return;
  const auto standby = s.standbys.find(successor);
  for (const auto& [number, w] : s.writes) {
    const bool gone = f.durability == Durability::checkpoint
                          ? number > s.stored
                          : standby != s.standbys.end() && standby->second.missing.contains(number);
    if (!gone || w.answered.is_never()) continue;
    s.totals.rpo = std::max(s.totals.rpo, (s.lost_at - w.answered).seconds());
    ++s.totals.lost;
  }
}

// ---- figures ---------------------------------------------------------------------------------------

void Failover::reset_totals() {
  for (State& s : states_) s.totals = {};
}

void Failover::add_totals(std::vector<std::pair<std::string, double>>& out) const {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  for (std::uint32_t i = 0; i < states_.size(); ++i) {
    const State& s = states_[i];
    const Totals& t = s.totals;
    const std::string& name = spec(i).name;
    const bool away = !s.lost_at.is_never();
    const double open = away ? (world_.now_ - s.lost_at).seconds() : 0.0;
    out.emplace_back("failovers." + name, static_cast<double>(t.failovers));
    out.emplace_back("rto." + name, t.longest > 0 ? t.longest : nan);
    out.emplace_back("primary_downtime." + name, t.downtime + open);
    out.emplace_back("rpo." + name, t.failovers > 0 || t.longest > 0 ? t.rpo : nan);
    out.emplace_back("writes." + name, static_cast<double>(t.writes));
    out.emplace_back("writes_lost." + name, static_cast<double>(t.lost));
    out.emplace_back("writes_alone." + name, static_cast<double>(t.alone));
    if (spec(i).reads != ReadsFrom::primary) {
      out.emplace_back("reads_apart." + name, t.reads > 0 ? static_cast<double>(t.apart) / static_cast<double>(t.reads) : nan);
      out.emplace_back("reads_stale." + name, t.reads > 0 ? static_cast<double>(t.stale) / static_cast<double>(t.reads) : nan);
      out.emplace_back("reads_sent_back." + name, static_cast<double>(t.sent_back));
    }
    out.emplace_back("replication_bytes." + name, t.bytes);
    const bool lags = spec(i).durability == Durability::asynchronous && t.shipped > 0;
    out.emplace_back("replication_lag." + name + ".mean", lags ? t.lag / static_cast<double>(t.shipped) : nan);
    out.emplace_back("replication_lag." + name + ".max", lags ? t.longest_lag : nan);
  }
}

}  // namespace isthmus::world
