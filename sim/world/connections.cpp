#include "sim/world/connections.hpp"

#include <algorithm>
#include <utility>

namespace isthmus::world {

ConnectionPool::Place ConnectionPool::acquire(const Protocol& rules, Instant now, std::uint64_t tag) {
  std::uint32_t live = 0, best = none, joinable = none, unused = none;
  for (std::uint32_t i = 0; i < connections_.size(); ++i) {
    Connection& c = connections_[i];
    if (c.live && c.open && c.streams == 0 && now - c.idle_since >= rules.idle_timeout) c.live = false;
    if (!c.live) {
      if (unused == none && c.streams == 0) unused = i;
      continue;
    }
    ++live;
    if (c.streams >= rules.streams) continue;
    if (!c.open) joinable = std::min(joinable, i);
    else if (best == none || c.use > connections_[best].use) best = i;
  }
  if (best != none) {
    ++connections_[best].streams;
    connections_[best].use = ++uses_;
    return {Answer::ready, best};
  }
  if (joinable != none) {
    Connection& c = connections_[joinable];
    ++c.streams;
    c.joined.push_back(tag);
    return {Answer::wait, joinable};
  }
  if (live >= rules.limit) {
    waiting_.push_back(tag);
    return {};
  }
  if (unused == none) {
    unused = static_cast<std::uint32_t>(connections_.size());
    connections_.emplace_back();
  }
  connections_[unused] = {false, true, 1, ++uses_, now, {}};
  return {Answer::open, unused};
}

std::vector<std::uint64_t> ConnectionPool::opened(std::uint32_t connection) {
  Connection& c = connections_[connection];
  c.open = known_ = true;
  return std::exchange(c.joined, {});
}

std::vector<std::uint64_t> ConnectionPool::release(const Protocol& rules, std::uint32_t connection,
                                                   bool broken, Instant now) {
  Connection& c = connections_[connection];
  std::vector<std::uint64_t> again;
  std::uint32_t room = !c.live ? 0 : broken ? rules.streams : 1;
  --c.streams;
  c.idle_since = now;
  if (broken && c.live) {
    c.live = false;
    again = std::exchange(c.joined, {});
    c.streams -= static_cast<std::uint32_t>(again.size());
  }
  // Whoever waits in line asks again when there is room: the closed connection's, or a stream's.
  for (; room > 0 && !waiting_.empty(); --room) {
    again.push_back(waiting_.front());
    waiting_.pop_front();
  }
  return again;
}

void ConnectionPool::forget(std::uint64_t tag) {
  std::erase(waiting_, tag);
  for (Connection& c : connections_) std::erase(c.joined, tag);
}

}  // namespace isthmus::world
