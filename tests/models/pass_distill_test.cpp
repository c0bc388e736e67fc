// Students with fewer layers.
#include "models/pass_distill.hpp"

#include <gtest/gtest.h>

#include "models/builtin_graphs.hpp"
#include "models/builtin_llms.hpp"
#include "models/pass_exits.hpp"
#include "models/pass_fuse.hpp"
#include "tests/models/pass_graphs.hpp"

namespace isthmus::models {
namespace {

using testing::message_of;
using testing::version_of;

// An encoder of `layers` layers as published for BERT-base, one mask for all of them.
OperatorGraph encoder(int layers, std::int64_t hidden = 768, const char* stack = "encoder.layer") {
  GraphBuilder b("encoder-" + std::to_string(layers));
  const std::int64_t tokens = 16;
  Tensor x = b.input({tokens, hidden}, "tokens");
  b.module("embeddings");
  x = b.norm(x);
  for (int i = 0; i < layers; ++i) {
    const std::string layer = stack + ("." + std::to_string(i));
    b.module(layer + ".attention");
    const Tensor a = b.attention(b.gemm(x, hidden), b.gemm(x, hidden), b.gemm(x, hidden), 12);
    x = b.norm(b.add(x, b.gemm(a, hidden)));
    b.module(layer + ".mlp");
    const Tensor up = b.activation(b.gemm(x, 4 * hidden), "gelu", 8);
    x = b.norm(b.add(x, b.gemm(up, hidden)), "out" + std::to_string(i));
  }
  b.module("");
  b.gemm(x, 2, true, "classifier");
  return b.build();
}

TEST(PassDistill, TakesEverySecondLayer) {
  const auto teacher = encoder(12);
  auto v = version_of(teacher);
  v.accuracy = Accuracy{0.795, "GLUE", "paper"};
  const auto student = distill(v, {});
  // The same counts as the network that is built with six.
  const auto six = encoder(6).totals(), s = student.graph.totals();
  EXPECT_EQ(s.operators, six.operators);
  EXPECT_EQ(s.params, six.params);
  EXPECT_EQ(s.flops, six.flops);
  EXPECT_EQ(s.activations, six.activations);
  EXPECT_FALSE(student.accuracy);
  ASSERT_TRUE(student.distilled);
  EXPECT_EQ(student.distilled->teacher, "encoder-12");
  EXPECT_DOUBLE_EQ(student.distilled->params_ratio, s.params / teacher.totals().params);
  EXPECT_EQ(student.graph.at(find_operator(student.graph, "out10")).module, "encoder.layer.10.mlp");
  EXPECT_THROW(find_operator(student.graph, "out11"), InputError);
  EXPECT_NE(student.history.back().find("6 of 12 layers of \"encoder.layer\" stay"),
            std::string::npos);
  // The layers of DistilBERT's initialization, and fused graphs.
  const auto named = distill(v, {.keep = {0, 2, 4, 7, 9, 11}});
  EXPECT_EQ(named.graph.totals().params, six.params);
  EXPECT_EQ(distill(fuse(v), {}).graph.totals().params, six.params);
  // Twice: relative to the first teacher. Layers 0, 4, 8.
  const auto three = distill(student, {.keep_every = 4});
  EXPECT_EQ(three.distilled->teacher, "encoder-12");
  EXPECT_NEAR(three.distilled->params_ratio, encoder(3).totals().params / teacher.totals().params,
              1e-12);
}

// DistilBERT is BERT-base with every second layer, without the pooler and the two segment codes.
TEST(PassDistill, MakesDistilBertOfBert) {
  const auto student = distill(version_of(builtin_graph("bert-base")), {}).graph.totals();
  const auto published = builtin_graph("distilbert").totals();
  EXPECT_EQ(student.params, published.params + (768 * 768 + 768) + 2 * 768);
  EXPECT_EQ(student.macs, published.macs + 768 * 768);
}

// Routers of mixtures end in outputs of their own.
TEST(PassDistill, HalvesMixtures) {
  const LlmShape shape = builtin_llm("qwen3-30b-a3b");
  const auto teacher = version_of(decoder(shape, 16));
  LlmShape half = shape;
  half.layers /= 2;
  const auto student = distill(teacher, {}).graph.totals(), expected = decoder(half, 16).totals();
  EXPECT_EQ(student.operators, expected.operators);
  EXPECT_EQ(student.params, expected.params);
  EXPECT_EQ(student.flops, expected.flops);
}

TEST(PassDistill, DropsTheFirstLayerAndWhatOnlyGoneLayersRead) {
  GraphBuilder b("tables");
  Tensor x = b.input({4, 8}, "tokens");
  const Tensor shared = b.input({4, 4}, "shared"), own = b.input({4, 2}, "own");
  for (int i = 0; i < 3; ++i) {
    b.module("layers." + std::to_string(i));
    const Tensor bias = b.gemm(i == 1 ? own : shared, 8);
    x = b.add(b.gemm(x, 8), bias);
  }
  b.module("");
  b.softmax(x, "answer");
  const auto g = b.build();
  const auto last = distill(version_of(g), {.keep = {2}});
  EXPECT_EQ(last.graph.totals().operators, 4U);
  EXPECT_NO_THROW(find_operator(last.graph, "shared"));
  EXPECT_THROW(find_operator(last.graph, "own"), InputError);
  EXPECT_EQ(testing::final_shapes(g), testing::final_shapes(last.graph));
}

TEST(PassDistill, RefusesBadInput) {
  const auto v = version_of(encoder(4, 24));
  const auto message = [&](DistillOptions o) { return message_of([&] { distill(v, o); }); };
  EXPECT_NE(message({.layers = "encoder.layr"}).find("did you mean \"encoder.layer\"?"),
            std::string::npos);
  EXPECT_NE(message({.keep_every = 1}).find("2 or more, not 1"), std::string::npos);
  EXPECT_NE(message({.keep_every = 0}).find("2 or more, not 0"), std::string::npos);
  EXPECT_NE(message({.keep = {0, 4}}).find("no layer 4; there are 4 from 0 to 3"),
            std::string::npos);
  EXPECT_NE(message({.keep = {0, 1, 2, 3}}).find("every layer stays"), std::string::npos);
  EXPECT_NE(message({.accuracy = Accuracy{0.7, "GLUE", ""}}).find("\"source\""), std::string::npos);
  EXPECT_NE(message_of([&] {
              distill(version_of(builtin_graph("resnet-18")), {});
            }).find("no modules of 'resnet-18' are numbered"),
            std::string::npos);
  // A layer that changes its tensor, and one that two tensors leave.
  GraphBuilder b("shapes");
  Tensor x = b.input({4, 8});
  for (int i = 0; i < 3; ++i) {
    b.module("layers." + std::to_string(i));
    x = b.gemm(x, 8 + 8 * i);
  }
  const auto shapes = version_of(b.build());
  EXPECT_NE(message_of([&] {
              distill(shapes, {});
            }).find("layer layers.1 cannot be left out: it changes the shape"),
            std::string::npos);
  GraphBuilder c("two");
  Tensor y = c.input({4, 8});
  for (int i = 0; i < 2; ++i) {
    c.module("layers." + std::to_string(i));
    const Tensor z = c.gemm(y, 8);
    y = c.gemm(z, 8);
    c.module("");
    c.softmax(z);
  }
  EXPECT_NE(message_of([&] { distill(version_of(c.build()), {}); }).find("2 tensors leave it"),
            std::string::npos);
  // Exits behind layers that go.
  const auto exits = add_exits(v, {.exits = {{"out1", 0.3}}});
  EXPECT_NE(message_of([&] { distill(exits, {}); }).find("distill before adding exits"),
            std::string::npos);
  const auto kept = distill(add_exits(v, {.exits = {{"out0", 0.3}}}), {});
  EXPECT_EQ(kept.exits.size(), 1U);
  EXPECT_EQ(prefix_graph(kept, 0).totals().operators, 1U + 12 + 2);
}

TEST(PassDistill, ListsPublishedPairs) {
  for (const auto& d : published_distillations()) {
    EXPECT_LT(d.student_params, d.teacher_params);
    EXPECT_GT(d.student_accuracy, 0);
    EXPECT_LE(d.student_accuracy, d.teacher_accuracy);
    EXPECT_NE(d.source.find("arXiv:"), std::string_view::npos);
  }
  // The abstracts: DistilBERT is 40 % smaller and keeps 97 %; TinyBERT is 7.5 times smaller, 96.8
  // %.
  const auto& distilbert = published_distillations()[0];
  EXPECT_NEAR(1 - distilbert.student_params / distilbert.teacher_params, 0.40, 0.005);
  EXPECT_NEAR(distilbert.student_accuracy / distilbert.teacher_accuracy, 0.97, 0.005);
  const auto& tiny = published_distillations()[1];
  EXPECT_NEAR(tiny.teacher_params / tiny.student_params, 7.5, 0.05);
  EXPECT_NEAR(tiny.student_accuracy / tiny.teacher_accuracy, 0.968, 0.001);
}

}  // namespace
}  // namespace isthmus::models
