#include "sim/world/replication.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include <fmt/format.h>

#include "sim/core/hash.hpp"
#include "sim/world/saturated.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {
// In the upper half of an event's payload; the replica is in the lower one.
constexpr std::uint32_t writes = 0, reads = 1, poll = 2, meet = 3;
}  // namespace

Replication::Replication(World& world) : world_(world) {
  const Scenario& scenario = world.scenario_;
  for (std::uint32_t d = 0; d < scenario.replicated.size(); ++d) {
    const ReplicatedData& s = scenario.replicated[d];
    totals_.emplace_back(!scenario.streaming);
    Data& data = data_.emplace_back();
    data.sizes = StreamKey(world.seed_, "data sizes/" + s.name);
    data.draws = StreamKey(world.seed_, "data/" + s.name);
    const NodeGroup& at = scenario.nodes[s.at];
    data.replicas.resize(at.count + 1);
    data.replicas[0].node = scenario.nodes[s.hub].first;
    first_way_.push_back(static_cast<std::uint32_t>(ways_.size()));
    for (std::uint32_t i = 1; i <= at.count; ++i) {
      Replica& r = data.replicas[i];
      r.node = at.first + i - 1;
      Rng g = data.draws.at(i, ~0ULL);
      r.skew = saturated((2 * uniform01(g) - 1) * s.clock_skew.seconds()).ns();
      ways_.emplace_back(d, i);
    }
    if (s.full)
      for (std::uint64_t key = 1; key <= s.popularity.items(); ++key) data.all_bytes += size_of(d, key);
    if (s.hub_writes) schedule(d, writes, 0, true);
    for (std::uint32_t i = 1; i <= at.count; ++i) {
      if (s.writes) schedule(d, writes, i, true);
      if (s.reads) schedule(d, reads, i, true);
      if (!s.push) schedule(d, poll, i, true);
    }
  }
}

const ReplicatedData& Replication::spec(std::uint32_t data) const {
  return world_.scenario_.replicated[data];
}

bool Replication::node_up(std::uint32_t node) const { return world_.nodes_[node].up; }

// The next event of a kind at a replica.
void Replication::schedule(std::uint32_t d, std::uint32_t kind, std::uint32_t replica, bool first) {
  const ReplicatedData& s = spec(d);
  const Replica& r = data_[d].replicas[replica];
  Duration wait = kind == poll ? s.interval : s.retry;
  if (kind == writes || kind == reads) {
    const Distribution& law = kind == reads ? *s.reads : replica == 0 ? *s.hub_writes : *s.writes;
    const std::uint64_t index = kind == reads ? r.reads : r.writes;
    Rng g = data_[d].draws.at(hash_combine(replica, kind), index);
    wait = saturated(law.sample(g));
    if (first && law.kind == DistributionKind::constant) wait = saturated(wait.seconds() * uniform01(g));
  } else if (kind == poll && first) {
    Rng g = data_[d].draws.at(hash_combine(replica, kind), 0);
    wait = s.start != Duration::max() ? s.start : saturated(wait.seconds() * uniform01(g));
  }
  if (!(kind == poll && first)) wait = std::max(wait, Duration(1000));
  const EventHandle h = world_.queue_.push(world_.now_ + wait, EventKind::replication, d,
                                           static_cast<std::uint64_t>(kind) << 32 | replica);
  if (kind == meet) data_[d].replicas[replica].retry = h;
}

double Replication::size_of(std::uint32_t d, std::uint64_t key) const {
  Rng g = data_[d].sizes.at(key);
  return std::max(0.0, spec(d).value.sample(g));
}

std::uint64_t Replication::key_of(std::uint32_t d, std::uint32_t replica, std::uint32_t kind,
                                  std::uint64_t index) const {
  Rng g = data_[d].draws.at(hash_combine(replica, 16 + kind), index);
  return spec(d).popularity.sample(g);
}

void Replication::on_event(std::uint32_t d, std::uint64_t what) {
  const auto kind = static_cast<std::uint32_t>(what >> 32), replica = static_cast<std::uint32_t>(what);
  Replica& r = data_[d].replicas[replica];
  const bool up = node_up(r.node);
  switch (kind) {
    case writes:
      if (up) write(d, replica);
      ++r.writes;
      return schedule(d, kind, replica);
    case reads:
      if (up) read(d, replica);
      ++r.reads;
      return schedule(d, kind, replica);
    case poll:
      if (up) exchange(d, replica);
      return schedule(d, kind, replica);
    default:
      r.retry = {};
      if (up && !r.up.flow.valid() && !r.down.flow.valid()) return exchange(d, replica);
      return schedule(d, meet, replica);
  }
}

