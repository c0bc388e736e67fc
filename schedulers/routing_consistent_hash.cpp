// A session always meets the same replica; few sessions move when a replica comes or goes.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "schedulers/entry.hpp"
#include "schedulers/routing_policy.hpp"
#include "schedulers/smooth_weights.hpp"
#include "sim/core/hash.hpp"

namespace isthmus::schedulers {

namespace {

// Each replica owns points on a ring of 64-bit numbers; a session belongs to the next point.
class ConsistentHash final : public RoutingPolicy {
 public:
  explicit ConsistentHash(const Parameters& p) : points_(p.number("points")) {}

  std::size_t choose(const RoutingView& view) override {
    if (!up_to_date(view)) rebuild(view);
    const std::uint64_t key = mix64(view.session);
    auto point = std::lower_bound(ring_.begin(), ring_.end(), std::pair(key, std::uint32_t{0}));
    if (point == ring_.end()) point = ring_.begin();
    const auto owner = std::lower_bound(
        view.replicas.begin(), view.replicas.end(), point->second,
        [](const ReplicaSignal& r, std::uint32_t number) { return r.replica < number; });
    return static_cast<std::size_t>(owner - view.replicas.begin());
  }

 private:
  bool up_to_date(const RoutingView& view) const {
    return std::equal(members_.begin(), members_.end(), view.replicas.begin(), view.replicas.end(),
                      [](const Member& m, const ReplicaSignal& r) {
                        return m.first == r.replica && m.second == r.weight;
                      });
  }

  void rebuild(const RoutingView& view) {
    members_.clear();
    ring_.clear();
    const bool equal = all_weightless(view.replicas);
    for (const ReplicaSignal& r : view.replicas) {
      members_.emplace_back(r.replica, r.weight);
      const double share = share_of(r, equal);
      if (share <= 0) continue;
      // A replica of small weight keeps one point, else it would never be met.
      const auto count = static_cast<std::uint64_t>(std::max(1.0, std::round(points_ * share)));
      for (std::uint64_t k = 0; k < count; ++k)
        ring_.emplace_back(hash_combine(r.replica, k), r.replica);
    }
    std::sort(ring_.begin(), ring_.end());
  }

  using Member = std::pair<std::uint32_t, double>;
  double points_;
  std::vector<Member> members_;                                // the set that the ring was made for
  std::vector<std::pair<std::uint64_t, std::uint32_t>> ring_;  // point, replica; sorted
};

}  // namespace

PolicyEntry<RoutingPolicy> routing_consistent_hash() {
  return {"consistent-hash",
          "Sends a session to the replica that owns the next point on a hash ring.",
          "Karger et al. 1997; libketama (points per replica)",
          "a few sessions make most of the load: nothing moves them off a busy replica.",
          "O(replicas + log points); O(points log points) when the set changes",
          {number_parameter("points", Dimension::count, 160, 1, 10000,
                            "points on the ring per replica of weight 1; more points spread the "
                            "sessions more evenly")},
          make_policy<RoutingPolicy, ConsistentHash>};
}

}  // namespace isthmus::schedulers
