// One key at one replica: the versions it has, and how those of another replica come in.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/core/version_vector.hpp"
#include "sim/world/replication_spec.hpp"

namespace isthmus::world {

//! A written value.
struct Version {
  VersionVector vector;                //!< what it includes
  std::uint32_t writer = 0;
  std::uint64_t number = 0;            //!< of the write, among those of its writer to this key
  std::int64_t stamp = 0;              //!< ns on the writer's clock
  bool operator==(const Version&) const = default;
  bool same_write(const Version& other) const { return writer == other.writer && number == other.number; }
};

//! Merging is commutative, associative and idempotent under last_writer_wins and keep_both. Under hub_wins
//! replicas agree as long as all of them exchange with the hub alone.
class ReplicatedValue {
 public:
  //! A write that has seen all that is here. Its stamp is that of the writer's clock, but never below those of what
  //! it replaces (as hybrid logical clocks do), so that clocks that differ cannot undo a write that has been seen.
  const Version& write(std::uint32_t replica, std::int64_t clock);

  struct Outcome {
    bool changed = false, conflict = false;
    std::vector<Version> lost;         //!< that the rule dropped
  };
  //! Takes in what another replica has. `yields`: under hub_wins the other side is the hub.
  Outcome merge(const ReplicatedValue& other, ConflictRule rule, bool yields);

  bool written() const { return !versions_.empty(); }
  const std::vector<Version>& versions() const { return versions_; }  //!< siblings, by writer and number
  //! What all siblings together include.
  const VersionVector& vector() const { return vector_; }
  bool operator==(const ReplicatedValue&) const = default;

 private:
  std::vector<Version> versions_;
  VersionVector vector_;
};

}  // namespace isthmus::world
