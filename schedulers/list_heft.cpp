#include "schedulers/entry.hpp"
#include "schedulers/task_graph.hpp"

namespace isthmus::schedulers {

namespace {

class Heft final : public ListScheduler {
 public:
  Schedule schedule(const TaskGraph& graph) const override {
    const Tasks tasks(graph);
    Placement placement(tasks);
    for (const std::uint32_t t : tasks.by_falling(tasks.upward_ranks()))
      placement.place_best(t, true);
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
