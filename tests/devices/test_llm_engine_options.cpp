// Queue orders, speculation, samples, embeddings and KV tiers of an engine, against hand calculation.
#include <gtest/gtest.h>

#include <cmath>

#include "devices/llm_engine.hpp"
#include "sim/core/errors.hpp"
#include "tests/devices/engine_driver.hpp"
#include "tests/devices/synthetic_cost.hpp"

namespace isthmus::devices {
namespace {

using testing::drive;
using testing::linear_cost;
using testing::TimedRequest;

constexpr std::int64_t us = 1000;

// 1 ms per iteration and 10 us per token.
std::shared_ptr<const models::LlmCost> cost() { return linear_cost(Duration(1000 * us), 10e-6); }

EngineLimits one_at_a_time() {
  EngineLimits l;
  l.max_sequences = 1;
  l.kv_blocks = 100;
  return l;
}

EngineRequest request(std::uint64_t tag, std::int64_t prompt, std::int64_t output) {
  EngineRequest r{tag, prompt, 0, output};
  r.identity = tag;
  return r;
}

std::vector<std::uint64_t> order_of_starts(const EngineLimits& l, std::vector<TimedRequest> arrivals) {
  LlmEngine engine(cost(), l);
  std::vector<std::pair<Instant, std::uint64_t>> starts;
  for (const auto& [tag, d] : drive(engine, std::move(arrivals))) starts.emplace_back(d.started, tag);
  std::sort(starts.begin(), starts.end());
  std::vector<std::uint64_t> tags;
  for (const auto& s : starts) tags.push_back(s.second);
  return tags;
}

TEST(LlmEngineOptions, ThePriorityQueueStartsTheMostUrgentFirst) {
  EngineLimits l = one_at_a_time();
  std::vector<TimedRequest> arrivals;
  const int priorities[] = {0, 0, 5, -1, 5};
  for (std::uint64_t i = 0; i < 5; ++i) {
    EngineRequest r = request(i + 1, 10, 2);
    r.priority = priorities[i];
    arrivals.push_back({Instant(static_cast<std::int64_t>(i)), r});
  }
  EXPECT_EQ(order_of_starts(l, arrivals), (std::vector<std::uint64_t>{1, 2, 3, 4, 5}));
  l.order = QueueOrder::priority;
  EXPECT_EQ(order_of_starts(l, arrivals), (std::vector<std::uint64_t>{1, 3, 5, 2, 4}));
}

// Four blocks for two sequences that grow to three each: the less urgent one gives way, although it
// was admitted first.
TEST(LlmEngineOptions, TheLeastUrgentIsPreempted) {
  for (const QueueOrder order : {QueueOrder::arrival, QueueOrder::priority}) {
    EngineLimits l;
    l.kv_blocks = 4;
    l.order = order;
    LlmEngine engine(cost(), l);
    EngineRequest first = request(1, 16, 30), second = request(2, 16, 30);
    second.priority = 1;
    const auto dates = drive(engine, {{Instant(0), first}, {Instant(1), second}});
    EXPECT_EQ(engine.counters().preemptions, 1U);
    EXPECT_EQ(dates.at(1).completed < dates.at(2).completed, order == QueueOrder::arrival);
  }
}

// Client 0 asks five times, then client 1 twice.
TEST(LlmEngineOptions, TheFairQueueTakesTurns) {
  EngineLimits l = one_at_a_time();
  std::vector<TimedRequest> arrivals;
  for (std::uint64_t i = 0; i < 7; ++i) {
    EngineRequest r = request(i + 1, 10, 2);
    r.client = i < 5 ? 0 : 1;
    arrivals.push_back({Instant(static_cast<std::int64_t>(i)), r});
  }
  EXPECT_EQ(order_of_starts(l, arrivals), (std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7}));
  l.order = QueueOrder::fair;
  // Client 1 comes when client 0 has had a prompt, and starts at that level: 10. The decode makes it
  // 12, the second client's request 22, and so on in turns.
  EXPECT_EQ(order_of_starts(l, arrivals), (std::vector<std::uint64_t>{1, 6, 2, 7, 3, 4, 5}));
}

// Nine tokens: one from the prompt, eight from iterations of 1 + 3 tokens.
TEST(LlmEngineOptions, RightGuessesAreTokens) {
  for (const double acceptance : {0.0, 1.0}) {
    EngineLimits l = one_at_a_time();
    l.speculation.tokens = 3;
    l.speculation.acceptance = {acceptance};
    l.speculation.overhead = Duration(5 * us);
    LlmEngine engine(cost(), l);
    const auto dates = drive(engine, {{Instant(0), request(1, 20, 9)}});
    const std::int64_t decodes = acceptance == 1 ? 2 : 8;
    EXPECT_EQ(dates.at(1).first_token, Instant((1000 + 200) * us));
    EXPECT_EQ(dates.at(1).completed, Instant((1200 + decodes * (1000 + 40 + 5)) * us));
    EXPECT_EQ(engine.counters().guessed_tokens, static_cast<std::uint64_t>(3 * decodes));
    EXPECT_EQ(engine.counters().accepted_tokens, acceptance == 1 ? 6U : 0U);
    EXPECT_EQ(engine.free_blocks(), l.kv_blocks);
  }
}

// Leviathan et al., ICML 2023, equation 1: (1 - a^(k+1)) / (1 - a) tokens per iteration.
TEST(LlmEngineOptions, TokensPerIterationFollowTheAcceptance) {
  EngineLimits l = one_at_a_time();
  l.kv_blocks = 20'000;
  l.speculation.tokens = 4;
  l.speculation.acceptance = {0.7};
  LlmEngine engine(cost(), l);
  drive(engine, {{Instant(0), request(1, 20, 200'001)}});
  const double expected = (1 - std::pow(0.7, 5)) / (1 - 0.7);
  EXPECT_NEAR(200'000.0 / static_cast<double>(engine.counters().iterations - 1), expected, 0.01 * expected);
}

// The draft model computes the prompt as well, and the guesses one after the other.
TEST(LlmEngineOptions, TheDraftModelTakesItsTime) {
  EngineLimits l = one_at_a_time();
  l.speculation.tokens = 3;
  l.speculation.acceptance = {1};
  l.speculation.draft = linear_cost(Duration(100 * us), 1e-6);
  LlmEngine engine(cost(), l);
  const auto dates = drive(engine, {{Instant(0), request(1, 20, 5)}});
  EXPECT_EQ(dates.at(1).first_token, Instant((1200 + 100 + 20) * us));
  EXPECT_EQ(dates.at(1).completed, dates.at(1).first_token + Duration((1040 + 3 * 101) * us));
}

// 100 tokens: six whole blocks in common, and the rest three times.
TEST(LlmEngineOptions, SamplesShareTheBlocksOfTheirPrompt) {
  EngineLimits l;
  l.kv_blocks = 9;
  LlmEngine engine(cost(), l);
  EngineRequest r = request(1, 100, 5);
  r.samples = 3;
  engine.enqueue(r);
  std::vector<Admission> admitted;
  std::vector<Progress> progress;
  const Instant first = engine.begin(Instant(0), admitted);
  EXPECT_EQ(engine.free_blocks(), 2);
  engine.finish(progress);
  EXPECT_EQ(engine.running(), 3U);
  EXPECT_EQ(engine.free_blocks(), 0);
  const Instant end = engine.begin(first, admitted);
  EXPECT_EQ(end, first + Duration(4 * (1000 + 30) * us));
  engine.finish(progress);
  ASSERT_EQ(progress.size(), 2U);  // the first token and the end, once each
  EXPECT_EQ(progress[1].what, Progress::What::completed);
  EXPECT_EQ(engine.free_blocks(), 9);
  EXPECT_EQ(engine.counters().preemptions, 0U);
}

// With eight blocks one sample has no place for its own copy: it waits and computes all again.
TEST(LlmEngineOptions, ASampleWithoutBlocksComesLater) {
  EngineLimits l;
  l.kv_blocks = 8;
  LlmEngine engine(cost(), l);
  EngineRequest r = request(1, 100, 5);
  r.samples = 3;
  const auto dates = drive(engine, {{Instant(0), r}});
  EXPECT_EQ(engine.counters().preemptions, 1U);
  // Prompt, four decodes of two, the prompt of the third with its first token, three more tokens.
  EXPECT_EQ(dates.at(1).completed,
            Instant((1000 + 1000 + 4 * 1020 + 1000 + 1010 + 3 * 1010) * us));
  EXPECT_EQ(engine.free_blocks(), 8);
}

TEST(LlmEngineOptions, CancellingARequestEndsAllOfItsSamples) {
  EngineLimits l;
  l.kv_blocks = 8;
  LlmEngine engine(cost(), l);
  EngineRequest r = request(1, 100, 20);
  r.samples = 3;
  const auto dates = drive(engine, {{Instant(0), r}}, {{Instant(3000 * us), 1}});
  EXPECT_TRUE(dates.at(1).completed == Instant());
  EXPECT_EQ(engine.free_blocks(), 8);
  EXPECT_FALSE(engine.has_work());
}

TEST(LlmEngineOptions, AnEmbeddingIsThePromptAlone) {
  LlmEngine engine(cost(), one_at_a_time());
  const auto dates = drive(engine, {{Instant(0), request(1, 50, 0)}});
  EXPECT_EQ(dates.at(1).completed, Instant(1500 * us));
  EXPECT_EQ(dates.at(1).first_token, dates.at(1).completed);
  EXPECT_EQ(engine.counters().iterations, 1U);
}

// Two prompts of four blocks take turns in a cache of five. What the second pushed out is read back
// from the tier: 64 tokens of 4 bytes at 256 kB/s are 1 ms.
TEST(LlmEngineOptions, EvictedBlocksComeBackFromATier) {
  for (const std::int64_t tier : {0, 1, 8}) {
    EngineLimits l;
    l.kv_blocks = 5;
    l.reserve_prompt = l.prefix_caching = true;
    if (tier > 0) l.tiers = {{tier, 256e3}};
    LlmEngine engine(cost(), l);
    EngineRequest a = request(1, 65, 1), b = request(2, 65, 1);
    a.prefix = {1, 2, 3, 4};
    b.prefix = {11, 12, 13, 14};
    EngineRequest again = a;
    again.tag = 3;
    const auto dates = drive(
        engine, {{Instant(0), a}, {Instant(10'000 * us), b}, {Instant(20'000 * us), again}});
    const Duration took = dates.at(3).completed - dates.at(3).started;
    // The ends of sequences go first: a tier of one block has the first of the prompt.
    const std::int64_t fetched = std::min<std::int64_t>(4, tier);
    EXPECT_EQ(took, Duration((1000 + 250 * fetched + 10 * (65 - 16 * fetched)) * us));
    EXPECT_EQ(engine.counters().fetched_tokens, static_cast<std::uint64_t>(16 * fetched));
    EXPECT_EQ(engine.counters().cached_tokens, 0U);
    EXPECT_EQ(engine.free_blocks(), 5);
  }
}

// Traces may repeat contents within a prompt. Two of the blocks that come back have equal contents:
// one has the name, and all are given back.
TEST(LlmEngineOptions, RepeatedContentsComeBackFromATier) {
  EngineLimits l;
  l.kv_blocks = 5;
  l.reserve_prompt = l.prefix_caching = true;
  l.tiers = {{8, 256e3}};
  LlmEngine engine(cost(), l);
  EngineRequest a = request(1, 65, 1), b = request(2, 65, 1);
  a.prefix = {1, 2, 1, 3};
  b.prefix = {11, 12, 13, 14};
  std::vector<TimedRequest> arrivals;
  for (std::int64_t i = 0; i < 6; ++i) {
    arrivals.push_back({Instant(20'000 * i * us), i % 2 == 0 ? a : b});
    arrivals.back().request.tag = static_cast<std::uint64_t>(i + 1);
  }
  const auto dates = drive(engine, arrivals);
  // All of a's four blocks are known when it comes again.
  EXPECT_EQ(dates.at(3).completed - dates.at(3).started, Duration((1000 + 4 * 250 + 10) * us));
  EXPECT_EQ(dates.at(5).completed - dates.at(5).started, Duration((1000 + 4 * 250 + 10) * us));
  EXPECT_EQ(engine.free_blocks(), 5);
}

// Two places for three adapters: the third request waits for one of them, the fourth, which asks for an
// adapter that is there, goes first.
TEST(LlmEngineOptions, RequestsWaitForAPlaceOfTheirAdapter) {
  EngineLimits l;
  l.kv_blocks = 100;
  l.adapters.slots = 2;
  l.adapters.bandwidth = 1e30;
  LlmEngine engine(cost(), l);
  const std::uint32_t adapters[] = {1, 2, 3, 1};
  std::vector<TimedRequest> arrivals;
  for (std::uint64_t i = 0; i < 4; ++i) {
    EngineRequest r = request(i + 1, 10, 5);
    r.adapter = adapters[i];
    arrivals.push_back({Instant(0), r});
  }
  const auto dates = drive(engine, arrivals);
  EXPECT_EQ(dates.at(1).started, dates.at(4).started);
  EXPECT_EQ(dates.at(3).started, dates.at(1).completed);
  EXPECT_EQ(engine.counters().adapter_loads, 3U);
}

// What an adapter adds by hand: rank 8 on one layer of width 2 with 3 inner: 4 * (2 + 2) wide for
// attention of one head of 2, and 3 * (2 + 3), in 2 bytes.
TEST(AdapterCost, CountsBytesArithmeticAndLaunches) {
  models::LlmShape shape;
  shape.layers = shape.heads = shape.kv_heads = shape.vocab = 1;
  shape.hidden = shape.head_dim = 2;
  shape.ffn = 3;
  models::ComputeUnit unit;
  unit.peak[static_cast<std::size_t>(models::Precision::bf16)] = 1e9;
  unit.memory_bandwidth = 1e9;
  unit.launch_overhead = Duration(10);
  models::LlmVariant variant;
  const models::AdapterCost cost(shape, variant, unit, 8);
  const std::int64_t widths = 4 * (2 + 2) + 3 * (2 + 3);
  EXPECT_EQ(cost.bytes(), static_cast<double>(8 * widths * 2));
  EXPECT_EQ(cost.time(0, 0), Duration());
  EXPECT_EQ(cost.time(3, 1), Duration(2 * 7 * 10 + 3 * 8 * widths * 2));      // memory
  EXPECT_EQ(cost.time(1, 100), Duration(2 * 7 * 10 + 100 * 2 * 8 * widths));  // arithmetic
  EXPECT_THROW(models::AdapterCost(shape, variant, unit, 0), InputError);
}

// The fast tier hands its oldest contents down to the slow one.
TEST(KvTiers, GiveUpTheLeastRecentlyUsedToTheNext) {
  KvTiers tiers({{2, 1e9}, {1, 1e6}});
  for (const BlockKey key : {1, 2, 3}) tiers.evicted(key);
  EXPECT_EQ(tiers.find(1), 1U);
  EXPECT_EQ(tiers.find(2), 0U);
  tiers.read(0, 2);
  tiers.evicted(4);
  EXPECT_EQ(tiers.find(1), KvTiers::nowhere);
  EXPECT_EQ(tiers.find(2), 0U);
  EXPECT_EQ(tiers.find(3), 1U);
  tiers.clear();
  EXPECT_EQ(tiers.find(4), KvTiers::nowhere);
}

TEST(LlmEngineOptions, RefusesWhatContradictsItself) {
  const auto refused = [](auto change) {
    EngineLimits l = one_at_a_time();
    change(l);
    EXPECT_THROW(LlmEngine(cost(), l), InputError);
  };
  refused([](EngineLimits& l) { l.speculation.tokens = 2; });
  refused([](EngineLimits& l) {
    l.speculation.tokens = 2;
    l.speculation.acceptance = {1.5};
  });
  refused([](EngineLimits& l) {
    l.speculation.tokens = 2;
    l.speculation.acceptance = {0.5};
    l.async_scheduling = true;
  });
  refused([](EngineLimits& l) {
    l.speculation.tokens = 2;
    l.speculation.acceptance = {0.5};
    l.max_batched_tokens = 2;
  });
  refused([](EngineLimits& l) { l.tiers = {{10, 1e9}}; });
  refused([](EngineLimits& l) {
    l.reserve_prompt = l.prefix_caching = true;
    l.tiers = {{0, 1e9}};
  });
  EngineLimits l = one_at_a_time();
  LlmEngine engine(cost(), l);
  EngineRequest r = request(1, 10, 2);
  r.samples = 2;
  EXPECT_FALSE(engine.fits(r));
}

}  // namespace
}  // namespace isthmus::devices