void Replication::write(std::uint32_t d, std::uint32_t replica) {
  Data& data = data_[d];
  Replica& r = data.replicas[replica];
  const std::uint64_t key = key_of(d, replica, writes, r.writes);
  const Version& v = r.values[key].write(replica, (world_.now_ - Instant::zero()).ns() + r.skew);
  const bool counted = world_.counted();
  if (counted) ++totals_[d].writes;
  data.keys[key].writes.push_back({world_.now_, replica, v.number, 1, counted, false});
  if (replica != 0) {
    r.news_up.insert(key);
    if (spec(d).push) push(d, replica, true);
    return;
  }
  for (std::uint32_t i = 1; i < data.replicas.size(); ++i) data.replicas[i].news_down.insert(key);
  if (spec(d).push) push_all(d);
}

void Replication::read(std::uint32_t d, std::uint32_t replica) {
  if (!world_.counted()) return;
  Data& data = data_[d];
  Replica& r = data.replicas[replica];
  const std::uint64_t key = key_of(d, replica, reads, r.reads);
  Totals& t = totals_[d];
  ++t.reads;
  double age = 0;
  if (const auto known = data.keys.find(key); known != data.keys.end()) {
    const auto has = r.values.find(key);
    for (const Write& w : known->second.writes) {
      if (has != r.values.end() && has->second.vector()[w.writer] >= w.number) continue;
      ++t.stale;
      age = static_cast<double>((world_.now_ - w.at).ns());
      break;
    }
  }
  t.staleness.add(age);
}

// A machine says what is new and asks for the same.
void Replication::exchange(std::uint32_t d, std::uint32_t replica) {
  Replica& r = data_[d].replicas[replica];
  if (r.exchanging) return;
  r.exchanging = true;
  if (r.away && r.returned.is_never()) r.returned = world_.now_;
  send(d, replica, true, true);
}

void Replication::push_all(std::uint32_t d) {
  for (std::uint32_t i = 1; i < data_[d].replicas.size(); ++i) push(d, i, false);
}

// One message at a time each way; what is new meanwhile goes together.
void Replication::push(std::uint32_t d, std::uint32_t replica, bool up) {
  Replica& r = data_[d].replicas[replica];
  if (!r.connected || r.exchanging || (up ? r.up : r.down).flow.valid() ||
      (up ? r.news_up : r.news_down).empty())
    return;
  send(d, replica, up, false);
}

void Replication::send(std::uint32_t d, std::uint32_t replica, bool up, bool part_of_exchange) {
  const ReplicatedData& s = spec(d);
  Data& data = data_[d];
  Replica &r = data.replicas[replica], &hub = data.replicas[0];
  Message& m = up ? r.up : r.down;
  const Values& has = up ? r.values : hub.values;
  m.part_of_exchange = part_of_exchange;
  m.values.clear();
  double bytes = s.header, vectors = 0;
  if (s.full) {
    m.values = has;
    bytes += static_cast<double>(s.popularity.items()) * s.key_bytes + data.all_bytes;
  } else {
    for (const std::uint64_t key : up ? r.news_up : r.news_down) m.values[key] = has.at(key);
  }
  for (const auto& [key, value] : m.values) {
    const auto siblings = static_cast<double>(value.versions().size());
    // A single version is told by the vector; siblings are each named on top.
    vectors += s.entry_bytes * (static_cast<double>(value.vector().size()) + (siblings > 1 ? siblings : 0));
    bytes += size_of(d, key) * (s.full ? siblings - 1 : siblings) + (s.full ? 0 : s.key_bytes);
  }
  bytes += vectors;
  Totals& t = totals_[d];
  ++t.messages;
  (up ? t.up : t.down) += bytes;
  t.vectors += vectors;
  const std::uint32_t from = up ? r.node : hub.node, to = up ? hub.node : r.node;
  world_.add_egress(from, to, bytes);
  world_.set_radio(r.node, up ? 1 : 0, up ? 0 : 1);
  const auto way = static_cast<std::uint32_t>((first_way_[d] + replica - 1) << 1 | (up ? 1U : 0U));
  const std::uint64_t tag = flow_tag(FlowOwner::replication, {way, ++m.number});
  m.flow = world_.network_->start({from, to, bytes, 0.0, tag}, world_.now_);
}

