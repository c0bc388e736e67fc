#include "models/kernel_query.hpp"

#include <string>

#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

double d(std::int64_t v) { return static_cast<double>(v); }

KernelQuery gemm(double m, double n, double k, double count = 1) {
  return {"gemm", {{"m", m}, {"n", n}, {"k", k}}, count};
}
KernelQuery rows_of(std::string_view kind, double rows, double columns, double count = 1) {
  return {kind, {{"rows", rows}, {"columns", columns}}, count};
}
// Rows of the matrices that a tensor of two or more dimensions holds.
std::int64_t row(const Shape& shape) { return shape.at(shape.size() - 2); }
KernelQuery flat(std::string_view kind, double elements) {
  return {kind, {{"elements", elements}}, 1};
}

}  // namespace

double KernelQuery::at(std::string_view name) const {
  for (const auto& [key, value] : shape)
    if (key == name) return value;
  throw InternalError("kernel '" + std::string(kind) + "' has no parameter '" + std::string(name) +
                      "'");
}

std::vector<KernelQuery> kernels_of(const Operator& op, double batch) {
  using K = OperatorKind;
  const double out = op.output_elements * batch;
  switch (op.kind) {
    case K::input:
      return {};
    case K::conv: {
      // Rows are output positions, as after im2col; a 1x1 filter needs no unfolding.
      const double groups = d(op.groups), positions = d(op.output[1] * op.output[2]) * batch;
      const double depth = d(op.inputs[0][0]) / groups * d(op.kernel * op.kernel);
      std::vector<KernelQuery> kernels{gemm(positions, d(op.output[0]) / groups, depth, groups)};
      if (op.kernel > 1) kernels.push_back(flat("copy", positions * depth * groups));
      return kernels;
    }
    case K::depthwise_conv:
      return {{"depthwise_conv",
               {{"channels", d(op.output[0]) * batch},
                {"positions", d(op.output[1] * op.output[2])},
                {"kernel", d(op.kernel)},
                {"stride", d(op.stride)}},
               1}};
    case K::gemm: {
      const double features = d(op.output.back());
      return {gemm(out / features, features, d(op.inputs[0].back()))};
    }
    case K::batched_gemm:
      return {gemm(d(row(op.output)), d(op.output.back()), d(op.inputs[0].back()),
                   out / d(row(op.output)) / d(op.output.back()))};
    case K::attention: {
      // {tokens, width of all heads} or {heads, tokens, width}; keys may lie transposed, values
      // not.
      const double queries = d(row(op.output)), keys = d(row(op.inputs[2]));
      const double count = d(op.heads) * batch, width = out / (count * queries);
      return {gemm(queries, keys, width, count), rows_of("softmax", queries, keys, count),
              gemm(queries, width, keys, count)};
    }
    case K::elementwise:
      return {flat("elementwise", out)};
    case K::pool:
      return {flat("elementwise", op.input_elements * batch)};
    case K::norm:
      return {rows_of("norm", out / d(op.output.back()), d(op.output.back()))};
    case K::softmax:
      return {rows_of("softmax", out / d(op.output.back()), d(op.output.back()))};
    case K::embedding:
    case K::copy:
      return {flat("copy", out)};
    case K::count_:
      break;
  }
  throw InternalError("not an operator kind");
}

KernelWork work_of(const KernelQuery& q) {
  std::vector<std::string> names;
  std::vector<double> shape;
  for (const auto& [name, value] : q.shape) {
    names.emplace_back(name);
    shape.push_back(value);
  }
  const auto model = WorkModel::of(q.kind, names);
  if (!model) throw InternalError("no kernel is called '" + std::string(q.kind) + "'");
  return (*model)(shape);
}

std::optional<KernelQuery> whole_kernel_of(const Operator& op, double batch) {
  using K = OperatorKind;
  const double out = op.output_elements * batch;
  switch (op.kind) {
    case K::conv:
      if (op.output.size() != 3 || op.inputs.empty() || op.inputs[0].empty()) return std::nullopt;
      return KernelQuery{"conv",
                         {{"kernel", d(op.kernel)},
                          {"stride", d(op.stride)},
                          {"groups", d(op.groups)},
                          {"in_channels", d(op.inputs[0][0])},
                          {"out_channels", d(op.output[0])},
                          {"positions", d(op.output[1] * op.output[2]) * batch}},
                         1};
    case K::attention: {
      // All tokens see all others, without a mask.
      if (op.function == "causal" || op.output.size() != 2 || op.inputs[1] != op.output ||
          op.heads < 1)
        return std::nullopt;
      return KernelQuery{"encoder_attention",
                         {{"heads", d(op.heads)},
                          {"head_dim", d(op.output[1]) / d(op.heads)},
                          {"batch", batch},
                          {"tokens", d(op.output[0])}},
                         1};
    }
    case K::batched_gemm: {
      const auto products = kernels_of(op, batch);
      KernelQuery whole{"batched_gemm", products[0].shape, 1};
      whole.shape.emplace_back("count", products[0].count);
      return whole;
    }
    case K::elementwise:
      if (op.inputs.size() != 1) return std::nullopt;
      return flat("activation", out);
    case K::embedding:
      return rows_of("embedding", out / d(op.output.back()), d(op.output.back()));
    default:
      return std::nullopt;
  }
}

}  // namespace isthmus::models
