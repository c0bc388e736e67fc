// Pools in scenario files: what is inherited, what is refused, and a run of each kind.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/reader.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"

namespace isthmus::scenarios {
namespace {

using ::testing::HasSubstr;

const std::string request = R"(, "request": {"prompt_tokens": 800, "output_tokens": 40})";
const std::string work = R"(, "rate": "4 /s")" + request;

std::string scenario(const std::string& service, const std::string& workload = work) {
  return fmt::format(R"({{"isthmus": 1, "name": "t", "duration": "30 s",
    "nodes": {{"a": {{"device": "nvidia-a100-80g", "count": 4, "zone": "west"}},
              "h": {{"device": "nvidia-h100-sxm", "count": 4, "zone": "east"}},
              "d": {{"device": "nvidia-h100-sxm", "accelerators": 2, "zone": "east"}},
              "phone": {{"count": 2, "tier": "device", "zone": "west"}}}},
    "network": {{"links": {{"fabric": {{"bandwidth": "10 Gbps", "latency": "1 ms"}}}},
                "routes": [{{"from": "west", "to": "east", "links": ["fabric"]}}]}},
    "services": {{"chat": {{"model": "llama-3.1-8b", "on": "a"{}}}}},
    "workload": [{{"clients": {{"on": "phone"}}{}}}]}})",
                     service, workload);
}

std::string error_of(const std::string& service, const std::string& workload = work) {
  try {
    load_text(scenario(service, workload));
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

TEST(PoolScenarios, PoolsInheritAndOverride) {
  const auto loaded = load_text(scenario(R"(, "cold_start": "3 s", "batching": {"policy": "continuous",
      "max_batch": 32, "block_size": 8}, "kv_transfer": "layerwise", "decode_routing": "kv-usage",
      "pools": {"fast": {"role": "prefill", "on": "h", "replicas": 2, "cold_start": "1 s"},
                "slow": {"role": "decode", "replicas": 3,
                         "batching": {"policy": "continuous", "max_batch": 64}}})"));
  const auto& services = loaded.scenario->services;
  ASSERT_EQ(services.size(), 3U);
  EXPECT_EQ(services[0].name, "chat");
  ASSERT_TRUE(services[0].pools);
  EXPECT_EQ(services[0].pools->first, std::vector<std::uint32_t>{1});
  EXPECT_EQ(services[0].pools->decode, std::vector<std::uint32_t>{2});
  EXPECT_EQ(services[0].pools->transfer, world::KvTransfer::layerwise);
  EXPECT_EQ(services[0].pools->decode_routing->name, "kv-usage");
  EXPECT_EQ(services[1].name, "chat/fast");
  EXPECT_EQ(services[1].group, 1U);
  EXPECT_EQ(services[1].cold_start, Duration::from_seconds(1));
  EXPECT_EQ(services[1].batching.continuous.max_sequences, 32U);
  EXPECT_EQ(services[2].name, "chat/slow");
  EXPECT_EQ(services[2].group, 0U);
  EXPECT_EQ(services[2].cold_start, Duration::from_seconds(3));
  EXPECT_EQ(services[2].batching.continuous.max_sequences, 64U);
  EXPECT_EQ(services[2].batching.continuous.block_size, 8U);

  const auto r = world::run(*loaded.scenario, {});
  EXPECT_GT(r.completed, 80U);
  EXPECT_EQ(r.rejected + r.failed, 0U);
  EXPECT_GT(r.links[0].bytes, 80 * 800 * 131072.0);
  EXPECT_EQ(r.value("share.chat"), 1);
  EXPECT_FALSE(r.by_service.contains("chat/fast"));
  EXPECT_EQ(r.services[0].max_replicas, 5U);
  EXPECT_EQ(r.services[0].iterations, r.services[1].iterations + r.services[2].iterations);
}

// The row of the service has the prompts and guesses of all pools. Who gets a cache over the network
// computes no prompt.
TEST(PoolScenarios, TheServiceCountsTheTokensOfItsPools) {
  const auto loaded = load_text(scenario(R"(, "batching": {"policy": "continuous",
      "max_batched_tokens": 8192, "order": "fair", "speculation": {"tokens": 3, "acceptance": 0.7}},
      "pools": {"p": {"role": "prefill"}, "d": {"role": "decode", "replicas": 2, "on": "h"}})",
                                         work + R"(, "limit": 20)"));
  const auto r = world::run(*loaded.scenario, {});
  ASSERT_EQ(r.completed, 20U);
  const auto &whole = *r.services[0].engine, &prefill = *r.services[1].engine, &decode = *r.services[2].engine;
  EXPECT_EQ(prefill.prompt_tokens, 20U * 800);
  EXPECT_EQ(decode.prompt_tokens, 0U);
  EXPECT_EQ(whole.prompt_tokens, 20U * 800);
  EXPECT_EQ(prefill.guessed_tokens, 0U);
  EXPECT_GT(decode.accepted_tokens, 0U);
  EXPECT_EQ(whole.accepted_tokens, decode.accepted_tokens);
}

TEST(PoolScenarios, TheServiceHasTheBubblesOfItsPools) {
  const auto loaded = load_text(scenario(R"(, "pipeline": 2, "pools": {"one": {"on": "d"}})"));
  const auto r = world::run(*loaded.scenario, {});
  ASSERT_TRUE(r.services[0].bubbles.has_value());
  EXPECT_EQ(*r.services[0].bubbles, *r.services[1].bubbles);
}

