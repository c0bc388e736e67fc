// Accelerators that several replicas stand on, and who may.
#include <fmt/core.h>

#include <algorithm>

#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

void read_accelerator_sharing(Resolution& r, const ObjectView& v, world::NodeGroup& g) {
  if (!v.has("sharing")) return;
  const ObjectView s = v.object("sharing");
  const auto refuse = [&](const std::string& why) { r.problems.add(v.at("sharing"), v.pointer_to("sharing"), why); };
  for (const char* other : {"physics", "model_cache"})
    if (v.has(other) && !(v.find(other)->is(JsonKind::boolean) && !v.flag(other)))
      return refuse(fmt::format("cannot be combined with \"{}\"", other));
  if (std::ranges::all_of(g.units, [](const models::ComputeUnit& u) { return u.kind == models::UnitKind::cpu; }))
    return refuse(fmt::format("\"{}\" has no accelerator", g.name));
  world::AcceleratorSharing how;
  how.kind = s.text("kind") == "mps" ? world::AcceleratorSharing::Kind::mps
                                     : world::AcceleratorSharing::Kind::time_slicing;
  how.replicas = s.count("replicas");
  how.slice = s.number("slice");
  how.context_switch = s.number("context_switch");
  if (how.kind == world::AcceleratorSharing::Kind::mps)
    for (const char* other : {"slice", "context_switch"})
      if (s.has(other)) r.problems.add(s.at(other), s.pointer_to(other), "only for \"kind\": \"time_slicing\"");
  g.sharing = how;
}

void read_shared_use(Resolution& r, const ObjectView& s, world::Service& out) {
  const world::NodeGroup& g = r.scenario.nodes[out.group];
  const bool mps = g.sharing && g.sharing->kind == world::AcceleratorSharing::Kind::mps;
  for (const char* field : {"active_thread_percentage", "occupancy"})
    if (s.has(field) && !mps)
      r.problems.add(s.at(field), s.pointer_to(field),
                     fmt::format("only on machines with \"sharing\": {{\"kind\": \"mps\", ...}}; \"{}\" has none", g.name));
  if (!g.sharing || r.problems.any()) return;
  const auto refuse = [&](const char* field, const std::string& why) {
    r.problems.add(s.at(field), s.pointer_to(field), why);
  };
  if (const world::GraphExecution* e = out.execution()) {
    if (std::ranges::any_of(e->units, [&](std::uint32_t u) { return g.shared(u); }))
      refuse("units", fmt::format("operators of graphs on several units share these by themselves; on \"{}\" with "
                                  "\"sharing\" name one \"unit\"", g.name));
    return;
  }
  if (!g.shared(out.unit)) return;
  if (out.local)
    return refuse("on", fmt::format("services on shared accelerators are not local; set \"local\": false, or take "
                                    "\"sharing\" off \"{}\"", g.name));
  if (out.parallel > 1) return refuse("on", "a replica on shared accelerators has a part of one");
  if (s.has("placement"))
    return refuse("placement", fmt::format("replicas on shared accelerators take the one with the fewest others; take "
                                           "\"sharing\" off \"{}\"", g.name));
  // Laws take a place like everybody else.
  if (std::holds_alternative<world::ServiceLaw>(out.work)) out.reserves = 1;
  out.shared_use.cap = s.number("active_thread_percentage") / 100;
  out.shared_use.fills = s.number("occupancy");
  out.shared_use.memory = replica_memory(g, out, s);
}

void check_shared_pools(Resolution& r, const ObjectView& root) {
  for (const world::Service& s : r.scenario.services) {
    if (s.front == ~0U || !r.scenario.nodes[s.group].shared(s.unit)) continue;
    const std::string& name = r.scenario.services[s.front].name;
    const Value* service = root.find("services")->find(name);
    r.problems.add(service->at, child("/services", name),
                   fmt::format("pools do not stand on shared accelerators, such as those of \"{}\"",
                               r.scenario.nodes[s.group].name));
  }
}

}  // namespace isthmus::scenarios
