#include "models/llm_kernels.hpp"

#include <algorithm>
#include <cmath>

#include "models/kernel_profile.hpp"

namespace isthmus::models {

namespace {

double d(std::int64_t v) { return static_cast<double>(v); }

// Most sequences that decode together with a curve of their own; more take a multiple of the last.
constexpr int prepared_sequences = 512;

// The formats in which a kernel of `format` may have been timed: 16-bit formats are equally fast.
std::vector<Precision> timed_as(Precision format) {
  if (format == Precision::bf16) return {Precision::bf16, Precision::fp16};
  if (format == Precision::fp16) return {Precision::fp16, Precision::bf16};
  return {format};
}

std::optional<MeasuredCurve> curve(const KernelProfile& profile, std::string_view kind,
                                   Precision format, const KernelParameters& fixed,
                                   std::string_view free) {
  for (const Precision p : timed_as(format))
    if (auto c = CurveMaker(profile, kind, p, free)(fixed)) return c;
  return std::nullopt;
}

// A product over m. One that is wider or deeper than the table runs as equal parts that are not:
// large products take a time in proportion to n and k.
std::optional<MeasuredCurve> product(const KernelProfile& profile, Precision format, double n,
                                     double k) {
  for (const Precision p : timed_as(format)) {
    const CurveMaker make(profile, "gemm", p, "m");
    const double most_n = make.largest("n"), most_k = make.largest("k");
    if (most_n == 0 || most_k == 0) continue;
    const double parts_n = std::ceil(n / most_n), parts_k = std::ceil(k / most_k);
    if (auto c = make({{"n", n / parts_n}, {"k", k / parts_k}})) {
      c->curve = c->curve.scaled(parts_n * parts_k, 1);
      if (parts_n * parts_k > 1) c->rows = false;
      return c;
    }
  }
  return std::nullopt;
}

// `count` executions, over a variable that is `stretch` times the table's.
MeasuredCurve scaled(MeasuredCurve c, double count, double stretch = 1) {
  c.curve = c.curve.scaled(count, stretch);
  c.first *= stretch;
  c.last *= stretch;
  for (double& x : c.knots) x *= stretch;
  return c;
}

// What a curve takes beyond `ns`.
MeasuredCurve less(MeasuredCurve c, double ns) {
  std::vector<double> rest;
  for (const double x : c.knots) rest.push_back(std::max(0.0, c.curve.at(x) - ns));
  c.curve = KernelCurve(c.knots, rest);
  return c;
}

// Curves that run one after the other.
std::optional<MeasuredCurve> sum(const std::vector<std::optional<MeasuredCurve>>& parts) {
  std::vector<double> x;
  MeasuredCurve total;
  total.first = 0;
  total.rows = true;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!parts[i]) return std::nullopt;
    x.insert(x.end(), parts[i]->knots.begin(), parts[i]->knots.end());
    total.first = std::max(total.first, parts[i]->first);
    total.last = i == 0 ? parts[i]->last : std::min(total.last, parts[i]->last);
    total.rows = total.rows && parts[i]->rows;
    total.relative_error = std::max(total.relative_error, parts[i]->relative_error);
  }
  std::sort(x.begin(), x.end());
  x.erase(std::unique(x.begin(), x.end()), x.end());
  std::vector<double> ns;
  for (const double at : x) {
    double all = 0;
    for (const auto& p : parts) all += p->curve.at(at);
    ns.push_back(all);
  }
  total.knots = x;
  total.curve = KernelCurve(x, ns);
  return total;
}

}  // namespace

