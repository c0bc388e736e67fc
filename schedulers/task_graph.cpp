#include "schedulers/task_graph.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <queue>

#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

[[noreturn]] void refuse(const std::string& what) { throw InputError("task graph: " + what); }

void check_numbers(const TaskGraph& g) {
  if (g.tasks == 0) refuse("no tasks");
  if (g.processors == 0) refuse("no processors");
  const std::size_t pairs = static_cast<std::size_t>(g.processors) * g.processors;
  const auto size = [](const char* name, std::size_t is, std::size_t wanted, bool may_be_empty) {
    if (is != wanted && !(may_be_empty && is == 0))
      refuse(fmt::format("{} has {} entries instead of {}", name, is, wanted));
  };
  size("cost", g.cost.size(), static_cast<std::size_t>(g.tasks) * g.processors, false);
  size("transfer", g.transfer.size(), pairs, true);
  size("latency", g.latency.size(), pairs, true);
  size("memory", g.memory.size(), g.tasks, true);
  size("busy", g.busy.size(), g.processors, true);
  for (std::uint32_t t = 0; t < g.tasks; ++t) {
    bool runs = false;
    for (std::uint32_t p = 0; p < g.processors; ++p) {
      const double c = g.cost[static_cast<std::size_t>(t) * g.processors + p];
      if (!(c >= 0)) refuse(fmt::format("task {} on processor {} costs {}", t, p, c));
      runs = runs || c != cannot_run;
    }
    if (!runs) refuse(fmt::format("no processor can run task {}", t));
  }
  const auto finite = [](const char* name, const std::vector<double>& v) {
    for (std::size_t i = 0; i < v.size(); ++i)
      if (!(v[i] >= 0) || std::isinf(v[i])) refuse(fmt::format("{} {} is {}", name, i, v[i]));
  };
  finite("transfer", g.transfer);
  finite("latency", g.latency);
  finite("memory", g.memory);
  if (!(g.memory_capacity >= 0)) refuse(fmt::format("memory_capacity is {}", g.memory_capacity));
  if (!(g.release >= 0) || std::isinf(g.release)) refuse(fmt::format("release is {}", g.release));
  for (const TaskEdge& e : g.edges) {
    if (e.from >= g.tasks || e.to >= g.tasks)
      refuse(
          fmt::format("an edge goes from {} to {}, but there are {} tasks", e.from, e.to, g.tasks));
    if (!(e.data >= 0) || std::isinf(e.data))
      refuse(fmt::format("the edge from {} to {} carries {}", e.from, e.to, e.data));
  }
  for (std::size_t p = 0; p < g.busy.size(); ++p)
    for (std::size_t i = 0; i < g.busy[p].size(); ++i) {
      const BusyInterval& b = g.busy[p][i];
      if (!(b.start >= 0 && b.end >= b.start))
        refuse(fmt::format("processor {} is busy from {} to {}", p, b.start, b.end));
      if (i > 0 && b.start < g.busy[p][i - 1].end)
        refuse(fmt::format("busy intervals of processor {} overlap or are not sorted", p));
    }
}

}  // namespace

Tasks::Tasks(const TaskGraph& graph) : graph_(graph) {
  check_numbers(graph);
  successors_.resize(graph.tasks);
  predecessors_.resize(graph.tasks);
  for (const TaskEdge& e : graph.edges) {
    successors_[e.from].push_back({e.to, e.data});
    predecessors_[e.to].push_back({e.from, e.data});
  }

  std::vector<std::size_t> missing(graph.tasks);
  std::priority_queue<std::uint32_t, std::vector<std::uint32_t>, std::greater<>> ready;
  for (std::uint32_t t = 0; t < graph.tasks; ++t)
    if ((missing[t] = predecessors_[t].size()) == 0) ready.push(t);
  while (!ready.empty()) {
    const std::uint32_t t = ready.top();
    ready.pop();
    order_.push_back(t);
    for (const Link& s : successors_[t])
      if (--missing[s.task] == 0) ready.push(s.task);
  }
  if (order_.size() < graph.tasks) {
    // Walk back from any task that is left, always to a producer that is left, until one repeats.
    std::uint32_t at = 0;
    while (missing[at] == 0) ++at;
    std::vector<std::uint32_t> seen;
    while (std::find(seen.begin(), seen.end(), at) == seen.end()) {
      seen.push_back(at);
      for (const Link& p : predecessors_[at])
        if (missing[p.task] > 0) {
          at = p.task;
          break;
        }
    }
    std::string path = fmt::format("{}", at);
    for (auto it = std::find(seen.begin(), seen.end(), at); it != seen.end(); ++it) {
      const auto next = it + 1 == seen.end() ? at : *(it + 1);
      path = fmt::format("{} -> {}", next, path);
    }
    refuse(fmt::format("tasks depend on each other in a cycle: {}", path));
  }

  const std::uint32_t n = graph.processors;
  for (std::uint32_t a = 0; a < n; ++a)
    for (std::uint32_t b = 0; b < n; ++b) {
      if (a == b) continue;
      transfer_per_data_ += graph.transfer.empty() ? 1.0 : graph.transfer[a * n + b];
      transfer_latency_ += graph.latency.empty() ? 0.0 : graph.latency[a * n + b];
    }
  const double pairs = n > 1 ? static_cast<double>(n) * (n - 1) : 1.0;
  transfer_per_data_ /= pairs;
  transfer_latency_ /= pairs;
}

