// Version vectors (Parker et al. 1983): what each replica has written, as far as a version knows.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace isthmus {

//! How two versions are related by what they know of each other.
enum class Causality : std::uint8_t { equal, before, after, concurrent };

//! Number of writes of each replica that a version includes. Replicas without writes take no entry.
class VersionVector {
 public:
  //! Writes of the replica that are included.
  std::uint64_t operator[](std::uint32_t replica) const;
  //! Includes one more write of the replica; its number, from 1.
  std::uint64_t bump(std::uint32_t replica);
  //! Includes all that the other one includes.
  void join(const VersionVector& other);
  //! Whether it includes all that the other one includes.
  bool covers(const VersionVector& other) const;
  //! before: the other one includes all of this one and more.
  Causality compare(const VersionVector& other) const;
  std::size_t size() const { return entries_.size(); }
  //! (replica, writes) by replica.
  const std::vector<std::pair<std::uint32_t, std::uint64_t>>& entries() const { return entries_; }
  bool operator==(const VersionVector&) const = default;

 private:
  std::vector<std::pair<std::uint32_t, std::uint64_t>> entries_;
};

}  // namespace isthmus
