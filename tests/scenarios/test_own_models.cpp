// Models that a scenario brings: graphs with arguments and passes, language models by shape.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "models/builtin_graphs.hpp"
#include "models/builtin_llms.hpp"
#include "models/graph_cost.hpp"
#include "models/graph_export.hpp"
#include "scenarios/explain.hpp"
#include "scenarios/reader.hpp"
#include "sim/core/errors.hpp"
#include "tests/scenarios/temporary_folder.hpp"

namespace isthmus::scenarios {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryFolder;

// A scenario with one model on a board.
std::string scenario(const std::string& model, const std::string& more = "") {
  return R"({"isthmus": 1, "name": "own", "duration": "5 s",
    "nodes": {"board": {"device": "raspberry-pi-5", "memory": "100 GB"}},
    "models": {"mine": )" +
         model + R"(},
    "services": {"s": {"model": "mine", "on": "board")" +
         more + R"(}},
    "workload": [{"source": "poisson", "rate": "1 /s", "target": "s", "clients": {"on": "board"}}]})";
}

std::string error(const std::string& model, const std::string& more = "") {
  try {
    load_text(scenario(model, more));
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

const models::GraphCost& graph_of(const LoadedScenario& s) {
  return *std::get<world::GraphModel>(s.scenario->services[0].work).cost;
}

TEST(OwnModels, GraphsTakeSizesAndPasses) {
  const auto plain = load_text(scenario(R"({"shape": "bert-base", "sequence": 32})"));
  EXPECT_EQ(graph_of(plain).graph().totals().macs,
            models::builtin_graph("bert-base", {.sequence = 32}).totals().macs);
  const auto half = load_text(scenario(
      R"({"shape": "bert-base", "sequence": 32, "passes": [{"pass": "distill", "keep_every": 2}]})"));
  EXPECT_NEAR(graph_of(half).graph().totals().macs / graph_of(plain).graph().totals().macs, 0.5,
              0.01);
  const auto int8 = load_text(scenario(
      R"({"shape": "bert-base", "passes": [{"pass": "precision",
          "rules": [{"match": "layers", "weights": "int8", "activations": "fp32"}]}]})"));
  EXPECT_LT(graph_of(int8).weight_bytes(), 0.6 * graph_of(plain).weight_bytes());
}

// A pass that can change answers leaves no accuracy unless it is given one, with its source.
TEST(OwnModels, AccuracyIsCarriedOrGone) {
  const std::string model = R"({"shape": "resnet-50", "variants": {"v": {"weights": "fp32",
      "accuracy": 0.76, "accuracy_source": "somewhere"}}, "passes": )";
  const auto accuracy = [&](const std::string& passes) {
    return load_text(scenario(model + passes + "}")).scenario->services[0].accuracy;
  };
  EXPECT_EQ(accuracy(R"([{"pass": "fuse"}])"), 0.76);
  EXPECT_EQ(accuracy(R"([{"pass": "prune", "rules": [{"match": "*", "ratio": 0.25}]}])"), 0);
  EXPECT_EQ(
      accuracy(R"([{"pass": "prune", "rules": [{"match": "*", "ratio": 0.25}], "accuracy": 0.7,
                          "source": "measured"}])"),
      0.7);
  EXPECT_THAT(error(R"({"shape": "resnet-50", "variants": {"v": {"weights": "fp32",
                        "accuracy": 0.76}}})"),
              HasSubstr("needs its \"accuracy_source\""));
}

TEST(OwnModels, LanguageModelsByShape) {
  const auto own = load_text(scenario(
      R"({"llm": {"layers": 28, "hidden": 1536, "heads": 12, "kv_heads": 2, "ffn": 8960,
          "vocab": 151936, "tied_embeddings": true}})"));
  const auto& llm = std::get<world::LlmModel>(own.scenario->services[0].work);
  EXPECT_EQ(llm.shape.text_params(), models::builtin_llm("qwen2.5-1.5b").text_params());
  EXPECT_EQ(llm.shape.head_dim, 128);
}

TEST(OwnModels, FilesAreRelativeToTheScenario) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "g.json") << models::to_json(models::builtin_graph("mobilenet-v2"));
  std::ofstream(folder.path() / "config.json")
      << R"({"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4,
             "intermediate_size": 128, "vocab_size": 1000, "max_position_embeddings": 512})";
  const auto graph = load_text(scenario(R"({"file": "g.json"})"), {}, "s", folder.path());
  EXPECT_EQ(graph_of(graph).graph().totals().params,
            models::builtin_graph("mobilenet-v2").totals().params);
  const auto llm =
      load_text(scenario(R"({"llm": {"config": "config.json"}})"), {}, "s", folder.path());
  EXPECT_EQ(std::get<world::LlmModel>(llm.scenario->services[0].work).shape.layers, 2);
  // The same files in a question.
  ExplainQuestion q;
  q.device = "raspberry-pi-5";
  q.model = (folder.path() / "g.json").string();
  EXPECT_EQ(explain(q).phases.size(), 1u);
  q.model = (folder.path() / "config.json").string();
  EXPECT_EQ(explain(q).phases.size(), 2u);
}

TEST(OwnModels, ErrorsHaveTheirPlace) {
  EXPECT_THAT(error("{}"), HasSubstr("/models/mine: give one of \"shape\", \"file\" and \"llm\""));
  EXPECT_THAT(error(R"({"shape": "resnet-5O"})"), HasSubstr("/models/mine/shape"));
  EXPECT_THAT(error(R"({"shape": "resnet-5O"})"), HasSubstr("did you mean"));
  EXPECT_THAT(error(R"({"file": "/no/such.onnx"})"), HasSubstr("/models/mine/file"));
  EXPECT_THAT(error(R"({"shape": "bert-base", "sequence": 9999})"), HasSubstr("1 to 512 tokens"));
  EXPECT_THAT(error(R"({"shape": "bert-base", "image": 224})"), HasSubstr("takes no image side"));
  EXPECT_THAT(error(R"({"shape": "llama-3.1-8b", "sequence": 5})"),
              HasSubstr("only operator graphs have this"));
  EXPECT_THAT(error(R"({"shape": "resnet-50", "passes": [{"pass": "fuze"}]})"),
              HasSubstr("did you mean \"fuse\"?"));
  EXPECT_THAT(error(R"({"shape": "resnet-50", "passes": [{"pass": "prune", "rules": [{"ratio": 0.5,
                        "match": "nothing.like.it"}]}]})"),
              HasSubstr("/models/mine/passes"));
  EXPECT_THAT(error(R"({"llm": {"layers": 2}})"), HasSubstr("needs \"hidden\", or a \"config\""));
  EXPECT_THAT(error(R"({"llm": {"config": "/no/config.json", "layers": 2}})"),
              HasSubstr("stands in the config already"));
  EXPECT_THAT(error(R"({"llm": {"layers": 2, "hidden": 10, "heads": 4, "ffn": 4, "vocab": 9}})"),
              HasSubstr("give head_dim"));
  std::string taken = scenario(R"({"shape": "resnet-18"})");
  taken.replace(taken.find("\"mine\""), 6, "\"resnet-50\"");
  taken.replace(taken.find("\"mine\""), 6, "\"resnet-50\"");
  EXPECT_THROW(load_text(taken), InputError);
}

}  // namespace
}  // namespace isthmus::scenarios
