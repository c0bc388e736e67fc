// How clients talk to a service: connections, bytes and work that come on top of payloads
// (docs/transfer_costs.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sim/core/time.hpp"

namespace isthmus::world {

//! What a connection pays for encryption before its first request.
struct Handshake {
  std::uint32_t trips = 0;             //!< round trips
  double up = 0, down = 0;             //!< bytes
  double client = 0, server = 0;       //!< s on a core of speed 1
};

//! A layer that cuts what passes it into pieces and puts some bytes on top of each.
struct Layer {
  double piece = 0;                    //!< bytes of the layer above; 0: the layer is not there
  double overhead = 0;                 //!< bytes per piece
};

//! What a message in one direction pays.
struct MessageCosts {
  double fixed = 0;                    //!< bytes
  double ratio = 1;                    //!< of compression
  double sender = 0, receiver = 0;     //!< s per byte of payload on a core of speed 1
};

//! What an eavesdropper or the service learns from a payload.
enum class Shows : std::uint8_t { raw, features, noised };

//! A bus between the connection and the service, one process on each machine that serves.
struct Broker {
  double time = 0;                     //!< s per message and way
  std::uint32_t workers = 0xffffffffU; //!< messages that it handles at once
  std::uint32_t capacity = 0xffffffffU;  //!< requests that it holds; more are rejected
  double resident = 0;                 //!< bytes of memory without a request
  double per_request = 0;              //!< bytes on top of the payload while it holds a request
  Duration timeout = Duration::max();  //!< from the request's entry until the answer leaves
  bool both_ways = true;               //!< answers pass it as well
};

struct Protocol {
  std::string name;
  bool connects = true;                //!< false: requests need no connection
  std::uint32_t trips = 1;             //!< of the transport, before those of encryption
  Handshake full, resumed;
  bool resumes = false;                //!< a client that knows the service resumes
  Duration idle_timeout;               //!< connections without requests are closed then
  std::uint32_t limit = 0xffffffffU;   //!< connections of a client to a service
  std::uint32_t streams = 1;           //!< requests at once on a connection
  MessageCosts up, down;
  double expansion = 1;                //!< of what is left after compression
  Layer frame, record, packet;
  double cipher = 0;                   //!< s per byte on either side, on a core of speed 1
  bool encrypted = false;
  Shows shows = Shows::raw;
  double accuracy_loss = 0;
  std::optional<Broker> broker;
};

//! Bytes on the wire for a message of `payload` bytes.
double wire_bytes(const Protocol& protocol, const MessageCosts& way, double payload);
//! Bytes on the wire for `bytes` of a handshake, which has its records already.
double packed(const Protocol& protocol, double bytes);

}  // namespace isthmus::world
