#include "models/llm_cost.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/llm_operators.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

double d(std::int64_t v) { return static_cast<double>(v); }

// The sum of max(compute, memory) over operators is convex and piecewise linear in the rows: one
// piece per change of an operator from memory- to compute-bound. Exact, and a few compares to use.
class PiecewiseLinear {
 public:
  PiecewiseLinear() = default;
  explicit PiecewiseLinear(const std::vector<DenseOperator>& operators) {
    // The rows at which each operator's compute overtakes its memory traffic.
    std::vector<double> knots{0};
    const auto crossing = [](const DenseOperator& o) {
      const double gain = o.flop_ns_per_row - o.byte_ns_per_row;
      return gain > 0 ? o.fixed_ns / gain : std::numeric_limits<double>::infinity();
    };
    for (const auto& o : operators)
      if (std::isfinite(crossing(o))) knots.push_back(crossing(o));
    std::sort(knots.begin(), knots.end());
    knots.erase(std::unique(knots.begin(), knots.end()), knots.end());
    for (const double start : knots) {
      Piece piece{start, 0, 0};
      for (const auto& o : operators) {
        if (crossing(o) <= start) {
          piece.slope += o.flop_ns_per_row;
        } else {
          piece.base += o.fixed_ns;
          piece.slope += o.byte_ns_per_row;
        }
      }
      pieces_.push_back(piece);
    }
  }
  double operator()(double rows) const {
    std::size_t i = pieces_.size() - 1;
    while (i > 0 && rows < pieces_[i].start) --i;
    return pieces_[i].base + pieces_[i].slope * rows;
  }

 private:
  struct Piece {
    double start, base, slope;
  };
  std::vector<Piece> pieces_;
};

}  // namespace

struct LlmCost::Impl {
  Impl(const LlmShape& shape_in, const LlmVariant& variant_in, const ComputeUnit& unit_in,
       int parallel_in, double link_bandwidth, Duration link_latency)
      : shape(shape_in),
        variant(variant_in),
        unit(unit_in),
        parallel(parallel_in),
        ops(shape, variant, unit, parallel, link_bandwidth, link_latency),
        dense(ops.layers),
        head({ops.head}) {
    // Launches of an iteration that computes tokens at all, with one attention pass.
    for (const auto& o : ops.layers) dense_launches += o.launches;
    dense_launches += ops.attention_launches;
    per_context_ns = std::max(ops.attention_flop_ns, ops.kv_bytes * ops.byte_ns);

    // A mixture reads more experts with every token: a table until practically all are read.
    if (ops.expert_ratio > 0) {
      for (double tokens = 0; tokens < 65536; ++tokens) {
        const double share = ops.expert_share(tokens);
        if (1 - share < 1e-12) break;
        double ns = 0;
        for (const auto& o : ops.layers)
          ns += std::max(o.flop_ns(tokens), o.byte_ns(tokens, o.expert ? share : 1));
        mixture.push_back(ns);
      }
    }
  }

  double dense_ns(std::int64_t tokens) const {
    if (static_cast<std::size_t>(tokens) < mixture.size())
      return mixture[static_cast<std::size_t>(tokens)];
    return dense(d(tokens));
  }

  // Everything but the reading of the running contexts.
  double base_ns(const IterationWork& w) const {
    double ns = ops.overhead_ns;
    const std::int64_t tokens = w.prefill_tokens + w.decode_sequences;
    if (tokens > 0)
      ns += dense_launches * ops.launch_ns + dense_ns(tokens) + ops.reduce_fixed_ns +
            ops.reduce_ns_per_row * d(tokens);
    if (w.logits > 0) ns += ops.launch_ns + head(d(w.logits));
    if (w.prefill_tokens > 0) {
      ns += prefill_attention_ns(w);
      if (w.decode_sequences > 0) ns += ops.attention_launches * ops.launch_ns;
    }
    if (w.image_tokens > 0) ns += vision_ns(w);
    return ns;
  }

  double prefill_attention_flops(const IterationWork& w) const {
    return ops.attention_flops * w.prefill_attention;
  }
  double prefill_attention_bytes(const IterationWork& w) const {
    return ops.kv_bytes * d(w.prefill_context + w.prefill_tokens) +
           ops.query_bytes * d(w.prefill_tokens);
  }
  double prefill_attention_ns(const IterationWork& w) const {
    return std::max(ops.attention_flop_ns * w.prefill_attention,
                    prefill_attention_bytes(w) * ops.byte_ns);
  }

