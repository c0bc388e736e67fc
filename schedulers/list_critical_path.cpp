#include <algorithm>

#include "schedulers/entry.hpp"
#include "schedulers/least.hpp"
#include "schedulers/task_graph.hpp"

namespace isthmus::schedulers {

namespace {

class CriticalPath final : public ListScheduler {
 public:
  Schedule schedule(const TaskGraph& graph) const override {
    const Tasks tasks(graph);
    const std::vector<double> rank = tasks.upward_ranks();
    Placement placement(tasks);
    place_ready_tasks(tasks, [&](std::span<const std::uint32_t> ready) {
      const std::size_t best = least(ready, [&](std::uint32_t t) { return -rank[t]; });
      placement.place_best(ready[best], false);
      return best;
    });
    return std::move(placement).finish();
  }
};

}  // namespace

PolicyEntry<ListScheduler> list_critical_path() {
  return {"critical-path",
          "Takes the ready task with the longest way to the end; it goes where it ends first, "
          "behind what is already there.",
          "Graham 1969 (list scheduling); Hu 1961 (longest path first)",
          "transfers leave gaps that heft would fill.",
          "O(tasks^2 + (tasks + edges) processors)",
          {},
          &make_policy<ListScheduler, CriticalPath>};
}

}  // namespace isthmus::schedulers
