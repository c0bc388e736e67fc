// What a network looks like, independent of the backend that simulates it. Plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "network/access_rules.hpp"
#include "sim/core/ids.hpp"
#include "sim/core/time.hpp"

namespace isthmus::network {

//! How a link's capacity is shared.
enum class Sharing : std::uint8_t {
  shared,        //!< both directions share one capacity (half duplex, radio cell)
  split_duplex,  //!< each direction has the full capacity
  fatpipe,       //!< every flow may take the full capacity (over-provisioned backbone)
  //! Stations share air time: a flow of rate r by a station of rate R takes r / R of it. Access links
  //! only, one per host.
  wifi,
};

//! Which way a flow crosses a split-duplex link; ignored for the other kinds.
enum class Direction : std::uint8_t { up, down };

//! Power of a link, as SimGrid's link energy: idle + (busy - idle) * share of its capacity in use
//! (split duplex: mean of both ways). A link that is down draws its idle power.
struct LinkPower {
  double idle = 0, busy = 0;  //!< W, 0 <= idle <= busy
};

//! One link. Bandwidth in bytes/s per direction (or in all, by `sharing`), latency one way.
struct Link {
  std::string name;
  double bandwidth = 0;                  //!< bytes/s, > 0
  std::optional<double> bandwidth_down;  //!< bytes/s; split-duplex links only: asymmetric access
  Duration latency;                      //!< >= 0
  std::optional<Duration> latency_down{};  //!< as bandwidth_down; a change of latency sets both
  Sharing sharing = Sharing::split_duplex;
  std::vector<LinkChange> changes;  //!< by increasing date: traces, brown-outs, failures
  Duration loop_period;             //!< > 0: `changes` repeat with this period
  //! Index into AccessRules::links: traces, promotion, jitter and loss; ~0: none of it.
  std::uint32_t rule = 0xffffffffU;
  Duration trace_offset{};  //!< where in the rule's traces this link starts
  //! Share of the capacity that is left while 1, 2, ... flows cross it one way (its last entry: and
  //! more); falling, in (0, 1]. Empty = all of it always. Shared and split-duplex links only.
  std::vector<double> contention{};
  std::optional<LinkPower> power{};
};

//! A link crossed in one direction.
struct LinkUse {
  LinkId link;
  Direction direction = Direction::up;
  //! Capacity taken per unit of rate: 1, on a Wi-Fi cell its bandwidth over the station's rate.
  //! Set by Router.
  double air = 1;
  bool operator==(const LinkUse&) const = default;
};

//! A host hangs in one zone behind its access links, listed from the host outwards. A transfer from
//! it crosses them `up`; one to it crosses them in reverse order, `down`.
struct Host {
  std::string name;
  std::uint32_t zone = 0;  //!< index into Topology::zones
  std::vector<LinkId> access;
  double station_rate = 0;  //!< bytes/s on its Wi-Fi cell; 0 = the cell's bandwidth
};

//! A star-shaped locality domain; zones are joined by ZoneRoutes.
struct Zone {
  std::string name;
};

//! Links between the centres of two zones, in order from `from` to `to`; the way back is the same
//! in reverse with the directions flipped, unless another ZoneRoute says so.
struct ZoneRoute {
  std::uint32_t from = 0, to = 0;
  std::vector<LinkUse> links;
};

//! An exception for one pair of hosts: replaces access links and zone route; symmetric likewise.
struct HostRoute {
  std::uint32_t from = 0, to = 0;  //!< indices into Topology::hosts
  std::vector<LinkUse> links;
};

//! A whole network. `hosts` are indexed like the nodes of the run.
struct Topology {
  std::vector<Zone> zones;
  std::vector<Host> hosts;
  std::vector<Link> links;
  std::vector<ZoneRoute> zone_routes;
  std::vector<HostRoute> host_routes;
  //! Path of a SimGrid platform XML file; then links and routes come from it and `hosts` name its
  //! hosts.
  std::string platform_xml;
  AccessRules access;  //!< what AccessNetwork adds around a backend
};

}  // namespace isthmus::network
