// Calls between services, and the pools of connections that they use.
#include <fmt/format.h>

#include <algorithm>

#include "scenarios/protocol_figures.hpp"
#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

// The rows of "calls", which is one call or a list of them.
std::vector<ObjectView> rows_of_calls(const ObjectView& s) {
  std::vector<ObjectView> rows;
  const Value* v = s.find("calls");
  if (!v) return rows;
  const std::string pointer = s.pointer_to("calls");
  if (v->kind != JsonKind::list) return {ObjectView(v, calls_spec(), pointer, v->at)};
  for (std::size_t i = 0; i < v->items.size(); ++i)
    rows.emplace_back(&v->items[i], calls_spec(), child(pointer, i), v->items[i].at);
  return rows;
}

world::ConnectionPoolSpec pool_of(Resolution& r, const ObjectView& v, const std::string& service,
                                  const std::string& name) {
  world::ConnectionPoolSpec p;
  p.name = service + "/" + name;
  p.shared = v.flag("shared");
  if (v.has("max_open")) p.max_open = v.count("max_open");
  p.max_idle = std::min(v.count("max_idle"), p.max_open);
  if (v.has("max_idle") && v.count("max_idle") > p.max_open)
    r.problems.add(v.at("max_idle"), v.pointer_to("max_idle"), "must not be above \"max_open\"");
  p.max_lifetime = v.duration_or("max_lifetime", Duration::max());
  p.max_idle_time = v.duration_or("max_idle_time", Duration::max());
  p.wait_timeout = v.duration_or("wait_timeout", Duration::max());
  p.open_time = v.duration("open_time");
  const double bare = tcp_segment.overhead;
  const std::string encryption = v.text("encryption");
  p.trips.assign(v.count("round_trips"), {bare, bare});
  if (encryption != "none") {
    const world::Handshake h = handshake_figures(encryption, false);
    p.trips.push_back({h.up + bare, h.down + bare});
    if (encryption == "tls-1.2") p.trips.push_back({bare, bare});
  }
  return p;
}

world::Call call_of(Resolution& r, const ObjectView& c, const std::string& name, const std::vector<std::string>& pools,
                    bool listed) {
  world::Call call;
  call.service = r.services.at(c.text("service"));
  if (c.has("request")) call.request = c.number("request");
  if (c.has("answer")) call.answer = c.number("answer");
  call.chance = c.number("chance");
  call.count = c.count("count");
  call.parallel = c.flag("parallel");
  for (const char* field : {"chance", "count", "parallel"})
    if (!listed && c.has(field))
      r.problems.add(c.at(field), c.pointer_to(field), "only in a list of calls: write \"calls\": [{...}]");
  const std::string does = c.text("operation");
  call.operation = does == "read" ? world::Operation::read : does == "write" ? world::Operation::write : world::Operation::any;
  if (!c.has("pool")) return call;
  const auto refuse = [&](const std::string& why) { r.problems.add(c.at("pool"), c.pointer_to("pool"), why); };
  const auto it = std::find(pools.begin(), pools.end(), c.text("pool"));
  if (it == pools.end()) {
    refuse(fmt::format("service \"{}\" has no connection pool \"{}\"; describe it in its \"connection_pools\"", name,
                       c.text("pool")));
    return call;
  }
  call.pool = static_cast<std::uint32_t>(it - pools.begin());
  const world::Service& called = r.scenario.services[call.service];
  if (called.health)
    refuse(fmt::format("\"{}\" has a balancer that watches its replicas; a connection goes to one of them for good",
                       called.name));
  else if (called.pools)
    refuse(fmt::format("\"{}\" has pools of replicas; connections go to one replica for good", called.name));
  return call;
}

void read_queue(Resolution& r, const ObjectView& s, const std::string& name, world::Fetching& f) {
  const ObjectView v = s.object("message_queue");
  const auto refuse = [&](const std::string& why) { r.problems.add(v.at(), v.pointer(), why); };
  const world::Service& service = r.scenario.services[r.services.at(name)];
  if (!f.listed) refuse("needs \"calls\": [{...}], which consume its messages");
  if (s.has("caches")) refuse("not with \"caches\"; put a service before it that has them");
  if (service.autoscaling.policy) refuse("its replicas keep messages and cannot be scaled; scale the consumers");
  if (service.placement) refuse("its replicas keep messages and cannot be moved; leave \"placement\" out");
  world::QueueSpec q;
  q.concurrency = v.count("concurrency");
  if (v.has("capacity")) q.capacity = v.count("capacity");
  q.ack_timeout = v.duration_or("ack_timeout", Duration::max());
  q.redelivery_delay = v.duration("redelivery_delay");
  q.max_tries = v.count("max_tries");
  q.durable = v.flag("durable");
  f.queue = q;
}

}  // namespace

