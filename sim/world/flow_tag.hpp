// Names of things that come and go, and whose a flow of the network is.
#pragma once

#include <cstdint>

namespace isthmus::world {

//! A slot of a table and how often it has been used: stale once the thing is gone.
struct Handle {
  std::uint32_t slot = 0xffffffffU;
  std::uint32_t generation = 0;
  static Handle unpack(std::uint64_t v) {
    return {static_cast<std::uint32_t>(v), static_cast<std::uint32_t>(v >> 32)};
  }
  std::uint64_t pack() const { return static_cast<std::uint64_t>(generation) << 32 | slot; }
};

//! Who started a flow and hears of its end. The four upper bits of the slot in its tag; tables have at
//! most 2^28 slots.
enum class FlowOwner : std::uint32_t {
  request = 0,      //!< uploads, downloads, calls, handshakes, KV caches
  update = 2,       //!< of a model, to one machine
  cache_write = 4,  //!< an answer, to a cache
  image = 6,        //!< of a container, to a machine
  message = 8,      //!< of a streamed answer, to its client
  outbox = 13,
  replication = 14,
  failover = 12,    //!< writes of a primary, to a standby
  batch_job = 15,   //!< a checkpoint, to its storage
};

inline constexpr unsigned flow_owner_shift = 28;

inline std::uint64_t flow_tag(FlowOwner owner, Handle h) {
  return h.pack() | static_cast<std::uint64_t>(owner) << flow_owner_shift;
}
inline FlowOwner flow_owner(std::uint64_t tag) {
  return static_cast<FlowOwner>(tag >> flow_owner_shift & 15U);
}
//! What flow_tag() was given.
inline Handle flow_handle(std::uint64_t tag) {
  return Handle::unpack(tag & ~(std::uint64_t{15} << flow_owner_shift));
}

}  // namespace isthmus::world
