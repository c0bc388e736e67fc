#include "models/llm_cost.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/llm_evidence.hpp"
#include "models/llm_memory.hpp"
#include "models/llm_operators.hpp"
#include "models/operator_sum.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {

namespace {

double d(std::int64_t v) { return static_cast<double>(v); }

}  // namespace

struct LlmCost::Impl {
  double slowness = 1;  // of everything below, in what engines ask for

  // `part`: one stage of the layout's pipeline, or everything.
  Impl(const LlmShape& shape_in, const LlmVariant& variant_in, const ComputeUnit& unit_in,
       const LlmLayout& layout_in, const LlmStage& part_in, const KernelProfile* profile)
      : shape(shape_in),
        variant(variant_in),
        unit(unit_in),
        layout(layout_in),
        part(part_in),
        ops(shape, variant, unit, layout, part, profile),
        dense(apart() ? without_experts(ops.layers) : ops.layers),
        heads(ops.heads) {
    // Launches of an iteration that computes tokens at all, with one attention pass.
    for (const auto& o : ops.layers) dense_launches += o.launches;
    dense_launches += ops.attention_launches;
    profiled = ops.kernels.any();
    per_context_ns = std::max(ops.attention_flop_ns, ops.kv_bytes * ops.byte_ns);

    // More experts or neurons are read with every token: a table until practically all are read.
    if (ops.varies() && !ops.kernels.experts && !apart()) {
      for (double tokens = 0; tokens < 65536; ++tokens) {
        OperatorSum::Time sum;
        double share = 1;
        for (const auto& o : ops.layers) {
          const double own = ops.share_of(o, tokens);
          add(sum, o, tokens, own);
          share = std::min(share, own);
        }
        if (1 - share < 1e-12) break;
        mixture.push_back(sum);
      }
    }
  }

  // The experts are divided among units, of which the most loaded one sets the time.
  bool parted() const { return ops.expert_parts > 1; }
  // Experts compute other tokens than the rest of the layer, or other shares of them.
  bool apart() const { return parted() || layout.data > 1; }
  static std::vector<DenseOperator> without_experts(std::vector<DenseOperator> all) {
    std::erase_if(all, [](const DenseOperator& o) { return o.expert; });
    return all;
  }
  static void add(OperatorSum::Time& sum, const DenseOperator& o, double rows, double share) {
    const double ns = o.ns(rows, share);
    sum.ns += ns;
    if (o.flop_ns(rows, share) > o.byte_ns(rows, share)) sum.compute_ns += ns;
  }

  // An iteration of all data-parallel ranks together.
  struct Step {
    std::int64_t most = 0;  // tokens of the rank with the most
    std::int64_t all = 0;   // of all ranks; one without work computes a padding token
  };
  // Rows of products and transfers in one rank of a step.
  struct Rows {
    std::int64_t own = 0, experts = 0, exchanged = 0;
  };
  Step step_of(const std::vector<IterationWork>& ranks) const {
    Step step{0, layout.data};
    for (const IterationWork& w : ranks) {
      step.most = std::max(step.most, w.tokens());
      step.all += std::max<std::int64_t>(1, w.tokens()) - 1;
    }
    return step;
  }
  // With nothing to do for the other ranks.
  Step alone(const IterationWork& w) const { return {w.tokens(), w.tokens() + layout.data - 1}; }

  // All-to-alls last as long as the units of the fullest rank send.
  Rows rows_of(const IterationWork& w, const Step& step) const {
    return {w.tokens(), step.all, layout.all_to_all ? layout.data * step.most : step.all};
  }
  // Captured graphs exist for some numbers of tokens only; all ranks take that of the fullest one.
  Rows padded_rows_of(const IterationWork& w, const Step& step) const {
    const auto& sizes = unit.graph_sizes;
    const auto it = std::lower_bound(sizes.begin(), sizes.end(), step.most);
    if (it == sizes.end()) return rows_of(w, step);
    return {*it, layout.data * *it, layout.data * *it};
  }

