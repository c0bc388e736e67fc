#include "models/pass_exits.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "models/pass_edit.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

using K = OperatorKind;

// Shares that are written in decimals may miss 1 by a little.
constexpr double share_slack = 1e-9;

double d(std::int64_t v) { return static_cast<double>(v); }

Operator head_operator(K kind, std::string name, std::string module, Shape output) {
  Operator op;
  op.kind = kind;
  op.name = std::move(name);
  op.module = std::move(module);
  op.output = std::move(output);
  return op;
}

// The shape of the model's own answer, where it has one.
std::optional<Shape> answer_shape(const ModelVersion& version) {
  std::optional<Shape> shape;
  for (std::size_t v = 0; v < version.graph.size(); ++v) {
    const Operator& op = version.graph.at(v);
    const bool head = std::any_of(version.exits.begin(), version.exits.end(), [&](const auto& e) {
      return find_operator(version.graph, e.head) == v;
    });
    if (head || op.kind == K::input || !version.graph.successors(v).empty()) continue;
    if (shape) return std::nullopt;
    shape = op.output;
  }
  return shape;
}

// Adds the head's operators behind `from`; returns the last.
std::size_t add_head(GraphEdit& edit, std::size_t from, const std::string& name,
                     std::int64_t classes, bool per_token) {
  const std::string module = "exits." + name.substr(4);
  Shape shape = edit.at(from).output;
  // The head computes in the formats of the operator before it.
  const auto weights = edit.at(from).weights, activations = edit.at(from).activations;
  const auto put = [&](Operator op) {
    op.weights = weights;
    op.activations = activations;
    shape = op.output;
    from = edit.add(std::move(op), {from}, from);
  };
  if (shape.size() == 3) {
    Operator pool = head_operator(K::pool, name + ".pool", module, {shape[0]});
    pool.kernel = pool.stride = shape[1];
    pool.flops = elements(shape);
    put(std::move(pool));
  } else if (shape.size() == 2) {
    Operator norm = head_operator(K::norm, name + ".norm", module, shape);
    norm.function = "layer_norm";
    norm.flops = 7 * elements(shape);
    norm.params = 2 * d(shape[1]);
    put(std::move(norm));
    if (!per_token) {
      Operator mean = head_operator(K::pool, name + ".mean", module, {shape[1]});
      mean.kernel = mean.stride = shape[0];
      mean.flops = elements(shape);
      put(std::move(mean));
    }
  }
  Shape answer = shape;
  answer.back() = classes;
  Operator classifier = head_operator(K::gemm, name + ".classifier", module, answer);
  classifier.macs = elements(shape) * d(classes);
  classifier.flops = 2 * classifier.macs + elements(answer);
  classifier.params = d(shape.back()) * d(classes) + d(classes);
  put(std::move(classifier));
  return from;
}

// All operators that `heads` need, themselves included.
std::set<std::size_t> ancestors(const OperatorGraph& graph, std::vector<std::size_t> heads) {
  std::set<std::size_t> found;
  while (!heads.empty()) {
    const std::size_t v = heads.back();
    heads.pop_back();
    if (!found.insert(v).second) continue;
    for (const std::size_t p : graph.predecessors(v)) heads.push_back(p);
  }
  return found;
}

}  // namespace

ModelVersion add_exits(ModelVersion version, const ExitOptions& options) {
  version.graph.validate();
  if (options.exits.empty()) throw InputError(options.where + ": there is no exit");
  const OperatorGraph& graph = version.graph;
  const auto answer = answer_shape(version);
  double sum = 0;
  std::set<std::size_t> taken;
  for (const ExitPoint& e : version.exits) {
    sum += e.share;
    taken.insert(find_operator(graph, e.after));
  }

  GraphEdit edit(graph);
  const double flops_before = graph.totals().flops;
  std::size_t number = 0;
  std::vector<ExitPoint> added;
  for (const ExitSpec& spec : options.exits) {
    if (!(spec.share >= 0 && spec.share <= 1))
      throw InputError(
          fmt::format("{}/share: a share lies between 0 and 1, not {}", spec.where, spec.share));
    sum += spec.share;
    if (spec.accuracy) check_accuracy(*spec.accuracy, spec.where);
    if (spec.classes < 0)
      throw InputError(fmt::format("{}/classes: an answer has a positive width, not {}", spec.where,
                                   spec.classes));
    std::size_t at = 0;
    try {
      at = find_operator(graph, spec.after);
    } catch (const InputError& e) {
      throw InputError(fmt::format("{}/after: {}", spec.where, e.what()));
    }
    const Operator& op = graph.at(at);
    if (op.kind == K::input)
      throw InputError(
          fmt::format("{}/after: '{}' is an input; nothing has run there", spec.where, spec.after));
    if (graph.successors(at).empty())
      throw InputError(fmt::format("{}/after: '{}' is an output already; exits lie before it",
                                   spec.where, spec.after));
    if (!taken.insert(at).second)
      throw InputError(
          fmt::format("{}/after: there is an exit after '{}' already", spec.where, op.name));
    if (op.output.empty() || op.output.size() > 3)
      throw InputError(fmt::format("{}/after: no head reads the {} tensor of '{}'", spec.where,
                                   to_string(op.output), op.name));
    if (spec.classes == 0 && (!answer || answer->empty()))
      throw InputError(fmt::format("{}: '{}' has several outputs; give the exit's \"classes\"",
                                   spec.where, graph.name()));
    std::string name;
    const auto used = [&](const std::string& stem) {
      for (std::size_t v = 0; v < graph.size(); ++v)
        if (graph.at(v).name.starts_with(stem + ".")) return true;
      return false;
    };
    do name = "exit" + std::to_string(++number);
    while (used(name));
    const bool per_token = answer && answer->size() == 2 && op.output.size() == 2 &&
                           answer->front() == op.output.front();
    const std::size_t head =
        add_head(edit, at, name, spec.classes ? spec.classes : answer->back(), per_token);
    added.push_back({op.name, edit.at(head).name, spec.share, spec.accuracy});
  }
  if (sum > 1 + share_slack)
    throw InputError(
        fmt::format("{}: the shares of all exits add up to {}, more than 1", options.where, sum));

  version.graph = edit.build(graph.name());
  if (options.accuracy) check_accuracy(*options.accuracy, options.where);
  version.accuracy = options.accuracy;
  version.exits.insert(version.exits.end(), added.begin(), added.end());
  // In the order in which a sample meets them.
  const auto order = version.graph.topological_order();
  const auto position = [&](const ExitPoint& e) {
    return std::find(order.begin(), order.end(), find_operator(version.graph, e.after)) -
           order.begin();
  };
  std::stable_sort(version.exits.begin(), version.exits.end(),
                   [&](const auto& a, const auto& b) { return position(a) < position(b); });
  const auto expected = expected_totals(version);
  version.history.push_back(fmt::format(
      "early-exits: {} added, {:.6g} of the samples leave early; parameters {}, flops {} -> {} "
      "expected, {} to the end",
      added.size(), sum, version.graph.totals().params, flops_before, expected.flops,
      version.graph.totals().flops));
  return version;
}

