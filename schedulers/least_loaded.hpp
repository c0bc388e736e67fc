// The replica with the fewest outstanding requests; ties go to the lowest number.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "schedulers/routing_policy.hpp"

namespace isthmus::schedulers {

inline std::size_t least_outstanding(std::span<const ReplicaSignal> replicas) {
  const auto best = std::min_element(replicas.begin(), replicas.end(),
                                     [](const ReplicaSignal& a, const ReplicaSignal& b) {
                                       return a.outstanding < b.outstanding;
                                     });
  return static_cast<std::size_t>(best - replicas.begin());
}

//! Index of a replica by its number; replicas.size() when it is not among them.
inline std::size_t index_of(std::span<const ReplicaSignal> replicas, std::uint32_t number) {
  const auto at = std::lower_bound(
      replicas.begin(), replicas.end(), number,
      [](const ReplicaSignal& r, std::uint32_t n) { return r.replica < n; });
  return at != replicas.end() && at->replica == number
             ? static_cast<std::size_t>(at - replicas.begin())
             : replicas.size();
}

}  // namespace isthmus::schedulers
