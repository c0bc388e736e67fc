// The connections of one client to one service: who may use one, who has to open one, who waits.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "sim/world/protocol.hpp"

namespace isthmus::world {

class ConnectionPool {
 public:
  enum class Answer : std::uint8_t {
    ready,    //!< go on with it
    open,     //!< set it up, then opened()
    wait,     //!< somebody sets it up, or all are taken: a later call gives it back
  };
  struct Place {
    Answer answer = Answer::wait;
    std::uint32_t connection = none;
  };
  static constexpr std::uint32_t none = 0xffffffffU;

  //! A place for a request. Waiting ones queue in order of arrival.
  Place acquire(const Protocol& rules, Instant now, std::uint64_t tag);
  //! It is set up. Gives those who wait for it back: they have their places.
  std::vector<std::uint64_t> opened(std::uint32_t connection);
  //! Ends a request's use of a connection; `broken`: the connection is closed. Gives back who may ask
  //! again, in order.
  std::vector<std::uint64_t> release(const Protocol& rules, std::uint32_t connection, bool broken,
                                     Instant now);
  //! A request that waits goes away.
  void forget(std::uint64_t tag);
  //! The client has been connected before, and holds a ticket.
  bool known() const { return known_; }

 private:
  struct Connection {
    bool open = false, live = false;
    std::uint32_t streams = 0;
    std::uint64_t use = 0;             // serial of the last use: the newest idle one goes first
    Instant idle_since;
    std::vector<std::uint64_t> joined; // wait until it is set up
  };
  std::vector<Connection> connections_;
  std::deque<std::uint64_t> waiting_;
  std::uint64_t uses_ = 0;
  bool known_ = false;
};

}  // namespace isthmus::world
