// Services whose replicas stand in several pools.
#include <fmt/core.h>

#include <cmath>

#include "scenarios/compose.hpp"
#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

world::PoolRole role_named(const std::string& name) {
  if (name == "prefill") return world::PoolRole::prefill;
  if (name == "decode") return world::PoolRole::decode;
  return world::PoolRole::both;
}

Value parsed_one(Position at) {
  Value v;
  v.kind = JsonKind::number;
  v.number = 1;
  v.text = "1";
  v.at = at;
  return v;
}

// What the pool says over what the service says.
Value pool_value(const Value& service, const Value& pool) {
  Value merged = service;
  std::erase_if(merged.members, [](const Member& m) {
    return m.key == "pools" || m.key == "kv_transfer" || m.key == "routing" ||
           m.key == "decode_routing" || m.key == "balancer" || m.key == "admission" ||
           m.key == "placement";
  });
  // With a placement, the service says how many replicas there are in all.
  if (service.find("placement")) {
    std::erase_if(merged.members, [](const Member& m) {
      return m.key == "replicas" || m.key == "min_replicas" || m.key == "max_replicas" ||
             m.key == "autoscaling";
    });
    merged.members.push_back({"replicas", pool.at, parsed_one(pool.at)});
  }
  Value own = pool;
  std::erase_if(own.members, [](const Member& m) { return m.key == "role"; });
  merge(merged, own);
  return merged;
}

void check_pool(Resolution& r, const Position& at, const std::string& pointer,
                const world::Service& pool) {
  if (r.problems.any()) return;
  const auto* graph = std::get_if<world::GraphModel>(&pool.work);
  if (pool.role != world::PoolRole::both && !std::holds_alternative<world::LlmModel>(pool.work))
    r.problems.add(at, pointer, "only language models have pools of roles prefill and decode");
  else if (graph && !graph->choices.empty())
    r.problems.add(at, pointer, "a pool runs one variant without early exits");
  else if (pool.local)
    r.problems.add(at, pointer,
                   fmt::format("\"{}\" are devices, whose services are local; pools serve all "
                               "clients",
                               r.scenario.nodes[pool.group].name));
  else if (pool.role != world::PoolRole::both &&
           pool.batching.continuous.scheduling == devices::Scheduling::static_batch)
    r.problems.add(at, pointer,
                   "static batches keep their rows until all have ended; prefill and decode pools "
                   "need another \"scheduling\"");
}

// Says what is not stated about the ways of KV caches.
void notice_ways(Resolution& r, const world::Pools& pools) {
  for (const std::uint32_t from : pools.first)
    for (const std::uint32_t to : pools.decode) {
      const world::Service &a = r.scenario.services[from], &b = r.scenario.services[to];
      const world::NodeGroup& group = r.scenario.nodes[a.group];
      if (a.role == world::PoolRole::prefill && a.group == b.group && group.accelerators > 1 &&
          std::isinf(group.interconnect_bandwidth))
        r.scenario.notices.push_back(
            fmt::format("service \"{}\": KV caches move within a machine of \"{}\" in no time, for "
                        "it states no interconnect_bandwidth",
                        r.scenario.services[a.front].name, group.name));
    }
}

}  // namespace