  OperatorSum::Time dense_sum(const Rows& rows) const {
    const double tokens = d(rows.own);
    if (apart()) {
      OperatorSum::Time sum = dense(tokens);
      const double all = d(rows.experts);
      for (const auto& o : ops.layers)
        if (o.expert) add(sum, o, expert_rows(all), expert_share(all));
      return sum;
    }
    if (static_cast<std::size_t>(rows.own) < mixture.size())
      return mixture[static_cast<std::size_t>(rows.own)];
    return dense(tokens);
  }
  // Of the tokens of all ranks, in the units with the most; the share of its experts that they choose.
  double expert_rows(double tokens) const {
    return parted() ? tokens * ops.imbalance(tokens) : tokens;
  }
  double expert_share(double tokens) const {
    return parted() ? ops.most_loaded_share(tokens) : ops.expert_share(tokens);
  }

  // Of an iteration's tokens as such: products, reductions, transfers.
  double token_ns(const Rows& rows, double& compute_ns) const {
    const double tokens = d(rows.own);
    const OperatorSum::Time sum = dense_sum(rows);
    compute_ns += sum.compute_ns;
    double ns = sum.ns + reduce_ns(tokens) + ops.elementwise_ns_per_row * tokens;
    if (layout.exchanges()) ns += exchange_ns(d(rows.exchanged));
    if (sends > 0) ns += sends * send_ns(tokens);
    return ns;
  }
  double token_ns(const Rows& rows) const {
    double ignored = 0;
    return token_ns(rows, ignored);
  }

  // Decode attention over the sum of the contexts, as the line on which it lies there.
  KernelCurve::Piece decode_piece(std::int64_t sequences, double context) const {
    return decode_piece(ops.kernels.decode_attention, sequences, context);
  }
  KernelCurve::Piece decode_piece(const std::vector<MeasuredCurve>& curves, std::int64_t sequences,
                                  double context) const {
    if (curves.empty() || sequences < 1) return {0, 0, per_context_ns};
    const auto prepared = static_cast<std::int64_t>(curves.size());
    if (sequences <= prepared)
      return curves[static_cast<std::size_t>(sequences - 1)].curve.piece(context);
    // Larger batches take multiples of the largest one that was timed.
    const double times = d(sequences) / d(prepared);
    const KernelCurve::Piece p = curves.back().curve.piece(context / times);
    return {p.start * times, p.base * times, p.slope};
  }
  double decode_end(std::int64_t sequences, double context) const {
    const auto& curves = ops.kernels.decode_attention;
    if (curves.empty()) return std::numeric_limits<double>::infinity();
    const auto i = std::min(static_cast<std::size_t>(sequences), curves.size());
    const double times = d(sequences) / d(static_cast<std::int64_t>(i));
    return curves[i - 1].curve.end_of_piece(context / times) * times;
  }
  static double queries_per_decode(const IterationWork& w) {
    return 1 + d(w.draft_tokens) / d(w.decode_sequences);
  }
  // Is decode attention bound by its arithmetic?
  bool computes_attention(const IterationWork& w) const {
    return w.decode_sequences > 0 &&
           ops.attention_flop_ns * queries_per_decode(w) > ops.kv_bytes * ops.byte_ns;
  }
  // Decode attention of an iteration, as a line over the contexts.
  KernelCurve::Piece decode_piece(const IterationWork& w) const {
    // Guesses share the reading of the context with the token before them, not the arithmetic.
    if (w.draft_tokens > 0 && ops.kernels.decode_attention.empty())
      return {0, 0, std::max(queries_per_decode(w) * ops.attention_flop_ns, ops.kv_bytes * ops.byte_ns)};
    const auto &few = ops.kernels.beside_few, &many = ops.kernels.beside_many;
    if (w.prefill_tokens == 0 || few.decode_attention.empty() || many.decode_attention.empty())
      return decode_piece(w.decode_sequences, d(w.decode_context));
    const auto a = decode_piece(few.decode_attention, w.decode_sequences, d(w.decode_context));
    const auto b = decode_piece(many.decode_attention, w.decode_sequences, d(w.decode_context));
    const double share = many.tokens <= few.tokens
                             ? 0
                             : std::clamp((d(w.prefill_tokens) - few.tokens) /
                                              (many.tokens - few.tokens),
                                          0.0, 1.0);
    return {0, a.base + share * (b.base - a.base), a.slope + share * (b.slope - a.slope)};
  }
  double decode_ns(const IterationWork& w) const {
    const KernelCurve::Piece p = decode_piece(w);
    return p.base + p.slope * d(w.decode_context);
  }
  double total_ns(const IterationWork& w) const {
    double ignored = 0;
    return total_ns(w, alone(w), ignored);
  }
  // Of one rank in a step. Adds to compute_ns what is spent in compute-bound parts.
  double total_ns(const IterationWork& w, const Step& step, double& compute_ns) const {
    return std::max(unhidden_ns(w, step, compute_ns), beside_ns(w));
  }
  // The rank for which all others wait, and how long; null without any work.
  struct Slowest {
    const IterationWork* work = nullptr;
    double ns = 0, compute_ns = 0;
  };
  Slowest slowest(const std::vector<IterationWork>& ranks, const Step& step) const {
    Slowest s;
    for (const IterationWork& w : ranks) {
      if (w.tokens() == 0) continue;
      double compute = 0;
      const double ns = total_ns(w, step, compute);
      if (!s.work || ns > s.ns) s = {&w, ns, compute};
    }
    return s;
  }
  // What passes beside the computation and counts only where it is longer: linear in nothing but the
  // tokens.
  double beside_ns(const IterationWork& w) const {
    return std::max(unit.overlap_overhead ? host_ns(w) : 0, variant.prefetch ? copy_ns(w) : 0);
  }
  // Copying weights from host memory; every iteration needs them all.
  double copy_ns(const IterationWork& w) const {
    const std::int64_t tokens = w.tokens();
    return ops.host_share > 0 && tokens > 0 ? ops.copied_bytes(d(tokens)) * ops.host_byte_ns : 0;
  }
  // As if nothing were hidden behind it.
  double unhidden_ns(const IterationWork& w, const Step& step) const {
    double ignored = 0;
    return unhidden_ns(w, step, ignored);
  }
  double unhidden_ns(const IterationWork& w, const Step& step, double& compute_ns) const {
    const KernelCurve::Piece p = decode_piece(w);
    const double context = d(w.decode_context), base = base_ns(w, step, compute_ns);
    if (computes_attention(w)) compute_ns += p.base + p.slope * context;
    return (base + p.base) + p.slope * context;
  }
  // What the framework takes for an iteration.
  double host_ns(const IterationWork& w) const {
    return ops.overhead_ns + ops.sequence_ns * d(w.logits);
  }

