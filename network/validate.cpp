// Checks of what users hand in: topologies and flow models.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_set>
#include <vector>

#include "network/links.hpp"
#include "network/network.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::network {

namespace {

constexpr std::size_t max_problems = 20;

// Collects problems up to the limit of one report.
class Problems {
 public:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    if (list_.size() < max_problems)
      list_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }
  void raise() {
    if (!list_.empty()) throw InputError(std::move(list_));
  }

 private:
  std::vector<std::string> list_;
};

bool positive(double v) { return v > 0 && std::isfinite(v); }

// Contention and power fit the way in which a link is shared.
void check_sharing(const Link& l, Problems& problems) {
  double last = 1;
  for (std::size_t i = 0; i < l.contention.size(); ++i) {
    const double left = l.contention[i];
    if (!(left > 0) || left > last)
      problems.add(
          "link '{}': contention leaves {} of the capacity to {} flows; it must be above 0, at most "
          "1, and never rise with the number of flows",
          l.name, left, i + 1);
    last = left;
  }
  if (!l.contention.empty() && l.sharing != Sharing::shared && l.sharing != Sharing::split_duplex)
    problems.add("link '{}': contention needs a shared or split-duplex link", l.name);
  if (l.power) {
    if (!(l.power->idle >= 0) || !(l.power->busy >= l.power->idle) || !std::isfinite(l.power->busy))
      problems.add("link '{}': power must be 0 <= idle <= busy, got {} W and {} W", l.name,
                   l.power->idle, l.power->busy);
    if (l.sharing == Sharing::fatpipe && l.power->busy != l.power->idle)
      problems.add(
          "link '{}': a fatpipe gives every flow its capacity, so no share of it is in use; its busy "
          "power must be its idle power",
          l.name);
  }
  if (l.sharing == Sharing::wifi)
    for (const LinkChange& c : l.changes)
      if (c.bandwidth) {
        problems.add("link '{}': the bandwidth of a Wi-Fi cell does not change", l.name);
        break;
      }
}

void check_link(const Link& l, Problems& problems) {
  if (!positive(l.bandwidth))
    problems.add("link '{}': bandwidth must be above 0, got {} B/s", l.name, l.bandwidth);
  if (l.bandwidth_down && !positive(*l.bandwidth_down))
    problems.add("link '{}': bandwidth_down must be above 0, got {} B/s", l.name,
                 *l.bandwidth_down);
  if (l.bandwidth_down && l.sharing != Sharing::split_duplex)
    problems.add("link '{}': bandwidth_down needs a split-duplex link", l.name);
  if (l.latency < Duration::zero())
    problems.add("link '{}': latency must not be negative, got {} ns", l.name, l.latency.ns());
  if (l.latency_down && *l.latency_down < Duration::zero())
    problems.add("link '{}': latency_down must not be negative, got {} ns", l.name,
                 l.latency_down->ns());
  if (l.latency_down && l.sharing != Sharing::split_duplex)
    problems.add("link '{}': latency_down needs a split-duplex link", l.name);
  check_sharing(l, problems);
  if (l.loop_period < Duration::zero())
    problems.add("link '{}': loop period must not be negative", l.name);

  // Changes: in order, possible, and inside the loop.
  Duration last;
  for (std::size_t i = 0; i < l.changes.size(); ++i) {
    const LinkChange& c = l.changes[i];
    if (c.at < last)
      problems.add("link '{}': change {} at {} ns comes before the one at {} ns", l.name, i,
                   c.at.ns(), last.ns());
    last = c.at;
    if (c.bandwidth && !positive(*c.bandwidth))
      problems.add(
          "link '{}': change {} sets bandwidth {} B/s; it must stay above 0 (use up: false "
          "for an outage)",
          l.name, i, *c.bandwidth);
    if (c.scale && !positive(*c.scale))
      problems.add("link '{}': change {} scales by {}; it must stay above 0", l.name, i, *c.scale);
    if (c.ways != Ways::both && l.sharing != Sharing::split_duplex)
      problems.add("link '{}': change {} is about one direction; it has one capacity for both",
                   l.name, i);
    if (c.latency && *c.latency < Duration::zero())
      problems.add("link '{}': change {} sets a negative latency", l.name, i);
    if (l.loop_period > Duration::zero() && c.at >= l.loop_period)
      problems.add("link '{}': change {} at {} ns lies outside the loop period of {} ns", l.name, i,
                   c.at.ns(), l.loop_period.ns());
  }
}

}  // namespace

