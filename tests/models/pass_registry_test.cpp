// Passes from JSON: the examples of the documentation, and messages that say where.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "models/builtin_graphs.hpp"
#include "models/pass_exits.hpp"
#include "models/passes.hpp"
#include "tests/models/pass_graphs.hpp"

namespace isthmus::models {
namespace {

using nlohmann::json;
using testing::message_of;
using testing::version_of;

OperatorGraph stack() {
  GraphBuilder b("stack");
  Tensor x = b.input({4, 8}, "tokens");
  for (int i = 0; i < 4; ++i) {
    const std::string layer = "layers." + std::to_string(i);
    b.module(layer + ".attention");
    x = b.add(x, b.attention(b.gemm(x, 8), b.gemm(x, 8), b.gemm(x, 8), 2));
    b.module(layer + ".mlp");
    x = b.add(x, b.gemm(b.activation(b.gemm(x, 32), "gelu", 8), 8), "out" + std::to_string(i));
  }
  b.module("");
  b.gemm(x, 5, true, "head");
  return b.build();
}

TEST(PassRegistry, AppliesPassesInOrder) {
  const auto v = apply_passes(version_of(stack()), json::parse(R"([
    {"pass": "distill", "keep_every": 2, "accuracy": 0.77, "metric": "GLUE", "source": "a paper"},
    {"pass": "prune", "match": "layers.*.mlp", "ratio": 0.25},
    {"pass": "fuse", "patterns": ["attention", "batch_norm", "epilogue"]},
    {"pass": "sparse-activation", "match": "layers.*.mlp", "active": 0.5},
    {"pass": "sparsify", "rules": [{"match": "gemm", "kept": 2, "of": 4, "sparse_speedup": 2}]},
    {"pass": "precision", "rules": [{"match": "*", "weights": "fp16", "activations": "fp16"},
                                    {"match": "layers.*.mlp", "weights": "int8"}],
     "sensitive": "fp32"},
    {"pass": "early-exits", "exits": [{"after": "out0", "share": 0.4, "accuracy": 0.71,
                                       "source": "us"}]}
  ])"));
  ASSERT_EQ(v.history.size(), 7U);
  const char* names[] = {"distill",  "prune",     "fuse",       "sparse-activation",
                         "sparsify", "precision", "early-exits"};
  for (std::size_t i = 0; i < 7; ++i)
    EXPECT_TRUE(v.history[i].starts_with(std::string(names[i]) + ":")) << v.history[i];
  EXPECT_NO_THROW(v.graph.validate());
  EXPECT_FALSE(v.accuracy);  // sparsity has cleared what distilling brought
  EXPECT_EQ(v.exits.at(0).accuracy->value, 0.71);
  // 24 of 32 features, half of them touched, half of those stored and multiplied.
  const Operator& up = v.graph.at(find_operator(v.graph, "gemm6"));
  EXPECT_EQ(up.output, (Shape{4, 24}));
  EXPECT_EQ(up.macs, 4 * 8 * 24 * 0.5 * 0.5);
  EXPECT_EQ(up.weights, Precision::int8);
  EXPECT_NEAR(expected_totals(v).flops,
              0.4 * prefix_graph(v, 0).totals().flops + 0.6 * v.graph.totals().flops, 1e-9);
}

TEST(PassRegistry, KeepsTheModelForNoPasses) {
  const auto v = apply_passes(version_of(stack()), json::array());
  EXPECT_TRUE(v.history.empty());
  EXPECT_EQ(v.graph.totals().flops, stack().totals().flops);
}

struct Bad {
  const char *passes, *message;
};

class BadPasses : public ::testing::TestWithParam<Bad> {};

TEST_P(BadPasses, AreNamed) {
  const auto v = version_of(stack());
  const std::string message =
      message_of([&] { apply_passes(v, json::parse(GetParam().passes), "/models/0/passes"); });
  EXPECT_NE(message.find(GetParam().message), std::string::npos) << message;
}

INSTANTIATE_TEST_SUITE_P(
    Json, BadPasses,
    ::testing::Values(
        Bad{R"({})", "/models/0/passes: expected a list of passes"},
        Bad{R"([3])", "/models/0/passes/0: expected an object with a \"pass\""},
        Bad{R"([{"pass": 3}])", "/models/0/passes/0: expected an object"},
        Bad{R"([{"pass": "fuze"}])",
            "/models/0/passes/0/pass: no pass is called \"fuze\"; did you mean \"fuse\"?"},
        Bad{R"([{"pass": "fuse", "pattern": []}])",
            "/models/0/passes/0/pattern: unknown key; did you mean \"patterns\"?"},
        Bad{R"([{"pass": "fuse", "patterns": []}])",
            "/patterns: expected a list with at least one"},
        Bad{R"([{"pass": "fuse", "patterns": ["atention"]}])",
            "/patterns/0: no pattern is called \"atention\"; did you mean \"attention\"?"},
        Bad{R"([{"pass": "fuse", "patterns": [1]}])", "/patterns/0: expected the name"},
        Bad{R"([{"pass": "fuse", "causal": 1}])", "/causal: expected true or false, not 1"},
        Bad{R"([{"pass": "fuse"}, {"pass": "precision"}])", "/1: \"match\" is missing"},
        Bad{R"([{"pass": "precision", "rules": []}])", "/rules: expected a list"},
        Bad{R"([{"pass": "precision", "rules": [{"match": "mlp", "weights": "int8"}]}])",
            "/0/rules/0/match: no operator, module or operator kind"},
        Bad{R"([{"pass": "precision", "rules": [{"match": "gemm", "weights": "in8"}]}])",
            "/0/rules/0/weights: no number format is called \"in8\"; did you mean \"int8\"?"},
        Bad{R"([{"pass": "precision", "rules": [{"match": "gemm", "weight": "int8"}]}])",
            "/0/rules/0/weight: unknown key; did you mean \"weights\"?"},
        Bad{R"([{"pass": "precision", "match": "gemm", "weights": "int4", "group_size": -1}])",
            "/0/group_size: expected a whole number"},
        Bad{R"([{"pass": "precision", "match": "gemm", "weights": "int4", "group_size": 1e300}])",
            "/0/group_size: expected a whole number"},
        Bad{R"([{"pass": "precision", "match": "gemm", "weights": "int4", "scale_bytes": 4}])",
            "/0/scale_bytes: needs a \"group_size\""},
        Bad{R"([{"pass": "precision", "match": "gemm", "rules": [{"match": "gemm",
               "weights": "int8"}]}])",
            "/0/match: give \"rules\", or one rule in the pass itself, not both"},
        Bad{R"([{"pass": "prune", "match": "gemm"}])",
            "/0: \"ratio\" is missing; expected a number"},
        Bad{R"([{"pass": "prune", "match": "gemm", "ratio": "30 %"}])",
            "/0/ratio: expected a number, not \"30 %\""},
        Bad{R"([{"pass": "prune", "match": "gemm", "ratio": 30}])", "\"ratio\" is a share"},
        Bad{R"([{"pass": "prune", "match": "head", "ratio": 0.3}])", "the model's output"},
        Bad{R"([{"pass": "sparsify", "match": "gemm"}])", "give \"zeros\", or \"kept\" and \"of\""},
        Bad{R"([{"pass": "sparse-activation", "match": "gemm", "active": 0}])", "\"active\" is"},
        Bad{R"([{"pass": "early-exits", "exits": [{"after": "out9", "share": 0.1}]}])",
            "/0/exits/0/after: no operator of 'stack' is called \"out9\"; did you mean \"out0\"?"},
        Bad{R"([{"pass": "early-exits", "exits": [{"after": "out1", "share": 0.1,
               "accuracy": 0.7}]}])",
            "/0/exits/0/accuracy: an accuracy needs its \"source\""},
        Bad{R"([{"pass": "early-exits", "exits": [{"after": "out1", "share": 0.1,
               "source": "x"}]}])",
            "/0/exits/0/source: belongs to an \"accuracy\", which is missing"},
        Bad{R"([{"pass": "early-exits", "exits": [7]}])", "/0/exits/0: expected an object, not 7"},
        Bad{R"([{"pass": "distill", "keep": [0], "keep_every": 2}])", "not both"},
        Bad{R"([{"pass": "distill", "keep": [-1]}])", "/0/keep: expected numbers of layers"},
        Bad{R"([{"pass": "distill", "accuracy": 77, "source": "x"}])",
            "/0/accuracy: an accuracy is a fraction from 0 to 1, not 77; did you mean 0.77?"}));