  // Patches attend to all patches of their image; big batches of image tokens are equal images.
  double vision_pairs(const IterationWork& w) const {
    const double patches = d(w.image_tokens) * ops.patches_per_token;
    const std::int64_t images = (w.image_tokens + largest_image_tokens - 1) / largest_image_tokens;
    return patches * patches / d(images);
  }
  double vision_ns(const IterationWork& w) const {
    if (shape.vision.layers == 0) return 0;
    const double tokens = d(w.image_tokens), patches = tokens * ops.patches_per_token;
    const auto& b = ops.vision_blocks;
    const auto& m = ops.vision_merger;
    return std::max(b.flop_ns(patches), b.byte_ns(patches, 1)) +
           std::max(m.flop_ns(tokens), m.byte_ns(tokens, 1)) +
           std::max(ops.vision_attention_flops * vision_pairs(w) * ops.vision_flop_ns,
                    ops.vision_patch_bytes * patches * ops.byte_ns) +
           (b.launches + m.launches + d(shape.vision.layers)) * ops.launch_ns;
  }

  // Calls row(name, kind, flops, bytes, flop_ns, byte_ns, extra_ns) for every part of an iteration.
  template <class Row>
  void visit(const IterationWork& w, Row row) const {
    row("iteration_overhead", "overhead", 0.0, 0.0, 0.0, 0.0, ops.overhead_ns);
    const auto dense_row = [&](const DenseOperator& o, double rows, double share) {
      row(o.name, "gemm", o.flops_per_row * rows, o.fixed_bytes * share + o.bytes_per_row * rows,
          o.flop_ns(rows), o.byte_ns(rows, share), o.launches * ops.launch_ns);
    };
    const double tokens = d(w.prefill_tokens + w.decode_sequences);
    if (tokens > 0) {
      const double share = ops.expert_ratio > 0 ? ops.expert_share(tokens) : 1;
      for (const auto& o : ops.layers) dense_row(o, tokens, o.expert ? share : 1);
      const double launches = ops.attention_launches * ops.launch_ns;
      if (w.prefill_tokens > 0)
        row("prefill_attention", "attention", prefill_attention_flops(w),
            prefill_attention_bytes(w), ops.attention_flop_ns * w.prefill_attention,
            prefill_attention_bytes(w) * ops.byte_ns, launches);
      if (w.decode_sequences > 0) {
        const double context = d(w.decode_context);
        row("decode_attention", "attention", ops.attention_flops * context, ops.kv_bytes * context,
            ops.attention_flop_ns * context, ops.kv_bytes * context * ops.byte_ns, launches);
      }
      if (parallel > 1)
        row("all_reduce", "communication", 0.0, ops.reduce_bytes_per_row * tokens, 0.0, 0.0,
            ops.reduce_fixed_ns + ops.reduce_ns_per_row * tokens);
    }
    if (w.logits > 0) dense_row(ops.head, d(w.logits), 1);
    if (w.image_tokens > 0 && shape.vision.layers > 0) {
      const double images = d(w.image_tokens), patches = images * ops.patches_per_token;
      dense_row(ops.vision_blocks, patches, 1);
      dense_row(ops.vision_merger, images, 1);
      const double flops = ops.vision_attention_flops * vision_pairs(w);
      const double bytes = ops.vision_patch_bytes * patches;
      row("vision_attention", "attention", flops, bytes, flops * ops.vision_flop_ns,
          bytes * ops.byte_ns, d(shape.vision.layers) * ops.launch_ns);
    }
  }

  // Fraction of `total_ns` in which arithmetic is the bottleneck.
  double compute_share(const IterationWork& w, double total_ns) const {
    double compute = 0;
    visit(w, [&](const char*, const char*, double, double, double flop_ns, double byte_ns, double) {
      if (flop_ns > byte_ns) compute += flop_ns;
    });
    return total_ns > 0 ? std::min(1.0, compute / total_ns) : 0;
  }

  Prediction prediction(double ns, double share) const {
    return {.time = Duration(std::llround(ns)),
            .kind = PredictionKind::roofline,
            .relative_error = unit.efficiency_error,
            .compute_share = share};
  }

  LlmShape shape;
  LlmVariant variant;
  ComputeUnit unit;
  int parallel;
  LlmOperators ops;
  PiecewiseLinear dense, head;
  std::vector<double> mixture;
  double dense_launches = 0;
  double per_context_ns = 0;
};

LlmCost::LlmCost(const LlmShape& shape, const LlmVariant& variant, const ComputeUnit& unit,
                 int parallel, double link_bandwidth, Duration link_latency)
    : impl_(std::make_shared<const Impl>(shape, variant, unit, parallel, link_bandwidth,
                                         link_latency)) {}

