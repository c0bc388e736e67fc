// Selecting operators by kind, module and name.
#include "models/pass_select.hpp"

#include <gtest/gtest.h>

#include "tests/models/pass_graphs.hpp"

namespace isthmus::models {
namespace {

TEST(PassSelect, MatchesGlobs) {
  EXPECT_TRUE(glob_matches("layers.*.mlp", "layers.12.mlp"));
  EXPECT_FALSE(glob_matches("layers.*.mlp", "layers.12.x.mlp"));
  EXPECT_TRUE(glob_matches("layers.**.mlp", "layers.12.x.mlp"));
  EXPECT_TRUE(glob_matches("conv?", "conv1"));
  EXPECT_FALSE(glob_matches("conv?", "conv12"));
  EXPECT_FALSE(glob_matches("a?b", "a.b"));
  EXPECT_TRUE(glob_matches("*", ""));
  EXPECT_TRUE(glob_matches("**", "a.b/c"));
  EXPECT_TRUE(glob_matches("a*b*c", "aXXbYbc"));
  EXPECT_FALSE(glob_matches("", "a"));
  EXPECT_TRUE(glob_matches("", ""));
  EXPECT_TRUE(glob_matches("***", "a.b"));
  // Many stars do not take exponential time.
  EXPECT_FALSE(glob_matches("a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", std::string(2000, 'a')));
}

OperatorGraph stack() {
  GraphBuilder b("stack");
  Tensor x = b.input({4, 8}, "in");
  for (int i = 0; i < 12; ++i) {
    b.module("layers." + std::to_string(i) + ".attention");
    x = b.gemm(x, 8, true, "a" + std::to_string(i));
    b.module("layers." + std::to_string(i) + ".mlp");
    x = b.gemm(x, 8, true, "m" + std::to_string(i));
  }
  b.module("");
  b.softmax(x, "answer");
  return b.build();
}

TEST(PassSelect, FindsKindsModulesAndNames) {
  const auto g = stack();
  EXPECT_EQ(select_operators(g, "gemm", "r").size(), 24U);
  EXPECT_EQ(select_operators(g, "softmax", "r").size(), 1U);
  EXPECT_EQ(select_operators(g, "layers.*.mlp", "r").size(), 12U);
  EXPECT_EQ(select_operators(g, "layers.1", "r").size(), 2U);  // not layers.10
  EXPECT_EQ(select_operators(g, "layers.1?", "r").size(), 4U);
  EXPECT_EQ(select_operators(g, "layers", "r").size(), 24U);
  EXPECT_EQ(select_operators(g, "m3", "r").size(), 1U);
  EXPECT_EQ(select_operators(g, "*", "r").size(), 25U);  // all but the input
}

TEST(PassSelect, SuggestsWhatWasMeant) {
  const auto g = stack();
  const auto message = [&](const char* match) {
    return testing::message_of([&] { select_operators(g, match, "/0/rules/2/match"); });
  };
  EXPECT_EQ(message("layer"),
            "/0/rules/2/match: no operator, module or operator kind of 'stack' is like \"layer\"; "
            "did you mean \"layers\"?");
  EXPECT_NE(message("softmx").find("did you mean \"softmax\"?"), std::string::npos);
  EXPECT_NE(message("layers.0.mpl").find("did you mean \"layers.0.mlp\"?"), std::string::npos);
  EXPECT_NE(message("zzzzzzzzzzzzzzzz").find("modules look like \"layers\""), std::string::npos);
  EXPECT_NE(message("").find("is like \"\""), std::string::npos);
  EXPECT_EQ(message("conv"), "/0/rules/2/match: 'stack' has no operator of the kind conv");
  EXPECT_NE(message("in").find("is like"), std::string::npos);  // inputs have no formats
}

}  // namespace
}  // namespace isthmus::models
