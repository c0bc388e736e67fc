// The entry that is used least often, with or without aging.
#include <set>
#include <tuple>
#include <vector>

#include "schedulers/entry.hpp"
#include "schedulers/replacement_policy.hpp"

namespace isthmus::schedulers {

namespace {

// An entry is worth its uses, and what the cache's age was at its last use. The age is the worth of
// the entry that left last; without aging it stays 0.
class Lfu final : public ReplacementPolicy {
 public:
  explicit Lfu(const Parameters& p) : ages_(p.text("aging") == "dynamic") {}

  void admit(std::uint32_t slot, std::uint64_t, double) override {
    if (slot >= entries_.size()) entries_.resize(slot + 1);
    entries_[slot].uses = 0;
    count(slot);
  }
  void use(std::uint32_t slot) override {
    forget(slot);
    count(slot);
  }
  void forget(std::uint32_t slot) override {
    order_.erase({entries_[slot].worth, entries_[slot].used, slot});
  }
  std::uint32_t evict() override {
    const auto first = order_.begin();
    const std::uint32_t slot = std::get<2>(*first);
    if (ages_) age_ = std::get<0>(*first);
    order_.erase(first);
    return slot;
  }

 private:
  struct Entry {
    std::uint64_t uses = 0, worth = 0, used = 0;
  };
  void count(std::uint32_t slot) {
    Entry& e = entries_[slot];
    e.worth = age_ + ++e.uses;
    e.used = ++clock_;
    order_.emplace(e.worth, e.used, slot);
  }

  bool ages_;
  std::uint64_t age_ = 0, clock_ = 0;
  std::vector<Entry> entries_;                                             // by slot
  std::set<std::tuple<std::uint64_t, std::uint64_t, std::uint32_t>> order_;  // worth, last use, slot
};

}  // namespace

PolicyEntry<ReplacementPolicy> replacement_lfu() {
  return {"lfu",
          "The entry with the fewest uses since it was written, the least recent among equals; "
          "what was popular once loses by aging.",
          "Arlitt et al.: Evaluating content management techniques for Web proxy caches, ACM "
          "SIGMETRICS PER 27(4), 2000 (LFU-DA); Robinson, Devarakonda, SIGMETRICS 1990 (LFU)",
          "without aging, when popularity changes: what was popular stays.",
          "O(log entries)",
          {text_parameter("aging", "dynamic", {"dynamic", "none"},
                          "dynamic: a use counts from the worth of what left last (LFU-DA); none: "
                          "uses alone (in-cache LFU)")},
          &make_policy<ReplacementPolicy, Lfu>};
}

}  // namespace isthmus::schedulers
