// Replicas over several units: what scenarios say, what runs, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "scenarios/explain.hpp"
#include "scenarios/problems.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"

namespace isthmus::scenarios {
namespace {

using testing::first_problem;
using testing::load_json;

using nlohmann::json;
using ::testing::HasSubstr;

json scenario_of(const std::string& model, json service, int accelerators) {
  service["model"] = model;
  service["on"] = "server";
  service["variant"] = "fp16";
  return {{"isthmus", 1},
          {"name", "parallel"},
          {"duration", "60 s"},
          {"nodes",
           {{"server",
             {{"device", "nvidia-t4"},
              {"accelerators", accelerators},
              {"interconnect_bandwidth", "12 GB/s"},
              {"interconnect_latency", "20 us"}}}}},
          {"services", {{"llm", service}}},
          {"workload",
           json::array({{{"source", "poisson"},
                         {"rate", "1 /s"},
                         {"target", "llm"},
                         {"request", {{"prompt_tokens", 300}, {"output_tokens", 40}}}}})}};
}

const models::LlmCost& cost_of(const LoadedScenario& s) {
  return *std::get<world::LlmModel>(s.scenario->services[0].work).cost;
}

TEST(Parallelism, UnitsAreTensorTimesPipeline) {
  const LoadedScenario s =
      load_json(scenario_of("llama-3.1-8b", {{"parallel", 2}, {"pipeline", 3}}, 6));
  EXPECT_EQ(s.scenario->services[0].parallel, 6u);
  EXPECT_EQ(cost_of(s).stages().size(), 3u);
  EXPECT_EQ(cost_of(s).layout().tensor, 2);
  EXPECT_EQ(cost_of(s).layout().link_bandwidth, 12e9);
}

TEST(Parallelism, MistakesAreNamed) {
  const auto dense = [](json service, int accelerators = 8) {
    return first_problem(scenario_of("llama-3.1-8b", std::move(service), accelerators));
  };
  const auto mixture = [](json service) {
    return first_problem(scenario_of("mixtral-8x7b", std::move(service), 16));
  };
  EXPECT_THAT(dense({{"pipeline", 33}}, 64), HasSubstr("33 pipeline stages for 32 layers"));
  EXPECT_THAT(dense({{"pipeline", 2}, {"pipeline_layers", {20, 11}}}),
              HasSubstr("32 layers cannot be divided into 2 stages of 20, 11"));
  EXPECT_THAT(dense({{"pipeline_layers", {32}}}), HasSubstr("/services/llm/pipeline_layers: needs pipeline above 1"));
  EXPECT_THAT(dense({{"parallel", 2}, {"pipeline", 2}}, 2),
              HasSubstr("a replica needs 4 accelerators, a machine of \"server\" has 2; a replica is on "
                        "one machine"));
  EXPECT_THAT(dense({{"parallel", 2}, {"expert_parallel", 2}}),
              HasSubstr("'llama-3.1-8b' is no mixture of experts"));
  EXPECT_THAT(mixture({{"parallel", 8}, {"expert_parallel", 3}}),
              HasSubstr("expert parallelism 3 must divide the 8 units of a stage"));
  EXPECT_THAT(mixture({{"parallel", 8}, {"expert_skew", 1}}),
              HasSubstr("/services/llm/expert_skew: needs expert_parallel above 1"));
  EXPECT_THAT(mixture({{"parallel", 8}, {"expert_parallel", 4}, {"expert_imbalance", 5}}),
              HasSubstr("expert_imbalance must be in [1, 4], not 5"));
  EXPECT_THAT(dense({{"pipeline", 2},
                     {"batching", {{"policy", "continuous"}, {"async_scheduling", true}}}}),
              HasSubstr("a pipeline of 2 stages has no async_scheduling"));
  EXPECT_THAT(
      dense({{"pipeline", 2}, {"batching", {{"policy", "continuous"}, {"preemption", "swap"}}}}),
      HasSubstr("a pipeline of 2 stages has no preemption by swapping"));
  EXPECT_THAT(dense({{"pipeline", 2},
                     {"batching",
                      {{"policy", "continuous"},
                       {"speculation", {{"tokens", 2}, {"acceptance", 0.7}}}}}}),
              HasSubstr("a pipeline of 2 stages has no speculation"));
  EXPECT_THAT(dense({{"pipeline", 4}, {"batching", {{"policy", "continuous"}, {"kv_tokens", 48}}}}),
              HasSubstr("/services/llm/batching/kv_tokens: 48 are too few, 4 blocks of 16 tokens are "
                        "needed, one per pipeline stage"));
  EXPECT_THAT(dense({{"parallel", 1}}, 1), HasSubstr("weights 16.06 GB"));
  EXPECT_THAT(dense({{"pipeline", 5}}, 4), HasSubstr("/services/llm/pipeline: a replica needs 5 accelerators"));
  EXPECT_THAT(dense({{"pipeline", 2}, {"pipeline_layers", {1, 2}}}),
              HasSubstr("/services/llm/pipeline_layers: 32 layers cannot be divided into 2 stages of 1, 2"));
  json unconnected = scenario_of("llama-3.1-8b", {{"pipeline", 2}}, 2);
  unconnected["nodes"]["server"].erase("interconnect_bandwidth");
  EXPECT_THAT(first_problem(unconnected),
              HasSubstr("2 accelerators per replica need the interconnect_bandwidth"));
  json graph = scenario_of("resnet-50", {{"pipeline", 2}}, 2);
  EXPECT_THAT(first_problem(graph), HasSubstr("only language models run on several accelerators"));
}

results::Summary run(const json& s) { return world::run(*load_json(s).scenario, {}); }

TEST(Parallelism, APipelineRunsAndTellsItsBubbles) {
  const results::Summary piped = run(scenario_of("llama-3.1-8b", {{"pipeline", 2}}, 2));
  EXPECT_GT(piped.value("completed"), 40);
  ASSERT_TRUE(piped.services[0].bubbles.has_value());
  EXPECT_GT(*piped.services[0].bubbles, 0);
  EXPECT_LT(*piped.services[0].bubbles, 1);
  EXPECT_EQ(piped.value("bubbles.llm"), *piped.services[0].bubbles);
  const results::Summary shared = run(scenario_of("llama-3.1-8b", {{"parallel", 2}}, 2));
  EXPECT_FALSE(shared.services[0].bubbles.has_value());
}

// Two micro-batches of one sequence each: together they are the slots that can be busy.
TEST(Parallelism, AllMicroBatchesTogetherAreTheSlots) {
  json s = scenario_of("llama-3.1-8b",
                       {{"pipeline", 2}, {"batching", {{"policy", "continuous"}, {"max_batch", 1}}}}, 2);
  s["workload"][0] = {{"source", "closed"},
                      {"target", "llm"},
                      {"clients", {{"count", 9}}},
                      {"request", {{"prompt_tokens", 300}, {"output_tokens", 40}}}};
  const double full = run(s).services[0].utilization;
  EXPECT_GT(full, 0.95);
  EXPECT_LE(full, 1);
  s["workload"][0]["clients"]["count"] = 1;
  EXPECT_NEAR(run(s).services[0].utilization, 0.5, 0.02);
}

// Power is drawn by the stages in use: a lone client keeps one of two busy at a time.
TEST(Parallelism, IdleStagesDrawNoPower) {
  json s = scenario_of("llama-3.1-8b", {{"pipeline", 2}}, 2);
  s["workload"][0] = {{"source", "closed"},
                      {"target", "llm"},
                      {"clients", {{"count", 1}}},
                      {"request", {{"prompt_tokens", 300}, {"output_tokens", 40}}}};
  const results::Summary one = run(s);
  EXPECT_NEAR(*one.services[0].bubbles, 0.5, 0.02);
  EXPECT_NEAR(one.nodes[0].busy_seconds / 60, 1, 0.05);
}

TEST(Parallelism, ExplainShowsStagesAndExperts) {
  ExplainQuestion q;
  q.model = "llama-3.1-8b";
  q.device = "nvidia-a100-80g";
  q.pipeline = 2;
  const Explanation piped = explain(q);
  ASSERT_EQ(piped.stages.size(), 2u);
  EXPECT_NEAR(piped.stages[0].weight_bytes + piped.stages[1].weight_bytes, piped.weight_bytes, 1);
  ASSERT_EQ(piped.phases[0].stages.size(), 2u);
  EXPECT_THAT(to_text(piped), HasSubstr("a full pipeline ends one such micro-batch every"));
  EXPECT_THAT(to_text(piped), HasSubstr("stage_transfer"));
  const json parsed = json::parse(to_json(piped));
  EXPECT_EQ(parsed["phases"][1]["stages"].size(), 2u);
  EXPECT_GT(parsed["phases"][1]["send_ns"].get<double>(), 0);
  q.model = "mixtral-8x7b";
  q.pipeline = 1;
  q.parallel = 4;
  q.set = {{"/services/model/expert_parallel", "4"},
           {"/services/model/expert_exchange", "all-to-all"},
           {"/services/model/expert_skew", "1"}};
  const std::string text = to_text(explain(q));
  EXPECT_THAT(text, HasSubstr("all_to_all"));
  EXPECT_THAT(text, HasSubstr("experts: the busiest units have"));
}

}  // namespace
}  // namespace isthmus::scenarios