  // Everything but the reading of the running contexts and what is hidden.
  double base_ns(const IterationWork& w) const {
    double ignored = 0;
    return base_ns(w, alone(w), ignored);
  }
  double base_ns(const IterationWork& w, const Step& step, double& compute_ns) const {
    double ns = unit.overlap_overhead ? 0 : host_ns(w);
    if (!variant.prefetch) ns += copy_ns(w);
    if (w.tokens() > 0)
      ns += dense_launches * ops.launch_ns + token_ns(padded_rows_of(w, step), compute_ns);
    if (w.logits > 0 && part.last) {
      const OperatorSum::Time sum = heads(d(w.logits));
      compute_ns += sum.compute_ns;
      ns += ops.launch_ns + sum.ns;
    }
    if (w.prefill_tokens > 0) {
      const double attention = prefill_attention_ns(w);
      if (ops.attention_flop_ns * w.prefill_attention > prefill_attention_bytes(w) * ops.byte_ns)
        compute_ns += attention;
      ns += attention;
      if (w.decode_sequences > 0) ns += ops.attention_launches * ops.launch_ns;
    }
    if (w.image_tokens > 0) ns += vision_ns(w, compute_ns);
    return ns;
  }

  double prefill_attention_flops(const IterationWork& w) const {
    return ops.attention_flops * w.prefill_attention;
  }
  double prefill_attention_bytes(const IterationWork& w) const {
    return ops.kv_bytes * d(w.prefill_context + w.prefill_tokens) +
           ops.query_bytes * d(w.prefill_tokens);
  }
  double reduce_ns(double tokens) const {
    return ops.kernels.all_reduce ? ops.kernels.all_reduce->curve.at(tokens)
                                  : ops.reduce_fixed_ns + ops.reduce_ns_per_row * tokens;
  }

