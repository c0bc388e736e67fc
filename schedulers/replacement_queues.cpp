// Replacement by one queue: recency, age.
#include "schedulers/entry.hpp"
#include "schedulers/replacement_policy.hpp"
#include "schedulers/slot_list.hpp"

namespace isthmus::schedulers {

namespace {

class Fifo : public ReplacementPolicy {
 public:
  void admit(std::uint32_t slot, std::uint64_t, double) override { order_.push_front(slot); }
  void use(std::uint32_t) override {}
  void forget(std::uint32_t slot) override { order_.remove(slot); }
  std::uint32_t evict() override { return order_.pop_back(); }

 protected:
  SlotList order_;  // the newest first
};

class Lru final : public Fifo {
 public:
  void use(std::uint32_t slot) override { order_.move_to_front(slot); }
};

}  // namespace

PolicyEntry<ReplacementPolicy> replacement_lru() {
  return {"lru",
          "The entry that was not used for the longest time.",
          "Mattson et al.: Evaluation techniques for storage hierarchies, IBM Systems J. 9(2), 1970",
          "many items are asked for once: each of them takes the room of a popular one.",
          "O(1)",
          {},
          &make_policy<ReplacementPolicy, Lru>};
}
PolicyEntry<ReplacementPolicy> replacement_fifo() {
  return {"fifo",
          "The entry that was written first.",
          "Belady: A study of replacement algorithms, IBM Systems J. 5(2), 1966",
          "a few items are asked for all the time: they leave like any other.",
          "O(1)",
          {},
          &make_policy<ReplacementPolicy, Fifo>};
}

}  // namespace isthmus::schedulers