double Tasks::transfer(double data, std::uint32_t from, std::uint32_t to) const {
  if (from == to) return 0;
  const std::size_t i = static_cast<std::size_t>(from) * graph_.processors + to;
  return data * (graph_.transfer.empty() ? 1.0 : graph_.transfer[i]) +
         (graph_.latency.empty() ? 0.0 : graph_.latency[i]);
}

double Tasks::mean_transfer(double data) const {
  return data * transfer_per_data_ + transfer_latency_;
}

double Tasks::mean_cost(std::uint32_t task) const {
  double sum = 0;
  std::uint32_t n = 0;
  for (std::uint32_t p = 0; p < processors(); ++p)
    if (runs_on(task, p)) {
      sum += cost(task, p);
      ++n;
    }
  return sum / n;
}

double Tasks::median_cost(std::uint32_t task) const {
  std::vector<double> c;
  for (std::uint32_t p = 0; p < processors(); ++p)
    if (runs_on(task, p)) c.push_back(cost(task, p));
  std::sort(c.begin(), c.end());
  const std::size_t h = c.size() / 2;
  return c.size() % 2 ? c[h] : (c[h - 1] + c[h]) / 2;
}

double Tasks::least_cost(std::uint32_t task) const {
  double least = cannot_run;
  for (std::uint32_t p = 0; p < processors(); ++p) least = std::min(least, cost(task, p));
  return least;
}

std::vector<double> Tasks::upward_ranks() const {
  std::vector<double> rank(size());
  for (auto it = order_.rbegin(); it != order_.rend(); ++it) {
    double longest = 0;
    for (const Link& s : successors_[*it])
      longest = std::max(longest, mean_transfer(s.data) + rank[s.task]);
    rank[*it] = mean_cost(*it) + longest;
  }
  return rank;
}

std::vector<std::uint32_t> Tasks::by_falling(const std::vector<double>& rank) const {
  std::vector<std::uint32_t> order = order_, place(order_.size());
  for (std::uint32_t i = 0; i < order_.size(); ++i) place[order_[i]] = i;
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return rank[a] != rank[b] ? rank[a] > rank[b] : place[a] < place[b];
  });
  return order;
}

std::vector<double> Tasks::downward_ranks() const {
  std::vector<double> rank(size(), 0);
  for (const std::uint32_t t : order_)
    for (const Link& p : predecessors_[t])
      rank[t] = std::max(rank[t], rank[p.task] + mean_cost(p.task) + mean_transfer(p.data));
  return rank;
}

// ---- placement
// -----------------------------------------------------------------------------------

Placement::Placement(const Tasks& tasks)
    : tasks_(tasks), busy_(tasks.graph().busy), placed_(tasks.size(), false) {
  busy_.resize(tasks.processors());
  schedule_.tasks.resize(tasks.size());
}

double Placement::ready(std::uint32_t task, std::uint32_t processor) const {
  double at = tasks_.graph().release;
  for (const Tasks::Link& p : tasks_.predecessors(task)) {
    const ScheduledTask& from = schedule_.tasks[p.task];
    at = std::max(at, from.end + tasks_.transfer(p.data, from.processor, processor));
  }
  return at;
}

double Placement::free_from(std::uint32_t processor) const {
  const auto& busy = busy_[processor];
  return busy.empty() ? 0.0 : busy.back().end;
}

double Placement::earliest_start(std::uint32_t task, std::uint32_t processor, bool insert) const {
  const double from = ready(task, processor);
  const auto& busy = busy_[processor];
  if (!insert || busy.empty()) return std::max(from, free_from(processor));
  const double cost = tasks_.cost(task, processor);
  // The first gap that begins after `from` or holds it.
  auto it = std::partition_point(busy.begin(), busy.end(),
                                 [&](const BusyInterval& b) { return b.end <= from; });
  double start = from;
  for (; it != busy.end(); ++it) {
    if (start + cost <= it->start) return start;
    start = std::max(start, it->end);
  }
  return start;
}

std::uint32_t Placement::best_processor(std::uint32_t task, bool insert) const {
  std::uint32_t best = 0;
  double end = cannot_run;
  for (std::uint32_t p = 0; p < tasks_.processors(); ++p) {
    if (!tasks_.runs_on(task, p)) continue;
    const double e = earliest_end(task, p, insert);
    if (e < end) {
      end = e;
      best = p;
    }
  }
  return best;
}

void Placement::place(std::uint32_t task, std::uint32_t processor, double start) {
  const double end = start + tasks_.cost(task, processor);
  schedule_.tasks[task] = {task, processor, start, end};
  schedule_.order.push_back(task);
  schedule_.makespan = std::max(schedule_.makespan, end);
  placed_[task] = true;
  if (end == start) return;  // takes no room
  auto& busy = busy_[processor];
  busy.insert(std::upper_bound(busy.begin(), busy.end(), start,
                               [](double s, const BusyInterval& b) { return s < b.start; }),
              {start, end});
}

