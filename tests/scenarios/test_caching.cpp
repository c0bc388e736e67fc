// Caches of answers and calls between services: dates by hand, hit ratios in closed form, failures.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "scenarios/tables.hpp"
#include "tests/scenarios/outcome.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using testing::first_problem;
using testing::load_json;
using testing::Outcome;
using testing::run;

// Every machine behind a link of 1 MB/s and 1 ms. A request of 1000 B goes to "front" (10 ms), which
// sends 500 B to "store" (20 ms), gets 2000 B and answers with 10,000 B.
json chain() {
  return json::parse(R"({
    "isthmus": 1, "name": "chain", "seed": 3, "duration": "60 s",
    "nodes": {"users": {"tier": "device"}, "a": {}, "b": {}, "c": {}},
    "network": {"model": "fluid", "links": {"nic": {"bandwidth": "1 MB/s", "latency": "1 ms"}},
                "access": {"users": ["nic"], "a": ["nic"], "b": ["nic"], "c": ["nic"]}},
    "services": {
      "front": {"service_time": "10 ms", "on": "a", "slots": 8,
                "calls": {"service": "store", "request": "500 B", "answer": "2000 B"}},
      "store": {"service_time": "20 ms", "on": "b", "slots": 8},
      "mc": {"service_time": "4 ms", "on": "c", "slots": 8}},
    "workload": [{"name": "w", "source": "times", "times": ["1 s", "2 s"], "target": "front",
                  "clients": {"on": "users"},
                  "request": {"upload": "1000 B", "download": "10 kB",
                              "key": {"law": "uniform", "items": 1}}}]
  })");
}

const results::ServiceTotals::Cache& cache_of(const Outcome& o) { return o.summary.services.at(0).caches.at(0); }

results::ServiceTotals of(const results::Summary& s, const std::string& service) {
  for (const auto& v : s.services)
    if (v.name == service) return v;
  throw InternalError("no service " + service);
}
std::uint64_t calls_to(const results::Summary& s, const std::string& service) {
  return of(s, service).calls.value();
}

TEST(Caching, CallsByHand) {
  const Outcome r = run(chain());
  ASSERT_EQ(r.summary.completed, 2U);
  for (const std::size_t i : {0U, 1U}) {
    EXPECT_NEAR(r.latency_ms(i), 3 + 10 + 2.5 + 20 + 4 + 12, 1e-5);
    // The store's dates are not the front's.
    EXPECT_NEAR((r.requests[i].started - r.requests[i].arrived).seconds(), 0, 1e-9);
    EXPECT_NEAR((r.requests[i].served - r.requests[i].started).seconds(), 0.0365, 1e-8);
    EXPECT_EQ(r.requests[i].service, 0U);
  }
  EXPECT_NEAR(r.summary.value("load.store"), 2.0 / 60, 1e-12);
  EXPECT_TRUE(std::isnan(r.summary.value("load.mc")));
  EXPECT_EQ(r.summary.value("share.front"), 1);
}

// Answers are looked up before the work, what is called for after it.
TEST(Caching, AHitEndsTheServicesPart) {
  json s = chain();
  s["services"]["front"]["caches"] = json::parse(R"([{"lookup_time": "1 ms"}])");
  Outcome r = run(s);
  EXPECT_NEAR(r.latency_ms(0), 1 + 51.5, 1e-5);
  EXPECT_NEAR(r.latency_ms(1), 3 + 1 + 12, 1e-5);
  EXPECT_EQ(r.requests[0].cache, 0);
  EXPECT_EQ(r.requests[1].cache, 1);
  EXPECT_TRUE(r.requests[1].started.is_never());
  EXPECT_EQ(r.summary.value("cache_hits.front/cache-1"), 0.5);
  EXPECT_EQ(cache_of(r).bytes, 10000);
  EXPECT_EQ(cache_of(r).writes, 1U);

  s["services"]["front"]["caches_hold"] = "calls";
  r = run(s);
  EXPECT_NEAR(r.latency_ms(0), 1 + 51.5, 1e-5);
  EXPECT_NEAR(r.latency_ms(1), 3 + 10 + 1 + 12, 1e-5);
  EXPECT_EQ(cache_of(r).bytes, 2000);
  EXPECT_EQ(r.requests[1].download, 10000);
}

