// What a scenario says of batch jobs (docs/batch_jobs.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/core/time.hpp"
#include "sim/world/distribution.hpp"

namespace isthmus::world {

//! Who works on which shard.
enum class ShardAssignment : std::uint8_t {
  consistent_hash,  //!< the next worker on a ring; shards wait for theirs
  queue,            //!< the first free worker
  stealing,         //!< as consistent_hash, but a worker without shards takes one from the longest queue
};

//! Items that are worked off by machines.
struct BatchJob {
  std::string name;
  std::vector<std::uint32_t> workers;  //!< node groups
  std::uint32_t slots = 1;             //!< shards that a machine works on at once
  Duration start;
  std::uint64_t items = 0;
  std::uint32_t shards = 1;
  Distribution item_time;              //!< s
  Distribution slowdown = Distribution::constant(1);  //!< factor of the times of one attempt
  ShardAssignment assignment = ShardAssignment::consistent_hash;
  double ring_points = 160;            //!< of a worker
  Duration setup;                      //!< of an attempt, before its first item
  // Checkpoints; without any, a failure loses all of an attempt's work.
  std::uint64_t checkpoint_items = 0;  //!< 0: not by items
  Duration checkpoint_every = Duration::max();  //!< of work
  Duration checkpoint_time;            //!< of writing one, beside its transfer
  double checkpoint_bytes = 0;
  std::uint32_t storage = 0xffffffffU; //!< node group to whose first machine they go; ~0: no transfer
  std::uint32_t retries = 3;           //!< of a shard after failures of its worker
  Duration timeout = Duration::max();  //!< of an attempt; then it counts as failed
  bool speculate = false;
  double slow_factor = 1.5;            //!< slower than the median by this: a straggler
  Duration check = Duration::from_seconds(10);  //!< between looks for stragglers
  double speculative_share = 0.1;      //!< of the shards may have a copy at once
};

}  // namespace isthmus::world
