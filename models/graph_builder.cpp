#include "models/graph_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

double d(std::int64_t v) { return static_cast<double>(v); }

// Output side of a sliding window.
std::int64_t windows(std::int64_t side, std::int64_t kernel, std::int64_t stride,
                     std::int64_t padding) {
  return (side + 2 * padding - kernel) / stride + 1;
}

}  // namespace

void GraphBuilder::refuse(std::string_view what, const Tensor& x) const {
  throw InputError(fmt::format("graph '{}': {} cannot take a {} tensor", graph_.name(), what,
                               to_string(x.shape)));
}

Tensor GraphBuilder::emit(Operator op, const std::vector<Tensor>& inputs, std::string_view stem,
                          std::string name) {
  op.name = name.empty() ? fmt::format("{}{}", stem, graph_.size()) : std::move(name);
  op.module = module_;
  if (shared_) op.params = 0;
  for (const auto& x : inputs) op.inputs.push_back(x.shape);
  Shape shape = op.output;
  const std::size_t index = graph_.add(std::move(op));
  for (const auto& x : inputs) graph_.connect(x.producer, index);
  return {index, std::move(shape)};
}

Tensor GraphBuilder::input(Shape shape, std::string name) {
  Operator op;
  op.kind = OperatorKind::input;
  op.output = std::move(shape);
  return emit(std::move(op), {}, "input", std::move(name));
}

Tensor GraphBuilder::conv(const Tensor& x, std::int64_t channels, ConvOptions o, std::string name) {
  if (x.shape.size() != 3) refuse("conv", x);
  if (o.padding < 0) o.padding = o.kernel / 2;
  const std::int64_t in = x.shape[0];
  if (channels < 1 || o.kernel < 1 || o.stride < 1 || o.groups < 1 || in % o.groups != 0 ||
      channels % o.groups != 0)
    refuse(fmt::format("conv of {} channels in {} groups", channels, o.groups), x);
  Operator op;
  op.kind = o.groups == in && o.groups == channels && in > 1 ? OperatorKind::depthwise_conv
                                                             : OperatorKind::conv;
  op.kernel = o.kernel;
  op.stride = o.stride;
  op.groups = o.groups;
  op.output = {channels, windows(x.shape[1], o.kernel, o.stride, o.padding),
               windows(x.shape[2], o.kernel, o.stride, o.padding)};
  if (op.output[1] < 1 || op.output[2] < 1) refuse(fmt::format("conv of kernel {}", o.kernel), x);
  const double filter = d(in / o.groups) * d(o.kernel * o.kernel);
  op.macs = elements(op.output) * filter;
  op.flops = 2 * op.macs + (o.bias ? elements(op.output) : 0);
  op.params = d(channels) * (filter + (o.bias ? 1 : 0));
  const auto stem = op.kind == OperatorKind::conv ? "conv" : "depthwise";
  return emit(std::move(op), {x}, stem, std::move(name));
}

Tensor GraphBuilder::depthwise(const Tensor& x, std::int64_t kernel, std::int64_t stride,
                               std::string name) {
  if (x.shape.size() != 3) refuse("depthwise", x);
  return conv(x, x.shape[0], {.kernel = kernel, .stride = stride, .groups = x.shape[0]},
              std::move(name));
}

Tensor GraphBuilder::gemm(const Tensor& x, std::int64_t features, bool bias, std::string name) {
  if (x.shape.empty() || features < 1) refuse("gemm", x);
  Operator op;
  op.kind = OperatorKind::gemm;
  op.output = x.shape;
  op.output.back() = features;
  op.macs = elements(x.shape) * d(features);
  op.flops = 2 * op.macs + (bias ? elements(op.output) : 0);
  op.params = d(x.shape.back()) * d(features) + (bias ? d(features) : 0);
  return emit(std::move(op), {x}, "gemm", std::move(name));
}

Tensor GraphBuilder::batched_gemm(const Tensor& a, const Tensor& b, std::string name) {
  const std::size_t rank = a.shape.size();
  if (rank != 2 && rank != 3) refuse("batched_gemm", a);
  if (b.shape.size() != rank || b.shape[rank - 2] != a.shape[rank - 1] ||
      (rank == 3 && b.shape[0] != a.shape[0]))
    refuse("batched_gemm", b);
  Operator op;
  op.kind = OperatorKind::batched_gemm;
  op.output = a.shape;
  op.output.back() = b.shape.back();
  op.macs = elements(a.shape) * d(b.shape.back());
  op.flops = 2 * op.macs;
  return emit(std::move(op), {a, b}, "batched_gemm", std::move(name));
}