void resolve_pools(Resolution& r, const ObjectView& root, const std::string& name,
                   const ObjectView& s) {
  const bool placed = s.has("placement");
  for (const char* other : {"replicas", "min_replicas", "max_replicas", "autoscaling"}) {
    if (!placed && s.has(other))
      r.problems.add(s.at(other), s.pointer_to(other), "each pool has its own; say it there");
    if (!placed) continue;
    for (const Member& m : s.find("pools")->members)
      if (const Value* written = m.value.find(other))
        r.problems.add(written->at, child(child(s.pointer_to("pools"), m.key), other),
                       "the placement of the service chooses the pool of each replica; say it there");
  }
  for (const char* other : {"split", "local"})
    if (s.has(other))
      r.problems.add(s.at(other), s.pointer_to(other), "not with \"pools\"");
  if (r.problems.any()) return;

  const auto front = static_cast<std::uint32_t>(r.scenario.services.size());
  r.scenario.services.emplace_back();
  world::Pools pools;
  std::uint32_t prefills = 0;
  std::vector<std::pair<std::uint32_t, std::string>> excluded;
  for (const Member& m : s.find("pools")->members) {
    const std::string pointer = child(s.pointer_to("pools"), m.key);
    const Value merged = pool_value(*s.value(), m.value);
    if (placed) {
      const ObjectView replica(&merged, service_spec(), pointer, m.at);
      const std::uint32_t group = r.groups.at(replica.text("on"));
      if (std::string why = unmet_requirement(r, s, replica, group); !why.empty()) {
        excluded.emplace_back(group, std::move(why));
        continue;
      }
    }
    world::Service pool = resolve_service(r, root, fmt::format("{}/{}", name, m.key),
                                          ObjectView(&merged, service_spec(), pointer, m.at));
    pool.front = front;
    pool.role = role_named(ObjectView(&m.value, pool_spec(), pointer, m.at).text("role"));
    pool.routing = nullptr;
    pool.routing_parameters.reset();
    if (placed) {
      read_requests(r, s, pool);
      if (pool.role != world::PoolRole::both)
        r.problems.add(m.at, pointer, "with a placement all pools have the role \"both\"");
    }
    check_pool(r, m.at, pointer, pool);
    prefills += pool.role == world::PoolRole::prefill ? 1 : 0;
    (pool.role == world::PoolRole::decode ? pools.decode : pools.first)
        .push_back(static_cast<std::uint32_t>(r.scenario.services.size()));
    r.scenario.services.push_back(std::move(pool));
  }
  if (r.problems.any()) return;
  if (placed && pools.first.empty()) {
    std::string reasons;
    for (const auto& [group, why] : excluded) reasons += (reasons.empty() ? "" : "; ") + why;
    r.problems.add(s.at("placement"), s.pointer_to("placement"), "no machine is what it requires: " + reasons);
    return;
  }
  const auto refuse = [&](const char* field, const char* why) {
    r.problems.add(s.at(field), s.pointer_to(field), why);
  };
  if ((prefills > 0) != !pools.decode.empty())
    return refuse("pools", prefills > 0 ? "pools of role prefill need one of role decode"
                                        : "pools of role decode need one of role prefill");
  if (pools.decode.empty())
    for (const char* other : {"kv_transfer", "decode_routing"})
      if (s.has(other)) refuse(other, "only with pools of roles prefill and decode");
  pools.transfer = s.text("kv_transfer") == "layerwise" ? world::KvTransfer::layerwise
                                                        : world::KvTransfer::after_prefill;
  read_policy(r, s, "decode_routing", routing_spec(), schedulers::routing_policies(),
              pools.decode_routing, pools.decode_routing_parameters);
  notice_ways(r, pools);

  // It shows itself to clients as its first pool does.
  world::Service whole = r.scenario.services[pools.first.front()];
  whole.name = name;
  whole.front = ~0U;
  whole.role = world::PoolRole::both;
  whole.autoscaling = {};
  whole.cold_start = Duration::zero();
  whole.load_host_peak = 0;
  whole.health = nullptr;
  whole.replicas = whole.min_replicas = whole.max_replicas = 0;
  for (const auto* list : {&pools.first, &pools.decode})
    for (const std::uint32_t pool : *list)
      whole.timing_error = std::max(whole.timing_error, r.scenario.services[pool].timing_error);
  read_policy(r, s, "routing", routing_spec(), schedulers::routing_policies(), whole.routing,
              whole.routing_parameters);
  std::uint32_t replicas = 0;
  if (placed) {
    read_replicas(r, s, whole);
    read_rules(r, s, whole, std::move(excluded));
    replicas = whole.max_replicas;
  }
  for (const std::uint32_t pool : pools.first) replicas += placed ? 0 : r.scenario.services[pool].max_replicas;
  if (s.has("balancer") && !pools.decode.empty())
    refuse("balancer", "not with pools of roles prefill and decode");
  read_balancer(r, s, whole, replicas);
  whole.admission = read_admission(r, s);
  whole.pools = std::move(pools);
  r.scenario.services[front] = std::move(whole);
}

}  // namespace isthmus::scenarios
