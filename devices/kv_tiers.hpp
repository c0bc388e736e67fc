// Slower memories that keep the contents of KV blocks which the unit's own memory gave up.
#pragma once

#include <cstdint>
#include <vector>

#include "devices/engine_limits.hpp"
#include "devices/kv_blocks.hpp"
#include "schedulers/lru_map.hpp"

namespace isthmus::devices {

//! The tiers of one engine, fastest first. What one of them gives up, the least recently used first,
//! goes to the next; the last one forgets it. Contents that are read stay where they are. Writing
//! happens beside the computation and takes no time. Constant time per call and tier.
class KvTiers final : public EvictedBlocks {
 public:
  static constexpr std::size_t nowhere = ~std::size_t{0};

  explicit KvTiers(const std::vector<KvTier>& tiers);

  void evicted(BlockKey key) override;
  //! The fastest tier that has the contents, or nowhere.
  std::size_t find(BlockKey key) const;
  //! The contents in that tier were read.
  void read(std::size_t tier, BlockKey key);
  //! Bytes/s of reading from a tier.
  double bandwidth(std::size_t tier) const { return tiers_[tier].bandwidth; }
  void clear();

 private:
  struct Tier {
    std::int64_t blocks = 0;
    double bandwidth = 0;
    schedulers::LruMap<bool> contents;  // the values say nothing
  };
  std::vector<Tier> tiers_;
};

}  // namespace isthmus::devices
