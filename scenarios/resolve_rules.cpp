// Which machines may take the replicas of a service: its "placement".
#include <fmt/format.h>

#include <algorithm>

#include "models/precision.hpp"
#include "scenarios/llm_service.hpp"
#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

bool one_of(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

ObjectView placement_view(const ObjectView& s, Value& storage) {
  return policy_view(s, "placement", placement_spec(), storage);
}

std::vector<std::string> zones_of(const Resolution& r, std::uint32_t group) {
  std::vector<std::string> names;
  for (const std::uint32_t z : r.group_zones[group]) names.push_back(r.scenario.topology.zones[z].name);
  return names;
}

const char* tier_name(schedulers::Tier tier) {
  return tier == schedulers::Tier::device ? "device" : tier == schedulers::Tier::edge ? "edge" : "cloud";
}

}  // namespace

void expand_placement(Value& root) {
  Value* services = root.find("services");
  const Value* nodes = root.find("nodes");
  if (!services || !services->is(JsonKind::object) || !nodes || !nodes->is(JsonKind::object)) return;
  for (Member& m : services->members) {
    Value& s = m.value;
    if (!s.is(JsonKind::object)) continue;
    const Value* placement = s.find("placement");
    if (!placement || s.find("pools")) continue;
    const Value* on = s.find("on");
    std::vector<std::string> groups;
    if (on && on->is(JsonKind::list)) {
      for (const Value& g : on->items)
        if (!g.is(JsonKind::text) || one_of(groups, g.text)) groups.clear();
        else groups.push_back(g.text);
      if (groups.size() != on->items.size()) continue;  // said later
    } else if (!on && placement->is(JsonKind::object) && placement->find("requires")) {
      for (const Member& g : nodes->members) {
        const Value* tier = g.value.find("tier");
        if (!tier || !tier->is(JsonKind::text) || tier->text != "device") groups.push_back(g.key);
      }
    }
    if (groups.empty()) continue;
    const Position at = on ? on->at : placement->at;
    std::erase_if(s.members, [](const Member& f) { return f.key == "on"; });
    s.members.push_back({"on", at, text_value(groups.front(), at)});
    if (groups.size() == 1) continue;
    Value pools = object_value(at);
    for (const std::string& g : groups) {
      Value pool = object_value(at);
      pool.members.push_back({"on", at, text_value(g, at)});
      pools.members.push_back({g, at, std::move(pool)});
    }
    s.members.push_back({"pools", at, std::move(pools)});
  }
}

std::string unmet_requirement(Resolution& r, const ObjectView& s, const ObjectView& replica,
                              std::uint32_t index) {
  Value storage;
  const ObjectView p = placement_view(s, storage);
  const ObjectView need = p.object("requires"), requests = p.object("requests");
  const world::NodeGroup& group = r.scenario.nodes[index];
  const models::ComputeUnit& unit = group.units.front();
  const bool cpu = unit.kind == models::UnitKind::cpu;
  const std::uint32_t units = cpu ? 1 : group.accelerators;
  if (need.has("device") && !one_of(need.texts("device"), group.device))
    return fmt::format("\"{}\" is not a {}", group.name, fmt::join(need.texts("device"), " or "));
  if (need.has("accelerator")) {
    const std::string kind = cpu ? "cpu" : unit.kind == models::UnitKind::gpu ? "gpu" : "npu";
    if (kind != need.text("accelerator"))
      return fmt::format("the main unit of \"{}\" is a {}", group.name, kind);
  }
  if (need.has("memory") && unit.memory < need.number("memory"))
    return fmt::format("\"{}\" has {:g} GB per unit, {:g} GB are required", group.name, unit.memory / 1e9,
                       need.number("memory") / 1e9);
  if (need.has("precision")) {
    const std::string wanted = need.text("precision");
    for (const auto& row : models::precisions)
      if (row.name == wanted && !(unit.peak[static_cast<std::size_t>(row.precision)] > 0))
        return fmt::format("\"{}\" does not compute {}", group.name, wanted);
  }
  if (need.has("tier") && need.text("tier") != tier_name(group.tier))
    return fmt::format("\"{}\" is of tier {}", group.name, tier_name(group.tier));
  if (need.has("zone")) {
    const std::vector<std::string> zones = zones_of(r, index);
    if (std::none_of(zones.begin(), zones.end(),
                     [&](const std::string& z) { return one_of(need.texts("zone"), z); }))
      return fmt::format("\"{}\" stands in {}", group.name, fmt::join(zones, ", "));
  }
  if (const Value* labels = need.find("labels"))
    for (const Member& l : labels->members)
      if (!one_of(group.labels, l.key + "=" + l.value.text))
        return fmt::format("\"{}\" has no label {}={}", group.name, l.key, l.value.text);
  const std::uint32_t wanted =
      std::max(requests.count("accelerators"), static_cast<std::uint32_t>(layout_of(replica).units()));
  if (!replica.has("unit") && wanted > units)
    return fmt::format("a replica needs {} accelerators, a machine of \"{}\" has {}", wanted, group.name, units);
  if (requests.number("memory") > unit.memory * units)
    return fmt::format("a replica requests {:g} GB, a machine of \"{}\" {}", requests.number("memory") / 1e9,
                       group.name,
                       unit.memory > 0 ? fmt::format("has {:g} GB", unit.memory * units / 1e9)
                                       : "states no memory");
  return "";
}

