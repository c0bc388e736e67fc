#include <fmt/core.h>

#include <algorithm>
#include <deque>
#include <optional>
#include <set>
#include <utility>

#include "scenarios/file_reading.hpp"
#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::scenarios {

namespace {

network::Sharing sharing_named(const std::string& name) {
  if (name == "shared") return network::Sharing::shared;
  if (name == "fatpipe") return network::Sharing::fatpipe;
  if (name == "wifi") return network::Sharing::wifi;
  return network::Sharing::split_duplex;
}

network::FlowModel flow_model_of(const ObjectView& v) {
  network::FlowModel m = network::flow_model(v.text("name"));
  // Plain sharing unless the scenario asks for SimGrid's latency weights: see docs/network.md.
  m.equal_shares =
      v.has("equal_shares") ? v.flag("equal_shares") : m.name == "CM02" && !v.has("weight_s");
  if (v.has("native")) m.native = v.flag("native");
  m.latency_factor = v.number_or("latency_factor", m.latency_factor);
  m.bandwidth_factor = v.number_or("bandwidth_factor", m.bandwidth_factor);
  m.tcp_gamma = v.number_or("tcp_gamma", m.tcp_gamma);
  m.weight_s = v.number_or("weight_s", m.weight_s);
  if (v.has("cross_traffic")) m.cross_traffic = v.flag("cross_traffic");
  return m;
}

// Which groups hang on a link by access, in order.
std::vector<std::uint32_t> users_of(const Resolution& r, const Value* access,
                                    const std::string& link) {
  std::vector<std::uint32_t> groups;
  if (!access) return groups;
  for (const Member& m : access->members)
    for (const Value& name : m.value.items)
      if (name.text == link) groups.push_back(r.groups.at(m.key));
  return groups;
}

// The instances of a link: one, or one per `per_nodes` machines of every group that hangs on it.
void add_instances(Resolution& r, const std::string& name, const network::Link& link,
                   std::uint32_t per_nodes, const std::vector<std::uint32_t>& users) {
  auto& links = r.scenario.topology.links;
  std::vector<std::uint32_t>& instances = r.links[name];
  const auto add_instance = [&](const std::string& label) {
    instances.push_back(static_cast<std::uint32_t>(links.size()));
    links.push_back(link);
    links.back().name = label;
    return LinkId::of(instances.back());
  };
  if (users.empty() || per_nodes == 0) {
    const LinkId id = add_instance(name);
    for (const std::uint32_t g : users) {
      const world::NodeGroup& group = r.scenario.nodes[g];
      for (std::uint32_t i = 0; i < group.count; ++i)
        r.scenario.topology.hosts[group.first + i].access.push_back(id);
    }
    return;
  }
  for (const std::uint32_t g : users) {
    const world::NodeGroup& group = r.scenario.nodes[g];
    LinkId id;
    for (std::uint32_t i = 0; i < group.count; ++i) {
      if (i % per_nodes == 0) id = add_instance(fmt::format("{}[{}]", name, instances.size()));
      r.scenario.topology.hosts[group.first + i].access.push_back(id);
    }
  }
}

// A link with its instances, and what is special about them.
void add_link(Resolution& r, const std::string& name, const ObjectView& v, const Value* access) {
  network::Link link;
  link.name = name;
  if (!v.has("bandwidth")) {
    r.problems.add(v.at(), v.pointer(),
                   "needs the field \"bandwidth\", a bandwidth such as \"80 Mbps\"");
    return;
  }
  link.bandwidth = v.number("bandwidth");
  link.latency = v.duration("latency");
  link.sharing = sharing_named(v.text("sharing"));
  if (v.has("bandwidth_down")) {
    if (link.sharing != network::Sharing::split_duplex)
      r.problems.add(v.at("bandwidth_down"), v.pointer_to("bandwidth_down"),
                     "only split-duplex links have a capacity per direction");
    link.bandwidth_down = v.number("bandwidth_down");
  }
  if (v.has("latency_down")) {
    if (link.sharing != network::Sharing::split_duplex)
      r.problems.add(v.at("latency_down"), v.pointer_to("latency_down"),
                     "only split-duplex links have a latency per direction");
    link.latency_down = v.duration("latency_down");
  }
  read_sharing(r, v, link);
  network::LinkRule rule;
  read_link_rule(r, v, link, rule);
  read_traces(r, v, link, rule);

  add_instances(r, name, link, v.count("per_nodes"), users_of(r, access, name));
  spread_traces(v, r.scenario.topology.links, r.links[name], rule);
  if (!rule.trace && !rule.trace_down && !rule.promotion && !rule.jitter && rule.loss <= 0) return;
  auto& rules = r.scenario.topology.access.links;
  for (const std::uint32_t i : r.links[name])
    r.scenario.topology.links[i].rule = static_cast<std::uint32_t>(rules.size());
  rules.push_back(std::move(rule));
}

// Access links were added link by link; hosts list them in the order of the scenario.
void order_access(Resolution& r, const Value* access) {
  if (!access) return;
  for (const Member& m : access->members) {
    if (m.value.items.size() < 2) continue;
    const world::NodeGroup& group = r.scenario.nodes[r.groups.at(m.key)];
    std::vector<std::string> order;
    for (const Value& name : m.value.items) order.push_back(name.text);
    const auto rank = [&](LinkId id) {
      const std::string& full = r.scenario.topology.links[id.value()].name;
      return std::find(order.begin(), order.end(), full.substr(0, full.find('['))) - order.begin();
    };
    for (std::uint32_t i = 0; i < group.count; ++i) {
      auto& list = r.scenario.topology.hosts[group.first + i].access;
      std::stable_sort(list.begin(), list.end(),
                       [&](LinkId a, LinkId b) { return rank(a) < rank(b); });
    }
  }
}

// Links of a route; access links with an instance per machine belong to nobody else.
std::vector<network::LinkUse> uses_of(Resolution& r, const ObjectView& route) {
  std::vector<network::LinkUse> uses;
  const Value* links = route.find("links");
  for (std::size_t i = 0; i < links->items.size(); ++i) {
    const Value& item = links->items[i];
    const Value* direction = item.is(JsonKind::object) ? item.find("direction") : nullptr;
    const std::string& name = item.is(JsonKind::object) ? item.find("link")->text : item.text;
    const auto known = r.links.find(name);
    if (known == r.links.end() || known->second.empty()) continue;  // reported where it is declared
    if (r.scenario.topology.links[known->second.front()].name != name) {
      r.problems.add(
          item.at, child(route.pointer_to("links"), i),
          fmt::format("\"{}\" is an access link with an instance per machine; a route needs "
                      "a link of its own, or per_nodes 0",
                      name));
      continue;
    }
    if (r.scenario.topology.links[known->second.front()].sharing == network::Sharing::wifi) {
      r.problems.add(item.at, child(route.pointer_to("links"), i),
                     fmt::format("\"{}\" is a Wi-Fi cell: machines reach it by access, routes do not",
                                 name));
      continue;
    }
    const bool down = direction && direction->text == "down";
    uses.push_back(
        {LinkId(known->second.front()), down ? network::Direction::down : network::Direction::up});
  }
  return uses;
}

void add_routes(Resolution& r, const ObjectView& net) {
  std::set<std::pair<std::uint32_t, std::uint32_t>> known;
  for (const ObjectView& route : net.objects("routes")) {
    const std::vector<network::LinkUse> uses = uses_of(r, route);
    const std::vector<std::string> from = route.texts("from"), to = route.texts("to");
    for (const std::string& a : from)
      for (const std::string& b : to) {
        if (a == b && from.size() + to.size() > 2) continue;  // lists that overlap
        const std::uint32_t x = r.zones.at(a), y = r.zones.at(b);
        if (!known.emplace(x, y).second)
          r.problems.add(route.at(), route.pointer(),
                         fmt::format("a second route from \"{}\" to \"{}\"", a, b));
        r.scenario.topology.zone_routes.push_back({x, y, uses});
      }
  }
  for (const ObjectView& route : net.objects("node_routes")) {
    const auto host = [&](const char* group_field, const char* index_field) {
      const world::NodeGroup& group = r.scenario.nodes[r.groups.at(route.text(group_field))];
      const std::uint32_t index = route.count(index_field);
      if (index >= group.count)
        r.problems.add(route.at(index_field), route.pointer_to(index_field),
                       fmt::format("\"{}\" has the machines 0 to {}", group.name, group.count - 1));
      return group.first + index;
    };
    r.scenario.topology.host_routes.push_back(
        {host("from", "from_index"), host("to", "to_index"), uses_of(r, route)});
  }
}

}  // namespace