  double exchange_ns(double tokens) const {
    return ops.kernels.exchange ? ops.kernels.exchange->curve.at(tokens)
                                : ops.exchange_fixed_ns + ops.exchange_ns_per_row * tokens;
  }
  double send_ns(double tokens) const {
    return ops.kernels.send ? ops.kernels.send->curve.at(tokens)
                            : ops.send_fixed_ns + ops.send_ns_per_row * tokens;
  }

  // Length of the prompt whose attention is like that of the chunks: a chunk of t tokens behind c
  // others is a part of a prompt of c + t; several chunks are as many equal prompts.
  static double prompt_length(const IterationWork& w) {
    const double tokens = d(w.prefill_tokens), mean = w.prefill_attention / tokens;
    return mean >= tokens / 2 ? mean + tokens / 2 : 2 * mean;
  }
  double prefill_attention_ns(const IterationWork& w) const {
    if (ops.kernels.prefill_attention) {
      const double length = prompt_length(w);
      return ops.kernels.prefill_attention->curve.at(length) * w.prefill_attention /
             (length * length / 2);
    }
    return std::max(ops.attention_flop_ns * w.prefill_attention,
                    prefill_attention_bytes(w) * ops.byte_ns);
  }

  bool has_vision() const { return part.first && shape.vision.layers > 0; }
  // Patches attend to all patches of their image; big batches of image tokens are equal images.
  double vision_pairs(const IterationWork& w) const {
    const double patches = d(w.image_tokens) * ops.patches_per_token;
    const std::int64_t images = (w.image_tokens + largest_image_tokens - 1) / largest_image_tokens;
    return patches * patches / d(images);
  }
  double vision_ns(const IterationWork& w, double& compute_ns) const {
    if (!has_vision()) return 0;
    const double tokens = d(w.image_tokens), patches = tokens * ops.patches_per_token;
    const auto& b = ops.vision_blocks;
    const auto& m = ops.vision_merger;
    OperatorSum::Time sum;
    add(sum, b, patches, 1);
    add(sum, m, tokens, 1);
    const double attention = vision_attention_ns(w);
    sum.ns += attention;
    if (ops.vision_attention_flops * vision_pairs(w) * ops.vision_flop_ns >
        ops.vision_patch_bytes * patches * ops.byte_ns)
      sum.compute_ns += attention;
    compute_ns += sum.compute_ns;
    return sum.ns + (b.launches + m.launches + d(shape.vision.layers)) * ops.launch_ns;
  }
  double vision_attention_ns(const IterationWork& w) const {
    const double patches = d(w.image_tokens) * ops.patches_per_token, pairs = vision_pairs(w);
    if (ops.kernels.vision_attention) {
      const double images = patches * patches / pairs;
      return images * ops.kernels.vision_attention->curve.at(patches / images);
    }
    return std::max(ops.vision_attention_flops * pairs * ops.vision_flop_ns,
                    ops.vision_patch_bytes * patches * ops.byte_ns);
  }

