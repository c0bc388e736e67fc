// The healthy candidates in turn.
#include "schedulers/entry.hpp"
#include "schedulers/offload_estimates.hpp"

namespace isthmus::schedulers {

namespace {

class RoundRobin final : public OffloadPolicy {
 public:
  OffloadDecision decide(const OffloadView& view) override {
    const bool healthy_only = any_healthy(view);
    std::size_t i = next_ % view.candidates.size();
    while (healthy_only && !view.candidates[i].healthy) i = (i + 1) % view.candidates.size();
    next_ = i + 1;
    return {i, 0, "round robin"};
  }

 private:
  std::size_t next_ = 0;
};

}  // namespace

PolicyEntry<OffloadPolicy> offload_round_robin() {
  return {"round-robin",
          "Takes the healthy candidates in turn, in the order of the scenario.",
          "baseline of the load-balancing literature",
          "candidates differ in speed: the slowest gets as many requests as the fastest.",
          "O(candidates)",
          {},
          make_policy<OffloadPolicy, RoundRobin>};
}

}  // namespace isthmus::schedulers
