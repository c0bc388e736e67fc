// Lists that processors take from as they become free, date by date, as Graham analysed them; with
// the list given (list-order) or made for unit tasks (coffman-graham).
#include <algorithm>
#include <queue>

#include "schedulers/entry.hpp"
#include "schedulers/task_graph.hpp"

namespace isthmus::schedulers {

namespace {

// Whenever a processor is free it takes the first task of the list whose inputs are there.
Schedule take_in_order(const TaskGraph& graph, const Tasks& tasks,
                       const std::vector<std::uint32_t>& list) {
  Placement placement(tasks);
  std::vector<std::size_t> missing(tasks.size());
  for (std::uint32_t t = 0; t < tasks.size(); ++t) missing[t] = tasks.predecessors(t).size();
  std::size_t placed = 0;
  double now = graph.release;
  while (placed < tasks.size()) {
    // At `now`: the first task that can start on some processor, lowest processor first.
    bool started = false;
    double next = cannot_run;
    for (const std::uint32_t t : list) {
      if (placement.placed(t) || missing[t] > 0) continue;
      for (std::uint32_t p = 0; p < tasks.processors() && !started; ++p) {
        if (!tasks.runs_on(t, p)) continue;
        const double start = placement.earliest_start(t, p, false);
        if (start <= now) {
          placement.place(t, p, now > start ? std::max(start, now) : start);
          for (const Tasks::Link& s : tasks.successors(t)) --missing[s.task];
          ++placed;
          started = true;
        } else {
          next = std::min(next, start);
        }
      }
      if (started) break;
    }
    if (!started) now = next;
  }
  return std::move(placement).finish();
}

class ListOrder final : public ListScheduler {
 public:
  Schedule schedule(const TaskGraph& graph) const override {
    const Tasks tasks(graph);
    std::vector<std::uint32_t> list(tasks.size());
    for (std::uint32_t t = 0; t < tasks.size(); ++t) list[t] = t;
    return take_in_order(graph, tasks, list);
  }
};

// Labels from the end: a task is labelled when its successors are, the one whose falling list of
// successors' labels comes first in the dictionary.
class CoffmanGraham final : public ListScheduler {
 public:
  Schedule schedule(const TaskGraph& graph) const override {
    const Tasks tasks(graph);
    const std::uint32_t n = tasks.size();
    // Transitive edges would distort the lists.
    std::vector<std::vector<bool>> reaches(n, std::vector<bool>(n, false));
    const auto& order = tasks.topological_order();
    std::vector<std::vector<std::uint32_t>> direct(n);
    for (auto it = order.rbegin(); it != order.rend(); ++it) {
      for (const Tasks::Link& s : tasks.successors(*it)) {
        bool shortcut = false;
        for (const Tasks::Link& o : tasks.successors(*it))
          shortcut = shortcut || (o.task != s.task && reaches[o.task][s.task]);
        if (!shortcut) direct[*it].push_back(s.task);
        reaches[*it][s.task] = true;
        for (std::uint32_t t = 0; t < n; ++t)
          if (reaches[s.task][t]) reaches[*it][t] = true;
      }
    }
    std::vector<std::uint32_t> label(n, 0);
    for (std::uint32_t next = 1; next <= n; ++next) {
      std::uint32_t best = n;
      std::vector<std::uint32_t> best_list;
      for (std::uint32_t t = 0; t < n; ++t) {
        if (label[t] > 0) continue;
        std::vector<std::uint32_t> labels;
        for (const std::uint32_t s : direct[t]) labels.push_back(label[s]);
        std::sort(labels.rbegin(), labels.rend());
        if (!labels.empty() && labels.back() == 0) continue;
        if (best == n || labels < best_list) {
          best = t;
          best_list = std::move(labels);
        }
      }
      label[best] = next;
    }
    std::vector<std::uint32_t> list(order);
    std::sort(list.begin(), list.end(),
              [&](std::uint32_t a, std::uint32_t b) { return label[a] > label[b]; });
    return take_in_order(graph, tasks, list);
  }
};

}  // namespace

PolicyEntry<ListScheduler> list_order() {
  return {
      "list-order",
      "Whenever a processor is free it takes the first task, by index, whose inputs are there.",
      "Graham, SIAM J. Appl. Math. 17(2), 1969 (at most 2 - 1/m of the optimum without transfers)",
      "processors differ: a slow one takes a long task because it happens to be free.",
      "O(tasks^2 processors)",
      {},
      &make_policy<ListScheduler, ListOrder>};
}
PolicyEntry<ListScheduler> list_coffman_graham() {
  return {
      "coffman-graham",
      "As list-order, with tasks ordered by labels that are optimal for tasks of equal length on "
      "two processors.",
      "Coffman, Graham: Acta Informatica 1, 1972",
      "tasks differ in length or transfers count.",
      "O(tasks^3)",
      {},
      &make_policy<ListScheduler, CoffmanGraham>};
}

}  // namespace isthmus::schedulers
