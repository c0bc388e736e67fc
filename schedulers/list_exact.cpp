#include <algorithm>
#include <vector>

#include "schedulers/entry.hpp"
#include "schedulers/task_graph.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

PolicyEntry<ListScheduler> list_heft();
PolicyEntry<ListScheduler> list_peft();
PolicyEntry<ListScheduler> list_critical_path();
PolicyEntry<ListScheduler> list_coffman_graham();

namespace {

// Depth-first over placements in order of their starts (every schedule has such an order), each
// task behind what its processor has.
class Search {
 public:
  Search(const Tasks& tasks, std::uint64_t limit, Schedule best)
      : tasks_(tasks),
        n_(tasks.size()),
        m_(tasks.processors()),
        limit_(limit),
        best_(std::move(best)),
        at_(n_),
        free_(m_, tasks.graph().release),
        used_(m_, 0),
        missing_(n_),
        tail_(n_, 0),
        least_(n_) {
    const auto& order = tasks.topological_order();
    for (auto it = order.rbegin(); it != order.rend(); ++it) {
      least_[*it] = tasks.least_cost(*it);
      for (const Tasks::Link& s : tasks.successors(*it))
        tail_[*it] = std::max(tail_[*it], least_[s.task] + tail_[s.task]);
      missing_[*it] = tasks.predecessors(*it).size();
      work_ += least_[*it];
    }
    // Processors that differ in nothing: only the first unused one of them is tried.
    twin_.resize(m_);
    for (std::uint32_t p = 0; p < m_; ++p) {
      twin_[p] = p;
      for (std::uint32_t q = 0; q < p && twin_[p] == p; ++q)
        if (equal(p, q)) twin_[p] = q;
    }
    const auto& busy = tasks.graph().busy;
    for (std::uint32_t p = 0; p < m_ && !busy.empty(); ++p)
      if (!busy[p].empty()) throw InputError("exact: processors must be free; it fills no gaps");
  }

  Schedule run() {
    step(0, -1);
    best_.optimal = nodes_ < limit_;
    return std::move(best_);
  }

 private:
  bool equal(std::uint32_t p, std::uint32_t q) const {
    for (std::uint32_t t = 0; t < n_; ++t)
      if (tasks_.cost(t, p) != tasks_.cost(t, q)) return false;
    for (std::uint32_t o = 0; o < m_; ++o) {
      if (o == p || o == q) continue;
      for (const double data : {0.0, 1.0})
        if (tasks_.transfer(data, p, o) != tasks_.transfer(data, q, o) ||
            tasks_.transfer(data, o, p) != tasks_.transfer(data, o, q))
          return false;
    }
    return tasks_.transfer(1, p, q) == tasks_.transfer(1, q, p) &&
           tasks_.transfer(0, p, q) == tasks_.transfer(0, q, p);
  }

  double ready(std::uint32_t t, std::uint32_t p) const {
    double at = tasks_.graph().release;
    for (const Tasks::Link& l : tasks_.predecessors(t))
      at = std::max(at, at_[l.task].end + tasks_.transfer(l.data, at_[l.task].processor, p));
    return at;
  }

  // What no completion of the present placement can undercut. Starts do not go back behind `last`.
  double bound(double last) {
    double most = 0, idle = 0;
    for (std::uint32_t p = 0; p < m_; ++p) idle += std::max(free_[p], last);
    most = (idle + work_) / m_;
    ends_.assign(n_, 0);
    for (const std::uint32_t t : tasks_.topological_order()) {
      if (placed(t)) {
        ends_[t] = at_[t].end;
        continue;
      }
      double end = cannot_run;
      if (missing_[t] == 0) {
        for (std::uint32_t p = 0; p < m_; ++p)
          if (tasks_.runs_on(t, p))
            end = std::min(end, std::max({ready(t, p), free_[p], last}) + tasks_.cost(t, p));
      } else {
        double start = last;
        for (const Tasks::Link& l : tasks_.predecessors(t)) start = std::max(start, ends_[l.task]);
        end = start + least_[t];
      }
      ends_[t] = end;
      most = std::max(most, end + tail_[t]);
    }
    return most;
  }

  bool placed(std::uint32_t t) const { return missing_[t] == ~std::size_t{0}; }

