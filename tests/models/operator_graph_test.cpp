// Operator graphs: shape inference, validation and the algorithms on small graphs worked by hand.
#include "models/operator_graph.hpp"

#include <gtest/gtest.h>

#include "models/graph_builder.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {
namespace {

// What a callable throws as InputError.
template <class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

TEST(OperatorGraph, InfersShapesAndCounts) {
  GraphBuilder b("tiny");
  const Tensor in = b.input({3, 8, 8});
  const Tensor conv = b.conv(in, 4, {.kernel = 3, .stride = 2}, "c");
  EXPECT_EQ(conv.shape, (Shape{4, 4, 4}));
  const Tensor dw = b.depthwise(conv, 3, 1, "dw");
  const Tensor pooled = b.global_pool(dw);
  const Tensor out = b.gemm(pooled, 10, true, "fc");
  EXPECT_EQ(out.shape, Shape{10});
  const OperatorGraph g = b.build();
  const Operator& c = g.at(conv.producer);
  EXPECT_EQ(c.kind, OperatorKind::conv);
  EXPECT_EQ(c.macs, 4 * 4 * 4 * 27);
  EXPECT_EQ(c.flops, 2 * 4 * 4 * 4 * 27 + 64);
  EXPECT_EQ(c.params, 4 * 27 + 4);
  EXPECT_EQ(c.input_elements, 192);
  EXPECT_EQ(c.output_elements, 64);
  EXPECT_EQ(g.at(dw.producer).kind, OperatorKind::depthwise_conv);
  EXPECT_EQ(g.at(dw.producer).macs, 64 * 9);
  EXPECT_EQ(g.totals().params, 112 + 40 + 50);
  EXPECT_EQ(g.totals().operators, 4U);
}

TEST(OperatorGraph, CountsAttention) {
  GraphBuilder b("a");
  const Tensor q = b.input({10, 64}), k = b.input({20, 64}), v = b.input({20, 64});
  const Tensor o = b.attention(q, k, v, 4);
  EXPECT_EQ(o.shape, (Shape{10, 64}));
  EXPECT_EQ(b.build().at(o.producer).macs, 2 * 10 * 20 * 64);
}

TEST(OperatorGraph, RefusesShapesThatDoNotFit) {
  GraphBuilder b("bad");
  const Tensor image = b.input({3, 8, 8}), vector = b.input({7});
  EXPECT_THROW(b.conv(vector, 4, {}), InputError);
  EXPECT_THROW(b.conv(image, 4, {.kernel = 11, .padding = 0}), InputError);
  EXPECT_THROW(b.conv(image, 4, {.groups = 2}), InputError);
  EXPECT_THROW(b.add(image, vector), InputError);
  EXPECT_NE(message_of([&] { b.pool(vector, 2, 2); }).find("graph 'bad': pool cannot take a 7"),
            std::string::npos);
}

TEST(OperatorGraph, NamesTheCycle) {
  OperatorGraph g("loop");
  const auto op = [](const char* name, std::size_t inputs) {
    Operator o;
    o.name = name;
    o.inputs.assign(inputs, Shape{1});
    o.output = {1};
    return o;
  };
  g.add(op("start", 0));
  g.add(op("a", 2));
  g.add(op("b", 1));
  g.add(op("c", 1));
  g.connect(0, 1);
  g.connect(1, 2);
  g.connect(2, 3);
  g.connect(3, 1);
  const std::string m = message_of([&] { g.validate(); });
  EXPECT_NE(m.find("graph 'loop': has a cycle: a -> b -> c -> a"), std::string::npos) << m;
  EXPECT_THROW(g.topological_order(), InputError);
}

TEST(OperatorGraph, ReportsEveryProblem) {
  OperatorGraph g("bad");
  Operator a;
  a.name = "a";
  a.output = {2, 3};
  g.add(a);
  Operator b;
  b.name = "a";
  b.inputs = {{3, 2}};
  b.output = {1};
  b.flops = -1;
  g.add(b);
  g.connect(0, 1);
  const std::string m = message_of([&] { g.validate(); });
  EXPECT_NE(m.find("two operators are called 'a'"), std::string::npos) << m;
  EXPECT_NE(m.find("gives 2x3 but input 0"), std::string::npos) << m;
  EXPECT_NE(m.find("negative count"), std::string::npos) << m;
  OperatorGraph missing("missing");
  missing.add(b);
  EXPECT_NE(message_of([&] { missing.validate(); }).find("declares 1 inputs but 0 are connected"),
            std::string::npos);
}

// input -> a -> {b, c} -> add: a diamond with known longest path and live set.
TEST(OperatorGraph, FindsCriticalPathAndPeakOfADiamond) {
  GraphBuilder builder("diamond");
  const Tensor in = builder.input({8, 4, 4});
  const Tensor a = builder.conv(in, 8, {}, "a");
  const Tensor b = builder.conv(a, 8, {.kernel = 3}, "b");
  const Tensor c = builder.activation(a, "relu");
  const Tensor sum = builder.add(b, c);
  const OperatorGraph g = builder.build();
  EXPECT_EQ(g.topological_order(), (std::vector<std::size_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(g.predecessors(sum.producer), (std::vector<std::size_t>{b.producer, c.producer}));
  EXPECT_EQ(g.successors(a.producer), (std::vector<std::size_t>{b.producer, c.producer}));
  const std::vector<double> costs{0, 5, 7, 3, 1};
  const auto path = g.critical_path(costs);
  EXPECT_EQ(path.cost, 13);
  EXPECT_EQ(path.operators, (std::vector<std::size_t>{0, 1, 2, 4}));
  // While c is computed, the outputs of a, b and c are alive: 3 x 128 elements; so while adding.
  EXPECT_EQ(g.peak_live_elements(), 3 * 128);
}

}  // namespace
}  // namespace isthmus::models