  // Calls row(name, kind, flops, bytes, flop_ns, byte_ns, ns, extra_ns, evidence) for every part of
  // one rank's iteration; it takes ns + extra_ns, of which flop_ns and byte_ns are the roofline's terms.
  template <class Row>
  void visit(const IterationWork& w, const Step& step, Row row) const {
    const auto host_row = [&](const char* name, double ns) {
      row(name, "overhead", 0.0, 0.0, 0.0, 0.0, 0.0, ns,
          Evidence{PredictionKind::measured, unit.efficiency_error});
    };
    if (unit.overlap_overhead) {
      // Of what is hidden only what lasts longer than the computation.
      host_row("unhidden_overhead", std::max(0.0, host_ns(w) - unhidden_ns(w, step)));
    } else {
      host_row("iteration_overhead", ops.overhead_ns);
      if (ops.sequence_ns > 0) host_row("sequence_overhead", ops.sequence_ns * d(w.logits));
    }
    const auto dense_row = [&](const DenseOperator& o, double rows, double share) {
      row(o.name, o.measured && o.expert ? "moe" : o.kind,
          o.flops_per_row * rows * o.flop_share(share),
          o.fixed_bytes * share + o.bytes_per_row * rows, o.flop_ns(rows, share),
          o.byte_ns(rows, share),
          o.ns(rows, share), o.launches * ops.launch_ns, evidence(o.measured, rows));
    };
    const double tokens = d(w.tokens());
    if (tokens > 0) {
      const Rows rows = rows_of(w, step), padded = padded_rows_of(w, step);
      for (const auto& o : ops.layers)
        if (o.expert && apart())
          dense_row(o, expert_rows(d(rows.experts)), expert_share(d(rows.experts)));
        else
          dense_row(o, tokens, ops.share_of(o, tokens));
      if (ops.host_share > 0) {
        // Of copies that run ahead only what lasts longer than everything else.
        const double hidden = std::max(unhidden_ns(w, step), unit.overlap_overhead ? host_ns(w) : 0);
        const double copy = copy_ns(w), ns = variant.prefetch ? std::max(0.0, copy - hidden) : copy;
        row("host_weights", "communication", 0.0, ops.copied_bytes(tokens), 0.0, ns, ns, 0.0,
            Evidence{PredictionKind::roofline, unit.efficiency_error});
      }
      if (ops.elementwise_ns_per_row > 0)
        row("elementwise", "overhead", 0.0, ops.elementwise_bytes_per_row * tokens, 0.0,
            ops.elementwise_ns_per_row * tokens, ops.elementwise_ns_per_row * tokens, 0.0,
            Evidence{PredictionKind::measured, unit.efficiency_error});
      if (padded.experts > rows.experts || padded.own > rows.own)
        row("graph_padding", "overhead", 0.0, 0.0, 0.0, 0.0, 0.0, token_ns(padded) - token_ns(rows),
            Evidence{PredictionKind::roofline, unit.efficiency_error});
      const double launches = ops.attention_launches * ops.launch_ns;
      if (w.prefill_tokens > 0)
        row("prefill_attention", "attention", prefill_attention_flops(w),
            prefill_attention_bytes(w), ops.attention_flop_ns * w.prefill_attention,
            prefill_attention_bytes(w) * ops.byte_ns, prefill_attention_ns(w), launches,
            evidence(ops.kernels.prefill_attention, prompt_length(w)));
      if (w.decode_sequences > 0) {
        const double context = d(w.decode_context), pairs = queries_per_decode(w) * context;
        row("decode_attention", "attention", ops.attention_flops * pairs, ops.kv_bytes * context,
            ops.attention_flop_ns * pairs, ops.kv_bytes * context * ops.byte_ns,
            decode_ns(w), launches,
            evidence.decode(ops.kernels.decode_attention, w.decode_sequences, context));
      }
      if (layout.tensor > 1)
        row("all_reduce", "communication", 0.0, ops.reduce_bytes_per_row * tokens, 0.0, 0.0, 0.0,
            reduce_ns(tokens), evidence(ops.kernels.all_reduce, tokens));
      if (const double exchanged = d(rows.exchanged); layout.exchanges())
        row(layout.all_to_all ? "all_to_all" : "gather_scatter", "communication", 0.0,
            ops.exchange_bytes_per_row * exchanged, 0.0, 0.0, 0.0, exchange_ns(exchanged),
            evidence(ops.kernels.exchange, exchanged));
      if (sends > 0)
        row("stage_transfer", "communication", 0.0, sends * ops.send_bytes_per_row * tokens, 0.0,
            0.0, 0.0, sends * send_ns(tokens), evidence(ops.kernels.send, tokens));
    }
    if (w.logits > 0)
      for (const auto& o : ops.heads) dense_row(o, d(w.logits), 1);
    if (w.image_tokens > 0 && has_vision()) {
      const double images = d(w.image_tokens), patches = images * ops.patches_per_token;
      dense_row(ops.vision_blocks, patches, 1);
      dense_row(ops.vision_merger, images, 1);
      const double flops = ops.vision_attention_flops * vision_pairs(w);
      const double bytes = ops.vision_patch_bytes * patches;
      row("vision_attention", "attention", flops, bytes, flops * ops.vision_flop_ns,
          bytes * ops.byte_ns, vision_attention_ns(w), d(shape.vision.layers) * ops.launch_ns,
          evidence(ops.kernels.vision_attention, vision_pairs(w) / patches));
    }
  }

