// Points of replicas on a ring of 64-bit numbers; a key belongs to the next point (Karger et al. 1997).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "schedulers/routing_policy.hpp"
#include "schedulers/smooth_weights.hpp"
#include "sim/core/hash.hpp"

namespace isthmus::schedulers {

class HashRing {
 public:
  using Point = std::pair<std::uint64_t, std::uint32_t>;  //!< place, number of its replica

  //! `points`: of a replica of weight 1.
  explicit HashRing(double points) : points_(points) {}

  //! Follows the set of replicas and their weights.
  void align(std::span<const ReplicaSignal> replicas) {
    if (std::equal(members_.begin(), members_.end(), replicas.begin(), replicas.end(),
                   [](const Member& m, const ReplicaSignal& r) {
                     return m.first == r.replica && m.second == r.weight;
                   }))
      return;
    members_.clear();
    ring_.clear();
    const bool equal = all_weightless(replicas);
    double wanted = 0;
    for (const ReplicaSignal& r : replicas) wanted += points_ * share_of(r, equal);
    const double points = points_ * std::min(1.0, most_points / wanted);
    for (const ReplicaSignal& r : replicas) {
      members_.emplace_back(r.replica, r.weight);
      const double share = share_of(r, equal);
      if (share <= 0) continue;
      // A replica of small weight keeps one point, else it would never be met.
      const auto count = static_cast<std::uint64_t>(std::max(1.0, std::round(points * share)));
      for (std::uint64_t k = 0; k < count; ++k)
        ring_.emplace_back(hash_combine(r.replica, k), r.replica);
    }
    std::sort(ring_.begin(), ring_.end());
  }

  //! Index of the point that the key belongs to.
  std::size_t find(std::uint64_t key) const {
    const auto point = std::lower_bound(ring_.begin(), ring_.end(), Point(key, 0));
    return point == ring_.end() ? 0 : static_cast<std::size_t>(point - ring_.begin());
  }
  const std::vector<Point>& points() const { return ring_; }

 private:
  static constexpr double most_points = 4e6;  // on the ring; beyond it all replicas have fewer
  using Member = std::pair<std::uint32_t, double>;
  double points_;
  std::vector<Member> members_;  // the set that the ring was made for
  std::vector<Point> ring_;      // sorted
};

}  // namespace isthmus::schedulers
