// Graphs as text and back.
#include "models/graph_export.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "models/builtin_graphs.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::models {
namespace {

using ::testing::HasSubstr;

TEST(GraphJson, ComesBackTheSame) {
  for (const auto& name : builtin_graph_names()) {
    const OperatorGraph g = builtin_graph(name);
    const std::string text = to_json(g);
    const OperatorGraph back = graph_from_json(text, name);
    EXPECT_EQ(to_json(back), text) << name;
    EXPECT_EQ(back.totals().macs, g.totals().macs);
    EXPECT_EQ(back.topological_order(), g.topological_order());
  }
}

std::string error(const std::string& text) {
  try {
    graph_from_json(text, "g.json");
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

TEST(GraphJson, ErrorsNameOperatorAndKey) {
  const auto with = [](const std::string& operators) {
    return R"({"isthmus_graph": 1, "name": "g", "operators": [)" + operators + "]}";
  };
  EXPECT_THAT(error("{"), HasSubstr("g.json: is not JSON"));
  EXPECT_THAT(error("[]"), HasSubstr("must be an object"));
  EXPECT_THAT(error("{}"), HasSubstr("needs \"isthmus_graph\": 1"));
  EXPECT_THAT(error(R"({"isthmus_graph": 2})"), HasSubstr("needs \"isthmus_graph\": 1"));
  EXPECT_THAT(error(R"({"isthmus_graph": 1})"), HasSubstr("needs operators"));
  EXPECT_THAT(error(with("")), HasSubstr("has no operators"));
  EXPECT_THAT(
      error(with(R"({"name": "a", "kind": "cnov", "output": [1]})")),
      HasSubstr("operator 0 (\"a\"): no operator kind is called \"cnov\"; did you mean \"conv\"?"));
  EXPECT_THAT(error(with(R"({"name": "a", "kind": "input", "output": [0]})")),
              HasSubstr("positive sizes"));
  EXPECT_THAT(error(with(R"({"name": "a", "kind": "input", "output": [1], "mac": 3})")),
              HasSubstr("did you mean \"macs\"?"));
  EXPECT_THAT(error(with(R"({"name": "a", "kind": "input", "output": [1], "macs": -3})")),
              HasSubstr("macs must be a number from 0 on, not -3"));
  const std::string a = R"({"name": "a", "kind": "input", "output": [1]},)";
  EXPECT_THAT(error(with(a + R"({"name": "a", "kind": "copy", "inputs": ["a"], "output": [1]})")),
              HasSubstr("operator 1 (\"a\"): there is an operator \"a\" already"));
  EXPECT_THAT(error(with(a + R"({"name": "b", "kind": "copy", "inputs": ["c"], "output": [1]})")),
              HasSubstr("operator 1 (\"b\"): no operator is called \"c\""));
  EXPECT_THAT(error(with(a + R"({"name": "b", "kind": "copy", "inputs": ["a"], "output": [1],
                              "weights": "fp17"})")),
              HasSubstr("there is no number format \"fp17\""));
}

TEST(GraphDot, ShowsOperatorsModulesAndEdges) {
  const std::string dot = to_dot(builtin_graph("distilbert", {.sequence = 16}));
  EXPECT_THAT(dot, HasSubstr("digraph \"distilbert\""));
  EXPECT_THAT(dot, HasSubstr("label=\"layers.0\""));
  EXPECT_THAT(dot, HasSubstr("n0 -> n1;"));
  EXPECT_THAT(dot, HasSubstr("softmax"));
  EXPECT_EQ(std::count(dot.begin(), dot.end(), '{'), std::count(dot.begin(), dot.end(), '}'));
}

}  // namespace
}  // namespace isthmus::models
