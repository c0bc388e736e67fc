// Ranks in step: dates calculated by hand, one rank against the plain engine, properties of random runs.
#include "devices/data_parallel_engine.hpp"

#include <gtest/gtest.h>

#include "models/builtin_llms.hpp"
#include "sim/core/random.hpp"
#include "tests/devices/engine_driver.hpp"

namespace isthmus::devices {
namespace {

using testing::Cancellation;
using testing::Dates;
using testing::drive;
using testing::TimedRequest;

constexpr std::int64_t us = 1'000;

// One layer. Of a rank's own, in us: a prompt of n tokens takes 8 n + 2 n^2, a decode at context c takes
// 8 + 4 c. The experts take 100 us per token of all ranks, whatever their number.
std::shared_ptr<const models::LlmCost> hand_cost(int ranks) {
  models::LlmShape shape;
  shape.name = "hand";
  shape.layers = shape.hidden = shape.heads = shape.kv_heads = shape.vocab = 1;
  shape.head_dim = 1'000'000'000;
  shape.ffn = 25'000'000'000 * ranks;
  shape.gated_ffn = false;
  shape.experts = 2;
  shape.experts_active = 1;
  models::ComputeUnit unit;
  unit.name = "unit";
  unit.peak[static_cast<std::size_t>(models::Precision::bf16)] = 1e15;
  unit.memory_bandwidth = 1e30;
  unit.memory = 1e15;
  models::LlmVariant variant;
  variant.name = "bf16";
  return std::make_shared<const models::LlmCost>(
      shape, variant, unit, models::LlmLayout{.data = ranks, .link_bandwidth = 1e30});
}

EngineLimits limits_for(std::int64_t blocks) {
  EngineLimits l;
  l.kv_blocks = blocks;
  l.max_sequences = 64;
  return l;
}

void expect_near(Instant date, std::int64_t ns) {
  EXPECT_NEAR(static_cast<double>(date.ns()), static_cast<double>(ns), 50);
}

// A long prompt in one rank holds up the decode in the other; a rank without work adds one token.
TEST(DataParallelEngine, AllWaitForTheSlowestRank) {
  DataParallelEngine engine(hand_cost(2), limits_for(1000));
  const auto dates = drive(engine, {{Instant(0), {1, 10, 0, 3}}, {Instant(1 * us), {2, 100, 0, 1}}});
  // Alone with 10 tokens and one of padding: 280 + 11 * 100.
  expect_near(dates.at(1).first_token, 1380 * us);
  // 100 tokens here, one there: 20,800 + 101 * 100 for both.
  EXPECT_EQ(dates.at(2).started, dates.at(1).first_token);
  expect_near(dates.at(2).completed, (1380 + 30'900) * us);
  // A decode at context 12, and padding again: 56 + 2 * 100.
  expect_near(dates.at(1).completed, (1380 + 30'900 + 256) * us);
  EXPECT_EQ(engine.counters().iterations, 3U);
  EXPECT_EQ(engine.counters().rank_iterations, 6U);
  EXPECT_EQ(engine.counters().dummy_iterations, 2U);
  EXPECT_EQ(engine.counters().sequence_steps, 4U);
}

TEST(DataParallelEngine, RanksSleepTogether) {
  DataParallelEngine engine(hand_cost(4), limits_for(1000));
  std::vector<Admission> admitted;
  std::vector<Progress> progress;
  EXPECT_TRUE(engine.begin(Instant(0), admitted).is_never());
  EXPECT_FALSE(engine.busy() || engine.has_work());
  engine.enqueue({1, 1, 0, 1});
  // 10 us of its own, four tokens at the experts.
  expect_near(engine.begin(Instant(0), admitted), 410 * us);
  engine.finish(progress);
  ASSERT_EQ(progress.size(), 2U);
  expect_near(progress[1].at, 410 * us);
  EXPECT_TRUE(engine.begin(Instant(410 * us), admitted).is_never());
  EXPECT_EQ(engine.counters().dummy_iterations, 3U);
}

// vLLM's balance: 4 * waiting + running, the first of equals.
TEST(DataParallelEngine, RequestsGoToTheRankWithTheLeastToDo) {
  EngineLimits l = limits_for(1000);
  l.max_sequences = 2;
  DataParallelEngine engine(hand_cost(2), l);
  const auto queues = [&] {
    return std::vector{engine.ranks()[0].waiting(), engine.ranks()[0].running(),
                       engine.ranks()[1].waiting(), engine.ranks()[1].running()};
  };
  using Queues = std::vector<std::uint32_t>;
  for (std::uint64_t i = 1; i <= 3; ++i) engine.enqueue({i, 10, 0, 50});
  EXPECT_EQ(queues(), (Queues{2, 0, 1, 0}));
  std::vector<Admission> admitted;
  engine.begin(Instant(0), admitted);
  EXPECT_EQ(queues(), (Queues{0, 2, 0, 1}));
  engine.enqueue({4, 10, 0, 50});  // 2 against 1
  EXPECT_EQ(queues(), (Queues{0, 2, 1, 1}));
  engine.enqueue({5, 10, 0, 50});  // 2 against 5
  EXPECT_EQ(queues(), (Queues{1, 2, 1, 1}));
  engine.enqueue({6, 10, 0, 50});  // 6 against 5
  EXPECT_EQ(queues(), (Queues{1, 2, 2, 1}));
  EXPECT_EQ(engine.waiting(), 3U);
  EXPECT_EQ(engine.running(), 3U);
  std::vector<std::uint64_t> lost;
  engine.clear(lost);
  EXPECT_EQ(lost.size(), 6U);
  EXPECT_FALSE(engine.has_work() || engine.busy());
  EXPECT_EQ(engine.kv_usage(Instant(0)), 0);
}

// 8 blocks per rank. Two sequences of 70 tokens need 10: one gives way although the other rank is empty.
TEST(DataParallelEngine, BlocksAreThoseOfARank) {
  DataParallelEngine engine(hand_cost(2), limits_for(17));
  EXPECT_TRUE(engine.fits({1, 8 * 16, 0, 1}));
  EXPECT_FALSE(engine.fits({1, 8 * 16 + 1, 0, 1}));
  const auto dates = drive(engine, {{Instant(0), {1, 30, 0, 41}},
                                    {Instant(0), {2, 30, 0, 1}},
                                    {Instant(0), {3, 30, 0, 41}}});
  EXPECT_EQ(dates.size(), 3U);
  EXPECT_EQ(engine.ranks()[0].counters().preemptions, 1U);
  EXPECT_EQ(engine.ranks()[1].counters().preemptions, 0U);
  EXPECT_EQ(engine.kv_usage(Instant(0)), 0);
}

TEST(DataParallelEngine, TheWatermarkIsAShareOfEachRank) {
  EngineLimits l = limits_for(20);
  l.watermark_blocks = 16;  // 8 of 10: who is alone may start nevertheless
  DataParallelEngine engine(hand_cost(2), l);
  EXPECT_EQ(drive(engine, {{Instant(0), {1, 60, 0, 3}}}).size(), 1U);
}

// The cache of a prompt is known in its rank alone.
TEST(DataParallelEngine, PrefixesAreThoseOfARank) {
  EngineLimits l = limits_for(1000);
  l.reserve_prompt = l.prefix_caching = true;
  DataParallelEngine engine(hand_cost(2), l);
  EngineRequest r{1, 64, 0, 2};
  r.prefix = {11, 12, 13, 14};
  const auto again = [&](std::uint64_t tag) {
    r.tag = tag;
    return r;
  };
  drive(engine, {{Instant(0), again(1)}});
  EXPECT_EQ(engine.counters().cached_tokens, 0U);
  drive(engine, {{Instant(1'000'000 * us), again(2)}, {Instant(1'000'000 * us), again(3)}});
  // The second one goes to the rank that has it, the third one does not.
  EXPECT_EQ(engine.ranks()[0].counters().cached_tokens, 48U);
  EXPECT_EQ(engine.ranks()[1].counters().cached_tokens, 0U);
}

TEST(DataParallelEngine, ACancelledSequenceLeavesItsRank) {
  DataParallelEngine engine(hand_cost(2), limits_for(1000));
  const auto dates = drive(engine,
                           {{Instant(0), {1, 10, 0, 3}}, {Instant(0), {2, 100, 0, 1000}}},
                           {{Instant(5 * us), 2}, {Instant(6 * us), 7}});
  // The iteration goes on with what it had: 20,800 + 110 * 100. Then rank 1 computes padding.
  expect_near(dates.at(1).first_token, 31'800 * us);
  expect_near(dates.at(1).completed, (31'800 + 252 + 256) * us);
  EXPECT_EQ(dates.at(2).completed, Instant());
  EXPECT_EQ(engine.counters().dummy_iterations, 2U);
}

TEST(DataParallelEngine, RefusesWhatRanksDoNotHave) {
  const auto cost = hand_cost(4);
  EXPECT_THROW(DataParallelEngine(cost, limits_for(3)), InputError);
  EngineLimits l = limits_for(100);
  l.swap_bandwidth = 1e9;
  EXPECT_THROW(DataParallelEngine(cost, l), InputError);
  l = limits_for(100);
  l.speculation = {.tokens = 2, .acceptance = {0.5}};
  EXPECT_THROW(DataParallelEngine(cost, l), InputError);
  l = limits_for(100);
  l.reserve_prompt = l.prefix_caching = true;
  l.tiers = {{10, 1e9}};
  EXPECT_THROW(DataParallelEngine(cost, l), InputError);
  l = limits_for(100);
  l.adapters = {.slots = 1, .cost = {}, .bandwidth = 1e9};
  EXPECT_THROW(DataParallelEngine(cost, l), InputError);
}

// ---- random runs -----------------------------------------------------------------------------------

std::shared_ptr<const models::LlmCost> real_cost(int tensor, int ranks, Rng& g) {
  models::ComputeUnit u;
  u.name = "gpu";
  u.peak[static_cast<std::size_t>(models::Precision::bf16)] = 300e12;
  u.memory_bandwidth = 2e12;
  u.memory = 200e9;
  u.compute_efficiency = 0.5;
  u.bandwidth_efficiency = 0.8;
  u.iteration_overhead = Duration(1000 * us);
  u.sequence_overhead = Duration(20 * us);
  u.launch_overhead = Duration(5 * us);
  u.overlap_overhead = uniform_index(g, 2) == 1;
  if (uniform_index(g, 2) == 1) u.graph_sizes = {1, 2, 4, 8, 16};
  models::LlmVariant v;
  v.name = "bf16";
  models::LlmLayout layout{.tensor = tensor,
                           .data = ranks,
                           .link_bandwidth = 200e9,
                           .link_latency = Duration(5 * us)};
  if (uniform_index(g, 2) == 1 && 8 % layout.expert_units() == 0) {
    layout.expert = layout.expert_units();
    layout.all_to_all = uniform_index(g, 2) == 1;
    layout.expert_skew = uniform01(g);
  }
  return std::make_shared<const models::LlmCost>(models::builtin_llm("mixtral-8x7b"), v, u, layout);
}

EngineLimits random_limits(Rng& g, int ranks) {
  EngineLimits l;
  l.scheduling = std::array{Scheduling::decode_first, Scheduling::prefill_first, Scheduling::orca,
                            Scheduling::static_batch}[uniform_index(g, 4)];
  l.max_sequences = 1 + static_cast<std::uint32_t>(uniform_index(g, 12));
  l.max_batched_tokens = 1000 + static_cast<std::uint32_t>(uniform_index(g, 1000));
  l.kv_blocks = ranks * (20 + static_cast<std::int64_t>(uniform_index(g, 100)));
  l.chunked_prefill = uniform_index(g, 2) == 1;
  l.reserve_prompt = uniform_index(g, 2) == 1;
  l.prefix_caching = l.reserve_prompt && uniform_index(g, 2) == 1;
  l.async_scheduling = l.scheduling == Scheduling::decode_first && uniform_index(g, 2) == 1;
  l.order = std::array{QueueOrder::arrival, QueueOrder::priority, QueueOrder::fair}[uniform_index(g, 3)];
  return l;
}

std::vector<TimedRequest> random_requests(Rng& g, std::size_t n) {
  std::vector<TimedRequest> v;
  Instant t;
  for (std::size_t i = 0; i < n; ++i) {
    if (uniform01(g) < 0.8) t += Duration::from_seconds(sample_exponential(g, 0.1));
    const auto prompt = 1 + static_cast<std::int64_t>(uniform_index(g, 900));
    const auto output = 1 + static_cast<std::int64_t>(uniform_index(g, 40));
    TimedRequest r{t, {i + 1, prompt, 0, output}, Duration::from_seconds(0.1 * uniform01(g))};
    r.request.hold = uniform_index(g, 8) == 0;
    if (!r.request.hold && uniform_index(g, 8) == 0) r.request.samples = 2;
    r.request.priority = static_cast<std::int32_t>(uniform_index(g, 3));
    r.request.client = static_cast<std::uint32_t>(uniform_index(g, 3));
    const std::uint64_t beginning = uniform_index(g, 4);
    for (std::int64_t block = 0; block < prompt / 16; ++block)
      r.request.prefix.push_back(1000 * beginning + static_cast<std::uint64_t>(block));
    v.push_back(r);
  }
  return v;
}

std::vector<Cancellation> random_cancellations(Rng& g, const std::vector<TimedRequest>& arrivals) {
  std::vector<Cancellation> all;
  for (const TimedRequest& a : arrivals)
    if (uniform_index(g, 10) == 0)
      all.push_back({a.at + Duration::from_seconds(uniform01(g)), a.request.tag});
  std::sort(all.begin(), all.end(),
            [](const Cancellation& a, const Cancellation& b) { return a.at < b.at; });
  return all;
}

// With one rank there is nobody to wait for.
TEST(DataParallelEngine, OneRankIsThePlainEngine) {
  std::uint64_t preemptions = 0, cached = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Rng g(seed);
    const auto cost = real_cost(1 << uniform_index(g, 3), 1, g);
    const EngineLimits l = random_limits(g, 1);
    const auto arrivals = random_requests(g, 60);
    const auto cancellations = random_cancellations(g, arrivals);
    LlmEngine plain(cost, l);
    DataParallelEngine ranks(cost, l);
    ASSERT_EQ(drive(plain, arrivals, cancellations), drive(ranks, arrivals, cancellations))
        << "seed " << seed;
    EXPECT_EQ(plain.counters().iterations, ranks.counters().iterations);
    EXPECT_EQ(plain.counters().sequence_steps, ranks.counters().sequence_steps);
    EXPECT_EQ(plain.counters().preemptions, ranks.counters().preemptions);
    EXPECT_EQ(plain.counters().cached_tokens, ranks.counters().cached_tokens);
    EXPECT_EQ(ranks.counters().dummy_iterations, 0U);
    preemptions += plain.counters().preemptions;
    cached += plain.counters().cached_tokens;
  }
  EXPECT_GT(preemptions, 100U);
  EXPECT_GT(cached, 10'000U);
}

TEST(DataParallelEngine, RandomRunsKeepTheRules) {
  std::uint64_t dummies = 0, all = 0;
  for (std::uint64_t seed = 1; seed <= 80; ++seed) {
    Rng g(seed);
    const int ranks = 2 + static_cast<int>(uniform_index(g, 5));
    const auto cost = real_cost(1 + static_cast<int>(uniform_index(g, 2)), ranks, g);
    const EngineLimits l = random_limits(g, ranks);
    const auto arrivals = random_requests(g, 80);
    const auto cancellations = random_cancellations(g, arrivals);

    DataParallelEngine engine(cost, l), again(cost, l);
    const auto dates = drive(engine, arrivals, cancellations);
    EXPECT_EQ(dates, drive(again, arrivals, cancellations)) << "seed " << seed;
    EXPECT_FALSE(engine.has_work());
    EXPECT_EQ(engine.kv_usage(Instant::zero()), 0) << "seed " << seed;
    const EngineCounters c = engine.counters();
    EXPECT_EQ(c.rank_iterations, c.iterations * static_cast<std::uint64_t>(ranks));
    std::uint64_t busy = 0;
    for (const LlmEngine& e : engine.ranks()) busy += e.counters().iterations;
    EXPECT_EQ(c.dummy_iterations + busy, c.rank_iterations) << "seed " << seed;
    dummies += c.dummy_iterations;
    all += c.rank_iterations;

    for (const TimedRequest& a : arrivals) {
      const EngineRequest& r = a.request;
      const bool cancelled =
          std::any_of(cancellations.begin(), cancellations.end(),
                      [&](const Cancellation& x) { return x.tag == r.tag; });
      if (!engine.fits(r)) {
        EXPECT_EQ(dates.count(r.tag), 0U);
        continue;
      }
      if (cancelled) continue;
      ASSERT_EQ(dates.count(r.tag), 1U) << "seed " << seed;
      const Dates& d = dates.at(r.tag);
      EXPECT_GE(d.started, a.at);
      // No faster than its decodes with all other ranks idle.
      if (l.scheduling == Scheduling::static_batch) continue;
      Duration alone;
      for (std::int64_t i = 1; i < r.output; ++i)
        alone += Duration(cost->iteration_ns(
            {.decode_sequences = 1, .decode_context = r.prompt + i, .logits = 1}));
      EXPECT_GE(d.completed - d.first_token, alone) << "seed " << seed;
    }
  }
  EXPECT_GT(dummies, all / 50);
  EXPECT_LT(dummies, all);
}

}  // namespace
}  // namespace isthmus::devices
