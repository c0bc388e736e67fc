// Cuts of a graph and the memory traffic of one operator, by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "models/builtin_graphs.hpp"
#include "models/graph_builder.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {
namespace {

using testing::ElementsAre;

// input(0) -> conv(1) -> relu(2) -> conv(3) -> add(4, with relu) -> pool(5)
OperatorGraph residual() {
  GraphBuilder b("residual");
  Tensor x = b.input({4, 8, 8});
  x = b.activation(b.conv(x, 4, {.kernel = 3}), "relu");
  x = b.add(b.conv(x, 4, {.kernel = 3}), x);
  b.global_pool(x);
  return b.build();
}

TEST(OperatorCuts, CountWhatCrosses) {
  const auto cuts = residual().cuts();
  ASSERT_EQ(cuts.size(), 5u);
  EXPECT_THAT(cuts[0].crossing, ElementsAre(0));
  EXPECT_THAT(cuts[2].crossing, ElementsAre(2));
  // Behind the second convolution both it and the shortcut are needed.
  EXPECT_THAT(cuts[3].crossing, ElementsAre(2, 3));
  EXPECT_DOUBLE_EQ(cuts[3].elements, 2 * 4 * 8 * 8);
  EXPECT_THAT(cuts[4].crossing, ElementsAre(4));
  EXPECT_EQ(residual().narrow_cuts().size(), 4u);
}

TEST(OperatorCuts, AGraphOutputCrossesNothing) {
  GraphBuilder b("two outputs");
  const Tensor x = b.input({8});
  b.gemm(x, 2);
  b.gemm(x, 3);
  const auto cuts = b.build().cuts();
  ASSERT_EQ(cuts.size(), 2u);
  // The first product is an output that nobody reads; the input is still open.
  EXPECT_THAT(cuts[1].crossing, ElementsAre(0));
}

TEST(OperatorCuts, AreNarrowBetweenBlocksOfAResnet) {
  const OperatorGraph g = builtin_graph("resnet-50");
  const auto narrow = g.narrow_cuts();
  // Stem, 16 blocks and the head each have such a place.
  EXPECT_GE(narrow.size(), 18u);
  for (const auto& cut : narrow) EXPECT_EQ(cut.elements, g.at(cut.crossing[0]).output_elements);
}

TEST(OperatorBytes, FollowFormatsBatchAndActiveShare) {
  Operator op;
  op.params = 1000;
  op.input_elements = 10;
  op.output_elements = 20;
  EXPECT_DOUBLE_EQ(op.bytes(3, Precision::fp32, Precision::fp32), 4000 + 4 * 3 * 30);
  EXPECT_DOUBLE_EQ(op.bytes(3, Precision::int4, Precision::fp16), 500 + 2 * 3 * 30);
  op.active = 0.25;
  op.weights = Precision::int8;  // its own format wins
  EXPECT_DOUBLE_EQ(op.bytes(1, Precision::fp32, Precision::fp32), 250 + 4 * 30);
}

TEST(OperatorGraph, RefusesAnImpossibleActiveShare) {
  for (const double share : {0.0, -1.0, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    OperatorGraph g("g");
    Operator op;
    op.name = "a";
    op.active = share;
    g.add(op);
    EXPECT_THROW(g.validate(), InputError) << share;
  }
}

}  // namespace
}  // namespace isthmus::models
