#include "models/pass_fuse.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "models/pass_fuse_internal.hpp"
#include "models/pass_weights.hpp"

namespace isthmus::models {

std::string plain_function(std::string_view function) {
  std::string f;
  for (const char c : function)
    if (c != '_' && c != '-') f += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> spelt{
      {{"mul", "multiply"}, {"div", "divide"}, {"sub", "subtract"}, {"swish", "silu"}}};
  for (const auto& [brief, full] : spelt)
    if (f == brief) return std::string(full);
  return f;
}

bool is_unary(const Operator& op) {
  return op.kind == OperatorKind::elementwise && op.inputs.size() == 1 && op.inputs[0] == op.output;
}

bool same_formats(const GraphEdit& edit, const ModelVersion& version,
                  std::span<const std::size_t> members) {
  std::optional<Precision> weights, activations;
  for (const std::size_t m : members) {
    const Operator& op = edit.at(m);
    const Precision a = op.activations.value_or(version.activations);
    if (activations.value_or(a) != a) return false;
    activations = a;
    if (op.params <= 0) continue;
    const Precision w = op.weights.value_or(version.weights);
    if (weights.value_or(w) != w) return false;
    weights = w;
  }
  return true;
}

namespace {

using K = OperatorKind;

// What may be folded behind what is one loop, because they alternate: bias, norm, activation.
struct Epilogues {
  FuseCount norms, others, sums;
  double params_gone = 0;
};

// Folds readers of `root` into it as long as one fits.
void fold_behind(GraphEdit& edit, const ModelVersion& version, const FuseOptions& options,
                 std::size_t root, Epilogues& count) {
  const bool product = is_product(edit.at(root).kind);
  const bool takes_epilogue =
      product || edit.at(root).kind == K::batched_gemm ||
      (edit.at(root).kind == K::elementwise && edit.at(root).inputs.size() >= 2);
  const bool takes_pointwise = is_unary(edit.at(root));
  bool linear = true;  // nothing but biases so far: a batch norm can still be folded
  for (;;) {
    const std::size_t next = edit.only_reader(root);
    if (next == GraphEdit::none()) return;
    const Operator& op = edit.at(next);
    const Operator& base = edit.at(root);
    const std::array members{root, next};
    const bool same = op.output == base.output;

    if (options.batch_norm && product && linear && same && op.kind == K::norm &&
        op.inputs.size() == 1 && plain_function(op.function) == "batchnorm") {
      if (!same_formats(edit, version, members)) {
        ++count.norms.apart;
        return;
      }
      const bool biased = bias_params(base) > 0.5;
      const double params = base.params + (biased ? 0 : channels_of(base));
      const double flops = base.flops + (biased ? 0 : elements(base.output));
      count.params_gone += base.params + op.params - params;
      edit.fuse(members, root, next);
      edit.at(root).params = params;
      edit.at(root).flops = flops;
      ++count.norms.found;
      continue;
    }

    const bool sum = options.residual && product && same && op.kind == K::elementwise &&
                     op.inputs.size() == 2 && plain_function(op.function) == "add";
    const bool unary = is_unary(op) && ((options.epilogue && takes_epilogue) ||
                                        (options.pointwise && takes_pointwise));
    if (!sum && !unary) return;
    FuseCount& kind = sum ? count.sums : count.others;
    if (!same_formats(edit, version, members)) {
      ++kind.apart;
      return;
    }
    linear = linear && unary && plain_function(op.function) == "add";
    edit.fuse(members, root, next);
    ++kind.found;
  }
}

std::string counted(std::string_view name, const FuseCount& count) {
  std::string text = fmt::format("{} {}", count.found, name);
  if (count.apart) text += fmt::format(" ({} left apart: formats differ)", count.apart);
  return text;
}

}  // namespace

ModelVersion fuse(ModelVersion version, const FuseOptions& options) {
  version.graph.validate();
  const GraphTotals before = version.graph.totals();
  GraphEdit edit(version.graph);
  std::vector<std::string> parts;
  if (options.attention)
    parts.push_back(counted("attention", fuse_attention(edit, version, options.causal)));
  if (options.layer_norm) parts.push_back(counted("layer_norm", fuse_regions(edit, version, true)));
  if (options.activation)
    parts.push_back(counted("activation", fuse_regions(edit, version, false)));
  Epilogues count;
  for (const std::size_t v : edit.order())
    if (edit.alive(v)) fold_behind(edit, version, options, v, count);
  if (options.batch_norm) {
    parts.push_back(counted("batch_norm", count.norms));
    if (count.params_gone != 0) parts.back() += fmt::format(" (parameters -{})", count.params_gone);
  }
  if (options.epilogue || options.pointwise) parts.push_back(counted("epilogue", count.others));
  if (options.residual) parts.push_back(counted("residual", count.sums));

  version.graph = edit.build(version.graph.name());
  version.history.push_back(fmt::format("fuse: {}; operators {} -> {}", fmt::join(parts, ", "),
                                        before.operators, version.graph.totals().operators));
  return version;
}

}  // namespace isthmus::models