void resolve_network(Resolution& r, const ObjectView& root) {
  const ObjectView net = root.object("network");
  r.scenario.simgrid = root.has("network") && net.text("model") == "simgrid";
  r.scenario.flow_model = flow_model_of(net.object("flow_model"));
  r.scenario.egress_price = net.number("egress_price");
  r.transfer_policy = read_transfer_policy(r, net, 0);
  if (!root.has("network")) {
    r.joined = true;
    return;
  }
  r.scenario.simgrid_options = net.texts("options");
  if (!r.scenario.simgrid) {
    for (const char* only : {"options", "platform"})
      if (net.has(only))
        r.problems.add(net.at(only), net.pointer_to(only), "only the simgrid model has this");
    const std::string& name = r.scenario.flow_model.name;
    if (name != "CM02" && name != "LV08")
      r.problems.add(net.object("flow_model").at("name"), "/network/flow_model/name",
                     fmt::format("the fluid model has CM02 and LV08, not {}", name));
  }
  if (net.has("platform")) {
    try {
      const auto path = expand_path(net.text("platform"), r.document.folder);
      require_regular_file(path);
      r.scenario.topology.platform_xml = path.string();
    } catch (const InputError& e) {
      r.problems.add(net.at("platform"), net.pointer_to("platform"), e.what());
    }
    for (const char* other : {"links", "access", "routes", "node_routes", "mobility", "tcp"})
      if (net.has(other))
        r.problems.add(net.at(other), net.pointer_to(other),
                       "links and routes come from the platform file");
    return;
  }

  const Value* access = net.find("access");
  if (const Value* links = net.find("links"))
    for (const Member& m : links->members) {
      const ObjectView link(&m.value, link_spec(), child("/network/links", m.key), m.at);
      add_link(r, m.key, link, access);
      place_stations(r, m.key, link, access);
    }
  check_cells(r, access);
  order_access(r, access);
  add_routes(r, net);
  resolve_access_rules(r, net);
}