LlmKernels::LlmKernels(const LlmShape& s, const LlmVariant& v, const LlmLayout& layout,
                       const LlmStage& stage, const KernelProfile& profile) {
  const double p = layout.tensor, shared = layout.expert_units();
  const double layers = d(stage.layers), hidden = d(s.hidden), ffn = d(s.ffn);
  const double query = d(s.heads * s.head_dim), kv = d(s.kv_heads * s.head_dim);
  // A product whose weights are narrower than its activations has other kernels than the tables.
  const auto gemm = [&](Precision weights, double count, double n,
                        double k) -> std::optional<MeasuredCurve> {
    if (bytes_of(weights) != bytes_of(v.activations)) return std::nullopt;
    auto c = product(profile, v.activations, n, k);
    return c ? std::optional(scaled(std::move(*c), count)) : std::nullopt;
  };
  const Precision attention = v.attention.value_or(v.weights);
  qkv = gemm(attention, layers, (query + 2 * kv) / p, hidden);
  o = gemm(attention, layers, hidden, query / p);
  if (s.experts > 0) {
    if (bytes_of(v.weights) == bytes_of(v.activations))
      if (auto c = curve(profile, "moe", v.activations,
                         {{"hidden", hidden},
                          {"ffn", ffn},
                          {"experts", d(s.experts)},
                          {"experts_active", d(s.experts_active)},
                          {"skew", 0},
                          {"tensor_parallel", shared / layout.expert},
                          {"expert_parallel", layout.expert}},
                         "tokens"))
        experts = scaled(std::move(*c), layers);
  } else if (v.ffn_active == 1) {  // sparse products have other kernels than the tables
    gate_up = gemm(v.weights, layers, (s.gated_ffn ? 2 : 1) * ffn / p, hidden);
    down = gemm(v.weights, layers, hidden, ffn / p);
  }
  if (stage.last) head = gemm(v.head.value_or(v.weights), 1, d(s.vocab) / p, hidden);

  // Attention and what lies between products run at 16 bits at least.
  const Precision state = bytes_of(v.activations) >= 2 ? v.activations : Precision::bf16;
  const auto between = [&](std::string_view kind, double count, const KernelParameters& fixed,
                           std::string_view rows, double columns = 1) {
    auto c = curve(profile, kind, state, fixed, rows);
    return c ? std::optional(scaled(std::move(*c), count, 1 / columns)) : std::nullopt;
  };
  norms = between("norm", 2 * layers + (stage.last ? 1 : 0), {{"columns", hidden}}, "rows");
  rotary = between("rotary", layers, {{"columns", (query + kv) / p}}, "rows");
  if (s.experts == 0) activation = between("activation", layers, {}, "elements", ffn / p);
  if (stage.first) embedding = between("embedding", 1, {{"columns", hidden}}, "rows");
  if (stage.last) sampler = between("sampler", 1, {{"vocab", d(s.vocab)}}, "sequences");

  const KernelParameters shape{{"heads", d(s.heads) / p},
                               {"kv_heads", std::max(1.0, d(s.kv_heads) / p)},
                               {"head_dim", d(s.head_dim)}};
  const auto with = [&](std::string_view name, double value) {
    KernelParameters all = shape;
    all.emplace_back(name, value);
    return all;
  };
  auto prompt = curve(profile, "prefill_attention", state, with("batch", 1), "tokens");
  if (!prompt) prompt = curve(profile, "mixed_attention", state, shape, "tokens");
  if (prompt) prefill_attention = scaled(*prompt, layers);

  if (bytes_of(v.kv) == bytes_of(state)) {
    for (const Precision format : timed_as(state)) {
      const CurveMaker decode(profile, "decode_attention", format, "context");
      const CurveMaker mixed(profile, "mixed_attention", format, "decode_context");
      const bool own = decode.largest("batch") > 0;
      const double most = own ? decode.largest("batch") : mixed.largest("sequences");
      for (int b = 1; b <= std::min<double>(most, prepared_sequences); ++b) {
        auto c = own ? decode(with("batch", b)) : mixed(with("sequences", b));
        if (!c) break;
        decode_attention.push_back(scaled(std::move(*c), layers, b));
      }
      if (!own && prompt && !decode_attention.empty())
        for (BesidePrompts* beside : {&beside_few, &beside_many}) {
          const double tokens = beside == &beside_few ? mixed.smallest("tokens") : mixed.largest("tokens");
          const double alone = prompt->curve.at(tokens);
          beside->tokens = tokens;
          for (std::size_t b = 1; b <= decode_attention.size(); ++b) {
            KernelParameters both = with("sequences", d(static_cast<std::int64_t>(b)));
            both.emplace_back("tokens", tokens);
            auto c = mixed(both);
            if (!c) break;
            beside->decode_attention.push_back(
                scaled(less(std::move(*c), alone), layers, d(static_cast<std::int64_t>(b))));
          }
        }
      if (!decode_attention.empty()) break;
    }
  }

  const double row_bytes = hidden * bytes_of(state);
  if (layout.pipeline > 1)
    if (auto c = curve(profile, "send_recv", state, {{"devices", 2}}, "bytes"))
      send = scaled(std::move(*c), 1, 1 / row_bytes);
  if (layout.tensor > 1)
    if (auto c = curve(profile, "all_reduce", state, {{"devices", p}}, "bytes"))
      all_reduce = scaled(std::move(*c), layout.reduces() * layers, 1 / row_bytes);
  if (layout.all_to_all && shared > 1) {
    const double sent = d(std::max<std::int64_t>(1, s.experts_active)) / shared * row_bytes;
    if (auto c = curve(profile, "all_to_all", state, {{"devices", shared}}, "bytes"))
      exchange = scaled(std::move(*c), 2 * layers, 1 / sent);
  } else if (layout.exchanges()) {
    if (auto c = curve(profile, "all_reduce", state, {{"devices", shared}}, "bytes"))
      exchange = scaled(std::move(*c), layers, 1 / row_bytes);
  }

  if (stage.first && s.vision.layers > 0) {
    const VisionTower& t = s.vision;
    const Precision weights = v.vision.value_or(v.weights);
    const double depth = d(t.layers), width = d(t.hidden), inner = d(t.ffn);
    vision_blocks =
        sum({gemm(weights, depth, 3 * width / p, width), gemm(weights, depth, width, width / p),
             gemm(weights, depth, (t.gated_ffn ? 2 : 1) * inner / p, width),
             gemm(weights, depth, width, inner / p)});
    if (auto c = curve(profile, "encoder_attention", state,
                       {{"heads", d(t.heads) / p}, {"head_dim", width / d(t.heads)}, {"batch", 1}},
                       "tokens"))
      vision_attention = scaled(std::move(*c), depth);
  }
}

bool LlmKernels::any() const {
  return qkv || o || gate_up || down || experts || norms || rotary || activation || embedding ||
         head || sampler || prefill_attention || all_reduce || exchange || send || vision_blocks || vision_attention ||
         !decode_attention.empty();
}

}  // namespace isthmus::models
