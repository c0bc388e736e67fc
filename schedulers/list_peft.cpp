#include <algorithm>

#include "schedulers/entry.hpp"
#include "schedulers/least.hpp"
#include "schedulers/task_graph.hpp"

namespace isthmus::schedulers {

namespace {

class Peft final : public ListScheduler {
 public:
  Schedule schedule(const TaskGraph& graph) const override {
    const Tasks tasks(graph);
    const std::uint32_t n = tasks.size(), m = tasks.processors();
    // Optimistic cost table: the longest way from a task's end on p to the end of the graph, every
    // successor on its best processor.
    std::vector<double> oct(static_cast<std::size_t>(n) * m, 0);
    std::vector<double> rank(n, 0);
    const auto& order = tasks.topological_order();
    for (auto it = order.rbegin(); it != order.rend(); ++it) {
      for (std::uint32_t p = 0; p < m; ++p)
        for (const Tasks::Link& s : tasks.successors(*it)) {
          double best = cannot_run;
          for (std::uint32_t q = 0; q < m; ++q)
            if (tasks.runs_on(s.task, q))
              best = std::min(best, oct[s.task * m + q] + tasks.cost(s.task, q) +
                                        (p == q ? 0.0 : tasks.mean_transfer(s.data)));
          oct[*it * m + p] = std::max(oct[*it * m + p], best);
        }
      for (std::uint32_t p = 0; p < m; ++p) rank[*it] += oct[*it * m + p] / m;
    }
    Placement placement(tasks);
    place_ready_tasks(tasks, [&](std::span<const std::uint32_t> ready) {
      const std::size_t best = least(ready, [&](std::uint32_t t) { return -rank[t]; });
      const std::uint32_t t = ready[best];
      std::uint32_t chosen = 0;
      double least = cannot_run;
      for (std::uint32_t p = 0; p < m; ++p) {
        if (!tasks.runs_on(t, p)) continue;
        const double end = placement.earliest_end(t, p, true) + oct[t * m + p];
        if (end < least) {
          least = end;
          chosen = p;
        }
      }
      placement.place(t, chosen, placement.earliest_start(t, chosen, true));
      return best;
    });
    return std::move(placement).finish();
  }
};

}  // namespace

PolicyEntry<ListScheduler> list_peft() {
  return {
      "peft",
      "Like heft, with a look at the way to the end: a task goes where its end plus the optimistic "
      "rest is smallest.",
      "Arabnejad, Barbosa: IEEE TPDS 25(3), 2014",
      "the optimistic table is far off because processors are crowded.",
      "O(edges processors^2 + tasks^2)",
      {},
      &make_policy<ListScheduler, Peft>};
}

}  // namespace isthmus::schedulers
