// Routers in front of several LLM engines, from scenario files to results.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "scenarios/reader.hpp"
#include "sim/world/run.hpp"
#include "tests/scenarios/temporary_folder.hpp"

namespace isthmus::scenarios {
namespace {

results::Summary run(const std::string& routing, const std::filesystem::path& trace,
                     const std::string& batching = "") {
  return world::run(*load_text(fmt::format(R"({{"isthmus": 1, "name": "t", "duration": "300 s",
    "nodes": {{"gpu": {{"device": "nvidia-h100-sxm", "count": 4}}}},
    "services": {{"chat": {{"model": "llama-3.1-8b", "on": "gpu", "replicas": 4, "routing": {},
      "batching": {{"policy": "continuous", "reserve_prompt": true, "prefix_caching": true{}}}}}}},
    "workload": [{{"name": "w", "source": "trace", "format": "mooncake", "file": "{}",
                   "tokens_per_hash": 512, "target": "chat"}}]}})",
                                           routing, batching, trace.string()))
                        .scenario,
                    {});
}

// Conversations in turn: each prompt is the one before it and 512 tokens more.
std::filesystem::path conversations(const testing::TemporaryFolder& folder, int count, int turns) {
  std::string lines;
  int at = 0;
  for (int turn = 0; turn < turns; ++turn)
    for (int c = 0; c < count; ++c) {
      // The order changes from turn to turn, so that taking turns does not match by chance.
      const int who = (c * 7 + turn * 3) % count;
      std::string ids;
      for (int b = 0; b < 6 + turn; ++b)
        ids += fmt::format("{}{}", b > 0 ? ", " : "", who * 1000 + b);
      lines += fmt::format(
          "{{\"timestamp\": {}, \"input_length\": {}, \"output_length\": 20, \"hash_ids\": [{}]}}\n",
          at, 512 * (6 + turn), ids);
      at += 100;
    }
  return folder.write("conversations.jsonl", lines);
}

TEST(LlmRouting, PrefixAwareUsesThePromptsThatReplicasHave) {
  const testing::TemporaryFolder folder;
  const auto trace = conversations(folder, 25, 8);
  const auto turns = run(R"("round-robin")", trace);
  const auto prefix = run(R"("prefix-aware")", trace);
  ASSERT_EQ(prefix.completed, 200U);
  EXPECT_LT(prefix.value("ttft.mean"), 0.6 * turns.value("ttft.mean"));
  EXPECT_EQ(run(R"("prefix-aware")", trace).fingerprint, prefix.fingerprint);
  EXPECT_EQ(turns.events, run(R"("least-outstanding")", trace).events);
}

// Every fourth request is long: taking turns sends all of these to one replica.
TEST(LlmRouting, KvUsageEvensOut) {
  const testing::TemporaryFolder folder;
  std::string lines;
  for (int i = 0; i < 400; ++i)
    lines += fmt::format("{{\"timestamp\": {}, \"input_length\": {}, \"output_length\": {}, "
                         "\"hash_ids\": []}}\n",
                         i * 100, i % 4 == 0 ? 6000 : 200, i % 4 == 0 ? 400 : 20);
  const auto trace = folder.write("lengths.jsonl", lines);
  const std::string small = R"(, "kv_tokens": 40000)";
  const auto turns = run(R"("round-robin")", trace, small);
  const auto kv = run(R"("kv-usage")", trace, small);
  ASSERT_EQ(kv.completed, 400U);
  EXPECT_LT(kv.value("latency.p99"), 0.6 * turns.value("latency.p99"));
  EXPECT_EQ(run(R"("kv-usage")", trace, small).fingerprint, kv.fingerprint);

  // Old signals send everything of a period to the same replica.
  const auto old = run(R"({"policy": "kv-usage", "signal_period": "20 s"})", trace, small);
  EXPECT_GT(old.value("latency.p99"), 1.2 * kv.value("latency.p99"));
  const auto fresh = run(R"({"policy": "kv-usage", "signal_period": "0 s"})", trace, small);
  EXPECT_LT(fresh.value("latency.p99"), 1.2 * kv.value("latency.p99"));
  EXPECT_LT(fresh.events, kv.events);
}

TEST(LlmRouting, SessionAffinityIsDeterministic) {
  const auto scenario = [](const std::string& routing) {
    return fmt::format(R"({{"isthmus": 1, "name": "t", "duration": "120 s",
      "nodes": {{"gpu": {{"device": "nvidia-h100-sxm", "count": 3}}}},
      "services": {{"chat": {{"model": "llama-3.1-8b", "on": "gpu", "replicas": 3, "routing": "{}"}}}},
      "workload": [{{"name": "w", "source": "poisson", "rate": "5 /s", "clients": {{"count": 12}}, "target": "chat",
        "request": {{"prompt_tokens": 500, "output_tokens": 50}}}}]}})",
                       routing);
  };
  const auto run_with = [&](const std::string& routing) {
    return world::run(*load_text(scenario(routing)).scenario, {});
  };
  const auto sticky = run_with("session-affinity");
  EXPECT_GT(sticky.completed, 400U);
  EXPECT_EQ(run_with("session-affinity").fingerprint, sticky.fingerprint);
  EXPECT_NE(run_with("round-robin").fingerprint, sticky.fingerprint);
}

}  // namespace
}  // namespace isthmus::scenarios
