#include "devices/llm_engine.hpp"

#include <gtest/gtest.h>

#include "tests/devices/engine_driver.hpp"
#include "models/builtin_llms.hpp"
#include "sim/core/random.hpp"

namespace isthmus::devices {
namespace {

using testing::Cancellation;
using testing::Dates;
using testing::drive;
using testing::TimedRequest;

models::ComputeUnit test_gpu() {
  models::ComputeUnit u;
  u.name = "gpu";
  u.peak[static_cast<std::size_t>(models::Precision::bf16)] = 312e12;
  u.memory_bandwidth = 2039e9;
  u.memory = 80e9;
  u.compute_efficiency = 0.8;
  u.bandwidth_efficiency = 0.8;
  u.iteration_overhead = Duration(2'000'000);
  u.launch_overhead = Duration(3'000);
  return u;
}

std::shared_ptr<const models::LlmCost> test_cost() {
  static const auto cost = [] {
    models::LlmVariant v;
    v.name = "bf16";
    return std::make_shared<const models::LlmCost>(models::builtin_llm("llama-3.1-8b"), v, test_gpu());
  }();
  return cost;
}

std::vector<TimedRequest> random_requests(std::uint64_t seed, std::size_t n, double gap_s,
                                          std::int64_t max_prompt, std::int64_t max_output) {
  Rng g(seed);
  std::vector<TimedRequest> v;
  Instant t;
  for (std::size_t i = 0; i < n; ++i) {
    if (uniform01(g) < 0.8) t += Duration::from_seconds(sample_exponential(g, gap_s));
    EngineRequest r;
    r.tag = i + 1;
    r.prompt = 1 + static_cast<std::int64_t>(uniform_index(g, static_cast<std::uint64_t>(max_prompt)));
    r.image = static_cast<std::int64_t>(uniform_index(g, 2)) * (r.prompt / 2);
    r.output = 1 + static_cast<std::int64_t>(uniform_index(g, static_cast<std::uint64_t>(max_output)));
    // Prompts of a few families begin alike, up to some block.
    const std::uint64_t family = uniform_index(g, 4);
    const std::uint64_t alike = uniform_index(g, 12);
    for (std::uint64_t block = 0; block < std::min<std::uint64_t>(alike, static_cast<std::uint64_t>(r.prompt) / 20);
         ++block)
      r.prefix.push_back(100 * family + block);
    // Some come from another engine, some go to one.
    if (uniform_index(g, 8) == 0)
      r.received = static_cast<std::int64_t>(uniform_index(g, static_cast<std::uint64_t>(r.prompt)));
    r.hold = uniform_index(g, 8) == 0;
    // Some want several answers, some none.
    if (!r.hold && uniform_index(g, 8) == 0) r.samples = 1 + static_cast<std::uint32_t>(uniform_index(g, 4));
    if (uniform_index(g, 16) == 0) r.output = 0;
    r.priority = static_cast<std::int32_t>(uniform_index(g, 3)) - 1;
    r.client = static_cast<std::uint32_t>(uniform_index(g, 3));
    r.identity = i;
    r.adapter = static_cast<std::uint32_t>(uniform_index(g, 6));
    v.push_back({t, r, Duration::from_seconds(0.1 * uniform01(g))});
  }
  return v;
}

constexpr Scheduling every_scheduling[] = {Scheduling::decode_first, Scheduling::prefill_first,
                                           Scheduling::orca, Scheduling::static_batch};

EngineLimits random_limits(Rng& g, Scheduling scheduling) {
  EngineLimits l;
  l.scheduling = scheduling;
  l.max_sequences = 1 + static_cast<std::uint32_t>(uniform_index(g, 24));
  l.max_batched_tokens = l.max_sequences + static_cast<std::uint32_t>(uniform_index(g, 600));
  l.block_size = 1 + static_cast<std::uint32_t>(uniform_index(g, 20));
  l.kv_blocks = 20 + static_cast<std::int64_t>(uniform_index(g, 200));
  l.chunked_prefill = uniform_index(g, 2) == 1;
  l.reserve_prompt = uniform_index(g, 2) == 1;
  l.prefix_caching = l.reserve_prompt && uniform_index(g, 2) == 1;
  l.async_scheduling = uniform_index(g, 2) == 1 && scheduling == Scheduling::decode_first;
  if (uniform_index(g, 2) == 1) l.watermark_blocks = static_cast<std::int64_t>(uniform_index(g, 6));
  if (uniform_index(g, 2) == 1) {
    l.swap_bandwidth = 1e9 + 1e11 * uniform01(g);
    l.host_blocks = static_cast<std::int64_t>(uniform_index(g, 60));
  }
  constexpr QueueOrder orders[] = {QueueOrder::arrival, QueueOrder::arrival, QueueOrder::priority,
                                   QueueOrder::fair};
  l.order = orders[uniform_index(g, 4)];
  if (l.prefix_caching && uniform_index(g, 2) == 1)
    l.tiers = {{1 + static_cast<std::int64_t>(uniform_index(g, 30)), 1e11},
               {1 + static_cast<std::int64_t>(uniform_index(g, 90)), 1e9 + 1e10 * uniform01(g)}};
  if (uniform_index(g, 4) == 0) {
    l.adapters.slots = 1 + static_cast<std::uint32_t>(uniform_index(g, 4));
    l.adapters.cost = models::AdapterCost(models::builtin_llm("llama-3.1-8b"), {}, test_gpu(), 16);
    l.adapters.bandwidth = 25e9;
  }
  if (!l.async_scheduling && uniform_index(g, 6) == 0) {
    l.speculation.tokens = 1 + static_cast<std::uint32_t>(uniform_index(g, 5));
    l.speculation.acceptance = {uniform01(g), uniform01(g)};
    l.speculation.overhead = Duration(1000);
    l.speculation.seed = g();
    if (uniform_index(g, 2) == 1) l.speculation.draft = test_cost();
    l.max_batched_tokens += l.max_sequences * l.speculation.tokens;
  }
  return l;
}

// One sequence alone: prefill, then output - 1 decode iterations at growing context.
TEST(LlmEngine, OneSequenceTakesPrefillThenOneIterationPerToken) {
  EngineLimits l;
  l.kv_blocks = 1000;
  LlmEngine engine(test_cost(), l);
  const auto dates = drive(engine, {{Instant(5), {1, 100, 0, 4}}});
  models::IterationWork prefill;
  prefill.prefill_tokens = prefill.prefill_context = 100;
  prefill.prefill_attention = 100.0 * 50.0;
  prefill.logits = 1;
  const Instant first = Instant(5) + Duration(test_cost()->iteration_ns(prefill));
  EXPECT_EQ(dates.at(1).started, Instant(5));
  EXPECT_EQ(dates.at(1).first_token, first);
  Instant end = first;
  for (int i = 1; i <= 3; ++i) {
    models::IterationWork w;
    w.decode_sequences = w.logits = 1;
    w.decode_context = 100 + i;
    end += Duration(test_cost()->iteration_ns(w));
  }
  EXPECT_EQ(dates.at(1).completed, end);
  EXPECT_EQ(engine.counters().iterations, 4U);
  EXPECT_EQ(engine.free_blocks(), 1000);
}

// 100 tokens are in 7 blocks; 32 decode steps make them 132, in 9.
TEST(LlmEngine, KvUsageGrowsWithinASpan) {
  EngineLimits l;
  l.kv_blocks = 100;
  LlmEngine engine(test_cost(), l);
  EXPECT_EQ(engine.kv_usage(Instant(0)), 0);
  engine.enqueue({1, 100, 0, 33});
  std::vector<Admission> admitted;
  std::vector<Progress> progress;
  const Instant prompt = engine.begin(Instant(0), admitted);
  EXPECT_EQ(engine.kv_usage(Instant(1)), 0.07);
  engine.finish(progress);
  const Instant end = engine.begin(prompt, admitted);
  EXPECT_EQ(engine.kv_usage(prompt), 0.07);
  EXPECT_EQ(engine.kv_usage(prompt + Duration((end - prompt).ns() / 2)), 0.08);
  EXPECT_EQ(engine.kv_usage(end), 0.09);
  engine.finish(progress);
  EXPECT_EQ(engine.kv_usage(end), 0);
}

// The keys and values of 99 tokens come from elsewhere: the first step is a decode at context 100.
TEST(LlmEngine, AReceivedPromptDecodesAtOnce) {
  for (const Scheduling scheduling : every_scheduling) {
    EngineLimits l;
    l.scheduling = scheduling;
    l.kv_blocks = 20;
    LlmEngine engine(test_cost(), l);
    EngineRequest r{1, 100, 0, 2};
    r.received = 99;
    engine.enqueue(r);
    std::vector<Admission> admitted;
    models::IterationWork w;
    w.decode_sequences = w.logits = 1;
    w.decode_context = 100;
    EXPECT_EQ(engine.begin(Instant(0), admitted), Instant(test_cost()->iteration_ns(w)));
    EXPECT_EQ(engine.free_blocks(), 13);
  }
}

// 10 blocks: the second request waits until the first one's five have been fetched.
TEST(LlmEngine, HeldBlocksStayUntilTheyAreReleased) {
  EngineLimits l;
  l.kv_blocks = 10;
  l.reserve_prompt = true;
  LlmEngine engine(test_cost(), l);
  EngineRequest first{1, 80, 0, 1}, second{2, 96, 0, 1};
  first.hold = true;
  engine.enqueue(first);
  std::vector<Admission> admitted;
  std::vector<Progress> progress;
  const Instant end = engine.begin(Instant(0), admitted);
  engine.finish(progress);
  EXPECT_EQ(engine.free_blocks(), 5);
  EXPECT_EQ(engine.running(), 0U);
  engine.enqueue(second);
  EXPECT_TRUE(engine.begin(end, admitted).is_never());
  EXPECT_FALSE(engine.busy());
  EXPECT_FALSE(engine.release(2));
  EXPECT_TRUE(engine.release(1));
  EXPECT_FALSE(engine.release(1));
  EXPECT_FALSE(engine.begin(end, admitted).is_never());
  EXPECT_EQ(engine.free_blocks(), 4);
}

// The promise of the leap: the same dates as single steps, to the nanosecond.
class LlmEngineScheduling : public ::testing::TestWithParam<Scheduling> {};

TEST_P(LlmEngineScheduling, LeapsAndStepsGiveTheSameDates) {
  Rng g(4242);
  std::uint64_t preemptions = 0, cached = 0, fetched = 0, swapped = 0, accepted = 0, completed = 0;
  for (int trial = 0; trial < 3000; ++trial) {
    EngineLimits limits = random_limits(g, GetParam());
    const auto arrivals = random_requests(g(), 60, 0.02 * uniform01(g), 400, 80);
    std::vector<Cancellation> cancellations;
    if (trial % 3 == 0)
      for (const auto& a : arrivals)
        if (uniform01(g) < 0.2)
          cancellations.push_back(
              {a.at + Duration::from_seconds(sample_exponential(g, 0.3)), a.request.tag});
    std::sort(cancellations.begin(), cancellations.end(),
              [](const auto& a, const auto& b) { return a.at < b.at; });
    limits.leap = true;
    LlmEngine leaping(test_cost(), limits);
    const auto with = drive(leaping, arrivals, cancellations);
    limits.leap = false;
    LlmEngine stepping(test_cost(), limits);
    const auto without = drive(stepping, arrivals, cancellations);
    ASSERT_TRUE(with == without) << "trial " << trial;
    ASSERT_EQ(leaping.counters().iterations, stepping.counters().iterations);
    ASSERT_EQ(leaping.counters().sequence_steps, stepping.counters().sequence_steps);
    ASSERT_EQ(leaping.counters().preemptions, stepping.counters().preemptions);
    ASSERT_EQ(leaping.counters().cached_tokens, stepping.counters().cached_tokens);
    ASSERT_EQ(leaping.counters().fetched_tokens, stepping.counters().fetched_tokens);
    ASSERT_EQ(leaping.counters().adapter_loads, stepping.counters().adapter_loads);
    ASSERT_EQ(leaping.counters().swapped_tokens, stepping.counters().swapped_tokens);
    // Every block comes back.
    ASSERT_EQ(leaping.free_blocks(), limits.kv_blocks);
    ASSERT_EQ(stepping.free_blocks(), limits.kv_blocks);
    ASSERT_EQ(leaping.host_blocks_used(), 0);
    ASSERT_EQ(leaping.running(), 0U);
    preemptions += leaping.counters().preemptions;
    cached += leaping.counters().cached_tokens;
    fetched += leaping.counters().fetched_tokens;
    accepted += leaping.counters().accepted_tokens;
    swapped += leaping.counters().swapped_tokens;
    completed += with.size();
  }
  // The workloads do exercise preemption and swapping, where there is any, and the prefix cache.
  const bool reserves =
      GetParam() == Scheduling::orca || GetParam() == Scheduling::static_batch;
  EXPECT_EQ(preemptions > 500, !reserves) << preemptions;
  EXPECT_EQ(swapped > 5000, !reserves) << swapped;
  EXPECT_GT(cached, 10'000U);
  EXPECT_GT(fetched, 2'000U);
  EXPECT_GT(accepted, 10'000U);
  EXPECT_GT(completed, 5000U);
}

// Two prompts, the decodes of both, and those of the longer one.
TEST_P(LlmEngineScheduling, DecodeStretchesAreOneSpan) {
  EngineLimits limits;
  limits.scheduling = GetParam();
  limits.kv_blocks = 1000;
  LlmEngine engine(test_cost(), limits);
  engine.enqueue({1, 50, 0, 10});
  engine.enqueue({2, 50, 0, 100});
  std::vector<Admission> admitted;
  std::vector<Progress> progress;
  int spans = 0;
  for (Instant now; engine.has_work(); ++spans) {
    now = engine.begin(now, admitted);
    engine.finish(progress);
  }
  EXPECT_EQ(spans, 3);
  EXPECT_EQ(engine.counters().iterations, 100U);
}

// Causality and completeness on the same kind of workload.
TEST_P(LlmEngineScheduling, EverySequenceThatFitsCompletesInOrderOfItsStages) {
  Rng g(7);
  for (int trial = 0; trial < 50; ++trial) {
    const EngineLimits limits = random_limits(g, GetParam());
    const auto arrivals = random_requests(g(), 80, 0.01, 300, 60);
    LlmEngine engine(test_cost(), limits);
    const auto dates = drive(engine, arrivals);
    for (const auto& a : arrivals) {
      if (!engine.fits(a.request)) {
        EXPECT_EQ(dates.count(a.request.tag), 0U);
        continue;
      }
      const Dates& d = dates.at(a.request.tag);
      EXPECT_GE(d.started, a.at);
      EXPECT_GT(d.first_token, d.started);
      EXPECT_GE(d.completed, d.first_token);
      // Requests of a static batch wait for its last one.
      if (GetParam() != Scheduling::static_batch) {
        EXPECT_EQ(a.request.output <= 1, d.completed == d.first_token);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Every, LlmEngineScheduling, ::testing::ValuesIn(every_scheduling));

// First come, first served: nobody starts before an earlier arrival.
TEST(LlmEngine, StartsInOrderOfArrival) {
  EngineLimits limits;
  limits.max_sequences = 4;
  limits.max_batched_tokens = 256;
  limits.kv_blocks = 4000;
  LlmEngine engine(test_cost(), limits);
  const auto arrivals = random_requests(3, 200, 0.005, 300, 40);
  const auto dates = drive(engine, arrivals);
  Instant last;
  for (const auto& a : arrivals) {
    EXPECT_GE(dates.at(a.request.tag).started, last);
    last = dates.at(a.request.tag).started;
  }
}

// A prompt beyond the token budget is cut; decodes of others go on meanwhile.
TEST(LlmEngine, LongPromptsAreCutByTheTokenBudget) {
  EngineLimits limits;
  limits.max_sequences = 8;
  limits.max_batched_tokens = 100;
  limits.kv_blocks = 1000;
  LlmEngine engine(test_cost(), limits);
  drive(engine, {{Instant(0), {1, 350, 0, 1}}});
  EXPECT_EQ(engine.counters().iterations, 4U);  // 100 + 100 + 100 + 50
}

TEST(LlmEngine, RefusesWhatCanNeverFit) {
  EngineLimits limits;
  limits.kv_blocks = 10;
  limits.block_size = 16;
  LlmEngine engine(test_cost(), limits);
  EXPECT_TRUE(engine.fits({1, 160, 0, 1}));
  EXPECT_FALSE(engine.fits({1, 160, 0, 2}));  // the second token needs one more slot
  limits.chunked_prefill = false;
  limits.max_batched_tokens = 100;
  LlmEngine whole(test_cost(), limits);
  EXPECT_FALSE(whole.fits({1, 101, 0, 1}));
}

TEST(LlmEngine, PrefixCachingNeedsWholePromptsToFit) {
  EngineLimits l;
  l.kv_blocks = 10;
  l.prefix_caching = true;
  EXPECT_THROW(LlmEngine(test_cost(), l), InputError);
}

TEST(LlmEngine, RefusesContradictoryLimits) {
  EngineLimits limits;
  limits.kv_blocks = 0;
  EXPECT_THROW(LlmEngine(test_cost(), limits), InputError);
  limits.kv_blocks = 10;
  limits.max_batched_tokens = 10;
  limits.max_sequences = 11;
  EXPECT_THROW(LlmEngine(test_cost(), limits), InputError);
}

TEST(LlmEngine, ClearLosesEverythingAndFreesTheCache) {
  EngineLimits limits;
  limits.kv_blocks = 100;
  limits.max_sequences = 2;
  LlmEngine engine(test_cost(), limits);
  for (std::uint64_t tag = 1; tag <= 3; ++tag) engine.enqueue({tag, 50, 0, 5});
  std::vector<Admission> admitted;
  engine.begin(Instant(0), admitted);
  EXPECT_EQ(admitted.size(), 2U);
  std::vector<std::uint64_t> lost;
  engine.clear(lost);
  EXPECT_EQ(lost, (std::vector<std::uint64_t>{1, 2, 3}));
  EXPECT_FALSE(engine.has_work());
  EXPECT_EQ(engine.free_blocks(), 100);
}

models::IterationWork prompt_work(std::int64_t tokens, std::int64_t before = 0) {
  models::IterationWork w;
  w.prefill_tokens = tokens;
  w.prefill_context = before + tokens;
  w.prefill_attention =
      static_cast<double>(tokens) * (static_cast<double>(before) + static_cast<double>(tokens) / 2);
  w.logits = 1;
  return w;
}

Duration time_of(const models::IterationWork& w) { return Duration(test_cost()->iteration_ns(w)); }

// vLLM: of a prompt that is in the cache as a whole, the last token is computed anew.
TEST(LlmEngine, ACachedPromptComputesOnlyItsEnd) {
  EngineLimits l;
  l.kv_blocks = 100;
  l.reserve_prompt = l.prefix_caching = true;
  LlmEngine engine(test_cost(), l);
  const Instant later(1'000'000'000), last(2'000'000'000);
  const auto dates = drive(engine, {{Instant(0), {1, 47, 0, 1, {5, 6}}},
                                    {later, {2, 47, 0, 1, {5, 6}}},
                                    {last, {3, 32, 0, 1, {5, 6}}}});
  EXPECT_EQ(dates.at(1).completed, Instant(0) + time_of(prompt_work(47)));
  EXPECT_EQ(dates.at(2).completed, later + time_of(prompt_work(15, 32)));
  EXPECT_EQ(dates.at(3).completed, last + time_of(prompt_work(16, 16)));
  EXPECT_EQ(engine.counters().cached_tokens, 48U);
  EXPECT_EQ(engine.free_blocks(), 100);
}

// Blocks of a running sequence are shared, not copied.
TEST(LlmEngine, SequencesShareTheBlocksOfTheirPrefix) {
  EngineLimits l;
  l.kv_blocks = 6;
  l.reserve_prompt = l.prefix_caching = true;
  LlmEngine engine(test_cost(), l);
  engine.enqueue({1, 63, 0, 2, {5, 6, 7}});
  engine.enqueue({2, 63, 0, 2, {5, 6, 7}});
  std::vector<Admission> admitted;
  engine.begin(Instant(0), admitted);
  EXPECT_EQ(admitted.size(), 2U);
  EXPECT_EQ(engine.free_blocks(), 1);
}

// What a preempted sequence had computed stays in the cache until others take its blocks.
TEST(LlmEngine, APreemptedSequenceFindsItsBlocks) {
  EngineLimits l;
  l.kv_blocks = 8;
  l.reserve_prompt = true;
  const std::vector<TimedRequest> two{{Instant(0), {1, 60, 0, 40}}, {Instant(0), {2, 60, 0, 20}}};
  LlmEngine without(test_cost(), l);
  const auto slow = drive(without, two);
  l.prefix_caching = true;
  LlmEngine with(test_cost(), l);
  const auto fast = drive(with, two);
  EXPECT_EQ(without.counters().preemptions, 1U);
  EXPECT_EQ(with.counters().preemptions, 1U);
  // Four whole blocks, of which the first sequence took three: at 65, 81 and 97 tokens.
  EXPECT_EQ(without.counters().cached_tokens, 0U);
  EXPECT_EQ(with.counters().cached_tokens, 16U);
  EXPECT_LT(fast.at(2).completed, slow.at(2).completed);
}

TEST(LlmEngine, AReservedPromptWaitsUntilAllOfItFits) {
  EngineLimits l;
  l.kv_blocks = 12;
  l.max_batched_tokens = 96;
  const std::vector<TimedRequest> two{{Instant(0), {1, 80, 0, 3}}, {Instant(0), {2, 160, 0, 1}}};
  LlmEngine partly(test_cost(), l);
  EXPECT_EQ(drive(partly, two).at(2).started, Instant(0));
  l.reserve_prompt = true;
  LlmEngine whole(test_cost(), l);
  const auto dates = drive(whole, two);
  EXPECT_EQ(dates.at(2).started, dates.at(1).completed);
}

// Planned ahead: who arrives during an iteration joins the one after the next.
TEST(LlmEngine, AsynchronousPlansKnowOneIterationLess) {
  EngineLimits l;
  l.kv_blocks = 1000;
  const std::vector<TimedRequest> two{{Instant(0), {1, 100, 0, 10}}, {Instant(1), {2, 100, 0, 1}}};
  LlmEngine at_once(test_cost(), l);
  EXPECT_EQ(drive(at_once, two).at(2).started, Instant(0) + time_of(prompt_work(100)));
  l.async_scheduling = true;
  LlmEngine ahead(test_cost(), l);
  models::IterationWork decode;
  decode.decode_sequences = decode.logits = 1;
  decode.decode_context = 101;
  EXPECT_EQ(drive(ahead, two).at(2).started,
            Instant(0) + time_of(prompt_work(100)) + time_of(decode));
  // With nothing else to do the next request starts at once.
  LlmEngine idle(test_cost(), l);
  EXPECT_EQ(drive(idle, {{Instant(0), {1, 100, 0, 1}}, {Instant(1), {2, 100, 0, 1}}}).at(2).started,
            Instant(0) + time_of(prompt_work(100)));
}

// vLLM v0: a prompt runs alone, and decodes wait for it; a prompt is never cut.
TEST(LlmEngine, PrefillFirstStallsDecodes) {
  EngineLimits l;
  l.scheduling = Scheduling::prefill_first;
  l.kv_blocks = 1000;
  l.max_batched_tokens = 1000;
  LlmEngine engine(test_cost(), l);
  EXPECT_FALSE(engine.fits({1, 1001, 0, 1}));
  const auto dates = drive(engine, {{Instant(0), {1, 100, 0, 2}}, {Instant(1), {2, 900, 0, 1}}});
  models::IterationWork decode;
  decode.decode_sequences = decode.logits = 1;
  decode.decode_context = 101;
  const Instant first = Instant(0) + time_of(prompt_work(100));
  EXPECT_EQ(dates.at(1).first_token, first);
  EXPECT_EQ(dates.at(2).completed, first + time_of(prompt_work(900)));
  EXPECT_EQ(dates.at(1).completed, dates.at(2).completed + time_of(decode));
}

// Orca knows no token budget, and a sequence starts when all of its tokens have blocks.
TEST(LlmEngine, OrcaMixesWholePromptsAndReservesTheirOutput) {
  EngineLimits l;
  l.scheduling = Scheduling::orca;
  l.kv_blocks = 20;
  l.max_batched_tokens = 1;
  LlmEngine engine(test_cost(), l);
  engine.enqueue({1, 100, 0, 61});  // 10 blocks
  engine.enqueue({2, 100, 0, 29});  // 8
  engine.enqueue({3, 30, 0, 4});    // 3: one is missing
  std::vector<Admission> admitted;
  engine.begin(Instant(0), admitted);
  EXPECT_EQ(engine.scheduled(), (std::vector<Share>{{1, 100}, {2, 100}}));
  EXPECT_EQ(engine.free_blocks(), 2);
}

// Rows of ended sequences are computed until the batch ends; all complete then.
TEST(LlmEngine, AStaticBatchRunsUntilItsLongestSequenceEnds) {
  EngineLimits l;
  l.scheduling = Scheduling::static_batch;
  l.kv_blocks = 1000;
  l.max_sequences = 2;
  LlmEngine engine(test_cost(), l);
  const auto dates = drive(engine, {{Instant(0), {1, 10, 0, 1}},
                                    {Instant(0), {2, 10, 0, 3}},
                                    {Instant(0), {3, 10, 0, 1}}});
  models::IterationWork both = prompt_work(10);
  both.prefill_tokens = both.prefill_context = 20;
  both.prefill_attention *= 2;
  both.logits = 2;
  const Instant first = Instant(0) + time_of(both);
  models::IterationWork rows;
  rows.decode_sequences = rows.logits = 2;
  rows.decode_context = 11;
  Instant end = first + time_of(rows);
  rows.decode_context = 12;
  end += time_of(rows);
  EXPECT_EQ(dates.at(1).first_token, first);
  EXPECT_EQ(dates.at(1).completed, end);
  EXPECT_EQ(dates.at(2).completed, end);
  EXPECT_EQ(dates.at(3).started, end);
}

// The sequence comes back with all that it had computed, for the time of two copies.
TEST(LlmEngine, ASwappedSequenceDecodesOn) {
  EngineLimits l;
  l.kv_blocks = 8;
  const std::vector<TimedRequest> two{{Instant(0), {1, 60, 0, 40}}, {Instant(0), {2, 60, 0, 20}}};
  for (const Scheduling scheduling : {Scheduling::decode_first, Scheduling::prefill_first}) {
    l.scheduling = scheduling;
    l.swap_bandwidth = 10e9;
    l.host_blocks = 100;
    LlmEngine engine(test_cost(), l);
    const auto dates = drive(engine, two);
    EXPECT_EQ(engine.counters().preemptions, 1U);
    EXPECT_EQ(engine.counters().swapped_tokens, 64U);  // 60 of the prompt, 4 decoded
    models::IterationWork both = prompt_work(60);
    both.prefill_tokens = both.prefill_context = 120;
    both.prefill_attention *= 2;
    both.logits = 2;
    Instant end = Instant(0) + time_of(both);
    const Duration copy = Duration::from_seconds(4 * 16 * test_cost()->kv_bytes_per_token() / 10e9);
    const auto decode = [&](std::int64_t sequences, std::int64_t context) {
      models::IterationWork w;
      w.decode_sequences = w.logits = sequences;
      w.decode_context = context;
      return time_of(w);
    };
    for (int i = 1; i <= 4; ++i) end += decode(2, 2 * (60 + i));
    end += copy;  // out
    for (int i = 5; i <= 39; ++i) end += decode(1, 60 + i);
    EXPECT_EQ(dates.at(1).completed, end);
    end += copy;  // in
    for (int i = 5; i <= 19; ++i) end += decode(1, 60 + i);
    EXPECT_EQ(dates.at(2).completed, end);
    // Without room on the host it is computed again.
    l.host_blocks = 3;
    LlmEngine full(test_cost(), l);
    drive(full, two);
    EXPECT_EQ(full.counters().preemptions, 1U);
    EXPECT_EQ(full.counters().swapped_tokens, 0U);
  }
}

// vLLM v0: a prompt starts only when some blocks stay free beside it.
TEST(LlmEngine, TheWatermarkKeepsBlocksForDecodes) {
  EngineLimits l;
  l.kv_blocks = 12;
  l.watermark_blocks = 3;
  LlmEngine engine(test_cost(), l);
  engine.enqueue({1, 160, 0, 2});  // 10 blocks; alone it may have all
  engine.enqueue({2, 16, 0, 2});
  std::vector<Admission> admitted;
  engine.begin(Instant(0), admitted);
  EXPECT_EQ(engine.scheduled(), (std::vector<Share>{{1, 160}}));
  l.watermark_blocks = 12;
  EXPECT_THROW(LlmEngine(test_cost(), l), InputError);
}

TEST(LlmEngine, OnlyDecodeFirstPlansAhead) {
  EngineLimits l;
  l.kv_blocks = 10;
  l.async_scheduling = true;
  l.scheduling = Scheduling::prefill_first;
  EXPECT_THROW(LlmEngine(test_cost(), l), InputError);
}

// vLLM preempts the sequence admitted last; that is the cut prompt itself.
TEST(LlmEngine, ACutPromptWithoutBlocksGivesWay) {
  EngineLimits l;
  l.kv_blocks = 10;
  l.max_batched_tokens = 64;
  LlmEngine engine(test_cost(), l);
  const auto dates = drive(engine, {{Instant(0), {1, 60, 0, 60}}, {Instant(0), {2, 140, 0, 1}}});
  EXPECT_GE(engine.counters().preemptions, 1U);
  EXPECT_GT(dates.at(2).first_token, dates.at(1).completed);
  EXPECT_EQ(engine.free_blocks(), 10);
}

}  // namespace
}  // namespace isthmus::devices
