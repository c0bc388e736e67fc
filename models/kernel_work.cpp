// Work of every kernel kind as a function of its shape. Traffic counts every operand once.
#include <algorithm>
#include <cmath>
#include <sstream>

#include "models/kernel_kinds.hpp"
#include "models/kernel_query.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

using Parameters = std::array<double, 8>;  // parameters in the order of the kind

// (query, key) pairs of `tokens` new tokens behind `context` earlier ones, causal; each query sees
// `window` keys at most (0 = all). The sum over i = 1..tokens of min(context + i, window).
double causal_pairs(double tokens, double context, double window) {
  const auto triangle = [&](double t) { return t * context + t * (t + 1) / 2; };
  if (window <= 0 || context + tokens <= window) return triangle(tokens);
  const double growing = std::max(window - context, 0.0);  // queries that see fewer than window
  return triangle(growing) + (tokens - growing) * window;
}

// Keys that are read: the last `window` before the first query and everything since.
double keys_read(double tokens, double context, double window) {
  return tokens + (window > 0 ? std::min(context, window) : context);
}

KernelWork gemm(double m, double n, double k, double count = 1) {
  return {2 * count * m * n * k, count * (m * k + n * k + m * n)};
}

KernelWork causal_attention(double heads, double kv_heads, double head_dim, double window,
                            double batch, double context, double tokens) {
  return {4 * batch * heads * head_dim * causal_pairs(tokens, context, window),
          2 * batch * head_dim * (tokens * heads + keys_read(tokens, context, window) * kv_heads)};
}

KernelWork moe(const Parameters& p) {
  const double hidden = p[0], ffn = p[1], experts = std::max(p[2], 1.0), active = p[3];
  const double tensor = std::max(p[5], 1.0), expert = std::max(p[6], 1.0), tokens = p[7];
  const double rows = tokens * active / expert;  // on this device
  // Even choices: the share of experts that at least one token picks.
  const double touched = 1 - std::pow(1 - std::min(active / experts, 1.0), tokens);
  const double weights = 3 * hidden * ffn / tensor;
  return {2 * rows * weights,
          touched * experts / expert * weights + 2 * rows * hidden + 2 * rows * ffn / tensor};
}

// The index of a kind in kernel_kinds, for the switch below.
constexpr std::size_t index_of(std::string_view name) {
  for (std::size_t i = 0; i < kernel_kinds.size(); ++i)
    if (kernel_kinds[i].name == name) return i;
  return kernel_kinds.size();
}

KernelWork work(std::size_t kind, const Parameters& p) {
  switch (kind) {
    case index_of("gemm"):
      return gemm(p[2], p[0], p[1]);
    case index_of("batched_gemm"):
      return gemm(p[3], p[1], p[2], p[0]);
    case index_of("conv"): {
      const double filter = p[0] * p[0], stride = p[1], groups = std::max(p[2], 1.0);
      const double in = p[3], out = p[4], positions = p[5];
      return {2 * positions * out * in / groups * filter,
              positions * stride * stride * in + filter * in / groups * out + positions * out};
    }
    case index_of("depthwise_conv"): {
      const double out = p[3] * p[2];
      return {2 * out * p[0] * p[0], out * (1 + p[1] * p[1])};
    }
    case index_of("elementwise"):
      return {p[0], 3 * p[0]};
    case index_of("activation"):
      return {4 * p[0], 2 * p[0]};
    case index_of("copy"):
      return {0, 2 * p[0]};
    case index_of("softmax"):
      return {5 * p[0] * p[1], 2 * p[0] * p[1]};
    case index_of("norm"):
      return {7 * p[0] * p[1], 2 * p[0] * p[1]};
    case index_of("rotary"):
      return {3 * p[0] * p[1], 2 * p[0] * p[1]};
    case index_of("embedding"):
      return {0, 2 * p[0] * p[1]};
    case index_of("encoder_attention"): {
      const double width = p[0] * p[1] * p[2];  // heads x head_dim x batch
      return {4 * width * p[3] * p[3], 4 * width * p[3]};
    }
    case index_of("prefill_attention"):
      return causal_attention(p[0], p[1], p[2], p[3], p[4], p[5], p[6]);
    case index_of("decode_attention"):
      return causal_attention(p[0], p[1], p[2], p[3], p[4], p[5], 1);
    case index_of("mixed_attention"): {
      const KernelWork chunk = causal_attention(p[0], p[1], p[2], 0, 1, p[4], p[3]);
      const KernelWork decode = causal_attention(p[0], p[1], p[2], 0, p[5], p[6], 1);
      return {chunk.flops + decode.flops, chunk.elements + decode.elements};
    }
    case index_of("moe"):
      return moe(p);
    case index_of("all_reduce"):  // ring: every byte leaves twice, but for the device's own share
      return {0, 0, 2 * p[1] * (1 - 1 / std::max(p[0], 1.0))};
    case index_of("all_gather"):
    case index_of("reduce_scatter"):
    case index_of("all_to_all"):
    case index_of("send_recv"):
      return {0, 0, p[1]};
    case index_of("sampler"):
      return {p[0] * p[1], p[0] * p[1]};
    case index_of("llm_prefill"):  // tokens per device
      return {p[1] * p[2] / std::max(p[0], 1.0), 0};
    case index_of("llm_decode"):  // sequences and context tokens per device
      return {p[1] / std::max(p[0], 1.0), p[1] * p[2] / std::max(p[0], 1.0)};
    default:
      throw InternalError("a kernel kind has no work model");
  }
}

bool counts_as_zero(std::string_view kind, std::string_view parameter) {
  return parameter == "window" || parameter == "context" || parameter == "decode_context" ||
         parameter == "skew" ||
         (kind == "mixed_attention" && (parameter == "sequences" || parameter == "tokens"));
}

}  // namespace

std::optional<WorkModel> WorkModel::of(std::string_view kind,
                                       std::span<const std::string> parameters) {
  WorkModel model;
  model.kind_ = index_of(kind);
  if (model.kind_ == kernel_kinds.size()) return std::nullopt;
  std::istringstream names{std::string(kernel_kinds[model.kind_].parameters)};
  std::size_t found = 0, at = 0;
  for (std::string name; names >> name; ++at) {
    const auto it = std::find(parameters.begin(), parameters.end(), name);
    model.source_[at] = it == parameters.end() ? -1 : static_cast<int>(it - parameters.begin());
    model.default_[at] = counts_as_zero(kind, name) ? 0.0 : 1.0;
    if (it != parameters.end()) ++found;
  }
  for (; at < model.source_.size(); ++at) model.source_[at] = -1;
  if (found != parameters.size()) return std::nullopt;
  return model;
}

KernelWork WorkModel::operator()(std::span<const double> shape) const {
  Parameters p = default_;
  for (std::size_t i = 0; i < p.size(); ++i)
    if (source_[i] >= 0) p[i] = shape[static_cast<std::size_t>(source_[i])];
  return work(kind_, p);
}

bool WorkModel::physical() const { return !kernel_kinds[kind_].name.starts_with("llm_"); }

}  // namespace isthmus::models
