#include "models/pass_sparsify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "models/pass_edit.hpp"
#include "models/pass_select.hpp"
#include "models/pass_weights.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

// The share of weights that stays.
double kept_share(const SparsityRule& rule) {
  if (rule.of > 0 || rule.kept > 0) {
    if (rule.kept < 1 || rule.kept > rule.of)
      throw InputError(
          fmt::format("{}: \"kept\" lies between 1 and \"of\"; {} of {} weights cannot stay",
                      rule.where, rule.kept, rule.of));
    if (rule.zeros != 0)
      throw InputError(rule.where + ": give \"zeros\" or \"kept\" and \"of\", not both");
    return static_cast<double>(rule.kept) / static_cast<double>(rule.of);
  }
  if (!(rule.zeros >= 0 && rule.zeros < 1))
    throw InputError(
        fmt::format("{}: \"zeros\" is a share from 0 to below 1, not {}", rule.where, rule.zeros));
  return 1 - rule.zeros;
}

double index_bits(const SparsityRule& rule, double kept) {
  if (rule.index_bits) {
    if (!(*rule.index_bits >= 0 && *rule.index_bits <= 64))
      throw InputError(fmt::format("{}: \"index_bits\" lies between 0 and 64, not {}", rule.where,
                                   *rule.index_bits));
    return *rule.index_bits;
  }
  return rule.of > 0 ? static_cast<double>(std::bit_width(rule.of - 1)) : 1 / kept;
}

// The last rule for each operator with weights; a rule that reaches none is an error.
template <class Rule>
std::vector<const Rule*> choose(const OperatorGraph& graph, const std::vector<Rule>& rules,
                                const std::string& where) {
  if (rules.empty()) throw InputError(where + ": there is no rule");
  std::vector<const Rule*> chosen(graph.size(), nullptr);
  for (const Rule& rule : rules) {
    bool any = false;
    for (const std::size_t v : select_operators(graph, rule.match, rule.where + "/match"))
      if (is_weighted_product(graph.at(v))) {
        chosen[v] = &rule;
        any = true;
      }
    if (!any)
      throw InputError(fmt::format("{}/match: \"{}\" holds no convolution or product with weights",
                                   rule.where, rule.match));
  }
  return chosen;
}

}  // namespace

ModelVersion sparsify(ModelVersion version, const SparsifyOptions& options) {
  version.graph.validate();
  const auto chosen = choose(version.graph, options.rules, options.where);
  for (const SparsityRule& rule : options.rules) {
    const double kept = kept_share(rule);
    index_bits(rule, kept);
    if (!(rule.sparse_speedup >= 1 && rule.sparse_speedup <= 1 / kept * (1 + 1e-9)))
      throw InputError(fmt::format(
          "{}: keeping a share of {} of the weights speeds up from 1 to {:.4g} times, not {}",
          rule.where, kept, 1 / kept, rule.sparse_speedup));
  }
  const auto before = version.graph.totals();
  GraphEdit edit(version.graph);
  std::size_t changed = 0;
  for (std::size_t v = 0; v < chosen.size(); ++v) {
    if (!chosen[v]) continue;
    Operator& op = edit.at(v);
    if (lists(version.sparse, op))
      throw InputError(fmt::format("{}: the weights of '{}' are sparse already; use one pass",
                                   chosen[v]->where, op.name));
    version.sparse.insert(op.name);
    const double kept = kept_share(*chosen[v]);
    const double bias = bias_params(op), weights = op.params - bias;
    const double bits = 8 * bytes_of(op.weights.value_or(version.weights));
    op.params = bias + weights * std::min(1.0, kept * (1 + index_bits(*chosen[v], kept) / bits));
    // Only the products are faster, not what follows them.
    const double products = op.macs / chosen[v]->sparse_speedup;
    op.flops += 2 * (products - op.macs);
    op.macs = products;
    ++changed;
  }
  version.graph = edit.build(version.graph.name());
  replace_accuracy(version, options.accuracy, options.where);
  const auto after = version.graph.totals();
  version.history.push_back(
      fmt::format("sparsify: {} operators; parameters {} -> {}, flops {} -> {}", changed,
                  before.params, after.params, before.flops, after.flops));
  return version;
}

ModelVersion sparse_activation(ModelVersion version, const SparseActivationOptions& options) {
  version.graph.validate();
  const auto chosen = choose(version.graph, options.rules, options.where);
  for (const ActivationRule& rule : options.rules)
    if (!(rule.active > 0 && rule.active <= 1))
      throw InputError(fmt::format("{}: \"active\" is a share above 0 up to 1, not {}", rule.where,
                                   rule.active));
  const double flops_before = version.graph.totals().flops;
  GraphEdit edit(version.graph);
  std::size_t changed = 0;
  for (std::size_t v = 0; v < chosen.size(); ++v) {
    if (!chosen[v]) continue;
    Operator& op = edit.at(v);
    const double share = chosen[v]->active;
    op.active *= share;
    op.flops *= share;
    op.macs *= share;
    ++changed;
  }
  version.graph = edit.build(version.graph.name());
  replace_accuracy(version, options.accuracy, options.where);
  double touched = 0;
  for (std::size_t v = 0; v < version.graph.size(); ++v)
    touched += version.graph.at(v).params * version.graph.at(v).active;
  const auto after = version.graph.totals();
  version.history.push_back(
      fmt::format("sparse-activation: {} operators; {} of {} parameters active, flops {} -> {}",
                  changed, touched, after.params, flops_before, after.flops));
  return version;
}

}  // namespace isthmus::models
