// A session always meets the same replica, until their number changes.
#include "schedulers/entry.hpp"
#include "schedulers/routing_policy.hpp"
#include "sim/core/hash.hpp"

namespace isthmus::schedulers {

namespace {

class ModuloHash final : public RoutingPolicy {
 public:
  std::size_t choose(const RoutingView& view) override {
    return static_cast<std::size_t>(mix64(view.session) % view.replicas.size());
  }
  bool wants_outstanding() const override { return false; }
};

}  // namespace

PolicyEntry<RoutingPolicy> routing_modulo_hash() {
  return {"modulo-hash",
          "Sends a session, or a key of a cache or store, to the replica numbered by its hash modulo "
          "their number.",
          "memcached clients, as described by Karger et al. 1997",
          "replicas come and go: nearly all sessions and keys move.",
          "O(1)",
          {},
          make_policy<RoutingPolicy, ModuloHash>};
}

}  // namespace isthmus::schedulers
