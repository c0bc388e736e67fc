#include "models/pass_precision.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "models/pass_edit.hpp"
#include "models/pass_select.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

using K = OperatorKind;

void check(const PrecisionRule& rule) {
  if (!rule.weights && !rule.activations)
    throw InputError(rule.where + ": a rule sets \"weights\", \"activations\" or both");
  if (rule.group_size > 0 && !rule.weights)
    throw InputError(rule.where + ": \"group_size\" needs \"weights\"");
  if (rule.group_size > 0 && !(rule.scale_bytes >= 0 && rule.scale_bytes <= 64))
    throw InputError(
        fmt::format("{}: a scale has from 0 to 64 bytes, not {}", rule.where, rule.scale_bytes));
}

// The two sides of such an operator differ in format by design.
bool is_conversion(const Operator& op) {
  return op.kind == K::copy &&
         (op.function == "quantize" || op.function == "dequantize" || op.function == "cast");
}

// Copies between formats; returns how many of each function.
std::map<std::string, std::size_t> convert(GraphEdit& edit, const ModelVersion& version) {
  std::map<std::string, std::size_t> counts;
  std::set<std::string> names;
  for (const std::size_t v : edit.order()) names.insert(edit.at(v).name);
  const auto format = [&](std::size_t v) {
    return edit.at(v).activations.value_or(version.activations);
  };
  for (const std::size_t v : edit.order()) {
    std::map<Precision, std::size_t> copies;
    for (const std::size_t reader : std::vector<std::size_t>(edit.readers(v))) {
      const Precision from = format(v), to = format(reader);
      if (from == to || is_conversion(edit.at(reader))) continue;
      if (!copies.contains(to)) {
        Operator copy;
        copy.kind = K::copy;
        copy.function = bytes_of(to) <= 1 && bytes_of(from) > bytes_of(to)     ? "quantize"
                        : bytes_of(from) <= 1 && bytes_of(to) > bytes_of(from) ? "dequantize"
                                                                               : "cast";
        copy.name = fmt::format("{}.{}", edit.at(v).name, name_of(to));
        while (!names.insert(copy.name).second) copy.name += "'";
        copy.module = edit.at(v).module;
        copy.output = edit.at(v).output;
        copy.flops = copy.function == "cast" ? 0 : elements(copy.output);  // times the scale
        copy.input_elements = elements(copy.output) * bytes_of(from) / bytes_of(to);
        copy.weights = copy.activations = to;
        ++counts[copy.function];
        copies[to] = edit.add(std::move(copy), {v}, v);
      }
      const auto& inputs = edit.inputs(reader);
      const auto slot = std::find(inputs.begin(), inputs.end(), v) - inputs.begin();
      edit.rewire(reader, static_cast<std::size_t>(slot), copies[to]);
    }
  }
  return counts;
}

}  // namespace

ModelVersion set_precision(ModelVersion version, const PrecisionOptions& options) {
  version.graph.validate();
  if (options.rules.empty() && !options.sensitive && !options.conversions)
    throw InputError(options.where + ": there is no rule");
  const double bytes_before = version.weight_bytes();
  GraphEdit edit(version.graph);

  // What the rules say of each operator; GraphEdit numbers as the graph does.
  struct Choice {
    const PrecisionRule *weights = nullptr, *activations = nullptr;
  };
  std::vector<Choice> choices(edit.size());
  for (const PrecisionRule& rule : options.rules) {
    check(rule);
    for (const std::size_t v : select_operators(version.graph, rule.match, rule.where + "/match")) {
      if (rule.weights) choices[v].weights = &rule;
      if (rule.activations) choices[v].activations = &rule;
    }
  }

  std::size_t changed = 0, grouped = 0;
  for (std::size_t v = 0; v < edit.size(); ++v) {
    Operator& op = edit.at(v);
    if (op.kind == K::input) continue;
    const Precision weights_before = op.weights.value_or(version.weights);
    const Precision activations_before = op.activations.value_or(version.activations);
    const double params_before = op.params;
    const Choice& choice = choices[v];
    if (options.sensitive && (op.kind == K::softmax || op.kind == K::norm)) {
      op.weights = op.activations = options.sensitive;
    } else {
      if (choice.activations) op.activations = choice.activations->activations;
      if (op.params <= 0) {
        if (choice.activations) op.weights = op.activations;
      } else if (choice.weights) {
        op.weights = choice.weights->weights;
        if (lists(version.grouped, op))
          throw InputError(fmt::format(
              "{}: the weights of '{}' already have the scales of groups; set its format in one "
              "pass",
              choice.weights->where, op.name));
        if (choice.weights->group_size > 0) {
          op.params *=
              1 + choice.weights->scale_bytes /
                      (static_cast<double>(choice.weights->group_size) * bytes_of(*op.weights));
          version.grouped.insert(op.name);
          ++grouped;
        }
      }
    }
    if ((op.params > 0 && op.weights.value_or(version.weights) != weights_before) ||
        op.activations.value_or(version.activations) != activations_before ||
        op.params != params_before)
      ++changed;
  }
  std::map<std::string, std::size_t> counts;
  if (options.conversions) counts = convert(edit, version);

  version.graph = edit.build(version.graph.name());
  if (changed > 0 || options.accuracy) replace_accuracy(version, options.accuracy, options.where);
  std::string line =
      fmt::format("precision: {} operators changed, {} with scales of groups", changed, grouped);
  for (const auto& [function, count] : counts) line += fmt::format(", {} {}", count, function);
  version.history.push_back(
      fmt::format("{}; weight bytes {} -> {}", line, bytes_before, version.weight_bytes()));
  return version;
}

}  // namespace isthmus::models
