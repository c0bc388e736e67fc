// What a scenario says of replicated data: writes at many machines, brought together at a hub
// (docs/replicated_data.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sim/core/time.hpp"
#include "sim/world/distribution.hpp"
#include "sim/world/popularity.hpp"

namespace isthmus::world {

//! What becomes of concurrent versions of a key.
enum class ConflictRule : std::uint8_t {
  last_writer_wins,  //!< by the writers' clocks
  hub_wins,          //!< what the hub has
  keep_both,         //!< siblings, until a write sees them all
};

//! Keys with a copy at the hub and on every machine of a group.
struct ReplicatedData {
  std::string name;
  std::uint32_t hub = 0, at = 0;       //!< node groups; the hub is the first machine of its group
  ZipfLaw popularity;                  //!< of keys 1 ... items
  Distribution value;                  //!< bytes, drawn once per key
  //! Seconds between writes and reads of one machine, and between writes at the hub; none: there are none.
  std::optional<Distribution> writes, reads, hub_writes;
  bool push = false;                   //!< changes are sent at once; else machines ask every `interval`
  Duration interval;                   //!< of polling
  Duration start = Duration::max();    //!< of the first poll; max(): drawn
  bool full = false;                   //!< all keys every time; else what the other side does not know
  ConflictRule rule = ConflictRule::last_writer_wins;
  Duration clock_skew;                 //!< clocks of machines are off by up to this, both ways
  double header = 0, key_bytes = 0, entry_bytes = 0;  //!< of a message, a version, an entry of a vector
  Duration retry;                      //!< push: from the loss of a connection to the next attempt
};

}  // namespace isthmus::world
