// Which model leaves a device's memory so that another one fits?
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "schedulers/policy.hpp"
#include "sim/core/time.hpp"

namespace isthmus::schedulers {

//! A model that is in the memory of a machine.
struct ResidentModel {
  std::uint32_t model = 0;  //!< the same number whenever it comes back
  double bytes = 0;         //!< that it gives free
  double load = 0;          //!< s to bring it back
  double priority = 0;      //!< larger = more important
  Instant loaded;           //!< since when it is there
  Instant last_used;        //!< when a batch of it last began
  std::uint64_t uses = 0;   //!< batches since it was loaded
};

//! One object per machine; it may keep state.
class EvictionPolicy {
 public:
  virtual ~EvictionPolicy() = default;
  //! A batch of `model` begins; it is in memory.
  virtual void used(const ResidentModel& model) { static_cast<void>(model); }
  //! Index of the model to evict. `candidates` is never empty and ordered by model.
  virtual std::size_t evict(std::span<const ResidentModel> candidates, Instant now) = 0;
};

const std::vector<PolicyEntry<EvictionPolicy>>& eviction_policies();

}  // namespace isthmus::schedulers
