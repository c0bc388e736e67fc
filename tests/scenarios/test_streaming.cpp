// Streamed answers: when tokens reach the client, on both networks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/scenarios/json_scenario.hpp"
#include "sim/world/run.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr std::uint32_t tokens = 50;
constexpr double token_bytes = 1000;

json streamed(const char* bandwidth, const char* network = "fluid") {
  return {{"isthmus", 1},
          {"name", "stream"},
          {"duration", "200 s"},
          {"network",
           {{"model", network},
            {"links", {{"radio", {{"bandwidth", bandwidth}, {"latency", "10 ms"}}}}},
            {"access", {{"phone", {"radio"}}}},
            {"routes", json::array({{{"from", "field"}, {"to", "cloud"}, {"links", json::array()}}})}}},
          {"nodes",
           {{"phone", {{"tier", "device"}, {"zone", "field"}, {"count", 3}}},
            {"gpu", {{"device", "nvidia-a100-80g"}, {"zone", "cloud"}, {"count", 2}}}}},
          {"services",
           {{"chat",
             {{"model", "llama-3.1-8b"}, {"on", "gpu"}, {"batching", {{"policy", "continuous"}}}}}}},
          {"workload",
           json::array({{{"source", "times"},
                         {"times", {"1 s"}},
                         {"clients", {{"on", "phone"}, {"count", 3}}},
                         {"request",
                          {{"prompt_tokens", 500},
                           {"output_tokens", tokens},
                           {"upload", "2 kB"},
                           {"download_per_token", "1000 B"},
                           {"streaming", true}}}}})}};
}

std::vector<results::RequestRecord> requests_of(const json& s) {
  std::vector<results::RequestRecord> all;
  world::RunOptions o;
  o.on_request = [&](const results::RequestRecord& r) { all.push_back(r); };
  world::run(*testing::load_json(s).scenario, o);
  return all;
}

Duration seconds(double s) { return Duration::from_seconds(s); }

TEST(Streaming, EveryTokenTravelsAtItsDate) {
  const auto records = requests_of(streamed("80 Mbps"));
  ASSERT_EQ(records.size(), 1U);
  const auto& r = records[0];
  ASSERT_EQ(r.status, results::Status::completed);
  EXPECT_TRUE(r.streamed);
  // 0.1 ms per token, far below the time between two of them, and 10 ms on the way.
  const Duration way = seconds(token_bytes / 10e6 + 0.010);
  EXPECT_EQ(r.first_received, r.first_token + way);
  // A message waits for the one before: 10.1 ms are more than an iteration.
  EXPECT_GE(r.last_received, r.served + way);
  EXPECT_LE(r.last_received, r.served + way + way);
  EXPECT_EQ(r.completed, r.last_received);
}

TEST(Streaming, MessagesOfTokensFollowOneAnother) {
  json s = streamed("80 Mbps");
  s["network"]["links"]["radio"]["latency"] = "0 s";
  const auto whole = requests_of([&] {
    json t = s;
    t["workload"][0]["request"]["streaming"] = false;
    return t;
  }());
  const auto records = requests_of(s);
  ASSERT_EQ(records.size(), 1U);
  const auto& r = records[0];
  // Without latency nobody waits: the last token leaves when it is computed.
  EXPECT_EQ(r.first_token, whole[0].first_token);
  EXPECT_EQ(r.served, whole[0].served);
  EXPECT_EQ(r.last_received, r.served + seconds(token_bytes / 10e6));
  EXPECT_EQ(whole[0].completed, whole[0].served + seconds(tokens * token_bytes / 10e6));
  EXPECT_TRUE(whole[0].first_received.is_never());
}

// 1 s per token: the second message takes all that were computed meanwhile, the third what is left.
TEST(Streaming, ASlowLinkMakesLongMessages) {
  const json s = streamed("8 kbps");
  const auto records = requests_of(s);
  ASSERT_EQ(records.size(), 1U);
  const auto& r = records[0];
  EXPECT_EQ(r.first_received, r.first_token + seconds(1.010));
  ASSERT_LT(r.served, r.first_received);  // one second is enough for all tokens
  EXPECT_EQ(r.last_received, r.first_received + seconds((tokens - 1) + 0.010));
  const auto summary = world::run(*testing::load_json(s).scenario, {});
  EXPECT_EQ(summary.links.at(0).bytes, 2000 + tokens * token_bytes);
}

