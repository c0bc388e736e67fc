// Number formats per module, scales of groups and conversions.
#include "models/pass_precision.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "models/builtin_graphs.hpp"
#include "tests/models/pass_graphs.hpp"

namespace isthmus::models {
namespace {

using P = Precision;
using testing::message_of;
using testing::version_of;

OperatorGraph mlp() {
  GraphBuilder b("mlp");
  Tensor x = b.input({4, 8}, "in");
  b.module("up");
  x = b.gemm(x, 32, false, "fc1");
  x = b.activation(x, "relu");
  b.module("down");
  x = b.gemm(x, 8, false, "fc2");
  b.module("");
  x = b.norm(x, "ln");
  b.softmax(x, "answer");
  return b.build();
}

TEST(PassPrecision, LaterRulesWinWeightsAndActivationsApart) {
  const auto v = set_precision(
      version_of(mlp()),
      {.rules = {{"*", P::fp16, P::fp16}, {"down", P::int8}, {"fc2", std::nullopt, P::bf16}}});
  EXPECT_EQ(v.graph.at(1).weights, P::fp16);
  EXPECT_EQ(v.graph.at(3).weights, P::int8);
  EXPECT_EQ(v.graph.at(3).activations, P::bf16);
  EXPECT_EQ(v.graph.at(2).weights, P::fp16);  // no weights: the format of the tensors
  EXPECT_EQ(v.weight_bytes(), 256 * 2 + 256 * 1 + 16 * 2);
  EXPECT_EQ(v.history.back(),
            "precision: 5 operators changed, 0 with scales of groups; weight bytes 2112 -> 800");
}

TEST(PassPrecision, KeepsSensitiveOperators) {
  const auto v =
      set_precision(version_of(mlp()), {.rules = {{"*", P::int8, P::int8}}, .sensitive = P::fp32});
  EXPECT_EQ(v.graph.at(1).activations, P::int8);
  EXPECT_EQ(v.graph.at(4).activations, P::fp32);
  EXPECT_EQ(v.graph.at(5).activations, P::fp32);
}

TEST(PassPrecision, CountsScalesOfGroups) {
  const PrecisionOptions four_bit{
      .rules = {{.match = "fc1", .weights = P::int4, .group_size = 32, .scale_bytes = 2}}};
  const auto v = set_precision(version_of(mlp()), four_bit);
  // 256 weights of 4 bits and 8 scales of 16: 4.5 bits per weight, as in llama.cpp's Q4_0.
  EXPECT_EQ(v.graph.at(1).params * bytes_of(P::int4), 256 * 4.5 / 8);
  EXPECT_NE(message_of([&] { set_precision(v, four_bit); }).find("already have the scales"),
            std::string::npos);
}

TEST(PassPrecision, InsertsConversions) {
  const auto v =
      set_precision(version_of(mlp()), {.rules = {{"up", P::int8, P::int8}}, .conversions = true});
  // in -> int8 -> fc1 -> relu -> fp32 -> fc2
  ASSERT_EQ(v.graph.totals().operators, 7U);
  const Operator& q = v.graph.at(find_operator(v.graph, "in.int8"));
  EXPECT_EQ(q.function, "quantize");
  EXPECT_EQ(q.bytes(1, P::fp32, P::fp32), 32 * 4 + 32 * 1);
  const Operator& dq = v.graph.at(find_operator(v.graph, "relu2.fp32"));
  EXPECT_EQ(dq.function, "dequantize");
  EXPECT_EQ(dq.bytes(1, P::fp32, P::fp32), 128 * 1 + 128 * 4);
  EXPECT_NE(v.history.back().find("1 dequantize, 1 quantize"), std::string::npos);
  // Nothing more to convert the second time.
  const auto again = set_precision(v, {.conversions = true});
  EXPECT_EQ(again.graph.totals().operators, 7U);
}

TEST(PassPrecision, SharesConversionsOfOneTensor) {
  GraphBuilder b("shared");
  const Tensor x = b.input({8}, "in");
  b.module("q");
  const Tensor y = b.add(b.gemm(x, 8), b.gemm(x, 8));
  b.add(y, y);
  const auto v = set_precision(version_of(b.build()),
                               {.rules = {{"gemm", P::int8, P::int8}}, .conversions = true});
  // One for x, two for the products, none between the sums.
  EXPECT_EQ(v.graph.totals().operators, 4U + 3);
}

TEST(PassPrecision, ClearsOrReplacesTheAccuracy) {
  auto v = version_of(mlp());
  v.accuracy = Accuracy{0.9, "top-1", "a paper"};
  EXPECT_FALSE(set_precision(v, {.rules = {{"*", P::int8}}}).accuracy);
  EXPECT_TRUE(set_precision(v, {.rules = {{"*", P::fp32}}}).accuracy);  // nothing changed
  const auto given =
      set_precision(v, {.rules = {{"*", P::int8}}, .accuracy = Accuracy{0.89, "top-1", "us"}});
  EXPECT_EQ(given.accuracy->source, "us");
}

TEST(PassPrecision, RefusesBadInput) {
  const auto v = version_of(mlp());
  const auto message = [&](PrecisionOptions o) { return message_of([&] { set_precision(v, o); }); };
  EXPECT_NE(message({.rules = {{"upp", P::int8}}}).find("did you mean \"up\"?"), std::string::npos);
  EXPECT_NE(message({.rules = {{"up"}}}).find("sets \"weights\", \"activations\""),
            std::string::npos);
  EXPECT_NE(message({}).find("there is no rule"), std::string::npos);
  PrecisionRule scales{"up", P::int4};
  scales.group_size = 32;
  for (const double bytes : {-1.0, 1e9, std::numeric_limits<double>::quiet_NaN()}) {
    scales.scale_bytes = bytes;
    EXPECT_NE(message({.rules = {scales}}).find("from 0 to 64 bytes"), std::string::npos);
  }
  EXPECT_NE(message({.rules = {{"up", P::int8}}, .accuracy = Accuracy{76.1, "top-1", "x"}})
                .find("did you mean 0.761?"),
            std::string::npos);
  EXPECT_NE(message({.rules = {{"up", P::int8}}, .accuracy = Accuracy{0.76, "top-1", " "}})
                .find("needs its \"source\""),
            std::string::npos);
}

TEST(PassPrecision, KeepsRandomGraphsWhole) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const auto g = testing::random_graph(seed);
    const auto v = set_precision(version_of(g), {.rules = {{"*", P::fp16, P::fp16},
                                                           {"layers.0", P::int8, P::int8},
                                                           {"gemm", P::int4, P::fp16}},
                                                 .sensitive = P::fp32,
                                                 .conversions = true});
    EXPECT_NO_THROW(v.graph.validate());
    const auto a = g.totals(), b = v.graph.totals();
    EXPECT_EQ(a.params, b.params);
    EXPECT_EQ(a.macs, b.macs);
    EXPECT_EQ(testing::final_shapes(g), testing::final_shapes(v.graph));
    // No edge joins two formats any more, but those of conversions.
    for (std::size_t i = 0; i < v.graph.size(); ++i)
      for (const auto p : v.graph.predecessors(i)) {
        const Operator &from = v.graph.at(p), &to = v.graph.at(i);
        const bool conversion =
            to.kind == OperatorKind::copy &&
            (to.function == "cast" || to.function == "quantize" || to.function == "dequantize");
        if (!conversion) {
          EXPECT_EQ(from.activations.value_or(P::fp32), to.activations.value_or(P::fp32));
        }
      }
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace isthmus::models
