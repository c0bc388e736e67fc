// Slots for flows in flight, named by FlowIds that go stale when their flow ends.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/core/errors.hpp"
#include "sim/core/ids.hpp"

namespace isthmus::network {

//! A slab of `T` with reuse. `T` has the members `std::uint8_t generation` and `bool used`. An id
//! packs slot (24 bits) and generation (8 bits): at most 16.7 million flows in flight at once.
template <class T>
class FlowSlots {
 public:
  static constexpr std::uint32_t slot_mask = (1U << 24) - 1;

  //! Takes a slot; its contents are those that its last user left.
  std::uint32_t take() {
    std::uint32_t slot;
    if (free_.empty()) {
      slot = static_cast<std::uint32_t>(slab_.size());
      if (slot >= slot_mask) throw Error("more than 16.7 million transfers in flight");
      slab_.emplace_back();
    } else {
      slot = free_.back();
      free_.pop_back();
    }
    slab_[slot].used = true;
    ++live_;
    return slot;
  }
  void release(std::uint32_t slot) {
    slab_[slot].used = false;
    ++slab_[slot].generation;
    free_.push_back(slot);
    --live_;
  }
  FlowId id(std::uint32_t slot) const {
    return FlowId(static_cast<std::uint32_t>(slab_[slot].generation) << 24 | slot);
  }
  //! The slot of a flow in flight, or slot_mask when `id` is stale or unknown.
  std::uint32_t find(FlowId id) const {
    const std::uint32_t slot = id.value() & slot_mask;
    if (slot >= slab_.size() || !slab_[slot].used || slab_[slot].generation != id.value() >> 24)
      return slot_mask;
    return slot;
  }
  T& operator[](std::uint32_t slot) { return slab_[slot]; }
  const T& operator[](std::uint32_t slot) const { return slab_[slot]; }
  //! Number of slots ever made; used() tells which are in use.
  std::uint32_t extent() const { return static_cast<std::uint32_t>(slab_.size()); }
  std::size_t live() const { return live_; }

 private:
  std::vector<T> slab_;
  std::vector<std::uint32_t> free_;
  std::size_t live_ = 0;
};

}  // namespace isthmus::network
