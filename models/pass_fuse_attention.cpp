// Scaled dot-product attention that an export has spelt out in products and a softmax.
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "models/pass_fuse_internal.hpp"

namespace isthmus::models {

namespace {

using K = OperatorKind;
constexpr std::size_t none = GraphEdit::none();
constexpr int longest_chain = 8;

bool is_copy(const Operator& op) { return op.kind == K::copy && op.inputs.size() == 1; }

// The product whose scores reach `v` through scales, masks and casts that have no other reader;
// what lies between is put in front of `chain`.
std::size_t scores_of(const GraphEdit& edit, std::size_t v, int longest,
                      std::vector<std::size_t>& chain) {
  for (int left = longest - 1; left >= 0; --left) {
    if (edit.only_reader(v) == none) return none;
    const Operator& op = edit.at(v);
    chain.insert(chain.begin(), v);
    if (op.kind == K::batched_gemm) return edit.inputs(v).size() == 2 ? v : none;
    if (is_unary(op) || (is_copy(op) && elements(op.inputs[0]) == elements(op.output))) {
      v = edit.inputs(v)[0];
      continue;
    }
    if (op.kind != K::elementwise || op.inputs.size() < 2) return none;
    // A mask: the scores are the tensor of full size that comes from a product.
    for (std::size_t slot = 0; slot < op.inputs.size(); ++slot) {
      if (op.inputs[slot] != op.output) continue;
      std::vector<std::size_t> rest;
      const std::size_t product = scores_of(edit, edit.inputs(v)[slot], left, rest);
      if (product == none) continue;
      chain.insert(chain.begin(), rest.begin(), rest.end());
      return product;
    }
    return none;
  }
  return none;
}

// Walks up from `v` through copies that split heads, transpose or repeat them, and scales, to the
// tensor {tokens, width}; its producer, or none. Keys come `transposed`: at least one copy away.
std::size_t source_of(const GraphEdit& edit, std::size_t v, std::int64_t tokens, std::int64_t head,
                      bool transposed, std::vector<std::size_t>& walked) {
  for (int i = 0; i < longest_chain; ++i) {
    const Operator& op = edit.at(v);
    const auto& shape = op.output;
    if (shape.size() == 2 && shape[0] == tokens && shape[1] >= head && shape[1] % head == 0 &&
        (i > 0 || !transposed))
      return v;
    const bool scale = is_unary(op) && (plain_function(op.function) == "multiply" ||
                                        plain_function(op.function) == "divide");
    if (edit.only_reader(v) == none || !(scale || is_copy(op)) ||
        elements(op.output) < elements(op.inputs[0]))
      return none;
    walked.insert(walked.begin(), v);
    v = edit.inputs(v)[0];
  }
  return none;
}

struct Match {
  std::vector<std::size_t> members;
  std::size_t root = none, sink = none;
  std::vector<std::size_t> leads;
  std::int64_t heads = 1;
};

Match match(const GraphEdit& edit, std::size_t softmax) {
  Match m;
  // Scores, softmax, weighted sum.
  if (edit.inputs(softmax).size() != 1) return m;
  std::vector<std::size_t> core;
  const std::size_t first = scores_of(edit, edit.inputs(softmax)[0], longest_chain, core);
  if (first == none) return m;
  core.push_back(softmax);
  std::size_t second = softmax;
  for (int i = 0; i < longest_chain; ++i) {
    const std::size_t next = edit.only_reader(second);
    if (next == none) return m;
    core.push_back(next);
    const bool from_scores = edit.inputs(next)[0] == second;
    const Operator& op = edit.at(next);
    second = next;
    if (op.kind == K::batched_gemm && from_scores) break;
    if (!is_unary(op) && !(is_copy(op) && elements(op.inputs[0]) == elements(op.output))) return m;
  }
  const Operator& scores = edit.at(first);
  const Operator& sum = edit.at(second);
  if (sum.kind != K::batched_gemm || edit.inputs(second).size() != 2) return m;
  const std::size_t rank = scores.output.size();
  if (rank < 2 || sum.output.size() != rank || sum.inputs[1].size() != rank ||
      scores.inputs[0].size() != rank || scores.inputs[1].size() != rank)
    return m;
  const std::int64_t queries = scores.output[rank - 2], keys = scores.output[rank - 1];
  const std::int64_t head = scores.inputs[0][rank - 1], value = sum.output[rank - 1];
  std::int64_t heads = 1;
  for (std::size_t i = 0; i + 2 < rank; ++i) heads *= scores.output[i];
  if (sum.inputs[1][rank - 2] != keys || head < 1 || value < 1 || heads < 1) return m;

  m.heads = heads;
  m.root = first;
  // With the copies that split and join heads, if all operands lead to {tokens, width}.
  std::array<std::vector<std::size_t>, 3> walked;
  const std::size_t q = source_of(edit, edit.inputs(first)[0], queries, head, false, walked[0]);
  const std::size_t k = source_of(edit, edit.inputs(first)[1], keys, head, true, walked[1]);
  const std::size_t v = source_of(edit, edit.inputs(second)[1], keys, value, false, walked[2]);
  std::vector<std::size_t> joined;
  std::size_t out = second;
  for (int i = 0; i < longest_chain && edit.at(out).output != Shape{queries, heads * value}; ++i) {
    const std::size_t next = edit.only_reader(out);
    if (next == none || !is_copy(edit.at(next)) ||
        elements(edit.at(next).output) != elements(edit.at(out).output))
      break;
    joined.push_back(out = next);
  }
  const bool flat = q != none && k != none && v != none && edit.at(q).output[1] == heads * head &&
                    heads % (edit.at(k).output[1] / head) == 0 &&
                    edit.at(k).output[1] / head == edit.at(v).output[1] / value &&
                    edit.at(out).output == Shape{queries, heads * value};
  if (flat) {
    for (const auto& part : walked) m.members.insert(m.members.end(), part.begin(), part.end());
    m.leads = {q, k, v};
    m.sink = out;
  } else {
    m.leads = {edit.inputs(first)[0], edit.inputs(first)[1], edit.inputs(second)[1]};
    m.sink = second;
    joined.clear();
  }
  m.members.insert(m.members.end(), core.begin(), core.end());
  m.members.insert(m.members.end(), joined.begin(), joined.end());
  return m;
}

}  // namespace

FuseCount fuse_attention(GraphEdit& edit, const ModelVersion& version, bool causal) {
  FuseCount count;
  for (const std::size_t v : edit.order()) {
    if (!edit.alive(v) || edit.at(v).kind != K::softmax) continue;
    Match m = match(edit, v);
    if (m.sink == none) continue;
    if (!same_formats(edit, version, m.members)) {
      ++count.apart;
      continue;
    }
    edit.fuse(m.members, m.root, m.sink, m.leads);
    Operator& op = edit.at(m.root);
    op.kind = K::attention;
    op.heads = m.heads;
    op.function = causal ? "causal" : "";
    ++count.found;
  }
  return count;
}

}  // namespace isthmus::models
