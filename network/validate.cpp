// Checks of what users hand in: topologies and flow models.
#include <fmt/format.h>

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
    if (c.latency && *c.latency < Duration::zero())
      problems.add("link '{}': change {} sets a negative latency", l.name, i);
    if (l.loop_period > Duration::zero() && c.at >= l.loop_period)
      problems.add("link '{}': change {} at {} ns lies outside the loop period of {} ns", l.name, i,
                   c.at.ns(), l.loop_period.ns());
  }
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
    for (const LinkId l : h.access)
      if (!l.valid() || l.value() >= t.links.size())
        problems.add("host '{}': access link {} does not exist, there are {}", h.name, l.value(),
                     t.links.size());
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
