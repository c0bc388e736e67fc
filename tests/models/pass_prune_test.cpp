// Channel pruning against counts by hand, and sparsity.
#include "models/pass_prune.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "models/builtin_graphs.hpp"
#include "models/pass_fuse.hpp"
#include "models/pass_sparsify.hpp"
#include "tests/models/pass_graphs.hpp"

namespace isthmus::models {
namespace {

using K = OperatorKind;
using testing::message_of;
using testing::version_of;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

const Operator& op_of(const ModelVersion& v, const char* name) {
  return v.graph.at(find_operator(v.graph, name));
}

// conv 3->8, depthwise, relu, conv 8->6, pool, product 6->10.
OperatorGraph chain() {
  GraphBuilder b("chain");
  Tensor x = b.input({3, 4, 4});
  x = b.conv(x, 8, {.kernel = 3}, "c1");
  x = b.depthwise(x, 3, 1, "dw");
  x = b.activation(x, "relu");
  x = b.conv(x, 6, {.bias = false}, "c2");
  b.gemm(b.global_pool(x), 10, true, "fc");
  return b.build();
}

TEST(PassPrune, FollowsChannelsDownTheChain) {
  const auto v = prune_channels(version_of(chain()), {.rules = {{"c1", 0.25}}});  // 8 -> 6
  EXPECT_EQ(op_of(v, "c1").output, (Shape{6, 4, 4}));
  EXPECT_EQ(op_of(v, "c1").params, 6 * 27 + 6);
  EXPECT_EQ(op_of(v, "c1").macs, 16 * 6 * 27);
  EXPECT_EQ(op_of(v, "c1").flops, 2 * 16 * 6 * 27 + 16 * 6);
  EXPECT_EQ(op_of(v, "dw").params, 6 * 9 + 6);
  EXPECT_EQ(op_of(v, "dw").groups, 6);
  EXPECT_EQ(op_of(v, "c2").params, 6 * 6);
  EXPECT_EQ(op_of(v, "c2").macs, 16 * 36);
  EXPECT_EQ(op_of(v, "c2").input_elements, 96);
  EXPECT_EQ(op_of(v, "c2").output, (Shape{6, 4, 4}));
  EXPECT_EQ(op_of(v, "fc").params, 70);
  EXPECT_EQ(v.history.back(),
            "prune: 1 operators, 0 more tied to them, 0 left alone; parameters 422 -> 334, macs "
            "5436 -> 4092");
}

// A pruned graph equals the graph that is built with fewer channels.
TEST(PassPrune, EqualsTheNarrowNetwork) {
  const auto build = [](std::int64_t wide, std::int64_t se) {
    GraphBuilder b("block");
    Tensor x = b.conv(b.input({3, 8, 8}), wide, {.kernel = 3}, "stem");
    Tensor y = b.depthwise(x, 5, 1, "dw");
    Tensor s = b.activation(b.gemm(b.global_pool(y), se, true, "se1"), "relu");
    y = b.multiply(y, b.activation(b.gemm(s, wide, true, "se2"), "hard_sigmoid", 3));
    y = b.conv(y, wide, {}, "project");
    x = b.activation(b.add(x, y), "relu");
    x = b.concat({x, b.conv(x, 5, {}, "side")});
    b.gemm(b.global_pool(x), 10, true, "fc");
    return b.build();
  };
  const auto pruned =
      prune_channels(version_of(build(16, 8)), {.rules = {{"stem", 0.5}, {"se1", 0.25}}});
  const auto narrow = build(8, 6);
  ASSERT_EQ(pruned.graph.size(), narrow.size());
  for (std::size_t i = 0; i < narrow.size(); ++i) {
    const Operator &a = pruned.graph.at(i), &b = narrow.at(i);
    EXPECT_EQ(a.output, b.output) << a.name;
    EXPECT_EQ(a.inputs, b.inputs) << a.name;
    EXPECT_NEAR(a.params, b.params, 1e-9) << a.name;
    EXPECT_NEAR(a.macs, b.macs, 1e-9) << a.name;
    EXPECT_NEAR(a.flops, b.flops, 1e-9) << a.name;
    EXPECT_EQ(a.input_elements, b.input_elements) << a.name;
    EXPECT_EQ(a.output_elements, b.output_elements) << a.name;
  }
  // stem was matched; the projection and the widening product of the block go with it.
  EXPECT_NE(pruned.history.back().find("2 operators, 2 more tied"), std::string::npos)
      << pruned.history.back();
}

// Halving every inner width of ResNet-50 halves the products' sides: nearly a quarter of the work.
TEST(PassPrune, HalvesResNet50) {
  const auto g = builtin_graph("resnet-50");
  const auto v = prune_channels(version_of(g), {.rules = {{"conv", 0.5}}});
  const auto before = g.totals(), after = v.graph.totals();
  EXPECT_EQ(before.operators, after.operators);
  // All convolutions but the stem, which reads three colours, have both sides halved.
  const double stem = 112 * 112 * 64.0 * 147, classifier = 2048e3;
  EXPECT_NEAR(after.macs, (before.macs - stem - classifier) / 4 + stem / 2 + classifier / 2, 1);
  EXPECT_EQ(v.graph.at(v.graph.size() - 1).output, Shape{1000});
  EXPECT_FALSE(v.accuracy);
  // The same after fusion, residual sums included.
  const auto fused =
      prune_channels(fuse(version_of(g), {.residual = true}), {.rules = {{"conv", 0.5}}});
  EXPECT_NEAR(fused.graph.totals().macs, after.macs, 1);
  EXPECT_NEAR(fused.graph.totals().params, after.params, 1);
}

// Gates halve their channels: what is pruned stays a pair of halves.
TEST(PassPrune, FollowsGates) {
  const auto build = [](std::int64_t ffn) {
    GraphBuilder b("gated");
    Tensor x = b.input({4, 16});
    b.module("mlp");
    const Tensor up = b.gemm(b.rms_norm(x), 2 * ffn, false, "up");
    x = b.add(x, b.gemm(b.gate(up, "silu"), 16, false, "down"));
    b.module("");
    b.gemm(x, 9, false, "head");
    return b.build();
  };
  const auto v = prune_channels(version_of(build(30)), {.rules = {{"mlp", 0.25}}});
  const auto expected = build(23).totals(), got = v.graph.totals();  // 45 of 60, made even: 46
  EXPECT_EQ(op_of(v, "up").output, (Shape{4, 46}));
  EXPECT_EQ(op_of(v, "down").inputs[0], (Shape{4, 23}));
  EXPECT_NEAR(got.params, expected.params, 1e-9);
  EXPECT_NEAR(got.macs, expected.macs, 1e-9);
  EXPECT_NEAR(got.flops, expected.flops, 1e-9);
}

TEST(PassPrune, FlattensPlanesAndRoundsToMultiples) {
  testing::Sketch s;
  const auto x = s.input({3, 4, 4});
  const auto c = s.op(K::conv, "", {16, 4, 4}, {x}, 16 * 3, 16 * 16 * 3, "c");
  const auto flat = s.op(K::copy, "flatten", {256}, {c});
  s.op(K::gemm, "", {10}, {flat}, 2560, 2560, "fc");
  const auto v = prune_channels(version_of(s.build()), {.rules = {{"c", 0.3, 8}}});  // 12 -> 16
  EXPECT_EQ(op_of(v, "c").output[0], 16);
  const auto w = prune_channels(v, {.rules = {{"c", 0.6, 8}}});  // 7 -> 8
  EXPECT_EQ(op_of(w, "c").output[0], 8);
  EXPECT_EQ(op_of(w, "fc").params, 1280);
}

TEST(PassPrune, RefusesWhatHoldsItsChannels) {
  const auto v = version_of(chain());
  const auto message = [&](const ModelVersion& m, PruneOptions o) {
    return message_of([&] { prune_channels(m, o); });
  };
  EXPECT_NE(message(v, {.rules = {{"fc", 0.5}}}).find("'fc': they are the model's output"),
            std::string::npos);
  EXPECT_NE(message(v, {.rules = {{"dw", 0.5}}}).find("no dense convolution or product"),
            std::string::npos);
  EXPECT_NE(message(v, {.rules = {{"c3", 0.5}}}).find("did you mean"), std::string::npos);
  for (const double ratio : {-0.1, 1.0, nan})
    EXPECT_NE(message(v, {.rules = {{"c1", ratio}}}).find("\"ratio\" is a share"),
              std::string::npos);
  EXPECT_NE(message(v, {.rules = {{"c1", 0.5, 0}}}).find("\"multiple\""), std::string::npos);
  EXPECT_NE(message(v, {}).find("there is no rule"), std::string::npos);

  GraphBuilder b("grouped");
  Tensor x = b.conv(b.input({4, 4, 4}), 8, {}, "c1");
  x = b.conv(x, 8, {.kernel = 3, .groups = 2}, "g");
  b.conv(x, 8, {}, "c2");
  const auto grouped = version_of(b.build());
  EXPECT_NE(message(grouped, {.rules = {{"c1", 0.5}}}).find("'g' is a grouped convolution"),
            std::string::npos);
  // Heads of attention stay; the feed-forward layer can go.
  GraphBuilder t("block");
  const Tensor in = t.input({6, 8});
  const Tensor a = t.attention(t.gemm(in, 8, true, "q"), t.gemm(in, 8, true, "k"),
                               t.gemm(in, 8, true, "v"), 2, "a");
  const Tensor up = t.gemm(t.norm(a), 32, true, "up");
  t.gemm(t.activation(up, "gelu"), 8, true, "down");
  const auto block = version_of(t.build());
  EXPECT_NE(message(block, {.rules = {{"q", 0.5}}}).find("'a' is of the kind attention"),
            std::string::npos);
  EXPECT_EQ(prune_channels(block, {.rules = {{"gemm", 0.5}}}).graph.totals().params,
            block.graph.totals().params - 16 * 8 - 16 - 16 * 8);
}

TEST(PassPrune, KeepsRandomGraphsWhole) {
  std::size_t pruned = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const auto g = testing::random_graph(seed);
    for (const auto& start : {version_of(g), fuse(version_of(g), {.residual = true})}) {
      ModelVersion v = start;
      try {
        v = prune_channels(start, {.rules = {{"conv", 0.5}}});
        ++pruned;
      } catch (const InputError&) {
        continue;  // all channels are held
      }
      EXPECT_NO_THROW(v.graph.validate());
      EXPECT_EQ(testing::final_shapes(g).size(), testing::final_shapes(v.graph).size());
      EXPECT_EQ(start.graph.totals().operators, v.graph.totals().operators);
      EXPECT_LE(v.graph.totals().macs, g.totals().macs);
      EXPECT_EQ(testing::all_names(v.graph), testing::all_names(g));
      for (std::size_t i = 0; i < v.graph.size(); ++i) {
        const Operator& op = v.graph.at(i);
        double in = 0;
        for (const auto& shape : op.inputs) in += elements(shape);
        if (op.fused.empty()) {
          EXPECT_NEAR(op.input_elements, in, 1e-6) << op.name;
        }
      }
    }
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
  EXPECT_GT(pruned, 50U);
}

TEST(PassSparsify, StoresTwoOfFour) {
  const SparsifyOptions two_four{
      .rules = {{.match = "c1", .kept = 2, .of = 4, .sparse_speedup = 2}}};
  auto v = version_of(chain());
  v.weights = Precision::fp16;
  const auto s = sparsify(v, two_four);
  // Half of 216 weights, each with 2 bits beside its 16; the bias is dense.
  EXPECT_EQ(op_of(s, "c1").params, 108 * (1 + 2.0 / 16) + 8);
  EXPECT_EQ(op_of(s, "c1").macs, 16 * 8 * 27 / 2);
  EXPECT_EQ(op_of(s, "c1").flops, 16 * 8 * 27 + 128);
  EXPECT_EQ(op_of(s, "c2").params, op_of(v, "c2").params);
  EXPECT_NE(message_of([&] { sparsify(s, two_four); }).find("sparse already"), std::string::npos);
  EXPECT_NE(message_of([&] {
              prune_channels(s, {.rules = {{"c2", 0.5}}});
            }).find("prune channels first"),
            std::string::npos);
}

TEST(PassSparsify, MultipliesZerosWithoutHardware) {
  const auto v = version_of(chain());
  const auto s = sparsify(v, {.rules = {{.match = "c1", .zeros = 0.75}}});
  // A quarter of the weights and one bit of 32 for each of the dense ones.
  EXPECT_EQ(op_of(s, "c1").params, 216 * (0.25 + 1.0 / 32) + 8);
  EXPECT_EQ(op_of(s, "c1").flops, op_of(v, "c1").flops);
  // Few zeros are not worth their places: the dense matrix is stored.
  const auto few = sparsify(v, {.rules = {{.match = "c1", .zeros = 0.01, .index_bits = 16}}});
  EXPECT_EQ(op_of(few, "c1").params, 224);
}

TEST(PassSparsify, RefusesBadInput) {
  const auto v = version_of(chain());
  const auto message = [&](SparsityRule r) {
    return message_of([&] { sparsify(v, {.rules = {r}}); });
  };
  for (const double zeros : {-0.1, 1.0, nan})
    EXPECT_NE(message({.match = "c1", .zeros = zeros}).find("\"zeros\" is a share"),
              std::string::npos);
  EXPECT_NE(message({.match = "c1", .kept = 5, .of = 4}).find("5 of 4 weights"), std::string::npos);
  EXPECT_NE(message({.match = "c1", .kept = 1}).find("1 of 0 weights"), std::string::npos);
  EXPECT_NE(message({.match = "c1", .zeros = 0.5, .kept = 2, .of = 4}).find("not both"),
            std::string::npos);
  for (const double speedup : {0.5, 2.5, nan})
    EXPECT_NE(message({.match = "c1", .kept = 2, .of = 4, .sparse_speedup = speedup})
                  .find("speeds up from 1 to 2 times"),
              std::string::npos);
  EXPECT_NE(message({.match = "c1", .zeros = 0.5, .index_bits = nan}).find("\"index_bits\""),
            std::string::npos);
  EXPECT_NE(message({.match = "elementwise", .zeros = 0.5}).find("no convolution or product"),
            std::string::npos);
  EXPECT_NE(message_of([&] { sparsify(v, {}); }).find("there is no rule"), std::string::npos);
}

TEST(PassSparseActivation, TouchesAShare) {
  GraphBuilder b("ffn");
  b.module("mlp");
  const Tensor x = b.gemm(b.input({1, 8}), 32, false, "up");
  b.gemm(b.activation(x, "relu"), 8, false, "down");
  const auto v = version_of(b.build());
  const auto s = sparse_activation(v, {.rules = {{"mlp", 0.25}}});
  EXPECT_EQ(op_of(s, "up").active, 0.25);
  EXPECT_EQ(op_of(s, "up").macs, 64);
  EXPECT_EQ(op_of(s, "up").params, 256);
  EXPECT_EQ(op_of(s, "down").flops, 128);
  EXPECT_EQ(op_of(s, "up").bytes(1, Precision::fp16, Precision::fp16), 64 * 2 + 40 * 2);
  EXPECT_EQ(s.history.back(),
            "sparse-activation: 2 operators; 128 of 512 parameters active, flops 1056 -> 288");
  for (const double share : {0.0, 1.1, nan})
    EXPECT_NE(message_of([&] {
                sparse_activation(v, {.rules = {{"mlp", share}}});
              }).find("\"active\" is a share"),
              std::string::npos);
}

}  // namespace
}  // namespace isthmus::models
