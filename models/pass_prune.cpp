#include "models/pass_prune.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "models/pass_channels.hpp"
#include "models/pass_edit.hpp"
#include "models/pass_select.hpp"
#include "models/pass_weights.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

using K = OperatorKind;

constexpr std::int64_t largest_multiple = 4096;

double d(std::int64_t v) { return static_cast<double>(v); }

bool makes_channels(const Operator& op) {
  return (op.kind == K::conv && op.groups == 1) || op.kind == K::gemm;
}

// What remains of `channels`, in multiples of `unit`.
std::int64_t remaining(std::int64_t channels, std::int64_t unit, const PruneRule& rule) {
  // The small term keeps 10 * 0.3 from becoming 2.
  const auto gone = static_cast<std::int64_t>(std::floor(d(channels) * rule.ratio + 1e-9));
  const std::int64_t keep = std::max<std::int64_t>(channels - gone, 1);
  const std::int64_t multiple = std::lcm(rule.multiple, unit);
  return std::min((keep + multiple - 1) / multiple * multiple, channels);
}

// Elements of `now` per element of `then`; empty tensors stay as they are.
double ratio(const Shape& now, const Shape& then) {
  return elements(then) > 0 ? elements(now) / elements(then) : 1;
}

// One operator between its new input and output shapes.
void shrink(Operator& op, const std::vector<Shape>& inputs, Shape output) {
  const double out = ratio(output, op.output);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    op.input_elements += elements(inputs[i]) - elements(op.inputs[i]);
  op.input_elements = std::max(op.input_elements, 0.0);
  op.output_elements *= out;
  if (is_product(op.kind)) {
    // Depthwise filters have no input side of their own.
    const double in =
        op.kind == K::depthwise_conv || inputs.empty() ? 1 : ratio(inputs[0], op.inputs[0]);
    const double bias = bias_params(op), rest = op.flops - 2 * op.macs;
    op.params = (op.params - bias) * in * out + bias * out;
    op.macs *= in * out;
    op.flops = 2 * op.macs + rest * out;
    if (op.kind == K::depthwise_conv) op.groups = output[0];
  } else {
    // Scalars have no channels; flops of pools over whole planes follow the input, as channels do.
    if (op.params > 1) op.params *= out;
    op.flops *= out;
  }
  op.inputs = inputs;
  op.output = std::move(output);
}

}  // namespace

ModelVersion prune_channels(ModelVersion version, const PruneOptions& options) {
  version.graph.validate();
  if (options.rules.empty()) throw InputError(options.where + ": there is no rule");
  if (!version.sparse.empty())
    throw InputError(options.where + ": the weights are sparse already; prune channels first");
  const OperatorGraph& graph = version.graph;
  const ChannelMap map(graph);

  // The rule of each set, and how many matched operators could not follow.
  std::vector<const PruneRule*> rules(map.sets(), nullptr);
  std::map<std::string, std::size_t> held;
  std::vector<bool> matched(graph.size(), false);
  for (const PruneRule& rule : options.rules) {
    if (!(rule.ratio >= 0 && rule.ratio < 1))
      throw InputError(fmt::format("{}: \"ratio\" is a share from 0 to below 1, not {}", rule.where,
                                   rule.ratio));
    if (rule.multiple < 1 || rule.multiple > largest_multiple)
      throw InputError(fmt::format("{}: \"multiple\" lies between 1 and {}, not {}", rule.where,
                                   largest_multiple, rule.multiple));
    std::string reasons;
    bool any = false;
    for (const std::size_t v : select_operators(graph, rule.match, rule.where + "/match")) {
      if (!makes_channels(graph.at(v)) || graph.at(v).output.empty()) continue;
      // A grouped or otherwise foreign form has opened a set that is held.
      const std::size_t set = map.of(v).segments.at(0).set;
      if (const std::string& reason = map.held(set); !reason.empty()) {
        if (reasons.find(reason) == std::string::npos && reasons.size() < 300)
          reasons += (reasons.empty() ? "" : "; ") + ("'" + graph.at(v).name + "': " + reason);
        if (!matched[v]) ++held[reason];
        matched[v] = true;
        continue;
      }
      rules[map.root(set)] = &rule;
      matched[v] = any = true;
    }
    if (!any)
      throw InputError(fmt::format(
          "{}/match: \"{}\" holds no channels that can be pruned{}", rule.where, rule.match,
          reasons.empty() ? ": no dense convolution or product is in it" : " (" + reasons + ")"));
  }

  // New shapes, then new counts.
  std::vector<Shape> shapes(graph.size());
  std::size_t pruned = 0, along = 0;
  for (std::size_t v = 0; v < graph.size(); ++v) {
    shapes[v] = graph.at(v).output;
    const auto& channels = map.of(v);
    if (channels.segments.empty()) continue;
    std::int64_t total = 0;
    for (const auto& s : channels.segments) {
      const PruneRule* rule = rules[map.root(s.set)];
      const std::int64_t size = map.size(s.set);
      total += (rule ? remaining(size, map.multiple(s.set), *rule) : size) * s.repeat / s.divide;
    }
    if (total != shapes[v][channels.axis] && makes_channels(graph.at(v)))
      ++(matched[v] ? pruned : along);
    shapes[v][channels.axis] = total;
  }
  const auto before = graph.totals();
  GraphEdit edit(graph);
  for (std::size_t v = 0; v < graph.size(); ++v) {
    std::vector<Shape> inputs;
    for (const std::size_t p : edit.inputs(v)) inputs.push_back(shapes[p]);
    if (inputs != edit.at(v).inputs || shapes[v] != edit.at(v).output)
      shrink(edit.at(v), inputs, shapes[v]);
  }
  version.graph = edit.build(graph.name());
  replace_accuracy(version, options.accuracy, options.where);
  const auto after = version.graph.totals();
  std::size_t left = 0;
  for (const auto& [reason, count] : held) left += count;
  std::string line =
      fmt::format("prune: {} operators, {} more tied to them, {} left alone", pruned, along, left);
  if (!held.empty()) line += fmt::format(" (e.g. {})", held.begin()->first);
  version.history.push_back(fmt::format("{}; parameters {} -> {}, macs {} -> {}", line,
                                        before.params, after.params, before.macs, after.macs));
  return version;
}

}  // namespace isthmus::models
