// Calls of services, one after the other and in parallel, and pools of connections: dates by hand,
// failures, and what the reader refuses.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/scenarios/outcome.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using testing::first_problem;
using testing::load_json;
using testing::Outcome;
using testing::run;

// Every machine behind a link of 1 MB/s and 1 ms. A request of 1000 B goes to "api" (10 ms), which calls.
json tiers(const json& calls) {
  json s = json::parse(R"({
    "isthmus": 1, "name": "tiers", "seed": 3, "duration": "60 s",
    "nodes": {"users": {"tier": "device"}, "a": {}, "b": {}, "c": {}},
    "network": {"model": "fluid", "links": {"nic": {"bandwidth": "1 MB/s", "latency": "1 ms"}},
                "access": {"users": ["nic"], "a": ["nic"], "b": ["nic"], "c": ["nic"]}},
    "services": {
      "api": {"service_time": "10 ms", "on": "a", "slots": 64},
      "db": {"service_time": "20 ms", "on": "b", "slots": 64},
      "log": {"service_time": "5 ms", "on": "c", "slots": 64}},
    "workload": [{"name": "w", "source": "times", "times": ["1 s", "2 s"], "target": "api",
                  "clients": {"on": "users"},
                  "request": {"upload": "1000 B", "download": "10 kB"}}]
  })");
  s["services"]["api"]["calls"] = calls;
  return s;
}
json tiers(std::initializer_list<json> calls) {
  json all = json::array();
  for (const json& c : calls) all.push_back(c);
  return tiers(all);
}

json call(const char* service, const json& more = json::object()) {
  json c = {{"service", service}, {"request", "500 B"}, {"answer", "2000 B"}};
  c.update(more);
  return c;
}

// To the api 3 ms, its work 10 ms, the answer 12 ms; a call 2.5 ms there, 4 ms back.
constexpr double around = 3 + 10 + 12, db = 2.5 + 20 + 4, logging = 2.5 + 5 + 4;

TEST(Tiers, CallsOneAfterTheOther) {
  const Outcome r = run(tiers({call("db", {{"count", 2}}), call("log")}));
  ASSERT_EQ(r.summary.completed, 2U);
  for (const std::size_t i : {0U, 1U}) {
    EXPECT_NEAR(r.latency_ms(i), around + 2 * db + logging, 1e-5);
    EXPECT_NEAR(r.requests[i].call_time, (2 * db + logging) * 1e-3, 1e-8);
    EXPECT_EQ(r.requests[i].pool_wait, 0);
    EXPECT_EQ(r.requests[i].service, 0U);
  }
  EXPECT_NEAR(r.value("load.db"), 4.0 / 60, 1e-12);
  EXPECT_NEAR(r.value("load.log"), 2.0 / 60, 1e-12);
}

TEST(Tiers, ChainsOfCalls) {
  json s = tiers({call("db")});
  s["services"]["db"]["calls"] = json::array({call("log")});
  EXPECT_NEAR(run(s).latency_ms(0), around + db + logging, 1e-5);
}

TEST(Tiers, ParallelCallsTakeAsLongAsTheLongest) {
  // Both requests share the api's link: 1000 B together. So do both answers of 2000 B, unless they are
  // 15 ms apart.
  const Outcome r = run(tiers({call("db", {{"parallel", true}}), call("log", {{"parallel", true}})}));
  ASSERT_EQ(r.summary.completed, 2U);
  EXPECT_NEAR(r.latency_ms(0), around + db + 0.5, 1e-5);
  EXPECT_NEAR(r.requests[0].call_time, (db + 0.5) * 1e-3, 1e-8);
  // A call in order between them keeps them apart.
  const Outcome apart =
      run(tiers({call("db", {{"parallel", true}}), call("log"), call("log", {{"parallel", true}})}));
  EXPECT_NEAR(apart.latency_ms(0), around + db + 2 * logging, 1e-5);
  // All calls of one row.
  const Outcome rows = run(tiers({call("db", {{"parallel", true}, {"count", 3}, {"request", "0 B"}, {"answer", "0 B"}})}));
  EXPECT_NEAR(rows.latency_ms(0), around + 2 + 20 + 2 - 0, 2.1);
  EXPECT_NEAR(rows.value("load.db"), 6.0 / 60, 1e-12);
}

