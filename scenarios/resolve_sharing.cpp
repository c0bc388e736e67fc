// How a link is shared: Wi-Fi stations, contention, and the power that its use costs.
#include <fmt/core.h>

#include <algorithm>

#include "scenarios/resolution.hpp"

namespace isthmus::scenarios {

namespace {

bool hangs_on(const Value* access, const std::string& group, const std::string& link) {
  const Value* links = access ? access->find(group) : nullptr;
  return links && std::any_of(links->items.begin(), links->items.end(),
                              [&](const Value& name) { return name.text == link; });
}

void read_contention(Resolution& r, const ObjectView& v, network::Link& link) {
  link.contention = v.numbers("contention");
  if (link.contention.empty()) return;
  const std::string pointer = v.pointer_to("contention");
  if (link.sharing != network::Sharing::shared && link.sharing != network::Sharing::split_duplex)
    r.problems.add(v.at("contention"), pointer,
                   "needs a shared or split-duplex link; the stations of a Wi-Fi cell share air time "
                   "already, and flows of a fatpipe nothing");
  for (std::size_t i = 1; i < link.contention.size(); ++i)
    if (link.contention[i] > link.contention[i - 1])
      r.problems.add(v.find("contention")->items[i].at, child(pointer, i),
                     "must not rise: more flows leave no more of the capacity");
}

void read_power(Resolution& r, const ObjectView& v, network::Link& link) {
  if (!v.has("idle_power") && !v.has("busy_power")) return;
  const double idle = v.number("idle_power");
  link.power = network::LinkPower{idle, v.number_or("busy_power", idle)};
  if (link.power->busy < idle)
    r.problems.add(v.at("busy_power"), v.pointer_to("busy_power"), "must not be below idle_power");
  if (link.sharing == network::Sharing::fatpipe && link.power->busy > idle)
    r.problems.add(v.at("busy_power"), v.pointer_to("busy_power"),
                   "every flow has the whole of a fatpipe: no share of it is in use, so that it draws "
                   "its idle power only");
}

}  // namespace

void read_sharing(Resolution& r, const ObjectView& v, network::Link& link) {
  read_contention(r, v, link);
  read_power(r, v, link);
  if (link.sharing != network::Sharing::wifi) {
    if (v.has("stations"))
      r.problems.add(v.at("stations"), v.pointer_to("stations"),
                     "only a link with \"sharing\": \"wifi\" has stations");
    return;
  }
  if (v.has("trace"))
    r.problems.add(v.at("trace"), v.pointer_to("trace"),
                   "a Wi-Fi cell has the rates of its stations, which do not change");
}

void place_stations(Resolution& r, const std::string& name, const ObjectView& v,
                    const Value* access) {
  if (v.text("sharing") != "wifi") return;
  const Value* stations = v.find("stations");
  if (!stations) return;
  for (const Member& m : stations->members) {
    const std::string pointer = child(v.pointer_to("stations"), m.key);
    if (!hangs_on(access, m.key, name)) {
      r.problems.add(m.at, pointer,
                     fmt::format("\"{}\" does not hang on this cell; list it in /network/access/{}",
                                 m.key, m.key));
      continue;
    }
    std::vector<double> rates;
    if (m.value.is(JsonKind::list))
      for (const Value& rate : m.value.items) rates.push_back(number_of(rate, Unit::bandwidth));
    else
      rates.push_back(number_of(m.value, Unit::bandwidth));
    const world::NodeGroup& group = r.scenario.nodes[r.groups.at(m.key)];
    if (rates.size() > group.count)
      r.problems.add(m.value.at, pointer,
                     fmt::format("{} rates for {} machines", rates.size(), group.count));
    for (std::uint32_t i = 0; i < group.count; ++i)
      r.scenario.topology.hosts[group.first + i].station_rate = rates[i % rates.size()] * goodput_of(v);
  }
}

void check_cells(Resolution& r, const Value* access) {
  if (!access) return;
  for (const Member& m : access->members) {
    std::size_t cells = 0;
    for (const Value& name : m.value.items) {
      const auto known = r.links.find(name.text);
      if (known == r.links.end() || known->second.empty()) continue;
      const network::Link& link = r.scenario.topology.links[known->second.front()];
      if (link.sharing == network::Sharing::wifi && ++cells == 2)
        r.problems.add(name.at, child("/network/access", m.key),
                       "a second Wi-Fi cell; a machine is a station of one at most");
    }
  }
}

}  // namespace isthmus::scenarios
