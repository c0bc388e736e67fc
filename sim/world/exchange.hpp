// What a request carries while it speaks a protocol, and brokers (sim/world/exchanges.cpp).
#pragma once

#include <cstdint>
#include <deque>

#include "sim/core/event_queue.hpp"
#include "sim/core/ids.hpp"
#include "sim/world/connections.hpp"

namespace isthmus::world {

//! A bus process on a machine.
struct BrokerState {
  std::uint32_t busy = 0, held = 0, most = 0;  // workers; requests, and the most at once
  double memory = 0, peak = 0;         // bytes, without its resident ones
  std::deque<std::uint64_t> queue;     // messages that wait for a worker
};

//! One attempt of a request under a protocol.
struct Exchange {
  enum class Phase : std::uint8_t {
    encoding,  //!< on the client
    waiting,   //!< for a connection
    shaking,   //!< it sets one up
    opened,    //!< the last work of the client for that
    sending,
    passing,   //!< in a broker, or waiting for it
    serving,   //!< work of the server before it queues, and all that follows
    answering, //!< work of the server on the answer
  };
  const Protocol* protocol = nullptr;
  Phase phase = Phase::encoding;
  bool answers = false;                // it is on its way back
  bool opens = false, resumed = false; // it sets up its connection, with a ticket
  bool working = false;                // a worker of the broker has it
  std::uint32_t step = 0;              // of the set-up: trips up and down
  ConnectionPool* pool = nullptr;
  std::uint32_t connection = ConnectionPool::none;
  BrokerState* broker = nullptr;       // while it is held there
  double held = 0;                     // bytes: its payload, then all that it takes there
  double wire = 0;                     // bytes of the request
  double extra_up = 0, extra_down = 0; // bytes of a handshake without round trips
  double server_before = 0, server_after = 0, client_after = 0;  // s
  Instant since;                       // of the transfer, or of the wish for a connection
  EventHandle timeout;
};

}  // namespace isthmus::world