// A look-up of 100 B goes to the server, 4 ms, and back. The answer is written while the client's one
// leaves over the same link, which takes 2 ms longer so.
TEST(Caching, ACacheServerByHandOnBothNetworks) {
  for (const char* network : {"fluid", "simgrid"}) {
    SCOPED_TRACE(network);
    json s = chain();
    s["network"]["model"] = network;
    s["services"]["front"]["caches_hold"] = "calls";
    s["services"]["front"]["caches"] = json::parse(
        R"([{"name": "near", "entries": 1, "ttl": "1.5 s"},
            {"name": "shared", "server": "mc", "request": "100 B", "miss": "100 B"}])");
    // The near cache forgets before the last.
    s["workload"][0]["times"] = {"1 s", "2 s", "4 s"};
    const auto summary = world::run(*load_json(s).scenario, {});
    ASSERT_EQ(summary.completed, 3U);
    const double first = 3 + 10 + (2.1 + 4 + 2.1) + 2.5 + 20 + 4 + 14, second = 3 + 10 + 12,
                 third = 3 + 10 + (2.1 + 4 + 4) + 12;
    EXPECT_NEAR(summary.value("latency.mean") * 1e3, (first + second + third) / 3, 1e-5);
    EXPECT_NEAR(summary.value("latency.max") * 1e3, first, 1e-5);
    EXPECT_NEAR(summary.value("latency.p50") * 1e3, third, 1e-5);
    const auto& caches = summary.services[0].caches;
    EXPECT_EQ(caches[0].lookups, 3U);
    EXPECT_EQ(caches[0].hits, 1U);
    EXPECT_EQ(caches[0].expired, 1U);
    EXPECT_EQ(caches[0].writes, 2U);  // the second time from the shared one
    EXPECT_EQ(caches[1].lookups, 2U);
    EXPECT_EQ(caches[1].hits, 1U);
    EXPECT_EQ(calls_to(summary, "mc"), 2U);
    EXPECT_EQ(calls_to(summary, "store"), 1U);
  }
}

TEST(Caching, ConcurrentMissesAreFetchedOnce) {
  json s = chain();
  s["workload"][0]["times"] = {"1 s", "1.005 s", "1.01 s"};
  s["services"]["front"]["caches"] = json::parse(R"([{"coalesce": true}])");
  const Outcome r = run(s);
  ASSERT_EQ(r.summary.completed, 3U);
  EXPECT_EQ(calls_to(r.summary, "store"), 1U);
  EXPECT_EQ(cache_of(r).coalesced, 2U);
  EXPECT_NEAR(r.summary.value("cache_coalesced.front/cache-1"), 2.0 / 3, 1e-12);
  for (const std::size_t i : {1U, 2U}) EXPECT_EQ(r.requests[i].served, r.requests[0].served);
  s["services"]["front"]["caches"][0]["coalesce"] = false;
  EXPECT_EQ(calls_to(run(s).summary, "store"), 3U);
}

// Who fetches for the others gives up: the first of the others fetches.
TEST(Caching, WaitingRequestsGoOnWithoutTheFirst) {
  json s = chain();
  s["services"]["front"]["caches"] = json::parse(R"([{"coalesce": true}])");
  json& first = s["workload"][0];
  first["times"] = {"1 s"};
  first["request"]["key"]["space"] = "x";
  json others = first;
  first["request"]["deadline"] = "30 ms";
  others["name"] = "others";
  others["times"] = {"1.001 s", "1.002 s"};
  s["workload"].push_back(others);
  const Outcome r = run(s);
  EXPECT_EQ(r.summary.completed, 2U);
  EXPECT_EQ(r.summary.failed, 1U);
  EXPECT_EQ(calls_to(r.summary, "store"), 2U);
  EXPECT_EQ(r.requests[1].served, r.requests[2].served);
}