  void step(double last, std::int64_t last_task) {
    if (order_.size() == n_) {
      double makespan = 0;
      for (const ScheduledTask& t : at_) makespan = std::max(makespan, t.end);
      if (makespan < best_.makespan) best_ = {at_, order_, makespan, false};
      return;
    }
    struct Move {
      double bound, start;
      std::uint32_t task, processor;
    };
    std::vector<Move> moves;
    for (std::uint32_t t = 0; t < n_; ++t) {
      if (placed(t) || missing_[t] > 0) continue;
      for (std::uint32_t p = 0; p < m_; ++p) {
        if (!tasks_.runs_on(t, p)) continue;
        if (used_[p] == 0) {  // an unused twin of a lower index stands for it
          bool stands = false;
          for (std::uint32_t q = 0; q < p; ++q)
            stands = stands || (twin_[q] == twin_[p] && used_[q] == 0);
          if (stands) continue;
        }
        const double start = std::max(ready(t, p), free_[p]);
        // Of schedules that differ in the order of placing only, one is enough.
        if (start < last || (start == last && t < last_task)) continue;
        if (start + tasks_.cost(t, p) + tail_[t] >= best_.makespan) continue;
        moves.push_back({0, start, t, p});
      }
    }
    for (Move& v : moves) {
      apply(v.task, v.processor, v.start);
      v.bound = bound(v.start);
      undo(v.task, v.processor);
    }
    std::stable_sort(moves.begin(), moves.end(), [](const Move& a, const Move& b) {
      return a.bound != b.bound ? a.bound < b.bound : a.start < b.start;
    });
    for (const Move& v : moves) {
      if (v.bound >= best_.makespan) break;
      if (++nodes_ >= limit_) return;
      apply(v.task, v.processor, v.start);
      step(v.start, v.task);
      undo(v.task, v.processor);
    }
  }

  void apply(std::uint32_t t, std::uint32_t p, double start) {
    at_[t] = {t, p, start, start + tasks_.cost(t, p)};
    stack_.push_back(free_[p]);
    free_[p] = at_[t].end;
    ++used_[p];
    missing_[t] = ~std::size_t{0};
    work_ -= least_[t];
    order_.push_back(t);
    for (const Tasks::Link& s : tasks_.successors(t)) --missing_[s.task];
  }
  void undo(std::uint32_t t, std::uint32_t p) {
    for (const Tasks::Link& s : tasks_.successors(t)) ++missing_[s.task];
    order_.pop_back();
    work_ += least_[t];
    missing_[t] = 0;
    --used_[p];
    free_[p] = stack_.back();
    stack_.pop_back();
  }

  const Tasks& tasks_;
  std::uint32_t n_, m_;
  std::uint64_t limit_, nodes_ = 0;
  Schedule best_;
  std::vector<ScheduledTask> at_;
  std::vector<double> free_;
  std::vector<std::uint32_t> used_, order_, twin_;
  std::vector<std::size_t> missing_;  // ~0: placed
  std::vector<double> tail_, least_, ends_, stack_;
  double work_ = 0;  // least costs of what is not placed
};

class Exact final : public ListScheduler {
 public:
  explicit Exact(const Parameters& p)
      : limit_(static_cast<std::uint64_t>(p.number("node_limit"))) {}
  Schedule schedule(const TaskGraph& graph) const override {
    const Tasks tasks(graph);
    // The best of some heuristics is what must be undercut.
    Schedule best;
    for (const auto& entry :
         {list_heft(), list_peft(), list_critical_path(), list_coffman_graham()}) {
      Schedule s = entry.make(Parameters(entry.parameters))->schedule(graph);
      if (best.tasks.empty() || s.makespan < best.makespan) best = std::move(s);
    }
    return Search(tasks, limit_, std::move(best)).run();
  }

 private:
  std::uint64_t limit_;
};

}  // namespace

PolicyEntry<ListScheduler> list_exact() {
  return {
      "exact",
      "Branch and bound over all schedules; says whether the best one found is proven optimal.",
      "lower bounds by critical path and load; symmetric processors and permutations cut",
      "the graph has more than about 15 tasks: the search ends at its limit with the best so far.",
      "O(n! processors^n), at most node_limit steps",
      {number_parameter("node_limit", Dimension::count, 2e6, 1, 1e12,
                        "placements tried before it gives up the proof")},
      &make_policy<ListScheduler, Exact>};
}

}  // namespace isthmus::schedulers
