// Outboxes and replicated data from their tables.
#include <fmt/core.h>

#include <algorithm>

#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

void refuse(Resolution& r, const ObjectView& v, const char* field, const std::string& why) {
  r.problems.add(v.at(field), v.pointer_to(field), why);
}

// Two different groups of machines.
void check_ends(Resolution& r, const ObjectView& v, const char* one, const char* other) {
  if (v.text(one) == v.text(other))
    refuse(r, v, other, fmt::format("must be another node group than \"{}\"", one));
}

// Time between two events of one machine. A run of more than a million per second is a mistake.
world::Distribution gap_of(Resolution& r, const ObjectView& v, const char* field) {
  world::Distribution d = v.distribution(field, r.problems);
  if (d.mean() < 1e-6) refuse(r, v, field, "must be 1 us or more on average");
  return d;
}

world::MessageSource source_of(Resolution& r, const std::string& name, const ObjectView& v,
                               const world::Outbox& box) {
  world::MessageSource s;
  s.name = name;
  s.bytes = v.distribution("bytes", r.problems);
  s.priority = static_cast<std::int32_t>(v.number("priority"));
  if (v.has("after") == v.has("interval")) {
    r.problems.add(v.at(), v.pointer(), "give either \"after\" or \"interval\"");
    return s;
  }
  if (v.has("interval")) {
    s.interval = gap_of(r, v, "interval");
    s.start = v.duration_or("start", Duration::max());
    return s;
  }
  s.service = r.services.at(v.text("after"));
  if (v.has("start")) refuse(r, v, "start", "only with \"interval\"");
  if (box.when_full == world::WhenFull::block)
    refuse(r, v, "after",
           "requests do not wait for outboxes, but this one has \"when_full\": \"block\"; take \"drop-oldest\", "
           "\"drop-newest\" or an \"interval\"");
  const world::Service& service = r.scenario.services[s.service];
  bool here = service.group == box.from && !service.pools;
  for (const world::Service& pool : r.scenario.services)
    here = here || (pool.front == s.service && pool.group == box.from);
  if (!here)
    refuse(r, v, "after",
           fmt::format("service \"{}\" does not run on \"{}\", from which this outbox sends", service.name,
                       r.scenario.nodes[box.from].name));
  return s;
}

world::Outbox outbox_of(Resolution& r, const std::string& name, const ObjectView& v) {
  world::Outbox o;
  o.name = name;
  check_ends(r, v, "from", "to");
  o.from = r.groups.at(v.text("from"));
  o.to = r.groups.at(v.text("to"));
  o.capacity = v.number_or("capacity", o.capacity);
  if (v.has("max_messages")) o.messages = v.big_count("max_messages");
  const std::string full = v.text("when_full"), order = v.text("order"), delivery = v.text("delivery");
  o.when_full = full == "block"         ? world::WhenFull::block
                : full == "drop-newest" ? world::WhenFull::drop_newest
                                        : world::WhenFull::drop_oldest;
  if (v.has("when_full") && !v.has("capacity") && !v.has("max_messages"))
    refuse(r, v, "when_full", "an outbox without \"capacity\" or \"max_messages\" is never full");
  o.order = order == "priority"       ? world::SendOrder::priority
            : order == "newest-first" ? world::SendOrder::newest_first
                                      : world::SendOrder::fifo;
  o.delivery = delivery == "at-most-once"   ? world::Delivery::at_most_once
               : delivery == "exactly-once" ? world::Delivery::exactly_once
                                            : world::Delivery::at_least_once;
  o.durable = v.flag("durable");
  o.batch = v.count("batch");
  o.batch_bytes = v.number_or("batch_bytes", o.batch_bytes);
  o.header = v.number("header");
  o.ack = v.number("ack");
  o.ack_timeout = v.duration("ack_timeout");
  if (delivery == "at-most-once")
    for (const char* field : {"ack", "ack_timeout"})
      if (v.has(field)) refuse(r, v, field, "nothing is acknowledged with \"delivery\": \"at-most-once\"");
  o.catch_up_rate = v.number_or("catch_up_rate", 0);
  const ObjectView again = v.object("reconnect");
  o.told = again.text("by") == "link-up";
  o.retry = again.duration("interval");
  o.retry_max = std::max(again.duration("longest"), o.retry);
  if (again.has("longest") && again.duration("longest") < o.retry)
    refuse(r, again, "longest", "must not be shorter than \"interval\"");
  o.backoff = again.number("backoff");
  o.jitter = again.number("jitter");
  o.trips = again.count("trips");
  o.trip_bytes = again.number("trip_bytes");
  const Value* messages = v.find("messages");
  for (const Member& m : messages->members) {
    const ObjectView source(&m.value, v.row("messages").elements[0].spec(), child(v.pointer_to("messages"), m.key),
                            m.at);
    o.sources.push_back(source_of(r, m.key, source, o));
  }
  return o;
}

