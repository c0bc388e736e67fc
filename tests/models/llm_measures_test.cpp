// What makes inference cheaper: sparse feed-forwards, fewer kernels, weights that come from the host.
#include <gtest/gtest.h>

#include <cmath>

#include "models/builtin_llms.hpp"
#include "models/llm_cost.hpp"
#include "sim/core/errors.hpp"
#include "tests/models/plain_unit.hpp"

namespace isthmus::models {
namespace {

using testing::decode;
using testing::plain_unit;

// Bytes of Llama 3.1 8B in bf16, from its dimensions.
constexpr double attention = 2 * 32.0 * 4096 * (6144 + 4096), ffn = 2 * 32.0 * 3 * 4096 * 14336;

LlmCost cost_of(const LlmVariant& variant, const ComputeUnit& unit, const LlmLayout& layout = {}) {
  return LlmCost(builtin_llm("llama-3.1-8b"), variant, unit, layout);
}
double ns(const LlmCost& cost, const IterationWork& work) {
  return static_cast<double>(cost.iteration_ns(work));
}
LlmVariant from_host(double share, bool prefetch) {
  LlmVariant v;
  v.host_weights = share;
  v.prefetch = prefetch;
  return v;
}
constexpr double host_bandwidth = 25e9;
LlmLayout with_host(int tensor = 1) {
  return {.tensor = tensor, .link_bandwidth = 1e15, .host_bandwidth = host_bandwidth};
}

TEST(LlmSparse, TheUnionOfNeededNeuronsIsReadAndComputed) {
  LlmVariant sparse;
  sparse.ffn_active = 0.2;
  const LlmCost cost = cost_of(sparse, plain_unit()), dense = cost_of({}, plain_unit());
  const auto row = [](const LlmCost& c, std::int64_t sequences) {
    for (const auto& r : c.explain(decode(sequences, 0)))
      if (r.name == "down") return r;
    return OperatorCost{};
  };
  for (const std::int64_t n : {1, 2, 7, 30}) {
    const double left = std::pow(0.8, static_cast<double>(n));
    EXPECT_NEAR(row(dense, n).bytes - row(cost, n).bytes, ffn / 3 * left, 1);
    EXPECT_NEAR(row(cost, n).flops, row(dense, n).flops * (1 - left), 1);
    // Bound by memory, an iteration is shorter by what is not read: 1 TB/s.
    EXPECT_NEAR(ns(dense, decode(n, 1000)) - ns(cost, decode(n, 1000)), ffn * left / 1e3, 1);
  }
  EXPECT_EQ(cost.iteration_ns(decode(1000, 1)), dense.iteration_ns(decode(1000, 1)))
      << "nothing is left to skip in big batches";
  EXPECT_EQ(cost.weight_bytes(), dense.weight_bytes()) << "all weights are kept";
}

TEST(LlmSparse, ArithmeticShrinksWhereItSetsTheTime) {
  ComputeUnit slow = plain_unit();
  slow.peak[static_cast<std::size_t>(Precision::bf16)] = 0.1e12;  // 1 flop takes as long as 10 B
  LlmVariant sparse;
  sparse.ffn_active = 0.25;
  const double saved = ns(cost_of({}, slow), decode(1, 10)) - ns(cost_of(sparse, slow), decode(1, 10));
  EXPECT_NEAR(saved, 0.75 * ffn / 0.1e12 * 1e9, 1) << "two flops per weight of two bytes";
}

TEST(LlmKernelsPerLayer, EveryLaunchCounts) {
  ComputeUnit unit = plain_unit();
  unit.launch_overhead = Duration(4000);
  LlmVariant eager, fused;
  eager.layer_kernels = 15;
  fused.layer_kernels = 2;
  const double as_counted = ns(cost_of({}, unit), decode(3, 500));
  EXPECT_NEAR(ns(cost_of(eager, unit), decode(3, 500)) - as_counted, 10 * 32 * 4000.0, 1);
  EXPECT_NEAR(as_counted - ns(cost_of(fused, unit), decode(3, 500)), 3 * 32 * 4000.0, 1);
  // Attention of prompts and of decodes are two passes: a fifth of a layer's kernels more.
  IterationWork mixed = decode(3, 500);
  mixed.prefill_tokens = 1;
  const double both = ns(cost_of(eager, unit), mixed) - ns(cost_of({}, unit), mixed);
  EXPECT_NEAR(both, 12 * 32 * 4000.0, 1);
}

TEST(LlmHostWeights, CopiesAddUpOrRunAhead) {
  const double copy = 0.1 * (attention + ffn) / host_bandwidth * 1e9;
  const IterationWork work = decode(4, 4000);
  const double here = ns(cost_of({}, plain_unit()), work);
  ASSERT_GT(copy, here) << "the copies are the longer part";
  EXPECT_NEAR(ns(cost_of(from_host(0.1, false), plain_unit(), with_host()), work), here + copy, 1);
  EXPECT_NEAR(ns(cost_of(from_host(0.1, true), plain_unit(), with_host()), work), copy, 1);
  const LlmCost little = cost_of(from_host(0.01, true), plain_unit(), with_host());
  EXPECT_EQ(ns(little, work), here) << "copies that pass beside longer work cost nothing";
  // Two units have a link each.
  const double halves = ns(cost_of({}, plain_unit(), with_host(2)), work) + copy / 2;
  EXPECT_NEAR(ns(cost_of(from_host(0.1, false), plain_unit(), with_host(2)), work), halves, 1);
}

TEST(LlmHostWeights, OnlyNeededNeuronsAreCopied) {
  LlmVariant v = from_host(0.1, false), here;
  v.ffn_active = here.ffn_active = 0.2;
  const double copy = 0.1 * (attention + 0.36 * ffn) / host_bandwidth * 1e9;
  EXPECT_NEAR(ns(cost_of(v, plain_unit(), with_host()), decode(2, 10)),
              ns(cost_of(here, plain_unit()), decode(2, 10)) + copy, 1);
}

TEST(LlmHostWeights, TheyLeaveRoomForKeysAndValues) {
  const LlmCost here = cost_of({}, plain_unit());
  const LlmCost there = cost_of(from_host(0.5, true), plain_unit(), with_host());
  const double out = 0.5 * (attention + ffn), copies = 2 * out / 32;
  EXPECT_EQ(there.host_weight_bytes(), out);
  EXPECT_EQ(there.weight_bytes(), here.weight_bytes());
  EXPECT_NEAR(static_cast<double>(there.kv_capacity_tokens() - here.kv_capacity_tokens()),
              (out - copies) / here.kv_bytes_per_token(), 1);
}

TEST(LlmHostWeights, ExplainedRowsAddUp) {
  ComputeUnit unit = plain_unit();
  unit.graph_sizes = {8, 16};  // nine rows run as sixteen
  unit.iteration_overhead = Duration(3'000'000);
  unit.launch_overhead = Duration(2000);
  for (const bool hidden : {false, true})
    for (const bool prefetch : {false, true})
      for (const double share : {0.0, 0.02, 0.06, 0.4}) {
        unit.overlap_overhead = hidden;
        const LlmCost cost =
            cost_of(from_host(share, prefetch && share > 0), unit, with_host());
        double sum = 0;
        bool row = false;
        for (const auto& r : cost.explain(decode(9, 9000))) {
          sum += static_cast<double>(r.prediction.time.ns());
          row = row || r.name == "host_weights";
        }
        EXPECT_NEAR(sum, ns(cost, decode(9, 9000)), 5) << share << hidden << prefetch;
        EXPECT_EQ(row, share > 0);
        EXPECT_EQ(cost.iteration(decode(9, 9000)).time.ns(), cost.iteration_ns(decode(9, 9000)));
      }
}

// Leaps of the engine rely on it, on both sides of the context at which reading it takes longer than
// copies and framework.
TEST(LlmHostWeights, DecodeLineIsBitIdentical) {
  ComputeUnit unit = plain_unit();
  unit.iteration_overhead = Duration(11'000'000);
  unit.launch_overhead = Duration(2300);
  bool below = false, above = false;
  for (const bool hidden : {false, true})
    for (const bool prefetch : {false, true})
      for (const double share : {0.01, 0.04, 0.3})
        for (const double active : {1.0, 0.13}) {
          unit.overlap_overhead = hidden;
          unit.graph_sizes = active < 1 ? std::vector<std::int64_t>{1, 24} : std::vector<std::int64_t>{};
          LlmVariant v = from_host(share, prefetch);
          v.ffn_active = active;
          v.layer_kernels = 7;
          const LlmCost cost = cost_of(v, unit, with_host());
          for (const std::int64_t b : {1, 2, 19})
            for (std::int64_t c = 1; c < 3000000; c = c * 3 + 7) {
              const DecodeLine line = cost.decode_line(b, c);
              ASSERT_TRUE(line.holds(static_cast<double>(c)));
              for (const double at : {line.first_context, static_cast<double>(c), line.end_context - 1})
                if (std::isfinite(at) && line.holds(std::ceil(at))) {
                  const double whole = std::ceil(at);
                  ASSERT_EQ(cost.iteration_ns(decode(b, std::llround(whole))), line.ns(whole));
                  ASSERT_EQ(cost.iteration_time(decode(b, std::llround(whole))).compute_share,
                            line.compute_share(whole));
                }
              (line.per_context_ns == 0 ? below : above) = true;
            }
        }
  EXPECT_TRUE(below && above);
}

TEST(LlmHostWeights, RefusesWhatCannotWork) {
  const auto problem = [](const LlmVariant& v, const LlmLayout& layout) -> std::string {
    try {
      cost_of(v, plain_unit(), layout);
    } catch (const InputError& e) {
      return e.what();
    }
    return "";
  };
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(has(problem(from_host(0.5, false), {}), "unit_transfer"));
  EXPECT_TRUE(has(problem(from_host(0, true), with_host()), "prefetch needs host_weights"));
  EXPECT_TRUE(has(problem(from_host(1.5, true), with_host()), "host_weights must be in [0, 1]"));
  LlmLayout stages = with_host();
  stages.pipeline = 2;
  EXPECT_TRUE(has(problem(from_host(0.5, true), stages), "pipeline"));
  LlmVariant v;
  v.ffn_active = 0;
  v.layer_kernels = 0;
  const std::string both = problem(v, {});
  EXPECT_TRUE(has(both, "ffn_active must be in (0, 1], not 0"));
  EXPECT_TRUE(has(both, "layer_kernels must be at least 1, not 0"));
  v = {};
  v.ffn_active = 0.5;
  EXPECT_THROW(LlmCost(builtin_llm("qwen3-30b-a3b"), v, plain_unit()), InputError);
}

}  // namespace
}  // namespace isthmus::models
