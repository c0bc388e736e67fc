// Data-parallel attention: what scenarios say, what runs, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "scenarios/explain.hpp"
#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"

namespace isthmus::scenarios {
namespace {

using testing::first_problem;
using testing::load_json;

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

json scenario_of(json service, const std::string& model = "mixtral-8x7b", int accelerators = 8) {
  service["model"] = model;
  service["on"] = "server";
  return {{"isthmus", 1},
          {"name", "ranks"},
          {"duration", "30 s"},
          {"nodes",
           {{"server", {{"device", "nvidia-a100-80g"}, {"accelerators", accelerators}}}}},
          {"services", {{"llm", service}}},
          {"workload",
           json::array({{{"source", "poisson"},
                         {"rate", "4 /s"},
                         {"target", "llm"},
                         {"request", {{"prompt_tokens", 300}, {"output_tokens", 40}}}}})}};
}

json batching(json more) {
  more["policy"] = "continuous";
  return more;
}

const json four = {{"data_parallel", 4}, {"expert_parallel", 4}, {"expert_exchange", "all-to-all"}};

json with(json more) {
  json all = four;
  all.update(more);
  return all;
}

TEST(DataParallel, RanksTakeUnitsAndHaveCachesOfTheirOwn) {
  const LoadedScenario s = load_json(scenario_of(with({{"parallel", 2}})));
  const world::Service& service = s.scenario->services[0];
  EXPECT_EQ(service.parallel, 8u);
  const models::LlmCost& cost = *std::get<world::LlmModel>(service.work).cost;
  EXPECT_EQ(cost.layout().tensor, 2);
  EXPECT_EQ(cost.layout().data, 4);
  EXPECT_EQ(service.batching.continuous.kv_tokens, cost.kv_capacity_tokens());
}

TEST(DataParallel, MistakesAreNamed) {
  const auto problem = [](json more) { return first_problem(scenario_of(with(std::move(more)))); };
  EXPECT_THAT(problem({{"data_parallel", 0}}), HasSubstr("/services/llm/data_parallel"));
  EXPECT_THAT(problem({{"data_parallel", 1.5}}), HasSubstr("/services/llm/data_parallel"));
  EXPECT_THAT(problem({{"expert_parallel", 8}}), HasSubstr("must divide the 4 units"));
  EXPECT_THAT(problem({{"pipeline", 2}}), HasSubstr("data_parallel goes with no pipeline"));
  EXPECT_THAT(problem({{"batching", batching({{"preemption", "swap"}})}}),
              HasSubstr("4 data-parallel ranks have no preemption by swapping"));
  EXPECT_THAT(problem({{"batching", batching({{"speculation", {{"tokens", 2}, {"acceptance", 0.7}}}})}}),
              HasSubstr("4 data-parallel ranks have no speculation"));
  EXPECT_THAT(problem({{"batching", batching({{"adapters", {{"slots", 2}, {"rank", 8}}}})}}),
              HasSubstr("4 data-parallel ranks have no adapters"));
  EXPECT_THAT(problem({{"batching", batching({{"reserve_prompt", true},
                                              {"prefix_caching", true},
                                              {"kv_tiers", json::array({{{"capacity", "10 GB"},
                                                                         {"bandwidth", "10 GB/s"}}})}})}}),
              HasSubstr("4 data-parallel ranks have no kv_tiers"));
  EXPECT_THAT(first_problem(scenario_of({{"data_parallel", 2}}, "llama-3.1-8b")),
              HasSubstr("no mixture of experts: data-parallel ranks would share nothing; use replicas"));
  EXPECT_THAT(first_problem(scenario_of({{"data_parallel", 16}})),
              HasSubstr("/services/llm/data_parallel: a replica needs 16 accelerators"));
  EXPECT_THAT(first_problem(scenario_of({{"data_parallel", 2}}, "resnet-50")),
              HasSubstr("only language models run on several accelerators"));
  json law = scenario_of(four);
  law["services"]["llm"] = {{"on", "server"}, {"service_time", "1 s"}, {"data_parallel", 2}};
  EXPECT_THAT(first_problem(law), HasSubstr("/services/llm/data_parallel: only services with a model"));
}

results::Summary run(const json& s) { return world::run(*load_json(s).scenario, {}); }

TEST(DataParallel, ARunTellsTheIterationsWithoutWork) {
  const json s = scenario_of(four);
  const results::Summary once = run(s);
  EXPECT_GT(once.value("completed"), 80);
  ASSERT_TRUE(once.services[0].dummy_iterations.has_value());
  EXPECT_GT(*once.services[0].dummy_iterations, 0);
  EXPECT_LT(*once.services[0].dummy_iterations, 1);
  EXPECT_EQ(once.value("dummy_iterations.llm"), *once.services[0].dummy_iterations);
  EXPECT_EQ(once.fingerprint, run(s).fingerprint);
  const results::Summary shared = run(scenario_of({{"parallel", 4}}));
  EXPECT_FALSE(shared.services[0].dummy_iterations.has_value());
}

// A lone client keeps one of four ranks at work; all units draw power, and its slots are a quarter.
TEST(DataParallel, ALoneClientKeepsOneRankAtWork) {
  json s = scenario_of(with({{"batching", batching({{"max_batch", 1}})}}));
  s["workload"][0] = {{"source", "closed"},
                      {"target", "llm"},
                      {"clients", {{"count", 1}}},
                      {"request", {{"prompt_tokens", 300}, {"output_tokens", 40}}}};
  const results::Summary one = run(s);
  EXPECT_EQ(*one.services[0].dummy_iterations, 0.75);
  EXPECT_NEAR(one.services[0].utilization, 0.25, 0.02);
  EXPECT_NEAR(one.nodes[0].busy_seconds / 30, 4, 0.2);
  s["workload"][0]["clients"]["count"] = 9;
  const results::Summary full = run(s);
  EXPECT_LT(*full.services[0].dummy_iterations, 0.05);
  EXPECT_GT(full.services[0].utilization, 0.95);
  EXPECT_LE(full.services[0].utilization, 1);
}

TEST(DataParallel, PoolsHaveRanks) {
  const results::Summary r = run(scenario_of(
      with({{"pools", {{"first", {{"role", "prefill"}}}, {"then", {{"role", "decode"}}}}}})));
  EXPECT_GT(r.value("completed"), 80);
  EXPECT_EQ(r.failed + r.rejected, 0U);
  ASSERT_TRUE(r.services[0].dummy_iterations.has_value());
  EXPECT_TRUE(r.services[1].dummy_iterations.has_value());
}

TEST(DataParallel, ExplainShowsTheParts) {
  ExplainQuestion q;
  q.model = "mixtral-8x7b";
  q.device = "nvidia-a100-80g";
  q.data_parallel = 4;
  q.batch = 6;
  q.set = {{"/services/model/expert_parallel", "4"},
           {"/services/model/expert_exchange", "all-to-all"}};
  const Explanation e = explain(q);
  const ExplainedRanks &prefill = e.phases[0].ranks, &decode = e.phases[1].ranks;
  EXPECT_EQ(prefill.idle, 3);
  EXPECT_EQ(decode.ranks, 4);
  EXPECT_EQ(decode.idle, 0);
  EXPECT_NEAR(decode.own_ns + decode.experts_ns + decode.exchange_ns,
              static_cast<double>(e.phases[1].total.time.ns()), 1);
  EXPECT_GT(decode.own_ns, 0);
  EXPECT_GT(decode.experts_ns, 0);
  EXPECT_GT(decode.exchange_ns, 0);
  const std::string text = to_text(e);
  EXPECT_THAT(text, HasSubstr("decode of 6 sequences at context 512, 2 in the fullest rank"));
  EXPECT_THAT(text, HasSubstr("the slowest of 4 takes"));
  EXPECT_THAT(text, HasSubstr("ranks without work: 3 (75 %), a token of padding each"));
  EXPECT_THAT(text, HasSubstr("in each rank"));
  const json parsed = json::parse(to_json(e));
  EXPECT_EQ(parsed["phases"][0]["ranks"]["idle"], 3);
  q.data_parallel = 1;
  q.parallel = 4;
  EXPECT_THAT(to_text(explain(q)), Not(HasSubstr("rank")));
  q.data_parallel = 0;
  EXPECT_THROW(explain(q), InputError);
}

}  // namespace
}  // namespace isthmus::scenarios
