#include "network/routes.hpp"

#include <fmt/format.h>

#include "sim/core/errors.hpp"

namespace isthmus::network {

namespace {

std::uint64_t pair_key(std::uint32_t from, std::uint32_t to) {
  return static_cast<std::uint64_t>(from) << 32 | to;
}

}  // namespace

Router::Router(const Topology& topology) {
  // Access links, flattened, with the air time that a station takes of its cell.
  access_begin_.reserve(topology.hosts.size() + 1);
  zone_of_.reserve(topology.hosts.size());
  for (const Link& l : topology.links) cells_.push_back(l.sharing == Sharing::wifi ? l.bandwidth : 0);
  for (const Host& h : topology.hosts) {
    station_rate_.push_back(h.station_rate);
    access_begin_.push_back(static_cast<std::uint32_t>(access_.size()));
    for (const LinkId l : h.access)
      access_.push_back({l, Direction::up, air(l, h.station_rate)});
    zone_of_.push_back(h.zone);
    host_names_.push_back(h.name);
  }
  access_begin_.push_back(static_cast<std::uint32_t>(access_.size()));
  for (const Zone& z : topology.zones) zone_names_.push_back(z.name);

  // Explicit directions first, then the ways back that nobody stated.
  for (const ZoneRoute& r : topology.zone_routes)
    zone_routes_.insert_or_assign(pair_key(r.from, r.to), store(r.links));
  for (const ZoneRoute& r : topology.zone_routes) {
    Ref back = zone_routes_.at(pair_key(r.from, r.to));
    back.reversed = !back.reversed;
    zone_routes_.try_emplace(pair_key(r.to, r.from), back);
  }
  for (const HostRoute& r : topology.host_routes)
    host_routes_.insert_or_assign(pair_key(r.from, r.to), store(r.links));
  for (const HostRoute& r : topology.host_routes) {
    Ref back = host_routes_.at(pair_key(r.from, r.to));
    back.reversed = !back.reversed;
    host_routes_.try_emplace(pair_key(r.to, r.from), back);
  }

  // A small matrix spares the hash look-up on the hot path.
  const std::size_t n = topology.zones.size();
  if (n <= max_dense) {
    dense_.resize(n * n);
    dense_known_.assign(n * n, 0);
    for (const auto& [key, ref] : zone_routes_) {
      const std::size_t at = (key >> 32) * n + (key & 0xffffffffU);
      dense_[at] = ref;
      dense_known_[at] = 1;
    }
  }
}

void Router::set_access(std::uint32_t host, std::size_t place, LinkId link) {
  if (host >= zone_of_.size() || place >= access_begin_[host + 1] - access_begin_[host])
    throw InputError(fmt::format("host {} has no access link {}", host, place));
  access_[access_begin_[host] + place] = {link, Direction::up, air(link, station_rate_[host])};
}

double Router::air(LinkId link, double station_rate) const {
  const double cell = cells_[link.value()];
  return cell > 0 && station_rate > 0 ? cell / station_rate : 1.0;
}

Router::Ref Router::store(const std::vector<LinkUse>& links) {
  Ref ref;
  ref.begin = static_cast<std::uint32_t>(uses_.size());
  uses_.insert(uses_.end(), links.begin(), links.end());
  ref.end = static_cast<std::uint32_t>(uses_.size());
  return ref;
}

void Router::append(const Ref& ref, std::vector<LinkUse>& out) const {
  if (!ref.reversed) {
    out.insert(out.end(), uses_.begin() + ref.begin, uses_.begin() + ref.end);
    return;
  }
  for (std::uint32_t i = ref.end; i-- > ref.begin;) {
    LinkUse u = uses_[i];
    u.direction = u.direction == Direction::up ? Direction::down : Direction::up;
    out.push_back(u);
  }
}

void Router::append_path(std::uint32_t from, std::uint32_t to, std::vector<LinkUse>& out) const {
  if (from == to) return;

  // An exception for this very pair.
  if (!host_routes_.empty()) {
    const auto it = host_routes_.find(pair_key(from, to));
    if (it != host_routes_.end()) return append(it->second, out);
  }

  // Up to the centre of the zone.
  for (std::uint32_t i = access_begin_[from]; i < access_begin_[from + 1]; ++i)
    out.push_back(access_[i]);

  // Across; inside one zone only when a route from the zone to itself (a fabric) is given.
  const std::uint32_t a = zone_of_[from], b = zone_of_[to];
  const Ref* across = nullptr;
  if (!dense_.empty()) {
    const std::size_t at = static_cast<std::size_t>(a) * zone_names_.size() + b;
    if (dense_known_[at]) across = &dense_[at];
  } else if (const auto it = zone_routes_.find(pair_key(a, b)); it != zone_routes_.end()) {
    across = &it->second;
  }
  if (across != nullptr) {
    append(*across, out);
  } else if (a != b) {
    throw InputError(fmt::format(
        "no route from zone '{}' (host '{}') to zone '{}' (host '{}'): add one to network/routes",
        zone_names_[a], host_names_[from], zone_names_[b], host_names_[to]));
  }

  // Down to the host.
  for (std::uint32_t i = access_begin_[to + 1]; i-- > access_begin_[to];)
    out.push_back({access_[i].link, Direction::down, access_[i].air});
}

}  // namespace isthmus::network
