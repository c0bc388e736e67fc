// Variants of language models by module, sparse, fused or partly in host memory: from the file to the
// times.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "scenarios/explain.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"

namespace isthmus::scenarios {
namespace {

using testing::first_problem;
using testing::load_json;

using nlohmann::json;
using ::testing::HasSubstr;

json scenario_of(json variant, const std::string& model = "llama-3.1-8b") {
  return {{"isthmus", 1},
          {"name", "cheaper"},
          {"duration", "60 s"},
          {"nodes",
           {{"server",
             {{"device", "nvidia-t4"},
              {"unit_transfer", {{"bandwidth", "12 GB/s"}, {"latency", "10 us"}}}}}}},
          {"services", {{"s", {{"model", model}, {"on", "server"}, {"variant", std::move(variant)}}}}},
          {"workload",
           json::array({{{"source", "poisson"},
                         {"rate", "0.2 /s"},
                         {"target", "s"},
                         {"request", {{"prompt_tokens", 300}, {"output_tokens", 10}}}}})}};
}

TEST(CheaperLlms, WeightsThatDoNotFitComeFromTheHost) {
  // 16.1 GB at 16 bits on a card of 16 GB.
  EXPECT_THAT(first_problem(scenario_of({{"weights", "fp16"}})),
              HasSubstr("a smaller model or host_weights"));
  const json half{{"weights", "fp16"}, {"host_weights", 0.5}};
  const LoadedScenario s = load_json(scenario_of(half));
  const auto& cost = *std::get<world::LlmModel>(s.scenario->services[0].work).cost;
  const double layers = 2 * 32.0 * (4096 * (6144.0 + 4096) + 3 * 4096 * 14336.0);
  EXPECT_EQ(cost.host_weight_bytes(), layers / 2);
  EXPECT_EQ(cost.layout().host_bandwidth, 12e9);
  const auto mean_latency = [](const json& variant) {
    const LoadedScenario loaded = load_json(scenario_of(variant));
    return world::run(*loaded.scenario, {}).value("latency.mean");
  };
  json ahead = half;
  ahead["prefetch"] = true;
  const double copies = layers / 2 / 12e9, one_by_one = mean_latency(half);
  EXPECT_GT(one_by_one, 10 * copies) << "ten iterations at least";
  EXPECT_LT(mean_latency(ahead), one_by_one);
}

TEST(CheaperLlms, ExplainShowsTheCopies) {
  ExplainQuestion q;
  q.model = "llama-3.1-8b";
  q.device = "nvidia-t4";
  q.set = {{"/services/model/variant", R"({"weights": "fp16", "host_weights": 0.5})"},
           {"/nodes/node/unit_transfer", R"({"bandwidth": "12 GB/s"})"}};
  const Explanation e = explain(q);
  EXPECT_THAT(to_text(e), HasSubstr("host_weights"));
  EXPECT_THAT(to_text(e), HasSubstr("16.1 GB, 6.98 GB of them in host memory"));
  EXPECT_EQ(json::parse(to_json(e))["host_weight_bytes"], e.host_weight_bytes);
}

TEST(CheaperLlms, MistakesAreNamed) {
  json shared = scenario_of({{"weights", "fp16"}, {"host_weights", 0.5}});
  shared["nodes"]["server"].erase("unit_transfer");
  EXPECT_THAT(first_problem(shared), HasSubstr("the node's unit_transfer"));
  EXPECT_THAT(first_problem(scenario_of({{"weights", "int4"}, {"prefetch", true}})),
              HasSubstr("prefetch needs host_weights"));
  EXPECT_THAT(first_problem(scenario_of({{"weights", "int4"}, {"ffn_active", 0}})),
              HasSubstr("/services/s/variant/ffn_active"));
  EXPECT_THAT(first_problem(scenario_of({{"weights", "int4"}, {"layer_kernels", 0.5}})),
              HasSubstr("/services/s/variant/layer_kernels"));
  json guessing = scenario_of({{"weights", "int4"}});
  guessing["services"]["s"]["batching"] = {
      {"policy", "continuous"},
      {"speculation",
       {{"tokens", 2},
        {"acceptance", 0.7},
        {"model", "llama-3.2-1b"},
        {"variant", {{"weights", "fp16"}, {"host_weights", 0.5}}}}}};
  EXPECT_THAT(first_problem(guessing), HasSubstr("a draft model has all its weights on the unit"));
  EXPECT_THAT(first_problem(scenario_of({{"weights", "int4"}, {"attention", "fp15"}})),
              HasSubstr("/services/s/variant/attention"));
  for (const char* field : {"attention", "ffn_active"}) {
    json variant{{"weights", "fp32"}};
    variant[field] = std::string(field) == "attention" ? json("fp16") : json(0.5);
    EXPECT_THAT(first_problem(scenario_of(variant, "resnet-50")),
                HasSubstr(std::string(field) + ": only language models have this"));
  }
}

}  // namespace
}  // namespace isthmus::scenarios