  LlmMemory memory() const {
    const double kv = shape.kv_bytes_per_token(variant.kv) * d(part.layers) / d(shape.layers);
    return {shape, variant, unit, layout, part, ops.host_bytes() * layout.tensor, kv};
  }

  // The whole iteration: as good as its worst part, errors as if common to all parts.
  Prediction iteration(const IterationWork& w, const Step& step) const {
    double compute = 0, error = 0;
    const double total = total_ns(w, step, compute);
    PredictionKind kind = PredictionKind::measured;
    visit(w, step, [&](const char*, const char*, double, double, double, double, double ns,
                 double extra_ns, const Evidence& e) {
      error += e.relative_error * (ns + extra_ns);
      kind = std::max(kind, e.kind);
    });
    // Without a profile every part has the unit's error; keep it exactly.
    return {.time = Duration(DecodeLine::whole_ns(total)),
            .kind = kind,
            .relative_error = !profiled   ? unit.efficiency_error
                              : total > 0 ? error / total
                                          : 0,
            .compute_share = total > 0 ? std::min(1.0, compute / total) : 0};
  }

  LlmShape shape;
  LlmVariant variant;
  ComputeUnit unit;
  LlmLayout layout;
  LlmStage part;
  LlmOperators ops;
  EvidenceOf evidence{unit.efficiency_error};
  OperatorSum dense, heads;
  std::vector<OperatorSum::Time> mixture;
  double dense_launches = 0;
  double per_context_ns = 0;
  bool profiled = false;
  double sends = 0;             // between stages that one iteration passes
  std::vector<LlmCost> stages;  // of the pipeline of a whole replica
};

namespace {

LlmStage everything(const LlmShape& shape) { return {.layers = shape.layers}; }

}  // namespace

LlmCost::LlmCost(const LlmShape& shape, const LlmVariant& variant, const ComputeUnit& unit,
                 const LlmLayout& layout, const KernelProfile* profile) {
  auto whole =
      std::make_shared<Impl>(shape, variant, unit, layout, everything(shape), profile);
  if (layout.pipeline > 1) {
    whole->sends = layout.pipeline - 1;
    for (const LlmStage& stage : stages_of(layout, shape.layers)) {
      ComputeUnit own = unit;
      if (!stage.last) own.sequence_overhead = Duration::zero();
      whole->stages.push_back(LlmCost(
          std::make_shared<const Impl>(shape, variant, own, layout, stage, profile)));
    }
  }
  impl_ = std::move(whole);
}

LlmCost::LlmCost(const LlmShape& shape, const LlmVariant& variant, const ComputeUnit& unit,
                 int parallel, double link_bandwidth, Duration link_latency,
                 const KernelProfile* profile)
    : LlmCost(shape, variant, unit,
              LlmLayout{.tensor = parallel,
                        .link_bandwidth = link_bandwidth,
                        .link_latency = link_latency},
              profile) {}

const std::vector<LlmCost>& LlmCost::stages() const { return impl_->stages; }

std::int64_t LlmCost::preparation_ns() const {
  if (impl_->unit.overlap_overhead) return 0;
  return std::llround(impl_->slowness * d(impl_->unit.iteration_overhead.ns()));
}

std::int64_t LlmCost::send_ns(std::int64_t tokens) const {
  if (impl_->layout.pipeline == 1) return 0;
  return std::llround(impl_->slowness * impl_->send_ns(d(tokens)));
}

std::int64_t LlmCost::iteration_ns(const IterationWork& work) const {
  return DecodeLine::whole_ns(impl_->slowness * impl_->total_ns(work));
}