TEST(Caching, FailuresOfNodes) {
  json s = chain();
  s["services"]["front"]["caches"] = json::parse(R"([{"server": "mc"}])");
  s["workload"][0]["times"] = {"1 s", "2 s", "3 s"};
  // The cache server is down, or goes down during a look-up: a miss. Then it is empty.
  s["faults"] = json::parse(R"([{"node": "c", "at": "1.5 s", "lasts": "1 s"}])");
  Outcome r = run(s);
  EXPECT_EQ(r.summary.completed, 3U);
  EXPECT_EQ(cache_of(r).unanswered, 1U);
  EXPECT_EQ(cache_of(r).hits, 0U);
  s["faults"] = json::parse(R"([{"node": "c", "at": "1.007 s", "lasts": "1 ms"}])");
  r = run(s);
  EXPECT_EQ(r.summary.completed, 3U);
  EXPECT_EQ(cache_of(r).unanswered, 1U);
  EXPECT_EQ(cache_of(r).hits, 1U);  // nothing is written to a server that did not answer
  // The machine of the caller fails while the store works: the request is lost, and tried again.
  s = chain();
  s["workload"][0]["times"] = {"1 s"};
  s["faults"] = json::parse(R"([{"node": "a", "at": "1.02 s", "lasts": "10 ms"}])");
  EXPECT_EQ(run(s).summary.failed, 1U);
  s["workload"][0]["request"]["retries"] = 1;
  r = run(s);
  EXPECT_EQ(r.summary.completed, 1U);
  EXPECT_EQ(r.requests[0].attempts, 2);
  EXPECT_EQ(calls_to(r.summary, "store"), 2U);
  // The store does not learn that nobody waits any more.
  double in_system = 0;
  for (const auto& v : r.summary.services) in_system += v.mean_in_system;
  EXPECT_NEAR(in_system, 2 * (10 + 20) / 60e3, 1e-9);
}

// Poisson arrivals of one item; a cache entry lives T after it was written. The store's load is what
// is left: lambda / (1 + lambda T).
TEST(Caching, TimeToLiveAgreesWithTheClosedForm) {
  json s = chain();
  s["duration"] = "20000 s";
  s["nodes"] = {{"users", {{"tier", "device"}}}, {"a", json::object()}, {"b", json::object()}};
  s.erase("network");
  s["services"].erase("mc");
  s["services"]["front"]["service_time"] = s["services"]["store"]["service_time"] = "0 s";
  s["services"]["front"]["caches"] = json::parse(R"([{"ttl": "2 s"}])");
  s["workload"][0].erase("times");
  s["workload"][0]["source"] = "poisson";
  s["workload"][0]["rate"] = "1 /s";
  const Outcome r = run(s);
  EXPECT_NEAR(r.summary.value("cache_hits.front/cache-1"), 2.0 / 3, 0.01);
  EXPECT_NEAR(r.summary.value("load.store"), 1.0 / 3, 0.01);
}

// Che's approximation, worked out here for 2000 items with exponent 1 and room for 100.
TEST(Caching, LruUnderZipfAgreesWithChe) {
  json s = chain();
  s["duration"] = "300 s";
  s["warmup"] = "50 s";
  s.erase("network");
  s["services"]["front"]["service_time"] = s["services"]["store"]["service_time"] = "0 s";
  s["services"]["front"]["caches"] = json::parse(R"([{"entries": 100}])");
  json& w = s["workload"][0];
  w.erase("times");
  w["source"] = "poisson";
  w["rate"] = "1000 /s";
  w["request"]["key"] = {{"law", "zipf"}, {"items", 2000}, {"exponent", 1}};
  double sum = 0, low = 0, high = 1e9, expected = 0;
  for (int k = 1; k <= 2000; ++k) sum += 1.0 / k;
  for (int i = 0; i < 100; ++i) {
    const double t = (low + high) / 2;
    double in = 0;
    for (int k = 1; k <= 2000; ++k) in -= std::expm1(-t / (k * sum));
    (in < 100 ? low : high) = t;
  }
  for (int k = 1; k <= 2000; ++k) expected -= std::expm1(-low / (k * sum)) / (k * sum);
  const Outcome r = run(s);
  EXPECT_NEAR(r.summary.value("cache_hits.front/cache-1"), expected, 0.01);
  EXPECT_EQ(cache_of(r).entries, 100U);
}

