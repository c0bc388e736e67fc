// The KV cache blocks of one engine: how many are free, and what freed ones still hold.
//
// Free blocks form a queue: blocks are taken from its head and put back at its tail (vLLM's block
// pool, least recently used first). A block that was put back keeps its contents until it is taken,
// so that a prompt with the same beginning can use them again (prefix caching). Contents have keys;
// blocks whose contents nobody can ask for have none and are only counted.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace isthmus::devices {

//! Equal keys mean equal tokens from the start of the sequence up to the end of the block.
using BlockKey = std::uint64_t;
inline constexpr BlockKey no_key = 0;

//! Is told which contents a cache forgets.
class EvictedBlocks {
 public:
  virtual ~EvictedBlocks() = default;
  virtual void evicted(BlockKey key) = 0;
};

//! Constant time per call, amortized per block for take().
class KvBlocks {
 public:
  explicit KvBlocks(std::int64_t blocks);
  //! From now on `listener`, which is not kept alive, hears of what take() forgets.
  void tell(EvictedBlocks* listener) { listener_ = listener; }

  std::int64_t free() const { return free_; }
  //! Takes `count` <= free() blocks without contents from the head of the queue; what they held is
  //! forgotten.
  void take(std::int64_t count);
  //! Puts `count` blocks without a key back.
  void put_back(std::int64_t count);

  //! True when a block holds these contents.
  bool contains(BlockKey key) const { return by_key_.contains(key); }
  //! True when a block that nobody uses, and which counts as free, holds these contents.
  bool idle(BlockKey key) const { return users(key) == 0; }
  //! Sequences that use the block of these contents; -1: none holds them.
  std::int64_t users(BlockKey key) const;
  //! One more sequence uses the block of these contents; false when none holds them.
  bool use(BlockKey key);
  //! A block that was taken holds these contents from now on. False, and the block stays without a
  //! key, when another one holds them already.
  bool name(BlockKey key);
  //! One user less of a block with a key; after the last one it joins the queue.
  void put_back_named(BlockKey key);

  //! All blocks are free and empty.
  void reset();

 private:
  static constexpr std::uint32_t none = 0xffffffffU;
  // A run of free blocks without a key, or one block with a key.
  struct Entry {
    BlockKey key = no_key;
    std::int64_t count = 0;  // blocks of the run
    std::uint32_t users = 0;
    std::uint32_t prev = none, next = none;
  };
  std::uint32_t allocate();
  void append(std::uint32_t entry);
  void unlink(std::uint32_t entry);

  std::int64_t blocks_, free_ = 0;
  EvictedBlocks* listener_ = nullptr;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> unused_;
  std::uint32_t head_ = none, tail_ = none;
  std::unordered_map<BlockKey, std::uint32_t> by_key_;
};

}  // namespace isthmus::devices
