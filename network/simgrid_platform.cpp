#include "network/simgrid_platform.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <simgrid/kernel/resource/Model.hpp>
#if __has_include(<simgrid/kernel/resource/NetworkModelIntf.hpp>)
#include <simgrid/kernel/resource/NetworkModelIntf.hpp>
#endif
#include <simgrid/kernel/routing/NetPoint.hpp>
#include <simgrid/kernel/routing/NetZoneImpl.hpp>
#include <simgrid/s4u/Engine.hpp>
#include <simgrid/s4u/Host.hpp>
#include <simgrid/s4u/Link.hpp>
#include <simgrid/s4u/NetZone.hpp>

// Needs the macros of the headers above.
#include <simgrid/version.h>

#include "sim/core/errors.hpp"

namespace isthmus::network {

namespace {

namespace sg = simgrid::s4u;
namespace routing = simgrid::kernel::routing;

// More than any flow can take, yet far from overflow inside the solver. bytes/s.
constexpr double unlimited = 1e30;

// SimGrid's solver takes less than its precision (1e-5) for nothing. A flow on a Wi-Fi cell uses
// 1 / rate of it: with rates in bytes/s flows come to a halt. With a cell, bandwidths and bytes are
// therefore counted in units that make its fastest rate `wifi_rate`, to a finer precision; in
// platform files, whose rates we cannot change, penalties are (only their ratios count).
constexpr double wifi_rate = 1e4, wifi_penalty_unit = 1e-3;
#if SIMGRID_VERSION < 33400
constexpr const char* wifi_precision = "maxmin/precision:1e-9";
#else
constexpr const char* wifi_precision = "precision/work-amount:1e-9";
#endif

// Makers of parts of a zone, by the names of 4.x where this SimGrid has them.
constexpr auto add_host = [](auto* zone, const std::string& name) {
  if constexpr (requires { zone->add_host(name, 1.0); })
    return zone->add_host(name, 1.0);
  else
    return zone->create_host(name, 1.0);
};
constexpr auto add_link = [](auto* zone, const std::string& name, const auto& bandwidth) {
  if constexpr (requires { zone->add_link(name, bandwidth); })
    return zone->add_link(name, bandwidth);
  else
    return zone->create_link(name, bandwidth);
};
constexpr auto add_wifi_zone = [](auto* zone, const auto& name) {
  if constexpr (requires { zone->add_netzone_wifi(name); })
    return zone->add_netzone_wifi(name);
  else
    return sg::create_wifi_zone(name)->set_parent(zone);
};

// Calls back when a link goes on or off.
constexpr auto on_link_state = [](auto callback) {
  constexpr auto subscribe = []<class L>(L*, auto& f) {
    if constexpr (requires { L::on_onoff_cb(f); })
      L::on_onoff_cb(f);
    else
      L::on_state_change_cb(f);
  };
  subscribe(static_cast<sg::Link*>(nullptr), callback);
};

// The Model that a network model is. Where the headers do not say so (4.x), its only base class.
constexpr auto solver_of = [](auto* network, const sg::Engine& engine) -> simgrid::kernel::resource::Model* {
  if constexpr (requires { dynamic_cast<simgrid::kernel::resource::Model*>(network); }) {
    return dynamic_cast<simgrid::kernel::resource::Model*>(network);
  } else {
    for (simgrid::kernel::resource::Model* m : engine.get_all_models())
      if (dynamic_cast<const void*>(m) == network) return m;
    return nullptr;
  }
};

// One flat zone for all hosts whose routes come from our Router. SimGrid's own zones either store a
// table of routes (quadratic in hosts) or cannot hold exceptions for single pairs across zones.
class RouterZone final : public routing::NetZoneImpl {
 public:
  RouterZone(const Router& router, const LinkTable& links, bool native)
      : NetZoneImpl("isthmus"), router_(router), links_(links), native_(native) {}

  void set_resources(const std::vector<sg::Link*>* resources, sg::Link* wire) {
    resources_ = resources;
    wire_ = wire;
  }

