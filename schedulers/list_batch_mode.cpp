// Heuristics for tasks that are ready together: min-min, max-min, and the immediate ones (mct, met,
// olb, lpt).
#include <algorithm>

#include "schedulers/entry.hpp"
#include "schedulers/least.hpp"
#include "schedulers/task_graph.hpp"

namespace isthmus::schedulers {

namespace {

// Among the ready tasks, each with its best end, the one with the smallest (or largest) end.
template <bool smallest>
class MinMax final : public ListScheduler {
 public:
  Schedule schedule(const TaskGraph& graph) const override {
    const Tasks tasks(graph);
    Placement placement(tasks);
    place_ready_tasks(tasks, [&](std::span<const std::uint32_t> ready) {
      std::size_t best = 0;
      double end = smallest ? cannot_run : -1;
      for (std::size_t i = 0; i < ready.size(); ++i) {
        const double e =
            placement.earliest_end(ready[i], placement.best_processor(ready[i], false), false);
        if (smallest ? e < end : e > end) {
          end = e;
          best = i;
        }
      }
      placement.place_best(ready[best], false);
      return best;
    });
    return std::move(placement).finish();
  }
};

// Least time, whatever the queue; or the processor that is free first, whatever the time.
template <bool by_cost>
class Immediate final : public ListScheduler {
 public:
  Schedule schedule(const TaskGraph& graph) const override {
    const Tasks tasks(graph);
    Placement placement(tasks);
    for (const std::uint32_t t : tasks.topological_order()) {
      std::uint32_t chosen = 0;
      double least = cannot_run;
      for (std::uint32_t p = 0; p < tasks.processors(); ++p) {
        if (!tasks.runs_on(t, p)) continue;
        const double key = by_cost ? tasks.cost(t, p) : placement.free_from(p);
        if (key < least) {
          least = key;
          chosen = p;
        }
      }
      placement.place(t, chosen, placement.earliest_start(t, chosen, false));
    }
    return std::move(placement).finish();
  }
};

class Lpt final : public ListScheduler {
 public:
  Schedule schedule(const TaskGraph& graph) const override {
    const Tasks tasks(graph);
    Placement placement(tasks);
    place_ready_tasks(tasks, [&](std::span<const std::uint32_t> ready) {
      const std::size_t best = least(ready, [&](std::uint32_t t) { return -tasks.mean_cost(t); });
      placement.place_best(ready[best], false);
      return best;
    });
    return std::move(placement).finish();
  }
};

}  // namespace

PolicyEntry<ListScheduler> list_min_min() {
  return {"min-min",
          "Of the ready tasks, the one that can end first, there.",
          "Ibarra, Kim: JACM 24(2), 1977; Maheswaran et al., JPDC 59, 1999",
          "long tasks are left for the end.",
          "O(tasks ready processors)",
          {},
          &make_policy<ListScheduler, MinMax<true>>};
}
PolicyEntry<ListScheduler> list_max_min() {
  return {"max-min",
          "Of the ready tasks, the one whose earliest end is latest, there.",
          "Maheswaran et al., JPDC 59, 1999",
          "many tasks are about equally long.",
          "O(tasks ready processors)",
          {},
          &make_policy<ListScheduler, MinMax<false>>};
}
PolicyEntry<ListScheduler> list_met() {
  return {"met",
          "Takes tasks in order; each goes where it takes least time, however long the queue.",
          "Maheswaran et al., JPDC 59, 1999",
          "one processor is best for most tasks: it gets them all.",
          "O(tasks processors)",
          {},
          &make_policy<ListScheduler, Immediate<true>>};
}
PolicyEntry<ListScheduler> list_olb() {
  return {"olb",
          "Takes tasks in order; each goes to the processor that is free first.",
          "opportunistic load balancing; Maheswaran et al., JPDC 59, 1999",
          "processors differ in speed.",
          "O(tasks processors)",
          {},
          &make_policy<ListScheduler, Immediate<false>>};
}
PolicyEntry<ListScheduler> list_lpt() {
  return {
      "lpt",
      "Of the ready tasks, the longest; it goes where it ends first.",
      "Graham, SIAM J. Appl. Math. 17(2), 1969 (4/3 - 1/(3m) of the optimum for independent tasks)",
      "the critical path runs through short tasks.",
      "O(tasks ready)",
      {},
      &make_policy<ListScheduler, Lpt>};
}

}  // namespace isthmus::schedulers
