#include <gtest/gtest.h>

#include <functional>
#include <iostream>
#include <set>

#include "schedulers/registry.hpp"
#include "sim/core/random.hpp"
#include "tests/schedulers/batch_driver.hpp"
#include "tests/schedulers/truth.hpp"

namespace isthmus::schedulers {
namespace {

using nlohmann::json;
using testing::Batch;
using testing::run_batches;

Duration ms(double v) { return Duration::from_seconds(v * 1e-3); }

std::shared_ptr<BatchingPolicy> make(std::string_view name, double max_batch, double delay_s = -1,
                                     const std::vector<double>& preferred = {}) {
  const auto& e = find_entry(batching_policies(), name);
  Parameters p(e.parameters);
  p.set("max_batch", max_batch);
  if (delay_s >= 0) p.set("max_queue_delay", delay_s);
  if (!preferred.empty()) p.set("preferred", preferred);
  return e.make(p);
}

BatchingDecision decide(BatchingPolicy& policy, std::uint32_t waiting, double waited_ms) {
  BatchingView view;
  view.now = Instant::from_seconds(10);
  view.waiting = waiting;
  view.oldest = view.now - ms(waited_ms);
  return policy.decide(view);
}

TEST(NoBatching, TakesOne) {
  const auto& e = find_entry(batching_policies(), "none");
  EXPECT_EQ(decide(*e.make(Parameters(e.parameters)), 7, 0).take, 1u);
}

TEST(FixedBatching, WaitsForAFullBatch) {
  const auto policy = make("fixed", 4);
  EXPECT_EQ(decide(*policy, 3, 1e6).take, 0u);
  EXPECT_TRUE(decide(*policy, 3, 0).look_again.is_never());
  EXPECT_EQ(decide(*policy, 9, 0).take, 4u);
}

TEST(TimeoutBatching, LooksAgainWhenTheOldestIsDue) {
  const auto policy = make("timeout", 4, 0.005);
  const BatchingDecision early = decide(*policy, 3, 2);
  EXPECT_EQ(early.take, 0u);
  EXPECT_EQ(early.look_again, Instant::from_seconds(10.003));
  EXPECT_EQ(decide(*policy, 3, 5).take, 3u);
  EXPECT_EQ(decide(*policy, 4, 0).take, 4u);
  EXPECT_EQ(decide(*policy, 6, 9).take, 4u);
}

TEST(GreedyBatching, NeverWaits) {
  const auto policy = make("greedy", 4);
  EXPECT_EQ(decide(*policy, 1, 0).take, 1u);
  EXPECT_EQ(decide(*policy, 9, 0).take, 4u);
}

TEST(DynamicBatching, FormsTheLargestPreferredSize) {
  const auto policy = make("dynamic", 8, 0.01, {6, 2});  // any order
  EXPECT_EQ(decide(*policy, 2, 0).take, 2u);
  EXPECT_EQ(decide(*policy, 5, 0).take, 2u);
  EXPECT_EQ(decide(*policy, 7, 0).take, 6u);
  EXPECT_EQ(decide(*policy, 20, 0).take, 6u);
}

TEST(DynamicBatching, WaitsForThePreferredSizeAtMostTheDelay) {
  const auto policy = make("dynamic", 8, 0.01, {4, 6});
  EXPECT_EQ(decide(*policy, 3, 4).take, 0u);
  EXPECT_EQ(decide(*policy, 3, 4).look_again, Instant::from_seconds(10.006));
  EXPECT_EQ(decide(*policy, 3, 10).take, 3u);
  // Once the oldest is overdue, everything that fits goes, preferred or not.
  EXPECT_EQ(decide(*policy, 5, 10).take, 5u);
  EXPECT_EQ(decide(*policy, 20, 10).take, 8u);
}

TEST(DynamicBatching, WithoutDelaySendsTheRemainderAtOnce) {
  const auto policy = make("dynamic", 8, 0, {4, 6});
  EXPECT_EQ(decide(*policy, 7, 0).take, 6u);
  EXPECT_EQ(decide(*policy, 1, 0).take, 1u);
}

TEST(DynamicBatching, PrefersMaxBatchWhenNothingIsListed) {
  const auto policy = make("dynamic", 8, 0.01);
  EXPECT_EQ(decide(*policy, 7, 0).take, 0u);
  EXPECT_EQ(decide(*policy, 9, 0).take, 8u);
}

TEST(DynamicBatching, RejectsAPreferredSizeAboveTheMaximum) {
  EXPECT_THROW(make("dynamic", 4, 0, {8}), InputError);
}

TEST(AdaptiveBatching, GrowsByFullBatchesInTimeAndShrinksByLateOnes) {
  const auto& e = find_entry(batching_policies(), "adaptive");
  Parameters p(e.parameters);
  p.set("slo", 0.010);
  p.set("increase", 2);
  p.set("decrease", 0.5);
  p.set("max_batch", 6);
  const auto policy = e.make(p);
  EXPECT_EQ(decide(*policy, 9, 0).take, 1u);
  policy->observe({1, ms(4)});  // 3
  EXPECT_EQ(decide(*policy, 9, 0).take, 3u);
  policy->observe({2, ms(4)});  // says nothing about 3
  EXPECT_EQ(decide(*policy, 9, 0).take, 3u);
  policy->observe({3, ms(10)});  // 5, the objective is met
  policy->observe({5, ms(9)});   // 6, no more
  EXPECT_EQ(decide(*policy, 9, 0).take, 6u);
  policy->observe({4, ms(10.001)});  // 3, late however small
  EXPECT_EQ(decide(*policy, 9, 0).take, 3u);
  for (int i = 0; i < 9; ++i) policy->observe({1, ms(99)});
  EXPECT_EQ(decide(*policy, 9, 0).take, 1u);
}

TEST(AdaptiveBatching, SettlesAroundTheBatchThatTakesAsLongAsTheObjective) {
  const auto& e = find_entry(batching_policies(), "adaptive");
  Parameters p(e.parameters);
  p.set("slo", 0.020);
  const auto policy = e.make(p);
  // 2 ms + 0.5 ms per request: 36 requests take 20 ms.
  double sum = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::uint32_t take = decide(*policy, 1000, 0).take;
    policy->observe({take, ms(2 + 0.5 * take)});
    EXPECT_LE(take, 37u);
    if (i >= 1000) sum += take;
  }
  EXPECT_NEAR(sum / 1000, 35, 1.5);  // from 37 back to 33 and up again
}

struct Deadlines {
  std::vector<WaitingRequest> requests;
  BatchingView view;
  std::function<Duration(std::uint32_t)> batch_time = [](std::uint32_t size) { return ms(2 + 1.0 * size); };
  // At 100 ms, with deadlines in so many ms from then.
  explicit Deadlines(const std::vector<double>& in_ms) {
    view.now = Instant::from_seconds(0.1);
    for (const double d : in_ms) {
      WaitingRequest r;
      r.since = Instant::from_seconds(0.09);
      r.due = view.now + ms(d);
      requests.push_back(r);
    }
    view.waiting = static_cast<std::uint32_t>(requests.size());
    view.requests = requests;
    view.batch_time = &batch_time;
  }
};

std::shared_ptr<BatchingPolicy> earliest_deadline(const std::function<void(Parameters&)>& set) {
  const auto& e = find_entry(batching_policies(), "earliest-deadline");
  Parameters p(e.parameters);
  set(p);
  return e.make(p);
}
using Places = std::vector<std::uint32_t>;

TEST(EarliestDeadline, TakesTheLargestBatchThatMeetsTheFirstDeadline) {
  const auto policy = earliest_deadline([](Parameters&) {});
  const Deadlines d({30, 5, 20, 9});  // a batch of b takes 2 + b ms
  const BatchingDecision got = policy->decide(d.view);
  EXPECT_EQ(got.selection->taken, (Places{1, 3, 2}));  // three take 5 ms, four would take 6
  EXPECT_TRUE(got.selection->dropped.empty());
}

TEST(EarliestDeadline, DropsWhoCannotBeInTimeOrServesThemLast) {
  const Deadlines d({2.9, 30, -4, 3});
  const auto drops = earliest_deadline([](Parameters&) {});
  const BatchingDecision got = drops->decide(d.view);
  EXPECT_EQ(got.selection->taken, (Places{3}));  // alone it takes 3 ms
  EXPECT_EQ(got.selection->dropped, (Places{0, 2}));
  const auto keeps = earliest_deadline([](Parameters& p) { p.set("late", "last"); });
  EXPECT_EQ(keeps->decide(d.view).selection->taken, (Places{3}));
  EXPECT_TRUE(keeps->decide(d.view).selection->dropped.empty());
  EXPECT_EQ(keeps->decide(Deadlines({1, 2}).view).selection->taken, (Places{0, 1}));
}

TEST(EarliestDeadline, SlackAndASloOfItsOwnTighten) {
  const Deadlines d({6, 30, 30, 30});
  EXPECT_EQ(earliest_deadline([](Parameters& p) { p.set("slack", 0.002); })->decide(d.view).take, 2u);
  // 14 ms after joining, which is 4 ms from now.
  EXPECT_EQ(earliest_deadline([](Parameters& p) { p.set("slo", 0.014); })->decide(d.view).take, 2u);
}

TEST(EarliestDeadline, LastMomentWaitsForAsLongAsALargerBatchWouldBeInTime) {
  const auto policy = earliest_deadline([](Parameters& p) {
    p.set("start", "last-moment");
    p.set("max_batch", 3);
  });
  const BatchingDecision waits = policy->decide(Deadlines({20, 50}).view);
  EXPECT_EQ(waits.take, 0u);
  EXPECT_EQ(waits.look_again, Instant::from_seconds(0.1 + 0.020 - 0.005));  // three take 5 ms
  EXPECT_EQ(policy->decide(Deadlines({5, 50}).view).take, 2u);
  EXPECT_EQ(policy->decide(Deadlines({20, 50, 60}).view).take, 3u);
}

TEST(EarliestDeadline, EarlyDropGivesWayToLargerBatches) {
  const auto policy = earliest_deadline([](Parameters& p) { p.set("least_batch", 4); });
  const BatchingDecision got = policy->decide(Deadlines({3.5, 4.5, 20, 20, 20, 20}).view);
  EXPECT_EQ(got.selection->dropped, (Places{0, 1}));
  EXPECT_EQ(got.selection->taken, (Places{2, 3, 4, 5}));
  // Nobody else waits: small batches are all there is.
  EXPECT_EQ(policy->decide(Deadlines({3.5}).view).take, 1u);
}

// --- truth --------------------------------------------------------------------------------

std::function<Instant()> dates(const json& list, double unit_s) {
  return [list, unit_s, i = std::size_t{0}]() mutable {
    return i < list.size() ? Instant::from_seconds(list[i++].get<double>() * unit_s)
                           : Instant::never();
  };
}

struct Trace {
  std::vector<Batch> batches;
  std::vector<double> latencies;  // s, in order of arrival
};

Trace run_trace(BatchingPolicy& policy, std::uint32_t slots,
                const std::function<Instant()>& arrivals,
                const std::function<Duration(std::uint32_t)>& execution,
                std::uint32_t hold_until = 0) {
  Trace trace;
  run_batches(
      policy, slots, arrivals, execution,
      [&](const Batch& b, const std::deque<Instant>& waiting) {
        trace.batches.push_back(b);
        for (std::uint32_t i = 0; i < b.size; ++i)
          trace.latencies.push_back((b.end - waiting[i]).seconds());
      },
      hold_until);
  return trace;
}

// Starts, sizes and ends of batches and latencies, in the file's unit of time.
void expect_trace(const Trace& got, const json& expected, const char* latencies, double unit_s) {
  ASSERT_EQ(got.batches.size(), expected.at("batches").size());
  for (std::size_t i = 0; i < got.batches.size(); ++i) {
    const json& want = expected.at("batches")[i];
    EXPECT_NEAR(got.batches[i].start.seconds(), want.at("start").get<double>() * unit_s, 2e-9);
    EXPECT_NEAR(got.batches[i].end.seconds(), want.at("end").get<double>() * unit_s, 2e-9);
    EXPECT_EQ(got.batches[i].size, want.at("size"));
    if (want.contains("thread")) {
      EXPECT_EQ(got.batches[i].slot, want.at("thread"));
    }
  }
  ASSERT_EQ(got.latencies.size(), expected.at(latencies).size());
  for (std::size_t i = 0; i < got.latencies.size(); ++i)
    EXPECT_NEAR(got.latencies[i], expected.at(latencies)[i].get<double>() * unit_s, 2e-9);
}

void greedy_trace(const json& in, const json& expected) {
  const double delay = in.at("max_queue_delay");
  const double most = in.at("max_batch");
  const auto policy = delay > 0 ? make("timeout", most, delay) : make("greedy", most);
  const double alpha = in.at("alpha"), tau0 = in.at("tau0");
  expect_trace(run_trace(*policy, 1, dates(in.at("arrivals"), 1),
                         [=](std::uint32_t b) { return Duration::from_seconds(alpha * b + tau0); }),
               expected, "latencies", 1);
}

void tf_serving(const json& in, const json& expected) {
  ASSERT_FALSE(testing::has(in, "allowed_batch_sizes"));  // padding belongs to the cost of a batch
  ASSERT_EQ(in.at("exec_ms"), "4+0.5*padded_size");
  const auto policy =
      make("timeout", in.at("max_batch_size"), in.at("batch_timeout_ms").get<double>() * 1e-3);
  expect_trace(run_trace(*policy, in.at("num_batch_threads"), dates(in.at("arrivals_ms"), 1e-3),
                         [](std::uint32_t b) { return ms(4 + 0.5 * b); }),
               expected, "latencies_ms", 1e-3);
}

void triton_preferred_only(const json& in, const json& expected) {
  const json& config = in.at("config");
  const auto policy =
      make("dynamic", config.at("max_batch_size"),
           config.at("max_queue_delay_ms").get<double>() * 1e-3, config.at("preferred_batch_size"));
  json arrivals = json::array();
  for (const json& r : in.at("requests")) {
    ASSERT_EQ(r.at("batch"), 1);
    arrivals.push_back(r.at("t_ms"));
  }
  const double execute = config.at("execute_ms");
  const Trace got = run_trace(
      *policy, config.at("instances"), dates(arrivals, 1e-3),
      [=](std::uint32_t) { return ms(execute); },
      expected.value("hold_scheduler_until_queued", 0U));
  std::vector<std::uint32_t> sizes;
  for (const Batch& b : got.batches) sizes.push_back(b.size);
  EXPECT_EQ(sizes, expected.at("batches").get<std::vector<std::uint32_t>>());
  for (std::size_t i = 0; i < got.latencies.size(); ++i) {
    EXPECT_GE(got.latencies[i] * 1e3, expected.at("latency_bounds_ms")[i][0].get<double>());
    EXPECT_LE(got.latencies[i] * 1e3, expected.at("latency_bounds_ms")[i][1].get<double>());
  }
}

// Means over a Poisson stream.
struct Means {
  double latency = 0;  // s
  double wait = 0;     // s, from arrival to start
  double batch = 0;    // requests per batch
  double utilization = 0;
  double per_batch_close = 0;  // s, from a batch's first arrival to its start
};

Means run_poisson(BatchingPolicy& policy, std::uint32_t slots, double rate, std::uint64_t requests,
                  const std::function<Duration(std::uint32_t)>& execution) {
  Rng g = StreamKey(11, "arrivals").sequence();
  std::uint64_t left = requests;
  double date = 0;
  Means m;
  double batches = 0, served = 0, busy = 0, span = 0;
  run_batches(
      policy, slots,
      [&] {
        if (left == 0) return Instant::never();
        --left;
        date += sample_exponential(g, 1 / rate);
        return Instant::from_seconds(date);
      },
      execution,
      [&](const Batch& b, const std::deque<Instant>& waiting) {
        for (std::uint32_t i = 0; i < b.size; ++i) {
          m.latency += (b.end - waiting[i]).seconds();
          m.wait += (b.start - waiting[i]).seconds();
        }
        m.per_batch_close += (b.start - waiting.front()).seconds();
        batches += 1;
        served += b.size;
        busy += (b.end - b.start).seconds();
        span = b.end.seconds();
      });
  m.latency /= served;
  m.wait /= served;
  m.per_batch_close /= batches;
  m.batch = served / batches;
  m.utilization = busy / span;
  return m;
}

void expect_relative(double got, const json& want, double tolerance, const char* what) {
  const double w = want.get<double>();
  EXPECT_NEAR(got, w, tolerance * std::abs(w)) << what;
}

constexpr std::uint64_t poisson_requests = 1'000'000;

// Waits of a busy queue are correlated over 1 / (1 - load)^2 services: the busiest cases need ten
// times the requests for the same 2 %.
std::uint64_t requests_for(double load) {
  return load < 0.85 ? poisson_requests : 10 * poisson_requests;
}

// The file's millisecond is a second here, which keeps nanoseconds fine.
Means run_linear(const json& in, double most, double load) {
  const double alpha = in.at("alpha"), tau0 = in.at("tau0");
  return run_poisson(*make("greedy", most), 1, in.at("rate"), requests_for(load),
                     [=](std::uint32_t b) { return Duration::from_seconds(alpha * b + tau0); });
}

void unlimited_batches(const json& in, const json& expected) {
  const Means got = run_linear(in, 4294967295.0, in.at("normalized_load"));
  expect_relative(got.latency, expected.at("W_exact"), 0.02, "W");
  expect_relative(got.wait, expected.at("Wq_exact"), 0.02, "Wq");
  expect_relative(got.batch, expected.at("mean_batch"), 0.02, "mean batch");
  expect_relative(got.utilization, expected.at("util"), 0.02, "utilization");
}

void capped_batches(const json& in, const json& expected) {
  const Means got = run_linear(in, in.at("max_batch"), in.at("load"));
  expect_relative(got.latency, expected.at("W"), 0.02, "W");
  expect_relative(got.batch, expected.at("mean_batch"), 0.02, "mean batch");
  expect_relative(got.utilization, expected.at("util"), 0.02, "utilization");
}

constexpr std::uint32_t unlimited_executors = 10'000;

void formation(const json& in, const json& expected) {
  const double service = in.at("service");
  const Means got =
      run_poisson(*make("fixed", in.at("batch")), unlimited_executors, in.at("rate"),
                  poisson_requests, [=](std::uint32_t) { return Duration::from_seconds(service); });
  expect_relative(got.wait, expected.at("mean_formation_wait"), 0.02, "formation wait");
  expect_relative(got.per_batch_close, expected.at("first_in_batch_wait"), 0.02, "first waits");
  expect_relative(got.latency, expected.at("W"), 0.02, "W");
}

void size_or_timeout(const json& in, const json& expected) {
  const Means got =
      run_poisson(*make("timeout", in.at("max_batch"), in.at("max_queue_delay").get<double>()),
                  unlimited_executors, in.at("rate"), poisson_requests,
                  [](std::uint32_t) { return Duration(1); });
  expect_relative(got.batch, expected.at("mean_batch"), 0.02, "mean batch");
  expect_relative(got.per_batch_close, expected.at("mean_close_delay"), 0.02, "close delay");
  expect_relative(got.wait, expected.at("mean_formation_wait"), 0.02, "formation wait");
}

using Handler = std::function<void(const json&, const json&)>;

// Runs what is handled, prints how many pass per model, fails on a model that is nowhere named.
int run_cases(const std::string& file, const std::map<std::string, Handler>& handlers,
              const std::set<std::string>& uncovered) {
  const json cases = testing::truth_cases(file);
  std::map<std::string, int> passed;
  for (const json& c : cases) {
    const std::string model = c.at("model");
    SCOPED_TRACE(c.at("id").get<std::string>());
    const auto handler = handlers.find(model);
    if (handler == handlers.end()) {
      EXPECT_TRUE(uncovered.contains(model)) << "neither covered nor listed: " << model;
      continue;
    }
    const int before = testing::failures_so_far();
    handler->second(c.at("inputs"), c.at("expected"));
    if (testing::failures_so_far() == before) ++passed[model];
  }
  int covered = 0;
  for (const auto& [model, n] : testing::cases_per_model(cases)) {
    const bool handled = handlers.contains(model);
    std::cout << (handled ? std::to_string(passed[model]) : "-") << " of " << n << "  " << model
              << "\n";
    if (handled) covered += n;
  }
  return covered;
}

TEST(BatchingTruth, QueueingCasesPass) {
  ISTHMUS_NEED_TRUTH();
  const std::map<std::string, Handler> handlers{
      {"Deterministic trace through greedy dynamic batcher (1 executor)", greedy_trace},
      {"Dynamic batching, unlimited batch size", unlimited_batches},
      {"Dynamic batching with max batch size (greedy, no delay)", capped_batches},
      {"Batch formation delay: wait until b requests present (no timeout), unlimited executors, "
       "service time s",
       formation},
      {"Batcher closes a batch at size b or T after its first request; unlimited executors (so "
       "next "
       "batch starts forming immediately)",
       size_or_timeout},
  };
  // Iteration-level batching is the LLM engine's: tests/devices/test_serving_truth.cpp runs it.
  const std::set<std::string> uncovered{
      "Continuous batching, decode-only: iteration time b+a*n, geometric output length (mean m), "
      "max "
      "running nmax, FCFS waiting; Markov (continuous-time) limit",
      "Deterministic continuous-batching trace (decode-only, iteration-level admission)",
  };
  EXPECT_GE(run_cases("batch_queue", handlers, uncovered), 43);
}

TEST(BatchingTruth, ServingSchedulerCasesPass) {
  ISTHMUS_NEED_TRUTH();
  const std::map<std::string, Handler> handlers{
      {"Triton dynamic batcher: preferred [4,6], no delay: largest preferred then remainder at "
       "once",
       triton_preferred_only},
      {"TF-Serving BasicBatchScheduler: batch runs at max_batch_size or batch_timeout after first "
       "task; padding to allowed_batch_sizes",
       tf_serving},
  };
  const std::set<std::string> uncovered{
      // Requests of several inputs, shapes and timeouts: tests/devices/test_triton_batcher.cpp runs them.
      "Triton dynamic batcher: between preferred sizes waits full delay",
      "Triton dynamic batcher: shape change closes the pending batch immediately",
      "Triton dynamic batcher: third request of another shape flushes first two (4), then waits "
      "alone",
      "Triton dynamic batcher: fourth makes 6 with third -> immediate",
      "Triton dynamic batcher: 3 then 4: 3 is flushed when 4 arrives (3+4 > max preferred 6), 4 "
      "alone waits",
      "Triton dynamic batcher: per-request timeout 100 ms < default 1000 ms honoured",
      "Triton dynamic batcher: per-request timeout 10 s > default ignored: others released only "
      "when "
      "the first is rejected at 1000 ms",
      // The LLM engine's: tests/devices/test_serving_truth.cpp runs them.
      "vLLM V1 step trace with iteration time 10 ms + 50 us per scheduled token",
      "KV-cache capacity arithmetic (no activation reserve)",
      "10 short prompts all scheduled in the first step, FCFS order",
      "No skipping: a long request that does not fit blocks later short ones (chunked off); "
      "chunked "
      "on fills the budget",
      "500-token prompt, budget 256: 256, 244, then decode 1",
      "two 200-token prompts, budget 200: only the first in step 1",
      "decodes are budgeted before prefill chunks (Sarathi-style stall-free): budget 50 -> dec 1 + "
      "chunk 49, then 1+31, then 1+1",
      "KV pressure: 10 usable blocks of 16, two 80-token prompts (5 blocks each) admitted in "
      "overlapping steps; next decode of request 0 needs a 6th block -> request 1 (last in "
      "running) "
      "preempted, its KV freed, recomputed later",
      "Block-hash prefix cache, 16-token blocks, 10 usable blocks",
      "Prefix caching off: no hits; allocation fails when blocks run out",
      "Identical prompt resubmitted: hit is capped at num_tokens-1 so at least one token is "
      "computed",
      "Request-level (static) vs iteration-level batching, max batch 4, iteration 20 ms + 1 ms/seq",
  };
  EXPECT_GE(run_cases("serving_schedulers", handlers, uncovered), 6);
}

}  // namespace
}  // namespace isthmus::schedulers
