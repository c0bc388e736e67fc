// Language models on kernel profiles: tables made from formulas, so that every time is known.
#include "models/llm_kernels.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "models/builtin_llms.hpp"
#include "models/kernel_profile.hpp"
#include "models/llm_cost.hpp"

namespace isthmus::models {
namespace {

double d(std::int64_t v) { return static_cast<double>(v); }

void add_row(KernelTable& t, std::vector<double> shape, double ns) {
  t.shapes.insert(t.shapes.end(), shape.begin(), shape.end());
  t.median_ns.push_back(ns);
  t.p10_ns.push_back(ns);
  t.p90_ns.push_back(ns);
  t.n.push_back(3);
}

KernelTable table(const char* kind, std::vector<std::string> parameters) {
  KernelTable t;
  t.kind = kind;
  t.precision = Precision::bf16;
  t.parameters = std::move(parameters);
  return t;
}

// Times per layer: products 3 + 2 n k m / 1e5, prompts t^2 / 100 + t, decodes 5 b + b c / 10.
double gemm_ns(double n, double k, double m) { return 3 + 2 * n * k * m / 1e5; }
double prompt_ns(double t) { return t * t / 100 + t; }
double decode_ns(double b, double c) { return 5 * b + b * c / 10; }

KernelProfile profile_for(const LlmShape& s, int p = 1) {
  KernelProfile profile(
      {.device = "d", .provenance = "formula", .licence = "CC0-1.0", .program_version = "1"});
  KernelTable gemm = table("gemm", {"n", "k", "m"});
  const double query = d(s.heads * s.head_dim), kv = d(s.kv_heads * s.head_dim);
  const std::vector<std::pair<double, double>> products{{(query + 2 * kv) / p, d(s.hidden)},
                                                        {d(s.hidden), query / p},
                                                        {2 * d(s.ffn) / p, d(s.hidden)},
                                                        {d(s.hidden), d(s.ffn) / p},
                                                        {d(s.vocab) / p, d(s.hidden)}};
  for (const auto& [n, k] : products)
    for (const double m : {1, 8, 64, 512, 4096}) add_row(gemm, {n, k, m}, gemm_ns(n, k, m));
  profile.add(gemm);
  KernelTable prompt = table("prefill_attention", {"heads", "kv_heads", "head_dim", "window",
                                                   "batch", "context", "tokens"});
  KernelTable decode =
      table("decode_attention", {"heads", "kv_heads", "head_dim", "window", "batch", "context"});
  const double heads = d(s.heads) / p, kv_heads = d(s.kv_heads) / p, width = d(s.head_dim);
  for (const double t : {64, 256, 1024, 4096})
    add_row(prompt, {heads, kv_heads, width, 0, 1, 0, t}, prompt_ns(t));
  for (const double b : {1, 2, 4, 8})
    for (const double c : {16, 128, 1024, 8192})
      add_row(decode, {heads, kv_heads, width, 0, b, c}, decode_ns(b, c));
  profile.add(prompt);
  profile.add(decode);
  return profile;
}

ComputeUnit unit() {
  ComputeUnit u;
  u.name = "u";
  u.peak[static_cast<std::size_t>(Precision::bf16)] = 1e15;
  u.memory_bandwidth = 1e18;  // so fast that any part left to the roofline would show
  u.memory = 1e12;
  u.efficiency_error = 0.5;
  u.launch_overhead = Duration(7);
  u.iteration_overhead = Duration(1000);
  return u;
}

double products_ns(const LlmShape& s, double m) {
  const double query = d(s.heads * s.head_dim), kv = d(s.kv_heads * s.head_dim), h = d(s.hidden);
  return d(s.layers) * (gemm_ns(query + 2 * kv, h, m) + gemm_ns(h, query, m) +
                        gemm_ns(2 * d(s.ffn), h, m) + gemm_ns(h, d(s.ffn), m));
}

LlmKernels kernels_of(const LlmShape& s, int tensor, const KernelProfile& profile) {
  return {s, {}, {.tensor = tensor}, {.layers = s.layers}, profile};
}

TEST(LlmKernels, DecodeIsTheSumOfItsTables) {
  const LlmShape s = builtin_llm("llama-3.1-8b");
  const KernelProfile profile = profile_for(s);
  const LlmCost cost(s, {}, unit(), 1, 0, Duration::zero(), &profile);
  // Three sequences at a mean context of 700: linear formulas, so interpolation is exact.
  const double expected = 1000 + 7 * (5 * 32 + 1) + products_ns(s, 3) +
                          gemm_ns(d(s.vocab), d(s.hidden), 3) + 32 * decode_ns(3, 700);
  const IterationWork w{.decode_sequences = 3, .decode_context = 2100, .logits = 3};
  EXPECT_NEAR(d(cost.iteration_ns(w)), expected, 2);
  const Prediction p = cost.iteration(w);
  EXPECT_EQ(p.time.ns(), cost.iteration_ns(w));
  EXPECT_EQ(p.kind, PredictionKind::interpolated);
  EXPECT_LT(p.relative_error, 0.5);
  double rows = 0;
  for (const auto& row : cost.explain(w)) rows += d(row.prediction.time.ns());
  EXPECT_NEAR(rows, expected, 8);
}

TEST(LlmKernels, MeasuredShapesAreCalledMeasured) {
  const LlmShape s = builtin_llm("llama-3.1-8b");
  const KernelProfile profile = profile_for(s);
  const LlmCost cost(s, {}, unit(), 1, 0, Duration::zero(), &profile);
  EXPECT_EQ(cost.iteration({.decode_sequences = 8, .decode_context = 8 * 128, .logits = 8}).kind,
            PredictionKind::measured);
  EXPECT_EQ(cost.iteration({.decode_sequences = 8, .decode_context = 8 * 100000, .logits = 8}).kind,
            PredictionKind::extrapolated);
}

TEST(LlmKernels, ChunksCostAsMuchAsTheirPrompt) {
  const LlmShape s = builtin_llm("llama-3.1-8b");
  const KernelProfile profile = profile_for(s);
  const LlmCost cost(s, {}, unit(), 1, 0, Duration::zero(), &profile);
  const auto attention = [&](double tokens, double pairs) {
    const IterationWork w{.prefill_tokens = std::llround(tokens),
                          .prefill_attention = pairs,
                          .prefill_context = std::llround(tokens),
                          .logits = 1};
    for (const auto& row : cost.explain(w))
      if (row.name == "prefill_attention") return d(row.prediction.time.ns()) - 32 * 7;
    return 0.0;
  };
  const double whole = attention(1024, 1024.0 * 1024 / 2);
  EXPECT_NEAR(whole, 32 * prompt_ns(1024), 1);
  // The second half of a prompt, behind the first: three quarters of the pairs.
  EXPECT_NEAR(attention(512, 512.0 * (512 + 256)), 0.75 * whole, 1);
  // Four equal prompts in one iteration.
  EXPECT_NEAR(attention(4 * 256, 4 * 256.0 * 256 / 2), 4 * 32 * prompt_ns(256), 4);
}

TEST(LlmKernels, LinesAgreeWithTimesAcrossKnots) {
  const LlmShape s = builtin_llm("llama-3.1-8b");
  const KernelProfile profile = profile_for(s);
  const LlmCost cost(s, {}, unit(), 1, 0, Duration::zero(), &profile);
  for (const std::int64_t b : {1, 3, 8, 21}) {
    std::int64_t knots = 0;
    for (std::int64_t c = b; c < 9000 * b;) {
      const DecodeLine line = cost.decode_line(b, c);
      ASSERT_LE(line.first_context, d(c));
      ASSERT_GT(line.end_context, d(c));
      const auto last = static_cast<std::int64_t>(std::min(line.end_context, 9000.0 * d(b))) - 1;
      for (const std::int64_t x : {c, (c + last) / 2, std::max(c, last)}) {
        const IterationWork work{.decode_sequences = b, .decode_context = x, .logits = b};
        ASSERT_EQ(cost.iteration_ns(work), std::llround(line.base_ns + line.per_context_ns * d(x)));
        ASSERT_EQ(cost.iteration_time(work).compute_share, line.compute_share(d(x)));
      }
      c = std::max(c, last) + 1;
      ++knots;
    }
    EXPECT_GE(knots, 4);
  }
}

TEST(LlmKernels, AllReducesComeFromTheirTable) {
  const LlmShape s = builtin_llm("llama-3.1-8b");
  KernelProfile profile = profile_for(s, 2);
  KernelTable reduce = table("all_reduce", {"devices", "bytes"});
  for (const double bytes : {1024.0, 65536.0, 16777216.0})
    for (const double devices : {2.0, 4.0}) add_row(reduce, {devices, bytes}, 900 * devices + bytes / 100);
  profile.add(reduce);
  const LlmCost cost(s, {}, unit(), 2, 1e9, Duration(1000000), &profile);
  // Two per layer on two units, of 64 rows of 4096 elements of two bytes.
  const IterationWork w{.prefill_tokens = 64, .prefill_attention = 64.0 * 32, .logits = 1};
  bool found = false;
  for (const auto& row : cost.explain(w))
    if (row.name == "all_reduce") {
      found = true;
      EXPECT_NEAR(d(row.prediction.time.ns()), 2 * 32 * (1800 + 64 * 8192 / 100.0), 1);
      EXPECT_EQ(row.prediction.kind, PredictionKind::interpolated);
    }
  EXPECT_TRUE(found);
}

TEST(LlmKernels, WideProductsRunInPartsThatTheTableHas) {
  const LlmShape s = builtin_llm("llama-3.1-8b");
  // Tables of a unit of a group of two, on a single one: the inner products are twice as wide or
  // deep as the largest there.
  KernelProfile profile(
      {.device = "d", .provenance = "formula", .licence = "CC0-1.0", .program_version = "1"});
  KernelTable gemm = table("gemm", {"n", "k", "m"});
  for (const double n : {4096.0, 6144.0, d(s.ffn), d(s.vocab)})
    for (const double k : {4096.0, d(s.ffn) / 2})
      for (const double m : {1, 8, 64, 512, 4096}) add_row(gemm, {n, k, m}, gemm_ns(n, k, m));
  profile.add(gemm);
  const LlmKernels kernels = kernels_of(s, 1, profile);
  ASSERT_TRUE(kernels.down);
  EXPECT_NEAR(kernels.down->curve.at(64), 32 * 2 * gemm_ns(d(s.hidden), d(s.ffn) / 2, 64), 1);
  EXPECT_FALSE(kernels.down->rows);
  ASSERT_TRUE(kernels.gate_up);
  EXPECT_NEAR(kernels.gate_up->curve.at(64), 32 * gemm_ns(2 * d(s.ffn), d(s.hidden), 64), 1);
}

TEST(LlmKernels, ElementwiseTrafficIsAddedWhereNoTableHasIt) {
  const LlmShape s = builtin_llm("llama-3.1-8b");
  const KernelProfile profile = profile_for(s);
  ComputeUnit slow = unit();
  slow.memory_bandwidth = 1e12;
  const IterationWork w{.prefill_tokens = 1024, .prefill_attention = 1024.0 * 512, .logits = 1};
  const double gained = d(LlmCost(s, {}, slow, 1, 0, Duration::zero(), &profile).iteration_ns(w)) -
                        d(LlmCost(s, {}, unit(), 1, 0, Duration::zero(), &profile).iteration_ns(w));
  // Per token and layer: two norms of rows and residuals in and out, queries and keys in and out,
  // gate and up in and their product out; two bytes each.
  const double elements = 2 * 4 * 4096 + 2 * (4096 + 1024) + 3 * 14336;
  EXPECT_NEAR(gained, 1024 * 32 * elements * 2 / 1e12 * 1e9, 0.01 * gained);
}

TEST(LlmKernels, HiddenOverheadCountsOnlyWhereItIsLonger) {
  const LlmShape s = builtin_llm("llama-3.1-8b");
  const KernelProfile profile = profile_for(s);
  ComputeUnit u = unit();
  u.iteration_overhead = Duration::zero();
  const IterationWork w{.decode_sequences = 4, .decode_context = 4000, .logits = 4};
  const double alone = d(LlmCost(s, {}, u, 1, 0, Duration::zero(), &profile).iteration_ns(w));
  u.sequence_overhead = Duration(5000);
  EXPECT_NEAR(d(LlmCost(s, {}, u, 1, 0, Duration::zero(), &profile).iteration_ns(w)), alone + 20000, 1);
  u.overlap_overhead = true;
  EXPECT_NEAR(d(LlmCost(s, {}, u, 1, 0, Duration::zero(), &profile).iteration_ns(w)), alone, 1);

  // The overhead of four sequences passes for their computation at a sum of contexts of 4000.
  u.sequence_overhead = Duration(std::llround(alone / 4));
  const LlmCost cost(s, {}, u, 1, 0, Duration::zero(), &profile);
  double rows = 0;
  for (const auto& row : cost.explain({.decode_sequences = 4, .decode_context = 64, .logits = 4}))
    rows += d(row.prediction.time.ns());
  EXPECT_NEAR(rows, alone, 10);
  for (std::int64_t context = 64; context < 40000; context += 4) {
    const DecodeLine line = cost.decode_line(4, context);
    ASSERT_LE(line.first_context, d(context));
    ASSERT_LT(d(context), line.end_context);
    ASSERT_EQ(std::llround(line.base_ns + line.per_context_ns * d(context)),
              cost.iteration_ns({.decode_sequences = 4, .decode_context = context, .logits = 4}));
    if (context < 3900) {
      ASSERT_EQ(line.per_context_ns, 0);
    }
  }
}

TEST(LlmKernels, RequestIsThePrefillAndEveryDecode) {
  const LlmShape s = builtin_llm("llama-3.1-8b");
  const KernelProfile profile = profile_for(s);
  const LlmCost cost(s, {}, unit(), 1, 0, Duration::zero(), &profile);
  const IterationWork prefill{
      .prefill_tokens = 100, .prefill_attention = 5000, .prefill_context = 100, .logits = 1};
  double ns = d(cost.iteration_ns(prefill));
  for (int i = 1; i < 2000; ++i)
    ns += d(cost.iteration_ns({.decode_sequences = 1, .decode_context = 100 + i, .logits = 1}));
  EXPECT_NEAR(d(cost.request(100, 0, 2000).time.ns()), ns, 2000);
  EXPECT_EQ(cost.kind(), PredictionKind::interpolated);
}

// Norms, rotary embeddings, activations, the look-up of the embedding and the sampler.
TEST(LlmKernels, WhatLiesBetweenProductsCounts) {
  const LlmShape s = builtin_llm("llama-3.1-8b");
  KernelProfile profile = profile_for(s);
  const double width = d((s.heads + s.kv_heads) * s.head_dim);
  KernelTable norm = table("norm", {"columns", "rows"}), rotary = table("rotary", {"columns", "rows"}),
              activation = table("activation", {"elements"}),
              embedding = table("embedding", {"columns", "rows"}),
              sampler = table("sampler", {"vocab", "sequences"});
  for (const double m : {1, 8, 64, 512, 4096}) {
    add_row(norm, {d(s.hidden), m}, 100 + m);
    add_row(rotary, {width, m}, 200 + 2 * m);
    add_row(activation, {m * d(s.ffn)}, 300 + 3 * m);
    add_row(embedding, {d(s.hidden), m}, 400 + 4 * m);
    add_row(sampler, {d(s.vocab), m}, 500 + 5 * m);
  }
  const IterationWork w{.decode_sequences = 3, .decode_context = 2100, .logits = 2};
  const LlmCost without(s, {}, unit(), 1, 0, Duration::zero(), &profile);
  for (const KernelTable& t : {norm, rotary, activation, embedding, sampler}) profile.add(t);
  const LlmCost with(s, {}, unit(), 1, 0, Duration::zero(), &profile);
  const double expected = 65 * 103 + 32 * (206 + 309) + 412 + 510;
  EXPECT_NEAR(d(with.iteration_ns(w) - without.iteration_ns(w)), expected, 3);
  double rows = 0;
  for (const auto& row : with.explain(w)) rows += d(row.prediction.time.ns());
  EXPECT_NEAR(rows, d(with.iteration_ns(w)), 8);
}

// Mixed batches have a table of their own: decodes take other times beside prompts than alone.
TEST(LlmKernels, DecodesBesidePromptsTakeTheirOwnTimes) {
  const LlmShape s = builtin_llm("llama-3.1-8b");
  KernelProfile profile(
      {.device = "d", .provenance = "formula", .licence = "CC0-1.0", .program_version = "1"});
  KernelTable mixed = table("mixed_attention", {"heads", "kv_heads", "head_dim", "tokens", "context",
                                                "sequences", "decode_context"});
  // Alone b c / 10, beside a chunk of t tokens b (c / 5 + t / 100).
  for (const double t : {0, 16, 512, 2048})
    for (const double b : {0, 1, 2, 4})
      for (const double c : {16, 128, 1024}) {
        if (t == 0 && b == 0) continue;
        if (b == 0 && c > 16) continue;
        const double decodes = t == 0 ? b * c / 10 : b * (c / 5 + t / 100);
        add_row(mixed, {32, 8, 128, t, 0, b, b == 0 ? 0 : c}, (t == 0 ? 0 : 50 + t) + decodes);
      }
  profile.add(mixed);
  const LlmCost cost(s, {}, unit(), 1, 0, Duration::zero(), &profile);
  const auto decode_attention = [&](std::int64_t prompt) {
    const IterationWork w{.prefill_tokens = prompt,
                          .prefill_attention = d(prompt) * d(prompt) / 2,
                          .prefill_context = prompt,
                          .decode_sequences = 2,
                          .decode_context = 2 * 128,
                          .logits = 2};
    for (const auto& row : cost.explain(w))
      if (row.name == "decode_attention") return d(row.prediction.time.ns()) - 32 * 7;
    return 0.0;
  };
  EXPECT_NEAR(decode_attention(0), 32 * 25.6, 1);
  EXPECT_NEAR(decode_attention(16), 32 * 2 * (25.6 + 0.16), 1);
  EXPECT_NEAR(decode_attention(2048), 32 * 2 * (25.6 + 20.48), 1);
  EXPECT_NEAR(decode_attention(1032), 32 * 2 * (25.6 + 10.32), 1);
}

// Another format, another shape: nothing in the tables, so the roofline answers, as without them.
TEST(LlmKernels, TheRooflineAnswersForTheRest) {
  const KernelProfile profile = profile_for(builtin_llm("llama-3.1-8b"));
  LlmVariant int4;
  int4.weights = Precision::int4;
  ComputeUnit u = unit();
  u.peak[static_cast<std::size_t>(Precision::bf16)] = 1e14;
  u.memory_bandwidth = 1e12;
  const IterationWork w{.decode_sequences = 2, .decode_context = 500, .logits = 2};
  const LlmShape other = builtin_llm("qwen3-8b");
  EXPECT_EQ(LlmCost(other, int4, u, 1, 0, Duration::zero(), &profile).iteration(w).kind,
            PredictionKind::roofline);
  // The products of 4-bit weights are left to the roofline, attention is not.
  const LlmShape same = builtin_llm("llama-3.1-8b");
  const LlmCost mixed(same, int4, u, 1, 0, Duration::zero(), &profile);
  for (const auto& row : mixed.explain(w)) {
    if (row.kind == "overhead") continue;
    EXPECT_EQ(row.prediction.kind,
              row.kind == "attention" ? PredictionKind::interpolated : PredictionKind::roofline)
        << row.name;
  }
  EXPECT_EQ(mixed.iteration(w).kind, PredictionKind::roofline);
}

TEST(LlmKernels, TensorParallelAsksForSlices) {
  const LlmShape s = builtin_llm("llama-3.1-8b");
  const KernelProfile whole = profile_for(s, 1), half = profile_for(s, 2);
  EXPECT_TRUE(kernels_of(s, 2, half).gate_up);
  EXPECT_TRUE(kernels_of(s, 2, half).head);
  EXPECT_EQ(kernels_of(s, 2, half).decode_attention.size(), 8u);
  // The whole head is wider than any slice in the other table: two of them.
  EXPECT_NEAR(kernels_of(s, 1, half).head->curve.at(8),
              2 * kernels_of(s, 2, half).head->curve.at(8), 1e-6);
  EXPECT_TRUE(kernels_of(s, 1, half).decode_attention.empty());
  EXPECT_TRUE(kernels_of(s, 1, whole).head);
}

}  // namespace
}  // namespace isthmus::models