Tensor GraphBuilder::spelt_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                     std::int64_t heads) {
  if (q.shape.size() != 2 || heads < 1 || q.shape[1] % heads != 0) refuse("attention", q);
  if (k.shape.size() != 2) refuse("attention keys", k);
  if (v.shape != k.shape) refuse("attention values", v);
  const std::int64_t t = q.shape[0], s = k.shape[0], width = q.shape[1] / heads;
  const Tensor qs = copy_to(q, {heads, t, width}, "split_heads");
  const Tensor ks = copy_to(k, {heads, width, s}, "split_heads");
  const Tensor vs = copy_to(v, {heads, s, width}, "split_heads");
  const Tensor scores = activation(batched_gemm(qs, ks), "multiply");
  return copy_to(batched_gemm(softmax(scores), vs), q.shape, "join_heads");
}

Tensor GraphBuilder::causal_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                      std::int64_t heads, std::int64_t kv_heads, std::string name) {
  if (q.shape.size() != 2 || heads < 1 || kv_heads < 1 || heads % kv_heads != 0 ||
      q.shape[1] % heads != 0)
    refuse("causal_attention", q);
  const std::int64_t t = q.shape[0], width = q.shape[1] / heads;
  if (k.shape.size() != 2 || k.shape[0] < t || k.shape[1] != kv_heads * width)
    refuse("causal_attention keys", k);
  if (v.shape != k.shape) refuse("causal_attention values", v);
  Operator op;
  op.kind = OperatorKind::attention;
  op.function = "causal";
  op.heads = heads;
  op.output = q.shape;
  // Token i of t sees the earlier context and i others.
  const double pairs = d(t) * d(k.shape[0] - t) + d(t) * d(t + 1) / 2;
  op.macs = 2 * pairs * d(q.shape[1]);
  op.flops = 2 * op.macs + 5 * d(heads) * pairs;
  return emit(std::move(op), {q, k, v}, "attention", std::move(name));
}

Tensor GraphBuilder::attention(const Tensor& q, const Tensor& k, const Tensor& v,
                               std::int64_t heads, std::string name) {
  if (q.shape.size() != 2 || heads < 1 || q.shape[1] % heads != 0) refuse("attention", q);
  if (k.shape.size() != 2) refuse("attention keys", k);
  if (v.shape != k.shape) refuse("attention values", v);
  Operator op;
  op.kind = OperatorKind::attention;
  op.heads = heads;
  op.output = q.shape;
  op.macs = 2 * d(q.shape[0]) * d(k.shape[0]) * d(q.shape[1]);
  // Five flops per score for the softmax: scale, maximum, exponential, sum, division.
  op.flops = 2 * op.macs + 5 * d(heads) * d(q.shape[0]) * d(k.shape[0]);
  return emit(std::move(op), {q, k, v}, "attention", std::move(name));
}

Tensor GraphBuilder::binary(const Tensor& a, const Tensor& b, std::string_view stem,
                            std::string name) {
  const bool same = a.shape == b.shape;
  const bool per_channel = a.shape.size() == 3 && !b.shape.empty() && b.shape[0] == a.shape[0] &&
                           elements(b.shape) == d(a.shape[0]);
  if (!same && !per_channel)
    refuse(fmt::format("{} with a {} tensor", stem, to_string(a.shape)), b);
  Operator op;
  op.kind = OperatorKind::elementwise;
  op.function = stem;
  op.output = a.shape;
  op.flops = elements(a.shape);
  return emit(std::move(op), {a, b}, stem, std::move(name));
}

Tensor GraphBuilder::add(const Tensor& a, const Tensor& b, std::string name) {
  return binary(a, b, "add", std::move(name));
}

Tensor GraphBuilder::multiply(const Tensor& a, const Tensor& b, std::string name) {
  return binary(a, b, "multiply", std::move(name));
}

Tensor GraphBuilder::activation(const Tensor& x, std::string_view function, double flops) {
  Operator op;
  op.kind = OperatorKind::elementwise;
  op.function = function;
  op.output = x.shape;
  op.flops = flops * elements(x.shape);
  return emit(std::move(op), {x}, function, "");
}

Tensor GraphBuilder::pool(const Tensor& x, std::int64_t kernel, std::int64_t stride,
                          std::int64_t padding, std::string name) {
  if (x.shape.size() != 3 || kernel < 1 || stride < 1) refuse("pool", x);
  Operator op;
  op.kind = OperatorKind::pool;
  op.kernel = kernel;
  op.stride = stride;
  op.output = {x.shape[0], windows(x.shape[1], kernel, stride, padding),
               windows(x.shape[2], kernel, stride, padding)};
  if (op.output[1] < 1 || op.output[2] < 1) refuse(fmt::format("pool of kernel {}", kernel), x);
  op.flops = elements(op.output) * d(kernel * kernel);
  return emit(std::move(op), {x}, "pool", std::move(name));
}

Tensor GraphBuilder::global_pool(const Tensor& x, std::string name) {
  if (x.shape.size() != 3) refuse("global_pool", x);
  Operator op;
  op.kind = OperatorKind::pool;
  op.kernel = x.shape[1];
  op.stride = x.shape[1];
  op.output = {x.shape[0]};
  op.flops = elements(x.shape);
  return emit(std::move(op), {x}, "global_pool", std::move(name));
}

