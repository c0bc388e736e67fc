#include "network/cell_walk.hpp"

#include <algorithm>

namespace isthmus::network {

namespace {

// Draws of one move.
enum : std::uint64_t { of_residence, of_next, of_gap, count };

}  // namespace

CellWalk::CellWalk(const Topology& topology, std::uint64_t seed) : draws_(seed, "network/cells") {
  if (topology.access.mobility.empty()) return;
  of_host_.assign(topology.hosts.size(), none);
  for (const Mobility& m : topology.access.mobility)
    for (const std::uint32_t host : m.hosts) {
      of_host_[host] = static_cast<std::uint32_t>(walkers_.size());
      Walker w;
      w.moves = &m;
      w.host = host;
      const LinkId start = topology.hosts[host].access[m.place];
      w.cell = static_cast<std::uint32_t>(std::find(m.cells.begin(), m.cells.end(), start) -
                                          m.cells.begin());
      stay(w, Instant::zero());
      walkers_.push_back(w);
    }
}

// In a cell from `from` on. Residences of less than a millisecond would be no residences.
void CellWalk::stay(Walker& w, Instant from) {
  const Mobility& m = *w.moves;
  if (m.residence) {
    w.leaves = from + drawn(m.residence, draws_.at(w.host, count * w.count + of_residence),
                            Duration(1'000'000));
  } else if (w.count < m.schedule.size()) {
    w.leaves = std::max(from, Instant::zero() + m.schedule[w.count].at);
  } else {
    w.leaves = Instant::never();
  }
}

void CellWalk::depart(Walker& w) {
  const Mobility& m = *w.moves;
  const auto cells = static_cast<std::uint32_t>(m.cells.size());
  if (!m.residence) {
    w.to = m.schedule[w.count].cell;
  } else if (m.random_next) {
    Rng g = draws_.at(w.host, count * w.count + of_next);
    const auto step = static_cast<std::uint32_t>(uniform_index(g, cells - 1));
    w.to = (w.cell + 1 + step) % cells;
  } else {
    w.to = (w.cell + 1) % cells;
  }
  w.arrives = w.leaves;
  if (m.gap)
    w.arrives += drawn(m.gap, draws_.at(w.host, count * w.count + of_gap));
  ++w.count;
}

std::optional<LinkId> CellWalk::catch_up(std::uint32_t walker, Instant now) {
  Walker& w = walkers_[walker];
  const std::uint32_t before = w.cell;
  for (;;) {
    if (w.to == none) {
      if (w.leaves > now) break;
      depart(w);
    } else {
      if (w.arrives > now) break;
      w.cell = w.to;
      w.to = none;
      stay(w, w.arrives);
    }
  }
  if (w.cell == before) return std::nullopt;
  return w.moves->cells[w.cell];
}

}  // namespace isthmus::network
