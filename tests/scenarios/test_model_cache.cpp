// Models that share the memory of a machine, from scenario files to results.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "scenarios/reader.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"

namespace isthmus::scenarios {
namespace {

// Two or three networks that take turns on a T4 with 110 MB for models.
std::string text(const std::string& cache, const std::string& service = "",
                 const std::string& more = "", const std::string& rate = "1 /s") {
  return fmt::format(R"({{"isthmus": 1, "name": "t", "duration": "100 s",
    "nodes": {{"m": {{"device": "nvidia-t4"{}}}}},
    "services": {{"a": {{"on": "m", "model": "resnet-50", "units": ["gpu"]{}}},
                 "b": {{"on": "m", "model": "mobilenet-v2", "units": ["gpu"]}}}},
    "workload": [{{"name": "a", "source": "deterministic", "rate": "{}", "target": "a"}},
                 {{"name": "b", "source": "deterministic", "rate": "{}", "target": "b"}}]{}}})",
                     cache, service, rate, rate, more);
}

results::Summary run(const std::string& json) { return world::run(*load_text(json).scenario, {}); }

std::string refusal(const std::string& json) {
  try {
    load_text(json);
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

TEST(ModelCacheScenario, ModelsThatFitNeverLeave) {
  const auto with = run(text(R"(, "model_cache": {"policy": "lru"})"));
  const auto without = run(text(""));
  EXPECT_EQ(with.value("weight_hits.a"), 1);
  EXPECT_EQ(with.value("weight_loads.a") + with.value("weight_evictions.b"), 0);
  EXPECT_EQ(with.value("latency.mean"), without.value("latency.mean"));
  EXPECT_EQ(with.value("energy"), without.value("energy"));
}

TEST(ModelCacheScenario, WithoutPreloadTheFirstBatchWaits) {
  const auto r = run(text(R"(, "model_cache": {"policy": "lru", "preload": false})"));
  EXPECT_EQ(r.value("weight_loads.a"), 1);
  EXPECT_EQ(r.value("weight_evictions.a"), 0);
  // Reading, building and copying 102 MB of fp32 weights.
  const double w = r.value("weights.a");
  const auto warm = run(text(R"(, "model_cache": {"policy": "lru"})"));
  const double load = 1e-4 + w / 3e9 + w / 4e9;
  EXPECT_GT(r.value("latency.max") - warm.value("latency.max"), load);
  EXPECT_LT(r.value("latency.max") - warm.value("latency.max"), 3 * load);
}

// One fits at a time, and they are asked for in turn: every batch loads.
TEST(ModelCacheScenario, OneAtATimeSwapsEveryTime) {
  const std::string cache = R"(, "model_cache": {{"policy": "{}", "capacity": "130 MB"{}}})";
  const auto storage = run(text(fmt::format(fmt::runtime(cache), "lru", "")));
  const double asked = 100;
  EXPECT_NEAR(storage.value("weight_loads.a"), asked, 2);
  EXPECT_NEAR(storage.value("weight_evictions.a"), asked, 2);
  EXPECT_LT(storage.value("weight_hits.a"), 0.02);
  const auto host = run(text(fmt::format(fmt::runtime(cache), "lru", R"(, "keep_in_host": true)")));
  EXPECT_LT(host.value("latency.mean"), storage.value("latency.mean"));
  EXPECT_EQ(run(text(fmt::format(fmt::runtime(cache), "lru", ""))).fingerprint,
            storage.fingerprint);
}

TEST(ModelCacheScenario, EveryRequestIsAnsweredWhateverThePolicyUnderFaults) {
  for (const char* policy : {"lru", "lfu", "fifo", "priority", "greedy-dual"}) {
    const auto r = run(
        text(fmt::format(R"(, "count": 2, "model_cache": {{"policy": "{}", "capacity": "130 MB"}})",
                         policy),
             R"(, "replicas": 2, "slots": 2)",
             R"(, "faults": [{"node": "m", "index": 0, "at": "20.01 s", "lasts": "3 s"},
                        {"node": "m", "index": 1, "at": "50.52 s", "lasts": "1 s"}])",
             "40 /s"));
    SCOPED_TRACE(policy);
    EXPECT_GT(r.value("completed"), 4000);
    EXPECT_GT(r.value("weight_loads.a"), 10);
  }
}

TEST(ModelCacheScenario, RefusalsShowTheArithmetic) {
  const std::string small =
      refusal(text(R"(, "model_cache": {"policy": "lru", "capacity": "90 MB"})"));
  EXPECT_NE(small.find("/services/a/model"), std::string::npos) << small;
  EXPECT_NE(small.find("weights"), std::string::npos) << small;
  EXPECT_NE(small.find("but the model_cache of \"m\" has 90 MB"), std::string::npos) << small;
  const std::string together = refusal(text(R"(, "memory": "130 MB")"));
  EXPECT_NE(together.find("does not fit beside the others on \"m\": a "), std::string::npos)
      << together;
  EXPECT_NE(together.find("model_cache"), std::string::npos) << together;
  const std::string workspace =
      refusal(text(R"(, "memory": "130 MB")", R"(, "workspace": "60 MB")"));
  EXPECT_NE(workspace.find("activations and workspace of 1 x batch 1"), std::string::npos)
      << workspace;
  const std::string policy = refusal(text(R"(, "model_cache": {"policy": "lruu"})"));
  EXPECT_NE(policy.find("did you mean \"lru\""), std::string::npos) << policy;
  const std::string streamed =
      refusal(text(R"(, "model_cache": {"policy": "lru"})", R"(, "loading": "offload")"));
  EXPECT_EQ(streamed, "");  // all of it has room: nothing is streamed
  const std::string alone = refusal(R"({"isthmus": 1, "name": "t", "duration": "1 s",
    "nodes": {"m": {"device": "nvidia-t4", "model_cache": {"policy": "lru"}}},
    "services": {"a": {"on": "m", "model": "resnet-50"}},
    "workload": [{"source": "poisson", "rate": "1 /s", "target": "a"}]})");
  EXPECT_NE(alone.find("say on which with \"units\""), std::string::npos) << alone;
}

}  // namespace
}  // namespace isthmus::scenarios
