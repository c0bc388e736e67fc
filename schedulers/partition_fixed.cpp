// Partitions without a choice: everything on the client, or as far away as it may go.
#include "schedulers/entry.hpp"
#include "schedulers/partition_costs.hpp"

namespace isthmus::schedulers {

namespace {

class ClientOnly final : public Partitioner {
 public:
  Partition partition(const PartitionProblem& problem) const override {
    return PartitionCosts(problem).evaluate(std::vector<std::uint32_t>(problem.tasks, 0));
  }
};

class RemoteOnly final : public Partitioner {
 public:
  Partition partition(const PartitionProblem& problem) const override {
    const PartitionCosts costs(problem);
    std::vector<std::uint32_t> tier(problem.tasks, problem.tiers - 1);
    for (std::uint32_t t = 0; t < problem.tasks; ++t)
      if (!problem.pinned.empty() && problem.pinned[t] >= 0)
        tier[t] = static_cast<std::uint32_t>(problem.pinned[t]);
    return costs.evaluate(std::move(tier));
  }
};

}  // namespace

PolicyEntry<Partitioner> partition_client_only() {
  return {"client-only",
          "Everything on the client.",
          "baseline",
          "the client is slow and the network fast.",
          "O(tasks + edges)",
          {},
          &make_policy<Partitioner, ClientOnly>};
}

PolicyEntry<Partitioner> partition_remote_only() {
  return {"remote-only",
          "Everything but pinned tasks on the last tier.",
          "baseline",
          "inputs are large and the network slow.",
          "O(tasks + edges)",
          {},
          &make_policy<Partitioner, RemoteOnly>};
}

}  // namespace isthmus::schedulers
