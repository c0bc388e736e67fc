// What a scenario says of calls between services, of the connections that they need, and of message
// queues (docs/tiers.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/core/time.hpp"

namespace isthmus::world {

//! A round trip before the first request on a connection, and work of the server between its halves.
struct OpeningTrip {
  double up = 0, down = 0;  //!< bytes
};

//! A pool of connections between a service that calls and the one that it calls.
struct ConnectionPoolSpec {
  static constexpr std::uint32_t unlimited = 0xffffffffU;
  std::string name;                         //!< "service/pool"
  std::uint32_t id = 0;                     //!< number in the run, from 0
  bool shared = false;                      //!< one for all replicas of the caller, else one for each
  std::uint32_t max_open = unlimited;
  std::uint32_t max_idle = 2;
  Duration max_lifetime = Duration::max();  //!< since it was opened
  Duration max_idle_time = Duration::max();
  Duration wait_timeout = Duration::max();  //!< for a connection, the opening of it included
  std::vector<OpeningTrip> trips;           //!< of an opening
  Duration open_time;                       //!< of the server for it, beside its slots
};

//! What a call does to data with a primary.
enum class Operation : std::uint8_t {
  any,    //!< as the service says (FailoverSpec::write_share)
  read,
  write,
};

//! A call of a service that its answer needs, such as one to a store.
struct Call {
  std::uint32_t service = 0;
  std::optional<double> request, answer;    //!< bytes; else those of the request that came in
  double chance = 1;                        //!< that a request makes it at all
  std::uint32_t count = 1;                  //!< times, one after the other unless parallel
  bool parallel = false;                    //!< all at once, and with the parallel ones next to it
  Operation operation = Operation::any;
  std::optional<std::uint32_t> pool;        //!< index into Fetching::pools
};

//! A service that keeps messages: it answers at once, and makes its calls for them later.
struct QueueSpec {
  std::uint32_t concurrency = 1;            //!< messages at once at consumers, per replica
  std::uint32_t capacity = 0xffffffffU;     //!< messages that a replica keeps
  Duration ack_timeout = Duration::max();   //!< a consumer that takes longer has failed
  Duration redelivery_delay;                //!< after a failure
  std::uint32_t max_tries = 5;              //!< then it is a dead letter
  bool durable = true;                      //!< it outlives a failure of its machine
};

}  // namespace isthmus::world
