// Language models whose modules are stored in formats of their own.
#include <gtest/gtest.h>

#include "models/builtin_llms.hpp"
#include "models/kernel_profile.hpp"
#include "models/llm_cost.hpp"
#include "models/llm_kernels.hpp"
#include "sim/core/errors.hpp"
#include "tests/models/plain_unit.hpp"

namespace isthmus::models {
namespace {

using testing::decode;
using testing::plain_unit;
using P = Precision;

// Parameters of Llama 3.1 8B, from its dimensions.
constexpr double attention = 32.0 * 4096 * (6144 + 4096), ffn = 32.0 * 3 * 4096 * 14336,
                 tables = 2.0 * 128256 * 4096, norms = 65.0 * 4096;

LlmVariant by_module(P of_attention, P of_ffn, P of_tables) {
  LlmVariant v;
  v.weights = of_ffn;
  v.attention = of_attention;
  v.head = of_tables;
  return v;
}

TEST(LlmModules, BytesAreThoseOfEveryModule) {
  const LlmShape shape = builtin_llm("llama-3.1-8b");
  EXPECT_EQ(shape.attention_params(), attention);
  EXPECT_EQ(weight_bytes(shape, by_module(P::bf16, P::bf16, P::bf16)),
            2 * (attention + ffn + tables + norms));
  LlmVariant v = by_module(P::fp16, P::int8, P::int4);
  EXPECT_DOUBLE_EQ(weight_bytes(shape, v), 2 * attention + ffn + norms + tables / 2);
  v.weight_overhead = 0.25;
  EXPECT_DOUBLE_EQ(weight_bytes(shape, v), 2 * attention + 1.25 * (ffn + norms + tables / 2))
      << "scales only where there are fewer than 16 bits";
  // Eight layers of a pipeline's first stage have a quarter of the layers and one table.
  EXPECT_DOUBLE_EQ(weight_bytes(shape, v, {.layers = 8, .first = true, .last = false}),
                   attention / 2 + 1.25 * ((ffn + norms - 4096) / 4 + tables / 4));
}

TEST(LlmModules, DecodeReadsEveryModuleInItsFormat) {
  const LlmShape shape = builtin_llm("llama-3.1-8b");
  const auto bytes_of_row = [&](const LlmVariant& v, const std::string& name) {
    for (const auto& row : LlmCost(shape, v, plain_unit()).explain(decode(1, 0)))
      if (row.name == name) return row.bytes;
    return 0.0;
  };
  const LlmVariant all16 = by_module(P::bf16, P::bf16, P::bf16);
  const LlmVariant mixed = by_module(P::int8, P::int4, P::bf16);
  const double qkv = 32.0 * 4096 * 6144, down = 32.0 * 4096 * 14336;
  EXPECT_EQ(bytes_of_row(all16, "qkv") - bytes_of_row(mixed, "qkv"), qkv);
  EXPECT_EQ(bytes_of_row(all16, "down") - bytes_of_row(mixed, "down"), 1.5 * down);
  EXPECT_EQ(bytes_of_row(all16, "lm_head"), bytes_of_row(mixed, "lm_head"));
}

// Weights of 16 bits compute at 16 bits beside products of 8.
TEST(LlmModules, WideModulesComputeAtTheirOwnPeak) {
  ComputeUnit unit = plain_unit();
  unit.peak[static_cast<std::size_t>(P::int8)] = 4 * unit.peak[static_cast<std::size_t>(P::bf16)];
  LlmVariant v = by_module(P::bf16, P::int8, P::bf16);
  v.activations = P::int8;
  const LlmCost cost(builtin_llm("llama-3.1-8b"), v, unit);
  double qkv = 0, gate_up = 0;
  const IterationWork prompt{.prefill_tokens = 8192, .logits = 1};
  for (const auto& row : cost.explain(prompt)) {
    const double rate = row.flops / row.prediction.time.seconds();
    if (row.name == "qkv") qkv = rate;
    if (row.name == "gate_up") gate_up = rate;
  }
  EXPECT_NEAR(qkv / 100e12, 1, 1e-6);
  EXPECT_NEAR(gate_up / 400e12, 1, 1e-6);
}

TEST(LlmModules, AFormatThatTheUnitLacksIsRefused) {
  ComputeUnit npu = plain_unit();
  npu.peak = {};
  npu.peak[static_cast<std::size_t>(P::int8)] = 1e12;
  LlmVariant v = by_module(P::fp16, P::int8, P::int8);
  v.activations = P::int8;
  EXPECT_THROW(LlmCost(builtin_llm("llama-3.1-8b"), v, npu), InputError);
}

// A table of 16-bit products answers for the modules that are stored at 16 bits.
TEST(LlmModules, TablesAreAskedInTheFormatOfTheModule) {
  KernelProfile profile({.device = "d", .provenance = "p", .licence = "CC0-1.0", .program_version = "1"});
  KernelTable gemm;
  gemm.kind = "gemm";
  gemm.precision = P::bf16;
  gemm.parameters = {"n", "k", "m"};
  for (const double n : {1024.0, 200000.0})
    for (const double k : {1024.0, 16384.0})
      for (const double m : {1.0, 4096.0}) {
        gemm.shapes.insert(gemm.shapes.end(), {n, k, m});
        for (auto* ns : {&gemm.median_ns, &gemm.p10_ns, &gemm.p90_ns}) ns->push_back(n * k * m);
        gemm.n.push_back(3);
      }
  profile.add(gemm);
  const LlmShape shape = builtin_llm("llama-3.1-8b");
  const LlmKernels mixed(shape, by_module(P::bf16, P::int8, P::int4), {}, {.layers = 32}, profile);
  EXPECT_TRUE(mixed.qkv && mixed.o);
  EXPECT_FALSE(mixed.gate_up || mixed.down || mixed.head);
  const LlmKernels other(shape, by_module(P::int8, P::bf16, P::bf16), {}, {.layers = 32}, profile);
  EXPECT_FALSE(other.qkv || other.o);
  EXPECT_TRUE(other.gate_up && other.down && other.head);
}

}  // namespace
}  // namespace isthmus::models
