// What a model costs to bring back, how often it is used and how much room it takes.
#include <algorithm>
#include <vector>

#include "schedulers/entry.hpp"
#include "schedulers/eviction_policy.hpp"
#include "schedulers/least.hpp"

namespace isthmus::schedulers {

namespace {

// A model is worth L + uses load / bytes at its last use; L rises to the worth of what left.
class GreedyDual final : public EvictionPolicy {
 public:
  void used(const ResidentModel& m) override {
    if (worth_.size() <= m.model) worth_.resize(m.model + 1, 0);
    worth_[m.model] = level_ + static_cast<double>(m.uses) * m.load / std::max(1.0, m.bytes);
  }
  std::size_t evict(std::span<const ResidentModel> candidates, Instant) override {
    const std::size_t best = least(candidates, [&](const ResidentModel& m) { return worth(m); });
    level_ = std::max(level_, worth(candidates[best]));
    return best;
  }

 private:
  // Never used: as if it had been used once when the level was 0.
  double worth(const ResidentModel& m) const {
    return m.model < worth_.size() && m.uses > 0 ? worth_[m.model]
                                                 : m.load / std::max(1.0, m.bytes);
  }

  std::vector<double> worth_;  // by model
  double level_ = 0;
};

}  // namespace

PolicyEntry<EvictionPolicy> eviction_greedy_dual() {
  return {"greedy-dual",
          "The model with the least time to load per byte, weighted with its batches and aged "
          "(GDSF).",
          "Cherkasova: Improving WWW proxies performance with Greedy-Dual-Size-Frequency caching "
          "policy, HP Labs HPL-98-69R1, 1998",
          "load times are proportional to sizes: it then is an aged LFU.",
          "O(models)",
          {},
          &make_policy<EvictionPolicy, GreedyDual>};
}

}  // namespace isthmus::schedulers
