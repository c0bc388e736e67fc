// Micro-batches through pipeline stages: dates calculated by hand, then properties of random runs.
#include "devices/pipelined_engine.hpp"

#include <gtest/gtest.h>

#include "models/builtin_llms.hpp"
#include "sim/core/random.hpp"
#include "tests/devices/engine_driver.hpp"
#include "tests/devices/synthetic_cost.hpp"

namespace isthmus::devices {
namespace {

using testing::Cancellation;
using testing::Dates;
using testing::drive;
using testing::linear_cost;
using testing::TimedRequest;

constexpr std::int64_t ms = 1'000'000;

EngineLimits limits_for(std::int64_t blocks, std::uint32_t tokens = 8192) {
  EngineLimits l;
  l.kv_blocks = blocks;
  l.max_sequences = 64;
  l.max_batched_tokens = tokens;
  return l;
}

// Rounding of stage times, below 1 ns each.
void expect_near(Instant date, std::int64_t ns, std::int64_t tolerance = 100) {
  EXPECT_NEAR(static_cast<double>(date.ns()), static_cast<double>(ns), static_cast<double>(tolerance));
}

// Every stage has 2 layers of 10 us per token: 100 tokens take 2 ms in each of 4 stages.
TEST(PipelinedEngine, OneMicroBatchTakesTheSumOfItsStages) {
  PipelinedEngine engine(linear_cost({}, 10e-6, 8, 4), limits_for(1000));
  const auto dates = drive(engine, {{Instant(5), {1, 100, 0, 3}}});
  EXPECT_EQ(dates.at(1).started, Instant(5));
  expect_near(dates.at(1).first_token, 5 + 8 * ms);
  // Each further token passes all 8 layers again: one sequence cannot fill a pipeline.
  expect_near(dates.at(1).completed, 5 + 8 * ms + 2 * 80'000);
  EXPECT_NEAR(engine.busy_stage_seconds() / engine.stage_seconds(), 0.25, 1e-4);
  EXPECT_EQ(engine.counters().iterations, 3u);
}

// 20 of 23 blocks; a micro-batch has 5 of them, and leaves 4 free.
TEST(PipelinedEngine, TheWatermarkIsAShareOfEachMicroBatch) {
  EngineLimits l = limits_for(23);
  l.watermark_blocks = 20;
  PipelinedEngine engine(linear_cost({}, 10e-6, 8, 4), l);
  EXPECT_EQ(drive(engine, {{Instant(0), {1, 60, 0, 3}}}).size(), 1u);
}

TEST(PipelinedEngine, MessagesTakeTimeBetweenStages) {
  PipelinedEngine engine(linear_cost({}, 10e-6, 8, 4, Duration(50'000)), limits_for(1000));
  const auto dates = drive(engine, {{Instant(0), {1, 100, 0, 1}}});
  expect_near(dates.at(1).completed, 8 * ms + 3 * 50'000);
  EXPECT_NEAR(engine.busy_stage_seconds(), 8e-3, 1e-6);
}

// Frameworks of later stages prepare while the first ones compute; only the first one's is seen.
TEST(PipelinedEngine, LaterStagesPrepareMeanwhile) {
  PipelinedEngine hidden(linear_cost(Duration(1 * ms), 10e-6, 8, 4), limits_for(1000));
  expect_near(drive(hidden, {{Instant(0), {1, 100, 0, 1}}}).at(1).completed, 9 * ms);
  // 5 ms of preparation and 2 ms of work in each stage: prepared until 5 ms, passed from 7 to 13 ms.
  PipelinedEngine longer(linear_cost(Duration(5 * ms), 10e-6, 8, 4), limits_for(1000));
  expect_near(drive(longer, {{Instant(0), {1, 100, 0, 1}}}).at(1).completed, 13 * ms);
  // A full pipeline pays it in every stage: 3 ms per micro-batch of 100 tokens.
  PipelinedEngine full(linear_cost(Duration(1 * ms), 10e-6, 8, 4), limits_for(1000, 100));
  std::vector<TimedRequest> prompts;
  for (std::uint64_t i = 1; i <= 12; ++i) prompts.push_back({Instant(0), {i, 100, 0, 1}});
  const auto dates = drive(full, prompts);
  expect_near(dates.at(12).completed, dates.at(11).completed.ns() + 3 * ms);
}

// GPipe (Huang et al. 2019): m micro-batches over P equal stages take m + P - 1 turns, of which a stage
// idles P - 1.
TEST(PipelinedEngine, BubblesAreThoseOfGPipe) {
  for (const int stages : {2, 4, 8})
    for (const std::uint64_t m : {1, 3, 8, 20}) {
      EngineLimits l = limits_for(4000, 100);
      l.max_sequences = 1;  // one prompt per micro-batch
      PipelinedEngine engine(linear_cost({}, 10e-6, 8, stages), l);
      std::vector<TimedRequest> prompts;
      for (std::uint64_t i = 1; i <= m; ++i) prompts.push_back({Instant(0), {i, 100, 0, 1}});
      const auto dates = drive(engine, prompts);
      const std::int64_t turn = 8 * ms / stages;
      Instant last;
      for (const auto& [tag, d] : dates) last = std::max(last, d.completed);
      expect_near(last, (static_cast<std::int64_t>(m) + stages - 1) * turn, 1000);
      const double p = stages, bubble = (p - 1) / (static_cast<double>(m) + p - 1);
      EXPECT_NEAR(1 - engine.busy_stage_seconds() / engine.stage_seconds(), bubble, 1e-4)
          << stages << " stages, " << m << " micro-batches";
    }
}

// Four sequences decode as fast as one, in four micro-batches.
TEST(PipelinedEngine, AFullPipelineDecodesTimesItsStages) {
  std::vector<TimedRequest> one{{Instant(0), {1, 1, 0, 1000}}}, four = one;
  for (std::uint64_t i = 2; i <= 4; ++i) four.push_back({Instant(0), {i, 1, 0, 1000}});
  PipelinedEngine alone(linear_cost({}, 10e-6, 8, 4), limits_for(4000));
  PipelinedEngine full(linear_cost({}, 10e-6, 8, 4), limits_for(4000));
  const Instant first = drive(alone, one).at(1).completed;
  const auto dates = drive(full, four);
  expect_near(first, 1000 * 80'000, 10'000);
  for (const auto& [tag, d] : dates) {
    // They enter one stage apart, and nobody waits after that.
    expect_near(d.completed, first.ns() + static_cast<std::int64_t>(tag - 1) * 20'000, 10'000);
  }
  EXPECT_NEAR(full.busy_stage_seconds() / full.stage_seconds(), 1, 1e-3);
}

// 7 layers over 3 stages are 2, 3 and 2: the middle one sets the rate.
TEST(PipelinedEngine, TheSlowestStageSetsTheRate) {
  EngineLimits l = limits_for(4000, 100);
  l.max_sequences = 1;
  PipelinedEngine engine(linear_cost({}, 10e-6, 7, 3), l);
  std::vector<TimedRequest> prompts;
  for (std::uint64_t i = 1; i <= 30; ++i) prompts.push_back({Instant(0), {i, 100, 0, 1}});
  const auto dates = drive(engine, prompts);
  // Requests go around the micro-batches, so they end in order.
  expect_near(dates.at(1).completed, 7 * ms);
  for (std::uint64_t i = 2; i <= 30; ++i)
    expect_near(dates.at(i).completed, dates.at(i - 1).completed.ns() + 3 * ms);
  EXPECT_NEAR(1 - engine.busy_stage_seconds() / engine.stage_seconds(),
              1 - 30 * 7.0 / (3 * (7 + 29 * 3.0)), 1e-4);
}

TEST(PipelinedEngine, RequestsGoWhereFewestAreUnfinished) {
  PipelinedEngine engine(linear_cost({}, 10e-6, 4, 2), limits_for(1000));
  std::vector<Admission> admitted;
  std::vector<Progress> progress;
  for (std::uint64_t i = 1; i <= 3; ++i) engine.enqueue({i, 100, 0, 1});
  EXPECT_EQ(engine.waiting(), 3u);
  // Requests 1 and 3 are one micro-batch of 200 tokens, 2 is the next.
  EXPECT_EQ(engine.begin(Instant(0), admitted), Instant(4 * ms));
  ASSERT_EQ(admitted.size(), 2u);
  EXPECT_EQ(admitted[0].tag, 1u);
  EXPECT_EQ(admitted[1].tag, 3u);
  EXPECT_EQ(engine.busy_share(), 0.5);
  EXPECT_EQ(engine.compute_share(), 1);
  engine.finish(progress);
  EXPECT_TRUE(progress.empty());
  admitted.clear();
  EXPECT_EQ(engine.begin(Instant(4 * ms), admitted), Instant(6 * ms));
  ASSERT_EQ(admitted.size(), 1u);
  EXPECT_EQ(admitted[0].tag, 2u);
  EXPECT_EQ(engine.busy_share(), 1);
  EXPECT_EQ(engine.running(), 3u);
  EXPECT_GT(engine.kv_usage(Instant(4 * ms)), 0);
  std::vector<std::uint64_t> lost;
  engine.clear(lost);
  EXPECT_EQ(lost.size(), 3u);
  EXPECT_FALSE(engine.has_work() || engine.busy());
  EXPECT_EQ(engine.kv_usage(Instant(4 * ms)), 0);
}

// An arrival enters as soon as the first stage is free, not when the micro-batch ahead has ended.
TEST(PipelinedEngine, ArrivalsEnterBehindTheOneAhead) {
  PipelinedEngine engine(linear_cost({}, 10e-6, 8, 4), limits_for(1000));
  const auto dates = drive(engine, {{Instant(0), {1, 100, 0, 1}},
                                    {Instant(1 * ms), {2, 50, 0, 1}},
                                    {Instant(7 * ms), {3, 100, 0, 1}}});
  expect_near(dates.at(2).started, 2 * ms);
  // Smaller, but it cannot overtake: 1 ms behind the first in the last stage.
  expect_near(dates.at(2).completed, 9 * ms);
  expect_near(dates.at(3).started, 7 * ms);
  expect_near(dates.at(3).completed, 15 * ms);
}

TEST(PipelinedEngine, RefusesWhatNoPipelineHas) {
  EngineLimits l = limits_for(3);
  EXPECT_THROW(PipelinedEngine(linear_cost({}, 1e-6, 4, 4), l), InputError);
  l = limits_for(100);
  l.async_scheduling = true;
  EXPECT_THROW(PipelinedEngine(linear_cost({}, 1e-6, 4, 4), l), InputError);
  l = limits_for(100);
  l.swap_bandwidth = 1e9;
  EXPECT_THROW(PipelinedEngine(linear_cost({}, 1e-6, 4, 4), l), InputError);
  l = limits_for(100);
  l.speculation = {.tokens = 2, .acceptance = {0.5}};
  EXPECT_THROW(PipelinedEngine(linear_cost({}, 1e-6, 4, 4), l), InputError);
  l = limits_for(100);
  l.reserve_prompt = l.prefix_caching = true;
  l.tiers = {{10, 1e9}};
  EXPECT_THROW(PipelinedEngine(linear_cost({}, 1e-6, 4, 4), l), InputError);
  // A request has the blocks of one micro-batch.
  PipelinedEngine engine(linear_cost({}, 1e-6, 4, 4), limits_for(100));
  EXPECT_TRUE(engine.fits({1, 25 * 16, 0, 1}));
  EXPECT_FALSE(engine.fits({1, 25 * 16 + 1, 0, 1}));
}

// ---- random runs -----------------------------------------------------------------------------------

std::shared_ptr<const models::LlmCost> real_cost(int stages) {
  models::ComputeUnit u;
  u.name = "gpu";
  u.peak[static_cast<std::size_t>(models::Precision::bf16)] = 65e12;
  u.memory_bandwidth = 320e9;
  u.memory = 16e9;
  u.compute_efficiency = 0.5;
  u.bandwidth_efficiency = 0.8;
  u.iteration_overhead = Duration(1 * ms);
  u.sequence_overhead = Duration(20'000);
  u.launch_overhead = Duration(5000);
  models::LlmVariant v;
  v.name = "bf16";
  return std::make_shared<const models::LlmCost>(
      models::builtin_llm("llama-3.1-8b"), v, u,
      models::LlmLayout{.pipeline = stages, .link_bandwidth = 12e9, .link_latency = Duration(20'000)});
}

std::vector<TimedRequest> random_requests(Rng& g, std::size_t n) {
  std::vector<TimedRequest> v;
  Instant t;
  for (std::size_t i = 0; i < n; ++i) {
    if (uniform01(g) < 0.8) t += Duration::from_seconds(sample_exponential(g, 0.3));
    const auto prompt = 1 + static_cast<std::int64_t>(uniform_index(g, 900));
    const auto output = 1 + static_cast<std::int64_t>(uniform_index(g, 40));
    TimedRequest r{t, {i + 1, prompt, 0, output}, Duration::from_seconds(0.1 * uniform01(g))};
    r.request.hold = uniform_index(g, 8) == 0;
    v.push_back(r);
  }
  return v;
}

TEST(PipelinedEngine, RandomRunsKeepTheRules) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Rng g(seed);
    const int stages = 2 + static_cast<int>(uniform_index(g, 5));
    const auto cost = real_cost(stages);
    EngineLimits l;
    l.scheduling = std::array{Scheduling::decode_first, Scheduling::prefill_first, Scheduling::orca,
                              Scheduling::static_batch}[uniform_index(g, 4)];
    l.max_sequences = 1 + static_cast<std::uint32_t>(uniform_index(g, 12));
    l.max_batched_tokens = 1000 + static_cast<std::uint32_t>(uniform_index(g, 1000));
    l.block_size = 16;
    l.kv_blocks = stages * (20 + static_cast<std::int64_t>(uniform_index(g, 100)));
    l.chunked_prefill = uniform_index(g, 2) == 1;
    const auto arrivals = random_requests(g, 80);
    std::vector<Cancellation> cancellations;
    for (const TimedRequest& a : arrivals)
      if (uniform_index(g, 10) == 0)
        cancellations.push_back({a.at + Duration::from_seconds(uniform01(g)), a.request.tag});
    std::sort(cancellations.begin(), cancellations.end(),
              [](const Cancellation& a, const Cancellation& b) { return a.at < b.at; });

    PipelinedEngine engine(cost, l), again(cost, l);
    const auto dates = drive(engine, arrivals, cancellations);
    EXPECT_EQ(dates, drive(again, arrivals, cancellations)) << "seed " << seed;
    EXPECT_FALSE(engine.has_work());
    EXPECT_EQ(engine.kv_usage(Instant::zero()), 0) << "seed " << seed;
    EXPECT_LE(engine.busy_stage_seconds(), engine.stage_seconds());

    for (const TimedRequest& a : arrivals) {
      const EngineRequest& r = a.request;
      const bool cancelled =
          std::any_of(cancellations.begin(), cancellations.end(),
                      [&](const Cancellation& c) { return c.tag == r.tag; });
      if (!engine.fits(r)) {
        EXPECT_EQ(dates.count(r.tag), 0u);
        continue;
      }
      if (cancelled) continue;
      ASSERT_EQ(dates.count(r.tag), 1u) << "seed " << seed;
      const Dates& d = dates.at(r.tag);
      EXPECT_GE(d.started, a.at);
      // No faster than alone: the prompt through all stages, then every further token.
      models::IterationWork w{.prefill_tokens = r.prompt,
                              .prefill_attention = 0.5 * static_cast<double>(r.prompt * r.prompt),
                              .prefill_context = r.prompt,
                              .logits = 1};
      Duration alone(cost->iteration_ns(w));
      EXPECT_GE(d.first_token - d.started + Duration(2 * stages), alone) << "seed " << seed;
      if (l.scheduling == Scheduling::static_batch) continue;
      for (std::int64_t i = 1; i < r.output; ++i)
        alone += Duration(cost->iteration_ns(
            {.decode_sequences = 1, .decode_context = r.prompt + i, .logits = 1}));
      EXPECT_GE(d.completed - d.started + Duration(2 * stages * r.output), alone) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace isthmus::devices
