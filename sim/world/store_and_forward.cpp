#include "sim/world/store_and_forward.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "sim/core/errors.hpp"
#include "sim/core/hash.hpp"
#include "sim/world/saturated.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {
// Payload of an event: a source makes a message, or the box has waited long enough.
constexpr std::uint64_t box_waited = ~0ULL;
}  // namespace

StoreAndForward::StoreAndForward(World& world)
    : world_(world), draws_(world.seed_, "outboxes"), waits_(world.seed_, "outbox retries") {
  const Scenario& scenario = world.scenario_;
  boxes_at_.resize(world.nodes_.size());
  for (std::uint32_t s = 0; s < scenario.outboxes.size(); ++s) {
    const Outbox& o = scenario.outboxes[s];
    totals_.emplace_back(!scenario.streaming);
    const NodeGroup &from = scenario.nodes[o.from], &to = scenario.nodes[o.to];
    for (std::uint32_t i = 0; i < from.count; ++i) {
      Box b{.spec = s,
            .node = from.first + i,
            .sink = to.first + i % to.count,
            .store = MessageStore(o.capacity, o.messages, o.when_full, o.order),
            .sources = {},
            .flow = {},
            .timer = {},
            .shipment = {},
            .shipped = {}};
      b.sources.resize(o.sources.size());
      b.connected = o.trips == 0;
      boxes_at_[b.node].push_back(static_cast<std::uint32_t>(boxes_.size()));
      boxes_.push_back(std::move(b));
    }
  }
  for (std::uint32_t i = 0; i < boxes_.size(); ++i) {
    const Outbox& o = spec(boxes_[i]);
    for (std::uint32_t s = 0; s < o.sources.size(); ++s) {
      if (o.sources[s].service != ~0U) continue;
      Duration first = o.sources[s].start;
      if (first == Duration::max()) {  // clocks of machines are not in step
        first = gap(i, s);
        Rng g = draws_.at(hash_combine(hash_name(o.name), boxes_[i].node), s);
        if (o.sources[s].interval.kind == DistributionKind::constant)
          first = saturated(first.seconds() * uniform01(g));
      }
      schedule(i, s, first);
    }
  }
}

const Outbox& StoreAndForward::spec(const Box& b) const { return world_.scenario_.outboxes[b.spec]; }

// A draw for the next message of a source.
Duration StoreAndForward::gap(std::uint32_t box, std::uint32_t source) {
  const Box& b = boxes_[box];
  const MessageSource& s = spec(b).sources[source];
  Rng g = draws_.at(hash_combine(hash_combine(hash_name(spec(b).name), b.node), 2 * source + 1),
                    b.sources[source].made);
  return std::max(Duration(1000), saturated(s.interval.sample(g)));
}

void StoreAndForward::schedule(std::uint32_t box, std::uint32_t source, Duration wait) {
  world_.queue_.push(world_.now_ + wait, EventKind::outbox, box, source);
}

void StoreAndForward::on_event(std::uint32_t box, std::uint64_t what) {
  Box& b = boxes_[box];
  if (what != box_waited) {
    const auto source = static_cast<std::uint32_t>(what);
    if (world_.nodes_[b.node].up) make(box, source);
    if (!b.sources[source].blocked) schedule(box, source, gap(box, source));
    return;
  }
  b.timer = {};
  if (b.phase == Phase::confirming) {  // no acknowledgement came
    stop_flow(b);
    b.store.give_back(b.shipment);
    b.shipment.clear();
    return fail(box);
  }
  b.phase = Phase::idle;
  pump(box);
}

void StoreAndForward::served(std::uint32_t service, std::uint32_t node) {
  for (const std::uint32_t box : boxes_at_[node]) {
    const auto& sources = spec(boxes_[box]).sources;
    for (std::uint32_t s = 0; s < sources.size(); ++s)
      if (sources[s].service == service) make(box, s);
  }
}

void StoreAndForward::make(std::uint32_t box, std::uint32_t source) {
  Box& b = boxes_[box];
  const MessageSource& s = spec(b).sources[source];
  Rng g = draws_.at(hash_combine(hash_combine(hash_name(spec(b).name), b.node), 2 * source + 2),
                    b.sources[source].made++);
  Message m{b.made++, world_.now_, std::max(0.0, s.bytes.sample(g)), s.priority, world_.counted(), false};
  if (m.counted) ++totals(b).made;
  if (spec(b).when_full == WhenFull::block && b.store.ever_fits(m.bytes) && !b.store.has_room(m.bytes)) {
    b.sources[source].blocked = m;
    return;
  }
  if (!keep(box, m)) lose(b, totals(b).dropped, {m});
  pump(box);
}

