// Failures and brown-outs: of single links and machines, of groups of them and of zones.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

// What one fault hits.
struct Targets {
  std::vector<std::uint32_t> links, nodes;
};

// Machines of the zones, their access links, and links of routes that have an end in one, all of them.
Targets of_zones(const Resolution& r, const std::set<std::uint32_t>& zones) {
  Targets t;
  const network::Topology& topology = r.scenario.topology;
  std::vector<char> inside(topology.links.size(), 0), outside(topology.links.size(), 0);
  for (std::uint32_t h = 0; h < topology.hosts.size(); ++h) {
    const network::Host& host = topology.hosts[h];
    const bool in = zones.contains(host.zone);
    if (in) t.nodes.push_back(h);
    for (const LinkId l : host.access) (in ? inside : outside)[l.value()] = 1;
  }
  for (const network::ZoneRoute& route : topology.zone_routes)
    for (const network::LinkUse& u : route.links)
      (zones.contains(route.from) || zones.contains(route.to) ? inside : outside)[u.link.value()] = 1;
  for (std::uint32_t l = 0; l < inside.size(); ++l)
    if (inside[l] && !outside[l]) t.links.push_back(l);
  return t;
}

std::vector<std::uint32_t> machines_of(const world::NodeGroup& group) {
  std::vector<std::uint32_t> nodes(group.count);
  for (std::uint32_t i = 0; i < group.count; ++i) nodes[i] = group.first + i;
  return nodes;
}

// One instance of a link or machine of a group, or all.
std::vector<std::uint32_t> chosen(Resolution& r, const ObjectView& v,
                                  std::vector<std::uint32_t> all) {
  if (!v.has("index")) return all;
  const std::uint32_t index = v.count("index");
  if (index < all.size()) return {all[index]};
  r.problems.add(v.at("index"), v.pointer_to("index"), fmt::format("must be below {}", all.size()));
  return {};
}

Targets targets_of(Resolution& r, const ObjectView& v) {
  Targets t;
  if (v.has("link")) {
    t.links = chosen(r, v, r.links[v.text("link")]);
  } else if (v.has("node")) {
    t.nodes = chosen(r, v, machines_of(r.scenario.nodes[r.groups.at(v.text("node"))]));
  } else if (v.has("zone")) {
    t = of_zones(r, {r.zones.at(v.text("zone"))});
  } else if (v.has("zones")) {
    std::set<std::uint32_t> zones;
    for (const std::string& name : v.texts("zones")) zones.insert(r.zones.at(name));
    t = of_zones(r, zones);
  } else {
    const auto unique = [](std::vector<std::string> names) {
      std::sort(names.begin(), names.end());
      names.erase(std::unique(names.begin(), names.end()), names.end());
      return names;
    };
    for (const std::string& name : unique(v.texts("links")))
      t.links.insert(t.links.end(), r.links[name].begin(), r.links[name].end());
    for (const std::string& name : unique(v.texts("nodes"))) {
      const auto nodes = machines_of(r.scenario.nodes[r.groups.at(name)]);
      t.nodes.insert(t.nodes.end(), nodes.begin(), nodes.end());
    }
  }
  return t;
}

// The dates of a fault, or nothing when they make no sense.
bool read_dates(Resolution& r, const ObjectView& v, world::Fault& fault) {
  if (!v.has("time_to_failure")) {
    for (const char* needs : {"time_to_repair", "together"})
      if (v.has(needs))
        r.problems.add(v.at(needs), v.pointer_to(needs), "only with \"time_to_failure\"");
    if (!v.has("at")) {
      r.problems.add(v.at(), v.pointer(), "needs the field \"at\" or \"time_to_failure\"");
      return false;
    }
    fault.at = Instant::zero() + v.duration("at");
    fault.lasts = v.duration_or("lasts", Duration::max());
    return true;
  }
  for (const char* other : {"at", "lasts"})
    if (v.has(other))
      r.problems.add(v.at(other), v.pointer_to(other),
                     "failures by chance have time_to_failure and time_to_repair instead");
  if (!v.has("time_to_repair")) {
    r.problems.add(v.at(), v.pointer(), "needs the field \"time_to_repair\"");
    return false;
  }
  auto law = std::make_shared<world::FaultLaw>();
  law->time_to_failure = v.distribution("time_to_failure", r.problems);
  law->time_to_repair = v.distribution("time_to_repair", r.problems);
  fault.law = std::move(law);
  return true;
}

// The stations of a Wi-Fi cell keep their rates.
void check_brown_out(Resolution& r, const ObjectView& v, const std::vector<std::uint32_t>& links) {
  if (std::any_of(links.begin(), links.end(), [&](std::uint32_t i) {
        return r.scenario.topology.links[i].sharing == network::Sharing::wifi;
      }))
    r.problems.add(v.at("capacity"), v.pointer_to("capacity"),
                   "a Wi-Fi cell has the rates of its stations, which do not change; let it fail, or "
                   "slow down the link behind it");
}