void Replication::stop(Replica& r, Message& m, bool up) {
  if (!m.flow.valid()) return;
  const FlowId flow = m.flow;
  m.flow = FlowId::none();
  ++m.number;
  world_.set_radio(r.node, up ? -1 : 0, up ? 0 : -1);
  world_.network_->cancel(flow, world_.now_);
}

void Replication::on_flow_ended(Handle flow, network::Outcome outcome) {
  const bool up = (flow.slot & 1) != 0;
  const auto [d, replica] = ways_[flow.slot >> 1];
  Replica& r = data_[d].replicas[replica];
  Message& m = up ? r.up : r.down;
  if (!m.flow.valid() || m.number != flow.generation) return;
  m.flow = FlowId::none();
  world_.set_radio(r.node, up ? -1 : 0, up ? 0 : -1);
  if (outcome == network::Outcome::delivered && node_up(up ? data_[d].replicas[0].node : r.node))
    return receive(d, replica, up);
  ++totals_[d].failures;
  if (m.part_of_exchange) r.exchanging = false;
  lose_connection(d, replica);
}

// A message of a machine is at the hub, or one of the hub at a machine.
void Replication::receive(std::uint32_t d, std::uint32_t replica, bool up) {
  Data& data = data_[d];
  Replica &r = data.replicas[replica], &hub = data.replicas[0];
  const Values values = std::move((up ? r.up : r.down).values);
  const bool part = (up ? r.up : r.down).part_of_exchange;
  for (const auto& [key, value] : values) {
    take_in(d, up ? 0 : replica, key, value);
    // What either side now has beyond the message is news to the other.
    const auto note = [&](std::set<std::uint64_t>& news, const Replica& side) {
      const auto has = side.values.find(key);
      if (has != side.values.end() && has->second.vector() != value.vector()) news.insert(key);
      else news.erase(key);
    };
    note(r.news_down, hub);
    note(r.news_up, r);
  }
  if (part && up) return send(d, replica, false, true);
  if (part) complete(d, replica);
  if (!spec(d).push) return;
  push(d, replica, true);
  if (up || part) push_all(d);
  else push(d, replica, false);
}

void Replication::take_in(std::uint32_t d, std::uint32_t to, std::uint64_t key, const ReplicatedValue& value) {
  Data& data = data_[d];
  Replica& r = data.replicas[to];
  ReplicatedValue& mine = r.values[key];
  const VersionVector before = mine.vector();
  const ReplicatedValue::Outcome o = mine.merge(value, spec(d).rule, to != 0);
  if (!o.changed) return;
  Totals& t = totals_[d];
  Key& k = data.keys[key];
  if (world_.counted()) {
    if (o.conflict && !(k.met == mine.vector())) ++t.conflicts;
    t.siblings = std::max<std::uint64_t>(t.siblings, mine.versions().size());
  }
  if (o.conflict) k.met = mine.vector();  // the other side may find the same
  for (Write& w : k.writes) {
    if (before[w.writer] < w.number && mine.vector()[w.writer] >= w.number) {
      ++w.known;
      if (w.counted) t.propagation.add(static_cast<double>((world_.now_ - w.at).ns()));
    }
    for (const Version& lost : o.lost)
      if (lost.writer == w.writer && lost.number == w.number && !std::exchange(w.lost, true) && w.counted)
        ++t.lost;
  }
  while (!k.writes.empty() && k.writes.front().known == data.replicas.size()) k.writes.pop_front();
  if (to != 0) return;
  for (std::uint32_t i = 1; i < data.replicas.size(); ++i) data.replicas[i].news_down.insert(key);
}

// Both ends know at once.
void Replication::lose_connection(std::uint32_t d, std::uint32_t replica) {
  Replica& r = data_[d].replicas[replica];
  const std::uint32_t hub = data_[d].replicas[0].node;
  r.away = true;
  if (!node_up(r.node) || !node_up(hub) || world_.network_->path_bandwidth(r.node, hub) <= 0 ||
      world_.network_->path_bandwidth(hub, r.node) <= 0)
    r.returned = Instant::never();
  if (!spec(d).push) return;
  r.connected = false;
  if (!r.retry.valid() && !r.exchanging) schedule(d, meet, replica);
}

