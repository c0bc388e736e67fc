#include <algorithm>
#include <numeric>

#include "schedulers/entry.hpp"
#include "schedulers/task_graph.hpp"

namespace isthmus::schedulers {

namespace {

class Heft final : public ListScheduler {
 public:
  Schedule schedule(const TaskGraph& graph) const override {
    const Tasks tasks(graph);
    const std::vector<double> rank = tasks.upward_ranks();
    // Equal ranks (tasks without cost) keep a topological order.
    std::vector<std::uint32_t> order = tasks.topological_order();
    std::vector<std::uint32_t> place(order.size());
    for (std::uint32_t i = 0; i < order.size(); ++i) place[order[i]] = i;
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
      return rank[a] != rank[b] ? rank[a] > rank[b] : place[a] < place[b];
    });
    Placement placement(tasks);
    for (const std::uint32_t t : order) placement.place_best(t, true);
    return std::move(placement).finish();
  }
};

}  // namespace

PolicyEntry<ListScheduler> list_heft() {
  return {"heft",
          "Takes tasks by falling upward rank; each goes where it ends first, into gaps too.",
          "Topcuoglu, Hariri, Wu: IEEE TPDS 13(3), 2002",
          "a task's best processor makes its successors pay for transfers (see peft, lookahead).",
          "O(edges processors + tasks^2)",
          {},
          &make_policy<ListScheduler, Heft>};
}

}  // namespace isthmus::schedulers