OperatorGraph prefix_graph(const ModelVersion& version, std::size_t exit) {
  const OperatorGraph& graph = version.graph;
  if (exit > version.exits.size())
    throw InputError(fmt::format("'{}' has {} early exits and the end; there is no exit {}",
                                 graph.name(), version.exits.size(), exit));
  if (exit == version.exits.size()) return graph;
  std::vector<std::size_t> heads;
  for (std::size_t i = 0; i <= exit; ++i)
    heads.push_back(find_operator(graph, version.exits[i].head));
  const auto kept = ancestors(graph, heads);
  OperatorGraph prefix(fmt::format("{} to exit {}", graph.name(), exit + 1));
  std::vector<std::size_t> index(graph.size());
  for (const std::size_t v : kept) index[v] = prefix.add(graph.at(v));
  for (const std::size_t v : kept)
    for (const std::size_t p : graph.predecessors(v)) prefix.connect(index[p], index[v]);
  prefix.validate();
  return prefix;
}

double exit_share(const ModelVersion& version, std::size_t exit) {
  double rest = 1;
  for (std::size_t i = 0; i < version.exits.size(); ++i) {
    if (i == exit) return version.exits[i].share;
    rest -= version.exits[i].share;
  }
  return rest < share_slack ? 0 : rest;
}

std::size_t exit_for(const ModelVersion& version, double uniform) {
  double sum = 0;
  for (std::size_t i = 0; i < version.exits.size(); ++i) {
    sum += version.exits[i].share;
    if (uniform < sum) return i;
  }
  // Shares that add up to 1 but for rounding leave nothing for the end.
  std::size_t last = version.exits.size();
  if (exit_share(version, last) == 0)
    while (last > 0 && version.exits[last - 1].share == 0) --last;
  return exit_share(version, version.exits.size()) == 0 && last > 0 ? last - 1
                                                                    : version.exits.size();
}

GraphTotals expected_totals(const ModelVersion& version) {
  GraphTotals expected;
  double operators = 0;
  for (std::size_t i = 0; i <= version.exits.size(); ++i) {
    const double share = exit_share(version, i);
    if (share == 0) continue;
    const auto t = prefix_graph(version, i).totals();
    operators += share * static_cast<double>(t.operators);
    expected.flops += share * t.flops;
    expected.macs += share * t.macs;
    expected.params += share * t.params;
    expected.activations += share * t.activations;
  }
  expected.operators = static_cast<std::size_t>(std::llround(operators));
  return expected;
}

std::optional<Accuracy> expected_accuracy(const ModelVersion& version) {
  if (version.exits.empty()) return version.accuracy;
  Accuracy mean;
  std::set<std::string> sources;
  std::optional<std::string> metric;
  for (std::size_t i = 0; i <= version.exits.size(); ++i) {
    const double share = exit_share(version, i);
    if (share == 0) continue;
    const auto& part = i < version.exits.size() ? version.exits[i].accuracy : version.accuracy;
    if (!part || metric.value_or(part->metric) != part->metric) return std::nullopt;
    metric = part->metric;
    mean.value += share * part->value;
    sources.insert(part->source);
  }
  mean.metric = metric.value_or("");
  mean.source = fmt::format("mean over {} exits by their shares; {}", version.exits.size() + 1,
                            fmt::join(sources, "; "));
  return mean;
}

}  // namespace isthmus::models