// One of several accelerators of a machine.
void read_accelerator(Resolution& r, const ObjectView& v, world::Fault& fault, const Targets& targets) {
  if (!v.has("accelerator")) return;
  const auto refuse = [&](const std::string& why) {
    r.problems.add(v.at("accelerator"), v.pointer_to("accelerator"), why);
  };
  if (!v.has("node")) return refuse("only with \"node\"");
  if (v.has("speed") || v.has("capacity")) return refuse("an accelerator fails as a whole; not with speed or capacity");
  fault.accelerator = v.count("accelerator");
  if (targets.nodes.empty()) return;
  for (const world::NodeGroup& group : r.scenario.nodes) {
    if (targets.nodes[0] < group.first || targets.nodes[0] >= group.first + group.count) continue;
    const bool any = std::any_of(group.units.begin(), group.units.end(),
                                 [](const models::ComputeUnit& u) { return u.kind != models::UnitKind::cpu; });
    if (!any) return refuse("these machines have no accelerator");
    if (fault.accelerator >= group.accelerators)
      return refuse(fmt::format("must be below {}, the accelerators of a machine", group.accelerators));
  }
  for (const world::Service& s : r.scenario.services)
    if (s.local && s.takes_units() && r.scenario.nodes[s.group].first <= targets.nodes[0] &&
        targets.nodes[0] < r.scenario.nodes[s.group].first + r.scenario.nodes[s.group].count)
      return refuse(fmt::format("service \"{}\" is local to these machines and cannot move; let them fail", s.name));
}

void add_fault(Resolution& r, const ObjectView& v) {
  const bool group = v.has("links") || v.has("nodes");
  const int kinds = (v.has("link") ? 1 : 0) + (v.has("node") ? 1 : 0) + (v.has("zone") ? 1 : 0) +
                    (v.has("zones") ? 1 : 0) + (group ? 1 : 0);
  if (kinds != 1) {
    r.problems.add(v.at(), v.pointer(),
                   "give either \"link\" or \"node\" (or \"zone\", or \"zones\", or \"links\" and \"nodes\")");
    return;
  }
  if (v.has("index") && !v.has("link") && !v.has("node"))
    r.problems.add(v.at("index"), v.pointer_to("index"), "only with \"link\" or \"node\"");
  world::Fault fault;
  Targets targets = targets_of(r, v);
  if (!read_dates(r, v, fault)) return;
  read_accelerator(r, v, fault, targets);
  if (v.has("speed")) {
    fault.speed = v.number("speed");
    if (!v.has("capacity")) targets.links.clear();
    if (targets.nodes.empty())
      r.problems.add(v.at("speed"), v.pointer_to("speed"), "is about machines, and there is none");
  }
  if (v.has("capacity")) {
    fault.capacity = v.number("capacity");
    if (!v.has("speed")) targets.nodes.clear();
    if (targets.links.empty())
      r.problems.add(v.at("capacity"), v.pointer_to("capacity"),
                     "a brown-out is about links, and there is none");
    check_brown_out(r, v, targets.links);
  }
  fault.identity = hash_name(v.pointer());
  const bool together = v.has("together") ? v.flag("together") : !v.has("link") && !v.has("node");
  if (fault.law && together) {
    fault.links = targets.links;
    fault.nodes = targets.nodes;
    r.scenario.faults.push_back(fault);
    return;
  }
  const std::uint64_t identity = fault.identity;
  for (const std::uint32_t l : targets.links) {
    fault.links = {l};
    fault.identity = hash_combine(identity, 2ULL * l);
    r.scenario.faults.push_back(fault);
  }
  fault.links.clear();
  for (const std::uint32_t n : targets.nodes) {
    fault.nodes = {n};
    fault.identity = hash_combine(identity, 2ULL * n + 1);
    r.scenario.faults.push_back(fault);
  }
}

}  // namespace

void resolve_faults(Resolution& r, const ObjectView& root) {
  for (const ObjectView& v : root.objects("faults")) add_fault(r, v);
  // Failures that a link itself lists.
  if (!root.has("network")) return;
  const ObjectView net = root.object("network");
  if (const Value* links = net.find("links"))
    for (const Member& m : links->members) {
      const ObjectView link(&m.value, link_spec(), child("/network/links", m.key), m.at);
      for (const ObjectView& v : link.objects("failures")) {
        world::Fault fault;
        fault.at = Instant::zero() + v.duration("at");
        fault.lasts = v.duration_or("lasts", Duration::max());
        fault.capacity = v.number_or("capacity", 0);
        if (v.has("capacity")) check_brown_out(r, v, r.links[m.key]);
        for (const std::uint32_t i : r.links[m.key]) {
          fault.links = {i};
          r.scenario.faults.push_back(fault);
        }
      }
    }
}

}  // namespace isthmus::scenarios