// Scaling, cold starts and draining hold pool by pool, and nobody is lost.
TEST(PoolScenarios, PoolsScaleByThemselves) {
  const auto loaded = load_text(
      scenario(R"(, "cold_start": "1 s", "batching": {"policy": "continuous", "max_batch": 4}, "pools": {
      "fast": {"role": "prefill", "on": "h"},
      "slow": {"role": "decode", "autoscaling": {"policy": "queue-length", "target": 2,
               "period": "1 s", "scrape_period": "1 s"}, "max_replicas": 4}})",
               R"(, "source": "steps", "steps": [["0 s", "1 /s"], ["5 s", "20 /s"], ["15 s", "0.2 /s"]])" + request));
  const auto r = world::run(*loaded.scenario, {});
  EXPECT_GT(r.services[2].max_replicas, 1U);
  EXPECT_GT(r.services[2].cold_starts, 0U);
  EXPECT_EQ(r.services[1].max_replicas, 1U);
  EXPECT_EQ(r.services[0].cold_starts, r.services[2].cold_starts);
  EXPECT_EQ(r.created, r.completed + r.in_flight);
  EXPECT_LT(r.in_flight, 5U);
}

// The micro-batches of a pipeline share the blocks of a decode replica: what fits into none of them is
// turned away before its prompt is computed.
TEST(PoolScenarios, ARequestMustFitAMicroBatchOfTheDecodePool) {
  const auto loaded = load_text(scenario(R"(, "pools": {"p": {"role": "prefill"},
      "d": {"role": "decode", "on": "d", "pipeline": 2,
            "batching": {"policy": "continuous", "kv_tokens": 1600}}})"));
  const auto r = world::run(*loaded.scenario, {});
  EXPECT_GT(r.created, 80U);
  EXPECT_EQ(r.rejected, r.created);
  EXPECT_EQ(r.services[1].iterations, 0U);
}

TEST(PoolScenarios, MistakesAreNamed) {
  const std::string both = R"("p": {"role": "prefill"}, "d": {"role": "decode"})";
  EXPECT_THAT(error_of(R"(, "replicas": 2, "pools": {)" + both + "}"),
              HasSubstr("/services/chat/replicas: each pool has its own; say it there"));
  EXPECT_THAT(error_of(R"(, "pools": {"p": {"role": "prefill"}})"),
              HasSubstr("pools of role prefill need one of role decode"));
  EXPECT_THAT(error_of(R"(, "pools": {"p": {}, "d": {"role": "decode"}})"),
              HasSubstr("pools of role decode need one of role prefill"));
  EXPECT_THAT(error_of(R"(, "kv_transfer": "layerwise")"), HasSubstr("only with \"pools\""));
  EXPECT_THAT(error_of(R"(, "kv_transfer": "layerwise", "pools": {"p": {}})"),
              HasSubstr("only with pools of roles prefill and decode"));
  EXPECT_THAT(error_of(R"(, "local": false, "pools": {"p": {}})"), HasSubstr("not with \"pools\""));
  EXPECT_THAT(error_of(R"(, "pools": {"p": {"replicas": 9}})"), HasSubstr("9 replicas do not fit"));
  EXPECT_THAT(error_of(R"(, "batching": {"policy": "continuous", "scheduling": "static"}, "pools": {)" +
                       both + "}"),
              HasSubstr("static batches"));
  EXPECT_THAT(error_of(R"(, "pools": {})"), HasSubstr("must not be empty"));
  EXPECT_EQ(error_of(R"(, "pools": {)" + both + "}"), "");
  const std::string samples = R"(, "rate": "1 /s", "request": {"samples": 2})";
  EXPECT_THAT(error_of(R"(, "pools": {)" + both + "}", samples), HasSubstr("one answer each"));
  EXPECT_EQ(error_of(R"(, "pools": {"a": {}, "b": {"on": "h"}})", samples), "");
  // Only those that an offload policy may choose matter.
  const std::string other = "}, \"law\": {\"service_time\": \"1 s\", \"on\": \"h\"";
  const auto offloaded = [&](const std::string& candidates) {
    std::string text = scenario(R"(, "pools": {)" + both + "}" + other, samples + R"(, "target": "offload")");
    text.insert(text.rfind('}'), R"(, "offload": {"policy": "random", "candidates": [)" + candidates + "]}");
    try {
      load_text(text);
    } catch (const InputError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_EQ(offloaded(R"("law")"), "");
  EXPECT_THAT(offloaded(R"("law", "chat")"), HasSubstr("one answer each"));
}

TEST(PoolScenarios, SessionsSayWhatTheyContradict) {
  const auto task = [](const std::string& more) {
    return R"(, "rate": "4 /s", "task": {"steps": 3, "session": {"system_tokens": 64})" + more + "}";
  };
  EXPECT_EQ(error_of("", task("")), "");
  EXPECT_THAT(error_of("", task(R"(, "context_growth": 5)")),
              HasSubstr("the prompts of a session grow by themselves"));
  EXPECT_THAT(error_of(R"(, "batching": {"policy": "continuous", "block_size": 8191})", task("")),
              HasSubstr("block_size of a language model: 131056, but at most 8192"));
  // Sessions over pools: a long common beginning does not spare the transfer of the whole cache.
  const auto loaded = load_text(
      scenario(R"(, "batching": {"policy": "continuous", "reserve_prompt": true, "prefix_caching": true},
                  "pools": {"p": {"role": "prefill"}, "d": {"role": "decode"}})",
               R"(, "rate": "4 /s", "limit": 1, "task": {"steps": 4, "session": {}})" + request));
  const auto r = world::run(*loaded.scenario, {});
  EXPECT_EQ(r.completed, 4U);
  EXPECT_NEAR(r.value("kv_bytes_per_transfer"), (800 + 1640 + 2480 + 3320) / 4.0 * 131072, 1);
}

}  // namespace
}  // namespace isthmus::scenarios
