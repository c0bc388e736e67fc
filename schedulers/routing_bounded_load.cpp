// Consistent hashing in which no replica is loaded far above the mean.
#include <cmath>

#include "schedulers/entry.hpp"
#include "schedulers/hash_ring.hpp"
#include "schedulers/least_loaded.hpp"
#include "schedulers/routing_policy.hpp"

namespace isthmus::schedulers {

namespace {

class BoundedLoad final : public RoutingPolicy {
 public:
  explicit BoundedLoad(const Parameters& p)
      : ring_(p.number("points")), factor_(p.number("load_factor")) {}

  // The first replica on the ring from the session's point on that has room. One always has: the
  // room of all replicas exceeds their load.
  std::size_t choose(const RoutingView& view) override {
    ring_.align(view.replicas);
    const bool equal = all_weightless(view.replicas);
    double load = 1, weight = 0;
    for (const ReplicaSignal& r : view.replicas) {
      load += r.outstanding;
      weight += share_of(r, equal);
    }
    const auto& points = ring_.points();
    const std::size_t first = ring_.find(mix64(view.session));
    for (std::size_t k = 0; k < points.size(); ++k) {
      const std::size_t i = index_of(view.replicas, points[(first + k) % points.size()].second);
      const ReplicaSignal& r = view.replicas[i];
      if (r.outstanding < std::ceil(factor_ * load * share_of(r, equal) / weight)) return i;
    }
    return index_of(view.replicas, points[first].second);  // weightless replicas hold all the load
  }

 private:
  HashRing ring_;
  double factor_;
};

}  // namespace

PolicyEntry<RoutingPolicy> routing_bounded_load() {
  return {"bounded-load-hash",
          "Sends a session to the next replica on a hash ring whose outstanding requests, with this "
          "one, do not exceed a multiple of the mean.",
          "Mirrokni, Thorup and Zadimoghaddam, SODA 2018; HAProxy hash-balance-factor",
          "a replica's cache matters more than its queue: what overflows misses its cache.",
          "O(replicas + log points), and O(points) when most replicas are full; "
          "O(points log points) when the set changes",
          {number_parameter("points", Dimension::count, 160, 1, 10000,
                            "points on the ring per replica of weight 1"),
           number_parameter("load_factor", Dimension::none, 1.25, 1.0, 1000,
                            "a replica takes at most this many times the mean of outstanding requests, "
                            "rounded up; near 1 it balances, far above it is consistent-hash")},
          make_policy<RoutingPolicy, BoundedLoad>};
}

}  // namespace isthmus::schedulers
