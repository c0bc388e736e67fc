// The less loaded of two replicas drawn at random.
#include "schedulers/entry.hpp"
#include "schedulers/pick.hpp"
#include "schedulers/routing_policy.hpp"

namespace isthmus::schedulers {

namespace {

class PowerOfTwo final : public RoutingPolicy {
 public:
  std::size_t choose(const RoutingView& view) override {
    const std::size_t n = view.replicas.size();
    if (n == 1) return 0;
    // Two different replicas out of the one draw: the second is picked from the n - 1 others.
    const std::size_t first = pick_uniform(view.uniform, n);
    std::size_t second = pick_uniform(rest_of_pick(view.uniform, n), n - 1);
    if (second >= first) ++second;
    return view.replicas[second].outstanding < view.replicas[first].outstanding ? second : first;
  }
};

}  // namespace

PolicyEntry<RoutingPolicy> routing_power_of_two() {
  return {
      "power-of-two",
      "Draws two different replicas at random and takes the one with fewer outstanding requests.",
      "Mitzenmacher 2001; Vvedenskaya, Dobrushin and Karpelevich 1996",
      "the balancer sees every queue at no cost: the shortest queue is better still.",
      "O(1)",
      {},
      make_policy<RoutingPolicy, PowerOfTwo>};
}

}  // namespace isthmus::schedulers
