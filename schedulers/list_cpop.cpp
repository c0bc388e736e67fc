#include <algorithm>
#include <cmath>

#include "schedulers/entry.hpp"
#include "schedulers/least.hpp"
#include "schedulers/task_graph.hpp"

namespace isthmus::schedulers {

namespace {

class Cpop final : public ListScheduler {
 public:
  Schedule schedule(const TaskGraph& graph) const override {
    const Tasks tasks(graph);
    const std::vector<double> up = tasks.upward_ranks(), down = tasks.downward_ranks();
    std::vector<double> priority(tasks.size());
    double longest = 0;
    for (std::uint32_t t = 0; t < tasks.size(); ++t) {
      priority[t] = up[t] + down[t];
      if (tasks.predecessors(t).empty()) longest = std::max(longest, priority[t]);
    }
    // One path through tasks of the highest priority, from the first entry on.
    const auto critical = [&](std::uint32_t t) {
      return std::abs(priority[t] - longest) <= 1e-9 * longest;
    };
    std::vector<bool> on_path(tasks.size(), false);
    std::int64_t at = -1;
    for (std::uint32_t t = 0; t < tasks.size() && at < 0; ++t)
      if (tasks.predecessors(t).empty() && critical(t)) at = t;
    while (at >= 0) {
      on_path[static_cast<std::uint32_t>(at)] = true;
      std::int64_t next = -1;
      for (const Tasks::Link& s : tasks.successors(static_cast<std::uint32_t>(at)))
        if (critical(s.task) && (next < 0 || s.task < next)) next = s.task;
      at = next;
    }
    // The processor that runs the whole path soonest.
    std::uint32_t chosen = tasks.processors();
    double shortest = cannot_run;
    for (std::uint32_t p = 0; p < tasks.processors(); ++p) {
      double sum = 0;
      for (std::uint32_t t = 0; t < tasks.size(); ++t)
        if (on_path[t]) sum += tasks.cost(t, p);
      if (sum < shortest) {
        shortest = sum;
        chosen = p;
      }
    }
    Placement placement(tasks);
    place_ready_tasks(tasks, [&](std::span<const std::uint32_t> ready) {
      const std::size_t best = least(ready, [&](std::uint32_t t) { return -priority[t]; });
      const std::uint32_t t = ready[best];
      if (on_path[t] && chosen < tasks.processors())
        placement.place(t, chosen, placement.earliest_start(t, chosen, true));
      else
        placement.place_best(t, true);
      return best;
    });
    return std::move(placement).finish();
  }
};

}  // namespace

PolicyEntry<ListScheduler> list_cpop() {
  return {
      "cpop",
      "Puts the whole critical path on the processor that runs it soonest; other tasks go where "
      "they end first.",
      "Topcuoglu, Hariri, Wu: IEEE TPDS 13(3), 2002",
      "no processor suits the whole path, as when an NPU runs part of it.",
      "O(edges processors + tasks^2)",
      {},
      &make_policy<ListScheduler, Cpop>};
}

}  // namespace isthmus::schedulers
