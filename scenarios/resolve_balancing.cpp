// The balancer of a service: from the scenario's words or from an nginx configuration file.
#include <fmt/core.h>

#include <memory>

#include "scenarios/file_reading.hpp"
#include "scenarios/nginx_upstream.hpp"
#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

using schedulers::HealthSpec;
using schedulers::ServerSpec;

std::vector<ServerSpec> servers_of(const ObjectView& b, const ServerSpec& others) {
  std::vector<ServerSpec> out;
  for (const ObjectView& v : b.objects("servers")) {
    ServerSpec s = others;
    s.weight = v.number("weight");
    s.max_conns = v.count("max_conns");
    s.priority = static_cast<std::uint16_t>(v.count("priority"));
    s.backup = v.flag("backup");
    s.down = v.flag("down");
    if (v.has("max_fails")) s.max_fails = v.count("max_fails");
    if (v.has("fail_timeout")) s.fail_timeout = v.duration("fail_timeout");
    out.push_back(s);
  }
  return out;
}

// Servers, routing and what follows from nginx's defaults.
void read_nginx(Resolution& r, const ObjectView& s, const ObjectView& b, HealthSpec& spec,
                world::Service& out) {
  for (const char* other : {"servers", "max_fails", "fail_timeout"})
    if (b.has(other))
      r.problems.add(b.at(other), b.pointer_to(other), "the nginx file says it; not with \"nginx\"");
  if (s.has("routing"))
    r.problems.add(s.at("routing"), s.pointer_to("routing"),
                   "the nginx file of \"balancer\" gives the policy; remove one of the two");
  NginxUpstream upstream;
  try {
    upstream = read_nginx_upstream(expand_path(b.text("nginx"), r.document.folder), b.text("upstream"));
  } catch (const InputError& e) {
    r.problems.add(b.at("nginx"), b.pointer_to("nginx"), e.what());
    return;
  }
  spec.servers = upstream.servers;
  spec.next_tries = static_cast<std::uint32_t>(upstream.servers.size());
  if (upstream.slow_start > Duration::zero() && !spec.slow_start)
    spec.slow_start = schedulers::SlowStartSpec{upstream.slow_start, 1, 0};
  out.routing = &schedulers::find_entry(schedulers::routing_policies(), upstream.policy);
  out.routing_parameters.emplace(out.routing->parameters);
}

HealthSpec spec_of(const ObjectView& b) {
  HealthSpec h;
  h.others.max_fails = b.count("max_fails");
  h.others.fail_timeout = b.duration("fail_timeout");
  h.servers = servers_of(b, h.others);
  h.connect_timeout = b.duration("connect_timeout");
  h.panic_threshold = b.number("panic_threshold");
  if (b.has("max_requests")) h.max_requests = b.count("max_requests");
  if (b.has("max_retries")) h.max_retries = b.count("max_retries");
  h.knows_failures = b.flag("knows_failures");
  if (b.has("outlier_ejection")) {
    const ObjectView o = b.object("outlier_ejection");
    h.outlier = schedulers::OutlierSpec{
        o.count("consecutive_errors"), o.duration("interval"),       o.duration("base_ejection"),
        o.duration("max_ejection"),    o.number("max_ejected"),      o.number("stdev_factor"),
        o.count("minimum_hosts"),      o.count("request_volume")};
  }
  if (b.has("circuit_breaker")) {
    const ObjectView c = b.object("circuit_breaker");
    h.breaker = schedulers::BreakerSpec{c.number("error_rate"), c.count("min_requests"),
                                        c.duration("window"), c.duration("open_for"), c.count("probes")};
  }
  if (b.has("slow_start")) {
    const ObjectView w = b.object("slow_start");
    h.slow_start =
        schedulers::SlowStartSpec{w.duration("window"), w.number("aggression"), w.number("least")};
  }
  if (b.has("health_check")) {
    const ObjectView c = b.object("health_check");
    h.active = schedulers::ActiveCheckSpec{c.duration("interval"), c.count("fall"), c.count("rise")};
  }
  return h;
}

}  // namespace

void read_balancer(Resolution& r, const ObjectView& s, world::Service& out,
                   std::uint32_t max_replicas) {
  if (!s.has("balancer")) return;
  const ObjectView b = s.object("balancer");
  const auto refuse = [&](const char* field, const std::string& why) {
    r.problems.add(b.at(field), b.pointer_to(field), why);
  };
  if (out.local) {
    r.problems.add(s.at("balancer"), s.pointer_to("balancer"),
                   "a local service has one replica for each client; there is nothing to balance");
    return;
  }
  HealthSpec spec = spec_of(b);
  if (b.has("nginx")) read_nginx(r, s, b, spec, out);
  else if (b.has("upstream")) refuse("upstream", "only with \"nginx\"");
  if (b.has("next_tries")) spec.next_tries = b.count("next_tries");
  for (const char* limit : {"max_requests", "max_retries"})
    if (b.has(limit) && b.count(limit) == 0)
      refuse(limit, "0 would turn all away; leave it out for no limit");
  if (b.has("knows_failures") && b.flag("knows_failures"))
    for (const char* other : {"health_check", "connect_timeout"})
      if (b.has(other)) refuse(other, "not with \"knows_failures\": dead replicas get no requests");
  const char* field = b.has("nginx") ? "nginx" : "servers";
  if (!spec.servers.empty() && spec.servers.size() != max_replicas)
    refuse(field, fmt::format("{} servers for at most {} replicas; there must be one for each",
                              spec.servers.size(), max_replicas));
  bool any = spec.servers.empty();
  for (const ServerSpec& server : spec.servers) any = any || !server.down;
  if (!any) refuse(field, "all servers are \"down\": no request would be served");
  out.health = std::make_shared<const HealthSpec>(std::move(spec));
}

}  // namespace isthmus::scenarios