 protected:
  // Hosts are the zone's only vertices, so that a netpoint's rank is the index of its host.
  void get_local_route(const routing::NetPoint* src, const routing::NetPoint* dst,
                       routing::Route* into, double* latency) override {
    path_.clear();
    router_.append_path(static_cast<std::uint32_t>(src->id()),
                        static_cast<std::uint32_t>(dst->id()), path_);
    // SimGrid looks for Wi-Fi cells at the ends of a route only: the sender's first, the receiver's
    // last. A cell that is alone counts as the sender's.
    const auto is_cell = [&](const LinkUse& u) { return links_.sharing(u.link) == Sharing::wifi; };
    const auto add = [&](const LinkUse& u) {
      into->link_list_.push_back((*resources_)[links_.resource(u)]->get_impl());
    };
    for (const LinkUse& u : path_)
      if (is_cell(u) && u.direction == Direction::up) add(u);
    for (const LinkUse& u : path_) {
      if (native_ && latency != nullptr) *latency += links_.latency(u).seconds();
      // Fatpipes limit each flow by itself: SimGrid's own lets a light flow take less than that.
      if (!is_cell(u) && (native_ || links_.sharing(u.link) != Sharing::fatpipe)) add(u);
    }
    // SimGrid takes an empty route for a missing one.
    if (into->link_list_.empty()) into->link_list_.push_back(wire_->get_impl());
    for (const LinkUse& u : path_)
      if (is_cell(u) && u.direction == Direction::down) add(u);
  }

 private:
  const Router& router_;
  const LinkTable& links_;
  bool native_;
  const std::vector<sg::Link*>* resources_ = nullptr;
  sg::Link* wire_ = nullptr;
  std::vector<LinkUse> path_;
};

}  // namespace

SimGridPlatform::SimGridPlatform(const Topology& topology, const FlowModel& model,
                                 const std::vector<std::string>& options)
    : native_(model.native || (model.name != "CM02" && model.name != "LV08")) {
  validate(topology);
  validate(model);
  flow_model(model.name);  // SimGrid would end the process over a name that it does not know
  if (!topology.platform_xml.empty() && !std::filesystem::exists(topology.platform_xml))
    throw InputError(fmt::format("platform file '{}' does not exist", topology.platform_xml));

  // The engine is a process-wide singleton whose clock never restarts.
  static bool used = false;
  if (used)
    throw Error(
        "SimGrid can run once per process: give every simgrid run a process of its own, "
        "or use the fluid backend");
  used = true;

  if (!native_) {
    double fastest = 0;
    for (const Link& l : topology.links)
      if (l.sharing == Sharing::wifi) fastest = std::max(fastest, l.bandwidth);
    for (const Host& h : topology.hosts) fastest = std::max(fastest, h.station_rate);
    if (fastest > 0) unit_ = fastest / wifi_rate;
  }
  configure(model, options);
  if (topology.platform_xml.empty())
    build(topology);
  else
    load(topology);
  model_ = solver_of(engine_->get_netzone_root()->get_network_model(), *engine_);
  if (model_ == nullptr) throw Error("this SimGrid hides its network model");
}

void SimGridPlatform::configure(const FlowModel& model, const std::vector<std::string>& options) {
  // SimGrid keeps pointers to its arguments.
  static std::string arguments[] = {"isthmus", "--log=root.thresh:critical", "--log=no_loc"};
  static char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(), nullptr};
  static int argc = 3;
  engine_ = new sg::Engine(&argc, argv);  // never deleted: its destructor would end SimGrid

  const auto set = [](const std::string& name, const std::string& value) {
    try {
      sg::Engine::set_config(name + ":" + value);
    } catch (const std::exception& e) {
      throw InputError(fmt::format("SimGrid setting '{}:{}': {}", name, value, e.what()));
    }
  };
  const bool known = model.name == "CM02" || model.name == "LV08";
  set("network/model", native_ ? model.name : "CM02");
  if (known) {
    // Unless native, latency, weight and window are ours: the reasons stand in docs/network.md.
    set("network/latency-factor", fmt::format("{}", native_ ? model.latency_factor : 0.0));
    set("network/bandwidth-factor", fmt::format("{}", model.bandwidth_factor));
    set("network/weight-S", fmt::format("{}", native_ ? model.weight_s : 0.0));
    set("network/TCP-gamma", fmt::format("{}", native_ ? model.tcp_gamma : 0.0));
    set("network/crosstraffic", model.cross_traffic ? "1" : "0");
  }
  if (unit_ != 1) sg::Engine::set_config(wifi_precision);
  for (const std::string& o : options) {
    const auto colon = o.find(':');
    if (colon == std::string::npos)
      throw InputError(fmt::format("SimGrid setting '{}': write it as name:value", o));
    set(o.substr(0, colon), o.substr(colon + 1));
  }
}

