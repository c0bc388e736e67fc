// Weights and biases of an operator, which Operator::params adds up. For passes.
#pragma once

#include <algorithm>
#include <cstdint>

#include "models/operator_graph.hpp"

namespace isthmus::models {

inline bool is_convolution(OperatorKind kind) {
  return kind == OperatorKind::conv || kind == OperatorKind::depthwise_conv;
}

//! A convolution or a fully connected layer.
inline bool is_product(OperatorKind kind) {
  return is_convolution(kind) || kind == OperatorKind::gemm;
}
inline bool is_weighted_product(const Operator& op) { return is_product(op.kind) && op.params > 0; }

//! Output channels of a convolution or product.
inline double channels_of(const Operator& op) {
  if (op.output.empty()) return 1;
  return static_cast<double>(is_convolution(op.kind) ? op.output.front() : op.output.back());
}

//! Parameters that are not filters: biases, and what was folded into the operator. The number of
//! filter weights follows from the shapes, or from the macs, which use each weight once per output
//! position: the larger, as windows need not be square and positions of transposed convolutions are
//! those of the input.
inline double bias_params(const Operator& op) {
  if (op.inputs.empty() || op.inputs[0].empty() || !(elements(op.output) > 0)) return 0;
  const bool convolution = is_convolution(op.kind);
  const double in = static_cast<double>(convolution ? op.inputs[0].front() : op.inputs[0].back());
  const double window = convolution
                            ? static_cast<double>(op.kernel) * static_cast<double>(op.kernel) /
                                  static_cast<double>(std::max<std::int64_t>(op.groups, 1))
                            : 1;
  const double by_shape = in * window * channels_of(op);
  const double by_macs = op.macs / op.active * channels_of(op) / elements(op.output);
  const double larger = std::max(by_shape, by_macs), smaller = std::min(by_shape, by_macs);
  return op.params >= larger ? op.params - larger : std::max(0.0, op.params - smaller);
}

}  // namespace isthmus::models