TEST(Streaming, MetricsAreTheClients) {
  const json s = streamed("80 Mbps");
  const auto r = requests_of(s).at(0);
  const auto summary = world::run(*testing::load_json(s).scenario, {});
  EXPECT_DOUBLE_EQ(summary.value("ttft.mean"), (r.first_received - r.created).seconds());
  EXPECT_NEAR(summary.value("tpot.mean"), (r.last_received - r.first_received).seconds() / (tokens - 1),
              1e-9);
  EXPECT_DOUBLE_EQ(summary.value("e2e.mean"), (r.last_received - r.created).seconds());
}

TEST(Streaming, AnIntervalSparesMessages) {
  json s = streamed("80 Mbps");
  s["workload"][0]["request"]["stream_interval"] = "100 ms";
  const auto r = requests_of(s).at(0);
  const auto dense = requests_of(streamed("80 Mbps")).at(0);
  EXPECT_EQ(r.first_received, dense.first_received);
  EXPECT_GE(r.last_received, r.served + seconds(token_bytes / 10e6 + 0.010));
  const auto few = world::run(*testing::load_json(s).scenario, {});
  const auto many = world::run(*testing::load_json(streamed("80 Mbps")).scenario, {});
  EXPECT_LT(few.events + 20, many.events);
  EXPECT_EQ(few.links.at(0).bytes, many.links.at(0).bytes);
}

// Many at once, over both networks, by leaps and by steps, with and without pools.
TEST(Streaming, BothNetworksAndLeapsAgree) {
  for (const bool pools : {false, true}) {
    json s = streamed("20 Mbps");
    s["duration"] = "60 s";
    s["workload"][0].erase("times");
    s["workload"][0].update({{"source", "poisson"}, {"rate", "6 /s"}});
    if (pools)
      s["services"]["chat"]["pools"] = {{"p", {{"role", "prefill"}}}, {"d", {{"role", "decode"}}}};
    const auto fluid = world::run(*testing::load_json(s).scenario, {});
    json stepped = s;
    stepped["services"]["chat"]["batching"]["mode"] = "step";
    const auto steps = world::run(*testing::load_json(stepped).scenario, {});
    json grid = s;
    grid["network"]["model"] = "simgrid";
    const auto simgrid = world::run(*testing::load_json(grid).scenario, {});
    ASSERT_GT(fluid.completed, 250U);
    for (const auto* other : {&steps, &simgrid}) {
      EXPECT_EQ(other->completed, fluid.completed);
      for (const char* metric : {"ttft.mean", "tpot.mean", "e2e.p99"})
        EXPECT_NEAR(other->value(metric), fluid.value(metric), 1e-6) << metric;
    }
  }
}

TEST(Streaming, CutLinksAndImpatientClientsLoseNothing) {
  json s = streamed("200 kbps");
  s["workload"][0].erase("times");
  s["workload"][0].update({{"source", "poisson"}, {"rate", "2 /s"}});
  s["workload"][0]["request"].update({{"retries", 5}, {"retry_backoff", "500 ms"}, {"deadline", "20 s"}});
  s["network"]["links"]["radio"]["failures"] =
      json::array({{{"at", "20 s"}, {"lasts", "3 s"}}, {{"at", "50 s"}, {"lasts", "1 s"}}});
  std::uint64_t completed = 0, cancelled = 0, retried = 0, others = 0;
  for (const auto& r : requests_of(s)) {
    retried += r.attempts > 1 ? 1 : 0;
    if (r.status == results::Status::completed) {
      ++completed;
      EXPECT_GE(r.first_received, r.first_token);
      EXPECT_GE(r.last_received, r.served);
      EXPECT_GE(r.last_received, r.first_received);
    } else if (r.status != results::Status::in_flight) {
      (r.cause == results::Cause::cancelled ? cancelled : others) += 1;
    }
  }
  EXPECT_GT(completed, 60U);
  EXPECT_GT(cancelled, 5U);
  EXPECT_GT(retried, 3U);
  EXPECT_EQ(others, 0U);
}

TEST(Streaming, ContradictionsAreRefused) {
  json s = streamed("1 Mbps");
  s["workload"][0]["request"]["samples"] = 2;
  EXPECT_THAT(testing::first_problem(s), HasSubstr("does not go together with \"samples\""));
  s = streamed("1 Mbps");
  s["workload"][0]["request"]["streaming"] = false;
  s["workload"][0]["request"]["stream_interval"] = "1 s";
  EXPECT_THAT(testing::first_problem(s), HasSubstr("needs \"streaming\": true"));
}

}  // namespace
}  // namespace isthmus::scenarios
