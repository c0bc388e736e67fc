// Sends a prompt to the replica that was sent the longest beginning of it.
#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "schedulers/entry.hpp"
#include "schedulers/lru_map.hpp"
#include "schedulers/routing_policy.hpp"

namespace isthmus::schedulers {

namespace {

class PrefixAware final : public RoutingPolicy {
 public:
  explicit PrefixAware(const Parameters& p)
      : min_match_(p.number("min_match")),
        balance_difference_(p.number("balance_difference")),
        balance_ratio_(p.number("balance_ratio")),
        cache_tokens_(p.number("cache_tokens")) {}

  bool wants_prefix() const override { return true; }
  bool remembers() const override { return true; }

  std::size_t choose(const RoutingView& view) override {
    align(view.replicas);
    std::size_t chosen = least_loaded(view.replicas);
    if (!imbalanced(view.replicas, view.replicas[chosen].outstanding)) {
      const auto [i, blocks] = longest_match(view);
      if (blocks > 0 && static_cast<double>(blocks) > min_match_ * static_cast<double>(view.prefix.size()))
        chosen = i;
    }
    remember(view, memory_[chosen].second);
    return chosen;
  }

 private:
  struct Nothing {};
  using Memory = LruMap<Nothing>;

  // Keeps the memory of the replicas that are there; those that left start empty when they return.
  void align(std::span<const ReplicaSignal> replicas) {
    if (std::equal(memory_.begin(), memory_.end(), replicas.begin(), replicas.end(),
                   [](const auto& m, const ReplicaSignal& r) { return m.first == r.replica; }))
      return;
    std::vector<std::pair<std::uint32_t, Memory>> kept;
    auto old = memory_.begin();
    for (const ReplicaSignal& r : replicas) {
      while (old != memory_.end() && old->first < r.replica) ++old;
      if (old != memory_.end() && old->first == r.replica) kept.push_back(std::move(*old));
      else kept.emplace_back(r.replica, Memory());
    }
    memory_ = std::move(kept);
  }

  // Ties go to the replica that was sent the fewest blocks.
  std::size_t least_loaded(std::span<const ReplicaSignal> replicas) const {
    std::size_t best = 0;
    for (std::size_t i = 1; i < replicas.size(); ++i)
      if (std::pair(replicas[i].outstanding, memory_[i].second.size()) <
          std::pair(replicas[best].outstanding, memory_[best].second.size()))
        best = i;
    return best;
  }

  bool imbalanced(std::span<const ReplicaSignal> replicas, std::uint32_t least) const {
    std::uint32_t most = 0;
    for (const ReplicaSignal& r : replicas) most = std::max(most, r.outstanding);
    return most - least > balance_difference_ && most > balance_ratio_ * least;
  }

  // Replica and blocks; ties go to the fewest outstanding requests, then to the lowest number.
  std::pair<std::size_t, std::size_t> longest_match(const RoutingView& view) const {
    std::size_t best = 0, longest = 0;
    for (std::size_t i = 0; i < memory_.size(); ++i) {
      std::size_t n = 0;
      while (n < view.prefix.size() && memory_[i].second.contains(view.prefix[n])) ++n;
      if (n > longest || (n == longest && view.replicas[i].outstanding <
                                              view.replicas[best].outstanding)) {
        best = i;
        longest = n;
      }
    }
    return {best, longest};
  }

  // From the last block to the first, so that the ends of prompts are forgotten before their starts.
  void remember(const RoutingView& view, Memory& memory) const {
    if (view.prefix.empty()) return;
    const auto most =
        static_cast<std::size_t>(std::max(1.0, cache_tokens_ / std::max(1U, view.block_tokens)));
    for (std::size_t i = std::min(most, view.prefix.size()); i-- > 0;)
      memory.use(view.prefix[i], {});
    memory.shrink(most);
  }

  double min_match_, balance_difference_, balance_ratio_, cache_tokens_;
  std::vector<std::pair<std::uint32_t, Memory>> memory_;  // what each replica was sent, by number
};

}  // namespace

PolicyEntry<RoutingPolicy> routing_prefix_aware() {
  return {"prefix-aware",
          "Takes the replica that was sent the longest beginning of the prompt, or, when the match is "
          "short or replicas are out of balance, the one with the fewest outstanding requests, then "
          "the one that was sent the fewest blocks.",
          "SGLang router, cache_aware policy; prefix-cache-scorer of the Kubernetes Gateway API "
          "Inference Extension (least recently used blocks per replica)",
          "prompts have nothing in common, or replicas evict much sooner than the router assumes.",
          "O(replicas prompt blocks)",
          {number_parameter("min_match", Dimension::fraction, 0.3, 0, 1,
                            "share of the prompt's whole blocks that a match must exceed"),
           number_parameter("balance_difference", Dimension::count, 64, 0, 1e6,
                            "replicas are out of balance when the most outstanding requests exceed "
                            "the fewest by more than this, and by balance_ratio"),
           number_parameter("balance_ratio", Dimension::none, 1.5, 1, 1e6,
                            "replicas are out of balance when the most outstanding requests exceed "
                            "this many times the fewest, and balance_difference"),
           number_parameter("cache_tokens", Dimension::count, 500000, 1, 1e12,
                            "prompt tokens remembered per replica, about what its KV cache holds")},
          make_policy<RoutingPolicy, PrefixAware>};
}

}  // namespace isthmus::schedulers