// Both sides have told each other what was new.
void Replication::complete(std::uint32_t d, std::uint32_t replica) {
  Replica& r = data_[d].replicas[replica];
  r.exchanging = false;
  r.connected = true;
  if (!std::exchange(r.away, false)) return;
  totals_[d].converge.add(static_cast<double>((world_.now_ - r.returned).ns()));
  r.returned = Instant::never();
}

void Replication::conditions_changed() {
  for (Data& data : data_) {
    const std::uint32_t hub = data.replicas[0].node;
    for (std::uint32_t i = 1; i < data.replicas.size(); ++i) {
      Replica& r = data.replicas[i];
      if (!r.away) continue;
      const bool path = node_up(r.node) && node_up(hub) && world_.network_->path_bandwidth(r.node, hub) > 0 &&
                        world_.network_->path_bandwidth(hub, r.node) > 0;
      if (!path) r.returned = Instant::never();
      else if (r.returned.is_never()) r.returned = world_.now_;
    }
  }
}

void Replication::node_failed(std::uint32_t node) {
  for (std::uint32_t d = 0; d < data_.size(); ++d) {
    Data& data = data_[d];
    for (std::uint32_t i = 1; i < data.replicas.size(); ++i) {
      Replica& r = data.replicas[i];
      if (r.node != node && data.replicas[0].node != node) continue;
      totals_[d].failures += (r.up.flow.valid() ? 1 : 0) + (r.down.flow.valid() ? 1 : 0);
      stop(r, r.up, true);
      stop(r, r.down, false);
      r.exchanging = false;
      lose_connection(d, i);
    }
  }
}

void Replication::reset_totals() {
  for (Totals& t : totals_) t = Totals(t.staleness.exact());
}

void Replication::add_totals(std::vector<std::pair<std::string, double>>& out) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  for (std::uint32_t d = 0; d < data_.size(); ++d) {
    Totals& t = totals_[d];
    const Data& data = data_[d];
    std::uint64_t diverged = 0;
    for (const auto& [key, k] : data.keys) {
      const auto hub = data.replicas[0].values.find(key);
      for (std::uint32_t i = 1; i < data.replicas.size(); ++i) {
        const auto has = data.replicas[i].values.find(key);
        const bool here = has != data.replicas[i].values.end(), there = hub != data.replicas[0].values.end();
        if (here != there || (here && !(has->second == hub->second))) ++diverged;
      }
    }
    const auto put = [&](const char* metric, double value) {
      out.emplace_back(fmt::format(fmt::runtime(metric), spec(d).name), value);
    };
    const auto count = [&](const char* metric, std::uint64_t n) { put(metric, static_cast<double>(n)); };
    count("data_writes.{}", t.writes);
    count("data_reads.{}", t.reads);
    put("data_stale.{}", t.reads > 0 ? static_cast<double>(t.stale) / static_cast<double>(t.reads) : nan);
    t.staleness.seal();
    t.propagation.seal();
    t.converge.seal();
    for (const auto& [name, law] :
         {std::pair{"data_staleness", &t.staleness}, std::pair{"data_propagation", &t.propagation}}) {
      const results::MergedDistribution all({law});
      const std::string metric = std::string(name) + ".{}";
      put((metric + ".mean").c_str(), all.mean() * 1e-9);
      put((metric + ".p95").c_str(), all.percentiles(std::array{95.0})[0] * 1e-9);
      put((metric + ".max").c_str(), all.count() > 0 ? all.max() * 1e-9 : nan);
    }
    count("data_conflicts.{}", t.conflicts);
    count("data_lost.{}", t.lost);
    count("data_siblings.{}", t.siblings);
    put("data_bytes_up.{}", t.up);
    put("data_bytes_down.{}", t.down);
    put("data_vector_bytes.{}", t.vectors);
    count("data_messages.{}", t.messages);
    count("data_failures.{}", t.failures);
    const results::MergedDistribution converge({&t.converge});
    put("data_converge.{}.mean", converge.mean() * 1e-9);
    put("data_converge.{}.max", converge.count() > 0 ? converge.max() * 1e-9 : nan);
    count("data_diverged.{}", diverged);
  }
}

}  // namespace isthmus::world
