// The connections of one caller to the service that it calls, with the rules of Go's database/sql and
// HikariCP: who may use one, who opens one, who waits, and when they are closed (docs/tiers.md).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <vector>

#include "sim/world/call_spec.hpp"
#include "sim/world/time_average.hpp"

namespace isthmus::world {

//! Knows nothing of the network: whoever gets Answer::open opens the connection and says so.
class CallPool {
 public:
  //! Why connections are closed.
  enum class Reason : std::uint8_t {
    idle_limit,  //!< max_idle others were idle when it came back
    idle_time,   //!< nobody has used it for max_idle_time
    lifetime,    //!< it is older than max_lifetime
    broken,      //!< the opening or a call on it failed or was given up
    gone,        //!< one of its ends is no more
    count_
  };
  enum class Answer : std::uint8_t { ready, open, wait };
  struct Place {
    Answer answer = Answer::wait;
    std::uint32_t connection = none;
  };
  //! Who was first in the line has a place.
  struct Turn {
    std::uint64_t tag = 0;
    Place place;
  };
  struct Connection {
    bool live = false, opening = false, idle = false;
    std::uint32_t replica = 0xffffffffU;   //!< at its other end, once known
    std::int64_t incarnation = 0;          //!< of that replica
    bool accepted = false;                 //!< it takes one of the connections of the server
    Instant born, idle_since;
  };
  static constexpr std::uint32_t none = 0xffffffffU;

  explicit CallPool(const ConnectionPoolSpec& spec) : spec_(spec) {}

  //! The newest idle connection; else a new one, if there is room; else the end of the line.
  Place acquire(Instant now, std::uint64_t tag);
  //! It is open, and in use by whoever has opened it.
  void opened(std::uint32_t connection, Instant now);
  //! A connection in use is closed, and another one is to be opened in its place.
  void reopen(std::uint32_t connection, Reason why);
  //! Ends a use. A connection that nobody may or can use any more is closed; `why`: it is not fit for
  //! another use. Gives its place to the first in the line.
  std::optional<Turn> release(std::uint32_t connection, Instant now, std::optional<Reason> why = {});
  //! Whoever waits goes away. False: it does not wait.
  bool forget(std::uint64_t tag, Instant now);
  //! Its caller is no more: idle connections are closed, and nobody waits.
  void clear(Instant now);
  //! Closes what has been idle or alive for too long, each at its date.
  void expire(Instant now);
  void reset(Instant now);  //!< of counts and averages

  Connection& at(std::uint32_t connection) { return connections_[connection]; }
  //! Of those that a server has accepted, the ones to that replica.
  std::uint32_t accepted(std::uint32_t replica, std::int64_t incarnation) const;
  const ConnectionPoolSpec& spec() const { return spec_; }

  struct Counts {
    std::uint64_t opened = 0;
    std::array<std::uint64_t, static_cast<std::size_t>(Reason::count_)> closed{};
  };
  const Counts& counts() const { return counts_; }
  const TimeAverage& open() const { return open_; }        //!< connections, those being opened included
  const TimeAverage& idle() const { return idle_; }
  const TimeAverage& waiting() const { return waiting_; }  //!< requests in the line

 private:
  void close(std::uint32_t connection, Instant at, Reason why);
  std::uint32_t add(Instant now);
  Instant expiry(const Connection& c) const;

  const ConnectionPoolSpec& spec_;
  std::vector<Connection> connections_;
  std::vector<std::uint32_t> free_, stack_;  // unused entries; idle ones, the newest last
  std::deque<std::uint64_t> line_;
  std::uint32_t live_ = 0;
  Counts counts_;
  TimeAverage open_, idle_, waiting_;
};

std::string_view name_of(CallPool::Reason reason);

}  // namespace isthmus::world
