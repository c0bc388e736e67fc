// Options of LLM engines from scenario files to results.
#include <fmt/core.h>
#include <gmock/gmock.h>

#include <cmath>

#include "scenarios/reader.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"

namespace isthmus::scenarios {
namespace {

using ::testing::HasSubstr;

std::string scenario(const std::string& batching, const std::string& workloads) {
  return fmt::format(R"({{"isthmus": 1, "name": "t", "duration": "300 s",
    "nodes": {{"gpu": {{"device": "nvidia-h100-sxm"}}}},
    "services": {{"chat": {{"model": "llama-3.1-8b", "on": "gpu",
      "batching": {{"policy": "continuous"{}}}}}}},
    "workload": [{}]}})",
                     batching, workloads);
}

std::string workload(const std::string& name, const std::string& source, const std::string& request,
                     const std::string& more = "") {
  return fmt::format(R"({{"name": "{}", {}, "target": "chat", "request": {{{}}}{}}})", name, source,
                     request, more);
}

results::Summary run(const std::string& batching, const std::string& workloads) {
  return world::run(*load_text(scenario(batching, workloads)).scenario, {});
}

std::string problem(const std::string& batching, const std::string& workloads) {
  try {
    load_text(scenario(batching, workloads));
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

const std::string one_by_one = R"("source": "closed", "clients": {"count": 1}, "limit": 20)";
const std::string tokens = R"("prompt_tokens": 500, "output_tokens": 200)";

// A draft model of 0.6 B with 70 % right guesses makes up for its time.
TEST(EngineOptions, SpeculationShortensDecodes) {
  const auto w = workload("w", one_by_one, tokens);
  const auto plain = run("", w);
  const auto guessing = run(R"(, "speculation": {"tokens": 3, "acceptance": 0.7})", w);
  const auto drafting =
      run(R"(, "speculation": {"tokens": 3, "acceptance": 0.7, "model": "qwen3-0.6b"})", w);
  // (1 - 0.7^4) / 0.3 = 2.53 tokens per iteration.
  const double speedup = plain.value("tpot.mean") / guessing.value("tpot.mean");
  EXPECT_NEAR(speedup, 2.5, 0.12);
  EXPECT_LT(drafting.value("tpot.mean"), plain.value("tpot.mean"));
  EXPECT_GT(drafting.value("tpot.mean"), guessing.value("tpot.mean"));
  // What follows a wrong guess is wrong as well: 0.7 + 0.49 + 0.343 of three.
  ASSERT_TRUE(guessing.services[0].engine.has_value());
  const auto& e = *guessing.services[0].engine;
  EXPECT_NEAR(static_cast<double>(e.accepted_tokens) / static_cast<double>(e.guessed_tokens), 0.511, 0.02);
}

// The draft model's weights and cache leave fewer KV blocks: 1.2 GB of weights, and 112 kB per token
// beside 128 kB.
TEST(EngineOptions, ADraftModelTakesMemory) {
  const auto blocks = [](const std::string& batching) {
    const auto loaded = load_text(scenario(batching, workload("w", one_by_one, tokens)));
    return loaded.scenario->services[0].batching.continuous.kv_tokens;
  };
  const auto plain = static_cast<double>(blocks(""));
  const double drafting = static_cast<double>(
      blocks(R"(, "speculation": {"tokens": 3, "acceptance": 0.7, "model": "qwen3-0.6b"})"));
  const double kv = 131072, draft_kv = 28 * 2 * 8 * 128 * 2, draft_weights = 1.192e9;
  EXPECT_NEAR(drafting, (plain * kv - draft_weights) / (kv + draft_kv), 0.001 * plain);
}

TEST(EngineOptions, UrgentWorkloadsOvertake) {
  const std::string busy = R"("source": "poisson", "rate": "12 /s", "clients": {"count": 40})";
  const auto both = workload("batch", busy, tokens) + "," +
                    workload("urgent", R"("source": "poisson", "rate": "1 /s")", tokens,
                             R"(, "priority": 1)");
  const auto ttft = [](const results::Summary& s, const char* name) {
    for (const results::Metric& m : s.by_workload.at(name))
      if (m.name == "ttft.mean") return m.value;
    return std::nan("");
  };
  const std::string few = R"(, "max_batch": 8)";
  const auto arrival = run(few, both), urgent = run(few + R"(, "order": "priority")", both);
  EXPECT_GT(ttft(arrival, "urgent"), 5.0);
  EXPECT_LT(ttft(urgent, "urgent"), 0.3);
  // By fairness a workload that asks for less than its share hardly waits either.
  EXPECT_LT(ttft(run(few + R"(, "order": "fair")", both), "urgent"), 0.5);
}

TEST(EngineOptions, SamplesCostLessThanRequests) {
  const auto four = run("", workload("w", one_by_one, tokens + R"(, "samples": 4)"));
  const auto one = run("", workload("w", one_by_one, tokens));
  ASSERT_EQ(four.completed, 20U);
  EXPECT_EQ(four.services[0].engine->prompt_tokens, one.services[0].engine->prompt_tokens);
  EXPECT_LT(four.value("latency.mean"), 1.2 * one.value("latency.mean"));
}

TEST(EngineOptions, EmbeddingsEndWithThePrompt) {
  const auto s = run("", workload("w", one_by_one, R"("prompt_tokens": 500, "embedding": true)"));
  ASSERT_EQ(s.completed, 20U);
  EXPECT_EQ(s.services[0].iterations, 20U);
  EXPECT_EQ(s.value("output_token_throughput"), 0);
  EXPECT_EQ(run("", workload("w", one_by_one, R"("prompt_tokens": 500, "embedding": true)")).fingerprint,
            s.fingerprint);
}

// Adapters in turn, of which four have a place: hardly any load when a few are popular, one for almost
// every request when all are alike.
TEST(EngineOptions, PopularAdaptersStayLoaded) {
  const auto with = [](double skew) {
    const auto s = run(R"(, "adapters": {"rank": 16, "slots": 4})",
                       workload("w", R"("source": "poisson", "rate": "1 /s", "limit": 200)",
                                fmt::format(R"({}, "adapters": {{"count": 100, "skew": {}}})", tokens, skew)));
    EXPECT_EQ(s.completed, 200U);
    return s;
  };
  const auto alike = with(0), popular = with(3);
  EXPECT_GT(alike.services[0].engine->adapter_loads, 180U);
  EXPECT_LT(popular.services[0].engine->adapter_loads, 60U);
  const auto plain = run("", workload("w", R"("source": "poisson", "rate": "1 /s", "limit": 200)", tokens));
  EXPECT_GT(popular.value("tpot.mean"), 1.02 * plain.value("tpot.mean"));
  EXPECT_LT(popular.value("tpot.mean"), 1.5 * plain.value("tpot.mean"));
}

TEST(EngineOptions, SaysWhereTooLittleWasGiven) {
  const auto w = workload("w", one_by_one, tokens);
  EXPECT_THAT(problem(R"(, "max_batched_tokens": 32)", w),
              HasSubstr("/services/chat/batching/max_batched_tokens: a decode of all 64 sequences of max_batch "
                        "takes 64 tokens, more than max_batched_tokens, 32; raise it to 64"));
  EXPECT_THAT(problem(R"(, "max_batch": 9000)", w), HasSubstr("/services/chat/batching/max_batch: a decode"));
  EXPECT_THAT(problem(R"(, "max_batched_tokens": 128, "speculation": {"tokens": 3, "acceptance": 1})", w),
              HasSubstr("takes 256 tokens, more than max_batched_tokens, 128; raise it to 256"));
  // Neither has a token budget.
  EXPECT_EQ(problem(R"(, "max_batched_tokens": 32, "scheduling": "orca")", w), "");
  EXPECT_EQ(problem(R"(, "max_batched_tokens": 32, "scheduling": "static",
                    "speculation": {"tokens": 3, "acceptance": 1})", w), "");
  EXPECT_THAT(problem(R"(, "kv_tokens": 15)", w),
              HasSubstr("/services/chat/batching/kv_tokens: 15 are too few, one block of 16 tokens is needed"));
  EXPECT_THAT(problem(R"(, "memory_utilization": 0.15)", w),
              HasSubstr("/services/chat/model: "));
}

// Capacities that nobody has are as good as endless ones.
TEST(EngineOptions, EndlessTiersAndSwapSpaceRun) {
  const auto w = workload("w", one_by_one, tokens);
  for (const char* size : {"1 TB", "1e30 B"}) {
    const auto r = run(fmt::format(R"(, "reserve_prompt": true, "prefix_caching": true, "preemption": "swap",
        "swap_space": "{0}", "kv_tiers": [{{"capacity": "{0}", "bandwidth": "10 GB/s"}}])", size), w);
    EXPECT_EQ(r.completed, 20U) << size;
  }
}

TEST(EngineOptions, SaysWhatHasNoEffect) {
  const auto notices = [](const std::string& batching, const std::string& w) {
    auto all = load_text(scenario(batching, w)).scenario->notices;
    std::erase_if(all, [](const std::string& n) { return n.find("accuracy") != std::string::npos; });
    return all;
  };
  const auto urgent = workload("w", one_by_one, tokens, R"(, "priority": 1)");
  const auto adapted = workload("w", one_by_one, tokens + R"(, "adapters": {"count": 3})");
  EXPECT_THAT(notices("", urgent), ::testing::ElementsAre(HasSubstr("workload \"w\": priority has no effect")));
  EXPECT_THAT(notices(R"(, "order": "priority")", urgent), ::testing::IsEmpty());
  EXPECT_THAT(notices("", adapted), ::testing::ElementsAre(HasSubstr("request.adapters has no effect")));
  EXPECT_THAT(notices(R"(, "adapters": {"rank": 8})", adapted), ::testing::IsEmpty());
  EXPECT_THAT(notices(R"(, "kv_tokens": 600000)", adapted),
              ::testing::Contains(HasSubstr("service \"chat\": its memory has no room for kv_tokens, 600000")));
  EXPECT_THAT(notices(R"(, "kv_tokens": 400000, "adapters": {"rank": 8})", adapted), ::testing::IsEmpty());
  const auto sampled = workload("w", one_by_one, tokens + R"(, "samples": 9)");
  EXPECT_THAT(problem(R"(, "max_batch": 8)", sampled),
              HasSubstr("/workload/0/request/samples: 9 answers are decoded at once, more than the max_batch"));
  EXPECT_EQ(problem(R"(, "max_batch": 9)", sampled), "");
}

TEST(EngineOptions, SaysWhatDoesNotGoTogether) {
  const auto w = workload("w", one_by_one, tokens);
  EXPECT_THAT(problem(R"(, "kv_tiers": [{"capacity": "1 GB", "bandwidth": "10 GB/s"}])", w),
              HasSubstr("/services/chat/batching/kv_tiers: need \"prefix_caching\": true"));
  EXPECT_THAT(problem(R"(, "reserve_prompt": true, "prefix_caching": true,
                      "kv_tiers": [{"capacity": "1 kB", "bandwidth": "10 GB/s"}])", w),
              HasSubstr("holds no block of 16 tokens"));
  EXPECT_THAT(problem(R"(, "async_scheduling": true, "speculation": {"tokens": 2, "acceptance": 0.5})", w),
              HasSubstr("cannot plan ahead of guesses"));
  EXPECT_THAT(problem(R"(, "speculation": {"tokens": 2, "acceptance": 1.5})", w), HasSubstr("1.5"));
  EXPECT_THAT(problem(R"(, "speculation": {"tokens": 2, "acceptance": []})", w), HasSubstr("at least 1"));
  EXPECT_THAT(problem(R"(, "speculation": {"tokens": 2})", w), HasSubstr("acceptance"));
  EXPECT_THAT(problem(R"(, "speculation": {"tokens": 2, "acceptance": 0.5, "variant": "int4"})", w),
              HasSubstr("needs \"model\", the draft model"));
  EXPECT_THAT(problem(R"(, "speculation": {"tokens": 2, "acceptance": 0.5, "model": "resnet-18"})", w),
              HasSubstr("a draft model is a language model"));
  EXPECT_THAT(problem(R"(, "max_batched_tokens": 64, "speculation": {"tokens": 2, "acceptance": 0.5})", w),
              HasSubstr("raise it to 192"));
  EXPECT_THAT(problem("", workload("w", one_by_one, R"("embedding": true, "output_tokens": 5)")),
              HasSubstr("an embedding generates no tokens"));
}

}  // namespace
}  // namespace isthmus::scenarios