// Ten clusters of items that are all 0.9 alike: each cluster is fetched once, or a few times at once.
// Half of the other items get an answer that does not suit.
TEST(Caching, SimilarAnswersCostAccuracy) {
  json s = chain();
  s["duration"] = "100 s";
  s.erase("network");
  s["services"]["front"]["accuracy"] = 0.8;
  s["services"]["front"]["caches"] =
      json::parse(R"([{"similarity": {"threshold": 0.85, "suits": [[0.8, 0.4], [1, 0.6]]}}])");
  json& w = s["workload"][0];
  w.erase("times");
  w["source"] = "poisson";
  w["rate"] = "200 /s";
  w["request"]["key"] = {{"law", "uniform"}, {"items", 5000}, {"clusters", 10}, {"similarity", 0.9}};
  Outcome r = run(s);
  EXPECT_LT(cache_of(r).entries, 40U);
  EXPECT_EQ(cache_of(r).lookups - cache_of(r).hits, cache_of(r).writes);
  EXPECT_NEAR(r.summary.value("cache_wrong.front/cache-1"), 0.5, 0.05);
  EXPECT_NEAR(r.summary.value("accuracy"), 0.4, 0.04);
  s["services"]["front"]["caches"][0]["similarity"]["threshold"] = 0.95;
  r = run(s);
  EXPECT_EQ(cache_of(r).similar, 0U);
  EXPECT_EQ(r.summary.value("cache_wrong.front/cache-1"), 0);
  EXPECT_NEAR(r.summary.value("accuracy"), 0.8, 1e-12);
}

// Four servers of a store by key: the same item always meets the same one, by either hash.
TEST(Caching, KeysBelongToShards) {
  for (const char* routing : {"consistent-hash", "modulo-hash"}) {
    json s = chain();
    s["nodes"]["b"]["count"] = 4;
    s["services"]["store"]["replicas"] = 4;
    s["services"]["store"]["routing"] = routing;
    s["services"]["store"]["caches"] = json::parse(R"([{"entries": 10000}])");
    s["workload"][0].erase("times");
    s["workload"][0]["source"] = "poisson";
    s["workload"][0]["rate"] = "20 /s";
    s["workload"][0]["request"]["key"]["items"] = 100;
    const auto c = of(run(s).summary, "store").caches.at(0);
    EXPECT_LE(c.lookups - c.hits, 105U) << routing;  // one each, and some at once
    EXPECT_EQ(c.entries, 100U) << routing;
  }
}

// Requests for one item are equal, and the same whatever the caches.
TEST(Caching, EqualKeysAreEqualRequests) {
  json s = chain();
  s["workload"][0].erase("times");
  s["workload"][0]["source"] = "poisson";
  s["workload"][0]["rate"] = "5 /s";
  s["workload"][0]["request"]["key"]["items"] = 1;
  s["workload"][0]["request"]["download"] = {{"distribution", "exponential"}, {"mean", "1 kB"}};
  const Outcome r = run(s);
  for (const auto& q : r.requests) EXPECT_EQ(q.download, r.requests[0].download);
  s["workload"][0]["request"]["key"]["lifetime"] = "20 s";
  const Outcome changing = run(s);
  std::set<double> sizes;
  for (const auto& q : changing.requests) sizes.insert(q.download);
  EXPECT_GE(sizes.size(), 3U);
  EXPECT_LE(sizes.size(), 4U);
}

