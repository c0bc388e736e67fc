// Services with a primary and standbys from their table.
#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

// Connections stay with a replica, so that a pool is for reads or for writes.
void check_reads(Resolution& r, const ObjectView& v, const world::FailoverSpec& f) {
  if (f.reads == world::ReadsFrom::primary) return;
  for (const world::Service& s : r.scenario.services) {
    if (!s.fetching) continue;
    std::map<std::uint32_t, world::Operation> of_pool;
    for (const world::Call& c : s.fetching->calls) {
      if (c.service != f.service || !c.pool) continue;
      const auto first = of_pool.emplace(*c.pool, c.operation).first->second;
      if (c.operation != world::Operation::any && c.operation == first && !f.own_writes) continue;
      r.problems.add(v.at("reads_from"), v.pointer_to("reads_from"),
                     fmt::format("the pool \"{}\" keeps connections to one replica each: {}", s.fetching->pools[*c.pool].name,
                                 f.own_writes ? "leave \"read_your_writes\" or the pool out"
                                              : "give reads and writes pools of their own, and their calls an \"operation\""));
      return;
    }
  }
}

void add_failover(Resolution& r, const std::string& name, const ObjectView& v) {
  const auto wrong = [&](const char* field, const std::string& why) {
    r.problems.add(v.at(field), v.pointer_to(field), why);
  };
  world::FailoverSpec f;
  f.name = name;
  f.service = r.services.at(v.text("service"));
  const world::Service& s = r.scenario.services[f.service];
  if (const char* why = s.local ? "is local to its clients"
                        : s.pools ? "has pools"
                        : s.autoscaling.policy ? "is scaled: a primary would come and go"
                        : s.health ? "has a balancer; here health checks choose the primary"
                        : s.fetching ? "has caches or calls"
                        : s.split || s.parts ? "is split"
                                             : nullptr)
    wrong("service", fmt::format("service \"{}\" {}", s.name, why));
  for (const world::FailoverSpec& other : r.scenario.failovers)
    if (other.service == f.service) wrong("service", fmt::format("has a failover already: \"{}\"", other.name));
  const std::string how = v.text("replication");
  f.durability = how == "synchronous"    ? world::Durability::synchronous
                 : how == "asynchronous" ? world::Durability::asynchronous
                                         : world::Durability::checkpoint;
  const bool stores = f.durability == world::Durability::checkpoint;
  if (!stores && s.replicas < 2)
    wrong("replication", fmt::format("needs a standby, but service \"{}\" has one replica; give it \"replicas\": 2, "
                                     "or take \"checkpoint\"", s.name));
  for (const char* field : {"checkpoint_interval", "checkpoint_bytes", "checkpoint_bandwidth", "log", "replay"})
    if (!stores && v.has(field)) wrong(field, "only with \"replication\": \"checkpoint\"");
  for (const char* field : {"record", "ack", "batch_interval"})
    if (stores && v.has(field)) wrong(field, "not with \"replication\": \"checkpoint\", which sends nothing to standbys");
  if (f.durability != world::Durability::asynchronous && v.has("batch_interval") && !stores)
    wrong("batch_interval", "only with \"replication\": \"asynchronous\"");
  f.write_share = v.number("write_share");
  const std::string reads = v.text("reads_from");
  f.reads = reads == "standby"   ? world::ReadsFrom::standby
            : reads == "nearest" ? world::ReadsFrom::nearest
                                 : world::ReadsFrom::primary;
  f.own_writes = v.flag("read_your_writes");
  if (stores && f.reads != world::ReadsFrom::primary)
    wrong("reads_from", "with \"replication\": \"checkpoint\" standbys have no data to read");
  if (f.own_writes && f.reads == world::ReadsFrom::primary)
    wrong("read_your_writes", "only with \"reads_from\": the primary has all writes");
  check_reads(r, v, f);
  f.record = v.number("record");
  f.ack = v.number("ack");
  f.ship = v.duration_or("batch_interval", Duration::zero());
  f.probe = v.duration("probe_interval");
  f.misses = v.count("misses");
  f.promotion = v.duration("promotion");
  f.checkpoint = v.duration("checkpoint_interval");
  f.stored = v.number("checkpoint_bytes");
  f.bandwidth = v.number("checkpoint_bandwidth");
  f.logged = v.flag("log");
  f.replay = v.duration("replay");
  for (const char* field : {"probe_interval", "checkpoint_interval", "batch_interval"})
    if (v.has(field) && v.duration(field) < Duration(1'000'000)) wrong(field, "must be 1 ms or more");
  if (stores && f.stored / f.bandwidth > f.checkpoint.seconds())
    wrong("checkpoint_interval", fmt::format("storing a checkpoint takes {:.3g} s, longer than the interval", f.stored / f.bandwidth));
  r.scenario.failovers.push_back(std::move(f));
}

}  // namespace

void resolve_failover(Resolution& r, const ObjectView& root) {
  if (const Value* written = root.find("failover"))
    for (const Member& m : written->members)
      add_failover(r, m.key, ObjectView(&m.value, failover_spec(), child("/failover", m.key), m.at));
  for (const world::Service& s : r.scenario.services) {
    if (!s.fetching) continue;
    for (const world::Call& c : s.fetching->calls)
      if (c.operation != world::Operation::any &&
          std::none_of(r.scenario.failovers.begin(), r.scenario.failovers.end(),
                       [&](const world::FailoverSpec& f) { return f.service == c.service; }))
        r.scenario.notices.push_back(fmt::format("service \"{}\": \"operation\" of its call to \"{}\" means nothing there: "
                                                 "no \"failover\" names that service",
                                                 s.name, r.scenario.services[c.service].name));
  }
}

}  // namespace isthmus::scenarios
