#include "models/operator_graph.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/graph/depth_first_search.hpp>
#include <boost/graph/iteration_macros.hpp>
#include <functional>
#include <queue>
#include <unordered_set>

#include "sim/core/errors.hpp"

namespace isthmus::models {

std::optional<OperatorKind> operator_kind_from(std::string_view name) {
  for (std::size_t i = 0; i < operator_kind_names.size(); ++i)
    if (operator_kind_names[i] == name) return static_cast<OperatorKind>(i);
  return std::nullopt;
}

double elements(const Shape& shape) {
  double n = 1;
  for (const auto dim : shape) n *= static_cast<double>(dim);
  return n;
}

std::string to_string(const Shape& shape) {
  return shape.empty() ? "scalar" : fmt::format("{}", fmt::join(shape, "x"));
}

std::size_t OperatorGraph::add(Operator op) {
  if (op.input_elements == 0)
    for (const auto& shape : op.inputs) op.input_elements += elements(shape);
  if (op.output_elements == 0) op.output_elements = elements(op.output);
  return boost::add_vertex(std::move(op), graph_);
}

void OperatorGraph::connect(std::size_t producer, std::size_t consumer) {
  if (producer >= size() || consumer >= size())
    throw InternalError("graph '" + name_ + "': an edge names an operator that does not exist");
  boost::add_edge(producer, consumer, graph_);
}

std::vector<std::size_t> OperatorGraph::predecessors(std::size_t i) const {
  // vecS keeps in-edges in order of insertion, which is the order of the input slots.
  std::vector<std::size_t> result;
  BGL_FORALL_INEDGES(i, e, graph_, Graph) result.push_back(boost::source(e, graph_));
  return result;
}

std::vector<std::size_t> OperatorGraph::successors(std::size_t i) const {
  std::vector<std::size_t> result;
  BGL_FORALL_OUTEDGES(i, e, graph_, Graph) result.push_back(boost::target(e, graph_));
  return result;
}

namespace {

// Records the first cycle that a depth-first search closes.
class CycleFinder : public boost::default_dfs_visitor {
 public:
  CycleFinder(std::vector<std::size_t>& parents, std::vector<std::size_t>& cycle)
      : parents_(parents), cycle_(cycle) {}
  template <class Edge, class G>
  void tree_edge(Edge e, const G& g) {
    parents_[boost::target(e, g)] = boost::source(e, g);
  }
  template <class Edge, class G>
  void back_edge(Edge e, const G& g) {
    if (!cycle_.empty()) return;
    for (std::size_t v = boost::source(e, g); v != boost::target(e, g); v = parents_[v])
      cycle_.push_back(v);
    cycle_.push_back(boost::target(e, g));
    std::reverse(cycle_.begin(), cycle_.end());
  }

 private:
  std::vector<std::size_t>& parents_;
  std::vector<std::size_t>& cycle_;
};

}  // namespace

std::vector<std::size_t> OperatorGraph::find_cycle() const {
  std::vector<std::size_t> parents(size(), 0), cycle;
  boost::depth_first_search(graph_, boost::visitor(CycleFinder(parents, cycle)));
  return cycle;
}

void OperatorGraph::validate() const {
  std::vector<std::string> problems;
  const auto problem = [&](const std::string& text) {
    problems.push_back(fmt::format("graph '{}': {}", name_, text));
  };

  // Names and counts.
  if (size() == 0) problem("has no operators");
  std::unordered_set<std::string_view> names;
  BGL_FORALL_VERTICES(v, graph_, Graph) {
    const Operator& op = graph_[v];
    if (op.name.empty())
      problem(fmt::format("operator {} has no name", v));
    else if (!names.insert(op.name).second)
      problem(fmt::format("two operators are called '{}'", op.name));
    for (const double count : {op.flops, op.macs, op.params, op.input_elements, op.output_elements})
      if (!(count >= 0)) problem(fmt::format("operator '{}' has a negative count", op.name));
    if (!(op.active > 0 && op.active <= 1))
      problem(
          fmt::format("operator '{}' touches a share of {} of its parameters", op.name, op.active));
  }

  // A cycle, by name.
  if (const auto cycle = find_cycle(); !cycle.empty()) {
    std::string path;
    for (const auto v : cycle) path += graph_[v].name + " -> ";
    problem("has a cycle: " + path + graph_[cycle.front()].name);
  }

  // Edges against declared inputs.
  BGL_FORALL_VERTICES(v, graph_, Graph) {
    const Operator& op = graph_[v];
    const auto sources = predecessors(v);
    if (sources.size() != op.inputs.size()) {
      problem(fmt::format("operator '{}' declares {} inputs but {} are connected", op.name,
                          op.inputs.size(), sources.size()));
      continue;
    }
    for (std::size_t i = 0; i < sources.size(); ++i)
      if (graph_[sources[i]].output != op.inputs[i])
        problem(fmt::format("'{}' gives {} but input {} of '{}' is {}", graph_[sources[i]].name,
                            to_string(graph_[sources[i]].output), i, op.name,
                            to_string(op.inputs[i])));
  }
  if (!problems.empty()) throw InputError(problems);
}

std::vector<std::size_t> OperatorGraph::topological_order() const {
  // Kahn's algorithm with a heap, for an order that depends on nothing but the graph.
  std::vector<std::size_t> waiting(size());
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t v = 0; v < size(); ++v) {
    waiting[v] = boost::in_degree(v, graph_);
    if (waiting[v] == 0) ready.push(v);
  }
  std::vector<std::size_t> order;
  order.reserve(size());
  while (!ready.empty()) {
    const std::size_t v = ready.top();
    ready.pop();
    order.push_back(v);
    BGL_FORALL_OUTEDGES(v, e, graph_, Graph)
    if (--waiting[boost::target(e, graph_)] == 0) ready.push(boost::target(e, graph_));
  }
  if (order.size() != size()) validate();  // throws and names the cycle
  return order;
}

