// The LLM cost model: closed forms worked by hand, then identities that the engine relies on.
#include "models/llm_cost.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

#include "models/builtin_llms.hpp"
#include "sim/core/errors.hpp"
#include "tests/models/plain_unit.hpp"
#include "tests/models/reference_units.hpp"

namespace isthmus::models {
namespace {

using testing::decode;
using testing::plain_unit;
using testing::reference_unit;
using testing::reference_variant;

IterationWork prefill(std::int64_t tokens) {
  const double t = static_cast<double>(tokens);
  return {.prefill_tokens = tokens,
          .prefill_attention = t * t / 2,
          .prefill_context = tokens,
          .logits = 1};
}

TEST(LlmCost, DecodeIsTheReadingOfWeightsAndCache) {
  const LlmShape shape = builtin_llm("llama-3.1-8b");
  const LlmCost cost(shape, {}, plain_unit());
  // Weights of all products (no input embedding, no norms) and their activations, at 2 bytes.
  const double qkv = 4096.0 * 6144, o = 4096.0 * 4096, gate_up = 4096.0 * 28672,
               down = 14336.0 * 4096, head = 4096.0 * 128256;
  const double weights = 32 * (qkv + o + gate_up + down) + head;
  const double activations =
      32.0 * (4096 + 6144 + 8192 + 4096 + 28672 + 14336 + 4096) + 4096 + 128256;
  const double cache = 1000 * 131072.0;
  const double bytes = 2 * (weights + activations) + cache;
  EXPECT_EQ(cost.iteration_ns(decode(1, 1000)), std::llround(bytes / 1e12 * 1e9));
  EXPECT_EQ(cost.kv_bytes_per_token(), 131072);
  EXPECT_NEAR(cost.iteration(decode(1, 1000)).compute_share, 0, 1e-12);
}

TEST(LlmCost, LargePrefillIsItsArithmetic) {
  const LlmShape shape = builtin_llm("llama-3.1-8b");
  const LlmCost cost(shape, {}, plain_unit());
  const double layers = 32.0 * 4096 * (6144 + 4096 + 28672 + 14336), t = 8192;
  const double head_ns = 2 * (4096.0 * 128256 + 4096 + 128256) / 1e12 * 1e9;  // one row: memory
  const double flops = 2 * layers * t + 4.0 * 32 * 128 * 32 * t * t / 2;
  EXPECT_EQ(cost.iteration_ns(prefill(8192)), std::llround(flops / 100e12 * 1e9 + head_ns));
  EXPECT_GT(cost.iteration(prefill(8192)).compute_share, 0.98);
}

// Half the bandwidth: batch-1 decoding takes twice as long, fixed overheads apart, to the ns.
TEST(LlmCost, HalvingBandwidthDoublesDecode) {
  ComputeUnit unit = reference_unit("nvidia-h100-sxm").unit;
  const LlmShape shape = builtin_llm("llama-3.1-8b");
  const LlmVariant bf16 = reference_variant("bf16");
  const LlmCost whole(shape, bf16, unit);
  unit.memory_bandwidth /= 2;
  const LlmCost half(shape, bf16, unit);
  const std::int64_t fixed =
      unit.iteration_overhead.ns() + unit.launch_overhead.ns() * (5 * 32 + 1);
  for (const std::int64_t context : {1, 777, 50000})
    EXPECT_NEAR(static_cast<double>(half.iteration_ns(decode(1, context)) - fixed),
                2.0 * static_cast<double>(whole.iteration_ns(decode(1, context)) - fixed), 1.0);
}

// The sum of the explained rows, each a plain max(compute, memory), is the prepared time.
TEST(LlmCost, PreparedTimesEqualTheOperatorSums) {
  for (const char* model : {"llama-3.1-8b", "autoglm-phone-9b", "qwen3-30b-a3b", "qwen2-vl-2b"}) {
    for (const char* device : {"nvidia-a100-80g", "raspberry-pi-5", "snapdragon-8-gen3"}) {
      const auto& r = reference_unit(device);
      const int parallel = r.link_bandwidth > 0 ? 2 : 1;
      const LlmCost cost(builtin_llm(model), reference_variant("q4"), r.unit, parallel,
                         r.link_bandwidth, r.link_latency);
      for (const std::int64_t tokens : {0, 1, 3, 17, 64, 100, 156, 157, 300, 1000, 5000}) {
        for (const std::int64_t sequences : {0, 1, 7, 200}) {
          IterationWork w = prefill(tokens);
          w.decode_sequences = sequences;
          w.decode_context = 900 * sequences;
          w.logits = sequences + 1;
          w.image_tokens = tokens / 2;
          double ns = 0;
          for (const auto& row : cost.explain(w)) ns += row.prediction.time.seconds() * 1e9;
          // Every row is rounded to a whole ns.
          EXPECT_NEAR(static_cast<double>(cost.iteration_ns(w)), ns, 12)
              << model << " " << device << " " << tokens << " " << sequences;
          EXPECT_EQ(cost.iteration(w).time.ns(), cost.iteration_ns(w));
        }
      }
    }
  }
}

TEST(LlmCost, DecodeLineIsBitIdentical) {
  for (const char* device : {"nvidia-h100-sxm", "raspberry-pi-5"}) {
    const LlmCost cost(builtin_llm("qwen3-8b"), reference_variant("int4-awq"),
                       reference_unit(device).unit);
    for (const std::int64_t b : {1, 2, 31, 256}) {
      const DecodeLine line = cost.decode_line(b, 1);
      EXPECT_FALSE(std::isfinite(line.end_context));
      for (std::int64_t c = 1; c < 3000000; c = c * 3 + 7) {
        const auto x = static_cast<double>(c);
        ASSERT_EQ(cost.iteration_ns(decode(b, c)), std::llround(line.base_ns + line.per_context_ns * x));
        ASSERT_EQ(cost.iteration_time(decode(b, c)).compute_share, line.compute_share(x));
      }
    }
  }
}

// Five decodes run as the captured eight: products of eight rows, attention and head of five.
TEST(LlmCost, IterationsArePaddedToCapturedSizes) {
  const LlmShape shape = builtin_llm("llama-3.1-8b");
  ComputeUnit unit = plain_unit();
  const LlmCost plain(shape, {}, unit);
  unit.graph_sizes = {4, 8};
  const LlmCost padded(shape, {}, unit);
  for (const std::int64_t sequences : {1, 3, 4, 5, 8, 9}) {
    const IterationWork w = decode(sequences, 1000 * sequences);
    const std::int64_t rows = sequences <= 4 ? 4 : sequences <= 8 ? 8 : sequences;
    IterationWork more = w;
    more.decode_sequences = rows;
    EXPECT_EQ(padded.iteration_ns(w), plain.iteration_ns(more)) << sequences;
    EXPECT_EQ(padded.iteration_ns(w), padded.decode_line(sequences, 1000).ns(1000.0 * static_cast<double>(sequences)));
    std::int64_t sum = 0, padding = 0;
    for (const OperatorCost& o : padded.explain(w)) {
      sum += o.prediction.time.ns();
      if (std::string_view(o.name) == "graph_padding") padding = o.prediction.time.ns();
    }
    EXPECT_NEAR(static_cast<double>(sum), static_cast<double>(padded.iteration_ns(w)), 10);
    EXPECT_EQ(padding > 0, rows > sequences) << sequences;
  }
}

// What engines ask for in the hot path says the same as the operators one by one.
TEST(LlmCost, TheComputeShareIsThatOfTheOperators) {
  for (const char* name : {"llama-3.1-8b", "qwen3-30b-a3b", "qwen2-vl-2b"}) {
    const LlmCost cost(builtin_llm(name), {}, plain_unit());
    for (const std::int64_t tokens : {1, 40, 300, 5000}) {
      for (const std::int64_t image : {0, 200}) {
        IterationWork w = prefill(tokens);
        w.decode_sequences = w.logits = tokens;
        w.decode_context = 700 * tokens;
        w.image_tokens = image;
        double compute = 0, total = 0;
        for (const OperatorCost& o : cost.explain(w)) {
          const auto ns = static_cast<double>(o.prediction.time.ns());
          compute += o.prediction.compute_share * ns;
          total += ns;
        }
        const IterationTime t = cost.iteration_time(w);
        EXPECT_EQ(t.time, cost.iteration(w).time);
        EXPECT_EQ(t.compute_share, cost.iteration(w).compute_share);
        EXPECT_NEAR(t.compute_share, compute / total, 1e-4) << name << " " << tokens;
      }
    }
  }
}

TEST(LlmCost, TimeGrowsWithEveryKindOfWork) {
  const auto& r = reference_unit("jetson-agx-orin");
  const LlmCost cost(builtin_llm("qwen2-vl-2b"), reference_variant("int4-awq"), r.unit);
  std::int64_t before = 0;
  for (std::int64_t t = 1; t < 4000; t += 13) {
    const std::int64_t now = cost.iteration_ns(prefill(t));
    EXPECT_GT(now, before);
    before = now;
  }
  IterationWork image = prefill(1000);
  const std::int64_t text_only = cost.iteration_ns(image);
  image.image_tokens = 500;
  const std::int64_t small = cost.iteration_ns(image);
  image.image_tokens = 1000;
  EXPECT_GT(small, text_only);
  EXPECT_GT(cost.iteration_ns(image), small);
}

TEST(LlmCost, TensorParallelDividesWorkAndAddsReduces) {
  const LlmShape shape = builtin_llm("llama-3.1-8b");
  const LlmCost one(shape, {}, plain_unit());
  const LlmCost four(shape, {}, plain_unit(), 4, 1e11, Duration(5000));
  // 2 all-reduces per layer of 4096 x 2 bytes: 2 hops, and 2 (p-1)/p of the bytes cross the link.
  const double reduces = 64 * (2 * 5000 + 1.5 * 8192 / 1e11 * 1e9);
  EXPECT_NEAR(static_cast<double>(four.iteration_ns(decode(1, 100))),
              static_cast<double>(one.iteration_ns(decode(1, 100))) / 4 + reduces, 1.0);
  EXPECT_EQ(four.weight_bytes(), one.weight_bytes());
  EXPECT_THROW(LlmCost(shape, {}, plain_unit(), 2), InputError) << "no link bandwidth";
}

TEST(LlmCost, MixtureReadsOnlyChosenExperts) {
  const LlmShape shape = builtin_llm("qwen3-30b-a3b");
  const LlmCost cost(shape, {}, plain_unit());
  const auto bytes_of_down = [&](std::int64_t sequences) {
    for (const auto& row : cost.explain(decode(sequences, 0)))
      if (row.name == "down") return row.bytes;
    return 0.0;
  };
  const double all = 2.0 * 48 * 128 * 2048 * 768;
  EXPECT_NEAR(bytes_of_down(1) / all, 8.0 / 128, 0.001);
  EXPECT_NEAR(bytes_of_down(2) / all, 1 - std::pow(1 - 8.0 / 128, 2), 0.001);
  const double activations = 1000 * 2.0 * 48 * 8 * (2048 + 768);
  EXPECT_NEAR((bytes_of_down(1000) - activations) / all, 1, 1e-9);
}

TEST(LlmCost, RequestIsItsPrefillAndDecodes) {
  const auto& r = reference_unit("nvidia-h100-sxm");
  const LlmCost cost(builtin_llm("llama-3.1-8b"), reference_variant("bf16"), r.unit);
  std::int64_t sum = cost.iteration_ns(prefill(700));
  for (std::int64_t i = 1; i < 100; ++i) sum += cost.iteration_ns(decode(1, 700 + i));
  const Prediction p = cost.request(700, 0, 100);
  EXPECT_NEAR(static_cast<double>(p.time.ns()), static_cast<double>(sum), 50) << "rounding only";
  EXPECT_EQ(p.kind, PredictionKind::roofline);
  EXPECT_EQ(p.relative_error, r.unit.efficiency_error);
  EXPECT_EQ(cost.request(700, 0, 1).time.ns(), cost.iteration_ns(prefill(700)));
}

// vLLM on an RTX 4090 reported a KV space of 41,408 tokens for Llama-3.1-8B in bf16
// (LLMServingSim's benchmark run).
TEST(LlmCost, KvCapacityIsNearWhatVllmFinds) {
  const LlmCost cost(builtin_llm("llama-3.1-8b"), reference_variant("bf16"),
                     reference_unit("rtx-4090").unit);
  const auto tokens = static_cast<double>(cost.kv_capacity_tokens(0.9));
  EXPECT_NEAR(tokens / 41408, 1, 0.05) << tokens;
  RecordProperty("kv_tokens", static_cast<int>(tokens));
}

TEST(LlmCost, RefusesWhatCannotWork) {
  const auto& t4 = reference_unit("nvidia-t4").unit;
  const LlmCost big(builtin_llm("llama-3.1-70b"), reference_variant("fp16"), t4);
  try {
    big.kv_capacity_tokens();
    FAIL();
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("weights 141.11 GB"), std::string::npos) << e.what();
  }
  LlmShape broken = builtin_llm("qwen3-8b");
  broken.layers = 0;
  broken.kv_heads = 5;
  try {
    LlmCost(broken, reference_variant("fp16"), t4);
    FAIL();
  } catch (const InputError& e) {
    EXPECT_EQ(e.problems().size(), 2U) << e.what();
  }
}

TEST(UsablePeak, WidensToTheNextFormat) {
  const auto& h100 = reference_unit("nvidia-h100-sxm").unit;
  const auto& t4 = reference_unit("nvidia-t4").unit;
  const auto& pi = reference_unit("raspberry-pi-5").unit;
  using P = Precision;
  EXPECT_EQ(usable_peak(h100, P::int4, P::bf16), 989e12) << "4-bit weights are widened";
  EXPECT_EQ(usable_peak(h100, P::int8, P::int8), 1978e12);
  EXPECT_EQ(usable_peak(t4, P::bf16, P::bf16), 65e12) << "no bf16: fp16";
  EXPECT_EQ(usable_peak(t4, P::fp8, P::fp8), 65e12) << "no fp8: fp16";
  EXPECT_EQ(usable_peak(h100, P::fp32, P::int8), 67e12) << "wide weights decide";
  EXPECT_EQ(usable_peak(pi, P::int4, P::int8), 0.614e12);
  ComputeUnit npu;
  npu.name = "npu";
  npu.peak[static_cast<std::size_t>(P::int8)] = 4e12;
  EXPECT_EQ(usable_peak(npu, P::int4, P::int4), 4e12);
  EXPECT_THROW(usable_peak(npu, P::fp16, P::fp16), InputError);
}

}  // namespace
}  // namespace isthmus::models
