// Eviction by one key: recency, age, frequency, priority.
#include <tuple>

#include "schedulers/entry.hpp"
#include "schedulers/eviction_policy.hpp"
#include "schedulers/least.hpp"

namespace isthmus::schedulers {

namespace {

class Lru final : public EvictionPolicy {
 public:
  std::size_t evict(std::span<const ResidentModel> candidates, Instant) override {
    return least(candidates, [](const ResidentModel& m) { return m.last_used; });
  }
};

class Fifo final : public EvictionPolicy {
 public:
  std::size_t evict(std::span<const ResidentModel> candidates, Instant) override {
    return least(candidates, [](const ResidentModel& m) { return m.loaded; });
  }
};

class Lfu final : public EvictionPolicy {
 public:
  std::size_t evict(std::span<const ResidentModel> candidates, Instant) override {
    return least(candidates,
                 [](const ResidentModel& m) { return std::tuple(m.uses, m.last_used); });
  }
};

class ByPriority final : public EvictionPolicy {
 public:
  std::size_t evict(std::span<const ResidentModel> candidates, Instant) override {
    return least(candidates,
                 [](const ResidentModel& m) { return std::tuple(m.priority, m.last_used); });
  }
};

}  // namespace

PolicyEntry<EvictionPolicy> eviction_lru() {
  return {
      "lru",
      "The model that was not used for the longest time.",
      "Mattson et al.: Evaluation techniques for storage hierarchies, IBM Systems J. 9(2), 1970",
      "models are used in turn and one more of them exists than fits: it then misses always.",
      "O(models)",
      {},
      &make_policy<EvictionPolicy, Lru>};
}
PolicyEntry<EvictionPolicy> eviction_fifo() {
  return {"fifo",
          "The model that was loaded first.",
          "Belady: A study of replacement algorithms, IBM Systems J. 5(2), 1966",
          "one model is used all the time: it leaves like any other.",
          "O(models)",
          {},
          &make_policy<EvictionPolicy, Fifo>};
}
PolicyEntry<EvictionPolicy> eviction_lfu() {
  return {"lfu",
          "The model with the fewest batches since it was loaded, the least recent among equals.",
          "Robinson, Devarakonda: Data cache management using frequency-based replacement, "
          "SIGMETRICS 1990",
          "popularity changes: what was popular stays.",
          "O(models)",
          {},
          &make_policy<EvictionPolicy, Lfu>};
}
PolicyEntry<EvictionPolicy> eviction_priority() {
  return {"priority",
          "The model of the service with the lowest priority, the least recent among equals.",
          "Triton and ModelMesh deployments pin important models alike",
          "important models are rarely used: they take the room of busy ones.",
          "O(models)",
          {},
          &make_policy<EvictionPolicy, ByPriority>};
}

}  // namespace isthmus::schedulers