void SimGridPlatform::build(const Topology& topology) {
  router_ = std::make_unique<Router>(topology);
  table_ = std::make_unique<LinkTable>(topology);
  changes_ = std::make_unique<ChangeStream>(topology);
  auto* zone = new RouterZone(*router_, *table_, native_);  // SimGrid owns it from here on
  sg::NetZone* root = zone->get_iface();

  // Links: two one-way links for split duplex, so that each way may have its own bandwidth.
  resources_.assign(2 * topology.links.size(), nullptr);
  for (std::size_t l = 0; l < topology.links.size(); ++l) {
    const Link& link = topology.links[l];
    const auto add = [&](std::size_t resource, const std::string& suffix) {
      sg::Link* s = add_link(root, link.name + suffix,
                             table_->capacity(static_cast<ResourceIndex>(resource)) / unit_);
      if (native_) s->set_latency(link.latency.seconds());
      if (link.sharing == Sharing::fatpipe) s->set_sharing_policy(sg::Link::SharingPolicy::FATPIPE);
      if (!link.contention.empty())
        s->set_sharing_policy(sg::Link::SharingPolicy::NONLINEAR,
                              [c = link.contention](double capacity, int flows) {
                                if (flows <= 0) return capacity;
                                return capacity *
                                       c[std::min(static_cast<std::size_t>(flows), c.size()) - 1];
                              });
      resources_[resource] = s->seal();
    };
    if (link.sharing == Sharing::wifi) continue;
    if (link.sharing == Sharing::split_duplex) {
      add(2 * l, "_UP");
      add(2 * l + 1, "_DOWN");
    } else {
      add(2 * l, "");
    }
  }
  sg::Link* wire = add_link(root, "__isthmus_wire__", unlimited)
                       ->set_sharing_policy(sg::Link::SharingPolicy::FATPIPE)
                       ->seal();
  zone->set_resources(&resources_, wire);

  // Hosts compute nothing in SimGrid.
  hosts_.reserve(topology.hosts.size());
  for (const Host& h : topology.hosts) hosts_.push_back(add_host(root, h.name)->seal());
  build_cells(topology, root);
  root->seal();
}

// Wi-Fi cells: SimGrid makes such links in zones of their own only. They come after the hosts, whose
// ranks must stay their indices.
void SimGridPlatform::build_cells(const Topology& topology, sg::NetZone* root) {
  // One level of speed per rate that a station has.
  struct Cell {
    std::vector<double> levels;
    std::vector<std::pair<std::uint32_t, int>> stations;  // host, level
  };
  std::map<std::uint32_t, Cell> cells;
  for (std::uint32_t l = 0; l < topology.links.size(); ++l)
    if (topology.links[l].sharing == Sharing::wifi) cells[l].levels = {topology.links[l].bandwidth};
  for (std::uint32_t h = 0; h < topology.hosts.size(); ++h)
    for (const LinkId l : topology.hosts[h].access) {
      if (topology.links[l.value()].sharing != Sharing::wifi) continue;
      Cell& cell = cells[l.value()];
      const double own = topology.hosts[h].station_rate;
      const double rate = own > 0 ? own : cell.levels.front();
      const auto at = std::find(cell.levels.begin(), cell.levels.end(), rate);
      cell.stations.emplace_back(h, static_cast<int>(at - cell.levels.begin()));
      if (at == cell.levels.end()) cell.levels.push_back(rate);
    }
  for (const auto& [l, cell] : cells) {
    const Link& link = topology.links[l];
    sg::NetZone* zone = add_wifi_zone(root, fmt::format("__isthmus_cell_{}__", l));
    std::vector<double> levels = cell.levels;
    for (double& level : levels) level /= unit_;
    sg::Link* s = add_link(zone, link.name, levels);
    resources_[2 * l] = s->seal();  // SimGrid gives cells no latency; the route has it
    zone->seal();
    for (const auto& [host, level] : cell.stations)
      s->set_host_wifi_rate(hosts_[host], level);
  }
}

