#include <algorithm>

#include "schedulers/entry.hpp"
#include "schedulers/task_graph.hpp"

namespace isthmus::schedulers {

namespace {

class Lookahead final : public ListScheduler {
 public:
  Schedule schedule(const TaskGraph& graph) const override {
    const Tasks tasks(graph);
    const std::vector<double> rank = tasks.upward_ranks();
    Placement placement(tasks);
    for (const std::uint32_t t : tasks.by_falling(rank)) {
      std::vector<std::uint32_t> children;
      for (const Tasks::Link& s : tasks.successors(t)) children.push_back(s.task);
      std::sort(children.begin(), children.end(), [&](std::uint32_t a, std::uint32_t b) {
        return rank[a] != rank[b] ? rank[a] > rank[b] : a < b;
      });
      children.erase(std::unique(children.begin(), children.end()), children.end());
      std::uint32_t chosen = 0;
      double least = cannot_run, own = cannot_run;
      for (std::uint32_t p = 0; p < tasks.processors(); ++p) {
        if (!tasks.runs_on(t, p)) continue;
        // Try it there, with its children behind it; parents that are not placed yet do not count.
        Placement trial = placement;
        trial.place(t, p, trial.earliest_start(t, p, true));
        const double end = trial.at(t).end;
        double last = end;
        for (const std::uint32_t c : children) {
          trial.place_best(c, true);
          last = std::max(last, trial.at(c).end);
        }
        if (last < least || (last == least && end < own)) {
          least = last;
          own = end;
          chosen = p;
        }
      }
      placement.place(t, chosen, placement.earliest_start(t, chosen, true));
    }
    return std::move(placement).finish();
  }
};

}  // namespace

PolicyEntry<ListScheduler> list_lookahead() {
  return {"lookahead",
          "Like heft, but a task goes where the last of its children, tried there, ends first.",
          "Bittencourt, Sakellariou, Madeira: PDP 2010",
          "graphs are large and wide: every child is tried on every processor.",
          "O(edges processors^2 tasks)",
          {},
          &make_policy<ListScheduler, Lookahead>};
}

}  // namespace isthmus::schedulers