std::int64_t LlmCost::iteration_ns(const IterationWork& work) const {
  return std::llround(impl_->base_ns(work) + impl_->per_context_ns * d(work.decode_context));
}

DecodeLine LlmCost::decode_line(std::int64_t sequences) const {
  return {.base_ns = impl_->base_ns({.decode_sequences = sequences, .logits = sequences}),
          .per_context_ns = impl_->per_context_ns};
}

Prediction LlmCost::iteration(const IterationWork& work) const {
  const double ns = impl_->base_ns(work) + impl_->per_context_ns * d(work.decode_context);
  return impl_->prediction(ns, impl_->compute_share(work, ns));
}

std::vector<OperatorCost> LlmCost::explain(const IterationWork& work) const {
  std::vector<OperatorCost> rows;
  impl_->visit(work, [&](const char* name, const char* kind, double flops, double bytes,
                         double flop_ns, double byte_ns, double extra_ns) {
    const double roof = std::max(flop_ns, byte_ns);
    const Bound bound = extra_ns > roof     ? Bound::launch
                        : flop_ns > byte_ns ? Bound::compute
                                            : Bound::memory;
    const double total = roof + extra_ns;
    rows.push_back({name, kind, flops, bytes, bound,
                    impl_->prediction(total, flop_ns > byte_ns ? flop_ns / total : 0)});
  });
  return rows;
}

Prediction LlmCost::request(std::int64_t prompt, std::int64_t image, double output) const {
  // One prefill gives the first token; the others decode at contexts prompt+1, prompt+2, ...
  const IterationWork prefill{.prefill_tokens = prompt,
                              .prefill_attention = d(prompt) * d(prompt) / 2,
                              .prefill_context = prompt,
                              .logits = 1,
                              .image_tokens = image};
  const double prefill_ns = impl_->base_ns(prefill);
  const double steps = std::max(0.0, output - 1);
  const DecodeLine line = decode_line(1);
  const double decode_ns =
      steps * line.base_ns + line.per_context_ns * (steps * d(prompt) + steps * (steps + 1) / 2);

  // The compute share of the decode steps is that of the middle one.
  const IterationWork middle{
      .decode_sequences = 1, .decode_context = prompt + std::llround((steps + 1) / 2), .logits = 1};
  const double total = prefill_ns + decode_ns;
  const double share = (impl_->compute_share(prefill, prefill_ns) * prefill_ns +
                        iteration(middle).compute_share * decode_ns) /
                       total;
  return impl_->prediction(total, share);
}

double LlmCost::weight_bytes() const { return models::weight_bytes(impl_->shape, impl_->variant); }

double LlmCost::kv_bytes_per_token() const {
  return impl_->shape.kv_bytes_per_token(impl_->variant.kv);
}

double LlmCost::workspace_bytes() const {
  const LlmShape& s = impl_->shape;
  const double active = d(std::max<std::int64_t>(1, s.experts_active));
  const double wide = 4 * d(s.hidden) + (s.gated_ffn ? 2 : 1) * d(s.ffn) * active;
  const double activations = 2048 * wide * std::max(2.0, bytes_of(impl_->variant.activations));
  const double logits = 256 * d(s.vocab) * 4;
  return activations + logits + 0.05 * impl_->unit.memory * impl_->parallel;
}

std::int64_t LlmCost::kv_capacity_tokens(double memory_utilization) const {
  const double memory = impl_->unit.memory * impl_->parallel * memory_utilization;
  const double room = memory - weight_bytes() - workspace_bytes();
  const double tokens = std::floor(room / kv_bytes_per_token());
  if (tokens < 1)
    throw InputError(fmt::format(
        "model '{}' ({}) does not fit on {} x '{}': weights {:.2f} GB + workspace {:.2f} GB leave "
        "no "
        "room for KV blocks in {:.2f} GB x {:.2f} = {:.2f} GB; use more units, fewer bits or a "
        "smaller model",
        impl_->shape.name, impl_->variant.name, impl_->parallel, impl_->unit.name,
        weight_bytes() / 1e9, workspace_bytes() / 1e9, impl_->unit.memory * impl_->parallel / 1e9,
        memory_utilization, memory / 1e9));
  return static_cast<std::int64_t>(tokens);
}

PredictionKind LlmCost::kind() const { return PredictionKind::roofline; }
double LlmCost::relative_error() const { return impl_->unit.efficiency_error; }
const ComputeUnit& LlmCost::unit() const { return impl_->unit; }
int LlmCost::parallel() const { return impl_->parallel; }

}  // namespace isthmus::models
