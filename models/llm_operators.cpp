#include "models/llm_operators.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

double d(std::int64_t v) { return static_cast<double>(v); }

// Every impossible figure at once, as one InputError.
void validate(const LlmShape& s, const LlmVariant& v, const ComputeUnit& u,
              const LlmLayout& layout) {
  std::vector<std::string> problems;
  const auto need = [&](bool ok, const std::string& what) {
    if (!ok) problems.push_back(what);
  };
  const auto positive = [&](std::int64_t v, const char* field) {
    need(v > 0, fmt::format("model '{}': {} must be positive, not {}", s.name, field, v));
  };
  positive(s.layers, "layers");
  positive(s.hidden, "hidden");
  positive(s.heads, "heads");
  positive(s.kv_heads, "kv_heads");
  positive(s.head_dim, "head_dim");
  positive(s.ffn, "ffn");
  positive(s.vocab, "vocab");
  if (s.kv_heads > 0)
    need(s.heads % s.kv_heads == 0,
         fmt::format("model '{}': heads ({}) must be a multiple of kv_heads ({})", s.name, s.heads,
                     s.kv_heads));
  if (s.experts > 0)
    need(s.experts_active > 0 && s.experts_active <= s.experts,
         fmt::format("model '{}': experts_active must be between 1 and {}", s.name, s.experts));
  if (s.vision.layers > 0) {
    positive(s.vision.hidden, "vision.hidden");
    positive(s.vision.ffn, "vision.ffn");
    positive(s.vision.merge, "vision.merge");
  }
  need(layout.tensor >= 1, fmt::format("model '{}': parallel must be at least 1", s.name));
  need(layout.pipeline == 1 || (layout.pipeline > 1 && layout.pipeline <= s.layers),
       fmt::format("model '{}': {} pipeline stages for {} layers; every stage needs one", s.name,
                   layout.pipeline, s.layers));
  need(layout.data >= 1, fmt::format("model '{}': data_parallel must be at least 1", s.name));
  need(layout.data == 1 || s.experts > 0,
       fmt::format("model '{}' is no mixture of experts: data-parallel ranks would share nothing; use "
                   "replicas",
                   s.name));
  need(layout.data == 1 || layout.pipeline == 1,
       fmt::format("model '{}': data_parallel goes with no pipeline", s.name));
  if (layout.expert != 1 && s.experts == 0)
    need(false, fmt::format("model '{}' is no mixture of experts: nothing to divide into {} parts",
                            s.name, layout.expert));
  else
    need(layout.expert >= 1 && layout.expert_units() % layout.expert == 0 &&
             s.experts % layout.expert == 0,
         fmt::format("model '{}': expert parallelism {} must divide the {} units of a stage and the {} "
                     "experts of a layer",
                     s.name, layout.expert, layout.expert_units(), s.experts));
  need(layout.expert_skew >= 0 && layout.expert_skew <= 10,
       fmt::format("model '{}': expert_skew must be in [0, 10], not {}", s.name, layout.expert_skew));
  need(layout.expert_imbalance == 0 ||
           (layout.expert_imbalance >= 1 && layout.expert_imbalance <= layout.expert),
       fmt::format("model '{}': expert_imbalance must be in [1, {}], not {}", s.name, layout.expert,
                   layout.expert_imbalance));
  need(layout.units() == 1 || layout.link_bandwidth > 0,
       fmt::format("model '{}': {} parallel units need a link bandwidth", s.name, layout.units()));
  const auto fraction = [&](double value, const char* field) {
    need(value > 0 && value <= 1,
         fmt::format("unit '{}': {} must be in (0, 1], not {}", u.name, field, value));
  };
  const auto variant = [&](bool ok, const std::string& what) {
    need(ok, fmt::format("model '{}' ({}): {}", s.name, v.name, what));
  };
  variant(v.ffn_active > 0 && v.ffn_active <= 1,
          fmt::format("ffn_active must be in (0, 1], not {}", v.ffn_active));
  variant(v.ffn_active == 1 || s.experts == 0,
          "a mixture reads the experts that tokens choose; leave ffn_active out");
  variant(v.layer_kernels >= 1, fmt::format("layer_kernels must be at least 1, not {}", v.layer_kernels));
  variant(v.host_weights >= 0 && v.host_weights <= 1,
          fmt::format("host_weights must be in [0, 1], not {}", v.host_weights));
  variant(v.host_weights == 0 || layout.host_bandwidth > 0,
          "weights in host memory need the bandwidth from there, the node's unit_transfer");
  variant(v.host_weights == 0 ||
              (layout.pipeline == 1 && layout.expert == 1 && layout.data == 1),
          "weights in host memory go with neither pipeline nor expert_parallel nor data_parallel");
  variant(v.host_weights > 0 || !v.prefetch, "prefetch needs host_weights");
  need(u.memory_bandwidth > 0, fmt::format("unit '{}': memory_bandwidth must be positive", u.name));
  fraction(u.compute_efficiency, "compute_efficiency");
  fraction(u.bandwidth_efficiency, "bandwidth_efficiency");
  if (!problems.empty()) throw InputError(problems);
}

