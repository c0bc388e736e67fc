// Built-in graphs against what their authors and model hubs print.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "models/builtin_graphs.hpp"
#include "models/builtin_llms.hpp"
#include "models/image_tokens.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {
namespace {

struct Printed {
  const char* name;
  double params, macs;  //!< macs 0: not printed
  const char* source;
  double tolerance = 0.01;
};

class PrintedTotals : public ::testing::TestWithParam<Printed> {};

TEST_P(PrintedTotals, Agree) {
  const Printed& p = GetParam();
  const OperatorGraph g = builtin_graph(p.name);
  const GraphTotals t = g.totals();
  EXPECT_NEAR(t.params / p.params, 1, p.tolerance) << p.source << " " << t.params;
  if (p.macs > 0) {
    EXPECT_NEAR(t.macs / p.macs, 1, p.tolerance) << p.source << " " << t.macs;
  }
  EXPECT_GT(t.flops, 2 * t.macs);
  // One path from an input to an output that no operator interrupts.
  const auto path = g.critical_path(std::vector<double>(g.size(), 1));
  EXPECT_GT(path.operators.size(), 10u);
  EXPECT_EQ(g.at(path.operators.front()).kind, OperatorKind::input);
  EXPECT_FALSE(g.narrow_cuts().empty());
}

// The Lite repository's FLOPS count batch norm and activations too and are not compared.
// Parameters of torchvision count batch norm as two per channel, folded graphs as one; its GFLOPS
// are multiply-adds.
INSTANTIATE_TEST_SUITE_P(
    Convolutional, PrintedTotals,
    ::testing::Values(
        Printed{"mobilenet-v3-small", 2542856, 56.5e6, "torchvision, 0.06 GMAC (56.5 M counted)"},
        Printed{"efficientnet-b0", 5288548, 0.386e9, "torchvision; 0.39 GMAC in the paper"},
        Printed{"efficientnet-lite0", 4.652e6, 0, "timm; tensorflow/tpu efficientnet/lite"},
        Printed{"efficientnet-lite1", 5.416e6, 0, "timm; tensorflow/tpu efficientnet/lite"},
        Printed{"efficientnet-lite2", 6.093e6, 0, "timm; tensorflow/tpu efficientnet/lite"},
        Printed{"efficientnet-lite3", 8.197e6, 0, "timm; tensorflow/tpu efficientnet/lite"},
        Printed{"efficientnet-lite4", 13.007e6, 0, "timm; tensorflow/tpu efficientnet/lite"},
        Printed{"yolov5n", 1872157, 2.25e9, "ultralytics/yolov5 v6: 4.5 GFLOP", 0.012},
        Printed{"yolov5s", 7235389, 8.2e9, "ultralytics/yolov5 v6: 16.4 GFLOP", 0.012},
        Printed{"yolov5m", 21190557, 24.5e9, "ultralytics/yolov5 v6: 49.0 GFLOP", 0.012}),
    [](const auto& info) {
      std::string name = info.param.name;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

// The automl repository prints parameters with one decimal of a million.
INSTANTIATE_TEST_SUITE_P(
    Detectors, PrintedTotals,
    ::testing::Values(Printed{"efficientdet-lite0", 3.2e6, 0, "google/automl", 0.02},
                      Printed{"efficientdet-lite1", 4.2e6, 0, "google/automl", 0.02},
                      Printed{"efficientdet-lite2", 5.3e6, 0, "google/automl", 0.02},
                      Printed{"efficientdet-lite3", 8.4e6, 0, "google/automl", 0.02},
                      Printed{"efficientdet-lite4", 15.1e6, 0, "google/automl", 0.02}));

INSTANTIATE_TEST_SUITE_P(
    Transformers, PrintedTotals,
    ::testing::Values(Printed{"bert-base", 109482240, 0, "Hugging Face, bert-base-uncased"},
                      Printed{"bert-large", 335141888, 0, "Hugging Face, bert-large-uncased"},
                      Printed{"roberta-base", 124645632, 0, "Hugging Face, roberta-base"},
                      Printed{"roberta-large", 355359744, 0, "Hugging Face, roberta-large"},
                      Printed{"distilbert", 66362880, 0, "Hugging Face, distilbert-base-uncased"},
                      Printed{"vit-b16", 86567656, 17.56e9, "torchvision, 17.56 GMAC"},
                      Printed{"vit-b32", 88224232, 4.41e9, "torchvision, 4.41 GMAC"},
                      Printed{"vit-l16", 304326632, 61.55e9, "torchvision, 61.55 GMAC"},
                      Printed{"deit-tiny", 5717416, 1.258e9, "arXiv:2012.12877; timm 1.26 GMAC"},
                      Printed{"deit-small", 22050664, 4.608e9,
                              "arXiv:2012.12877; timm 4.61 GMAC"}));

TEST(BuiltinGraphs, BertWorkIsLinearPlusQuadratic) {
  // 12 layers: 12 d^2 multiply-adds per token, 2 d per pair of tokens, the pooler once.
  const double d = 768, layers = 12;
  for (const std::int64_t t : {1, 64, 128, 384, 512}) {
    const double n = static_cast<double>(t);
    EXPECT_DOUBLE_EQ(builtin_graph("bert-base", {.sequence = t}).totals().macs,
                     layers * (12 * d * d * n + 2 * d * n * n) + d * d);
  }
}

TEST(BuiltinGraphs, LanguageModelsAgreeWithTheirShapes) {
  for (const std::string& name : builtin_llm_names()) {
    const LlmShape s = builtin_llm(name);
    const OperatorGraph g = builtin_graph(name);
    EXPECT_NEAR(g.totals().params / s.text_params(), 1, 0.002) << name;
    // A decode step multiplies every active weight once, the embedding table excepted.
    double active = s.text_params() - static_cast<double>(s.vocab * s.hidden);
    if (s.tied_embeddings) active += static_cast<double>(s.vocab * s.hidden);
    if (s.experts > 0)
      active -=
          static_cast<double>(s.layers * (s.experts - s.experts_active) * 3 * s.hidden * s.ffn);
    EXPECT_NEAR(g.totals().macs / active, 1, 0.01) << name;
  }
}

TEST(BuiltinGraphs, ContextAddsAttentionOnly) {
  const LlmShape s = builtin_llm("llama-3.1-8b");
  const double none = builtin_graph("llama-3.1-8b").totals().macs;
  const double some = builtin_graph("llama-3.1-8b", {.context = 1000}).totals().macs;
  EXPECT_DOUBLE_EQ(some - none, 32.0 * 2 * 1000 * 4096);
  // Prompt of n: causal pairs n (n + 1) / 2.
  const auto macs = [&](std::int64_t n) {
    return builtin_graph("llama-3.1-8b", {.sequence = n}).totals().macs;
  };
  const double head = static_cast<double>(s.vocab * s.hidden);
  EXPECT_DOUBLE_EQ(macs(100) - head,
                   100 * (macs(1) - head - 32.0 * 2 * 4096) + 32.0 * 2 * 4096 * (100 * 101 / 2.0));
}

// Multiples of 28 pixels: 1092 x 2408 would be 3,354 tokens; twice the pixels exceed 5,000,000, so
// the image shrinks to 1036 x 2352.
TEST(ImageTokens, OfAScreenshotAreThoseOfAutoGlm) {
  EXPECT_EQ(image_tokens(1080, 2400), 37 * 84);
  EXPECT_EQ(image_tokens(1080, 2400, {.max_pixels = 1e7}), 39 * 86);
  EXPECT_EQ(image_tokens(224, 224), 64);
  EXPECT_EQ(image_tokens(1, 1), 1);
  EXPECT_THROW(image_tokens(0, 5), InputError);
  EXPECT_THROW(image_tokens(5, -5), InputError);
}

TEST(BuiltinGraphs, AutoGlmSeesAScreenshot) {
  const OperatorGraph g = builtin_graph(
      "autoglm-phone-9b", {.sequence = 3620, .image_tokens = image_tokens(1080, 2400)});
  const LlmShape s = builtin_llm("autoglm-phone-9b");
  EXPECT_NEAR(g.totals().params / (s.text_params() + s.vision_params()), 1, 0.002);
  std::size_t layers = 0;
  for (std::size_t v = 0; v < g.size(); ++v) layers += g.at(v).kind == OperatorKind::attention;
  EXPECT_EQ(layers, 40u + 24u);
}

TEST(BuiltinGraphs, ArgumentsThatDoNotFitAreRefused) {
  EXPECT_THROW(builtin_graph("bert-base", {.sequence = 513}), InputError);
  EXPECT_THROW(builtin_graph("bert-base", {.image = 224}), InputError);
  EXPECT_THROW(builtin_graph("resnet-50", {.sequence = 5}), InputError);
  EXPECT_THROW(builtin_graph("resnet-50", {.image = -224}), InputError);
  EXPECT_THROW(builtin_graph("resnet-50", {.image = 20000}), InputError);
  EXPECT_THROW(builtin_graph("resnet-50", {.context = 1}), InputError);
  EXPECT_THROW(builtin_graph("vit-b16", {.image = 225}), InputError);
  EXPECT_THROW(builtin_graph("yolov5s", {.image = 600}), InputError);
  EXPECT_THROW(builtin_graph("llama-2-7b", {.sequence = 4097}), InputError);
  EXPECT_THROW(builtin_graph("llama-2-7b", {.sequence = 10, .image_tokens = 5}), InputError);
  EXPECT_THROW(builtin_graph("qwen2-vl-2b", {.sequence = 10, .image_tokens = 11}), InputError);
  EXPECT_EQ(builtin_graph("resnet-50", {.image = 448}).totals().params,
            builtin_graph("resnet-50").totals().params);
}

}  // namespace
}  // namespace isthmus::models
