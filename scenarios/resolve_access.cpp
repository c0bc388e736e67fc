// What happens to transfers around the sharing of links: radios, jitter, loss, moves, failures.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "scenarios/resolution.hpp"
#include "scenarios/tables.hpp"

namespace isthmus::scenarios {

namespace {

network::Seconds draws_of(const world::Distribution& law) {
  return [law](Rng& g) { return law.sample(g); };
}

// All instances of the links that are cells.
std::vector<LinkId> cells_of(Resolution& r, const ObjectView& v) {
  std::vector<LinkId> cells;
  std::set<std::string> seen;
  for (const std::string& name : v.texts("cells")) {
    if (!seen.insert(name).second) {
      r.problems.add(v.at("cells"), v.pointer_to("cells"), fmt::format("\"{}\" stands twice", name));
      continue;
    }
    for (const std::uint32_t i : r.links[name]) cells.emplace_back(i);
  }
  return cells;
}

void read_schedule(Resolution& r, const ObjectView& v, network::Mobility& m) {
  const Value* schedule = v.find("schedule");
  for (std::size_t i = 0; i < schedule->items.size(); ++i) {
    const Value& move = schedule->items[i];
    const std::string pointer = child(v.pointer_to("schedule"), i);
    network::Mobility::Move made;
    made.at = Duration::from_seconds(number_of(move.items[0], Unit::duration));
    if (!m.schedule.empty() && made.at <= m.schedule.back().at)
      r.problems.add(move.at, pointer, "times must increase");
    const std::vector<std::uint32_t>& instances = r.links[move.items[1].text];
    const auto cell = instances.size() == 1
                          ? std::find(m.cells.begin(), m.cells.end(), LinkId(instances.front()))
                          : m.cells.end();
    if (cell == m.cells.end())
      r.problems.add(move.items[1].at, pointer,
                     fmt::format("\"{}\" must be one of the cells, with a single instance",
                                 move.items[1].text));
    made.cell = static_cast<std::uint32_t>(cell - m.cells.begin());
    m.schedule.push_back(made);
  }
}

void add_mobility(Resolution& r, const ObjectView& v, std::set<std::string>& movers) {
  network::Mobility m;
  const std::string on = v.text("on");
  const world::NodeGroup& group = r.scenario.nodes[r.groups.at(on)];
  if (!movers.insert(on).second)
    r.problems.add(v.at("on"), v.pointer_to("on"), fmt::format("\"{}\" moves already", on));
  m.cells = cells_of(r, v);
  if (v.has("residence") == v.has("schedule")) {
    r.problems.add(v.at(), v.pointer(), "give either \"residence\" or \"schedule\"");
    return;
  }
  if (v.has("schedule")) {
    read_schedule(r, v, m);
    if (v.has("next"))
      r.problems.add(v.at("next"), v.pointer_to("next"), "the schedule says where to");
  } else {
    m.residence = draws_of(v.distribution("residence", r.problems));
    if (m.cells.size() < 2)
      r.problems.add(v.at("cells"), v.pointer_to("cells"),
                     "there is one cell only; name several links, or one with several instances");
  }
  m.random_next = v.text("next") == "random";
  if (v.has("gap")) m.gap = draws_of(v.distribution("gap", r.problems));
  m.stall = v.text("in_flight") == "stall";

  // Which of the access links is the cell: the same one for every machine of the group.
  const auto& hosts = r.scenario.topology.hosts;
  const std::vector<LinkId>& access = hosts[group.first].access;
  const auto is_cell = [&](LinkId l) {
    return std::find(m.cells.begin(), m.cells.end(), l) != m.cells.end();
  };
  const auto count = std::count_if(access.begin(), access.end(), is_cell);
  if (count != 1) {
    r.problems.add(v.at("cells"), v.pointer_to("cells"),
                   fmt::format("exactly one access link of \"{}\" must be a cell, {} are", on, count));
    return;
  }
  m.place = static_cast<std::uint32_t>(std::find_if(access.begin(), access.end(), is_cell) -
                                       access.begin());
  for (std::uint32_t i = 0; i < group.count; ++i) m.hosts.push_back(group.first + i);
  r.scenario.topology.access.mobility.push_back(std::move(m));
}

}  // namespace

double goodput_of(const ObjectView& row) {
  return row.text("loss_model") == "link-layer" ? 1 - row.number("loss") : 1.0;
}

void read_link_rule(Resolution& r, const ObjectView& row, network::Link& link,
                    network::LinkRule& rule) {
  if (row.text("loss_model") == "tcp") rule.loss = row.number("loss");
  link.bandwidth *= goodput_of(row);
  if (link.bandwidth_down) *link.bandwidth_down *= goodput_of(row);
  if (row.has("jitter")) rule.jitter = draws_of(row.distribution("jitter", r.problems));
  if (!row.has("promotion")) return;
  const ObjectView radio = row.object("promotion");
  rule.promotion = draws_of(radio.distribution("delay", r.problems));
  rule.idle_after = radio.duration("after");
}

std::uint32_t read_transfer_policy(Resolution& r, const ObjectView& owner, std::uint32_t other) {
  if (!owner.has("transfers")) return other;
  const ObjectView v = owner.object("transfers"), backoff = v.object("backoff");
  using Policy = network::TransferPolicy;
  Policy p;
  const std::string what = v.text("on_failure");
  if (what == "fail") return 0;  // attempts and waits may stand there for other alternatives
  p.on_failure = what == "retry" ? Policy::OnFailure::retry : Policy::OnFailure::resume;
  p.attempts = v.count("attempts");
  p.initial = backoff.duration("initial");
  p.longest = backoff.duration("longest");
  p.factor = backoff.number("factor");
  p.jitter = backoff.number("jitter");
  auto& policies = r.scenario.topology.access.policies;
  policies.push_back(p);
  return static_cast<std::uint32_t>(policies.size());
}

void resolve_access_rules(Resolution& r, const ObjectView& net) {
  network::AccessRules& rules = r.scenario.topology.access;
  const ObjectView tcp = net.object("tcp");
  rules.tcp_loss = tcp.text("law") == "pftk" ? network::TcpLoss::pftk : network::TcpLoss::mathis;
  rules.segment = tcp.number("segment");
  rules.timeout = tcp.number("timeout");
  std::set<std::string> movers;
  for (const ObjectView& v : net.objects("mobility")) add_mobility(r, v, movers);
}

}  // namespace isthmus::scenarios
