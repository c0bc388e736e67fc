// Fusion on small graphs counted by hand, on published networks and on random graphs.
#include "models/pass_fuse.hpp"

#include <gtest/gtest.h>

#include "models/builtin_graphs.hpp"
#include "models/kernel_query.hpp"
#include "tests/models/pass_graphs.hpp"

namespace isthmus::models {
namespace {

using K = OperatorKind;
using testing::Sketch;
using testing::version_of;

double traffic(const OperatorGraph& g) {
  double sum = 0;
  for (std::size_t v = 0; v < g.size(); ++v)
    sum += g.at(v).input_elements + g.at(v).output_elements;
  return sum;
}

void expect_conserved(const OperatorGraph& before, const OperatorGraph& after) {
  const auto a = before.totals(), b = after.totals();
  EXPECT_NEAR(a.flops, b.flops, 1e-12 * a.flops);  // another order of summation
  EXPECT_NEAR(a.macs, b.macs, 1e-12 * a.macs);
  EXPECT_NEAR(a.params, b.params, 1e-12 * a.params);
  EXPECT_EQ(testing::all_names(before), testing::all_names(after));
  EXPECT_EQ(testing::final_shapes(before), testing::final_shapes(after));
}

TEST(PassFuse, FoldsBiasNormAndActivationIntoAConvolution) {
  Sketch s;
  const auto in = s.input({3, 4, 4});
  const auto conv = s.op(K::conv, "", {8, 4, 4}, {in}, 8 * 27, 16 * 8 * 27, "c");
  const auto norm = s.op(K::norm, "batch_norm", {8, 4, 4}, {conv}, 16, 0, "bn");
  s.pointwise("relu6", {norm});
  const auto v = fuse(version_of(s.build()));
  ASSERT_EQ(v.graph.size(), 2U);
  const Operator& c = v.graph.at(1);
  EXPECT_EQ(c.name, "c");
  EXPECT_EQ(c.kind, K::conv);
  EXPECT_EQ(c.fused, (std::vector<std::string>{"bn", "elementwise3"}));
  EXPECT_EQ(c.params, 8 * 27 + 8);                        // the norm became a bias
  EXPECT_EQ(c.flops, 2 * 16 * 8 * 27 + 8 * 16 + 8 * 16);  // bias and relu6
  EXPECT_EQ(c.input_elements, 48);
  EXPECT_EQ(c.output_elements, 128);
  ASSERT_EQ(v.history.size(), 1U);
  EXPECT_EQ(v.history[0],
            "fuse: 0 attention, 0 layer_norm, 0 activation, 1 batch_norm (parameters -8), 1 "
            "epilogue; operators 3 -> 1");
}

TEST(PassFuse, LeavesABiasAloneWhenThereIsOne) {
  Sketch s;
  const auto in = s.input({3, 4, 4});
  const auto conv = s.op(K::conv, "", {8, 4, 4}, {in}, 8 * 27 + 8, 16 * 8 * 27, "c");
  s.op(K::norm, "batch_norm", {8, 4, 4}, {conv}, 16);
  EXPECT_EQ(fuse(version_of(s.build())).graph.totals().params, 8 * 27 + 8);
  // A separate bias counts as well; a norm behind an activation cannot be folded.
  Sketch t;
  const auto x = t.input({4});
  auto y = t.op(K::gemm, "", {6}, {x}, 24, 24, "fc");
  y = t.pointwise("add", {y}, 6);
  y = t.op(K::norm, "batch_norm", {6}, {y}, 12);
  y = t.pointwise("relu", {y});
  t.op(K::norm, "batch_norm", {6}, {y}, 12);
  const auto v = fuse(version_of(t.build()));
  ASSERT_EQ(v.graph.totals().operators, 2U);
  EXPECT_EQ(v.graph.at(1).params, 30);
  EXPECT_EQ(v.graph.at(2).kind, K::norm);
}

TEST(PassFuse, KeepsWhatHasTwoReaders) {
  GraphBuilder b("two");
  const Tensor x = b.input({4, 4, 4});
  const Tensor c = b.conv(x, 4, {}, "c");
  const Tensor r = b.activation(c, "relu");
  b.add(c, r);
  const auto g = b.build();
  const auto v = fuse(version_of(g));
  EXPECT_EQ(v.graph.totals().operators, 3U);
  expect_conserved(g, v.graph);
}

// BERT-base spelt out: in each layer three copies that split heads, two products, scale, softmax
// and the copy that joins heads become one, and gelu goes into a product; so does the pooler's
// tanh.
TEST(PassFuse, CountsBert) {
  const auto g = builtin_graph("bert-base");
  const auto v = fuse(version_of(g));
  EXPECT_EQ(v.graph.totals().operators, g.totals().operators - 12 * 7 - 12 - 1);
  expect_conserved(g, v.graph);
  std::size_t attention = 0;
  for (std::size_t i = 0; i < v.graph.size(); ++i)
    if (const Operator& op = v.graph.at(i); op.kind == K::attention) {
      ++attention;
      EXPECT_EQ(op.heads, 12);
      EXPECT_EQ(op.output.back(), 768);
      EXPECT_EQ(op.inputs, std::vector<Shape>(3, op.output));
      EXPECT_EQ(op.input_elements, 3 * elements(op.output));
    }
  EXPECT_EQ(attention, 12U);
}

// What the graph cost model calls fused: one-input elementwise behind products and sums.
TEST(PassFuse, ReproducesTheCostModelsRuleOnPublishedNetworks) {
  for (const char* name : {"mobilenet-v2", "mobilenet-v3-large", "resnet-18", "resnet-50"}) {
    const OperatorGraph g = builtin_graph(name);
    std::size_t expected = 0;
    double removed = 0;
    for (std::size_t i = 0; i < g.size(); ++i) {
      if (g.at(i).kind != K::elementwise || g.at(i).inputs.size() != 1) continue;
      const auto p = g.predecessors(i).front();
      const auto k = g.at(p).kind;
      if (g.successors(p).size() == 1 && (k == K::conv || k == K::depthwise_conv || k == K::gemm ||
                                          (k == K::elementwise && g.at(p).inputs.size() == 2))) {
        ++expected;
        removed += 2 * g.at(p).output_elements;
      }
    }
    const auto v = fuse(version_of(g));
    expect_conserved(g, v.graph);
    EXPECT_EQ(g.totals().operators - v.graph.totals().operators, expected) << name;
    EXPECT_EQ(traffic(g) - traffic(v.graph), removed) << name;
  }
}

TEST(PassFuse, ConservesEveryBuiltInGraph) {
  for (const auto& name : builtin_graph_names()) {
    const OperatorGraph g = builtin_graph(name);
    const auto v = fuse(version_of(g));
    expect_conserved(g, v.graph);
    EXPECT_LT(v.graph.totals().operators, g.totals().operators) << name;
    EXPECT_LT(traffic(v.graph), traffic(g)) << name;
  }
}

TEST(PassFuse, CountsResNet50) {
  // 53 convolutions, 16 sums, 2 pools, 1 product, 1 softmax; 49 activations disappear.
  const auto g = builtin_graph("resnet-50");
  const auto v = fuse(version_of(g));
  EXPECT_EQ(g.totals().operators, 53U + 16 + 2 + 1 + 1 + 49);
  EXPECT_EQ(v.graph.totals().operators, 53U + 16 + 2 + 1 + 1);
  // With sums folded into a convolution each, 16 fewer.
  const auto r = fuse(version_of(g), {.residual = true});
  EXPECT_EQ(r.graph.totals().operators, 53U + 2 + 1 + 1);
  expect_conserved(g, r.graph);
}

TEST(PassFuse, CountsMobileNets) {
  const struct {
    const char* name;
    std::size_t before, fused, with_sums;
  } rows[] = {{"mobilenet-v2", 100, 65, 55}, {"mobilenet-v3-large", 140, 92, 82}};
  for (const auto& row : rows) {
    const auto g = builtin_graph(row.name);
    EXPECT_EQ(g.totals().operators, row.before);
    EXPECT_EQ(fuse(version_of(g)).graph.totals().operators, row.fused);
    EXPECT_EQ(fuse(version_of(g), {.residual = true}).graph.totals().operators, row.with_sums);
  }
}

// silu, hard swish and both expansions of gelu, each behind a product.
TEST(PassFuse, FindsSpeltOutActivations) {
  struct Case {
    const char* function;
    std::size_t (*spell)(Sketch&, std::size_t);
  };
  const Case cases[] = {
      {"silu",
       [](Sketch& s, std::size_t x) {
         return s.pointwise("mul", {x, s.pointwise("sigmoid", {x})});
       }},
      {"hard_swish",
       [](Sketch& s, std::size_t x) {
         const auto clip = s.pointwise("clip", {s.pointwise("add", {x}, 1)});
         return s.pointwise("div", {s.pointwise("mul", {x, clip})}, 1);
       }},
      {"gelu",
       [](Sketch& s, std::size_t x) {
         const auto e = s.pointwise("erf", {s.pointwise("div", {x}, 1)});
         return s.pointwise("mul", {s.pointwise("mul", {x, s.pointwise("add", {e}, 1)})}, 1);
       }},
      {"gelu",
       [](Sketch& s, std::size_t x) {
         const auto cube = s.pointwise("mul", {s.pointwise("pow", {x}, 1)}, 1);
         const auto t =
             s.pointwise("tanh", {s.pointwise("mul", {s.pointwise("add", {x, cube})}, 1)});
         const auto half = s.pointwise("mul", {x}, 1);
         return s.pointwise("mul", {half, s.pointwise("add", {t}, 1)});
       }},
      {"mish",
       [](Sketch& s, std::size_t x) {
         return s.pointwise("mul", {x, s.pointwise("tanh", {s.pointwise("softplus", {x})})});
       }},
  };
  for (const auto& c : cases) {
    Sketch s;
    const auto in = s.input({4, 8});
    const auto fc = s.op(K::gemm, "", {4, 16}, {in}, 8 * 16, 4 * 8 * 16, "fc");
    const auto a = c.spell(s, fc);
    s.op(K::gemm, "", {4, 8}, {a}, 8 * 16, 4 * 8 * 16, "out");
    const auto g = s.build();
    const auto alone = fuse(version_of(g), {.epilogue = false});
    ASSERT_EQ(alone.graph.totals().operators, 3U) << c.function;
    EXPECT_EQ(alone.graph.at(2).function, c.function);
    EXPECT_EQ(alone.graph.at(2).input_elements, 64);
    EXPECT_EQ(alone.graph.at(2).inputs.size(), 1U);
    expect_conserved(g, alone.graph);
    const auto v = fuse(version_of(g));
    ASSERT_EQ(v.graph.totals().operators, 2U) << c.function;
    EXPECT_EQ(v.graph.at(1).output_elements, 64);
    expect_conserved(g, v.graph);
  }
}

TEST(PassFuse, FindsSpeltOutNorms) {
  for (const bool centred : {true, false}) {
    Sketch s;
    const auto x = s.pointwise("add", {s.input({4, 8}), s.input({4, 8})});
    auto y = x;
    if (centred) y = s.pointwise("sub", {x, s.op(K::elementwise, "reduce_mean", {4, 1}, {x})});
    const auto square = s.pointwise("pow", {y}, 1);
    const auto variance = s.op(K::pool, "", {4, 1}, {square});
    const auto root = s.pointwise("sqrt", {s.pointwise("add", {variance}, 1)});
    auto out = s.op(K::elementwise, "div", {4, 8}, {y, root});
    out = s.pointwise("mul", {out}, 8);
    if (centred) out = s.pointwise("add", {out}, 8);
    s.pointwise("add", {x, s.op(K::gemm, "", {4, 8}, {out}, 64, 256)});  // x is read elsewhere too
    const auto g = s.build();
    const auto v = fuse(version_of(g));
    ASSERT_EQ(v.graph.totals().operators, 4U);
    const Operator& norm = v.graph.at(3);
    EXPECT_EQ(norm.kind, K::norm);
    EXPECT_EQ(norm.function, centred ? "layer_norm" : "rms_norm");
    EXPECT_EQ(norm.inputs, std::vector<Shape>({Shape{4, 8}}));
    EXPECT_EQ(norm.params, centred ? 18 : 10);
    expect_conserved(g, v.graph);
  }
}

// Attention as exported: split heads, scale, mask, softmax, weighted sum, join heads. `kv` heads of
// keys and values are repeated for grouped queries.
OperatorGraph spelt_attention(std::int64_t heads, std::int64_t kv, bool mask) {
  Sketch s;
  const std::int64_t t = 10, d = 4;
  const auto x = s.input({t, heads * d});
  const auto product = [&](std::int64_t width, const char* name) {
    return s.op(K::gemm, "", {t, width}, {x}, static_cast<double>(heads * d * width),
                static_cast<double>(t * heads * d * width), name);
  };
  const auto split = [&](std::size_t v, std::int64_t n, bool transposed) {
    auto y = s.op(K::copy, "reshape", {t, n, d}, {v});
    y = s.op(K::copy, "transpose", transposed ? Shape{n, d, t} : Shape{n, t, d}, {y});
    if (n != heads)
      y = s.op(K::copy, "expand", transposed ? Shape{heads, d, t} : Shape{heads, t, d}, {y});
    return y;
  };
  const auto q = split(product(heads * d, "q"), heads, false);
  const auto k = split(product(kv * d, "k"), kv, true);
  const auto v = split(product(kv * d, "v"), kv, false);
  const auto macs = static_cast<double>(heads * t * t * d);
  auto scores = s.op(K::batched_gemm, "", {heads, t, t}, {q, k}, 0, macs, "scores");
  scores = s.pointwise("div", {scores}, 1);
  if (mask) scores = s.op(K::elementwise, "add", {heads, t, t}, {scores, s.input({1, t, t})});
  scores = s.op(K::softmax, "", {heads, t, t}, {scores});
  auto y = s.op(K::batched_gemm, "", {heads, t, d}, {scores, v}, 0, macs);
  y = s.op(K::copy, "transpose", {t, heads, d}, {y});
  y = s.op(K::copy, "reshape", {t, heads * d}, {y});
  s.op(K::gemm, "", {t, heads * d}, {y}, 64, 640, "o");
  return s.build();
}

TEST(PassFuse, FindsAttentionWithItsCopiesMasksAndGroupedQueries) {
  for (const bool mask : {false, true})
    for (const std::int64_t kv : {4, 2, 1}) {
      const auto g = spelt_attention(4, kv, mask);
      const auto v = fuse(version_of(g), {.causal = mask});
      EXPECT_EQ(v.graph.totals().operators, 5U) << kv << mask;
      const Operator& a = v.graph.at(find_operator(v.graph, "scores"));
      EXPECT_EQ(a.kind, K::attention);
      EXPECT_EQ(a.heads, 4);
      EXPECT_EQ(a.function, mask ? "causal" : "");
      EXPECT_EQ(a.output, (Shape{10, 16}));
      ASSERT_EQ(a.inputs.size(), mask ? 4U : 3U);
      EXPECT_EQ(a.inputs[0], (Shape{10, 16}));
      EXPECT_EQ(a.inputs[1], (Shape{10, kv * 4}));
      EXPECT_EQ(a.inputs[2], (Shape{10, kv * 4}));
      EXPECT_EQ(a.input_elements, 160 + 80 * kv + (mask ? 100 : 0));
      EXPECT_EQ(a.macs, 2 * 4 * 100 * 4);
      const auto producers = v.graph.predecessors(find_operator(v.graph, "scores"));
      EXPECT_EQ(v.graph.at(producers[0]).name, "q");
      EXPECT_EQ(v.graph.at(producers[1]).name, "k");
      EXPECT_EQ(v.graph.at(producers[2]).name, "v");
      expect_conserved(g, v.graph);
    }
}

// Where the copies around the products cannot go along, attention keeps the layout of its operands;
// its kernels are the same.
TEST(PassFuse, CostsAttentionTheSameInEveryLayout) {
  Sketch s;
  const auto q = s.pointwise("rotary", {s.input({4, 10, 8})});
  const auto k = s.input({4, 8, 20}), v = s.input({4, 20, 8});
  const auto scores = s.op(K::batched_gemm, "", {4, 10, 20}, {q, k}, 0, 4 * 10 * 20 * 8, "a");
  const auto soft = s.op(K::softmax, "", {4, 10, 20}, {s.pointwise("mul", {scores}, 1)});
  s.op(K::batched_gemm, "", {4, 10, 8}, {soft, v}, 0, 4 * 10 * 20 * 8);
  const auto g = s.build();
  const auto deep = fuse(version_of(g));
  expect_conserved(g, deep.graph);
  const Operator& a = deep.graph.at(find_operator(deep.graph, "a"));
  EXPECT_EQ(a.kind, K::attention);
  EXPECT_EQ(a.heads, 4);
  EXPECT_EQ(a.inputs[1], (Shape{4, 8, 20}));

  GraphBuilder b("flat");
  const Tensor flat = b.attention(b.input({10, 32}), b.input({20, 32}), b.input({20, 32}), 4);
  const auto expected = kernels_of(b.build().at(flat.producer), 2), got = kernels_of(a, 2);
  ASSERT_EQ(expected.size(), got.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].kind, expected[i].kind);
    EXPECT_EQ(got[i].shape, expected[i].shape);
    EXPECT_EQ(got[i].count, expected[i].count);
  }
  // A product of activations per head.
  const auto product = kernels_of(g.at(find_operator(g, "a")), 2);
  ASSERT_EQ(product.size(), 1U);
  EXPECT_EQ(product[0].at("m"), 10);
  EXPECT_EQ(product[0].at("n"), 20);
  EXPECT_EQ(product[0].at("k"), 8);
  EXPECT_EQ(product[0].count, 8);
}