// Attention, all-reduces and a mixture's router run at 16 bits at least, whatever the GEMMs do.
Precision state_format(Precision activations) {
  return bytes_of(activations) >= 2 ? activations : Precision::bf16;
}

}  // namespace

LlmOperators::LlmOperators(const LlmShape& s, const LlmVariant& v, const ComputeUnit& unit,
                           const LlmLayout& layout, const LlmStage& stage,
                           const KernelProfile* profile) {
  validate(s, v, unit, layout);
  const double p = layout.tensor, shared = layout.expert_units();
  const Precision state = state_format(v.activations);
  const double state_bytes = bytes_of(state);

  // What one unit reaches, in ns per flop and per byte.
  const auto ns_per_flop = [&](Precision weights, Precision activations) {
    return 1e9 / (usable_peak(unit, weights, activations) * unit.compute_efficiency);
  };
  byte_ns = 1e9 / (unit.memory_bandwidth * unit.bandwidth_efficiency);
  overhead_ns = d(unit.iteration_overhead.ns());
  sequence_ns = d(unit.sequence_overhead.ns());
  launch_ns = d(unit.launch_overhead.ns());

  // A product of `count` weight matrices n x k with rows of k inputs and n outputs; `active` of
  // `stored` copies take part per row (mixtures), which all ranks share.
  const auto dense = [&](const char* name, double count, double n, double k, Precision weights,
                         double stored, double active) {
    DenseOperator o;
    o.name = name;
    o.expert = stored > 1;
    o.launches = count;
    const double units = o.expert ? shared : p;
    o.flops_per_row = 2 * count * n * k * active / units;
    o.fixed_bytes = stored_bytes(count * n * k * stored, weights, v) / units;
    o.bytes_per_row = count * (n + k) * active * bytes_of(v.activations) / units;
    o.flop_ns_per_row = o.flops_per_row * ns_per_flop(weights, v.activations);
    o.fixed_ns = o.fixed_bytes * byte_ns;
    o.byte_ns_per_row = o.bytes_per_row * byte_ns;
    return o;
  };

  // The decoder's products.
  const double count = d(stage.layers), hidden = d(s.hidden), ffn = d(s.ffn);
  const double query = d(s.heads * s.head_dim), kv = d(s.kv_heads * s.head_dim);
  const double stored = d(std::max<std::int64_t>(1, s.experts));
  const double active = d(std::max<std::int64_t>(1, s.experts_active));
  if (s.experts > 0) expert_ratio = active / stored;
  if (layout.expert > 1) {
    expert_parts = layout.expert;
    experts_per_part = stored / layout.expert;
    experts_active = active;
    given_imbalance = layout.expert_imbalance;
    load = ExpertLoad({.experts = s.experts,
                       .active = s.experts_active,
                       .parts = layout.expert,
                       .skew = layout.expert_skew});
  }
  const Precision attention = v.attention.value_or(v.weights);
  layers.push_back(dense("qkv", count, query + 2 * kv, hidden, attention, 1, 1));
  layers.push_back(dense("o", count, hidden, query, attention, 1, 1));
  layers.push_back(
      dense("gate_up", count, s.gated_ffn ? 2 * ffn : ffn, hidden, v.weights, stored, active));
  layers.push_back(dense("down", count, hidden, ffn, v.weights, stored, active));
  const double kernels_per_row = v.layer_kernels / 5;  // of the four products and attention
  for (DenseOperator& each : layers) each.launches *= kernels_per_row;
  ffn_active = v.ffn_active;
  layers[2].sparse = layers[3].sparse = ffn_active < 1;
  if (v.host_weights > 0) {
    host_share = v.host_weights;
    host_byte_ns = 1e9 / layout.host_bandwidth;
  }
  if (stage.last)
    heads.push_back(dense("lm_head", 1, d(s.vocab), hidden, v.head.value_or(v.weights), 1, 1));

  // Attention: scores and weighted sum, 2 flops per multiply-add each.
  attention_flops = 4 * query * count / p;
  attention_flop_ns = attention_flops * ns_per_flop(state, state);
  kv_bytes = s.kv_bytes_per_token(v.kv) * (count / d(s.layers)) / p;
  query_bytes = 2 * query * count * state_bytes / p;
  attention_launches = count * kernels_per_row;

  // The tower: one group of all block products, the merger, and full attention among patches.
  if (stage.first && s.vision.layers > 0) {
    const VisionTower& t = s.vision;
    const Precision format = v.vision.value_or(v.weights);
    const double depth = d(t.layers), width = d(t.hidden);
    const double block = (s.vision_params() - t.merger_params) / depth;
    vision_blocks = dense("vision_blocks", depth, block, 1, format, 1, 1);
    vision_blocks.launches = 4 * depth;
    vision_blocks.bytes_per_row =
        depth * (6 * width + (t.gated_ffn ? 3 : 2) * d(t.ffn)) * state_bytes / p;
    vision_blocks.byte_ns_per_row = vision_blocks.bytes_per_row * byte_ns;
    vision_merger = dense("vision_merger", 1, t.merger_params, 1, format, 1, 1);
    vision_merger.launches = 2;
    vision_merger.bytes_per_row = 2 * d(t.merge * t.merge) * width * state_bytes / p;
    vision_merger.byte_ns_per_row = vision_merger.bytes_per_row * byte_ns;
    vision_attention_flops = 4 * width * depth / p;
    vision_flop_ns = ns_per_flop(state, state);
    vision_patch_bytes = 4 * width * depth * state_bytes / p;
    patches_per_token = d(t.merge * t.merge);
  }

  // `reduces` all-reduces among `units`: a tree of ceil(log2 units) hops deep, through which each unit
  // sends 2 (units-1)/units of the hidden state.
  const auto reduce = [&](double reduces, double units, double& fixed_ns, double& bytes_per_row) {
    fixed_ns = reduces * std::ceil(std::log2(units)) * d(layout.link_latency.ns());
    bytes_per_row = reduces * 2 * (units - 1) / units * hidden * state_bytes;
  };
  // Two per layer, of which the second one is for the experts.
  if (layout.tensor > 1) {
    reduce(layout.reduces() * count, p, reduce_fixed_ns, reduce_bytes_per_row);
    reduce_ns_per_row = reduce_bytes_per_row / layout.link_bandwidth * 1e9;
  }
  // Instead of the second one: each unit has its share of the tokens, sends every choice to the unit of
  // its expert, and gets the answers back. Or all units gather the tokens of all data-parallel ranks and
  // scatter the sums, which together are the two halves of an all-reduce.
  if (layout.exchanges()) {
    if (layout.all_to_all) {
      exchange_fixed_ns = 2 * count * d(layout.link_latency.ns());
      exchange_bytes_per_row =
          2 * count * active / shared * (shared - 1) / shared * hidden * state_bytes;
    } else {
      reduce(count, shared, exchange_fixed_ns, exchange_bytes_per_row);
    }
    exchange_ns_per_row = exchange_bytes_per_row / layout.link_bandwidth * 1e9;
  }
  // Each unit of a stage sends the hidden states to its counterpart in the next one.
  if (layout.pipeline > 1) {
    send_fixed_ns = d(layout.link_latency.ns());
    send_bytes_per_row = hidden * state_bytes;
    send_ns_per_row = send_bytes_per_row / layout.link_bandwidth * 1e9;
  }

  // What was timed takes the place of the roofline.
  if (!profile) return;
  kernels = LlmKernels(s, v, layout, stage, *profile);
  layers[0].measured = kernels.qkv;
  layers[1].measured = kernels.o;
  layers[2].measured = kernels.gate_up;
  layers[3].measured = kernels.down;
  if (kernels.experts) {
    const DenseOperator down = layers[3];
    layers.pop_back();
    DenseOperator& all = layers.back();
    all.name = "experts";
    all.launches += down.launches;
    all.flops_per_row += down.flops_per_row;
    all.fixed_bytes += down.fixed_bytes;
    all.bytes_per_row += down.bytes_per_row;
    all.flop_ns_per_row += down.flop_ns_per_row;
    all.fixed_ns += down.fixed_ns;
    all.byte_ns_per_row += down.byte_ns_per_row;
    all.measured = kernels.experts;
  }
  if (stage.last) heads[0].measured = kernels.head;
  const auto between = [](std::vector<DenseOperator>& to, const char* name, const char* kind,
                          const std::optional<MeasuredCurve>& measured) {
    if (!measured) return;
    DenseOperator o;
    o.name = name;
    o.kind = kind;
    o.measured = measured;
    to.push_back(std::move(o));
  };
  between(layers, "norms", "norm", kernels.norms);
  between(layers, "rotary", "rotary", kernels.rotary);
  between(layers, "activation", "activation", kernels.activation);
  between(layers, "embedding", "embedding", kernels.embedding);
  between(heads, "sampler", "sampler", kernels.sampler);
  vision_blocks.measured = kernels.vision_blocks;

  // Norms read rows and residuals and write both; rotary embedding reads and writes queries and
  // keys; the activation reads one or two inner rows and writes one.
  if (kernels.qkv && !kernels.norms && !kernels.rotary && !kernels.activation) {
    const double norms = 2 * 4 * hidden, rotary = 2 * (query + kv) / p;
    const double activation = s.experts > 0 ? 0 : (s.gated_ffn ? 3 : 2) * ffn / p;
    elementwise_bytes_per_row = count * (norms + rotary + activation) * state_bytes;
    elementwise_ns_per_row = elementwise_bytes_per_row * byte_ns;
  }
}

double LlmOperators::expert_share(double tokens) const {
  return 1 - std::pow(1 - expert_ratio, tokens);
}

double LlmOperators::share_of(const DenseOperator& o, double tokens) const {
  if (o.sparse) return 1 - std::pow(1 - ffn_active, tokens);
  return o.expert && expert_ratio > 0 ? expert_share(tokens) : 1;
}

double LlmOperators::copied_bytes(double tokens) const {
  double bytes = 0;
  for (const DenseOperator& o : layers) bytes += o.fixed_bytes * share_of(o, tokens);
  return host_share * bytes;
}

double LlmOperators::host_bytes() const {
  double bytes = 0;
  for (const DenseOperator& o : layers) bytes += o.fixed_bytes;
  return host_share * bytes;
}

double LlmOperators::most_loaded_share(double tokens) const {
  const double draws = tokens * experts_active / expert_parts * imbalance(tokens);
  return 1 - std::pow(1 - 1 / experts_per_part, draws);
}

}  // namespace isthmus::models