void read_requests(Resolution& r, const ObjectView& s, world::Service& out) {
  Value storage;
  const ObjectView requests = placement_view(s, storage).object("requests");
  out.reserves_memory = requests.number("memory");
  const std::uint32_t units = requests.count("accelerators");
  if (units == 0) return;
  if (out.takes_units() && out.reserves == 0)
    r.problems.add(requests.at("accelerators"), requests.pointer_to("accelerators"),
                   "the model takes the units it computes on; use \"parallel\" for more of them");
  else
    out.reserves = units;
}

void read_rules(Resolution& r, const ObjectView& s, world::Service& out,
                std::vector<std::pair<std::uint32_t, std::string>> excluded) {
  if (out.local) {
    r.problems.add(s.at("placement"), s.pointer_to("placement"),
                   "a local service has a replica on every machine; set \"local\": false to choose machines");
    return;
  }
  Value storage;
  const ObjectView p = placement_view(s, storage);
  auto rules = std::make_shared<world::Placement>();
  rules->policy = &schedulers::find_entry(schedulers::placement_policies(), p.variant());
  rules->parameters = parameters_of(*rules->policy, p);
  if (p.has("tolerates"))
    for (const std::string& t : p.texts("tolerates")) {
      try {
        rules->tolerates.push_back(schedulers::parse_toleration(t));
      } catch (const InputError& e) {
        r.problems.add(p.at("tolerates"), p.pointer_to("tolerates"), e.what());
      }
    }
  rules->near_zone = p.text("affinity_over") == "zone";
  rules->apart_zone = p.text("anti_affinity_over") == "zone";
  for (const char* list : {"affinity", "anti_affinity"})
    if (p.has(std::string(list) + "_over") && !p.has(list))
      r.problems.add(p.at(std::string(list) + "_over"), p.pointer_to(std::string(list) + "_over"),
                     fmt::format("only with \"{}\"", list));
  if (p.has("spread")) {
    const ObjectView spread = p.object("spread");
    rules->spread = world::PlacementSpread{spread.text("over") == "zone", spread.count("max_skew"),
                                           spread.flag("hard")};
  }
  if (p.object("requires").has("zone")) rules->zones = p.object("requires").texts("zone");
  rules->failover = p.duration("failover");
  rules->movable = p.flag("movable");
  rules->excluded = std::move(excluded);
  out.placement = std::move(rules);
}

void resolve_neighbours(Resolution& r, const ObjectView& s, world::Service& out) {
  Value storage;
  const ObjectView p = placement_view(s, storage);
  auto rules = std::make_shared<world::Placement>(*out.placement);
  if (p.has("affinity"))
    for (const std::string& name : p.texts("affinity")) rules->near.push_back(r.services.at(name));
  if (p.has("anti_affinity"))
    for (const std::string& name : p.texts("anti_affinity")) {
      const std::uint32_t other = r.services.at(name);
      rules->apart.push_back(other);
      if (std::find(rules->near.begin(), rules->near.end(), other) != rules->near.end() &&
          rules->near_zone >= rules->apart_zone && !(rules->near_zone && !rules->apart_zone))
        r.problems.add(p.at("anti_affinity"), p.pointer_to("anti_affinity"),
                       fmt::format("\"{}\" cannot be near and far at once", name));
    }
  out.placement = std::move(rules);
}

void resolve_descheduler(Resolution& r, const ObjectView& root) {
  if (!root.has("descheduler")) return;
  const ObjectView v = root.object("descheduler");
  world::Descheduler d;
  d.period = v.duration("period");
  d.max_moves = v.count("max_moves");
  d.make_room = v.flag("make_room");
  d.consolidate = v.flag("consolidate");
  if (!d.make_room && !d.consolidate)
    r.problems.add(v.at(), v.pointer(), "neither \"make_room\" nor \"consolidate\": nothing ever moves");
  if (std::none_of(r.scenario.services.begin(), r.scenario.services.end(),
                   [](const world::Service& s) { return s.placement != nullptr; }))
    r.problems.add(v.at(), v.pointer(), "no service has a \"placement\", so that nothing can move");
  r.scenario.descheduler = d;
}

}  // namespace isthmus::scenarios