namespace {

void check_trace(const LinkTrace& trace, const std::string& what, Problems& problems) {
  Duration last = Duration(-1);
  for (const LinkChange& c : trace.steps) {
    if (c.at <= last) problems.add("{}: dates must increase, {} ns does not", what, c.at.ns());
    last = c.at;
    if (c.bandwidth && !positive(*c.bandwidth))
      problems.add("{}: bandwidth must be above 0, got {} B/s", what, *c.bandwidth);
    if (c.latency && *c.latency < Duration::zero())
      problems.add("{}: latency must not be negative", what);
  }
  if (trace.steps.empty()) problems.add("{}: has no steps", what);
  if (trace.period < Duration::zero() ||
      (trace.period > Duration::zero() && last >= trace.period))
    problems.add("{}: the loop must be longer than its steps", what);
}

void check_mobility(const Topology& t, const Mobility& m, std::vector<char>& mobile,
                    Problems& problems) {
  for (const LinkId cell : m.cells)
    if (!cell.valid() || cell.value() >= t.links.size()) {
      problems.add("mobility: a cell is link {}, there are {}", cell.value(), t.links.size());
      return;
    }
  if (m.residence ? m.cells.size() < 2 : m.schedule.empty())
    problems.add("mobility: needs two cells and a residence, or a schedule");
  Duration last = Duration(-1);
  for (const Mobility::Move& move : m.schedule) {
    if (move.cell >= m.cells.size()) problems.add("mobility: there is no cell {}", move.cell);
    if (move.at <= last) problems.add("mobility: dates of the schedule must increase");
    last = move.at;
  }
  for (const std::uint32_t host : m.hosts) {
    if (host >= t.hosts.size()) {
      problems.add("mobility: there is no host {}", host);
      continue;
    }
    const Host& h = t.hosts[host];
    if (m.place >= h.access.size() ||
        std::find(m.cells.begin(), m.cells.end(), h.access[m.place]) == m.cells.end())
      problems.add("host '{}': its access link is none of its cells", h.name);
    if (mobile[host]) problems.add("host '{}' moves twice", h.name);
    mobile[host] = 1;
  }
}

void check_access(const Topology& t, Problems& problems) {
  const AccessRules& a = t.access;
  if ((!a.links.empty() || !a.mobility.empty()) && !t.platform_xml.empty())
    problems.add("platform file '{}': its links take no traces, radios, losses or moves",
                 t.platform_xml);
  for (std::size_t i = 0; i < a.links.size(); ++i) {
    const LinkRule& r = a.links[i];
    const std::string what = fmt::format("link rule {}", i);
    for (const auto& trace : {r.trace, r.trace_down})
      if (trace) check_trace(*trace, what, problems);
    if (!(r.loss >= 0 && r.loss < 1)) problems.add("{}: loss must be in [0, 1)", what);
    if (r.idle_after < Duration::zero()) problems.add("{}: idle_after is negative", what);
  }
  for (const Link& l : t.links) {
    if (l.rule != 0xffffffffU && l.rule >= a.links.size())
      problems.add("link '{}': there is no rule {}", l.name, l.rule);
    if (l.trace_offset < Duration::zero())
      problems.add("link '{}': the offset into its trace is negative", l.name);
  }
  std::vector<char> mobile(t.hosts.size(), 0);
  for (const Mobility& m : a.mobility) check_mobility(t, m, mobile, problems);
  for (const TransferPolicy& p : a.policies)
    if (p.attempts < 1 || !(p.factor >= 1) || !std::isfinite(p.factor) ||
        !(p.jitter >= 0 && p.jitter <= 1) || p.initial < Duration::zero() ||
        p.longest < Duration::zero())
      problems.add("transfer policy: attempts and factor are at least 1, jitter is in [0, 1]");
  if (!positive(a.segment) || !(a.timeout >= 0) || !std::isfinite(a.timeout))
    problems.add("TCP: segment must be above 0, timeout not below 0");
}

}  // namespace