bool StoreAndForward::keep(std::uint32_t box, const Message& m) {
  Box& b = boxes_[box];
  std::vector<Message> dropped;
  const bool kept = b.store.add(m, dropped);
  lose(b, totals(b).dropped, dropped);
  note_backlog(b);
  return kept;
}

void StoreAndForward::note_backlog(const Box& b) {
  Totals& t = totals(b);
  t.backlog = std::max(t.backlog, b.store.size());
  t.backlog_bytes = std::max(t.backlog_bytes, b.store.bytes());
}

// Those that have arrived are not lost.
void StoreAndForward::lose(Box&, std::uint64_t& count, const std::vector<Message>& messages) {
  for (const Message& m : messages)
    if (m.counted && !m.arrived) ++count;
}

// There may be room for sources that wait.
void StoreAndForward::unblock(std::uint32_t box) {
  Box& b = boxes_[box];
  for (std::uint32_t s = 0; s < b.sources.size(); ++s) {
    std::optional<Message>& m = b.sources[s].blocked;
    if (!m || !b.store.has_room(m->bytes)) continue;
    totals(b).blocked += (world_.now_ - std::max(m->made, Instant::zero() + (world_.warm_ ? world_.scenario_.warmup
                                                                                       : Duration::zero())))
                             .seconds();
    m->id = b.made++;  // in the order of keeping
    keep(box, *m);
    m.reset();
    schedule(box, s, gap(box, s));
  }
}

void StoreAndForward::pump(std::uint32_t box) {
  Box& b = boxes_[box];
  if (b.phase != Phase::idle || b.store.waiting() == 0 || !world_.nodes_[b.node].up) return;
  if (b.connected) return ship(box);
  b.phase = Phase::connecting;
  b.trip = 0;
  start_flow(box, false, spec(b).trip_bytes);
}

void StoreAndForward::ship(std::uint32_t box) {
  Box& b = boxes_[box];
  const Outbox& o = spec(b);
  b.phase = Phase::sending;
  b.shipment = b.store.take(o.batch, o.batch_bytes);
  b.shipped = world_.now_;
  double bytes = o.header;
  for (const Message& m : b.shipment) bytes += m.bytes;
  start_flow(box, false, bytes);
}

void StoreAndForward::start_flow(std::uint32_t box, bool back, double bytes) {
  Box& b = boxes_[box];
  b.back = back;
  const std::uint32_t from = back ? b.sink : b.node, to = back ? b.node : b.sink;
  const double cap = b.phase == Phase::sending && (b.away || b.catching_up) ? spec(b).catch_up_rate : 0;
  totals(b).bytes += bytes;
  world_.add_egress(from, to, bytes);
  world_.set_radio(b.node, back ? 0 : 1, back ? 1 : 0);
  const std::uint64_t tag = flow_tag(FlowOwner::outbox, {box, ++b.flow_number});
  b.flow = world_.network_->start({from, to, bytes, cap, tag}, world_.now_);
}

void StoreAndForward::end_radio(const Box& b) { world_.set_radio(b.node, b.back ? 0 : -1, b.back ? -1 : 0); }

// Its end will not be heard.
void StoreAndForward::stop_flow(Box& b) {
  if (!b.flow.valid()) return;
  end_radio(b);
  const FlowId flow = b.flow;
  b.flow = FlowId::none();
  ++b.flow_number;
  world_.network_->cancel(flow, world_.now_);
}