TEST(Tiers, ParallelCallsInsideParallelCalls) {
  json s = tiers({call("db", {{"parallel", true}, {"count", 2}})});
  s["services"]["db"]["calls"] = json::array({call("log", {{"parallel", true}, {"count", 3}})});
  const Outcome r = run(s);
  EXPECT_EQ(r.summary.completed, 2U);
  EXPECT_NEAR(r.value("load.log"), 12.0 / 60, 1e-12);
  EXPECT_EQ(r.requests[0].attempts, 1);
}

TEST(Tiers, ChanceIsDrawnPerRequest) {
  json s = tiers({call("db", {{"chance", 0.3}, {"count", 2}}), call("log", {{"chance", 0.5}, {"parallel", true}})});
  s["workload"][0] = {{"name", "w"}, {"source", "poisson"}, {"rate", "40 /s"}, {"target", "api"},
                      {"clients", {{"on", "a"}}}};
  s["duration"] = "500 s";
  const Outcome r = run(s);
  EXPECT_NEAR(r.value("load.db"), 40 * 0.3 * 2, 24 * 0.04);
  EXPECT_NEAR(r.value("load.log"), 40 * 0.5, 20 * 0.04);
  // The chances of two calls are independent.
  std::map<int, int> seen;
  for (const auto& q : r.requests) ++seen[static_cast<int>(std::lround(q.call_time * 1e3))];
  EXPECT_NEAR(seen[0] / static_cast<double>(r.requests.size()), 0.7 * 0.5, 0.015);
}

TEST(Tiers, EachCallOfAListDrawsItsOwnServiceTime) {
  json s = tiers({call("db", {{"count", 4}})});
  s["services"]["api"]["service_time"] = "0 s";
  s["services"]["db"]["service_time"] = {{"distribution", "exponential"}, {"mean", "20 ms"}};
  s["network"] = {{"model", "fluid"}};
  s["workload"][0] = {{"name", "w"}, {"source", "poisson"}, {"rate", "5 /s"}, {"target", "api"},
                      {"clients", {{"on", "a"}}}};
  s["duration"] = "4000 s";
  const Outcome r = run(s);
  double sum = 0, squares = 0;
  for (const auto& q : r.requests) sum += q.call_time, squares += double{q.call_time} * q.call_time;
  const auto n = static_cast<double>(r.requests.size());
  const double mean = sum / n, variance = squares / n - mean * mean;
  EXPECT_NEAR(mean, 0.08, 0.002);
  EXPECT_NEAR(variance, 4 * 0.02 * 0.02, 4 * 0.02 * 0.02 * 0.1);  // 16 times 0.02^2 if they were one draw
}

// ---- pools ------------------------------------------------------------------------------------------

json pooled(const json& pool, const json& more = json::object()) {
  json c = call("db", {{"pool", "main"}});
  c.update(more);
  json s = tiers({c});
  s["services"]["api"]["connection_pools"]["main"] = pool;
  return s;
}

TEST(Tiers, OpeningAConnectionCostsRoundTrips) {
  // 52 B at 1 MB/s and twice 1 ms, there and back.
  const double trip = 2 * (2 + 0.052);
  const Outcome r = run(pooled({{"round_trips", 3}, {"open_time", "7 ms"}}));
  EXPECT_NEAR(r.latency_ms(0), around + db + 3 * trip + 7, 1e-5);
  EXPECT_NEAR(r.requests[0].pool_wait, (3 * trip + 7) * 1e-3, 1e-8);
  // The second one finds it open.
  EXPECT_NEAR(r.latency_ms(1), around + db, 1e-5);
  EXPECT_EQ(r.value("pool_opened.api/main"), 1);
  EXPECT_NEAR(r.value("pool_wait.api/main.mean"), (3 * trip + 7) * 0.5e-3, 1e-8);
  EXPECT_EQ(r.value("pool_waited.api/main"), 0);
  EXPECT_NEAR(r.value("pool_open.api/main"), (59 - 0.013) / 60, 1e-3);

  const Outcome fresh = run(pooled({{"max_idle", 0}}));
  for (const std::size_t i : {0U, 1U}) EXPECT_NEAR(fresh.latency_ms(i), around + db + trip, 1e-5);
  EXPECT_EQ(fresh.value("pool_closed.api/main/idle_limit"), 2);

  const Outcome tls = run(pooled({{"encryption", "tls-1.3"}}));
  const Outcome old = run(pooled({{"encryption", "tls-1.2"}}));
  EXPECT_NEAR(tls.latency_ms(0), around + db + trip + 2 * 2 + (329 + 2111 + 104) * 1e-3, 1e-5);
  EXPECT_GT(old.latency_ms(0), tls.latency_ms(0) + 3);
}