// Graphs that no network has: passes refuse them or keep them valid.
TEST(PassRegistry, SurvivesSenselessGraphs) {
  const auto every = json::parse(R"([
    {"pass": "fuse", "patterns": ["attention", "layer_norm", "activation", "batch_norm",
                                  "epilogue", "residual", "pointwise"]},
    {"pass": "distill", "keep_every": 2},
    {"pass": "prune", "rules": [{"match": "conv", "ratio": 0.5}, {"match": "gemm", "ratio": 0.5}]},
    {"pass": "sparse-activation", "match": "**", "active": 0.5},
    {"pass": "sparsify", "match": "**", "zeros": 0.5},
    {"pass": "precision", "match": "**", "weights": "int4", "activations": "int8",
     "group_size": 32, "sensitive": "fp16", "conversions": true},
    {"pass": "early-exits", "exits": [{"after": "", "share": 0.5, "classes": 3}]}
  ])");
  std::map<std::string, std::size_t> applied;
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    ModelVersion v = version_of(testing::senseless_graph(seed));
    for (json pass : every) {
      if (pass.contains("exits"))
        pass["exits"][0]["after"] = v.graph.at(seed % v.graph.size()).name;
      try {
        v = apply_passes(v, json::array({pass}));
        ++applied[pass["pass"]];
      } catch (const InputError&) {
        continue;
      }
      ASSERT_NO_THROW(v.graph.validate()) << "seed " << seed << " " << pass;
      for (std::size_t i = 0; i < v.graph.size(); ++i)
        ASSERT_TRUE(std::isfinite(v.graph.at(i).flops) && std::isfinite(v.graph.at(i).params))
            << "seed " << seed << " " << pass;
    }
  }
  for (const auto& info : pass_catalogue()) EXPECT_GT(applied[info.name], 10U) << info.name;
}

TEST(PassRegistry, DescribesEveryPass) {
  const auto catalogue = pass_catalogue();
  ASSERT_EQ(catalogue.size(), 7U);
  std::set<std::string> names;
  for (const auto& pass : catalogue) {
    EXPECT_TRUE(names.insert(pass.name).second);
    EXPECT_FALSE(pass.summary.empty());
    EXPECT_FALSE(pass.parameters.empty());
    bool accuracy = false;
    for (const auto& p : pass.parameters) {
      EXPECT_FALSE(p.help.empty()) << pass.name << " " << p.name;
      EXPECT_FALSE(p.type.empty());
      if (p.default_value != "" && p.default_value != "none") {
        EXPECT_TRUE(json::accept(p.default_value)) << pass.name << " " << p.name;
      }
      accuracy = accuracy || p.name == "accuracy";
      EXPECT_EQ(p.type == "list of objects", !p.fields.empty());
    }
    EXPECT_NE(accuracy, pass.keeps_accuracy);
  }
  EXPECT_EQ(*names.begin(), "distill");
}

}  // namespace
}  // namespace isthmus::models