void StoreAndForward::on_flow_ended(Handle flow, network::Outcome outcome) {
  const std::uint32_t box = flow.slot;
  Box& b = boxes_[box];
  if (flow.generation != b.flow_number || !b.flow.valid()) return;
  b.flow = FlowId::none();
  end_radio(b);
  const Outbox& o = spec(b);
  const bool there = outcome == network::Outcome::delivered && world_.nodes_[b.sink].up;
  switch (b.phase) {
    case Phase::connecting:
      if (!there) return fail(box);
      if (!b.back) return start_flow(box, true, o.trip_bytes);
      if (++b.trip < o.trips) return start_flow(box, false, o.trip_bytes);
      b.connected = true;
      b.phase = Phase::idle;
      return pump(box);
    case Phase::sending:
      if (there) return arrived(box);
      if (o.delivery == Delivery::at_most_once) {
        lose(b, totals(b).lost_network, b.shipment);
        b.store.settle(b.shipment);
      } else if (outcome == network::Outcome::delivered) {
        // Nobody was there to acknowledge it.
        b.phase = Phase::confirming;
        b.timer = world_.queue_.push(world_.now_ + o.ack_timeout, EventKind::outbox, box, box_waited);
        return;
      } else {
        b.store.give_back(b.shipment);
      }
      b.shipment.clear();
      return fail(box);
    case Phase::confirming:
      if (outcome == network::Outcome::delivered) settle(box);
      return;  // else the timer will tell
    case Phase::idle:
    case Phase::resting: throw InternalError("outbox: a transfer ended that was not under way");
  }
}

// The shipment is at the sink.
void StoreAndForward::arrived(std::uint32_t box) {
  Box& b = boxes_[box];
  const Outbox& o = spec(b);
  Totals& t = totals(b);
  for (Message& m : b.shipment) {
    if (m.counted && !m.arrived) {
      ++t.delivered;
      t.age.add(static_cast<double>((world_.now_ - m.made).ns()));
    } else if (m.counted) {
      ++t.duplicates;
      if (o.delivery != Delivery::exactly_once) ++t.repeated;
    }
    m.arrived = true;
  }
  if (o.delivery == Delivery::at_most_once) return settle(box);
  b.phase = Phase::confirming;
  b.timer = world_.queue_.push(world_.now_ + o.ack_timeout, EventKind::outbox, box, box_waited);
  start_flow(box, true, o.ack);
}

// The sender knows that the shipment is there.
void StoreAndForward::settle(std::uint32_t box) {
  Box& b = boxes_[box];
  world_.queue_.cancel(b.timer);
  b.timer = {};
  b.store.settle(b.shipment);
  b.shipment.clear();
  b.phase = Phase::idle;
  b.failures = 0;
  if (b.away) {
    b.away = false;
    b.catching_up = true;
    if (b.returned.is_never()) b.returned = b.shipped;
  }
  if (b.catching_up && (b.store.waiting() == 0 || b.store.oldest() >= b.shipped)) {
    b.catching_up = false;
    totals(b).catch_up.add(static_cast<double>((world_.now_ - b.returned).ns()));
  }
  unblock(box);
  pump(box);
}

void StoreAndForward::fail(std::uint32_t box) {
  Box& b = boxes_[box];
  const Outbox& o = spec(b);
  b.connected = o.trips == 0;
  b.phase = Phase::resting;
  ++totals(b).failures;
  if (!b.away) {
    ++totals(b).partitions;
    b.away = true;
    b.catching_up = false;
    b.returned = Instant::never();
  }
  double wait = std::min(o.retry_max.seconds(),
                         o.retry.seconds() * std::pow(o.backoff, std::min(b.failures, 1000U)));
  ++b.failures;
  if (o.jitter > 0) {
    Rng g = waits_.at(hash_combine(hash_name(o.name), b.node), b.tries);
    wait *= 1 - o.jitter * uniform01(g);
  }
  ++b.tries;
  b.timer = world_.queue_.push(world_.now_ + std::max(Duration(1000), saturated(wait)), EventKind::outbox,
                               box, box_waited);
  unblock(box);
}

bool StoreAndForward::path_up(const Box& b) const {
  return world_.nodes_[b.sink].up && world_.network_->path_bandwidth(b.node, b.sink) > 0 &&
         world_.network_->path_bandwidth(b.sink, b.node) > 0;
}

void StoreAndForward::conditions_changed() {
  for (std::uint32_t box = 0; box < boxes_.size(); ++box) {
    Box& b = boxes_[box];
    if (!b.away || !world_.nodes_[b.node].up) continue;
    if (!path_up(b)) {
      b.returned = Instant::never();
      continue;
    }
    if (b.returned.is_never()) b.returned = world_.now_;
    if (!spec(b).told || b.phase != Phase::resting) continue;
    world_.queue_.cancel(b.timer);
    b.timer = {};
    b.failures = 0;
    b.phase = Phase::idle;
    pump(box);
  }
}