TEST(Tiers, LifetimesAndIdleTimesCloseConnections) {
  EXPECT_EQ(run(pooled({{"max_lifetime", "500 ms"}})).value("pool_closed.api/main/lifetime"), 2);
  EXPECT_EQ(run(pooled({{"max_idle_time", "500 ms"}})).value("pool_closed.api/main/idle_time"), 2);
  EXPECT_EQ(run(pooled({{"max_idle_time", "5 s"}})).value("pool_opened.api/main"), 1);
}

TEST(Tiers, WhoeverFindsAllConnectionsInUseWaitsInLine) {
  json s = pooled({{"max_open", 1}, {"round_trips", 0}});
  s["workload"][0]["times"] = {"1 s", "1 s", "1 s"};
  s["workload"][0]["clients"] = {{"on", "a"}};
  const Outcome r = run(s);
  for (const std::size_t i : {0U, 1U, 2U}) {
    EXPECT_NEAR(r.latency_ms(i), 10 + static_cast<double>(i + 1) * db, 1e-5);
    EXPECT_NEAR(r.requests[i].pool_wait, static_cast<double>(i) * db * 1e-3, 1e-8);
  }
  EXPECT_NEAR(r.value("pool_waited.api/main"), 2.0 / 3, 1e-12);
  EXPECT_NEAR(r.value("pool_waiting.api/main"), 3 * db * 1e-3 / 60, 1e-9);
  EXPECT_EQ(r.value("pool_opened.api/main"), 1);

  // One who waits too long fails.
  s["services"]["api"]["connection_pools"]["main"]["wait_timeout"] = "40 ms";
  const Outcome impatient = run(s);
  EXPECT_EQ(impatient.summary.completed, 2U);
  EXPECT_EQ(impatient.requests[2].cause, results::Cause::pool_timeout);
  EXPECT_EQ(impatient.value("pool_timeouts.api/main"), 1);
  // And may try again.
  s["workload"][0]["request"]["retries"] = 3;
  EXPECT_EQ(run(s).summary.completed, 3U);
}

TEST(Tiers, ReplicasHaveTheirOwnPoolsOrShareOne) {
  json s = pooled({{"max_open", 1}, {"round_trips", 0}});
  s["services"]["api"]["replicas"] = 2;
  s["services"]["api"]["routing"] = "round-robin";
  s["workload"][0]["times"] = {"1 s", "1 s"};
  EXPECT_EQ(run(s).value("pool_opened.api/main"), 2);
  EXPECT_EQ(run(s).value("pool_waited.api/main"), 0);
  s["services"]["api"]["connection_pools"]["main"]["shared"] = true;
  EXPECT_EQ(run(s).value("pool_opened.api/main"), 1);
  EXPECT_EQ(run(s).value("pool_waited.api/main"), 0.5);
}

TEST(Tiers, ServersRefuseConnectionsBeyondTheirLimit) {
  json s = pooled({{"round_trips", 1}});
  s["services"]["db"]["max_connections"] = 2;
  s["workload"][0]["times"] = {"1 s", "1 s", "1 s", "2 s"};
  s["workload"][0]["clients"] = {{"on", "a"}};
  const Outcome r = run(s);
  EXPECT_EQ(r.summary.completed, 3U);
  EXPECT_EQ(r.requests[2].cause, results::Cause::refused);
  EXPECT_EQ(r.value("pool_refused.api/main"), 1);
  EXPECT_EQ(r.value("pool_closed.api/main/broken"), 1);
}

// ---- what goes wrong --------------------------------------------------------------------------------

void expect_conservation(const Outcome& r) {
  EXPECT_EQ(r.summary.created,
            r.summary.completed + r.summary.rejected + r.summary.failed + r.summary.in_flight);
}