void Placement::place_best(std::uint32_t task, bool insert) {
  const std::uint32_t p = best_processor(task, insert);
  place(task, p, earliest_start(task, p, insert));
}

Schedule Placement::finish() && {
  if (schedule_.order.size() != tasks_.size())
    throw InternalError("list scheduling: a task was not placed");
  return std::move(schedule_);
}

void place_ready_tasks(const Tasks& tasks,
                       const std::function<std::size_t(std::span<const std::uint32_t>)>& choose) {
  std::vector<std::size_t> missing(tasks.size());
  std::vector<std::uint32_t> ready;
  for (std::uint32_t t = 0; t < tasks.size(); ++t)
    if ((missing[t] = tasks.predecessors(t).size()) == 0) ready.push_back(t);
  while (!ready.empty()) {
    const std::size_t i = choose(ready);
    const std::uint32_t task = ready[i];
    ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(i));
    for (const Tasks::Link& s : tasks.successors(task))
      if (--missing[s.task] == 0)
        ready.insert(std::lower_bound(ready.begin(), ready.end(), s.task), s.task);
  }
}

// ---- check
// ---------------------------------------------------------------------------------------

std::vector<std::string> check_schedule(const TaskGraph& graph, const Schedule& s) {
  const Tasks tasks(graph);
  std::vector<std::string> wrong;
  if (s.tasks.size() != graph.tasks) return {"not every task is scheduled"};
  double makespan = 0;
  for (const ScheduledTask& t : s.tasks) makespan = std::max(makespan, t.end);
  const double off = 1e-9 * makespan;
  if (std::abs(makespan - s.makespan) > off)
    wrong.push_back(fmt::format("makespan {} instead of {}", s.makespan, makespan));
  std::vector<std::size_t> place(graph.tasks, graph.tasks);
  for (std::size_t i = 0; i < s.order.size(); ++i)
    if (s.order[i] < graph.tasks) place[s.order[i]] = i;
  for (std::uint32_t t = 0; t < graph.tasks; ++t) {
    const ScheduledTask& at = s.tasks[t];
    if (at.task != t) wrong.push_back(fmt::format("entry {} is of task {}", t, at.task));
    if (place[t] == graph.tasks) wrong.push_back(fmt::format("task {} is not in the order", t));
    if (at.processor >= graph.processors || !tasks.runs_on(t, at.processor)) {
      wrong.push_back(fmt::format("task {} on processor {}", t, at.processor));
      continue;
    }
    if (std::abs(at.end - at.start - tasks.cost(t, at.processor)) > off)
      wrong.push_back(fmt::format("task {} takes {} to {}", t, at.start, at.end));
    if (at.start < graph.release - off) wrong.push_back(fmt::format("task {} is early", t));
    for (const Tasks::Link& p : tasks.predecessors(t)) {
      const ScheduledTask& from = s.tasks[p.task];
      if (at.start < from.end + tasks.transfer(p.data, from.processor, at.processor) - off)
        wrong.push_back(fmt::format("task {} starts before the output of {} is there", t, p.task));
      if (place[p.task] >= place[t])
        wrong.push_back(fmt::format("task {} is in the order before {}", t, p.task));
    }
  }
  if (!wrong.empty()) return wrong;
  for (std::uint32_t p = 0; p < graph.processors; ++p) {
    std::vector<BusyInterval> all;
    if (!graph.busy.empty()) all = graph.busy[p];
    for (const ScheduledTask& t : s.tasks)
      if (t.processor == p && t.end > t.start) all.push_back({t.start, t.end});
    std::sort(all.begin(), all.end(),
              [](const BusyInterval& a, const BusyInterval& b) { return a.start < b.start; });
    for (std::size_t i = 1; i < all.size(); ++i)
      if (all[i].start < all[i - 1].end - off)
        wrong.push_back(fmt::format("processor {} does two things at {}", p, all[i].start));
  }
  if (!graph.memory.empty() && std::isfinite(graph.memory_capacity)) {
    // An output is held from its task's start until its last consumer's end.
    struct Step {
      double at, change;
    };
    std::vector<Step> steps;
    for (std::uint32_t t = 0; t < graph.tasks; ++t) {
      double until = s.tasks[t].end;
      for (const Tasks::Link& l : tasks.successors(t)) until = std::max(until, s.tasks[l.task].end);
      steps.push_back({s.tasks[t].start, graph.memory[t]});
      steps.push_back({until, -graph.memory[t]});
    }
    std::sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) {
      return a.at != b.at ? a.at < b.at : a.change < b.change;
    });
    double held = 0;
    for (const Step& x : steps) {
      held += x.change;
      if (held > graph.memory_capacity * (1 + 1e-9))
        wrong.push_back(fmt::format("{} held at {}, above {}", held, x.at, graph.memory_capacity));
    }
  }
  return wrong;
}

}  // namespace isthmus::schedulers
