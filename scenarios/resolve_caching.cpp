// Keys of requests, caches and calls.
#include <fmt/format.h>

#include <algorithm>

#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"
#include "schedulers/registry.hpp"
#include "sim/world/arrival_fields.hpp"
#include "sim/world/visits.hpp"

namespace isthmus::scenarios {

namespace {

bool fetches(const ObjectView& s) {
  return s.has("caches") || s.has("calls") || s.has("caches_hold") || s.has("connection_pools") ||
         s.has("message_queue");
}

}  // namespace

// A service that holds a cache, or that another one calls.
bool may_be_called(Resolution& r, const ObjectView& row, std::string_view name,
                   const std::string& caller) {
  const std::string callee = row.text(name);
  const world::Service& s = r.scenario.services[r.services.at(callee)];
  std::string why;
  if (callee == caller) why = "a service cannot call itself";
  else if (s.local)
    why = fmt::format("\"{}\" serves its own machines only; set its \"local\" to false", callee);
  else if (s.split)
    why = fmt::format("\"{}\" is split with its clients; only they can begin its requests", callee);
  if (why.empty()) return true;
  r.problems.add(row.at(name), row.pointer_to(name), why);
  return false;
}

namespace {

void read_similarity(Resolution& r, const ObjectView& c, world::CacheTier& tier) {
  if (!c.has("similarity")) return;
  const ObjectView v = c.object("similarity");
  tier.threshold = v.number("threshold");
  const Value* points = v.find("suits");
  for (std::size_t i = 0; i < points->items.size(); ++i) {
    const Value& p = points->items[i];
    tier.suits.emplace_back(number_of(p.items[0], Unit::fraction),
                            number_of(p.items[1], Unit::fraction));
    if (i > 0 && tier.suits[i].first <= tier.suits[i - 1].first)
      r.problems.add(p.at, child(v.pointer_to("suits"), i), "similarities must increase");
  }
  if (tier.threshold >= 1)
    r.problems.add(v.at("threshold"), v.pointer_to("threshold"),
                   "must be below 1; without \"similarity\" only equal keys count");
  tier.limits.similar = true;
}

world::CacheTier cache_of(Resolution& r, const ObjectView& c, const std::string& service) {
  world::CacheTier tier;
  if (c.has("entries")) tier.limits.entries = static_cast<double>(c.big_count("entries"));
  if (c.has("capacity")) tier.limits.bytes = c.number("capacity");
  tier.limits.ttl = c.duration_or("ttl", Duration::max());
  tier.limits.renewed = c.text("ttl_from") == "use";
  if (c.has("ttl_from") && !c.has("ttl"))
    r.problems.add(c.at("ttl_from"), c.pointer_to("ttl_from"), "only with \"ttl\"");
  read_policy(r, c, "replacement", replacement_spec(), schedulers::replacement_policies(), tier.policy,
              tier.parameters);
  tier.lookup = c.duration("lookup_time");
  tier.coalesce = c.flag("coalesce");
  tier.request_bytes = c.number("request");
  tier.miss_bytes = c.number("miss");
  read_similarity(r, c, tier);

  const bool server = c.has("server");
  for (const char* other : {"scope", "coalesce"})
    if (server && c.has(other))
      r.problems.add(c.at(other), c.pointer_to(other), "not with \"server\"");
  for (const char* other : {"request", "miss"})
    if (!server && c.has(other))
      r.problems.add(c.at(other), c.pointer_to(other), "only with \"server\"");
  if (c.text("scope") == "node") tier.scope = world::CacheScope::node;
  if (!server || !may_be_called(r, c, "server", service)) return tier;
  tier.scope = world::CacheScope::server;
  tier.server = r.services.at(c.text("server"));
  const world::Service& holder = r.scenario.services[tier.server];
  if (holder.pools || std::holds_alternative<world::LlmModel>(holder.work))
    r.problems.add(c.at("server"), c.pointer_to("server"),
                   "a language model cannot hold a cache; name a service with a service_time");
  if (holder.max_replicas > 1 && holder.routing->name != "consistent-hash" &&
      holder.routing->name != "modulo-hash")
    r.scenario.notices.push_back(
        fmt::format("service \"{}\": its {} replicas hold a cache, but \"routing\": \"{}\" sends a key "
                    "to any of them; consistent-hash and modulo-hash give each key one owner",
                    holder.name, holder.max_replicas, holder.routing->name));
  return tier;
}

// The service's own fields, without what depends on other services' fields.
std::shared_ptr<world::Fetching> fetching_of(Resolution& r, const ObjectView& s,
                                             const std::string& name) {
  const world::Service& service = r.scenario.services[r.services.at(name)];
  const char* field = s.has("caches") ? "caches" : s.has("calls") ? "calls"
                      : s.has("caches_hold") ? "caches_hold" : s.has("message_queue") ? "message_queue" : "connection_pools";
  const auto refuse = [&](const std::string& why) {
    r.problems.add(s.at(field), s.pointer_to(field), why);
  };
  auto f = std::make_shared<world::Fetching>();
  if (service.pools)
    refuse("not with \"pools\"; put a service before this one that has the caches and calls it");
  if (service.split || service.parts)
    refuse("not for the parts of a split; put a service before it that has the caches and calls it");
  f->caches_calls = s.text("caches_hold") == "calls";
  if (s.has("caches_hold") && (!s.has("caches") || (f->caches_calls && !s.has("calls"))))
    r.problems.add(s.at("caches_hold"), s.pointer_to("caches_hold"),
                   s.has("caches") ? "needs \"calls\"" : "only with \"caches\"");
  read_calls(r, s, name, *f);
  for (const ObjectView& c : s.objects("caches")) {
    f->caches.push_back(cache_of(r, c, name));
    world::CacheTier& tier = f->caches.back();
    tier.name = c.has("name") ? c.text("name") : fmt::format("cache-{}", f->caches.size());
    for (std::size_t i = 0; i + 1 < f->caches.size(); ++i)
      if (f->caches[i].name == tier.name)
        r.problems.add(c.at(), c.pointer(), fmt::format("a second cache is called \"{}\"", tier.name));
  }
  if (f->caches.size() > world::max_cache_tiers)
    r.problems.add(s.at("caches"), s.pointer_to("caches"),
                   fmt::format("at most {} caches", world::max_cache_tiers));
  return f;
}

}  // namespace

void resolve_caching(Resolution& r, const ObjectView& root) {
  std::vector<std::pair<std::uint32_t, std::shared_ptr<world::Fetching>>> all;
  std::uint32_t caches = 0, pools = 0;
  for (const Member& m : root.find("services")->members) {
    const ObjectView s(&m.value, service_spec(), child("/services", m.key), m.at);
    const std::uint32_t index = r.services.at(m.key);
    if (s.has("max_connections")) r.scenario.services[index].max_connections = s.count("max_connections");
    if (!fetches(s)) continue;
    all.emplace_back(index, fetching_of(r, s, m.key));
    for (world::CacheTier& tier : all.back().second->caches) tier.id = ++caches;
    for (world::ConnectionPoolSpec& pool : all.back().second->pools) pool.id = pools++;
    if (caches > 255)
      r.problems.add(s.at("caches"), s.pointer_to("caches"), "a scenario has at most 255 caches");
    r.scenario.services[index].fetching = all.back().second;
  }
  if (r.problems.any()) return;
  const auto& services = r.scenario.services;
  for (const auto& [index, f] : all) {
    const ObjectView s(root.find("services")->find(services[index].name), service_spec(),
                       child("/services", services[index].name), {});
    for (const ObjectView& c : s.objects("caches"))
      if (c.has("server") && services[r.services.at(c.text("server"))].fetching)
        r.problems.add(c.at("server"), c.pointer_to("server"),
                       fmt::format("\"{}\" has caches or calls of its own; it cannot hold this one",
                                   c.text("server")));
  }
  resolve_call_chains(r, root);
}

bool is_called(const world::Scenario& scenario, std::uint32_t service) {
  return std::any_of(scenario.services.begin(), scenario.services.end(), [&](const auto& s) {
    if (!s.fetching) return false;
    const auto& caches = s.fetching->caches;
    const auto& calls = s.fetching->calls;
    return std::any_of(calls.begin(), calls.end(),
                       [&](const world::Call& c) { return c.service == service; }) ||
           std::any_of(caches.begin(), caches.end(),
                       [&](const world::CacheTier& c) { return c.server == service; });
  });
}

std::optional<world::KeyLaw> key_of(Resolution& r, const ObjectView& request, const ObjectView& workload,
                                    const world::Workload& w) {
  if (!request.has("key")) return std::nullopt;
  const ObjectView v = request.object("key");
  const auto refuse = [&](const std::string& why) { r.problems.add(v.at(), v.pointer(), why); };
  if (workload.has("task") && workload.object("task").has("session"))
    refuse("the turns of a session are never equal; leave it out");
  world::KeyLaw law;
  if (v.variant() == "trace") {
    law.from_trace = true;
    const world::Arrivals& a = w.arrivals;
    const bool csv = a.kind == world::ArrivalKind::trace && a.format == world::TraceFormat::csv;
    if (csv && !a.file.empty()) {
      try {
        if (world::CsvReader(a.file).find("key") < 0)
          refuse(fmt::format("\"{}\" has no column \"key\"", workload.text("file")));
      } catch (const InputError& e) {
        refuse(e.what());
      }
    } else if (!csv && a.tokens_per_hash == 0) {
      refuse("needs a csv trace with a column \"key\", or a mooncake trace with tokens_per_hash");
    }
    return law;
  }
  law.popularity = world::ZipfLaw(v.big_count("items"),
                                  v.variant() == "zipf" ? v.number("exponent") : 0.0);
  law.lifetime = v.duration_or("lifetime", Duration::max());
  law.space = hash_name(v.has("space") ? v.text("space") : w.name);
  if (v.has("similarity") && !v.has("clusters"))
    r.problems.add(v.at("similarity"), v.pointer_to("similarity"), "only with \"clusters\"");
  if (v.has("clusters")) law.clusters = v.big_count("clusters");
  law.similarity = v.has("similarity") ? v.distribution("similarity", r.problems)
                                       : world::Distribution::uniform(0, 1);
  return law;
}

}  // namespace isthmus::scenarios
