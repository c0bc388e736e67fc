// Primaries and standbys: dates, lost writes and recovery by hand, on both network backends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using results::RequestRecord;
using testing::first_problem;
using testing::load_json;
using ::testing::DoubleNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;

// Two database machines in zones a and b, 5 ms apart; clients are 1 ms from either. Work takes 10 ms. The machine of
// the primary fails at 100.05 s.
json station(const json& failover, const json& times) {
  const auto link = [](const char* latency) { return json{{"bandwidth", "8 Gbps"}, {"latency", latency}}; };
  json f = {{"service", "db"}};
  f.update(failover);
  return {{"isthmus", 1},
          {"name", "t"},
          {"duration", "400 s"},
          {"nodes", {{"app", {{"zone", "c"}}}, {"db", {{"count", 2}, {"zone", json::array({"a", "b"})}}}}},
          {"network",
           {{"model", "fluid"},
            {"links", {{"ca", link("1 ms")}, {"cb", link("1 ms")}, {"ab", link("5 ms")}}},
            {"routes", json::array({{{"from", "c"}, {"to", "a"}, {"links", json::array({"ca"})}},
                                    {{"from", "c"}, {"to", "b"}, {"links", json::array({"cb"})}},
                                    {{"from", "a"}, {"to", "b"}, {"links", json::array({"ab"})}}})}}},
          {"services", {{"db", {{"service_time", "10 ms"}, {"on", "db"}, {"local", false}, {"replicas", 2}, {"slots", 100}}}}},
          {"workload", json::array({{{"name", "w"}, {"source", "times"}, {"times", times}, {"target", "db"}, {"clients", {{"on", "app"}}}}})},
          {"failover", {{"f", f}}},
          {"faults", json::array({{{"node", "db"}, {"index", 0}, {"at", "100.05 s"}}})}};
}

const json writes = json::array({"99.5 s", "99.9 s", "100.02 s", "100.03 s", "110 s", "200 s"});

std::vector<double> latencies(const json& s, results::Summary& summary) {
  std::vector<RequestRecord> all;
  world::RunOptions options;
  if (s.at("network").at("model") == "fluid")  // SimGrid runs in a process of its own
    options.on_request = [&](const RequestRecord& r) { all.push_back(r); };
  summary = world::run(*load_json(s).scenario, options);
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.request < b.request; });
  std::vector<double> out;
  for (const RequestRecord& r : all)
    out.push_back(r.status == results::Status::completed ? (r.completed - r.created).seconds() : -1);
  return out;
}

// Probes miss the primary at 105, 110 and 115 s; promotion takes until 125 s. The request of 110 s waits.
constexpr double waited = 15.012;

TEST(Failover, AsynchronousBatchesLoseWhatWasNotSent) {
  for (const char* network : {"fluid", "simgrid"}) {
    json s = station({{"replication", "asynchronous"}, {"batch_interval", "2 s"}, {"record", "0 B"}}, writes);
    s["network"]["model"] = network;
    results::Summary r;
    const std::vector<double> want{0.012, 0.012, 0.012, 0.012, waited, 0.012};
    const auto got = latencies(s, r);
    if (network == std::string("fluid")) {
      EXPECT_THAT(got, Pointwise(DoubleNear(1e-6), want));
    }
    EXPECT_NEAR(r.value("latency.mean"), (5 * 0.012 + waited) / 6, 1e-6) << network;
    EXPECT_EQ(r.value("failovers.f"), 1);
    EXPECT_NEAR(r.value("rto.f"), 24.95, 1e-6);
    EXPECT_EQ(r.value("writes.f"), 6);
    EXPECT_EQ(r.value("writes_lost.f"), 2);                // those of 100.02 s and 100.03 s
    EXPECT_NEAR(r.value("rpo.f"), 100.05 - 100.031, 1e-6);
    EXPECT_NEAR(r.value("service_availability.db"), 1 - 24.95 / 400, 1e-9);
    EXPECT_NEAR(r.value("primary_downtime.f"), 24.95, 1e-6);
    // At 100 s two writes that are 489 and 89 ms old, and their way.
    EXPECT_NEAR(r.value("replication_lag.f.max"), 0.489 + 0.005, 1e-6);
  }
}

TEST(Failover, AsynchronousWritesTravelAtOnce) {
  json s = station({{"replication", "asynchronous"}, {"record", "0 B"}}, writes);
  results::Summary r;
  latencies(s, r);
  EXPECT_EQ(r.value("writes_lost.f"), 0);
  EXPECT_EQ(r.value("rpo.f"), 0);
  EXPECT_NEAR(r.value("replication_lag.f.mean"), 0.005, 1e-6);
  s["faults"][0]["at"] = "100.044 s";  // 3 ms after the last answer, 2 ms before the standby has it
  latencies(s, r);
  EXPECT_EQ(r.value("writes_lost.f"), 1);
  EXPECT_NEAR(r.value("rpo.f"), 0.003, 1e-6);
}

TEST(Failover, SynchronousWritesPayTheRoundTripAndLoseNothing) {
  for (const char* network : {"fluid", "simgrid"}) {
    json s = station({{"replication", "synchronous"}, {"record", "0 B"}, {"ack", "0 B"}}, writes);
    s["network"]["model"] = network;
    s["faults"][0]["at"] = "100.044 s";  // the last one waits for its acknowledgement
    s["workload"][0]["request"] = {{"retries", 1}, {"retry_backoff", "1 s"}};
    results::Summary r;
    const auto got = latencies(s, r);
    EXPECT_NEAR(r.value("latency.p50"), 0.022, 1e-6) << network;
    if (network == std::string("fluid")) {
      EXPECT_NEAR(got.at(0), 0.022, 1e-6);
      EXPECT_NEAR(got.at(2), 0.022, 1e-6);  // acknowledged at 100.041 s
      EXPECT_GT(got.at(3), 24);             // lost with its primary, written again at the next one
    }
    EXPECT_EQ(r.value("writes_lost.f"), 0);
    EXPECT_EQ(r.value("rpo.f"), 0);
    EXPECT_EQ(r.value("requests_lost.db"), 1);
    EXPECT_EQ(r.value("writes_alone.f"), 3);  // after the failover nobody is left: 100.03 s again, 110 s, 200 s
  }
}

