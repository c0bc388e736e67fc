// Cuts along one order of the tasks, all of them tried.
#include "schedulers/entry.hpp"
#include "schedulers/partition_costs.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

class Chain final : public Partitioner {
 public:
  Partition partition(const PartitionProblem& problem) const override {
    const PartitionCosts costs(problem);
    Partition best;
    best.objective = cannot_run;
    std::vector<std::uint32_t> cuts(problem.tiers - 1, 0);
    bool found = false;
    place(costs, cuts, 0, problem.tasks, best, found);
    if (!found) throw InputError("partition: no cut along the order of tasks is possible");
    return best;
  }

 private:
  // cuts[h] tasks, in order, run before hop h; falling h means later cuts. The last placement wins
  // among equals, so that work stays with the client.
  static void place(const PartitionCosts& costs, std::vector<std::uint32_t>& cuts,
                    std::uint32_t hop, std::uint32_t n, Partition& best, bool& found) {
    if (hop == cuts.size()) {
      std::vector<std::uint32_t> tier(n, 0);
      for (std::uint32_t i = 0; i < n; ++i)
        for (const std::uint32_t c : cuts)
          if (i >= c) ++tier[costs.order[i]];
      Partition p = costs.evaluate(std::move(tier));
      if (p.objective != cannot_run && p.objective <= best.objective) {
        best = std::move(p);
        found = true;
      }
      return;
    }
    for (std::uint32_t c = hop == 0 ? 0 : cuts[hop - 1]; c <= n; ++c) {
      cuts[hop] = c;
      place(costs, cuts, hop + 1, n, best, found);
    }
  }
};

}  // namespace

PolicyEntry<Partitioner> partition_chain() {
  return {
      "chain",
      "The best of all cuts along the order of the tasks.",
      "Kang et al.: Neurosurgeon, ASPLOS 2017",
      "the graph has branches: a cut across them moves several tensors where min-cut finds fewer.",
      "O(tasks^(tiers-1) (tasks + edges))",
      {},
      &make_policy<Partitioner, Chain>};
}

}  // namespace isthmus::schedulers