void validate(const Topology& t) {
  Problems problems;
  const auto check_uses = [&](const std::vector<LinkUse>& uses, const char* what,
                              std::size_t index) {
    for (const LinkUse& u : uses)
      if (!u.link.valid() || u.link.value() >= t.links.size())
        problems.add("{} {}: link {} does not exist, there are {}", what, index, u.link.value(),
                     t.links.size());
      else if (t.links[u.link.value()].sharing == Sharing::wifi)
        problems.add("{} {}: '{}' is a Wi-Fi cell; only hosts reach it, as an access link", what,
                     index, t.links[u.link.value()].name);
  };

  // A SimGrid platform brings its own links and routes.
  if (!t.platform_xml.empty() &&
      (!t.links.empty() || !t.zone_routes.empty() || !t.host_routes.empty()))
    problems.add("platform file '{}' brings its own links and routes; give none beside it",
                 t.platform_xml);

  // Hosts.
  std::unordered_set<std::string> names;
  for (std::size_t i = 0; i < t.hosts.size(); ++i) {
    const Host& h = t.hosts[i];
    if (!names.insert(h.name).second) problems.add("two hosts are called '{}'", h.name);
    if (!t.platform_xml.empty()) continue;
    if (h.zone >= t.zones.size())
      problems.add("host '{}': zone {} does not exist, there are {}", h.name, h.zone,
                   t.zones.size());
    std::size_t cells = 0;
    for (const LinkId l : h.access)
      if (!l.valid() || l.value() >= t.links.size())
        problems.add("host '{}': access link {} does not exist, there are {}", h.name, l.value(),
                     t.links.size());
      else if (t.links[l.value()].sharing == Sharing::wifi)
        ++cells;
    if (cells > 1) problems.add("host '{}' is in {} Wi-Fi cells; one at most", h.name, cells);
    if (h.station_rate != 0 && !positive(h.station_rate))
      problems.add("host '{}': its rate on a Wi-Fi cell must be above 0, got {} B/s", h.name,
                   h.station_rate);
    if (h.station_rate != 0 && cells == 0)
      problems.add("host '{}' has a Wi-Fi rate but no Wi-Fi cell among its access links", h.name);
  }

  // Links and routes.
  names.clear();
  for (const Link& l : t.links) {
    if (!names.insert(l.name).second) problems.add("two links are called '{}'", l.name);
    check_link(l, problems);
  }
  for (std::size_t i = 0; i < t.zone_routes.size(); ++i) {
    const ZoneRoute& r = t.zone_routes[i];
    if (r.from >= t.zones.size() || r.to >= t.zones.size())
      problems.add("zone route {}: joins zones {} and {}, there are {}", i, r.from, r.to,
                   t.zones.size());
    check_uses(r.links, "zone route", i);
  }
  for (std::size_t i = 0; i < t.host_routes.size(); ++i) {
    const HostRoute& r = t.host_routes[i];
    if (r.from >= t.hosts.size() || r.to >= t.hosts.size())
      problems.add("host route {}: joins hosts {} and {}, there are {}", i, r.from, r.to,
                   t.hosts.size());
    check_uses(r.links, "host route", i);
  }
  check_access(t, problems);
  problems.raise();
}

void validate(const FlowModel& m) {
  Problems problems;
  const auto non_negative = [](double v) { return v >= 0 && std::isfinite(v); };
  if (!non_negative(m.latency_factor))
    problems.add("network: latency_factor must be 0 or more, got {}", m.latency_factor);
  if (!positive(m.bandwidth_factor))
    problems.add("network: bandwidth_factor must be above 0, got {}", m.bandwidth_factor);
  if (!non_negative(m.tcp_gamma))
    problems.add("network: tcp_gamma must be 0 (no window) or more, got {} B", m.tcp_gamma);
  if (!non_negative(m.weight_s))
    problems.add("network: weight_s must be 0 or more, got {} B", m.weight_s);
  problems.raise();
}

FlowModel flow_model(const std::string& name) {
  FlowModel m;
  m.name = name;
  if (name == "CM02") return m;
  if (name == "LV08") {
    m.latency_factor = 13.01;
    m.bandwidth_factor = 0.97;
    m.weight_s = 20537;
    m.tcp_gamma = 4194304;
    m.cross_traffic = true;
    return m;
  }
  if (name == "SMPI") {
    m.native = true;
    return m;
  }
  throw InputError(fmt::format("unknown flow model '{}'; choose CM02, LV08 or SMPI", name));
}

}  // namespace isthmus::network
