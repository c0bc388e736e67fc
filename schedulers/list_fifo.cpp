#include <algorithm>

#include "schedulers/entry.hpp"
#include "schedulers/task_graph.hpp"

namespace isthmus::schedulers {

namespace {

class Fifo final : public ListScheduler {
 public:
  Schedule schedule(const TaskGraph& graph) const override {
    const Tasks tasks(graph);
    Placement placement(tasks);
    for (const std::uint32_t t : tasks.topological_order()) placement.place_best(t, false);
    return std::move(placement).finish();
  }
};

}  // namespace

PolicyEntry<ListScheduler> list_fifo() {
  return {
      "fifo",
      "Takes tasks in the static order of the graph; each goes where it ends first, behind what "
      "is already there.",
      "the order in which runtimes such as TensorFlow Lite execute a graph",
      "a long path starts late in the order.",
      "O((tasks + edges) processors)",
      {},
      &make_policy<ListScheduler, Fifo>};
}

}  // namespace isthmus::schedulers