Tensor GraphBuilder::norm(const Tensor& x, std::string name) {
  if (x.shape.empty()) refuse("norm", x);
  Operator op;
  op.kind = OperatorKind::norm;
  op.function = "layer_norm";
  op.output = x.shape;
  op.flops = 7 * elements(x.shape);  // mean, variance, scale and shift
  op.params = 2 * d(x.shape.back());
  return emit(std::move(op), {x}, "norm", std::move(name));
}

Tensor GraphBuilder::weights(const Tensor& x, Shape shape, double params, std::string name) {
  if (shape.size() != 2 || !(params > 0)) refuse("weights", x);
  Operator op;
  op.kind = OperatorKind::gemm;
  op.params = params;
  op.macs = params * d(shape[0]);
  op.flops = 2 * op.macs;
  op.output = std::move(shape);
  return emit(std::move(op), {x}, "weights", std::move(name));
}

Tensor GraphBuilder::rms_norm(const Tensor& x, std::string name) {
  if (x.shape.empty()) refuse("rms_norm", x);
  Operator op;
  op.kind = OperatorKind::norm;
  op.function = "rms_norm";
  op.output = x.shape;
  op.flops = 4 * elements(x.shape);  // square, sum, root, scale
  op.params = d(x.shape.back());
  return emit(std::move(op), {x}, "norm", std::move(name));
}

Tensor GraphBuilder::embedding(const Tensor& tokens, std::int64_t entries, std::int64_t width,
                               std::string name) {
  if (tokens.shape.size() != 1 || entries < 1 || width < 1) refuse("embedding", tokens);
  Operator op;
  op.kind = OperatorKind::embedding;
  op.output = {tokens.shape[0], width};
  op.params = d(entries) * d(width);
  op.active = std::min(1.0, d(tokens.shape[0]) / d(entries));
  return emit(std::move(op), {tokens}, "embedding", std::move(name));
}

Tensor GraphBuilder::parameter(Shape shape, std::string name) {
  Operator op;
  op.kind = OperatorKind::input;
  op.function = "parameter";
  op.params = elements(shape);
  op.output = std::move(shape);
  return emit(std::move(op), {}, "parameter", std::move(name));
}

Tensor GraphBuilder::copy_to(const Tensor& x, Shape shape, std::string_view stem,
                             std::string name) {
  Operator op;
  op.kind = OperatorKind::copy;
  op.function = stem;
  op.input_elements = std::min(elements(x.shape), elements(shape));
  op.output = std::move(shape);
  return emit(std::move(op), {x}, stem, std::move(name));
}

Tensor GraphBuilder::gate(const Tensor& x, std::string_view function) {
  if (x.shape.empty() || x.shape.back() % 2 != 0) refuse("gate", x);
  Operator op;
  op.kind = OperatorKind::elementwise;
  op.function = "gated_" + std::string(function);
  op.output = x.shape;
  op.output.back() /= 2;
  op.flops = 5 * elements(op.output);
  return emit(std::move(op), {x}, op.function, "");
}

Tensor GraphBuilder::expert_gemm(const Tensor& x, std::int64_t features, std::int64_t experts,
                                 std::int64_t active, std::string name) {
  if (x.shape.size() != 2 || features < 1 || active < 1 || active > experts)
    refuse("expert_gemm", x);
  Operator op;
  op.kind = OperatorKind::gemm;
  op.function = "experts";
  op.output = {x.shape[0], features};
  op.macs = elements(x.shape) * d(features) * d(active);
  op.flops = 2 * op.macs;
  op.params = d(experts) * d(x.shape[1]) * d(features);
  // Expected share of the experts that the tokens choose, each independently and evenly.
  op.active = 1 - std::pow(1 - d(active) / d(experts), d(x.shape[0]));
  return emit(std::move(op), {x}, "experts", std::move(name));
}

Tensor GraphBuilder::softmax(const Tensor& x, std::string name) {
  if (x.shape.empty()) refuse("softmax", x);
  Operator op;
  op.kind = OperatorKind::softmax;
  op.output = x.shape;
  op.flops = 5 * elements(x.shape);
  return emit(std::move(op), {x}, "softmax", std::move(name));
}

Tensor GraphBuilder::concat(const std::vector<Tensor>& parts, std::string name) {
  if (parts.empty()) throw InputError("graph '" + graph_.name() + "': concat of nothing");
  Operator op;
  op.kind = OperatorKind::copy;
  op.output = parts.front().shape;
  if (op.output.empty()) refuse("concat", parts.front());
  op.output[0] = 0;
  for (const auto& part : parts) {
    if (part.shape.size() != op.output.size()) refuse("concat", part);
    for (std::size_t i = 1; i < part.shape.size(); ++i)
      if (part.shape[i] != op.output[i]) refuse("concat", part);
    op.output[0] += part.shape[0];
  }
  return emit(std::move(op), parts, "concat", std::move(name));
}

OperatorGraph GraphBuilder::build() {
  graph_.validate();
  return std::move(graph_);
}

}  // namespace isthmus::models