TEST(Tiers, FailuresOnEitherSideEndCalls) {
  for (const char* node : {"a", "b", "c"}) {
    json s = tiers({call("db", {{"pool", "main"}, {"parallel", true}, {"count", 2}}),
                    call("log", {{"parallel", true}}), call("db", {{"pool", "main"}})});
    s["services"]["api"]["connection_pools"]["main"] = {{"max_open", 2}, {"max_idle", 2}};
    s["workload"][0]["times"] = {"1 s", "1 s", "3 s"};
    s["faults"] = {{{"node", node}, {"at", "1.02 s"}, {"lasts", "1 s"}}};
    const Outcome r = run(s);
    SCOPED_TRACE(node);
    expect_conservation(r);
    EXPECT_EQ(r.summary.created, 3U);
    EXPECT_EQ(r.requests[2].status, results::Status::completed);
    EXPECT_EQ(r.summary.in_flight, 0U);
    EXPECT_EQ(r.requests[0].cause, results::Cause::node_failed);
    // Retries find everything as it was.
    s["workload"][0]["request"]["retries"] = 5;
    s["workload"][0]["request"]["retry_backoff"] = "500 ms";
    const Outcome again = run(s);
    EXPECT_EQ(again.summary.completed, 3U);
    expect_conservation(again);
  }
}

TEST(Tiers, ADeadlineEndsAllBranches) {
  json s = tiers({call("db", {{"parallel", true}, {"count", 5}}), call("log", {{"parallel", true}})});
  s["services"]["db"]["service_time"] = "2 s";
  s["services"]["db"]["slots"] = 1;
  s["workload"][0]["times"] = {"1 s"};
  s["workload"][0]["request"]["deadline"] = "3 s";
  const Outcome r = run(s);
  EXPECT_EQ(r.requests[0].cause, results::Cause::cancelled);
  expect_conservation(r);
  // The line before the slow store is empty: no further call is served after the deadline.
  for (const auto& v : r.summary.services)
    if (v.name == "db") {
      EXPECT_LE(v.iterations, 2U);
    }
}

// ---- message queues ---------------------------------------------------------------------------------

// Requests go to "mq" (1 ms), which keeps messages for "log" (5 ms).
json queued(const json& queue) {
  json s = tiers({call("mq")});
  s["nodes"]["d"] = json::object();
  s["network"]["access"]["d"] = {"nic"};
  s["services"]["mq"] = {{"service_time", "1 ms"}, {"on", "d"}, {"slots", 64}, {"message_queue", queue},
                         {"calls", json::array({call("log")})}};
  return s;
}

double kept(const Outcome& r) {
  return r.value("messages_consumed.mq") + r.value("messages_dead.mq") + r.value("messages_lost.mq") +
         r.value("messages_open.mq");
}

TEST(Tiers, MessagesAreConsumedAfterTheAnswer) {
  const Outcome r = run(queued(json::object()));
  EXPECT_NEAR(r.latency_ms(0), around + 2.5 + 1 + 4 + 0.5, 1e-5);  // the answer shares its link with the delivery
  EXPECT_EQ(r.value("messages_consumed.mq"), 2);
  EXPECT_NEAR(r.value("message_delay.mq.mean"), logging * 1e-3, 1e-3);  // the acknowledgement shares the link
  EXPECT_NEAR(r.value("load.log"), 2.0 / 60, 1e-12);
}

TEST(Tiers, ALineFormsBeforeSlowConsumers) {
  json s = queued({{"concurrency", 1}});
  s["services"]["log"]["service_time"] = "1 s";
  s["workload"][0]["times"] = {"1 s", "1 s", "1 s", "1 s"};
  const Outcome r = run(s);
  EXPECT_EQ(r.summary.completed, 4U);
  EXPECT_EQ(r.value("message_depth.mq.max"), 3);
  EXPECT_NEAR(r.value("message_depth.mq.mean"), (1 + 2 + 3) * 1.0065 / 60, 0.002);
  EXPECT_NEAR(r.value("message_age.mq"), 3 * 1.0065, 0.05);
  s["services"]["mq"]["message_queue"]["capacity"] = 2;
  const Outcome full = run(s);
  EXPECT_EQ(full.summary.rejected, 2U);
  EXPECT_EQ(full.requests[3].cause, results::Cause::queue_full);
  EXPECT_EQ(full.value("messages_published.mq"), 2);
}