OperatorGraph::Path OperatorGraph::critical_path(std::span<const double> costs) const {
  if (costs.size() != size()) throw InternalError("critical_path: one cost per operator is needed");
  constexpr std::size_t none = ~std::size_t{0};
  std::vector<double> finish(size(), 0);
  std::vector<std::size_t> previous(size(), none);
  std::size_t last = none;
  for (const std::size_t v : topological_order()) {
    double start = 0;
    for (const std::size_t u : predecessors(v))
      if (previous[v] == none || finish[u] > start) {
        start = finish[u];
        previous[v] = u;
      }
    finish[v] = start + costs[v];
    if (last == none || finish[v] > finish[last]) last = v;
  }
  Path path;
  if (last == none) return path;
  path.cost = finish[last];
  for (std::size_t v = last; v != none; v = previous[v]) path.operators.push_back(v);
  std::reverse(path.operators.begin(), path.operators.end());
  return path;
}

GraphTotals OperatorGraph::totals() const {
  GraphTotals t;
  BGL_FORALL_VERTICES(v, graph_, Graph) {
    const Operator& op = graph_[v];
    if (op.kind != OperatorKind::input) ++t.operators;
    t.flops += op.flops;
    t.macs += op.macs;
    t.params += op.params;
    t.activations += op.output_elements;
  }
  return t;
}

double OperatorGraph::peak_live_elements() const {
  std::vector<std::size_t> readers(size());
  for (std::size_t v = 0; v < size(); ++v) readers[v] = boost::out_degree(v, graph_);
  double live = 0, peak = 0;
  for (const std::size_t v : topological_order()) {
    live += graph_[v].output_elements;
    peak = std::max(peak, live);
    for (const std::size_t u : predecessors(v))
      if (--readers[u] == 0) live -= graph_[u].output_elements;
  }
  return peak;
}

std::vector<OperatorGraph::Cut> OperatorGraph::cuts() const {
  std::vector<std::size_t> readers(size());
  for (std::size_t v = 0; v < size(); ++v) readers[v] = boost::out_degree(v, graph_);
  const auto order = topological_order();
  std::vector<Cut> result;
  std::vector<std::size_t> open;  // producers with readers behind the cut, in order
  for (std::size_t i = 0; i + 1 < order.size(); ++i) {
    const std::size_t v = order[i];
    for (const std::size_t u : predecessors(v)) --readers[u];
    std::erase_if(open, [&](std::size_t u) { return readers[u] == 0; });
    if (readers[v] > 0) open.push_back(v);
    Cut cut{.after = v, .crossing = open};
    for (const std::size_t u : open) cut.elements += graph_[u].output_elements;
    result.push_back(std::move(cut));
  }
  return result;
}

std::vector<OperatorGraph::Cut> OperatorGraph::narrow_cuts() const {
  std::vector<Cut> result = cuts();
  std::erase_if(result, [](const Cut& c) { return c.crossing.size() != 1; });
  return result;
}

}  // namespace isthmus::models
