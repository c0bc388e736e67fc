// Balancers that find out by themselves who is alive, in runs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sim/world/arrivals.hpp"
#include "tests/schedulers/truth.hpp"
#include "tests/sim/world/small_worlds.hpp"

namespace isthmus::world {
namespace {

using schedulers::HealthSpec;

Instant at(double seconds) { return Instant::from_seconds(seconds); }
Duration span(double seconds) { return Duration::from_seconds(seconds); }

void use_routing(Scenario& s, const char* name) {
  const auto& entry = schedulers::find_entry(schedulers::routing_policies(), name);
  s.services[0].routing = &entry;
  s.services[0].routing_parameters.emplace(entry.parameters);
}

// Requests at given dates on replicas that answer after `service` seconds.
Scenario balanced(const std::vector<double>& dates, double service, std::uint32_t replicas,
                  const HealthSpec& spec) {
  Scenario s = testing::queue_scenario(Distribution::constant(service), 1, 10000, 1, replicas);
  s.warmup = Duration::zero();
  auto rows = std::make_shared<std::vector<Arrival>>();
  for (const double date : dates) {
    Arrival a;
    a.at = at(date);
    a.index = rows->size();
    rows->push_back(a);
  }
  s.workloads[0].arrivals.kind = ArrivalKind::recorded;
  s.workloads[0].arrivals.recorded = rows;
  use_routing(s, "weighted-round-robin");
  s.services[0].health = std::make_shared<const HealthSpec>(spec);
  return s;
}

void fail(Scenario& s, std::uint32_t node, double from, double lasts) {
  Fault fault;
  fault.nodes = {node};
  fault.at = at(from);
  fault.lasts = span(lasts);
  s.faults.push_back(fault);
}

struct Seen {
  std::vector<results::RequestRecord> requests;
  results::Summary summary;
  std::vector<std::uint32_t> replicas() const {
    std::vector<std::uint32_t> out;
    for (const auto& r : requests) out.push_back(r.replica);
    return out;
  }
};

Seen see(const Scenario& s) {
  Seen seen;
  RunOptions o;
  o.on_request = [&](const results::RequestRecord& r) { seen.requests.push_back(r); };
  seen.summary = run(s, o);
  return seen;
}

std::vector<double> every_second(int n) {
  std::vector<double> dates;
  for (int i = 0; i < n; ++i) dates.push_back(i);
  return dates;
}

// truth/load_balancing.json: nginx with max_fails=1 fail_timeout=10s.
TEST(Balancing, NginxMaxFailsAsInTheReference) {
  ISTHMUS_NEED_TRUTH();
  int cases = 0;
  for (const auto& c : isthmus::testing::truth_cases("load_balancing")) {
    if (!c.at("inputs").contains("down")) continue;
    ++cases;
    HealthSpec spec;
    spec.others.max_fails = 1;
    spec.next_tries = 2;
    Scenario s = balanced(c.at("inputs").at("arrivals"), 0.01, 3, spec);
    fail(s, c.at("inputs").at("down").at("peer"), 0, c.at("inputs").at("down").at("until"));
    const Seen seen = see(s);
    std::vector<std::uint32_t> expected;
    std::uint64_t failures = 0;
    for (const auto& line : c.at("expected").at("log")) {
      expected.push_back(line.at("served_by"));
      failures += line.at("failed_attempts").size();
    }
    EXPECT_EQ(seen.replicas(), expected);
    ASSERT_TRUE(seen.summary.services[0].balancing);
    EXPECT_EQ(seen.summary.services[0].balancing->failures, failures);
    EXPECT_EQ(seen.summary.services[0].balancing->retries, failures);
    EXPECT_EQ(seen.summary.completed, expected.size());
  }
  EXPECT_EQ(cases, 1);
}

// Without further tries the client notices; a dead replica costs the time to find out.
TEST(Balancing, FailedTriesReachTheClient) {
  HealthSpec spec;
  spec.others.max_fails = 1;
  spec.connect_timeout = span(0.5);
  Scenario s = balanced(every_second(4), 0.01, 2, spec);
  fail(s, 1, 0, 100);
  Seen seen = see(s);
  ASSERT_EQ(seen.requests.size(), 4U);
  EXPECT_EQ(seen.summary.completed, 3U);
  EXPECT_EQ(seen.requests[1].cause, results::Cause::node_failed);
  spec.next_tries = 1;
  s.services[0].health = std::make_shared<const HealthSpec>(spec);
  seen = see(s);
  EXPECT_EQ(seen.summary.completed, 4U);
  EXPECT_EQ(seen.requests[1].completed, at(1.51));
  EXPECT_EQ(seen.requests[1].attempts, 1U);
}

// A balancer that knows at once never fails a request, and one without max_fails never learns.
TEST(Balancing, KnowingAndNotLearning) {
  HealthSpec spec;
  spec.knows_failures = true;
  Scenario s = balanced(every_second(10), 0.01, 2, spec);
  fail(s, 1, 0, 100);
  EXPECT_EQ(see(s).summary.services[0].balancing->failures, 0U);
  spec.knows_failures = false;
  s.services[0].health = std::make_shared<const HealthSpec>(spec);
  EXPECT_EQ(see(s).summary.services[0].balancing->failures, 5U);
}

TEST(Balancing, BackupsServeWhenNobodyElseDoes) {
  HealthSpec spec;
  spec.servers.resize(3);
  for (auto& server : spec.servers) server.max_fails = 1;
  spec.servers[2].backup = true;
  spec.next_tries = 3;
  Scenario s = balanced(every_second(14), 0.01, 3, spec);
  fail(s, 0, 1.5, 2);
  fail(s, 1, 1.5, 2);
  // 2: both fail, the backup serves; so until 12. At 13, more than 10 s later, both may be probed; their
  // effective weights are 0, and of the current ones the second's is the larger: it was tried alone.
  std::vector<std::uint32_t> expected{0, 1};
  expected.insert(expected.end(), 11, 2U);
  expected.push_back(1);
  EXPECT_EQ(see(s).replicas(), expected);
}

TEST(Balancing, TurnsAwayBeyondItsLimit) {
  HealthSpec spec;
  spec.max_requests = 2;
  Scenario s = balanced({0, 0, 0, 5}, 1, 4, spec);
  const Seen seen = see(s);
  EXPECT_EQ(seen.summary.completed, 3U);
  EXPECT_EQ(seen.summary.services[0].balancing->turned_away, 1U);
}

// Probes at 5, 10 and 15 find it dead; those at 25 and 30 find it back. In between nobody is sent there.
TEST(Balancing, ProbesFindOutWithoutRequests) {
  HealthSpec spec;
  spec.active = schedulers::ActiveCheckSpec{span(5), 3, 2};
  Scenario s = balanced({16, 17, 18, 19, 31, 32, 33}, 0.01, 2, spec);
  fail(s, 1, 1, 20);
  const Seen seen = see(s);
  EXPECT_EQ(seen.summary.services[0].balancing->failures, 0U);
  EXPECT_EQ(seen.summary.services[0].balancing->ejections, 1U);
  EXPECT_EQ(seen.summary.services[0].balancing->returns, 1U);
  const auto replicas = seen.replicas();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(replicas[static_cast<std::size_t>(i)], 0U);
  EXPECT_EQ(std::count(replicas.begin() + 4, replicas.end(), 1U), 1);
}

// Outlier ejection: the slow replica's queue overflows, which speaks against it.
TEST(Balancing, RejectionsEject) {
  HealthSpec spec;
  spec.outlier = schedulers::OutlierSpec{};
  spec.outlier->consecutive_errors = 2;
  Scenario s = balanced({0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 50}, 10, 2, spec);
  s.services[0].queue_capacity = 1;
  // 0 and 1 hold two requests each; then both refuse twice, and one of them is ejected.
  const Seen seen = see(s);
  EXPECT_EQ(seen.summary.services[0].balancing->ejections, 1U);
  EXPECT_EQ(seen.summary.services[0].balancing->returns, 1U);  // at the look at 40, seen at 50
  EXPECT_EQ(seen.summary.completed, 5U);
}

// Weights: of Poisson arrivals a third of the time within the slow start goes less to the newcomer.
TEST(Balancing, SlowStartSparesWhoCameBack) {
  HealthSpec spec;
  spec.slow_start = schedulers::SlowStartSpec{span(100), 1, 0};
  spec.others.max_fails = 1;
  spec.next_tries = 1;
  std::vector<double> dates;
  for (int i = 0; i < 1000; ++i) dates.push_back(200 + 0.1 * i);
  Scenario s = balanced(dates, 0.01, 2, spec);
  fail(s, 1, 100, 100);  // back at 200: its weight grows from 0 to 1 until 300
  const auto replicas = see(s).replicas();
  // Share of the newcomer at age t: t / (t + 1) with t from 0 to 1: 1 - ln 2 = 0.307.
  EXPECT_NEAR(static_cast<double>(std::count(replicas.begin(), replicas.end(), 1U)), 307, 3);
}

// Every balancer sees every try end: nothing is left open when clients give up in any stage.
TEST(Balancing, LimitsHoldWhenClientsGiveUp) {
  HealthSpec spec;
  spec.max_requests = 3;
  spec.others.max_fails = 1;
  spec.next_tries = 2;
  spec.connect_timeout = span(0.3);
  std::vector<double> dates;
  for (int i = 0; i < 3000; ++i) dates.push_back(0.1 * i);
  dates.push_back(400);
  dates.push_back(400);
  dates.push_back(400);
  Scenario s = balanced(dates, 0.5, 3, spec);
  s.workloads[0].request.deadline = span(0.7);
  s.workloads[0].request.attempt_timeout = span(0.6);
  s.workloads[0].request.retries = 2;
  s.workloads[0].request.retry_backoff = span(0.05);
  for (int i = 0; i < 20; ++i) fail(s, static_cast<std::uint32_t>(i % 3), 10 * i + 3.05, 5);
  const Seen seen = see(s);
  for (std::size_t i = seen.requests.size() - 3; i < seen.requests.size(); ++i)
    EXPECT_EQ(seen.requests[i].status, results::Status::completed);
  EXPECT_GT(seen.summary.services[0].balancing->turned_away, 0U);
  EXPECT_EQ(seen.summary.created, seen.requests.size());
}

// Two of four near machines are dead and probes know it: 140 x 2 / 4 = 70 % of the load stays near.
TEST(Balancing, LoadSpillsOverToTheOtherZone) {
  HealthSpec spec;
  spec.active = schedulers::ActiveCheckSpec{span(1), 1, 1};
  std::vector<double> dates;
  for (int i = 0; i < 20000; ++i) dates.push_back(10 + 0.01 * i);
  Scenario s = balanced(dates, 0.001, 4, spec);
  s.topology.zones.push_back({"other"});
  NodeGroup far = s.nodes[0];
  far.name = "far";
  far.first = 4;
  s.nodes.push_back(far);
  for (int i = 0; i < 4; ++i) s.topology.hosts.push_back({"far" + std::to_string(i), 1, {}});
  use_routing(s, "locality-priority");
  s.services[0].routing_parameters->set("priority", "given");
  spec.servers.resize(8);
  for (std::size_t i = 4; i < 8; ++i) spec.servers[i].priority = 1;
  Service front = s.services[0], near = s.services[0];
  front.health = std::make_shared<const HealthSpec>(spec);
  near.health = nullptr;
  near.front = 0;
  near.name = "s/near";
  Service away = near;
  away.name = "s/far";
  away.group = 1;
  front.replicas = front.min_replicas = front.max_replicas = 0;
  front.pools.emplace();
  front.pools->first = {1, 2};
  s.services = {front, near, away};
  fail(s, 0, 0, 1000);
  fail(s, 3, 0, 1000);
  const Seen seen = see(s);
  ASSERT_EQ(seen.summary.completed, dates.size());
  int by_replica[8] = {};
  for (const auto& r : seen.requests) ++by_replica[r.replica];
  EXPECT_EQ(by_replica[0] + by_replica[3], 0);  // each replica of a pool on a machine of its own
  EXPECT_NEAR((by_replica[1] + by_replica[2]) / 20000.0, 0.7, 0.01);
  EXPECT_EQ(seen.summary.services[0].balancing->failures, 0U);
}

// truth/load_balancing.json: half of the replicas are dead and nobody learns it, so each attempt of
// the client fails with probability one half.
TEST(BalancingTruth, RetriesMultiplyTheLoad) {
  ISTHMUS_NEED_TRUTH();
  int cases = 0;
  for (const auto& c : isthmus::testing::truth_cases("load_balancing")) {
    if (!c.at("inputs").contains("p_fail")) continue;
    ++cases;
    const double p = c.at("inputs").at("p_fail");
    ASSERT_EQ(p, 0.5);
    Scenario s = testing::queue_scenario(Distribution::constant(1e-6), 1000, 1000, 1, 4);
    s.warmup = Duration::zero();
    s.services[0].health = std::make_shared<const HealthSpec>();
    s.workloads[0].request.retries = c.at("inputs").at("max_retries");
    s.workloads[0].request.retry_backoff = span(1e-6);
    fail(s, 0, 0, 2000);
    fail(s, 2, 0, 2000);
    const auto r = run(s, {});
    const auto created = static_cast<double>(r.created);
    EXPECT_NEAR(static_cast<double>(r.completed) / created, c.at("expected").at("success"), 0.002);
    EXPECT_NEAR(static_cast<double>(r.services[0].balancing->tries) / created,
                c.at("expected").at("mean_attempts").get<double>(), 0.002);
  }
  EXPECT_EQ(cases, 1);
}

// truth/load_balancing.json: latencies of a service that is never busy, taken n at a time.
TEST(BalancingTruth, FanOutMeetsTheTail) {
  ISTHMUS_NEED_TRUTH();
  int cases = 0;
  for (const auto& c : isthmus::testing::truth_cases("load_balancing")) {
    if (!c.at("inputs").contains("leaf_quantile")) continue;
    ++cases;
    Distribution law;
    law.kind = DistributionKind::exponential;
    law.a = 1;
    const double limit = -std::log(1 - c.at("inputs").at("leaf_quantile").get<double>());
    const int n = c.at("inputs").at("n"), groups = n > 1000 ? 2000 : 200000;
    Rng draws = StreamKey(7, "fan-out").at(static_cast<std::uint64_t>(n), 0);
    int slow = 0;
    for (int g = 0; g < groups; ++g) {
      bool any = false;
      for (int i = 0; i < n; ++i) any = law.sample(draws) > limit || any;
      slow += any ? 1 : 0;
    }
    EXPECT_NEAR(slow / static_cast<double>(groups), c.at("expected").at("P").get<double>(), 0.003);
  }
  EXPECT_EQ(cases, 2);
}

}  // namespace
}  // namespace isthmus::world
