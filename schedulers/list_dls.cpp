#include <algorithm>

#include "schedulers/entry.hpp"
#include "schedulers/task_graph.hpp"

namespace isthmus::schedulers {

namespace {

class Dls final : public ListScheduler {
 public:
  Schedule schedule(const TaskGraph& graph) const override {
    const Tasks tasks(graph);
    // Static level: the longest way to the end by median costs, without transfers.
    std::vector<double> level(tasks.size()), median(tasks.size());
    const auto& order = tasks.topological_order();
    for (auto it = order.rbegin(); it != order.rend(); ++it) {
      median[*it] = level[*it] = tasks.median_cost(*it);
      double longest = 0;
      for (const Tasks::Link& s : tasks.successors(*it)) longest = std::max(longest, level[s.task]);
      level[*it] += longest;
    }
    Placement placement(tasks);
    place_ready_tasks(tasks, [&](std::span<const std::uint32_t> ready) {
      std::size_t best = 0;
      std::uint32_t chosen = 0;
      double highest = -cannot_run;
      for (std::size_t i = 0; i < ready.size(); ++i)
        for (std::uint32_t p = 0; p < tasks.processors(); ++p) {
          const std::uint32_t t = ready[i];
          if (!tasks.runs_on(t, p)) continue;
          const double dynamic =
              level[t] - placement.earliest_start(t, p, false) + (median[t] - tasks.cost(t, p));
          if (dynamic > highest) {
            highest = dynamic;
            best = i;
            chosen = p;
          }
        }
      placement.place(ready[best], chosen, placement.earliest_start(ready[best], chosen, false));
      return best;
    });
    return std::move(placement).finish();
  }
};

}  // namespace

PolicyEntry<ListScheduler> list_dls() {
  return {
      "dls",
      "Chooses task and processor together: the pair with the highest static level minus earliest "
      "start plus what the processor saves over the median.",
      "Sih, Lee: IEEE TPDS 4(2), 1993",
      "graphs are large: every ready task is tried on every processor at every step.",
      "O(tasks ready processors)",
      {},
      &make_policy<ListScheduler, Dls>};
}

}  // namespace isthmus::schedulers