void SimGridPlatform::load(const Topology& topology) {
  try {
    engine_->load_platform(topology.platform_xml);
    engine_->get_netzone_root()->seal();  // routes of some kinds of zones exist from here on only
  } catch (const std::exception& e) {
    throw InputError(fmt::format("platform file '{}': {}", topology.platform_xml, e.what()));
  }

  // Hosts are found by name.
  std::vector<std::string> problems;
  for (const Host& h : topology.hosts) {
    sg::Host* host = engine_->host_by_name_or_null(h.name);
    hosts_.push_back(host);
    if (host != nullptr) continue;
    std::vector<std::string> names;
    for (const sg::Host* known : engine_->get_all_hosts()) names.push_back(known->get_name());
    std::sort(names.begin(), names.end());
    const std::size_t shown = std::min<std::size_t>(names.size(), 20);
    problems.push_back(fmt::format(
        "platform file '{}' has no host '{}'; it has: {}{}", topology.platform_xml, h.name,
        fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
        shown < names.size() ? fmt::format(" and {} more", names.size() - shown) : ""));
    if (problems.size() == 20) break;
  }
  if (!problems.empty()) throw InputError(std::move(problems));

  // SimGrid wants to be told the stations of every Wi-Fi cell: all hosts of its zone, at its first rate.
  std::vector<sg::NetZone*> open = {engine_->get_netzone_root()};
  while (!open.empty()) {
    sg::NetZone* zone = open.back();
    open.pop_back();
    const std::vector<sg::NetZone*> inner = zone->get_children();
    open.insert(open.end(), inner.begin(), inner.end());
    if (!inner.empty()) continue;
    for (const sg::Link* l : zone->get_impl()->get_all_links())
      if (l->get_sharing_policy() == sg::Link::SharingPolicy::WIFI)
        for (const sg::Host* h : zone->get_all_hosts()) l->set_host_wifi_rate(h, 0);
  }

  // Our table of its links, in order of name; SimGrid lists them in order of a hash.
  std::vector<sg::Link*> links = engine_->get_all_links();
  std::sort(links.begin(), links.end(),
            [](const sg::Link* a, const sg::Link* b) { return a->get_name() < b->get_name(); });
  Topology mirror;
  for (sg::Link* l : links) {
    link_ids_.emplace(l, static_cast<std::uint32_t>(mirror.links.size()));
    Link link;
    link.name = l->get_name();
    // The rates of a cell are SimGrid's secret; what it calls bandwidth is its air time.
    const bool cell = l->get_sharing_policy() == sg::Link::SharingPolicy::WIFI;
    link.bandwidth = cell ? unlimited : l->get_bandwidth();
    link.latency = Duration::from_seconds(l->get_latency());
    link.sharing = l->get_sharing_policy() == sg::Link::SharingPolicy::FATPIPE ? Sharing::fatpipe
                                                                               : Sharing::shared;
    mirror.links.push_back(link);
    resources_.push_back(l);
    resources_.push_back(nullptr);
    if (l->get_sharing_policy() == sg::Link::SharingPolicy::WIFI && !native_) {
      penalty_unit_ = wifi_penalty_unit;
      sg::Engine::set_config(wifi_precision);
    }
    // From here on the latency is paid by us, and fatpipes limit each flow by its bound.
    if (!native_ && l->get_sharing_policy() != sg::Link::SharingPolicy::WIFI) {
      l->set_latency(0.0);
      if (link.sharing == Sharing::fatpipe) l->set_bandwidth(unlimited);
    }
  }
  table_ = std::make_unique<LinkTable>(mirror);
  changes_ = std::make_unique<ChangeStream>(mirror);

  // Profiles inside the file change links behind our back: keep the table true.
  sg::Link::on_bandwidth_change_cb([this](const sg::Link& l) {
    const auto it = link_ids_.find(&l);
    if (it == link_ids_.end() || l.get_bandwidth() >= unlimited) return;
    LinkChange c;
    c.bandwidth = l.get_bandwidth();
    if (*c.bandwidth > 0) table_->apply(LinkId(it->second), c);
  });
  on_link_state([this](const sg::Link& l) {
    const auto it = link_ids_.find(&l);
    if (it == link_ids_.end()) return;
    LinkChange c;
    c.up = l.is_on();
    table_->apply(LinkId(it->second), c);
  });
}

Duration SimGridPlatform::append_path(std::uint32_t from, std::uint32_t to,
                                      std::vector<LinkUse>& out) const {
  if (router_) {
    router_->append_path(from, to, out);
    return {};
  }
  if (from == to) return {};
  std::vector<sg::Link*> links;
  double latency = 0;
  hosts_[from]->route_to(hosts_[to], links, &latency);
  for (const sg::Link* l : links) {
    const auto it = link_ids_.find(l);
    if (it != link_ids_.end()) out.push_back({LinkId(it->second), Direction::up});
    if (native_) latency -= l->get_latency();
  }
  return std::max(Duration(), Duration::from_seconds(latency));
}

void SimGridPlatform::set_access(std::uint32_t host, std::size_t place, LinkId link) {
  if (!router_) throw InputError("the links of hosts from a platform file cannot be replaced");
  router_->set_access(host, place, link);
}

void SimGridPlatform::apply(LinkId link, const LinkChange& change) {
  table_->apply(link, change);
  for (ResourceIndex r = 2 * link.value(); r < 2 * link.value() + 2; ++r) {
    sg::Link* s = resources_[r];
    if (s == nullptr) continue;
    const bool ours = !native_ && table_->sharing(link) == Sharing::fatpipe;
    if ((change.bandwidth || change.scale) && !ours) s->set_bandwidth(table_->capacity(r) / unit_);
    if (change.latency && native_ && table_->sharing(link) != Sharing::wifi)
      s->set_latency(change.latency->seconds());
    if (change.up && *change.up) s->turn_on();
    if (change.up && !*change.up) s->turn_off();
  }
}

}  // namespace isthmus::network
