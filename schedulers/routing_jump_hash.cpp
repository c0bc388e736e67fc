// Consistent hashing without a table, over replicas numbered without gaps.
#include "schedulers/entry.hpp"
#include "schedulers/jump_hash.hpp"
#include "schedulers/routing_policy.hpp"
#include "sim/core/hash.hpp"

namespace isthmus::schedulers {

namespace {

class JumpHash final : public RoutingPolicy {
 public:
  std::size_t choose(const RoutingView& view) override {
    return static_cast<std::size_t>(
        jump_hash(mix64(view.session), static_cast<std::int32_t>(view.replicas.size())));
  }
  bool wants_outstanding() const override { return false; }
};

}  // namespace

PolicyEntry<RoutingPolicy> routing_jump_hash() {
  return {"jump-hash",
          "Sends a session to the replica that the jump hash gives it among those that are there, by "
          "number and whatever their weights.",
          "Lamping and Veach, A Fast, Minimal Memory, Consistent Hash Algorithm, 2014",
          "another replica than the last one can leave: those after it change their places, and about "
          "half of the sessions move.",
          "O(log replicas)",
          {},
          make_policy<RoutingPolicy, JumpHash>};
}

}  // namespace isthmus::schedulers
