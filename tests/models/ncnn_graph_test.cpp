// ncnn graphs: totals of the public benchmark networks, and files that are none.
#include "models/ncnn_graph.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "sim/core/errors.hpp"
#include "tests/models/shared_data.hpp"

namespace isthmus::models {
namespace {

using ::testing::HasSubstr;

class NcnnGraph : public ::testing::Test {
 protected:
  NcnnGraph()
      : path_(std::filesystem::temp_directory_path() /
              ("g" + std::to_string(std::random_device{}()) + ".param")) {}
  ~NcnnGraph() override { std::filesystem::remove(path_); }
  OperatorGraph import(const std::string& text, const NcnnOptions& o = {}) {
    std::ofstream(path_) << text;
    return import_ncnn_graph(path_.string(), o);
  }
  std::string error(const std::string& text, const NcnnOptions& o = {}) {
    try {
      import(text, o);
    } catch (const InputError& e) {
      return e.what();
    }
    return "";
  }
  std::filesystem::path path_;
};

TEST_F(NcnnGraph, SmallNetworkByHand) {
  const OperatorGraph g = import(
      "7767517\n5 6\n"
      "Input data 0 1 data 0=8 1=6 2=3\n"
      "Convolution c 1 1 data a 0=4 1=3 4=1 5=1 6=108 3=2 9=1\n"
      "Split s 1 2 a a0 a1\n"
      "BinaryOp add 2 1 a0 a1 b 0=0\n"
      "InnerProduct fc 1 1 b out 0=10 1=1 2=480 8=1\n");
  // 4 x 3 x 4 outputs of 27 products; 10 outputs of 48.
  const GraphTotals t = g.totals();
  EXPECT_EQ(t.macs, 48 * 27 + 480);
  EXPECT_EQ(t.params, 108 + 4 + 480 + 10);
  EXPECT_EQ(g.at(1).output, (Shape{4, 3, 4}));
  EXPECT_EQ(g.at(1).stride, 2);
  EXPECT_EQ(g.at(1).fused.size(), 1u);
  // The split is gone, the reshape before the product is a copy.
  ASSERT_EQ(g.size(), 5u);
  EXPECT_EQ(g.at(3).kind, OperatorKind::copy);
  EXPECT_EQ(g.at(4).weights, Precision::int8);
}

TEST_F(NcnnGraph, InputsNeedAShape) {
  const std::string text = "7767517\n2 2\nInput in 0 1 x\nConvolution c 1 1 x y 0=2 1=1 6=6\n";
  EXPECT_THAT(error(text), HasSubstr("does not state the shape of input 'in'"));
  EXPECT_EQ(import(text, {.input = Shape{3, 5, 5}}).totals().macs, 25 * 6);
}

TEST_F(NcnnGraph, RefusalsNamePlaceAndReason) {
  EXPECT_THROW(import_ncnn_graph("/no/such.param"), InputError);
  EXPECT_THAT(error(""), HasSubstr("is no ncnn graph"));
  EXPECT_THAT(error("7767517\nx"), HasSubstr(":2: needs the numbers"));
  EXPECT_THAT(error("7767517\n3 3\nInput in 0 1 x 0=4\n"), HasSubstr("may be cut off"));
  EXPECT_THAT(error("7767517\n1 1\nInput in 0\n"), HasSubstr(":3: needs type, name"));
  EXPECT_THAT(error("7767517\n1 1\nInput in 0 1\n"), HasSubstr("names fewer blobs"));
  EXPECT_THAT(error("7767517\n1 1\nInput in 0 1 x w=4\n"), HasSubstr("'w=4' is no number=value"));
  EXPECT_THAT(error("7767517\n1 1\nInput in 0 1 x 0=four\n"), HasSubstr("must be an integer"));
  EXPECT_THAT(error("7767517\n1 1\nReLU r 1 1 x y\n"), HasSubstr("nothing gives blob 'x'"));
  EXPECT_THAT(error("7767517\n1 1\nReLU r 0 1 y\n"), HasSubstr("needs 1 inputs"));
  const std::string input = "Input in 0 1 x 0=4 1=4 2=3\n";
  EXPECT_THAT(error("7767517\n2 2\n" + input + "Convolution c 1 1 x y 0=2 1=3 6=99\n"),
              HasSubstr("do not fit an input of 3 channels"));
  EXPECT_THAT(error("7767517\n2 2\n" + input + "Convolution c 1 1 x y 0=2 1=5 6=150\n"),
              HasSubstr("would give a 2x0x0 tensor"));
  EXPECT_THAT(error("7767517\n2 2\n" + input + "InnerProduct c 1 1 x y 0=2 2=90\n"),
              HasSubstr("wants 45 values but gets 48"));
  EXPECT_THAT(error("7767517\n4 4\n" + input + "Foo a 1 1 x y\nFoo b 1 1 y z\nBar c 1 1 z w\n"),
              HasSubstr("not supported: Bar x1, Foo x2"));
}

// Totals that were derived from the same files by another program.
TEST_F(NcnnGraph, AgreesWithTheTablesOfTheBenchmark) {
  const auto folder = testing::data_root();
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no shared data beside the sources";
  std::ifstream summary(folder / "models/layer_tables/_summary.csv");
  std::string line;
  std::getline(summary, line);
  int checked = 0;
  while (std::getline(summary, line)) {
    std::vector<std::string> f;
    std::stringstream row(line);
    for (std::string cell; std::getline(row, cell, ',');) f.push_back(cell);
    const auto file = folder / "models/ncnn_param" / (f[0] + ".param");
    if (f[0].find(".ncnn") != std::string::npos || !std::filesystem::exists(file)) continue;
    NcnnOptions options;
    if (f[0] == "FastestDet") options.input = Shape{3, 352, 352};
    if (f[0] == "vision_transformer") options.input = Shape{3, 384, 384};
    const OperatorGraph g = import_ncnn_graph(file.string(), options);
    const GraphTotals t = g.totals();
    EXPECT_NEAR(t.params, std::stod(f[3]), 0.01 * std::stod(f[3])) << f[0];
    if (std::stod(f[4]) > 0) {
      EXPECT_NEAR(t.macs, std::stod(f[4]), 0.01 * std::stod(f[4])) << f[0];
    }
    EXPECT_GT(t.macs, 0) << f[0];
    ++checked;
  }
  EXPECT_GE(checked, 34);
}

// The tables have no MACs for these, their publications have.
TEST_F(NcnnGraph, InfersShapesWithoutHints) {
  const auto folder = testing::data_root();
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no shared data beside the sources";
  const auto total = [&](const char* name, Shape input) {
    return import_ncnn_graph(
               (folder / "models/ncnn_param" / (std::string(name) + ".param")).string(),
               {.input = std::move(input)})
        .totals();
  };
  // ViT-B/32 at 384: 145 tokens. 12 blocks of 12 d^2 per token and 2 t^2 d, patches 144 x 3072 x d.
  const double width = 768, tokens = 145;
  EXPECT_NEAR(total("vision_transformer", {3, 384, 384}).macs,
              12 * (12 * width * width * tokens + 2 * tokens * tokens * width) +
                  144 * 3072 * width + 1000 * width,
              1e-3 * 12.6e9);
}

}  // namespace
}  // namespace isthmus::models