TEST(Tiers, MessagesAreDeliveredAtLeastOnceOrBecomeDeadLetters) {
  json s = queued({{"max_tries", 4}, {"redelivery_delay", "1 s"}, {"ack_timeout", "300 ms"}});
  s["faults"] = {{{"node", "c"}, {"at", "0.5 s"}, {"lasts", "3 s"}}};
  const Outcome r = run(s);
  EXPECT_EQ(r.summary.completed, 2U);
  EXPECT_EQ(r.value("messages_consumed.mq"), 2);
  EXPECT_GE(r.value("messages_redelivered.mq"), 3);
  EXPECT_EQ(kept(r), r.value("messages_published.mq"));
  s["services"]["mq"]["message_queue"]["max_tries"] = 2;
  const Outcome dead = run(s);
  EXPECT_GE(dead.value("messages_dead.mq"), 1);
  EXPECT_EQ(kept(dead), dead.value("messages_published.mq"));
  // A consumer that takes too long is asked again.
  json late = queued({{"max_tries", 3}, {"ack_timeout", "100 ms"}});
  late["services"]["log"]["service_time"] = "1 s";
  const Outcome l = run(late);
  EXPECT_EQ(l.value("messages_dead.mq"), 2);
  EXPECT_EQ(l.value("messages_redelivered.mq"), 4);
}

TEST(Tiers, MessagesOutliveTheirMachineIfTheyAreDurable) {
  for (const bool durable : {true, false}) {
    json s = queued({{"durable", durable}});
    s["services"]["log"]["service_time"] = "2 s";
    s["workload"][0]["times"] = {"1 s", "1 s", "1 s"};
    s["faults"] = {{{"node", "d"}, {"at", "2 s"}, {"lasts", "1 s"}}};
    const Outcome r = run(s);
    EXPECT_EQ(r.value("messages_published.mq"), 3);
    EXPECT_EQ(r.value("messages_consumed.mq"), durable ? 3 : 0);
    EXPECT_EQ(r.value("messages_lost.mq"), durable ? 0 : 3);
    EXPECT_EQ(kept(r), 3);
  }
}

TEST(Tiers, RunsWithoutAnEndWaitForMessages) {
  json s = queued({{"redelivery_delay", "5 s"}, {"ack_timeout", "2 s"}});
  s["faults"] = {{{"node", "c"}, {"at", "0.5 s"}, {"lasts", "20 s"}}};
  world::Scenario endless = *load_json(s).scenario;
  endless.duration = Duration::max();
  const results::Summary r = world::run(endless, {});
  EXPECT_EQ(r.completed, 2U);
  EXPECT_EQ(r.value("messages_consumed.mq"), 2);
  EXPECT_GE(r.value("messages_redelivered.mq"), 4);
}

// ---- databases --------------------------------------------------------------------------------------

// One of two standbys is 200 ms away: it has a write 201 ms after its answer.
json database(const json& failover) {
  json s = json::parse(R"({
    "isthmus": 1, "name": "database", "seed": 3, "duration": "200 s",
    "nodes": {"app": {"zone": "here"}, "db": {"count": 2, "zone": ["here", "there"]}},
    "network": {"model": "fluid", "links": {"far": {"bandwidth": "1 GB/s", "latency": "200 ms"}},
                "routes": [{"from": "here", "to": "there", "links": ["far"]}]},
    "services": {
      "api": {"service_time": "1 ms", "on": "app", "slots": 64, "calls": [{"service": "db", "operation": "write"}, {"service": "db", "operation": "read"}]},
      "db": {"service_time": "1 ms", "on": "db", "slots": 64, "replicas": 2}},
    "workload": [{"name": "w", "source": "poisson", "rate": "1 /s", "target": "api", "clients": {"on": "app", "count": 3}}],
    "failover": {"store": {"service": "db", "replication": "asynchronous", "record": "1 KB"}}
  })");
  s["failover"]["store"].update(failover);
  return s;
}

TEST(Tiers, ReadsAtStandbysMayBeStale) {
  const Outcome primary = run(database(json::object()));
  EXPECT_NEAR(primary.value("latency.mean"), 0.003, 1e-6);
  EXPECT_TRUE(std::isnan(primary.value("reads_apart.store")));
  // The query takes as long to the standby as the write that it follows: it sees it there. It misses
  // one that another client made at the same time.
  const Outcome apart = run(database({{"reads_from", "standby"}}));
  EXPECT_EQ(apart.value("reads_apart.store"), 1);
  EXPECT_NEAR(apart.value("reads_stale.store"), 1 - std::exp(-0.199), 0.1);  // 200 reads: four standard errors
  EXPECT_NEAR(apart.value("latency.mean"), 0.403, 1e-3);
  // Written every second, read at once: never there in time.
  const Outcome late = run(database({{"reads_from", "standby"}, {"batch_interval", "1 s"}}));
  EXPECT_GT(late.value("reads_stale.store"), 0.95);
  const Outcome near = run(database({{"reads_from", "nearest"}}));
  EXPECT_EQ(near.value("reads_apart.store"), 0);
  EXPECT_NEAR(near.value("latency.mean"), 0.003, 1e-6);
}

