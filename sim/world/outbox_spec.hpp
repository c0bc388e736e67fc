// What a scenario says of outboxes: messages that stay on their machine until the network has taken
// them (docs/offline.md).
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "sim/core/time.hpp"
#include "sim/world/distribution.hpp"

namespace isthmus::world {

enum class WhenFull : std::uint8_t {
  drop_oldest,  //!< of the lowest priority that is not above the new message's
  drop_newest,  //!< the new message itself
  block,        //!< its source waits until there is room
};

enum class SendOrder : std::uint8_t { fifo, newest_first, priority };

enum class Delivery : std::uint8_t {
  at_most_once,   //!< no acknowledgement; what a transfer loses is lost
  at_least_once,  //!< sent again until it is acknowledged
  exactly_once,   //!< likewise, and the sink knows what it has
};

//! What makes messages.
struct MessageSource {
  std::string name;
  std::uint32_t service = 0xffffffffU;  //!< one per request that it has served there; ~0: by `interval`
  Distribution interval;                //!< s between two messages; less than a microsecond counts as one
  Duration start = Duration::max();     //!< of the first message; max(): drawn
  Distribution bytes;
  std::int32_t priority = 0;
};

//! One outbox on every machine of a group.
struct Outbox {
  std::string name;
  std::uint32_t from = 0, to = 0;      //!< node groups; machine i sends to machine i % count
  std::vector<MessageSource> sources;
  double capacity = std::numeric_limits<double>::infinity();  //!< bytes
  std::uint64_t messages = ~0ULL;      //!< likewise
  WhenFull when_full = WhenFull::drop_oldest;
  SendOrder order = SendOrder::fifo;
  Delivery delivery = Delivery::at_least_once;
  bool durable = true;                 //!< messages survive a failure of their machine
  std::uint32_t batch = 1;             //!< messages per transfer, at most
  double batch_bytes = std::numeric_limits<double>::infinity();  //!< of these, but one message always goes
  double header = 0, ack = 0;          //!< bytes on top of a transfer; of an acknowledgement
  Duration ack_timeout;                //!< from the end of a transfer
  std::uint32_t trips = 0;             //!< round trips of connecting
  double trip_bytes = 0;               //!< of each message of these
  bool told = false;                   //!< it learns at once that its path is back
  Duration retry, retry_max;           //!< first and longest wait after a failed attempt
  double backoff = 2, jitter = 0;      //!< factor from wait to wait; share of it that is drawn
  double catch_up_rate = 0;            //!< bytes/s of transfers while it catches up; 0: as the network gives
};

}  // namespace isthmus::world
