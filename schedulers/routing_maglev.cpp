// Consistent hashing by a table that all replicas share evenly.
#include <algorithm>
#include <utility>

#include "schedulers/entry.hpp"
#include "schedulers/maglev.hpp"
#include "schedulers/smooth_weights.hpp"
#include "sim/core/hash.hpp"

namespace isthmus::schedulers {

std::vector<std::uint32_t> maglev_table(std::span<const ReplicaSignal> replicas,
                                        std::uint64_t size) {
  constexpr std::uint32_t free = 0xffffffffU;
  struct Turn {
    std::uint64_t next, skip;
    double weight, credit;
    std::uint32_t index;
  };
  const bool equal = all_weightless(replicas);
  std::vector<Turn> turns;
  double largest = 0;
  for (std::uint32_t i = 0; i < replicas.size(); ++i) {
    const double weight = share_of(replicas[i], equal);
    if (weight <= 0) continue;
    largest = std::max(largest, weight);
    const std::uint64_t number = replicas[i].replica;
    turns.push_back({hash_combine(number, 1) % size, 1 + hash_combine(number, 2) % (size - 1), weight,
                     0, i});
  }
  std::vector<std::uint32_t> table(size, free);
  for (std::uint64_t filled = 0;;)
    for (Turn& t : turns) {
      t.credit += t.weight;
      if (t.credit < largest) continue;
      t.credit -= largest;
      while (table[t.next] != free) t.next = (t.next + t.skip) % size;
      table[t.next] = t.index;
      if (++filled == size) return table;
    }
}

std::uint64_t prime_from(std::uint64_t n) {
  const auto prime = [](std::uint64_t x) {
    for (std::uint64_t d = 2; d * d <= x; ++d)
      if (x % d == 0) return false;
    return x >= 2;
  };
  while (!prime(n)) ++n;
  return n;
}

namespace {

class Maglev final : public RoutingPolicy {
 public:
  explicit Maglev(const Parameters& p)
      : size_(prime_from(static_cast<std::uint64_t>(p.number("table")))) {}

  bool wants_outstanding() const override { return true; }  // the numbers tell when the set changes

  std::size_t choose(const RoutingView& view) override {
    if (!std::equal(members_.begin(), members_.end(), view.replicas.begin(), view.replicas.end(),
                    [](const auto& m, const ReplicaSignal& r) {
                      return m.first == r.replica && m.second == r.weight;
                    })) {
      members_.clear();
      for (const ReplicaSignal& r : view.replicas) members_.emplace_back(r.replica, r.weight);
      table_ = maglev_table(view.replicas, size_);
    }
    return table_[mix64(view.session) % size_];
  }

 private:
  std::uint64_t size_;
  std::vector<std::pair<std::uint32_t, double>> members_;  // the set that the table was made for
  std::vector<std::uint32_t> table_;
};

}  // namespace

PolicyEntry<RoutingPolicy> routing_maglev() {
  return {"maglev",
          "Sends a session to the replica in its place of a table that all replicas fill evenly, in "
          "proportion to their weights.",
          "Eisenbud et al., Maglev: A Fast and Reliable Software Network Load Balancer, NSDI 2016; "
          "Envoy (weights)",
          "replicas come and go often: the whole table is made anew each time, and a few sessions move "
          "between replicas that stay.",
          "O(replicas); O(table log table) when the set changes",
          {number_parameter("table", Dimension::count, 65537, 2, 5000011,
                            "entries, rounded up to a prime; at least 100 times the replicas for even "
                            "shares")},
          make_policy<RoutingPolicy, Maglev>};
}

}  // namespace isthmus::schedulers