TEST(Failover, ReadsDoNotWait) {
  json s = station({{"replication", "synchronous"}, {"write_share", 0}}, writes);
  results::Summary r;
  const auto got = latencies(s, r);
  EXPECT_NEAR(got.at(0), 0.012, 1e-6);
  EXPECT_EQ(r.value("writes.f"), 0);
}

TEST(Failover, CheckpointsAreLoadedAndLogsReplayed) {
  json s = station({{"replication", "checkpoint"}, {"checkpoint_interval", "60 s"}, {"checkpoint_bytes", "1 GB"},
                    {"checkpoint_bandwidth", "200 MB/s"}}, writes);
  results::Summary r;
  latencies(s, r);
  EXPECT_NEAR(r.value("rto.f"), 24.95 + 5, 1e-6);
  EXPECT_EQ(r.value("writes_lost.f"), 4);  // the checkpoint of 60 s has none of them
  EXPECT_NEAR(r.value("rpo.f"), 100.05 - 99.511, 1e-6);
  s["failover"]["f"].update({{"log", true}, {"replay", "1 s"}});
  latencies(s, r);
  EXPECT_NEAR(r.value("rto.f"), 24.95 + 5 + 4, 1e-6);
  EXPECT_EQ(r.value("writes_lost.f"), 0);
  EXPECT_EQ(r.value("rpo.f"), 0);
}

TEST(Failover, AQuickRestartIsNoFailover) {
  json s = station({{"replication", "asynchronous"}, {"batch_interval", "2 s"}}, writes);
  s["faults"] = json::array();
  s["crashes"] = json::array({{{"service", "db"}, {"replica", 0}, {"at", "100.05 s"}, {"restart_delay", "3 s"}}});
  results::Summary r;
  latencies(s, r);
  EXPECT_EQ(r.value("failovers.f"), 0);
  EXPECT_NEAR(r.value("rto.f"), 3, 1e-6);
  EXPECT_EQ(r.value("writes_lost.f"), 0);
}

TEST(Failover, TheOldPrimaryComesBackAsAStandby) {
  json s = station({{"replication", "asynchronous"}}, writes);
  s["faults"] = json::array({{{"node", "db"}, {"index", 0}, {"at", "100.05 s"}, {"lasts", "60 s"}},
                             {{"node", "db"}, {"index", 1}, {"at", "180 s"}, {"lasts", "100 s"}}});
  results::Summary r;
  const auto got = latencies(s, r);
  EXPECT_EQ(r.value("failovers.f"), 2);
  // The later one takes 20 s, as a probe was due at 180 s as well; the request of 200 s comes when it is over.
  EXPECT_NEAR(r.value("rto.f"), 24.95, 1e-6);
  EXPECT_NEAR(r.value("primary_downtime.f"), 24.95 + 20, 1e-6);
  EXPECT_NEAR(got.at(5), 0.012, 1e-4);
}

TEST(Failover, APrimaryThatReachesNobodyGoesOnAlone) {
  json s = station({{"replication", "synchronous"}}, json::array({"10 s", "50 s", "90 s"}));
  s["faults"] = json::array({{{"link", "ab"}, {"at", "40 s"}, {"lasts", "20 s"}}});
  results::Summary r;
  const auto got = latencies(s, r);
  EXPECT_EQ(r.value("writes_alone.f"), 1);
  EXPECT_EQ(r.value("failovers.f"), 0);
  EXPECT_GT(got.at(0), 0.0219);
  EXPECT_NEAR(got.at(1), 0.012, 1e-4);
  EXPECT_GT(got.at(2), 0.0219);
}

TEST(Failover, SaysWhatIsWrong) {
  const auto problem = [](const json& f, const json& service = json::object()) {
    json s = station(f, writes);
    s["services"]["db"].update(service);
    return first_problem(s);
  };
  EXPECT_THAT(problem({{"replication", "asynchronous"}}, {{"replicas", 1}}), HasSubstr("needs a standby"));
  EXPECT_THAT(problem({{"replication", "synchronous"}, {"batch_interval", "1 s"}}), HasSubstr("asynchronous"));
  EXPECT_THAT(problem({{"replication", "synchronous"}, {"log", true}}), HasSubstr("checkpoint"));
  EXPECT_THAT(problem({{"replication", "checkpoint"}, {"record", "1 KB"}}), HasSubstr("sends nothing"));
  EXPECT_THAT(problem({{"replication", "checkpoint"}, {"checkpoint_bytes", "1 TB"}}), HasSubstr("longer than the interval"));
  EXPECT_THAT(problem({{"replication", "asynchronous"}, {"probe_interval", "1 ns"}}), HasSubstr("1 ms or more"));
  EXPECT_THAT(problem({{"replication", "asynchronous"}}, {{"autoscaling", "hpa"}}), HasSubstr("is scaled"));
  EXPECT_THAT(problem({{"replication", "sometimes"}}), HasSubstr("sometimes"));
}

}  // namespace
}  // namespace isthmus::scenarios
