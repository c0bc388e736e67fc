// Arrivals given one by one, the front end of a service, and requests seen as they end.
#include <gtest/gtest.h>

#include "sim/world/arrivals.hpp"
#include "tests/sim/world/small_worlds.hpp"

namespace isthmus::world {
namespace {

Instant at(double seconds) { return Instant::zero() + Duration::from_seconds(seconds); }

Scenario recorded(const std::vector<double>& dates, double service) {
  Scenario s = testing::queue_scenario(Distribution::constant(service), 1, 1000);
  s.warmup = Duration::zero();
  auto rows = std::make_shared<std::vector<Arrival>>();
  for (const double date : dates) {
    Arrival a;
    a.at = at(date);
    a.index = rows->size();
    a.prompt_tokens = static_cast<std::uint32_t>(100 + rows->size());
    rows->push_back(a);
  }
  s.workloads[0].arrivals.kind = ArrivalKind::recorded;
  s.workloads[0].arrivals.recorded = rows;
  return s;
}

std::vector<results::RequestRecord> records_of(const Scenario& s) {
  std::vector<results::RequestRecord> all;
  RunOptions o;
  o.on_request = [&](const results::RequestRecord& r) { all.push_back(r); };
  run(s, o);
  return all;
}

TEST(Recorded, EveryArrivalComesAsGiven) {
  const auto all = records_of(recorded({0, 0.5, 0.5, 7.25}, 0.25));
  ASSERT_EQ(all.size(), 4U);
  const double created[] = {0, 0.5, 0.5, 7.25}, done[] = {0.25, 0.75, 1.0, 7.5};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(all[i].created, at(created[i]));
    EXPECT_EQ(all[i].completed, at(done[i]));
    EXPECT_EQ(all[i].prompt_tokens, 100 + i);
  }
}

TEST(Recorded, LimitCutsThem) {
  Scenario s = recorded({0, 1, 2, 3}, 0.25);
  s.workloads[0].arrivals.limit = 2;
  EXPECT_EQ(records_of(s).size(), 2U);
}

// The front end delays everybody alike and occupies nothing: requests overlap in it.
TEST(RequestOverhead, DelaysWithoutOccupying) {
  Scenario s = recorded({0, 0.1, 5}, 0.25);
  s.services[0].request_overhead = Duration::from_seconds(1);
  const auto all = records_of(s);
  ASSERT_EQ(all.size(), 3U);
  const double started[] = {1, 1.25, 6}, done[] = {1.25, 1.5, 6.25};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(all[i].arrived, all[i].created);
    EXPECT_EQ(all[i].started, at(started[i]));
    EXPECT_EQ(all[i].completed, at(done[i]));
  }
}

TEST(RequestOverhead, DeadlinesReachIntoIt) {
  Scenario s = recorded({0, 3}, 0.25);
  s.services[0].request_overhead = Duration::from_seconds(1);
  s.workloads[0].request.deadline = Duration::from_seconds(0.5);
  const auto all = records_of(s);
  ASSERT_EQ(all.size(), 2U);
  for (const auto& r : all) {
    EXPECT_EQ(r.status, results::Status::failed);
    EXPECT_EQ(r.cause, results::Cause::cancelled);
  }
}

// A machine that fails meanwhile: the request finds nobody, or waits with its retries.
TEST(RequestOverhead, ReplicasMayGoMeanwhile) {
  Scenario s = recorded({0}, 0.25);
  s.services[0].request_overhead = Duration::from_seconds(1);
  Fault fault;
  fault.nodes = {0};
  fault.at = at(0.5);
  fault.lasts = Duration::from_seconds(2);
  s.faults.push_back(fault);
  auto all = records_of(s);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].cause, results::Cause::node_failed);
  s.workloads[0].request.retries = 3;
  s.faults[0].lasts = Duration::from_seconds(0.1);
  all = records_of(s);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].status, results::Status::completed);
  EXPECT_EQ(all[0].completed, at(1.25));
}

}  // namespace
}  // namespace isthmus::world
