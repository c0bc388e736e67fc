// Prompts of agent sessions: what they hold, what two turns have in common, and what an engine with
// a prefix cache computes of them.
#include <gtest/gtest.h>

#include <cmath>

#include "models/builtin_llms.hpp"
#include "sim/world/sessions.hpp"
#include "tests/sim/world/small_worlds.hpp"

namespace isthmus::world {
namespace {

std::size_t common(const SessionPrompt& a, const SessionPrompt& b) {
  std::size_t n = 0;
  while (n < a.blocks->contents.size() && n < b.blocks->contents.size() &&
         a.blocks->contents[n] == b.blocks->contents[n])
    ++n;
  return n;
}

// System prompt of 40 tokens; turns of 100 (screenshot), 10 (text) and 30 (answer).
const Turn turn{100, 10, 30, 1000};

SessionPrompt prompt(std::size_t turns, std::uint32_t keep, std::uint64_t session = 5) {
  SessionShape shape;
  shape.system_tokens = 40;
  shape.keep_images = keep;
  return session_prompt(shape, 1, session, std::vector<Turn>(turns, turn));
}

TEST(Sessions, EverythingStays) {
  const auto one = prompt(1, ~0U), two = prompt(2, ~0U), three = prompt(3, ~0U);
  EXPECT_EQ(one.tokens, 150U);
  EXPECT_EQ(two.tokens, 290U);
  EXPECT_EQ(three.tokens, 430U);
  EXPECT_EQ(one.blocks->contents.size(), 9U);  // whole blocks of 16 tokens
  // Each turn's prompt begins with all of the one before.
  EXPECT_EQ(common(one, two), 9U);
  EXPECT_EQ(common(two, three), 18U);
  EXPECT_EQ(three.upload, 3000);
}

// With the newest screenshot only, turns agree up to where the one before last had its screenshot.
TEST(Sessions, OldScreenshotsGo) {
  const auto one = prompt(1, 1), two = prompt(2, 1), three = prompt(3, 1), four = prompt(4, 1);
  EXPECT_EQ(one.tokens, 150U);
  EXPECT_EQ(two.tokens, 190U);    // 40 + 10 + 30 + 110
  EXPECT_EQ(three.tokens, 230U);  // 40 more of text
  EXPECT_EQ(common(one, two), 40U / 16);
  EXPECT_EQ(common(two, three), 80U / 16);
  EXPECT_EQ(common(three, four), 120U / 16);
  EXPECT_EQ(four.upload, 1000);

  // Two that stay: the third turn drops the first one.
  EXPECT_EQ(prompt(3, 2).tokens, 430U - 100U);
  EXPECT_EQ(common(prompt(1, 2), prompt(2, 2)), 150U / 16);
  EXPECT_EQ(common(prompt(2, 2), prompt(3, 2)), 40U / 16);
  EXPECT_EQ(common(prompt(3, 2), prompt(4, 2)), 80U / 16);
}

TEST(Sessions, ShareTheSystemPromptOnly) {
  EXPECT_EQ(common(prompt(2, ~0U, 5), prompt(2, ~0U, 6)), 2U);  // 40 tokens
  for (const std::uint64_t id : prompt(40, ~0U).blocks->contents) EXPECT_LT(id, 1ULL << 58U);
}

// ---- in an engine ----------------------------------------------------------------------------------

// One agent on one replica. Turns of 320 + 48 tokens and answers of 33 after a system prompt of 200.
Scenario agent(std::uint32_t turns, std::uint32_t keep, bool caching, double image = 320) {
  Scenario s = testing::queue_scenario(Distribution::constant(1), 1, 1000);
  s.warmup = Duration::zero();
  s.streaming = false;
  models::ComputeUnit u;
  u.name = "gpu";
  u.peak[static_cast<std::size_t>(models::Precision::bf16)] = 300e12;
  u.memory_bandwidth = 2e12;
  u.memory = 80e9;
  u.iteration_overhead = Duration(1'000'000);
  s.nodes[0].units = {u};
  models::LlmVariant variant;
  variant.name = "bf16";
  const auto shape = models::builtin_llm("autoglm-phone-9b");
  s.services[0].work = LlmModel{shape, variant, std::make_shared<models::LlmCost>(shape, variant, u), {}};
  s.services[0].batching.continuous.prefix_caching = caching;
  s.services[0].batching.continuous.reserve_prompt = caching;
  Workload& w = s.workloads[0];
  w.arrivals.kind = ArrivalKind::times;
  w.arrivals.times = {Duration(1'000'000'000)};
  w.request.image_tokens = Distribution::constant(image);
  w.request.prompt_tokens = Distribution::constant(48);
  w.request.output_tokens = Distribution::constant(33);
  w.request.upload_per_token = 1;
  w.task.enabled = true;
  w.task.steps = Distribution::constant(turns);
  w.task.action = Distribution::constant(2);
  w.task.session.emplace();
  w.task.session->system_tokens = 200;
  w.task.session->keep_images = keep;
  return s;
}

// Time of the last turn's first token, in ns.
std::int64_t last_ttft(std::uint32_t turns, std::uint32_t keep, bool caching, double image = 320) {
  const auto sum = [&](std::uint32_t n) {
    const auto r = run(agent(n, keep, caching, image), {});
    EXPECT_EQ(r.completed, n);
    return r.value("ttft.mean") * n * 1e9;
  };
  return std::llround(turns == 1 ? sum(1) : sum(turns) - sum(turns - 1));
}

std::int64_t by_hand(std::int64_t prompt, std::int64_t cached, std::int64_t image) {
  const Scenario s = agent(1, 1, true);
  const std::int64_t n = prompt - cached;
  return std::get<LlmModel>(s.services[0].work)
      .cost->iteration_ns({.prefill_tokens = n,
                           .prefill_attention = static_cast<double>(n) *
                                                (static_cast<double>(cached) + static_cast<double>(n) / 2),
                           .prefill_context = prompt,
                           .logits = 1,
                           .image_tokens = image});
}

// Answers count as prompt once more: engines name the blocks of prompts only.
TEST(Sessions, CachedTokensByHand) {
  EXPECT_LE(std::abs(last_ttft(1, 1, true) - by_hand(568, 0, 320)), 1);
  // Everything stays, of text alone: prompts of 248, 329 and 410 tokens; 20 whole blocks in common.
  EXPECT_LE(std::abs(last_ttft(3, ~0U, true, 0) - by_hand(410, 320, 0)), 3);
  EXPECT_LE(std::abs(last_ttft(3, ~0U, false) - by_hand(1370, 0, 320)), 3);
  // The newest screenshot: 200 + 81 tokens of text and answer before the one that has gone.
  EXPECT_LE(std::abs(last_ttft(2, 1, true) - by_hand(649, 192, 320)), 2);
  EXPECT_LE(std::abs(last_ttft(3, 1, true) - by_hand(730, 272, 320)), 3);
  EXPECT_LE(std::abs(last_ttft(3, 1, false) - by_hand(730, 0, 320)), 3);
}

// A task lasts its turns and the actions between them; uploads grow with the prompt.
TEST(Sessions, TurnsFollowEachOther) {
  const auto r = run(agent(4, 1, true), {});
  EXPECT_EQ(r.completed, 4U);
  EXPECT_EQ(r.value("tasks"), 1);
  EXPECT_NEAR(r.value("task_duration.mean"), 3 * 2 + 4 * r.value("latency.mean"), 1e-6);
  EXPECT_NEAR(r.value("bytes_per_request"), (568 + 649 + 730 + 811) / 4.0, 1e-9);
}

// Sessions of one client are told apart, and each stays on its replica.
TEST(Sessions, RoutersKnowThem) {
  Scenario s = agent(6, 1, true);
  s.nodes[0].count = 4;
  for (int i = 1; i < 4; ++i) s.topology.hosts.push_back({"server" + std::to_string(i), 0, {}});
  s.services[0].replicas = s.services[0].max_replicas = 4;
  s.workloads[0].arrivals.times.clear();
  for (int i = 0; i < 12; ++i) s.workloads[0].arrivals.times.push_back(Duration(370'000'000LL * (i + 1)));
  const auto cached = [&](const char* policy) {
    const auto& entry = schedulers::find_entry(schedulers::routing_policies(), policy);
    s.services[0].routing = &entry;
    s.services[0].routing_parameters.emplace(entry.parameters);
    return run(s, {}).value("ttft.mean");
  };
  EXPECT_LT(cached("session-affinity"), 0.95 * cached("random"));
  EXPECT_LT(cached("prefix-aware"), 0.95 * cached("random"));
}

}  // namespace
}  // namespace isthmus::world