TEST(PassFuse, KeepsAttentionApartWhenItsScoresAreReadElsewhere) {
  Sketch s;
  const auto q = s.input({6, 4}), k = s.input({4, 6}), v = s.input({6, 4});
  const auto scores = s.op(K::batched_gemm, "", {6, 6}, {q, k}, 0, 144);
  const auto soft = s.op(K::softmax, "", {6, 6}, {scores});
  s.op(K::batched_gemm, "", {6, 4}, {soft, v}, 0, 144);
  const auto seen = s.build();
  EXPECT_EQ(fuse(version_of(seen)).graph.totals().operators, 1U);
  Sketch u;
  const auto q2 = u.input({6, 4}), k2 = u.input({4, 6}), v2 = u.input({6, 4});
  const auto soft2 =
      u.op(K::softmax, "", {6, 6}, {u.op(K::batched_gemm, "", {6, 6}, {q2, k2}, 0, 144)});
  u.op(K::batched_gemm, "", {6, 4}, {soft2, v2}, 0, 144);
  u.pointwise("relu", {soft2});  // attention weights are an output
  EXPECT_EQ(fuse(version_of(u.build())).graph.totals().operators, 4U);
}

TEST(PassFuse, KeepsFormatsApart) {
  GraphBuilder b("formats");
  const Tensor x = b.input({4, 4, 4});
  const Tensor c = b.conv(x, 4, {}, "c");
  Operator op;
  op.name = "act";
  op.kind = K::elementwise;
  op.function = "relu";
  op.inputs = {c.shape};
  op.output = c.shape;
  op.flops = 64;
  op.activations = Precision::fp16;
  OperatorGraph g = b.build();
  g.connect(c.producer, g.add(op));
  const auto v = fuse(version_of(g));
  EXPECT_EQ(v.graph.totals().operators, 2U);
  EXPECT_NE(v.history[0].find("0 epilogue (1 left apart: formats differ)"), std::string::npos);
  auto half = version_of(g);
  half.activations = Precision::fp16;
  EXPECT_EQ(fuse(half).graph.totals().operators, 1U);
}

