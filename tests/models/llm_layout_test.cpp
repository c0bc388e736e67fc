// Replicas of several stages: layers, times and memory of each.
#include "models/llm_layout.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "models/builtin_llms.hpp"
#include "models/kernel_profile.hpp"
#include "models/llm_cost.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

double d(std::int64_t v) { return static_cast<double>(v); }

std::vector<std::int64_t> layers_of(std::int64_t layers, int stages) {
  std::vector<std::int64_t> all;
  for (const LlmStage& s : pipeline_stages(layers, stages)) all.push_back(s.layers);
  return all;
}

ComputeUnit unit() {
  ComputeUnit u;
  u.name = "gpu";
  u.peak[static_cast<std::size_t>(Precision::bf16)] = 100e12;
  u.memory_bandwidth = 1e12;
  u.memory = 24e9;
  u.launch_overhead = Duration(3000);
  u.iteration_overhead = Duration(500'000);
  u.sequence_overhead = Duration(10'000);
  return u;
}

LlmLayout layout(int tensor, int pipeline) {
  return {.tensor = tensor,
          .pipeline = pipeline,
          .link_bandwidth = 25e9,
          .link_latency = Duration(8000)};
}

TEST(PipelineStages, RemainingLayersGoToTheStagesBeforeTheLast) {
  EXPECT_THAT(layers_of(32, 1), ElementsAre(32));
  EXPECT_THAT(layers_of(32, 4), ElementsAre(8, 8, 8, 8));
  EXPECT_THAT(layers_of(33, 4), ElementsAre(8, 8, 9, 8));
  EXPECT_THAT(layers_of(35, 4), ElementsAre(9, 9, 9, 8));
  EXPECT_THAT(layers_of(28, 3), ElementsAre(9, 10, 9));
  for (int stages = 1; stages <= 24; ++stages) {
    const auto all = pipeline_stages(24, stages);
    std::int64_t sum = 0;
    for (const LlmStage& s : all) sum += s.layers;
    EXPECT_EQ(sum, 24);
    EXPECT_TRUE(all.front().first && all.back().last);
    for (std::size_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(all[i].first, i == 0);
      EXPECT_EQ(all[i].last, i + 1 == all.size());
      EXPECT_GE(all[i].layers, 1);
    }
  }
}

TEST(PipelineStages, MayBeGiven) {
  LlmLayout l = layout(1, 2);
  l.stage_layers = {24, 8};
  const LlmCost cost(builtin_llm("llama-3.1-8b"), {}, unit(), l);
  EXPECT_NEAR(cost.stages()[0].weight_bytes(), 2 * (24 * 218112000.0 + 128256.0 * 4096), 1);
  EXPECT_EQ(cost.stages()[1].kv_bytes_per_token(), 8 * 4096);
  for (const auto& wrong : {std::vector<std::int64_t>{24, 7}, {32}, {16, 8, 8}, {32, 0}}) {
    l.stage_layers = wrong;
    EXPECT_THROW(LlmCost(builtin_llm("llama-3.1-8b"), {}, unit(), l), InputError);
  }
}

TEST(PipelineStages, HoldTheWeightsOfTheModelOnce) {
  const LlmShape s = builtin_llm("llama-3.1-8b");
  const LlmVariant v;
  double sum = 0;
  for (const LlmStage& stage : pipeline_stages(s.layers, 3)) sum += weight_bytes(s, v, stage);
  EXPECT_NEAR(sum, weight_bytes(s, v), 1);
  // Tied embeddings are on both ends.
  const LlmShape tied = builtin_llm("llama-3.2-1b");
  sum = 0;
  for (const LlmStage& stage : pipeline_stages(tied.layers, 2)) sum += weight_bytes(tied, v, stage);
  EXPECT_NEAR(sum, weight_bytes(tied, v) + 2.0 * 128256 * 2048, 1);
  // The embedding of Llama 3.1 8B has 128,256 x 4,096 weights, a layer 218,112,000.
  const auto stages = pipeline_stages(32, 4);
  EXPECT_NEAR(weight_bytes(s, v, stages[0]), 2 * (8 * 218112000.0 + 128256.0 * 4096), 1);
  EXPECT_NEAR(weight_bytes(s, v, stages[1]), 2 * 8 * 218112000.0, 1);
  EXPECT_NEAR(weight_bytes(s, v, stages[3]), 2 * (8 * 218112000.0 + 128256.0 * 4096 + 4096), 1);
}

// A vision tower on the first stage, an output head on the last.
const std::vector<IterationWork> works{
    {.prefill_tokens = 700, .prefill_attention = 245000, .prefill_context = 700, .logits = 1},
    {.prefill_tokens = 1500,
     .prefill_attention = 1125000,
     .prefill_context = 1500,
     .logits = 1,
     .image_tokens = 1200},
    {.decode_sequences = 17, .decode_context = 30000, .logits = 17},
    {.prefill_tokens = 100,
     .prefill_attention = 5000,
     .prefill_context = 100,
     .decode_sequences = 5,
     .decode_context = 9000,
     .logits = 5}};

TEST(LlmPipeline, AnIterationIsTheSumOfItsStages) {
  const LlmShape s = builtin_llm("autoglm-phone-9b");
  for (const int tensor : {1, 2}) {
    const LlmCost one(s, {}, unit(), layout(tensor, 1));
    const LlmCost three(s, {}, unit(), layout(tensor, 3));
    ASSERT_EQ(three.stages().size(), 3u);
    EXPECT_TRUE(one.stages().empty());
    EXPECT_EQ(one.send_ns(100), 0);
    for (const IterationWork& w : works) {
      const std::int64_t tokens = w.prefill_tokens + w.decode_sequences;
      std::int64_t sum = 2 * three.send_ns(tokens);
      for (const LlmCost& stage : three.stages()) sum += stage.iteration_ns(w);
      // Frameworks of later stages prepare while the first one computes.
      sum -= 2 * three.preparation_ns();
      EXPECT_NEAR(d(sum), d(three.iteration_ns(w)), 5);
      EXPECT_NEAR(d(three.iteration_ns(w)), d(one.iteration_ns(w) + 2 * three.send_ns(tokens)), 5);
    }
  }
  const LlmCost three(s, {}, unit(), layout(1, 3));
  // 8 us, and 100 hidden states of 4,096 x 2 bytes over 25 GB/s.
  EXPECT_EQ(three.send_ns(100), 8000 + 32768);
  EXPECT_EQ(three.preparation_ns(), 500'000);
  // The tower counts on the first stage alone.
  const IterationWork with = works[1];
  IterationWork without = with;
  without.image_tokens = 0;
  EXPECT_GT(three.stages()[0].iteration_ns(with), three.stages()[0].iteration_ns(without));
  EXPECT_EQ(three.stages()[1].iteration_ns(with), three.stages()[1].iteration_ns(without));
}

TEST(LlmPipeline, LinesHoldThroughAllStages) {
  const LlmCost cost(builtin_llm("qwen2.5-7b"), {}, unit(), layout(1, 4));
  for (const std::int64_t context : {1000, 77777})
    EXPECT_EQ(cost.decode_line(9, context).ns(d(context)),
              cost.iteration_ns(
                  {.decode_sequences = 9, .decode_context = context, .logits = 9}));
}

TEST(LlmPipeline, RowsOfExplainAddUp) {
  const LlmCost cost(builtin_llm("llama-3.1-8b"), {}, unit(), layout(2, 2));
  std::int64_t sum = 0;
  bool sends = false;
  for (const OperatorCost& row : cost.explain(works[0])) {
    sum += row.prediction.time.ns();
    sends = sends || row.name == "stage_transfer";
  }
  EXPECT_TRUE(sends);
  EXPECT_NEAR(d(sum), d(cost.iteration_ns(works[0])), 20);
}

TEST(LlmPipeline, TheFullestStageLimitsTheCache) {
  const LlmShape s = builtin_llm("llama-3.1-8b");
  const LlmCost two(s, {}, unit(), layout(1, 2));
  // Last stage, by hand: 24 GB x 0.9 - 2 (16 x 218,112,000 + 128,256 x 4,096 + 4,096) bytes of weights
  // - 2,048 x (4 x 4,096 + 2 x 14,336) x 2 of activations - 256 x 128,256 x 4 of logits - 1.2 GB, at
  // 2 x 16 x 8 x 128 x 2 bytes per token.
  const double room = 24e9 * 0.9 - 2 * (16 * 218112000.0 + 128256.0 * 4096 + 4096) -
                      2048.0 * (4 * 4096 + 2 * 14336) * 2 - 256.0 * 128256 * 4 - 0.05 * 24e9;
  EXPECT_EQ(two.kv_capacity_tokens(0.9), static_cast<std::int64_t>(room / 65536));
  EXPECT_EQ(two.kv_bytes_per_token(), 131072);
  EXPECT_EQ(two.stages()[0].kv_bytes_per_token(), 65536);
  EXPECT_NEAR(two.weight_bytes(), LlmCost(s, {}, unit(), layout(1, 1)).weight_bytes(), 1);
}

TEST(LlmPipeline, ErrorsStateTheArithmeticOfTheStage) {
  ComputeUnit small = unit();
  small.memory = 8e9;
  const LlmCost two(builtin_llm("llama-3.1-8b"), {}, small, layout(1, 2));
  try {
    two.kv_capacity_tokens(0.9);
    FAIL() << "8 GB of weights fit into 7.2 GB";
  } catch (const InputError& e) {
    EXPECT_THAT(e.what(), HasSubstr("of which a stage has 16 of 32 layers and the embedding"));
    EXPECT_THAT(e.what(), HasSubstr("weights 8.03 GB"));
    EXPECT_THAT(e.what(), HasSubstr("8.00 GB x 0.90 = 7.20 GB"));
  }
  EXPECT_THROW(LlmCost(builtin_llm("llama-3.2-1b"), {}, unit(), layout(1, 17)), InputError);
  LlmLayout unconnected = layout(1, 2);
  unconnected.link_bandwidth = 0;
  EXPECT_THROW(LlmCost(builtin_llm("llama-3.2-1b"), {}, unit(), unconnected), InputError);
}

TEST(LlmPipeline, MeasuredMessagesTakeThePlaceOfTheLink) {
  KernelProfile profile(
      {.device = "d", .provenance = "formula", .licence = "CC0-1.0", .program_version = "1"});
  KernelTable t;
  t.kind = "send_recv";
  t.precision = Precision::bf16;
  t.parameters = {"devices", "bytes"};
  for (const double bytes : {8192.0, 81920.0, 8192000.0}) {
    t.shapes.insert(t.shapes.end(), {2.0, bytes});
    for (auto* ns : {&t.median_ns, &t.p10_ns, &t.p90_ns}) ns->push_back(5000 + bytes / 100);
    t.n.push_back(3);
  }
  profile.add(t);
  const LlmCost cost(builtin_llm("llama-3.1-8b"), {}, unit(), layout(1, 2), &profile);
  EXPECT_NEAR(d(cost.send_ns(50)), 5000 + 50 * 8192 / 100.0, 1);
}

// ---- experts ---------------------------------------------------------------------------------------

LlmLayout mixture_layout(int tensor, int expert) {
  LlmLayout l = layout(tensor, 1);
  l.expert = expert;
  return l;
}

TEST(LlmExperts, TheBusiestPartSetsTheTime) {
  const LlmShape s = builtin_llm("mixtral-8x7b");
  ComputeUnit u = unit();
  u.memory = 100e9;
  // 4,096 tokens are compute-bound: the experts' time is in proportion to the largest load.
  const IterationWork w{.prefill_tokens = 4096,
                        .prefill_attention = 4096.0 * 2048,
                        .prefill_context = 4096,
                        .logits = 1};
  const auto experts_ns = [&](const LlmCost& cost) {
    double ns = 0;
    for (const OperatorCost& row : cost.explain(w))
      if (row.name == "gate_up" || row.name == "down") ns += d(row.prediction.time.ns());
    return ns;
  };
  LlmLayout l = mixture_layout(4, 4);
  l.expert_imbalance = 1.5;
  const LlmCost shared(s, {}, u, mixture_layout(4, 1)), given(s, {}, u, l);
  EXPECT_EQ(given.expert_imbalance(4096), 1.5);
  EXPECT_EQ(shared.expert_imbalance(4096), 1);
  const double launches = 2 * 32 * 3000;
  EXPECT_NEAR((experts_ns(given) - launches) / (experts_ns(shared) - launches), 1.5, 1e-6);
  EXPECT_NEAR(d(given.iteration_ns(w) - shared.iteration_ns(w)), experts_ns(given) - experts_ns(shared),
              10);
  // From the law: little for even choices of many tokens, more for popular experts.
  const LlmCost even(s, {}, u, mixture_layout(4, 4));
  EXPECT_GT(even.expert_imbalance(4096), 1.005);
  EXPECT_LT(even.expert_imbalance(4096), 1.05);
  l.expert_imbalance = 0;
  l.expert_skew = 1;
  EXPECT_GT(LlmCost(s, {}, u, l).expert_imbalance(4096), 1.3);
  // Weights and cache are divided as before.
  EXPECT_EQ(even.weight_bytes(), shared.weight_bytes());
  EXPECT_EQ(even.kv_capacity_tokens(), shared.kv_capacity_tokens());
}

// One decoding sequence: its two experts lie on two of eight units, each of which reads one of them.
TEST(LlmExperts, OneTokenReadsOneExpertOfAUnit) {
  const LlmShape s = builtin_llm("mixtral-8x7b");
  const LlmCost cost(s, {}, unit(), mixture_layout(8, 8));
  const IterationWork w{.decode_sequences = 1, .decode_context = 100, .logits = 1};
  for (const OperatorCost& row : cost.explain(w))
    if (row.name == "down") {
      EXPECT_NEAR(row.bytes, 32 * (2.0 * 4096 * 14336 + 2 * (4096 + 14336)), 1);
    }
  EXPECT_EQ(cost.decode_line(1, 100).ns(100), cost.iteration_ns(w));
}

TEST(LlmExperts, ExchangeTakesThePlaceOfAnAllReduce) {
  const LlmShape s = builtin_llm("mixtral-8x7b");
  LlmLayout l = mixture_layout(4, 4);
  const IterationWork w{.decode_sequences = 64, .decode_context = 6400, .logits = 64};
  const LlmCost reduced(s, {}, unit(), l);
  l.all_to_all = true;
  const LlmCost exchanged(s, {}, unit(), l);
  const auto row_ns = [&](const LlmCost& cost, const std::string& name) {
    for (const OperatorCost& row : cost.explain(w))
      if (row.name == name) return d(row.prediction.time.ns());
    return 0.0;
  };
  EXPECT_NEAR(row_ns(exchanged, "all_reduce"), row_ns(reduced, "all_reduce") / 2, 2);
  EXPECT_EQ(row_ns(reduced, "all_to_all"), 0);
  // 32 layers, twice: 8 us, and 16 tokens per unit with 2 choices each, 3/4 of them elsewhere, 8,192
  // bytes over 25 GB/s.
  EXPECT_NEAR(row_ns(exchanged, "all_to_all"), 64 * (8000 + 16 * 2 * 0.75 * 8192 / 25.0), 2);
}

TEST(LlmExperts, RefusesPartsThatDoNotDivide) {
  const LlmShape mixture = builtin_llm("mixtral-8x7b"), dense = builtin_llm("llama-3.1-8b");
  EXPECT_THROW(LlmCost(dense, {}, unit(), mixture_layout(2, 2)), InputError);
  EXPECT_THROW(LlmCost(mixture, {}, unit(), mixture_layout(2, 4)), InputError);
  EXPECT_THROW(LlmCost(mixture, {}, unit(), mixture_layout(16, 16)), InputError);
  LlmLayout l = mixture_layout(2, 2);
  l.expert_imbalance = 2.5;
  EXPECT_THROW(LlmCost(mixture, {}, unit(), l), InputError);
}

}  // namespace
}  // namespace isthmus::models
