#include "devices/graph_packing.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace isthmus::devices {

namespace {

struct Node {
  std::vector<OperatorTime> times;
  std::map<std::uint32_t, double> producers;  // bytes by node
  std::set<std::uint32_t> consumers;
  std::string name;
  double output = 0;
  std::uint32_t parts = 1;
  bool live = true;
};

double best_time(const Node& n) {
  double best = schedulers::cannot_run;
  for (const OperatorTime& t : n.times)
    if (t.runnable) best = std::min(best, t.total());
  return best;
}

bool share_a_unit(const Node& a, const Node& b) {
  for (std::size_t u = 0; u < a.times.size(); ++u)
    if (a.times[u].runnable && b.times[u].runnable) return true;
  return false;
}

// Times of `b` are added to `a`, one after the other, with one launch.
void add_times(Node& a, const Node& b) {
  for (std::size_t u = 0; u < a.times.size(); ++u) {
    OperatorTime& x = a.times[u];
    const OperatorTime& y = b.times[u];
    if (!x.runnable || !y.runnable) {
      x = {};
      continue;
    }
    const double body = x.body + y.body;
    if (body > 0) x.busy_power = (x.busy_power * x.body + y.busy_power * y.body) / body;
    x.fixed = std::max(x.fixed, y.fixed);
    x.body = body;
    x.compute += y.compute;
    x.memory += y.memory;
    x.bytes += y.bytes;
  }
  a.parts += b.parts;
}

}  // namespace

PackedPlan pack(const GraphPlan& plan, double light) {
  const auto n = static_cast<std::uint32_t>(plan.operators.size());
  std::vector<Node> nodes(n);
  for (std::uint32_t i = 0; i < n; ++i) {
    nodes[i].times.assign(plan.times.begin() + static_cast<std::ptrdiff_t>(i * plan.units),
                          plan.times.begin() + static_cast<std::ptrdiff_t>((i + 1) * plan.units));
    nodes[i].name = plan.operators[i];
    nodes[i].output = plan.output_bytes[i];
  }
  for (const schedulers::TaskEdge& e : plan.edges) {
    double& bytes = nodes[e.to].producers[e.from];
    bytes = std::max(bytes, e.data);
    nodes[e.from].consumers.insert(e.to);
  }
  std::vector<std::uint32_t> into(n);
  std::iota(into.begin(), into.end(), 0U);

  // `b` is folded into `a`.
  const auto merge = [&](std::uint32_t a, std::uint32_t b, bool chain) {
    Node &x = nodes[a], &y = nodes[b];
    add_times(x, y);
    x.output = chain ? y.output : x.output + y.output;
    x.name += " + " + y.name;
    for (const auto& [p, bytes] : y.producers) {
      nodes[p].consumers.erase(b);
      if (p == a) continue;
      double& mine = x.producers[p];
      mine = std::max(mine, bytes);
      nodes[p].consumers.insert(a);
    }
    if (chain) x.consumers.clear();
    for (const std::uint32_t c : y.consumers) {
      const double bytes = nodes[c].producers.at(b);
      nodes[c].producers.erase(b);
      nodes[c].producers[a] += bytes;
      x.consumers.insert(c);
    }
    y.live = false;
    into[b] = a;
  };
  const auto worth = [&](std::uint32_t a, std::uint32_t b) {
    return (best_time(nodes[a]) < light || best_time(nodes[b]) < light) &&
           share_a_unit(nodes[a], nodes[b]) && best_time(nodes[a]) > 0 && best_time(nodes[b]) > 0;
  };
  for (bool again = true; again;) {
    again = false;
    for (std::uint32_t a = 0; a < n; ++a) {
      while (nodes[a].live && nodes[a].consumers.size() == 1) {
        const std::uint32_t b = *nodes[a].consumers.begin();
        if (nodes[b].producers.size() != 1 || !worth(a, b)) break;
        merge(a, b, true);
        again = true;
      }
      if (!nodes[a].live || nodes[a].producers.empty()) continue;
      // Siblings: other consumers of the first producer.
      const std::set<std::uint32_t> beside = nodes[nodes[a].producers.begin()->first].consumers;
      for (const std::uint32_t b : beside) {
        if (b <= a || !nodes[b].live || nodes[b].consumers != nodes[a].consumers) continue;
        if (nodes[b].producers.size() != nodes[a].producers.size() ||
            !std::equal(nodes[a].producers.begin(), nodes[a].producers.end(),
                        nodes[b].producers.begin(),
                        [](const auto& x, const auto& y) { return x.first == y.first; }))
          continue;
        // Both must be light: side by side they could have run at once.
        if (best_time(nodes[a]) >= light || best_time(nodes[b]) >= light || !worth(a, b)) continue;
        merge(a, b, false);
        again = true;
      }
    }
  }

  PackedPlan out;
  out.plan = plan;
  out.plan.operators.clear();
  out.plan.times.clear();
  out.plan.edges.clear();
  out.plan.output_bytes.clear();
  std::vector<std::uint32_t> number(n, 0);
  for (std::uint32_t i = 0; i < n; ++i) {
    if (!nodes[i].live) continue;
    number[i] = static_cast<std::uint32_t>(out.plan.operators.size());
    out.plan.operators.push_back(nodes[i].name);
    out.plan.times.insert(out.plan.times.end(), nodes[i].times.begin(), nodes[i].times.end());
    out.plan.output_bytes.push_back(nodes[i].output);
  }
  for (std::uint32_t i = 0; i < n; ++i)
    if (nodes[i].live)
      for (const auto& [p, bytes] : nodes[i].producers)
        out.plan.edges.push_back({number[p], number[i], bytes});
  out.macro.resize(n);
  for (std::uint32_t i = 0; i < n; ++i) {
    std::uint32_t root = i;
    while (into[root] != root) root = into[root];
    out.macro[i] = number[root];
  }
  return out;
}

}  // namespace isthmus::devices