TEST(PassFuse, KeepsAccuracyAndIsIdempotent) {
  auto v = version_of(builtin_graph("mobilenet-v3-large"));
  v.accuracy = Accuracy{0.75274, "ImageNet top-1", "torchvision, IMAGENET1K_V2"};
  const auto once = fuse(v);
  ASSERT_TRUE(once.accuracy);
  EXPECT_EQ(once.accuracy->value, 0.75274);
  const auto twice = fuse(once);
  EXPECT_EQ(once.graph.totals().operators, twice.graph.totals().operators);
}

TEST(PassFuse, RefusesABrokenGraph) {
  OperatorGraph g("broken");
  Operator op;
  op.name = "a";
  op.inputs = {{1}};
  op.output = {1};
  g.add(op);
  EXPECT_NE(testing::message_of([&] { fuse(version_of(g)); }).find("declares 1 inputs"),
            std::string::npos);
}

TEST(PassFuse, KeepsRandomGraphsWhole) {
  std::size_t fewer = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const auto g = testing::random_graph(seed);
    for (const FuseOptions& o : {FuseOptions{}, FuseOptions{.residual = true, .pointwise = true}}) {
      const auto v = fuse(version_of(g), o);
      EXPECT_NO_THROW(v.graph.validate());
      expect_conserved(g, v.graph);
      EXPECT_LE(traffic(v.graph), traffic(g));
      fewer += g.totals().operators - v.graph.totals().operators;
    }
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
  EXPECT_GT(fewer, 1000U);
}

TEST(PassFuse, ConservesSenselessGraphs) {
  std::size_t fewer = 0;
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    const auto g = testing::senseless_graph(seed);
    const auto v = fuse(version_of(g), {.batch_norm = false, .residual = true, .pointwise = true});
    expect_conserved(g, v.graph);
    fewer += g.totals().operators - v.graph.totals().operators;
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
  EXPECT_GT(fewer, 100U);
}

}  // namespace
}  // namespace isthmus::models
