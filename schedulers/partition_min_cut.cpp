// The best placement of all, by a minimum cut.
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/push_relabel_max_flow.hpp>
#include <cmath>
#include <cstdint>

#include "schedulers/entry.hpp"
#include "schedulers/partition_costs.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

using Capacity = std::int64_t;
using Traits = boost::adjacency_list_traits<boost::vecS, boost::vecS, boost::directedS>;
using Graph = boost::adjacency_list<
    boost::vecS, boost::vecS, boost::directedS, boost::no_property,
    boost::property<
        boost::edge_capacity_t, Capacity,
        boost::property<boost::edge_residual_capacity_t, Capacity,
                        boost::property<boost::edge_reverse_t, Traits::edge_descriptor>>>>;

// Node (task, h) lies on the sink's side when the task runs beyond hop h. Cutting the arc between
// (task, m) and (task, m - 1) means tier m (Ishikawa 2003). An auxiliary node per task and hop lies
// on the sink's side when some consumer does, so that a tensor pays once per hop (Hu et al.: DADS,
// INFOCOM 2019).
class MinCut final : public Partitioner {
 public:
  Partition partition(const PartitionProblem& problem) const override {
    const PartitionCosts costs(problem);
    const std::uint32_t n = problem.tasks, k = problem.tiers;

    // The latency of a hop is paid once, if anything goes beyond: one cut per farthest tier.
    Partition best;
    best.objective = cannot_run;
    for (std::uint32_t farthest = 0; farthest < k; ++farthest) {
      std::vector<std::uint32_t> tier(n, 0);
      if (farthest > 0 && !cut(costs, farthest + 1, tier)) continue;
      Partition p = costs.evaluate(std::move(tier));
      if (p.objective < best.objective) best = std::move(p);
    }
    if (best.objective == cannot_run)
      throw InputError("partition: no placement is possible with the hops that are up");
    return best;
  }

 private:
  // The cheapest placement on the first `tiers` tiers, hop latencies not counted. False: none.
  static bool cut(const PartitionCosts& costs, std::uint32_t tiers,
                  std::vector<std::uint32_t>& tier) {
    const PartitionProblem& p = costs.p;
    const std::uint32_t n = p.tasks, k = p.tiers, hops = tiers - 1;
    // Whole numbers: the sum of all costs becomes 2^44, so rounding is below 1e-13 of it per arc
    // and no sum of capacities overflows.
    double sum = 0;
    for (std::uint32_t t = 0; t < n; ++t) {
      for (std::uint32_t m = 0; m < tiers; ++m)
        if (const double c = costs.task[t * k + m]; c != cannot_run) sum += c;
      for (std::uint32_t h = 0; h < hops; ++h)
        if (const double c = costs.transfer[t * (k - 1) + h]; c != cannot_run) sum += c;
    }
    const double scale = sum > 0 ? std::ldexp(1.0, 44) / sum : 1.0;
    const Capacity infinite = Capacity{1} << 46;
    const auto whole = [&](double c) {
      return c == cannot_run ? infinite : static_cast<Capacity>(std::llround(c * scale));
    };

    const std::uint32_t source = 0, sink = 1;
    const auto node = [&](std::uint32_t t, std::uint32_t h) { return 2 + t * hops + h; };
    const auto helper = [&](std::uint32_t t, std::uint32_t h) { return 2 + (n + t) * hops + h; };
    Graph g(2 + 2 * static_cast<std::size_t>(n) * hops);
    const auto capacity = boost::get(boost::edge_capacity, g);
    const auto reverse = boost::get(boost::edge_reverse, g);
    const auto arc = [&](std::uint32_t a, std::uint32_t b, Capacity c) {
      const auto forth = boost::add_edge(a, b, g).first;
      const auto back = boost::add_edge(b, a, g).first;
      capacity[forth] = c;
      capacity[back] = 0;
      reverse[forth] = back;
      reverse[back] = forth;
    };
    for (std::uint32_t t = 0; t < n; ++t) {
      for (std::uint32_t m = 0; m < tiers; ++m)
        arc(m == hops ? source : node(t, m), m == 0 ? sink : node(t, m - 1),
            whole(costs.task[t * k + m]));
      for (std::uint32_t h = 0; h + 1 < hops; ++h) arc(node(t, h), node(t, h + 1), infinite);
      if (costs.successors[t].empty()) continue;
      for (std::uint32_t h = 0; h < hops; ++h) {
        arc(node(t, h), helper(t, h), whole(costs.transfer[t * (k - 1) + h]));
        for (const std::uint32_t s : costs.successors[t]) {
          arc(helper(t, h), node(s, h), infinite);
          arc(node(s, h), node(t, h), infinite);
        }
      }
    }
    const Capacity flow = boost::push_relabel_max_flow(g, source, sink);
    if (flow >= infinite) return false;

    // The sink's side: whatever still reaches the sink. What could lie on either side stays with
    // the client.
    const auto residual = boost::get(boost::edge_residual_capacity, g);
    std::vector<bool> beyond(boost::num_vertices(g), false);
    std::vector<std::size_t> open{sink};
    beyond[sink] = true;
    while (!open.empty()) {
      const std::size_t v = open.back();
      open.pop_back();
      for (auto [e, end] = boost::out_edges(v, g); e != end; ++e) {
        const std::size_t u = boost::target(*e, g);
        if (!beyond[u] && residual[reverse[*e]] > 0) {
          beyond[u] = true;
          open.push_back(u);
        }
      }
    }
    for (std::uint32_t t = 0; t < n; ++t) {
      tier[t] = 0;
      for (std::uint32_t h = 0; h < hops; ++h) tier[t] += beyond[node(t, h)] ? 1 : 0;
    }
    return true;
  }
};

}  // namespace

PolicyEntry<Partitioner> partition_min_cut() {
  return {"min-cut",
          "The best placement of all tasks on two or more ordered tiers, as a minimum cut.",
          "Hu et al.: DADS, INFOCOM 2019 (two tiers); Ishikawa, IEEE TPAMI 25(10), 2003 (more)",
          "tasks of one request would run beside each other: it minimizes the sum of their times.",
          "O(V^3) push-relabel, V = 2 tasks hops; far less on real graphs",
          {},
          &make_policy<Partitioner, MinCut>};
}

}  // namespace isthmus::schedulers