namespace {

DecodeLine stretched(DecodeLine line, double factor) {
  for (double* part : {&line.base_ns, &line.per_context_ns, &line.compute_ns, &line.attention_ns,
                       &line.attention_per_context_ns})
    *part *= factor;
  return line;
}

}  // namespace

LlmCost LlmCost::slowed(double factor) const {
  auto slower = std::make_shared<Impl>(*impl_);
  slower->slowness *= factor;
  for (LlmCost& stage : slower->stages) stage = stage.slowed(factor);
  return LlmCost(std::move(slower));
}

DecodeLine LlmCost::decode_line(std::int64_t sequences, std::int64_t context) const {
  const KernelCurve::Piece p = impl_->decode_piece(sequences, d(context));
  const IterationWork work{.decode_sequences = sequences, .logits = sequences};
  double compute_ns = 0;
  const double base_ns = impl_->base_ns(work, impl_->alone(work), compute_ns);
  DecodeLine line{.base_ns = base_ns + p.base,
                  .per_context_ns = p.slope,
                  .first_context = p.start,
                  .end_context = impl_->decode_end(sequences, d(context)),
                  .compute_ns = compute_ns};
  if (impl_->computes_attention(work)) {
    line.attention_ns = p.base;
    line.attention_per_context_ns = p.slope;
  }
  const double beside = impl_->beside_ns(work);
  if (beside == 0) return stretched(line, impl_->slowness);
  // Where framework or copies are slower, the time does not depend on the contexts.
  const double unhidden = line.base_ns + line.per_context_ns * d(context);
  const double crossing = line.per_context_ns > 0 ? (beside - line.base_ns) / line.per_context_ns
                                                  : std::numeric_limits<double>::infinity();
  if (unhidden < beside) {
    line.base_ns = beside;
    line.per_context_ns = 0;
    line.end_context = std::min(line.end_context, std::max(crossing, d(context) + 1));
  } else if (crossing < d(context)) {
    line.first_context = std::max(line.first_context, crossing);
  }
  return stretched(line, impl_->slowness);
}

Prediction LlmCost::iteration(const IterationWork& work) const {
  return impl_->iteration(work, impl_->alone(work));
}

Prediction LlmCost::step(const std::vector<IterationWork>& ranks) const {
  const Impl::Step step = impl_->step_of(ranks);
  const Impl::Slowest s = impl_->slowest(ranks, step);
  return s.work ? impl_->iteration(*s.work, step) : Prediction{};
}

namespace {

IterationTime rounded(double total, double compute) {
  return {Duration(DecodeLine::whole_ns(total)), total > 0 ? std::min(1.0, compute / total) : 0};
}

}  // namespace

IterationTime LlmCost::iteration_time(const IterationWork& work) const {
  double compute = 0;
  const double total = impl_->total_ns(work, impl_->alone(work), compute);
  return rounded(impl_->slowness * total, impl_->slowness * compute);
}

IterationTime LlmCost::step_time(const std::vector<IterationWork>& ranks) const {
  const Impl::Slowest s = impl_->slowest(ranks, impl_->step_of(ranks));
  return rounded(impl_->slowness * s.ns, impl_->slowness * s.compute_ns);
}

std::vector<OperatorCost> LlmCost::explain(const IterationWork& work) const {
  std::vector<IterationWork> ranks{work};
  return explain_step(ranks);
}

std::vector<OperatorCost> LlmCost::explain_step(const std::vector<IterationWork>& ranks) const {
  std::vector<OperatorCost> rows;
  const Impl::Step step = impl_->step_of(ranks);
  const Impl::Slowest s = impl_->slowest(ranks, step);
  impl_->visit(
      s.work ? *s.work : ranks.front(), step, [&](const char* name, const char* kind, double flops, double bytes, double flop_ns,
                double byte_ns, double ns, double extra_ns, const Evidence& e) {
        const Bound bound = extra_ns > ns       ? Bound::launch
                            : flop_ns > byte_ns ? Bound::compute
                                                : Bound::memory;
        const double total = ns + extra_ns;
        rows.push_back({name,
                        kind,
                        flops,
                        bytes,
                        bound,
                        {.time = Duration(DecodeLine::whole_ns(total)),
                         .kind = e.kind,
                         .relative_error = e.relative_error,
                         .compute_share = flop_ns > byte_ns && total > 0 ? ns / total : 0}});
      });
  return rows;
}

