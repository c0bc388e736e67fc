// Three queues: most new entries leave through a small one before they cost the others room.
#include <algorithm>
#include <cmath>
#include <vector>

#include "schedulers/entry.hpp"
#include "schedulers/lru_map.hpp"
#include "schedulers/replacement_policy.hpp"
#include "schedulers/slot_list.hpp"

namespace isthmus::schedulers {

namespace {

class S3Fifo final : public ReplacementPolicy {
 public:
  explicit S3Fifo(const Parameters& p) : share_(p.number("small")) {}

  void begin(double capacity) override {
    small_room_ = share_ * capacity;
    ghost_room_ = capacity - small_room_;
  }
  void admit(std::uint32_t slot, std::uint64_t key, double weight) override {
    if (slot >= entries_.size()) entries_.resize(slot + 1);
    entries_[slot] = {key, weight, 0, false};
    if (const double* ghost = ghosts_.find(key)) {
      ghost_weight_ -= *ghost;
      ghosts_.forget(key);
      to_main(slot);
    } else {
      small_.push_front(slot);
      small_weight_ += weight;
    }
  }
  void use(std::uint32_t slot) override {
    entries_[slot].uses = std::min(entries_[slot].uses + 1, 3);
  }
  void forget(std::uint32_t slot) override {
    if (entries_[slot].main) main_.remove(slot);
    else leave_small(slot);
  }
  std::uint32_t evict() override {
    for (;;) {
      if (!small_.empty() && (main_.empty() || small_weight_ >= small_room_)) {
        const std::uint32_t slot = small_.back();
        leave_small(slot);
        if (entries_[slot].uses > 1) {
          to_main(slot);
          continue;
        }
        remember(entries_[slot]);
        return slot;
      }
      const std::uint32_t slot = main_.pop_back();
      if (entries_[slot].uses == 0) return slot;
      --entries_[slot].uses;
      main_.push_front(slot);
    }
  }

 private:
  struct Entry {
    std::uint64_t key = 0;
    double weight = 0;
    int uses = 0;      // up to 3
    bool main = false;
  };
  void leave_small(std::uint32_t slot) {
    small_.remove(slot);
    small_weight_ = small_.empty() ? 0 : small_weight_ - entries_[slot].weight;
  }
  void to_main(std::uint32_t slot) {
    entries_[slot].uses = 0;
    entries_[slot].main = true;
    main_.push_front(slot);
  }

  // As many as the main queue holds.
  void remember(const Entry& e) {
    ghosts_.use(e.key, e.weight);
    ghost_weight_ += e.weight;
    while (ghost_weight_ > ghost_room_ && ghosts_.size() > 1) {
      ghost_weight_ -= ghosts_.oldest().second;
      ghosts_.forget_oldest();
    }
  }

  double share_, small_room_ = 0, small_weight_ = 0, ghost_room_ = 0, ghost_weight_ = 0;
  std::vector<Entry> entries_;  // by slot
  SlotList small_, main_;       // the newest first
  LruMap<double> ghosts_;       // weights of keys that left the small queue unused
};

}  // namespace

PolicyEntry<ReplacementPolicy> replacement_s3_fifo() {
  return {"s3-fifo",
          "New entries pass a small queue and go on to the main one if they were used twice "
          "meanwhile, or left lately; the main queue gives used entries another round.",
          "Yang et al.: FIFO queues are all you need for cache eviction, SOSP 2023",
          "items come back once or twice, later than the small queue is long: each is fetched twice.",
          "O(1) amortized",
          {number_parameter("small", Dimension::fraction, 0.1, 0.001, 0.999,
                            "room of the small queue, of the cache's")},
          &make_policy<ReplacementPolicy, S3Fifo>};
}

}  // namespace isthmus::schedulers
