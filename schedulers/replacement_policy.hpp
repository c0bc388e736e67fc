// Which entry leaves a cache of answers for another?
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "schedulers/policy.hpp"

namespace isthmus::schedulers {

//! The order of one cache's entries. Each entry has a slot, a small number that is used again once
//! the entry is gone, so that a step costs no look-up. Unlike an EvictionPolicy, which weighs a few
//! models against each other, it keeps the order itself: caches have millions of entries.
class ReplacementPolicy {
 public:
  virtual ~ReplacementPolicy() = default;
  //! Room of the cache, in the unit of the weights (entries or bytes). Once, before all others.
  virtual void begin(double capacity) { static_cast<void>(capacity); }
  //! `key` is new in the cache. Its fingerprint outlives the entry, its slot does not.
  virtual void admit(std::uint32_t slot, std::uint64_t key, double weight) = 0;
  //! The entry answered a request.
  virtual void use(std::uint32_t slot) = 0;
  //! The entry is gone: it grew too old, or is written anew.
  virtual void forget(std::uint32_t slot) = 0;
  //! Forgets the entry to evict, of at least one, and returns its slot.
  virtual std::uint32_t evict() = 0;
};

const std::vector<PolicyEntry<ReplacementPolicy>>& replacement_policies();

}  // namespace isthmus::schedulers
