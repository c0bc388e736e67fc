#include <fmt/format.h>

#include <algorithm>

#include "schedulers/entry.hpp"
#include "schedulers/task_graph.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

// Outputs that are held: from the start of a task until its last consumer's end, for ever while
// some consumer is not placed.
class Held {
 public:
  explicit Held(const Tasks& tasks) : tasks_(tasks) {}

  // Most that is held at or after `from`.
  double peak_after(double from, const Placement& at) const {
    std::vector<std::pair<double, double>> steps;
    double now = 0;
    for (std::uint32_t t = 0; t < tasks_.size(); ++t) {
      if (!at.placed(t) || memory(t) == 0) continue;
      const double end = release(t, at);
      if (end <= from) continue;
      if (at.at(t).start <= from)
        now += memory(t);
      else
        steps.emplace_back(at.at(t).start, memory(t));
      if (end != cannot_run) steps.emplace_back(end, -memory(t));
    }
    std::sort(steps.begin(), steps.end());  // releases come before starts of the same date
    double peak = now;
    for (const auto& [when, change] : steps) peak = std::max(peak, now += change);
    return peak;
  }
  double release(std::uint32_t t, const Placement& at) const {
    double end = at.at(t).end;
    for (const Tasks::Link& s : tasks_.successors(t)) {
      if (!at.placed(s.task)) return cannot_run;
      end = std::max(end, at.at(s.task).end);
    }
    return end;
  }
  double memory(std::uint32_t t) const {
    return tasks_.graph().memory.empty() ? 0.0 : tasks_.graph().memory[t];
  }

 private:
  const Tasks& tasks_;
};

class MemoryBounded final : public ListScheduler {
 public:
  Schedule schedule(const TaskGraph& graph) const override {
    const Tasks tasks(graph);
    const std::vector<double> rank = tasks.upward_ranks();
    const Held held(tasks);
    Placement placement(tasks);
    place_ready_tasks(tasks, [&](std::span<const std::uint32_t> ready) {
      std::vector<std::size_t> by_rank(ready.size());
      for (std::size_t i = 0; i < ready.size(); ++i) by_rank[i] = i;
      std::stable_sort(by_rank.begin(), by_rank.end(), [&](std::size_t a, std::size_t b) {
        return rank[ready[a]] > rank[ready[b]];
      });
      for (const std::size_t i : by_rank) {
        const std::uint32_t t = ready[i];
        std::uint32_t chosen = 0;
        double least = cannot_run, start = 0;
        for (std::uint32_t p = 0; p < tasks.processors(); ++p) {
          if (!tasks.runs_on(t, p)) continue;
          const double s =
              first_fit(tasks, held, placement, t, placement.earliest_start(t, p, false));
          if (s + tasks.cost(t, p) < least) {
            least = s + tasks.cost(t, p);
            start = s;
            chosen = p;
          }
        }
        if (least == cannot_run) continue;  // not before something is freed: try the next one
        placement.place(t, chosen, start);
        return i;
      }
      const std::uint32_t t = ready[by_rank.front()];
      throw InputError(fmt::format(
          "memory-bounded: stuck with a capacity of {:g}: outputs whose consumers have not run "
          "hold "
          "{:g}, and none of the {} ready tasks fits beside them (task {} needs {:g} more)",
          graph.memory_capacity, held.peak_after(1e300, placement), ready.size(), t,
          held.memory(t)));
    });
    return std::move(placement).finish();
  }

 private:
  // Earliest date from `from` on at which the output fits, and goes on fitting.
  static double first_fit(const Tasks& tasks, const Held& held, const Placement& placement,
                          std::uint32_t t, double from) {
    const double room = tasks.graph().memory_capacity - held.memory(t);
    if (held.peak_after(from, placement) <= room) return from;
    std::vector<double> dates;
    for (std::uint32_t o = 0; o < tasks.size(); ++o)
      if (placement.placed(o) && held.memory(o) > 0) {
        const double r = held.release(o, placement);
        if (r > from && r != cannot_run) dates.push_back(r);
      }
    std::sort(dates.begin(), dates.end());
    for (const double d : dates)
      if (held.peak_after(d, placement) <= room) return d;
    return cannot_run;
  }
};

}  // namespace

PolicyEntry<ListScheduler> list_memory_bounded() {
  return {
      "memory-bounded",
      "Takes the ready task with the longest way to the end whose output fits into memory, now or "
      "once others are freed; never exceeds the capacity.",
      "list scheduling with a memory bound, as Marchal et al., JPDC 2018",
      "the capacity is so tight that only a search finds an order.",
      "O(tasks^3 processors)",
      {},
      &make_policy<ListScheduler, MemoryBounded>};
}

}  // namespace isthmus::schedulers