void complete_routes(Resolution& r, const ObjectView& root) {
  auto& topology = r.scenario.topology;
  if (!topology.platform_xml.empty()) return;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<network::LinkUse>> known;
  for (const network::ZoneRoute& route : topology.zone_routes)
    known[{route.from, route.to}] = route.links;
  for (const network::ZoneRoute& route : topology.zone_routes) {
    std::vector<network::LinkUse> back(route.links.rbegin(), route.links.rend());
    for (network::LinkUse& u : back)
      u.direction =
          u.direction == network::Direction::up ? network::Direction::down : network::Direction::up;
    known.try_emplace({route.to, route.from}, std::move(back));
  }

  // Fewest zones first; among equals the order of zones decides.
  const auto path = [&](std::uint32_t from,
                        std::uint32_t to) -> std::optional<std::vector<network::LinkUse>> {
    std::vector<int> before(topology.zones.size(), -1);
    std::deque<std::uint32_t> open{from};
    before[from] = static_cast<int>(from);
    while (!open.empty() && before[to] < 0) {
      const std::uint32_t at = open.front();
      open.pop_front();
      for (auto it = known.lower_bound({at, 0}); it != known.end() && it->first.first == at; ++it)
        if (before[it->first.second] < 0) {
          before[it->first.second] = static_cast<int>(at);
          open.push_back(it->first.second);
        }
    }
    if (before[to] < 0) return std::nullopt;
    std::vector<std::uint32_t> steps{to};
    while (steps.back() != from) steps.push_back(static_cast<std::uint32_t>(before[steps.back()]));
    std::vector<network::LinkUse> links;
    for (std::size_t i = steps.size() - 1; i > 0; --i) {
      const auto& part = known.at({steps[i], steps[i - 1]});
      links.insert(links.end(), part.begin(), part.end());
    }
    return links;
  };

  // Pairs of zones that requests and KV caches cross.
  const Value* workloads = root.find("workload");
  std::set<std::pair<std::uint32_t, std::uint32_t>> done;
  const auto join = [&](std::uint32_t from, std::uint32_t to, Position at,
                        const std::string& pointer, const std::string& of, const std::string& whose) {
    for (const std::uint32_t a : r.group_zones[from])
      for (const std::uint32_t b : r.group_zones[to]) {
        if (a == b || known.contains({a, b}) || !done.emplace(a, b).second) continue;
        if (r.joined) {
          topology.zone_routes.push_back({a, b, {}});
        } else if (auto links = path(a, b)) {
          topology.zone_routes.push_back({a, b, std::move(*links)});
        } else {
          r.problems.add(at, pointer,
                         fmt::format("no route joins zone \"{}\" of {} to zone \"{}\" of {}; add "
                                     "one to /network/routes",
                                     topology.zones[a].name, of, topology.zones[b].name, whose));
        }
      }
  };
  const std::vector<world::Service>& services = r.scenario.services;
  const auto written = [&](const world::Service& s) { return root.find("services")->find(s.name); };
  const auto join_pools = [&](const world::Service& service) {
    for (const std::uint32_t from : service.pools->first)
      for (const std::uint32_t to : service.pools->decode)
        if (services[from].role == world::PoolRole::prefill)
          join(services[from].group, services[to].group, written(service)->at,
               child(child("/services", service.name), "pools"),
               fmt::format("\"{}\"", services[from].name), fmt::format("\"{}\"", services[to].name));
  };
  // From registries to machines that pull images.
  for (const world::Service& service : services) {
    if (!service.startup || service.startup->layers.empty()) continue;
    for (std::uint32_t g = 0; g < r.scenario.nodes.size(); ++g)
      if (r.scenario.nodes[g].first == service.startup->registry)
        join(g, service.group, written(service)->at, child(child("/services", service.name), "startup"),
             fmt::format("the registry \"{}\"", r.scenario.nodes[g].name), fmt::format("\"{}\"", service.name));
  }
  // From services to those that they call, and to their cache servers.
  for (const world::Service& service : services) {
    if (!service.fetching) continue;
    std::vector<std::uint32_t> called;
    for (const world::Call& call : service.fetching->calls) called.push_back(call.service);
    for (const world::CacheTier& tier : service.fetching->caches)
      if (tier.scope == world::CacheScope::server) called.push_back(tier.server);
    for (const std::uint32_t c : called) {
      const auto reach = [&](const world::Service& part) {
        join(service.group, part.group, written(service)->at, child("/services", service.name),
             fmt::format("\"{}\"", service.name), fmt::format("\"{}\", which it calls", part.name));
      };
      if (!services[c].pools) {
        reach(services[c]);
        continue;
      }
      for (const std::uint32_t pool : services[c].pools->first) reach(services[pool]);
      for (const std::uint32_t pool : services[c].pools->decode) reach(services[pool]);
      join_pools(services[c]);
    }
  }
  // From origins of updates to fleets, and to relays and on.
  for (const world::ModelUpdate& u : r.scenario.updates) {
    const auto reach = [&](std::uint32_t from, std::uint32_t to) {
      const auto named = [&](std::uint32_t g) { return fmt::format("\"{}\"", r.scenario.nodes[g].name); };
      join(from, to, root.find("updates")->find(u.name)->at, child("/updates", u.name), named(from), named(to));
    };
    const bool relayed = u.way == world::UpdateWay::cdn;
    if (relayed) reach(u.origin, u.relays);
    for (const world::ModelUpdate::Target& t : u.targets) {
      reach(u.origin, r.scenario.update_lines[t.line].group);
      if (relayed) reach(u.relays, r.scenario.update_lines[t.line].group);
    }
  }
  // From outboxes to their sinks, and from copies of data to their hub, and back.
  const auto both_ways = [&](std::uint32_t here, std::uint32_t there, const char* table, const std::string& name) {
    for (const auto& [from, to] : {std::pair{here, there}, std::pair{there, here}})
      join(from, to, root.find(table)->find(name)->at, child(child("", table), name),
           fmt::format("\"{}\"", r.scenario.nodes[from].name), fmt::format("\"{}\"", r.scenario.nodes[to].name));
  };
  for (const world::Outbox& o : r.scenario.outboxes) both_ways(o.from, o.to, "outboxes", o.name);
  for (const world::ReplicatedData& d : r.scenario.replicated) both_ways(d.at, d.hub, "replicated_data", d.name);
  // Between machines of a service with standbys.
  for (const world::FailoverSpec& f : r.scenario.failovers)
    if (f.durability != world::Durability::checkpoint)
      both_ways(services[f.service].group, services[f.service].group, "failover", f.name);
  for (std::size_t w = 0; w < r.scenario.workloads.size(); ++w) {
    const world::Workload& load = r.scenario.workloads[w];
    std::vector<std::uint32_t> targets;
    if (load.service >= 0)
      targets = {static_cast<std::uint32_t>(load.service)};
    else
      targets = r.scenario.offload.candidates;
    for (const std::uint32_t s : targets) {
      const world::Service& service = services[s];
      if (service.local) continue;
      const auto reach = [&](const world::Service& part) {
        join(load.clients_group, part.group, workloads->items[w].at, child("/workload", w),
             "its clients", fmt::format("service \"{}\"", part.name));
      };
      if (!service.pools) {
        reach(service);
        continue;
      }
      for (const std::uint32_t pool : service.pools->first) reach(services[pool]);
      for (const std::uint32_t pool : service.pools->decode) reach(services[pool]);
      join_pools(service);
    }
  }
}

}  // namespace isthmus::scenarios