void read_calls(Resolution& r, const ObjectView& s, const std::string& name, world::Fetching& f) {
  std::vector<std::string> pools;
  if (const Value* all = s.find("connection_pools"))
    for (const Member& m : all->members) {
      pools.push_back(m.key);
      f.pools.push_back(pool_of(
          r, ObjectView(&m.value, connection_pool_spec(), child(s.pointer_to("connection_pools"), m.key), m.at), name,
          m.key));
    }
  const std::vector<ObjectView> rows = rows_of_calls(s);
  f.listed = !rows.empty() && s.find("calls")->kind == JsonKind::list;
  for (const ObjectView& c : rows)
    if (may_be_called(r, c, "service", name)) f.calls.push_back(call_of(r, c, name, pools, f.listed));
  for (std::uint32_t p = 0; p < pools.size(); ++p) {
    const Member& m = s.find("connection_pools")->members[p];
    const std::string pointer = child(s.pointer_to("connection_pools"), m.key);
    std::optional<std::uint32_t> to;
    for (const world::Call& c : f.calls) {
      if (c.pool != p) continue;
      if (to && *to != c.service)
        r.problems.add(m.at, pointer, fmt::format("its connections go to \"{}\", but a call to \"{}\" uses it too",
                                                  r.scenario.services[*to].name, r.scenario.services[c.service].name));
      to = c.service;
    }
    if (!to && rows.size() == f.calls.size())
      r.problems.add(m.at, pointer, "no call uses it; give one \"pool\": \"" + m.key + "\"");
  }
  if (s.has("message_queue")) read_queue(r, s, name, f);
  if (f.caches_calls && f.listed && (f.calls.size() != 1 || f.calls[0].chance < 1 || f.calls[0].count != 1))
    r.problems.add(s.at("caches_hold"), s.pointer_to("caches_hold"),
                   "\"calls\" needs exactly one call, which always is made once; put a service between that has the "
                   "cache and this call");
}

namespace {

// Along the calls, from one that may be on its way to itself.
void follow(Resolution& r, const ObjectView& root, std::vector<std::uint32_t>& way, std::vector<std::uint8_t>& seen) {
  const auto& services = r.scenario.services;
  const std::uint32_t at = way.back();
  seen[at] = 1;
  const auto& fetching = services[at].fetching;
  for (std::size_t i = 0; fetching && i < fetching->calls.size(); ++i) {
    const std::uint32_t to = fetching->calls[i].service;
    if (const auto first = std::find(way.begin(), way.end(), to); first != way.end()) {
      std::string path;
      for (auto it = first; it != way.end(); ++it) path += "\"" + services[*it].name + "\" -> ";
      const ObjectView s(root.find("services")->find(services[at].name), service_spec(),
                         child("/services", services[at].name), {});
      const ObjectView c = rows_of_calls(s)[i];
      r.problems.add(c.at("service"), c.pointer_to("service"),
                     fmt::format("the calls go in a circle: {}\"{}\"", path, services[to].name));
      return;
    }
    if (r.problems.any()) return;
    if (seen[to]) continue;
    way.push_back(to);
    follow(r, root, way, seen);
    way.pop_back();
  }
}

bool gives_tokens(const world::Scenario& s, std::uint32_t service) {
  const auto& v = s.services[service];
  if (std::holds_alternative<world::LlmModel>(v.work)) return true;
  return v.fetching && !v.fetching->queue && std::any_of(v.fetching->calls.begin(), v.fetching->calls.end(),
                                   [&](const world::Call& c) { return gives_tokens(s, c.service); });
}

}  // namespace

void resolve_call_chains(Resolution& r, const ObjectView& root) {
  auto& services = r.scenario.services;
  std::vector<std::uint8_t> seen(services.size());
  for (std::uint32_t i = 0; i < services.size(); ++i) {
    std::vector<std::uint32_t> way{i};
    if (services[i].fetching && !seen[i]) follow(r, root, way, seen);
    if (r.problems.any()) return;
  }
  for (std::uint32_t i = 0; i < services.size(); ++i) {
    if (!services[i].fetching) continue;
    auto f = std::make_shared<world::Fetching>(*services[i].fetching);
    f->tokens = gives_tokens(r.scenario, i);
    services[i].fetching = std::move(f);
  }
}

}  // namespace isthmus::scenarios