world::ReplicatedData data_of(Resolution& r, const std::string& name, const ObjectView& v) {
  world::ReplicatedData d;
  d.name = name;
  check_ends(r, v, "hub", "at");
  d.hub = r.groups.at(v.text("hub"));
  d.at = r.groups.at(v.text("at"));
  d.popularity = world::ZipfLaw(v.big_count("keys"), v.number("exponent"));
  d.value = v.distribution("value", r.problems);
  if (v.has("writes")) d.writes = gap_of(r, v, "writes");
  if (v.has("hub_writes")) d.hub_writes = gap_of(r, v, "hub_writes");
  if (v.has("reads")) d.reads = gap_of(r, v, "reads");
  if (!d.writes && !d.hub_writes)
    r.problems.add(v.at(), v.pointer(), "nobody writes: give \"writes\" or \"hub_writes\"");
  d.push = v.text("sync") == "push";
  for (const char* field : {"interval", "start"})
    if (d.push && v.has(field)) refuse(r, v, field, "only with \"sync\": \"polling\"");
  if (!d.push && v.has("retry")) refuse(r, v, "retry", "only with \"sync\": \"push\"");
  d.interval = v.duration_or("interval", Duration::from_seconds(60));
  d.start = v.duration_or("start", Duration::max());
  d.retry = v.duration_or("retry", Duration::from_seconds(5));
  d.full = v.text("transfer") == "full";
  const std::string rule = v.text("conflicts");
  d.rule = rule == "hub-wins"    ? world::ConflictRule::hub_wins
           : rule == "keep-both" ? world::ConflictRule::keep_both
                                 : world::ConflictRule::last_writer_wins;
  if (v.has("clock_skew") && d.rule != world::ConflictRule::last_writer_wins)
    refuse(r, v, "clock_skew", "clocks matter only with \"conflicts\": \"last-writer-wins\"");
  d.clock_skew = v.duration("clock_skew");
  d.header = v.number("header");
  d.key_bytes = v.number("key_bytes");
  d.entry_bytes = v.number("entry_bytes");
  return d;
}

}  // namespace

void resolve_offline(Resolution& r, const ObjectView& root) {
  // Tags of flows have 28 bits for them.
  constexpr double most = 1e8;
  double machines = 0;
  const auto count = [&](const ObjectView& v, std::uint32_t group) {
    machines += r.scenario.nodes[group].count;
    if (machines > most)
      r.problems.add(v.at(), v.pointer(), fmt::format("more than {:.0f} outboxes or copies in all", most));
  };
  if (const Value* table = root.find("outboxes"))
    for (const Member& m : table->members) {
      const ObjectView v(&m.value, outbox_spec(), child("/outboxes", m.key), m.at);
      r.scenario.outboxes.push_back(outbox_of(r, m.key, v));
      count(v, r.scenario.outboxes.back().from);
    }
  if (const Value* table = root.find("replicated_data"))
    for (const Member& m : table->members) {
      const ObjectView v(&m.value, replicated_data_spec(), child("/replicated_data", m.key), m.at);
      r.scenario.replicated.push_back(data_of(r, m.key, v));
      count(v, r.scenario.replicated.back().at);
    }
}

}  // namespace isthmus::scenarios
