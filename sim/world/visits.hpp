// A request on its way through caches and services that call each other: what the world keeps of it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "devices/answer_cache.hpp"
#include "sim/core/time.hpp"

namespace isthmus::world {

inline constexpr std::size_t max_cache_tiers = 8;

//! A request at the replica that a balancer has chosen, until the balancer learns how that ended.
struct Try {
  std::uint32_t replica = 0xffffffffU;  // ~0: none that a balancer watches
  bool again = false;                   // after a failure at another replica
  Instant since;
};
struct OpenTry : Try {
  std::vector<std::uint32_t> failed;    // replicas where the request failed, one after the other
};

class CallPool;

//! A connection that a call needs, from the wish for it until the call is answered or fails.
struct Lease {
  CallPool* pool = nullptr;                 // null: none is needed
  std::uint32_t connection = 0xffffffffU;   // ~0: it waits in line
  std::uint32_t half = 0;                   // halves of round trips of the opening that are over
  bool used = false;                        // the call is under way on it
  bool waited = false;                      // it was in the line
  Instant since;                            // of the wish
};

//! A request at one service. While the service waits for another one's answer, the fields of the
//! request that are about this service rest here.
struct Level {
  std::uint32_t serving = 0, replica = 0xffffffffU, from = 0xffffffffU, number = 0, batch = 0;
  Instant arrived = Instant::never(), started = Instant::never();
  std::uint32_t tier = 0;   // caches that have been asked in vain; the index of the next one
  std::uint32_t leads = 0;  // bits of those where others may wait for its answer
  Try tried;
  bool asks_cache = false;  // its call is a look-up at a cache server
  bool called = false;      // the called services have answered
  bool borrowed = false;    // of a branch: its replica counts the request that it belongs to
  std::uint16_t call = 0;   // the one under way, or the next one
  std::uint32_t made = 0;   // of its count
  std::uint64_t path = 0;   // tells visits of one request apart in draws; 0: as if there were one
  Instant called_at;        // start of the call under way
  Lease lease;              // of the call under way
  std::array<std::uint32_t, max_cache_tiers> holders{};  // whom it asked: replicas or nodes; ~0: nobody
};

//! From its first service with caches or calls to the answer. A branch begins at the service that
//! calls, and ends when it is back there; so does the delivery of a message.
struct Visit {
  enum class Next : std::uint8_t { arrive, back, look, conclude, begin, turn };
  std::vector<Level> levels;  // from the outermost service inwards; never empty
  devices::Answer answer;     // found, or made
  double bytes = 0;           // of the call under way
  double made_bytes = 0;      // of the answer, and its tokens, if no cache has one
  std::uint32_t made_tokens = 0;
  std::uint64_t hops = 1;     // tells routing decisions apart; 1 is taken by decode pools
  bool found = false;         // `answer` comes back from a cache server
  bool hit = false;           // `answer` comes from a cache
  bool done = false;          // on to the client
  bool branch = false;        // one of the parallel calls of another request, `parent`
  std::uint64_t parent = 0;
  std::uint64_t message = 0;  // of a branch: the one that it delivers, instead of a parent
  std::vector<std::uint64_t> branches;  // parallel calls without an answer so far
  Next next = Next::look;     // in Stage::resuming
  bool nested() const { return levels.size() > 1; }
  Level& here() { return levels.back(); }
};

//! A cache with those who wait for what others fetch, by key. The fetching one is not among them.
struct CacheHolder {
  devices::AnswerCache cache;
  std::unordered_map<std::uint64_t, std::vector<std::uint64_t>> waiting;
};

//! All holders of one cache of a service, and what they did together.
struct CacheState {
  struct Counts {
    std::uint64_t lookups = 0, hits = 0, similar = 0, wrong = 0, coalesced = 0, unanswered = 0;
  };
  std::vector<std::unique_ptr<CacheHolder>> holders;  // by replica or node; made when needed
  Counts counts;
  devices::AnswerCache::Counts before;  // when the warm-up ended
};

//! An answer on its way to a cache server.
struct CacheWrite {
  std::uint32_t cache = 0, holder = 0;
  devices::Answer answer;
  std::uint32_t generation = 0;
};

}  // namespace isthmus::world