// A hit gives all tokens of a language model's answer at once.
TEST(Caching, LanguageModelsAnswerFromCaches) {
  json s = chain();
  s["nodes"]["b"] = {{"device", "nvidia-a100-80g"}};
  s["services"]["store"] = {{"model", "llama-3.1-8b"}, {"on", "b"}, {"accuracy", 0.7}};
  s["services"]["store"]["caches"] = json::parse(R"([{"entries": 10}])");
  s["workload"][0]["request"]["prompt_tokens"] = 500;
  s["workload"][0]["request"]["output_tokens"] = 50;
  Outcome r = run(s);
  ASSERT_EQ(r.summary.completed, 2U);
  EXPECT_EQ(r.requests[1].cache, 1);
  EXPECT_EQ(r.requests[1].accuracy, 0.7);
  EXPECT_EQ(of(r.summary, "store").engine->prompt_tokens, 500U);
  EXPECT_LT(r.requests[1].first_token - r.requests[1].created, Duration::from_seconds(0.02));
  EXPECT_NEAR(r.latency_ms(1), 3 + 10 + 2.5 + 4 + 12, 1e-5);
}

TEST(Caching, MistakesAreNamed) {
  const auto problem = [](const char* pointer, const json& value) {
    json s = chain();
    s[json::json_pointer(pointer)] = value;
    return first_problem(s);
  };
  const auto has = [&](const char* pointer, const json& value, const char* text) {
    const std::string p = problem(pointer, value);
    EXPECT_NE(p.find(text), std::string::npos) << p;
  };
  has("/services/store/calls", {{"service", "front"}}, "circle");
  has("/services/front/calls/service", "front", "cannot call itself");
  has("/services/front/calls/service", "stroe", "did you mean");
  has("/services/front/caches", json::array(), "at least 1");
  has("/services/front/caches", json::parse(R"([{"entries": 0}])"), "must be >= 1");
  has("/services/front/caches", json::parse(R"([{"capacity": "0 B"}])"), "must be > 0");
  has("/services/front/caches", json::parse(R"([{"replacement": "lur"}])"), "did you mean \"lru\"");
  has("/services/front/caches", json::parse(R"([{"ttl_from": "use"}])"), "only with \"ttl\"");
  has("/services/front/caches", json::parse(R"([{"miss": "1 B"}])"), "only with \"server\"");
  has("/services/front/caches", json::parse(R"([{"server": "mc", "coalesce": true}])"), "not with");
  has("/services/front/caches", json::parse(R"([{"server": "front"}])"), "cannot call itself");
  has("/services/front/caches", json::parse(R"([{"name": "x"}, {"name": "x"}])"), "second cache");
  has("/services/front/caches", json(9, json::object()), "at most 8");
  has("/services/front/caches",
      json::parse(R"([{"similarity": {"threshold": 1, "suits": [[1, 1]]}}])"), "below 1");
  has("/services/front/caches",
      json::parse(R"([{"similarity": {"threshold": 0.5, "suits": [[1, 1], [0.5, 0]]}}])"), "increase");
  has("/services/front/caches_hold", "calls", "only with \"caches\"");
  has("/services/mc", json::parse(R"({"service_time": "1 s", "on": "users"})"), "no error");
  has("/workload/0/request/key", {{"law", "zipf"}, {"items", 10}}, "exponent");
  has("/workload/0/request/key", {{"law", "uniform"}, {"items", 0}}, "must be >= 1");
  has("/workload/0/request/key", {{"law", "trace"}}, "column \"key\"");
  has("/workload/0/request/key", {{"law", "uniform"}, {"items", 2}, {"similarity", 1}}, "clusters");
  json s = chain();
  s["services"]["mc"]["caches"] = json::parse(R"([{"entries": 1}])");
  s["services"]["front"]["caches"] = json::parse(R"([{"server": "mc"}])");
  EXPECT_NE(first_problem(s).find("caches or calls of its own"), std::string::npos);
  s = chain();
  s["services"]["store"]["on"] = "users";
  EXPECT_NE(first_problem(s).find("\"local\" to false"), std::string::npos);
}

}  // namespace
}  // namespace isthmus::scenarios
