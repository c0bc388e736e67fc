// List schedulers on the graph of the HEFT paper and on random ones.
#include <gtest/gtest.h>

#include "schedulers/registry.hpp"
#include "schedulers/task_graph.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"

namespace isthmus::schedulers {
namespace {

// Topcuoglu, Hariri, Wu 2002, figure 2.
TaskGraph canonical() {
  TaskGraph g;
  g.tasks = 10;
  g.processors = 3;
  g.cost = {14, 16, 9, 13, 19, 18, 11, 13, 19, 13, 8,  17, 12, 13, 10,
            13, 16, 9, 7,  15, 11, 5,  11, 14, 18, 12, 20, 21, 7,  16};
  g.edges = {{0, 1, 18}, {0, 2, 12}, {0, 3, 9},  {0, 4, 11}, {0, 5, 14},
             {1, 7, 19}, {1, 8, 16}, {2, 6, 23}, {3, 7, 27}, {3, 8, 23},
             {4, 8, 13}, {5, 7, 15}, {6, 9, 17}, {7, 9, 11}, {8, 9, 13}};
  return g;
}

Schedule schedule(const char* name, const TaskGraph& g) {
  const auto& entry = find_entry(list_schedulers(), name);
  return entry.make(Parameters(entry.parameters))->schedule(g);
}

TEST(ListScheduling, HeftOnTheGraphOfItsPaper) {
  const TaskGraph g = canonical();
  const Schedule s = schedule("heft", g);
  EXPECT_DOUBLE_EQ(s.makespan, 80);
  EXPECT_TRUE(check_schedule(g, s).empty());
  EXPECT_EQ(s.tasks[0].processor, 2U);
  EXPECT_DOUBLE_EQ(s.tasks[9].start, 73);
}

TEST(ListScheduling, BusyIntervalsAreGapsToFill) {
  // The same graph again at 10, among the tasks of the first: ends at 109.
  TaskGraph g = canonical();
  const Schedule first = schedule("heft", g);
  g.busy.resize(3);
  for (const ScheduledTask& t : first.tasks) g.busy[t.processor].push_back({t.start, t.end});
  for (auto& b : g.busy)
    std::sort(b.begin(), b.end(), [](auto& x, auto& y) { return x.start < y.start; });
  g.release = 10;
  const Schedule s = schedule("heft", g);
  EXPECT_DOUBLE_EQ(s.makespan, 109);
  EXPECT_TRUE(check_schedule(g, s).empty());
}

// Two chains of a maker and a user that takes nothing away: outputs of 3 are held from the start of their maker until
// the end of their user.
TEST(ListScheduling, MemoryBoundedWaitsForRoom) {
  TaskGraph g;
  g.tasks = 4;
  g.processors = 2;
  g.cost = {4, 4, 1, 1, 4, 4, 1, 1};  // makers 0 and 2, users 1 and 3, on either processor
  g.edges = {{0, 1, 0}, {2, 3, 0}};
  g.memory = {3, 0, 3, 0};
  g.memory_capacity = 6;
  EXPECT_DOUBLE_EQ(schedule("memory-bounded", g).makespan, 5);  // side by side
  g.memory_capacity = 5;
  const Schedule s = schedule("memory-bounded", g);
  EXPECT_DOUBLE_EQ(s.makespan, 10);  // one after the other
  EXPECT_TRUE(check_schedule(g, s).empty());
  EXPECT_GE(s.tasks[2].start, s.tasks[1].end);
  g.memory_capacity = 2;
  EXPECT_THROW(schedule("memory-bounded", g), InputError);
}

TaskGraph random_graph(std::uint64_t seed) {
  Rng g = StreamKey(seed, "graphs").at(0);
  TaskGraph t;
  t.tasks = 1 + static_cast<std::uint32_t>(uniform_index(g, 20));
  t.processors = 1 + static_cast<std::uint32_t>(uniform_index(g, 4));
  for (std::uint32_t i = 0; i < t.tasks; ++i) {
    const auto able = static_cast<std::uint32_t>(uniform_index(g, t.processors));
    for (std::uint32_t p = 0; p < t.processors; ++p)
      t.cost.push_back(p != able && uniform01(g) < 0.2 ? cannot_run
                       : uniform01(g) < 0.1            ? 0.0
                                                       : 1 + 20 * uniform01(g));
    for (std::uint32_t j = 0; j < i; ++j)
      if (uniform01(g) < 0.2) t.edges.push_back({j, i, uniform01(g) < 0.3 ? 0 : 10 * uniform01(g)});
  }
  if (uniform01(g) < 0.5) {
    for (std::uint32_t i = 0; i < t.processors * t.processors; ++i) {
      t.transfer.push_back(2 * uniform01(g));
      t.latency.push_back(uniform01(g));
    }
  }
  if (uniform01(g) < 0.3) {
    t.release = 5;
    t.busy.resize(t.processors);
    for (auto& b : t.busy)
      for (double at = 20 * uniform01(g); b.size() < 3; at += 20 * uniform01(g)) {
        b.push_back({at, at + 5});
        at += 5;
      }
  }
  return t;
}

TEST(ListScheduling, EverySchedulerKeepsTheRulesOnRandomGraphs) {
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const TaskGraph g = random_graph(seed);
    for (const auto& entry : list_schedulers()) {
      if (entry.name == "exact" && (g.tasks > 8 || !g.busy.empty())) continue;
      const auto scheduler = entry.make(Parameters(entry.parameters));
      const Schedule s = scheduler->schedule(g);
      const auto wrong = check_schedule(g, s);
      ASSERT_TRUE(wrong.empty()) << entry.name << ", seed " << seed << ": " << wrong.front();
      const Schedule again = scheduler->schedule(g);
      ASSERT_EQ(again.order, s.order);
      ASSERT_EQ(again.makespan, s.makespan);
    }
  }
}

}  // namespace
}  // namespace isthmus::schedulers