void StoreAndForward::node_failed(std::uint32_t node) {
  for (const std::uint32_t box : boxes_at_[node]) {
    Box& b = boxes_[box];
    stop_flow(b);
    world_.queue_.cancel(b.timer);
    b.timer = {};
    b.store.give_back(b.shipment);
    b.shipment.clear();
    b.phase = Phase::idle;
    b.connected = spec(b).trips == 0;
    b.failures = 0;
    b.catching_up = b.away = false;
    if (spec(b).durable) continue;
    lose(b, totals(b).lost_node, b.store.clear());
    for (std::uint32_t s = 0; s < b.sources.size(); ++s) {
      if (!b.sources[s].blocked) continue;
      lose(b, totals(b).lost_node, {*b.sources[s].blocked});
      b.sources[s].blocked.reset();
      schedule(box, s, gap(box, s));
    }
  }
}

void StoreAndForward::node_recovered(std::uint32_t node) {
  for (const std::uint32_t box : boxes_at_[node]) pump(box);
}

void StoreAndForward::reset_totals() {
  for (Totals& t : totals_) t = Totals(t.age.exact());
  for (const Box& b : boxes_) note_backlog(b);
}

void StoreAndForward::add_totals(std::vector<std::pair<std::string, double>>& out) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<std::uint64_t> queued(totals_.size(), 0);
  for (const Box& b : boxes_) {
    MessageStore rest = b.store;
    std::vector<Message> left = rest.clear();
    left.insert(left.end(), b.shipment.begin(), b.shipment.end());
    for (const Source& s : b.sources) {
      if (!s.blocked) continue;
      left.push_back(*s.blocked);
      totals(b).blocked +=
          (world_.now_ - std::max(s.blocked->made, Instant::zero() + world_.scenario_.warmup)).seconds();
    }
    for (const Message& m : left)
      if (m.counted && !m.arrived) ++queued[b.spec];
  }
  for (std::uint32_t i = 0; i < totals_.size(); ++i) {
    Totals& t = totals_[i];
    const std::string& name = world_.scenario_.outboxes[i].name;
    if (t.made != t.delivered + t.dropped + t.lost_network + t.lost_node + queued[i])
      throw InternalError(fmt::format(
          "messages of outbox \"{}\" are not conserved: made {}, but delivered {} + dropped {} + lost by "
          "the network {} + lost with machines {} + queued {}",
          name, t.made, t.delivered, t.dropped, t.lost_network, t.lost_node, queued[i]));
    const auto put = [&](const char* metric, double value) {
      out.emplace_back(fmt::format(fmt::runtime(metric), name), value);
    };
    const auto count = [&](const char* metric, std::uint64_t n) { put(metric, static_cast<double>(n)); };
    count("outbox_made.{}", t.made);
    count("outbox_delivered.{}", t.delivered);
    count("outbox_dropped.{}", t.dropped);
    count("outbox_lost_network.{}", t.lost_network);
    count("outbox_lost_node.{}", t.lost_node);
    count("outbox_queued.{}", queued[i]);
    count("outbox_duplicates.{}", t.duplicates);
    count("outbox_repeated.{}", t.repeated);
    t.age.seal();
    t.catch_up.seal();
    const results::MergedDistribution age({&t.age}), catch_up({&t.catch_up});
    put("outbox_age.{}.mean", age.mean() * 1e-9);
    put("outbox_age.{}.p99", age.percentiles(std::array{99.0})[0] * 1e-9);
    put("outbox_age.{}.max", age.count() > 0 ? age.max() * 1e-9 : nan);
    count("outbox_backlog.{}", t.backlog);
    put("outbox_backlog_bytes.{}", t.backlog_bytes);
    count("outbox_partitions.{}", t.partitions);
    put("outbox_catch_up.{}.mean", catch_up.mean() * 1e-9);
    put("outbox_catch_up.{}.max", catch_up.count() > 0 ? catch_up.max() * 1e-9 : nan);
    count("outbox_failures.{}", t.failures);
    put("outbox_bytes.{}", t.bytes);
    put("outbox_blocked.{}", t.blocked);
  }
}

}  // namespace isthmus::world
