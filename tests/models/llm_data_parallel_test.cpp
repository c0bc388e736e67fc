// Iterations of data-parallel ranks that share a mixture's experts: their parts, and what fits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/builtin_llms.hpp"
#include "models/llm_cost.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"

namespace isthmus::models {
namespace {

using ::testing::HasSubstr;

double d(std::int64_t v) { return static_cast<double>(v); }

ComputeUnit unit() {
  ComputeUnit u;
  u.name = "gpu";
  u.peak[static_cast<std::size_t>(Precision::bf16)] = 300e12;
  u.memory_bandwidth = 2e12;
  u.memory = 80e9;
  u.launch_overhead = Duration(3000);
  u.iteration_overhead = Duration(500'000);
  u.sequence_overhead = Duration(10'000);
  return u;
}

LlmLayout layout(int tensor, int data, int expert, bool all_to_all = false) {
  return {.tensor = tensor,
          .data = data,
          .expert = expert,
          .all_to_all = all_to_all,
          .link_bandwidth = 200e9,
          .link_latency = Duration(8000)};
}

LlmCost mixtral(const LlmLayout& l, const ComputeUnit& u = unit()) {
  return LlmCost(builtin_llm("mixtral-8x7b"), {}, u, l);
}

IterationWork decodes(std::int64_t n, std::int64_t context) {
  return {.decode_sequences = n, .decode_context = n * context, .logits = n};
}

IterationWork prompt(std::int64_t n) {
  return {.prefill_tokens = n, .prefill_attention = d(n) * d(n) / 2, .prefill_context = n, .logits = 1};
}

double row_ns(const std::vector<OperatorCost>& rows, const std::string& name) {
  for (const OperatorCost& r : rows)
    if (r.name == name) return d(r.prediction.time.ns());
  return 0;
}

TEST(DataParallelCost, OneRankTakesWhatAnIterationTakes) {
  Rng g(7);
  for (int trial = 0; trial < 2000; ++trial) {
    ComputeUnit u = unit();
    if (trial % 2 == 0) u.graph_sizes = {1, 2, 4, 8, 16, 64};
    u.overlap_overhead = trial % 3 == 0;
    const int tensor = 1 << uniform_index(g, 3);
    const bool divided = tensor > 1 && uniform_index(g, 2) == 1;
    const LlmCost cost = mixtral(layout(tensor, 1, divided ? tensor : 1, divided && trial % 4 < 2), u);
    IterationWork w = decodes(static_cast<std::int64_t>(uniform_index(g, 40)), 700);
    if (uniform_index(g, 2) == 1 || w.decode_sequences == 0) {
      const IterationWork p = prompt(1 + static_cast<std::int64_t>(uniform_index(g, 2000)));
      w.prefill_tokens = p.prefill_tokens;
      w.prefill_attention = p.prefill_attention;
      w.prefill_context = p.prefill_context;
      ++w.logits;
    }
    const IterationTime step = cost.step_time({w}), plain = cost.iteration_time(w);
    ASSERT_EQ(step.time, plain.time);
    ASSERT_EQ(step.compute_share, plain.compute_share);
    ASSERT_EQ(cost.step({w}).time, plain.time);
  }
}

// A rank's own part is that of its units alone, the experts' that of all units with all tokens.
TEST(DataParallelCost, PartsAreThoseOfTheUnitsThatComputeThem) {
  const std::vector<IterationWork> works(4, decodes(16, 1000));
  for (const bool exchange : {false, true}) {
    const auto ranks = mixtral(layout(2, 4, 8, exchange)).explain_step(works);
    const auto own = mixtral(layout(2, 1, 1)).explain(decodes(16, 1000));
    const auto wide = mixtral(layout(8, 1, 8, exchange)).explain(decodes(64, 1000));
    for (const char* name : {"qkv", "o", "decode_attention", "lm_head"})
      EXPECT_EQ(row_ns(ranks, name), row_ns(own, name)) << name;
    for (const char* name : {"gate_up", "down"}) EXPECT_EQ(row_ns(ranks, name), row_ns(wide, name)) << name;
    EXPECT_NEAR(row_ns(ranks, "all_reduce"), row_ns(own, "all_reduce") / 2, 1);
    if (exchange) EXPECT_EQ(row_ns(ranks, "all_to_all"), row_ns(wide, "all_to_all"));
    // All tokens gathered and their sums scattered: the two halves of an all-reduce over all units.
    else EXPECT_NEAR(row_ns(ranks, "gather_scatter"), row_ns(wide, "all_reduce") / 2, 1);
  }
}

TEST(DataParallelCost, RowsAddUpToTheStep) {
  for (const bool graphs : {false, true}) {
    ComputeUnit u = unit();
    if (graphs) u.graph_sizes = {1, 8, 32, 128, 4096};
    const LlmCost cost = mixtral(layout(2, 4, 8, true), u);
    const std::vector<IterationWork> works{decodes(3, 500), {}, prompt(2500), decodes(10, 500)};
    double sum = 0;
    for (const OperatorCost& r : cost.explain_step(works)) sum += d(r.prediction.time.ns());
    EXPECT_NEAR(sum, d(cost.step_time(works).time.ns()), 20);
    // The prompt is what all wait for.
    EXPECT_GT(row_ns(cost.explain_step(works), "prefill_attention"), 0);
    EXPECT_EQ(cost.step(works).time, cost.step_time(works).time);
  }
}

// Ranks without work are one token each, named or not; who is alone is in step with them.
TEST(DataParallelCost, IdleRanksComputePadding) {
  const LlmCost cost = mixtral(layout(1, 4, 1));
  const IterationWork w = decodes(8, 100);
  EXPECT_EQ(cost.step_time({w}).time, cost.iteration_time(w).time);
  EXPECT_EQ(cost.step_time({w, {}, {}, {}}).time, cost.iteration_time(w).time);
  EXPECT_EQ(cost.step_time({{}, {}, w, {}}).time, cost.iteration_time(w).time);
  // 11 tokens at the experts: as with the three others' decodes.
  const IterationWork one = decodes(1, 100);
  EXPECT_EQ(cost.step_time({w, one, one, one}).time, cost.iteration_time(w).time);
  EXPECT_GT(cost.step_time({w, w, w, w}).time, cost.iteration_time(w).time);
  EXPECT_EQ(cost.step_time({{}, {}}).time, Duration::zero());
  EXPECT_EQ(cost.decode_line(8, 800).ns(800), cost.iteration_ns(w));
}

// All-to-alls wait for the units of the fullest rank, not for the mean.
TEST(DataParallelCost, TheFullestRankSendsTheMost) {
  const LlmCost cost = mixtral(layout(1, 4, 4, true));
  const auto even = cost.explain_step(std::vector<IterationWork>(4, prompt(1000)));
  const auto uneven = cost.explain_step({prompt(1000)});
  EXPECT_EQ(row_ns(even, "all_to_all"), row_ns(uneven, "all_to_all"));
  EXPECT_GT(row_ns(even, "down"), 2 * row_ns(uneven, "down"));
}

// Graphs exist for some numbers of tokens; all ranks take that of the fullest one.
TEST(DataParallelCost, RanksPadToTheFullestOne) {
  ComputeUnit u = unit();
  const LlmCost plain = mixtral(layout(1, 4, 1), u);
  u.graph_sizes = {8, 64};
  const LlmCost padded = mixtral(layout(1, 4, 1), u);
  const std::vector<IterationWork> works{decodes(9, 100), decodes(1, 100)};
  // 64 rows in each of four ranks; attention and sampling of 9.
  std::vector<IterationWork> full(4, decodes(64, 100));
  const auto of_full = plain.explain_step(full), of_works = plain.explain_step(works);
  double expected = d(plain.step_time(works).time.ns());
  for (const char* name : {"qkv", "o", "gate_up", "down", "gather_scatter"})
    expected += row_ns(of_full, name) - row_ns(of_works, name);
  EXPECT_NEAR(d(padded.step_time(works).time.ns()), expected, 20);
  // One rank beyond the largest graph: nobody is padded.
  const std::vector<IterationWork> large{decodes(65, 100), decodes(1, 100)};
  EXPECT_EQ(padded.step_time(large).time, plain.step_time(large).time);
}

// Every rank has attention and embeddings, and its share of the experts.
TEST(DataParallelCost, ARankHasRoomBesideItsShareOfTheExperts) {
  const LlmShape s = builtin_llm("mixtral-8x7b");
  const LlmCost shared = mixtral(layout(4, 1, 4)), ranks = mixtral(layout(1, 4, 4));
  const double experts = 2.0 * 32 * 8 * 3 * 4096 * 14336, rest = shared.weight_bytes() - experts;
  EXPECT_EQ(s.expert_params() * 2, experts);
  EXPECT_NEAR(ranks.weight_bytes(), experts + 4 * rest, 1);
  EXPECT_EQ(ranks.kv_bytes_per_token(), shared.kv_bytes_per_token());
  const double room = 80e9 * 0.9 - (experts / 4 + rest) - ranks.workspace_bytes() / 4;
  EXPECT_NEAR(d(ranks.kv_capacity_tokens()), room / ranks.kv_bytes_per_token(), 1);
  // Together they have less room: copies of the rest take it.
  EXPECT_LT(4 * ranks.kv_capacity_tokens(), shared.kv_capacity_tokens());
  ComputeUnit small = unit();
  small.memory = 24e9;
  try {
    mixtral(layout(1, 4, 4), small).kv_capacity_tokens();
    FAIL();
  } catch (const InputError& e) {
    EXPECT_THAT(e.what(), HasSubstr("each of 4 data-parallel ranks has everything but its share"));
  }
}

TEST(DataParallelCost, RefusesWhatSharesNothing) {
  const auto problem = [](const LlmShape& s, const LlmVariant& v, const LlmLayout& l) {
    try {
      LlmCost(s, v, unit(), l);
    } catch (const InputError& e) {
      return std::string(e.what());
    }
    return std::string("none");
  };
  const LlmShape mixture = builtin_llm("mixtral-8x7b"), dense = builtin_llm("llama-3.1-8b");
  EXPECT_THAT(problem(dense, {}, layout(1, 2, 1)), HasSubstr("use replicas"));
  EXPECT_THAT(problem(mixture, {}, layout(1, 0, 1)), HasSubstr("data_parallel must be at least 1"));
  EXPECT_THAT(problem(mixture, {}, layout(1, 4, 8)), HasSubstr("expert parallelism 8 must divide the 4"));
  LlmLayout staged = layout(1, 2, 1);
  staged.pipeline = 2;
  EXPECT_THAT(problem(mixture, {}, staged), HasSubstr("goes with no pipeline"));
  LlmVariant host;
  host.host_weights = 0.5;
  LlmLayout copied = layout(1, 2, 1);
  copied.host_bandwidth = 1e10;
  EXPECT_THAT(problem(mixture, host, copied), HasSubstr("nor data_parallel"));
  LlmLayout alone = layout(1, 2, 1);
  alone.link_bandwidth = 0;
  EXPECT_THAT(problem(mixture, {}, alone), HasSubstr("need a link bandwidth"));
}

}  // namespace
}  // namespace isthmus::models