TEST(Tiers, ClientsReadTheirOwnWritesIfTheyAsk) {
  const Outcome r = run(database({{"reads_from", "standby"}, {"batch_interval", "1 s"}, {"read_your_writes", true}}));
  EXPECT_GT(r.value("reads_sent_back.store"), 150);
  EXPECT_NEAR(r.value("latency.mean"), 0.003, 0.02);
  // Each request writes, so that the standby has the client's last write only between its requests.
  EXPECT_LT(r.value("reads_apart.store"), 0.05);
}

TEST(Tiers, StandbysAreReadWhileNobodyIsPrimary) {
  json s = database({{"reads_from", "standby"}, {"promotion", "50 s"}});
  s["services"]["api"]["calls"] = json::array({{{"service", "db"}, {"operation", "read"}}});
  s["faults"] = {{{"node", "db"}, {"index", 0}, {"at", "50 s"}, {"lasts", "40 s"}}};
  const Outcome r = run(s);
  EXPECT_EQ(r.summary.failed + r.summary.rejected, 0U);
}

TEST(Tiers, DatabasesRefusePoolsForReadsAndWritesTogether) {
  json s = database({{"reads_from", "standby"}});
  s["services"]["api"]["connection_pools"]["p"] = json::object();
  for (json& c : s["services"]["api"]["calls"]) c["pool"] = "p";
  EXPECT_NE(first_problem(s).find("give reads and writes pools of their own"), std::string::npos) << first_problem(s);
  s["services"]["api"]["connection_pools"]["q"] = json::object();
  s["services"]["api"]["calls"][1]["pool"] = "q";
  EXPECT_EQ(first_problem(s), "no error");
  EXPECT_EQ(run(s).value("reads_apart.store"), 1);
  s["failover"]["store"]["read_your_writes"] = true;
  EXPECT_NE(first_problem(s).find("read_your_writes"), std::string::npos);
  EXPECT_NE(first_problem(database({{"read_your_writes", true}})).find("only with \"reads_from\""), std::string::npos);
}

TEST(Tiers, RefusesWhatCannotBe) {
  json s = tiers({call("db")});
  s["services"]["db"]["calls"] = json::array({call("log")});
  s["services"]["log"]["calls"] = json::array({call("api")});
  EXPECT_NE(first_problem(s).find("/services/log/calls/0/service: the calls go in a circle: \"api\" -> \"db\" -> \"log\" -> \"api\""),
            std::string::npos)
      << first_problem(s);
  // Two ways to one service are no circle.
  s["services"]["log"].erase("calls");
  s["services"]["api"]["calls"] = json::array({call("db"), call("log")});
  EXPECT_EQ(first_problem(s), "no error");

  EXPECT_NE(first_problem(tiers(call("db", {{"count", 2}}))).find("only in a list"), std::string::npos);
  EXPECT_NE(first_problem(tiers({call("db", {{"pool", "x"}})})).find("has no connection pool \"x\""), std::string::npos);
  EXPECT_NE(first_problem(tiers({call("db", {{"chance", 1.5}})})).find("/services/api/calls/0/chance"), std::string::npos);
  json unused = tiers({call("db")});
  unused["services"]["api"]["connection_pools"]["main"] = json::object();
  EXPECT_NE(first_problem(unused).find("no call uses it"), std::string::npos);
  json two = tiers({call("db", {{"pool", "main"}}), call("log", {{"pool", "main"}})});
  two["services"]["api"]["connection_pools"]["main"] = json::object();
  EXPECT_NE(first_problem(two).find("but a call to \"log\" uses it too"), std::string::npos);
  EXPECT_NE(first_problem(pooled({{"max_open", 5}, {"max_idle", 6}})).find("must not be above"), std::string::npos);
}

}  // namespace
}  // namespace isthmus::scenarios
