// How long links with a power, and Wi-Fi cells, were in use: their energy and utilization follow.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "network/links.hpp"

namespace isthmus::network {

//! Integrates the share of their capacity that flows take of the links that have a power, and of
//! Wi-Fi cells; both backends report to it. Exact across changes of capacity. Costs nothing for links without.
class BusyTime {
 public:
  explicit BusyTime(const Topology& topology);

  bool tracks(LinkId link) const { return !slot_.empty() && slot_[link.value()] != none; }
  bool any() const { return !slot_.empty(); }
  //! A flow that has ended took `bytes` of the capacity of a link that is tracked.
  void add(ResourceIndex r, double bytes) { ways_[slot_[r / 2]][r % 2].ended += bytes; }
  //! To be called before the capacity of a tracked link changes. `flying`: bytes of capacity that
  //! the flows in flight have taken of each way so far.
  void settle(LinkId link, std::array<double, 2> flying, const LinkTable& links);
  //! Seconds of full use so far, of a tracked link; split duplex: mean of both ways.
  double seconds(LinkId link, std::array<double, 2> flying, const LinkTable& links) const;

 private:
  struct Way {
    double ended = 0;    // bytes of flows that have ended
    double settled = 0;  // bytes that `busy` covers
    double busy = 0;     // seconds, up to the last change of capacity
  };
  static constexpr std::uint32_t none = 0xffffffffU;
  std::vector<std::uint32_t> slot_;  // by link; empty when no link has a power
  std::vector<std::array<Way, 2>> ways_;
};

}  // namespace isthmus::network