Prediction LlmCost::request(std::int64_t prompt, std::int64_t image, double output) const {
  // One prefill gives the first token; the others decode at contexts prompt+1, prompt+2, ...
  const IterationWork prefill_work{.prefill_tokens = prompt,
                                   .prefill_attention = d(prompt) * d(prompt) / 2,
                                   .prefill_context = prompt,
                                   .logits = 1,
                                   .image_tokens = image};
  const Prediction prefill = iteration(prefill_work);
  const double prefill_ns =
      std::max(impl_->base_ns(prefill_work), impl_->beside_ns(prefill_work));
  const double steps = std::max(0.0, output - 1);
  const auto& curves = impl_->ops.kernels.decode_attention;
  const double step_ns = impl_->base_ns({.decode_sequences = 1, .logits = 1});
  const double unhidden_ns =
      steps * step_ns +
      (curves.empty()
           ? impl_->per_context_ns * (steps * d(prompt) + steps * (steps + 1) / 2)
           : curves.front().curve.sum(d(prompt) + 1, d(prompt) + std::floor(steps)) +
                 (steps - std::floor(steps)) * curves.front().curve.at(d(prompt) + steps));
  const double decode_ns =
      std::max(unhidden_ns, steps * impl_->beside_ns({.decode_sequences = 1, .logits = 1}));

  // The decode steps are judged by the middle one.
  const Prediction middle = iteration({.decode_sequences = 1,
                                       .decode_context = prompt + std::llround((steps + 1) / 2),
                                       .logits = 1});
  const double total = prefill_ns + decode_ns;
  const auto weighted = [&](double a, double b) {
    return (a * prefill_ns + b * decode_ns) / total;
  };
  return {.time = Duration(DecodeLine::whole_ns(total)),
          .kind = steps > 0 ? std::max(prefill.kind, middle.kind) : prefill.kind,
          .relative_error = impl_->profiled
                                ? weighted(prefill.relative_error, middle.relative_error)
                                : impl_->unit.efficiency_error,
          .compute_share = weighted(prefill.compute_share, middle.compute_share)};
}

namespace {

double sum_over(const std::vector<LlmCost>& stages, double (LlmCost::*figure)() const) {
  double sum = 0;
  for (const LlmCost& stage : stages) sum += (stage.*figure)();
  return sum;
}

}  // namespace

double LlmCost::weight_bytes() const {
  if (!impl_->stages.empty()) return sum_over(impl_->stages, &LlmCost::weight_bytes);
  return impl_->memory().weight_bytes() * impl_->layout.data;
}

double LlmCost::host_weight_bytes() const {
  return impl_->memory().host_weight_bytes;
}

double LlmCost::kv_bytes_per_token() const {
  return impl_->memory().kv_bytes_per_token;
}

double LlmCost::workspace_bytes() const {
  if (!impl_->stages.empty()) return sum_over(impl_->stages, &LlmCost::workspace_bytes);
  return impl_->memory().workspace_bytes() * impl_->layout.data;
}

std::int64_t LlmCost::kv_capacity_tokens(double memory_utilization) const {
  if (impl_->stages.empty()) return impl_->memory().kv_capacity_tokens(memory_utilization);
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  for (const LlmCost& stage : impl_->stages)
    least = std::min(least, stage.kv_capacity_tokens(memory_utilization));
  return least;
}

PredictionKind LlmCost::kind() const { return request(512, 0, 128).kind; }
double LlmCost::relative_error() const { return request(512, 0, 128).relative_error; }
const ComputeUnit& LlmCost::unit() const { return impl_->unit; }
double LlmCost::expert_imbalance(std::int64_t tokens) const {
  return impl_->parted() ? impl_->ops.imbalance(d(tokens)) : 1;
}
const LlmLayout& LlmCost::layout() const { return impl_->layout; }

}  // namespace isthmus::models
