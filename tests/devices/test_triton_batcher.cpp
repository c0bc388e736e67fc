// Triton's dynamic batcher over the queue of a replica: its own tests, and schedules traced by hand.
#include <gtest/gtest.h>

#include <iostream>

#include "schedulers/dynamic_batcher.hpp"
#include "schedulers/registry.hpp"
#include "tests/devices/request_driver.hpp"
#include "tests/schedulers/truth.hpp"

namespace isthmus {
namespace {

using nlohmann::json;
using schedulers::WaitingRequest;
using testing::Fate;
using testing::Served;

Duration ms(double v) { return Duration::from_seconds(v * 1e-3); }
Instant at_ms(double v) { return Instant::from_seconds(v * 1e-3); }
std::function<Duration(std::uint32_t)> always(double v) {
  return [v](std::uint32_t) { return ms(v); };
}

schedulers::Parameters parameters(double max_batch, const std::vector<double>& preferred,
                                  double delay_ms) {
  schedulers::Parameters p(schedulers::find_entry(schedulers::batching_policies(), "dynamic").parameters);
  p.set("max_batch", max_batch);
  p.set("preferred", preferred);
  p.set("max_queue_delay", delay_ms * 1e-3);
  return p;
}

// Queues even where counting would do: the truth has requests of several inputs.
std::shared_ptr<schedulers::BatchingPolicy> queues(const schedulers::Parameters& p) {
  return schedulers::dynamic_queues(schedulers::DynamicBatcher(p));
}

WaitingRequest request(double since_ms, std::int32_t priority = 0, double timeout_ms = 0) {
  WaitingRequest r;
  r.since = at_ms(since_ms);
  r.priority = priority;
  r.timeout = ms(timeout_ms);
  return r;
}

using Tags = std::vector<std::uint64_t>;
std::vector<Tags> batches_of(const Served& s) {
  std::vector<Tags> all;
  for (const auto& b : s.batches) all.push_back(b.requests);
  return all;
}

// ---- cases of the truth ----------------------------------------------------------------------------

void run_case(const json& in, const json& expected) {
  const json& c = in.at("config");
  auto p = parameters(c.at("max_batch_size"), c.at("preferred_batch_size"), c.at("max_queue_delay_ms"));
  if (c.contains("timeout_action")) p.set("timeout_action", c.at("timeout_action") == "DELAY" ? "delay" : "reject");
  if (c.contains("default_timeout_ms"))
    p.set("default_timeout", c.at("default_timeout_ms").get<double>() * 1e-3);
  if (c.contains("allow_timeout_override"))
    p.set("allow_timeout_override", c.at("allow_timeout_override").get<bool>() ? 1 : 0);
  std::vector<WaitingRequest> requests;
  for (const json& r : in.at("requests")) {
    requests.push_back(request(r.at("t_ms"), 0, r.value("timeout_ms", 0.0)));
    requests.back().items = r.at("batch");
    requests.back().shape = r.value("shape", "A") == "A" ? 0 : 1;
  }
  const Served got = testing::serve(queues(p), c.at("instances"), requests, always(c.at("execute_ms")),
                                    expected.value("hold_scheduler_until_queued", 0U));

  std::vector<std::uint32_t> sizes;
  for (const auto& b : got.batches) sizes.push_back(b.items);
  EXPECT_EQ(sizes, expected.at("batches").get<std::vector<std::uint32_t>>());
  const json& bounds = expected.at("latency_bounds_ms");
  ASSERT_EQ(bounds.size(), got.fates.size());
  std::size_t rejected = 0;
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    const bool away = got.fates[i].what == Fate::What::rejected;
    rejected += away ? 1 : 0;
    EXPECT_EQ(away, bounds[i].is_null());
    if (away || bounds[i].is_null()) continue;
    const double latency = (got.fates[i].end - requests[i].since).seconds() * 1e3;
    EXPECT_GE(latency, bounds[i][0].get<double>());
    EXPECT_LE(latency, bounds[i][1].get<double>());
  }
  EXPECT_EQ(rejected, expected.value("rejected", 0U));
}

TEST(TritonBatcher, ItsOwnTestsPass) {
  ISTHMUS_NEED_TRUTH();
  int cases = 0, passed = 0;
  for (const json& c : testing::truth_cases("serving_schedulers")) {
    if (!c.at("model").get<std::string>().starts_with("Triton dynamic batcher")) continue;
    SCOPED_TRACE(c.at("id").get<std::string>());
    const int before = testing::failures_so_far();
    run_case(c.at("inputs"), c.at("expected"));
    ++cases;
    passed += testing::failures_so_far() == before ? 1 : 0;
  }
  std::cout << passed << " of " << cases << "  Triton dynamic batcher\n";
  EXPECT_GE(cases, 10);
}

// ---- traced by hand --------------------------------------------------------------------------------

TEST(TritonBatcher, QueuesWithoutRulesDecideAsCounting) {
  const auto p = parameters(8, {3, 6}, 4);
  const auto counting = schedulers::find_entry(schedulers::batching_policies(), "dynamic").make(p);
  EXPECT_FALSE(counting->wants_requests());
  const auto by_queue = queues(p);
  for (std::uint32_t n = 1; n < 20; ++n)
    for (double waited = 0; waited < 7; waited += 0.5) {
      schedulers::BatchingView view;
      view.now = at_ms(100);
      view.waiting = n;
      view.oldest = at_ms(100 - waited);
      const auto want = counting->decide(view);
      std::vector<WaitingRequest> requests(n, request(100));
      requests[0].since = view.oldest;
      view.requests = requests;
      const auto got = by_queue->decide(view);
      EXPECT_EQ(got.take, want.take) << n << " after " << waited;
      EXPECT_EQ(got.look_again, want.look_again) << n << " after " << waited;
    }
}

// Three levels, the second is the default. The slot is busy until 10 ms.
TEST(TritonBatcher, LevelsAreServedInOrder) {
  auto p = parameters(2, {}, 0);
  p.set("priority_levels", 3);
  p.set("default_priority_level", 2);
  const Served got = testing::serve(
      queues(p), 1,
      {request(0), request(1, -1), request(2), request(3, 1), request(4, 7), request(5, -9)}, always(10));
  EXPECT_EQ(batches_of(got), (std::vector<Tags>{{0}, {3, 4}, {2, 1}, {5}}));
}

// Those of a level before do not wait for company of their own level: the batch goes on with the next.
TEST(TritonBatcher, ABatchReachesOverLevelsAndItsOldestRequestCounts) {
  auto p = parameters(4, {4}, 10);
  p.set("priority_levels", 2);
  p.set("default_priority_level", 2);
  const Served got =
      testing::serve(queues(p), 1, {request(0), request(3, 1), request(5)}, always(1));
  // The one of 0 ms is due at 10 ms, though it stands behind the one of 3 ms.
  EXPECT_EQ(batches_of(got), (std::vector<Tags>{{1, 0, 2}}));
  EXPECT_EQ(got.batches[0].start, at_ms(10));
}

TEST(TritonBatcher, RejectsWhenTheTimeIsUpThoughEverySlotIsBusy) {
  auto p = parameters(1, {}, 0);
  p.set("default_timeout", 0.004);
  const Served got =
      testing::serve(queues(p), 1, {request(0), request(1), request(2), request(7)}, always(10));
  EXPECT_EQ(batches_of(got), (std::vector<Tags>{{0}, {3}}));
  EXPECT_EQ(got.fates[1].what, Fate::What::rejected);
  EXPECT_EQ(got.fates[1].end, at_ms(5));
  EXPECT_EQ(got.fates[2].end, at_ms(6));
}

// DELAY: behind the others of the level, before those of the next level, in the order met.
TEST(TritonBatcher, DelaysBehindTheOthersOfItsLevel) {
  auto p = parameters(1, {}, 0);
  p.set("timeout_action", "delay");
  p.set("default_timeout", 0.004);
  p.set("priority_levels", 2);
  p.set("default_priority_level", 2);
  const Served got = testing::serve(queues(p), 1,
                                    {request(0), request(1, 1), request(2, 1), request(7, 1),
                                     request(8), request(18, 1)},
                                    always(10));
  // At 10: 1 and 2 have waited too long, 3 goes. At 20: 5 goes before them, at 30 nobody is fresh.
  EXPECT_EQ(batches_of(got), (std::vector<Tags>{{0}, {3}, {5}, {1}, {2}, {4}}));
}

// Two that wait for company at a free slot: when the first moves back, the order changes, not the date
// by which the oldest of them goes.
TEST(TritonBatcher, MovesBackWhileItWaitsForTheDelay) {
  auto p = parameters(4, {4}, 10);
  p.set("timeout_action", "delay");
  p.set("default_timeout", 0.006);
  const Served got = testing::serve(queues(p), 1, {request(0), request(5)}, always(1));
  EXPECT_EQ(batches_of(got), (std::vector<Tags>{{1, 0}}));
  EXPECT_EQ(got.batches[0].start, at_ms(10));
}

TEST(TritonBatcher, ARequestMayAskForLessTimeNeverForMore) {
  auto p = parameters(1, {}, 0);
  p.set("default_timeout", 0.020);
  p.set("allow_timeout_override", 1);
  const std::vector<WaitingRequest> requests{request(0), request(1, 0, 3), request(1, 0, 500)};
  EXPECT_EQ(testing::serve(queues(p), 1, requests, always(40)).fates[1].end, at_ms(4));
  EXPECT_EQ(testing::serve(queues(p), 1, requests, always(40)).fates[2].end, at_ms(21));
  p.set("allow_timeout_override", 0);
  EXPECT_EQ(testing::serve(queues(p), 1, requests, always(40)).fates[1].end, at_ms(21));
}

TEST(TritonBatcher, QueuesOfLevelsFillUpAlone) {
  auto p = parameters(1, {}, 0);
  p.set("priority_levels", 2);
  p.set("default_priority_level", 2);
  p.set("level_queue_size", std::vector<double>{1, 2});
  const Served got = testing::serve(
      queues(p), 1,
      {request(0), request(1), request(1), request(1), request(2, 1), request(2, 1)}, always(10));
  EXPECT_EQ(got.fates[3].what, Fate::What::rejected);
  EXPECT_EQ(got.fates[5].what, Fate::What::rejected);
  EXPECT_EQ(batches_of(got), (std::vector<Tags>{{0}, {4}, {1}, {2}}));
}

TEST(TritonBatcher, LevelsHaveRulesOfTheirOwn) {
  auto p = parameters(1, {}, 0);
  p.set("priority_levels", 2);
  p.set("default_priority_level", 1);
  p.set("level_timeout", std::vector<double>{0, 0.003});
  p.set("level_delays", std::vector<double>{0, 0});
  const Served got = testing::serve(
      queues(p), 1, {request(0), request(1), request(1, -1)}, always(10));
  EXPECT_EQ(got.fates[1].what, Fate::What::served);
  EXPECT_EQ(got.fates[2].end, at_ms(4));
}

TEST(TritonBatcher, RefusesContradictions) {
  auto p = parameters(4, {}, 0);
  p.set("priority_levels", 2);
  EXPECT_THROW(schedulers::DynamicBatcher{p}, InputError);  // no default level
  p.set("default_priority_level", 3);
  EXPECT_THROW(schedulers::DynamicBatcher{p}, InputError);
  p.set("default_priority_level", 2);
  schedulers::DynamicBatcher{p};
  p.set("level_timeout", std::vector<double>{1});
  EXPECT_THROW(schedulers::DynamicBatcher{p}, InputError);
  auto q = parameters(4, {}, 0);
  q.set("default_priority_level", 1);
  EXPECT_THROW(schedulers::DynamicBatcher{q}, InputError);
}

// ---- a policy that breaks the contract -------------------------------------------------------------

struct Careless final : schedulers::BatchingPolicy {
  schedulers::BatchSelection selection;
  std::uint32_t take = 0;
  schedulers::BatchingDecision decide(const schedulers::BatchingView&) override {
    return {take, Instant::never(), &selection};
  }
  bool wants_requests() const override { return true; }
};

TEST(BatchServer, RefusesASelectionOfOthersThanThoseWhoWait) {
  const auto policy = std::make_shared<Careless>();
  devices::BatchServer s(1, 10, policy);
  s.enqueue(request(0));
  std::vector<std::uint64_t> batch;
  policy->selection.taken = {1};
  policy->take = 1;
  EXPECT_THROW(s.form_batch(at_ms(1), batch), Error);
  policy->selection.taken = {0, 0};
  policy->take = 2;
  EXPECT_THROW(s.form_batch(at_ms(1), batch), Error);
  policy->selection.taken = {0};
  EXPECT_THROW(s.form_batch(at_ms(1), batch), Error);  // counts wrongly
}

}  // namespace
}  // namespace isthmus
