// Early exits: heads, prefixes, shares and accuracies by hand.
#include "models/pass_exits.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "models/builtin_graphs.hpp"
#include "models/pass_fuse.hpp"
#include "tests/models/pass_graphs.hpp"

namespace isthmus::models {
namespace {

using K = OperatorKind;
using testing::message_of;
using testing::version_of;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// Three convolutions and a classifier.
OperatorGraph net() {
  GraphBuilder b("net");
  Tensor x = b.input({3, 8, 8});
  x = b.conv(x, 8, {}, "c1");
  x = b.conv(x, 8, {}, "c2");
  x = b.conv(x, 16, {}, "c3");
  b.gemm(b.global_pool(x, "pool"), 10, true, "fc");
  return b.build();
}

ExitOptions two_exits() {
  return {.exits = {{"c2", 0.3, Accuracy{0.8, "top-1", "us"}},
                    {"c1", 0.5, Accuracy{0.9, "top-1", "us"}}},
          .accuracy = Accuracy{0.6, "top-1", "them"}};
}

TEST(PassExits, InsertsHeadsAndCountsPrefixes) {
  const auto v = add_exits(version_of(net()), two_exits());
  ASSERT_EQ(v.exits.size(), 2U);
  EXPECT_EQ(v.exits[0].after, "c1");  // in the order in which samples meet them
  EXPECT_EQ(v.exits[0].head, "exit2.classifier");
  const Operator& head = v.graph.at(find_operator(v.graph, "exit1.classifier"));
  EXPECT_EQ(head.output, Shape{10});
  EXPECT_EQ(head.params, 90);
  EXPECT_EQ(head.module, "exits.1");
  EXPECT_EQ(v.graph.totals().operators, 5U + 4);

  const double c1 = 2 * 64 * 24 + 64 * 8, c2 = 2 * 64 * 64 + 64 * 8, c3 = 2 * 64 * 128 + 64 * 16;
  const double small = 512 + 2 * 80 + 10, last = 1024 + 2 * 160 + 10;
  const auto first = prefix_graph(v, 0), second = prefix_graph(v, 1), all = prefix_graph(v, 2);
  EXPECT_EQ(first.totals().flops, c1 + small);
  EXPECT_EQ(first.totals().operators, 3U);
  EXPECT_EQ(second.totals().flops, c1 + c2 + 2 * small);
  EXPECT_EQ(all.totals().flops, c1 + c2 + c3 + 2 * small + last);
  EXPECT_NEAR(
      expected_totals(v).flops,
      0.5 * (c1 + small) + 0.3 * (c1 + c2 + 2 * small) + 0.2 * (c1 + c2 + c3 + 2 * small + last),
      1e-9);
  EXPECT_THROW(prefix_graph(v, 3), InputError);
  const auto accuracy = expected_accuracy(v);
  ASSERT_TRUE(accuracy);
  EXPECT_NEAR(accuracy->value, 0.5 * 0.9 + 0.3 * 0.8 + 0.2 * 0.6, 1e-12);
  EXPECT_EQ(accuracy->source, "mean over 3 exits by their shares; them; us");
}

TEST(PassExits, DrawsExitsByTheirShares) {
  const auto v = add_exits(version_of(net()), two_exits());
  EXPECT_EQ(exit_for(v, 0), 0U);
  EXPECT_EQ(exit_for(v, 0.4999), 0U);
  EXPECT_EQ(exit_for(v, 0.5), 1U);
  EXPECT_EQ(exit_for(v, 0.7999), 1U);
  EXPECT_EQ(exit_for(v, 0.81), 2U);
  EXPECT_EQ(exit_for(v, std::nextafter(1.0, 0.0)), 2U);
  EXPECT_NEAR(exit_share(v, 2), 0.2, 1e-12);
  // Everyone leaves: ten tenths miss 1, but nobody goes to the end.
  auto tenths = version_of(builtin_graph("resnet-18"));
  ExitOptions all;
  for (std::size_t i = 1; all.exits.size() < 10; ++i)
    if (tenths.graph.at(i).kind == K::conv) all.exits.push_back({tenths.graph.at(i).name, 0.1});
  const auto w = add_exits(tenths, all);
  EXPECT_EQ(exit_share(w, 10), 0);
  EXPECT_EQ(exit_for(w, std::nextafter(1.0, 0.0)), 9U);
  // Exits that nobody takes are never drawn.
  const auto none = add_exits(version_of(net()), {.exits = {{"c1", 1}, {"c2", 0}}});
  EXPECT_EQ(exit_for(none, std::nextafter(1.0, 0.0)), 0U);
  EXPECT_EQ(exit_for(version_of(net()), 0.3), 0U);
}

TEST(PassExits, BuildsHeadsForSequences) {
  for (const bool per_token : {false, true}) {
    GraphBuilder b("encoder");
    Tensor x = b.gemm(b.input({5, 8}), 8, true, "l0");
    x = b.gemm(x, 8, true, "l1");
    b.gemm(x, 3, true, "fc");
    OperatorGraph g = b.build();
    if (!per_token) {  // one answer for the sequence
      Operator first;
      first.name = "first_token";
      first.kind = K::copy;
      first.inputs = {{5, 3}};
      first.output = {3};
      g.connect(3, g.add(first));
    }
    const auto v = add_exits(version_of(g), {.exits = {{"l0", 0.4}}});
    const Operator& head = v.graph.at(find_operator(v.graph, v.exits[0].head));
    EXPECT_EQ(head.output, per_token ? (Shape{5, 3}) : Shape{3});
    EXPECT_EQ(v.graph.at(find_operator(v.graph, "exit1.norm")).function, "layer_norm");
    EXPECT_EQ(v.graph.totals().operators, g.totals().operators + (per_token ? 2 : 3));
    EXPECT_FALSE(expected_accuracy(v));
  }
}

TEST(PassExits, SurvivesFusion) {
  auto v = add_exits(version_of(builtin_graph("mobilenet-v3-large")), {.exits = {{"conv7", 0.25}}});
  const double expected = expected_totals(v).flops;
  v = fuse(std::move(v));
  EXPECT_NEAR(expected_totals(v).flops, expected, 1);
  // Behind an operator that has been folded: the place is that of the whole.
  const auto fused = fuse(version_of(builtin_graph("resnet-18")));
  std::string folded;
  for (std::size_t i = 0; i < fused.graph.size() && folded.empty(); ++i)
    if (!fused.graph.at(i).fused.empty()) folded = fused.graph.at(i).fused.front();
  const auto w = add_exits(fused, {.exits = {{folded, 0.1}}});
  EXPECT_EQ(w.exits[0].after, fused.graph.at(find_operator(fused.graph, folded)).name);
}

TEST(PassExits, RefusesBadInput) {
  const auto v = version_of(net());
  const auto message = [&](std::vector<ExitSpec> exits) {
    return message_of([&] { add_exits(v, {.exits = std::move(exits)}); });
  };
  EXPECT_NE(
      message({{"c4", 0.1}}).find("exit/after: no operator of 'net' is called \"c4\"; did you"),
      std::string::npos);
  for (const double share : {-0.1, 1.1, nan})
    EXPECT_NE(message({{"c1", share}}).find("between 0 and 1"), std::string::npos);
  EXPECT_NE(message({{"c1", 0.7}, {"c2", 0.4}}).find("add up to 1.1"), std::string::npos);
  EXPECT_NE(message({{"c1", 0.1}, {"c1", 0.1}}).find("already"), std::string::npos);
  EXPECT_NE(message({{"fc", 0.1}}).find("an output already"), std::string::npos);
  EXPECT_NE(message({{"input0", 0.1}}).find("is an input"), std::string::npos);
  EXPECT_NE(message({{"c1", 0.1, Accuracy{0.5, "", ""}}}).find("needs its \"source\""),
            std::string::npos);
  EXPECT_NE(message({}).find("there is no exit"), std::string::npos);
  // A second pass counts the first one's shares and places.
  const auto once = add_exits(v, {.exits = {{"c1", 0.7}}});
  EXPECT_NE(message_of([&] {
              add_exits(once, {.exits = {{"c2", 0.4}}});
            }).find("add up to 1.1"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              add_exits(once, {.exits = {{"c1", 0.1}}});
            }).find("already"),
            std::string::npos);
  EXPECT_EQ(add_exits(once, {.exits = {{"c2", 0.3}}}).exits[1].head, "exit2.classifier");
  // Two outputs: the answer's width is not known.
  GraphBuilder b("two");
  const Tensor x = b.conv(b.input({3, 8, 8}), 4, {}, "c");
  b.conv(x, 4, {}, "boxes");
  b.conv(x, 9, {}, "classes");
  const auto two = version_of(b.build());
  EXPECT_NE(message_of([&] {
              add_exits(two, {.exits = {{"c", 0.1}}});
            }).find("\"classes\""),
            std::string::npos);
  ExitSpec given{"c", 0.1};
  given.classes = 7;
  EXPECT_EQ(add_exits(two, {.exits = {given}}).graph.totals().operators, 5U);
}

TEST(PassExits, KeepsRandomGraphsWhole) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const auto g = testing::random_graph(seed);
    ExitOptions o;
    for (std::size_t i = 1; i < g.size(); ++i) {
      if (g.at(i).kind != K::input && !g.successors(i).empty() && i % 5 == 0 &&
          o.exits.size() < 4) {
        o.exits.push_back({g.at(i).name, 0.2});
        o.exits.back().classes = 10;
      }
    }
    if (o.exits.empty()) continue;
    const auto v = add_exits(version_of(g), o);
    EXPECT_NO_THROW(v.graph.validate());
    EXPECT_EQ(testing::final_shapes(v.graph).size(),
              testing::final_shapes(g).size() + o.exits.size());
    double last = 0;
    for (std::size_t i = 0; i <= v.exits.size(); ++i) {
      const auto p = prefix_graph(v, i);
      EXPECT_NO_THROW(p.validate());
      EXPECT_GE(p.totals().flops, last);  // later exits cost more
      last = p.totals().flops;
    }
    EXPECT_LE(expected_totals(v).flops, last);
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace isthmus::models
