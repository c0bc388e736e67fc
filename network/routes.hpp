// Which links a transfer crosses. Both backends ask here, so that they cannot disagree.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "network/topology.hpp"

namespace isthmus::network {

//! Paths between the hosts of a topology: access links up, zone route, access links down, unless a
//! HostRoute replaces all three. Keeps no reference to the topology. Thread-safe once built.
class Router {
 public:
  //! `topology` must have passed validate().
  explicit Router(const Topology& topology);

  //! Appends the links crossed from host `from` to host `to`, in order; nothing when they are the
  //! same host. Throws InputError naming both zones when nothing joins them.
  void append_path(std::uint32_t from, std::uint32_t to, std::vector<LinkUse>& out) const;
  //! As append_path, into a fresh vector.
  std::vector<LinkUse> path(std::uint32_t from, std::uint32_t to) const {
    std::vector<LinkUse> out;
    append_path(from, to, out);
    return out;
  }
  //! Replaces one access link of a host.
  void set_access(std::uint32_t host, std::size_t place, LinkId link);
  std::size_t host_count() const { return zone_of_.size(); }

 private:
  // A list of links in uses_, to be read forwards or backwards with the directions flipped.
  struct Ref {
    std::uint32_t begin = 0, end = 0;
    bool reversed = false;
  };
  Ref store(const std::vector<LinkUse>& links);
  void append(const Ref& ref, std::vector<LinkUse>& out) const;

  std::vector<LinkUse> uses_;
  // Air time that a station takes of a link: LinkUse::air.
  double air(LinkId link, double station_rate) const;

  std::vector<LinkUse> access_;
  std::vector<double> cells_;         // bandwidth of a Wi-Fi cell, by link; 0: another link
  std::vector<double> station_rate_;  // by host
  std::vector<std::uint32_t> access_begin_;  // host -> first entry of access_; one past the end too
  std::vector<std::uint32_t> zone_of_;
  std::vector<std::string> zone_names_, host_names_;
  std::unordered_map<std::uint64_t, Ref> zone_routes_, host_routes_;
  std::vector<Ref> dense_;  // zone routes as a matrix, for up to max_dense zones
  std::vector<char> dense_known_;
  static constexpr std::size_t max_dense = 512;
};

}  // namespace isthmus::network
