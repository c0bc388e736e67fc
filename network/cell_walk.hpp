// Where hosts are that move between cells.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "network/network.hpp"

namespace isthmus::network {

//! The moves of every mobile host, drawn one by one as time gets there: a host that nobody looks at
//! costs nothing. Draws depend on the host and the number of its move alone.
class CellWalk {
 public:
  static constexpr std::uint32_t none = 0xffffffffU;

  //! `topology` must outlive it.
  CellWalk(const Topology& topology, std::uint64_t seed);

  bool empty() const { return walkers_.empty(); }
  std::size_t size() const { return walkers_.size(); }
  //! The mover of a host, or `none`.
  std::uint32_t of_host(std::uint32_t host) const {
    return host < of_host_.size() ? of_host_[host] : none;
  }
  std::uint32_t host(std::uint32_t walker) const { return walkers_[walker].host; }
  std::size_t place(std::uint32_t walker) const { return walkers_[walker].moves->place; }
  bool stalls(std::uint32_t walker) const { return walkers_[walker].moves->stall; }
  //! Makes all moves up to `now`; the cell when it is another one than after the last call.
  std::optional<LinkId> catch_up(std::uint32_t walker, Instant now);
  //! Not between two cells, as of the last call of catch_up.
  bool connected(std::uint32_t walker) const { return walkers_[walker].to == none; }
  //! Date at which it leaves its cell or reaches the next one.
  Instant next(std::uint32_t walker) const {
    const Walker& w = walkers_[walker];
    return w.to == none ? w.leaves : w.arrives;
  }

 private:
  struct Walker {
    const Mobility* moves = nullptr;
    std::uint32_t host = 0;
    std::uint32_t cell = 0, to = none;  // index into the cells; `to`: during a gap
    Instant leaves, arrives;
    std::uint64_t count = 0;            // of moves
  };
  void stay(Walker& w, Instant from);
  void depart(Walker& w);

  std::vector<Walker> walkers_;
  std::vector<std::uint32_t> of_host_;
  StreamKey draws_;
};

}  // namespace isthmus::network
