// A session always meets the same replica; few sessions move when a replica comes or goes.
#include "schedulers/entry.hpp"
#include "schedulers/hash_ring.hpp"
#include "schedulers/least_loaded.hpp"
#include "schedulers/routing_policy.hpp"

namespace isthmus::schedulers {

namespace {

class ConsistentHash final : public RoutingPolicy {
 public:
  explicit ConsistentHash(const Parameters& p) : ring_(p.number("points")) {}

  std::size_t choose(const RoutingView& view) override {
    ring_.align(view.replicas);
    return index_of(view.replicas, ring_.points()[ring_.find(mix64(view.session))].second);
  }

 private:
  HashRing ring_;
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
