// What a scenario says of services with a primary and standbys (docs/faults.md).
#pragma once

#include <cstdint>
#include <string>

#include "sim/core/time.hpp"

namespace isthmus::world {

//! How what the primary has written gets to where it outlives it.
enum class Durability : std::uint8_t {
  synchronous,   //!< a write is answered once a standby has it
  asynchronous,  //!< it is answered at once and sent to the standbys
  checkpoint,    //!< all data are stored every now and then; whoever takes over loads them
};

//! Who answers requests that only read.
enum class ReadsFrom : std::uint8_t {
  primary,
  standby,  //!< the one with the fewest requests; the primary when there is none
  nearest,  //!< of all, by the latency from the client or caller
};

//! One replica of a service serves it; others take over.
struct FailoverSpec {
  std::string name;
  std::uint32_t service = 0;
  Durability durability = Durability::asynchronous;
  double write_share = 1;              //!< of the requests
  ReadsFrom reads = ReadsFrom::primary;
  bool own_writes = false;             //!< a client's reads go to who has all that it has written
  double record = 0, ack = 0;          //!< bytes of a write on its way, of its acknowledgement
  Duration ship;                       //!< asynchronous: between batches of writes; 0: each at once
  Duration probe;                      //!< between health checks of the primary
  std::uint32_t misses = 3;            //!< failed ones in a row until it counts as lost
  Duration promotion;                  //!< of a standby
  Duration checkpoint;                 //!< between the beginnings of two
  double stored = 0, bandwidth = 1;    //!< bytes of one; bytes/s of writing and loading it
  bool logged = false;                 //!< what is written after it outlives the primary too
  Duration replay;                     //!< of each such write
};

}  // namespace isthmus::world
