// A session always meets the same replica, until their number changes.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "schedulers/entry.hpp"
#include "schedulers/routing_policy.hpp"
#include "schedulers/smooth_weights.hpp"
#include "sim/core/hash.hpp"

namespace isthmus::schedulers {

namespace {

class ModuloHash final : public RoutingPolicy {
 public:
  std::size_t choose(const RoutingView& view) override {
    const std::uint64_t hash = mix64(view.session);
    if (view.unweighted) return static_cast<std::size_t>(hash % view.replicas.size());
    // Whole weights count as so many places each; others are rounded, at least to one.
    const bool equal = all_weightless(view.replicas);
    const auto places = [&](const ReplicaSignal& r) {
      const double share = share_of(r, equal);
      return share > 0 ? static_cast<std::uint64_t>(std::max(1.0, std::round(share))) : 0;
    };
    std::uint64_t total = 0;
    for (const ReplicaSignal& r : view.replicas) total += places(r);
    std::uint64_t left = hash % total;
    std::size_t i = 0;
    for (; left >= places(view.replicas[i]); ++i) left -= places(view.replicas[i]);
    return i;
  }
  bool wants_outstanding() const override { return false; }
};

}  // namespace

PolicyEntry<RoutingPolicy> routing_modulo_hash() {
  return {"modulo-hash",
          "Sends a session, or a key of a cache or store, to the replica numbered by its hash modulo "
          "their number, or modulo the sum of their weights.",
          "memcached clients, as described by Karger et al. 1997",
          "replicas come and go: nearly all sessions and keys move.",
          "O(1)",
          {},
          make_policy<RoutingPolicy, ModuloHash>};
}

}  // namespace isthmus::schedulers
