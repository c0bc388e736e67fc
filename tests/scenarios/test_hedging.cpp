// Hedged and cloned requests: scenario files, and whole runs by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using testing::first_problem;
using testing::load_json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A phone sends 100 kB at 1 MB/s after 10 ms to one of two servers, which takes 100 ms; the answer
// takes 10 ms: 220 ms. The first server's link has a tenth of that, so that 100 kB take 1 s: 1.12 s.
json phone(const json& hedging = json()) {
  json s = {{"isthmus", 1},
            {"name", "t"},
            {"duration", "100 s"},
            {"nodes",
             {{"phone", {{"tier", "device"}, {"upload_power", "2 W"}, {"download_power", "1 W"}}},
              {"server", {{"count", 2}, {"tier", "cloud"}}}}},
            {"network",
             {{"links", {{"nic", {{"bandwidth", "8 Mbps"}, {"latency", "10 ms"}}}}},
              {"access", {{"server", {"nic"}}}}}},
            {"services", {{"s", {{"service_time", "100 ms"}, {"on", "server"}, {"replicas", 2},
                                 {"routing", "round-robin"}}}}},
            {"workload",
             {{{"source", "times"},
               {"times", {"0 s"}},
               {"target", "s"},
               {"clients", {{"on", "phone"}}},
               {"request", {{"upload", "100 kB"}, {"download", "0 B"}}}}}},
            {"faults", {{{"link", "nic"}, {"index", 0}, {"capacity", 0.1}, {"at", "0 s"}}}}};
  if (!hedging.is_null()) s["workload"][0]["request"]["hedging"] = hedging;
  return s;
}

// Two services without a network: one takes 10 s, the other 1 s.
json slow_and_fast(const json& hedging) {
  const auto service = [](const char* time) {
    return json{{"service_time", time}, {"on", "server"}, {"local", false}};
  };
  return {{"isthmus", 1},
          {"name", "t"},
          {"duration", "100 s"},
          {"nodes", {{"server", {{"count", 1}}}}},
          {"network", json::object()},
          {"services", {{"slow", service("10 s")}, {"fast", service("1 s")}}},
          {"workload",
           {{{"source", "times"},
             {"times", {"0 s"}},
             {"target", "slow"},
             {"name", "hedged"},
             {"clients", {{"on", "server"}}},
             {"request", {{"hedging", hedging}}}},
            {{"source", "times"},
             {"times", {"1 s"}},
             {"target", "slow"},
             {"name", "other"},
             {"clients", {{"on", "server"}}}}}}};
}

// With both backends; the records are those of the fluid one.
struct Runs {
  std::vector<results::Summary> summaries;
  std::vector<results::RequestRecord> records;  // by number
};

// `ties`: copies end at the same instant, and the nanosecond by which backends may differ decides
// who wins, and so who is served next.
Runs both(json s, bool ties = false) {
  Runs made;
  for (const char* model : {"fluid", "simgrid"}) {
    s["network"]["model"] = model;
    world::RunOptions options;
    if (made.summaries.empty())
      options.on_request = [&](const results::RequestRecord& r) { made.records.push_back(r); };
    made.summaries.push_back(world::run(*load_json(s).scenario, options));
  }
  std::sort(made.records.begin(), made.records.end(),
            [](const auto& a, const auto& b) { return a.request < b.request; });
  const results::Summary &a = made.summaries[0], &b = made.summaries[1];
  EXPECT_EQ(made.records.size(), a.created);
  EXPECT_EQ(a.conservation_line(), b.conservation_line());
  for (const results::Metric& m : a.metrics) {
    if (std::isnan(m.value) || (ties && m.name != "latency.mean")) continue;
    const double apart = ties ? 0.05 * m.value : 5e-9 * std::max(1.0, std::abs(m.value));
    EXPECT_NEAR(m.value, b.value(m.name), apart) << m.name;
  }
  return made;
}

constexpr double ns = 3e-9;
double seconds(Instant t) { return (t - Instant::zero()).seconds(); }

TEST(Hedging, TheSecondCopyWinsAndTheFirstUploadIsCut) {
  EXPECT_NEAR(both(phone()).summaries[0].value("latency.mean"), 1.12, ns);
  // Hedged at 0.3 s: there at 0.41, served at 0.51, answered at 0.52. The first copy has sent from
  // 0.01 s on.
  const Runs r = both(phone({{"delay", "300 ms"}}));
  for (const results::Summary& s : r.summaries) {
    EXPECT_NEAR(s.value("latency.mean"), 0.52, ns);
    EXPECT_NEAR(s.links.at(0).bytes, 100e3 + 0.51 * 100e3, 1);
    EXPECT_EQ(s.value("hedge_copies"), 1);
    EXPECT_EQ(s.value("hedge_wins"), 1);
    EXPECT_EQ(s.value("hedge_wins.0"), 0);
    EXPECT_EQ(s.value("hedge_wins.1"), 1);
    EXPECT_EQ(s.value("hedge_wasted"), 0);  // it never got to a server
  }
  const results::RequestRecord& first = r.records.at(0);
  EXPECT_EQ(first.copies, 2);
  EXPECT_EQ(first.winner, 1);
  EXPECT_EQ(first.attempts, 1);
  EXPECT_EQ(first.replica, 1U);
  EXPECT_NEAR(seconds(first.sent), 0.3, ns);
  EXPECT_NEAR(seconds(first.arrived), 0.41, ns);
  EXPECT_NEAR(seconds(first.completed), 0.52, ns);
  // Its client pays for both uploads, and for the answer.
  EXPECT_NEAR(first.client_energy, 2 * (0.52 + 0.11) + 1 * 0.01, 1e-7);
}

TEST(Hedging, AnAnswerBeforeTheDelayIsAlone) {
  json s = phone({{"delay", "300 ms"}});
  s["workload"][0]["times"] = {"0 s", "1 s"};  // the second one goes to the second server
  const Runs r = both(s);
  EXPECT_EQ(r.records.at(1).copies, 1);
  EXPECT_EQ(r.records.at(1).winner, 0);
  EXPECT_NEAR(seconds(r.records.at(1).completed), 1.22, ns);
  EXPECT_EQ(r.summaries[0].value("hedge_copies"), 0.5);
  EXPECT_EQ(r.summaries[0].value("hedge_wins"), 0.5);
}

// Both wait for 1 s, start together and end together: the second one's second was for nothing.
TEST(Hedging, CopiesInQueuesLeaveOrStart) {
  json s = slow_and_fast({{"delay", "200 ms"}});
  s["services"] = {{"s", {{"service_time", "1 s"}, {"on", "server"}, {"local", false}, {"replicas", 2},
                          {"routing", "round-robin"}}}};
  s["workload"][1]["target"] = s["workload"][0]["target"] = "s";
  s["workload"][1]["times"] = {"0 s", "0 s"};
  s["workload"][0]["times"] = {"100 ms"};
  Runs r = both(s);
  EXPECT_NEAR(seconds(r.records.at(2).completed), 2, ns);
  EXPECT_EQ(r.records.at(2).winner, 0);
  EXPECT_NEAR(r.records.at(2).wasted, 1, 1e-6);
  EXPECT_NEAR(r.summaries[0].value("hedge_wasted"), 1, ns);
  // Another one before the copy at the second server: the copy leaves the queue.
  s["workload"][1]["times"] = {"0 s", "0 s", "50 ms", "50 ms"};
  s["workload"][0]["times"] = {"100 ms"};
  r = both(s);
  EXPECT_NEAR(seconds(r.records.at(4).completed), 3, ns);
  // Queues of 0.1 s and 1 s at replicas 0 and 1: the first copy starts first, and the other one leaves
  // its queue, so that a request after it starts at 2 s as if it had never been there.
  s["workload"][1]["times"] = {"0 s", "0 s", "50 ms", "60 ms", "400 ms"};
  s["services"]["s"]["routing"] = "least-outstanding";
  r = both(s);
  EXPECT_EQ(r.summaries[0].completed, 6U);
  EXPECT_EQ(r.summaries[0].value("hedge_copies"), 1);
}

TEST(Hedging, AStoppedServerIsFreeAtOnce) {
  // To the fast service after 2 s, answered at 3 s.
  Runs r = both(slow_and_fast({{"delay", "2 s"}, {"to", "fast"}}));
  EXPECT_NEAR(seconds(r.records.at(0).completed), 3, ns);
  EXPECT_EQ(r.records.at(0).service, 0U);  // by name
  EXPECT_EQ(r.records.at(0).first_choice, 1U);
  EXPECT_NEAR(r.records.at(0).wasted, 3, 1e-6);
  EXPECT_NEAR(seconds(r.records.at(1).started), 3, ns);
  EXPECT_NEAR(seconds(r.records.at(1).completed), 13, ns);
  // Left alone it runs to its end.
  r = both(slow_and_fast({{"delay", "2 s"}, {"to", "fast"}, {"cancel", false}}));
  EXPECT_NEAR(seconds(r.records.at(0).completed), 3, ns);
  EXPECT_NEAR(r.records.at(0).wasted, 3, 1e-6);
  EXPECT_NEAR(seconds(r.records.at(1).started), 10, ns);
  EXPECT_NEAR(r.summaries[0].value("hedge_wasted"), 10, ns);
}

TEST(Hedging, ABatchGoesOnForOthers) {
  json s = slow_and_fast({{"delay", "2 s"}, {"to", "fast"}});
  s["services"]["slow"]["batching"] = {{"policy", "dynamic"}, {"max_batch", 2}, {"max_queue_delay", "1 s"}};
  s["workload"][1]["times"] = {"0 s", "0 s"};
  Runs r = both(s);
  // Requests 0 and 1 share a batch; 2 waits for its end, though 0 was answered at 3 s.
  EXPECT_NEAR(seconds(r.records.at(0).completed), 3, ns);
  EXPECT_NEAR(seconds(r.records.at(1).completed), 10, ns);
  EXPECT_GT(seconds(r.records.at(2).started), 10 - ns);
  // Two hedged requests in one batch: it ends with the last of them.
  s["workload"][0]["times"] = {"0 s", "0 s"};
  s["workload"][1]["times"] = {"1 s", "1 s"};
  s["services"]["fast"]["slots"] = 2;
  r = both(s);
  EXPECT_NEAR(seconds(r.records.at(2).started), 3, ns);
}

TEST(Hedging, ClonesLeaveAtOnceAndTheFastestWins) {
  json s = phone({{"copies", 4}});
  s["nodes"]["server"]["count"] = 4;
  s["services"]["s"]["replicas"] = 3;
  const Runs r = both(s);
  EXPECT_EQ(r.records.at(0).copies, 3);  // one for each replica
  EXPECT_EQ(r.records.at(0).winner, 1);
  EXPECT_NEAR(r.summaries[0].value("latency.mean"), 0.22, ns);
}

TEST(Hedging, NobodyElseNoCopy) {
  json s = phone({{"delay", "300 ms"}});
  s["services"]["s"]["replicas"] = 1;
  const LoadedScenario loaded = load_json(s);
  EXPECT_THAT(loaded.scenario->notices, ElementsAre(HasSubstr("request.hedging has no effect")));
  Runs r = both(s);
  EXPECT_EQ(r.records.at(0).copies, 1);
  EXPECT_NEAR(r.summaries[0].value("latency.mean"), 1.12, ns);
  // The other one is down when its time has come.
  s = phone({{"delay", "300 ms"}});
  s["faults"].push_back({{"node", "server"}, {"index", 1}, {"at", "0.2 s"}});
  r = both(s);
  EXPECT_EQ(r.records.at(0).copies, 1);
  EXPECT_NEAR(r.summaries[0].value("latency.mean"), 1.12, ns);
}

TEST(Hedging, ACopySurvivesAFailure) {
  json s = phone({{"delay", "300 ms"}});
  // The second copy is lost in service at 0.45 s: the first one goes on.
  s["faults"].push_back({{"node", "server"}, {"index", 1}, {"at", "0.45 s"}, {"lasts", "1 s"}});
  Runs r = both(s);
  EXPECT_NEAR(seconds(r.records.at(0).completed), 1.12, ns);
  EXPECT_EQ(r.records.at(0).attempts, 1);
  EXPECT_EQ(r.records.at(0).copies, 2);
  EXPECT_EQ(r.records.at(0).winner, 0);
  EXPECT_NEAR(r.records.at(0).wasted, 0.04, 1e-6);
  // The first copy's link fails: the second one carries on, with the deadline and the energy of both.
  s = phone({{"delay", "300 ms"}});
  s["faults"] = {{{"link", "nic"}, {"index", 0}, {"at", "0.05 s"}}};
  s["services"]["s"]["service_time"] = "1 s";
  s["workload"][0]["request"]["hedging"]["delay"] = "20 ms";
  s["workload"][0]["request"]["deadline"] = "10 s";
  r = both(s);
  EXPECT_NEAR(seconds(r.records.at(0).completed), 0.02 + 0.11 + 1 + 0.01, ns);
  EXPECT_EQ(r.records.at(0).winner, 1);
  EXPECT_EQ(r.records.at(0).copies, 2);
  EXPECT_NEAR(r.records.at(0).client_energy, 2 * (0.05 + 0.11) + 0.01, 1e-7);
  s["workload"][0]["request"]["deadline"] = "500 ms";
  r = both(s);
  EXPECT_EQ(r.summaries[0].by_cause.at("cancelled"), 1U);
  // Both fail: one retry, with copies of its own.
  s["workload"][0]["request"]["deadline"] = "100 s";
  s["workload"][0]["request"]["retries"] = 1;
  s["workload"][0]["request"]["retry_backoff"] = "2 s";
  s["faults"] = {{{"link", "nic"}, {"at", "0.05 s"}, {"lasts", "1 s"}}};
  r = both(s);
  EXPECT_EQ(r.records.at(0).attempts, 2);
  EXPECT_EQ(r.records.at(0).copies, 3);
  EXPECT_EQ(r.summaries[0].completed, 1U);
}

TEST(Hedging, TimeoutsAreForAllCopies) {
  // The attempt ends at 1.5 s with both of its copies; the next one starts 1 s later.
  json s = slow_and_fast({{"delay", "1 s"}, {"to", "fast"}});
  s["workload"][0]["request"]["attempt_timeout"] = "1500 ms";
  s["workload"][0]["request"]["retries"] = 1;
  Runs r = both(s);
  EXPECT_EQ(r.summaries[0].by_cause.at("cancelled"), 1U);
  EXPECT_EQ(r.records.at(0).copies, 3);
  EXPECT_EQ(r.records.at(0).attempts, 2);
  EXPECT_NEAR(r.summaries[0].value("hedge_wasted"), 2 * 0.5, ns);
  // In time with a shorter delay, from the start of the attempt on.
  s["workload"][0]["request"]["hedging"]["delay"] = "400 ms";
  r = both(s);
  EXPECT_NEAR(seconds(r.records.at(0).completed), 1.4, ns);
  // The patience goes on when the first copy is gone: it fails at 0.05 s, the second one is too slow.
  s = phone({{"delay", "20 ms"}});
  s["faults"] = {{{"link", "nic"}, {"index", 0}, {"at", "0.05 s"}}};
  s["services"]["s"]["service_time"] = "1 s";
  s["workload"][0]["request"]["attempt_timeout"] = "500 ms";
  r = both(s);
  EXPECT_EQ(r.summaries[0].by_cause.at("cancelled"), 1U);
  // The deadline ends all of them.
  s = slow_and_fast({{"delay", "1 s"}, {"to", "fast"}});
  s["workload"][0]["request"]["deadline"] = "1900 ms";
  r = both(s);
  EXPECT_EQ(r.summaries[0].failed, 1U);
  EXPECT_EQ(r.summaries[0].completed, 1U);
}

TEST(Hedging, TheBudgetIsNeverExceeded) {
  json s = slow_and_fast({{"delay", "1 s"}, {"to", "fast"}, {"budget", 0.25}});
  s["services"]["slow"]["slots"] = 100;
  s["workload"].erase(1);
  s["workload"][0]["times"] = json::array();
  for (int i = 0; i < 11; ++i) s["workload"][0]["times"].push_back(std::to_string(20 * i) + " ms");
  const Runs r = both(s);
  EXPECT_NEAR(r.summaries[0].value("hedge_copies"), 2.0 / 11, 1e-12);
  s["workload"][0]["request"]["hedging"]["budget"] = 0;
  EXPECT_EQ(both(s).summaries[0].value("hedge_copies"), 0);
}

// Four of five requests take 220 ms, the others 1.12 s. From the answers so far on, the 75th percentile
// is the delay.
TEST(Hedging, DelaysAreLearned) {
  json s = phone({{"after_percentile", 0.75}, {"window", 50}});
  s["nodes"]["server"]["count"] = 5;
  s["services"]["s"]["replicas"] = 5;
  s["workload"][0]["times"] = json::array();
  for (int i = 0; i < 20; ++i) s["workload"][0]["times"].push_back(std::to_string(2 * i) + " s");
  const Runs r = both(s);
  // Request 0 is slow and alone. Request 5 is slow, hedged 1 us after 220 ms and answered 220 ms later.
  EXPECT_EQ(r.records.at(0).copies, 1);
  EXPECT_NEAR(seconds(r.records.at(0).completed), 1.12, ns);
  EXPECT_EQ(r.records.at(5).copies, 2);
  EXPECT_NEAR(seconds(r.records.at(5).completed), 10.440001, ns);
}

TEST(Hedging, CostsOfAllCopiesCount) {
  json s = phone({{"copies", 2}});
  s.erase("faults");
  const Runs one = both([&] {
    json t = s;
    t["workload"][0]["request"].erase("hedging");
    return t;
  }());
  const Runs two = both(s);
  EXPECT_NEAR(two.summaries[0].links.at(0).bytes, 2 * one.summaries[0].links.at(0).bytes, 1);
  EXPECT_NEAR(two.records.at(0).client_energy, 2 * one.records.at(0).client_energy, 0.02);
  EXPECT_NEAR(two.summaries[0].value("latency.mean"), one.summaries[0].value("latency.mean"), ns);
}

// A language model on two GPUs; the first one's link is slow.
json chat(const json& hedging) {
  return {{"isthmus", 1},
          {"name", "t"},
          {"duration", "60 s"},
          {"nodes",
           {{"phone", {{"tier", "device"}, {"zone", "field"}}},
            {"gpu", {{"device", "nvidia-a100-80g"}, {"zone", "cloud"}, {"count", 2}}}}},
          {"network",
           {{"links", {{"nic", {{"bandwidth", "80 Mbps"}, {"latency", "1 ms"}}}}},
            {"access", {{"gpu", {"nic"}}}},
            {"routes", {{{"from", "field"}, {"to", "cloud"}, {"links", json::array()}}}}}},
          {"services",
           {{"chat", {{"model", "llama-3.1-8b"}, {"on", "gpu"}, {"replicas", 2}, {"routing", "round-robin"},
                      {"batching", {{"policy", "continuous"}}}}}}},
          {"workload",
           {{{"source", "times"},
             {"times", {"1 s"}},
             {"clients", {{"on", "phone"}}},
             {"request", {{"prompt_tokens", 500}, {"output_tokens", 200}, {"upload", "10 kB"},
                          {"download_per_token", "1 kB"}, {"hedging", hedging}}}}}},
          {"faults", {{{"link", "nic"}, {"index", 0}, {"capacity", 0.01}, {"at", "0 s"}}}}};
}

TEST(Hedging, LanguageModelsStopAndForget) {
  const Runs r = both(chat({{"copies", 2}}));
  EXPECT_EQ(r.records.at(0).winner, 1);
  EXPECT_EQ(r.records.at(0).copies, 2);
  EXPECT_GT(r.records.at(0).wasted, 1);
  // Left alone, the first copy decodes to its end.
  const Runs left = both(chat({{"copies", 2}, {"cancel", false}}));
  EXPECT_EQ(left.records.at(0).completed, r.records.at(0).completed);
  EXPECT_GT(left.summaries[0].value("hedge_wasted"), r.summaries[0].value("hedge_wasted"));
  // Streamed, the first message decides, though the whole answer is far from there.
  json s = chat({{"copies", 2}});
  s["workload"][0]["request"]["streaming"] = true;
  const Runs streamed = both(s);
  const results::RequestRecord& q = streamed.records.at(0);
  EXPECT_EQ(q.winner, 1);
  EXPECT_LT(q.wasted, 0.2);
  EXPECT_LT(streamed.summaries[0].services[0].iterations, left.summaries[0].services[0].iterations);
  // The first GPU is free at once: a later request is as fast there as on an idle one.
  s.erase("faults");
  s["workload"].push_back(s["workload"][0]);
  s["workload"][1]["request"].erase("hedging");
  s["workload"][1]["times"] = {"1500 ms", "1500 ms"};
  const Runs later = both(s);
  const auto serving = [](const results::RequestRecord& x) { return (x.served - x.started).seconds(); };
  const double one = serving(later.records.at(1)), two = serving(later.records.at(2));
  EXPECT_NE(later.records.at(1).replica, later.records.at(2).replica);
  EXPECT_GT(std::abs(one - two), 1e-3);  // one of them has the winning copy beside it
}

// Clones through pools, protocols, caches, batches, tasks and closed loops: all end, nothing stays.
TEST(Hedging, GoesTogetherWithTheRest) {
  std::vector<json> all;
  json s = chat({{"copies", 2}});
  s.erase("faults");
  s["network"]["links"]["nic"]["bandwidth"] = "100 Gbps";
  s["nodes"]["gpu"]["count"] = 4;
  s["services"]["chat"].erase("replicas");
  s["services"]["chat"]["pools"] = {{"p", {{"role", "prefill"}, {"replicas", 2}}},
                                    {"d", {{"role", "decode"}, {"replicas", 2}}}};
  s["workload"][0]["source"] = "poisson";
  s["workload"][0]["rate"] = "6 /s";
  s["workload"][0].erase("times");
  s["workload"][0]["limit"] = 200;
  for (const char* transfer : {"after-prefill", "layerwise"}) {
    s["services"]["chat"]["kv_transfer"] = transfer;
    all.push_back(s);
    all.back()["workload"][0]["request"]["streaming"] = true;
    all.push_back(s);
  }
  s = phone({{"copies", 2}});
  s.erase("faults");
  s["workload"][0] = {{"source", "closed"}, {"limit", 200}, {"target", "s"},
                      {"think", {{"distribution", "exponential"}, {"mean", "200 ms"}}},
                      {"clients", {{"on", "phone"}, {"count", 3}}},
                      {"request", s["workload"][0]["request"]}};
  s["services"]["s"]["service_time"] = {{"distribution", "exponential"}, {"mean", "50 ms"}};
  all.push_back(s);
  s["workload"][0]["task"] = {{"steps", 3}};
  all.push_back(s);
  s["protocols"]["p"] = {{"encryption", "tls-1.3"},
                         {"connections", {{"idle_timeout", "1 s"}}},
                         {"broker", {{"time", "3 ms"}, {"workers", 1}}}};
  s["services"]["s"]["protocol"] = "p";
  all.push_back(s);
  s["services"]["s"]["batching"] = {{"policy", "greedy"}, {"max_batch", 3}};
  all.push_back(s);
  s["services"]["s"]["caches"] = {{{"name", "c"}, {"scope", "node"}, {"entries", 4}, {"coalesce", true}}};
  s["workload"][0]["request"]["key"] = {{"law", "uniform"}, {"items", 9}};
  all.push_back(s);
  for (json& one : all) {
    for (const bool cancel : {true, false}) {
      SCOPED_TRACE(one["services"].dump() + (cancel ? " cancelled" : ""));
      one["workload"][0]["request"]["hedging"]["cancel"] = cancel;
      const Runs r = both(one, true);
      EXPECT_EQ(r.summaries[0].completed, r.summaries[0].created) << one.dump();
      EXPECT_GE(r.summaries[0].created, 200U);
      EXPECT_NEAR(r.summaries[0].value("hedge_copies"), 1, 0.02);
      EXPECT_GT(r.summaries[0].value("hedge_wins"), 0.1);
      EXPECT_GT(r.summaries[0].value("hedge_wasted"), 0);
    }
  }
}

TEST(Hedging, Errors) {
  EXPECT_THAT(first_problem(phone({{"delay", "1 s"}, {"after_percentile", 0.9}})),
              HasSubstr("/workload/0/request/hedging/delay: the percentile says when"));
  EXPECT_THAT(first_problem(phone({{"window", 10}})), HasSubstr("needs \"after_percentile\""));
  EXPECT_THAT(first_problem(phone({{"after_percentile", 0.99}, {"window", 50}})),
              HasSubstr("a window of 50 answers has no such percentile; it takes 100 at least"));
  EXPECT_THAT(first_problem(phone({{"to", "z"}})), HasSubstr("there is no service \"z\""));
  EXPECT_THAT(first_problem(phone({{"copies", 0}})), HasSubstr("copies"));
  EXPECT_THAT(first_problem(phone({{"after_percentile", 1}})), HasSubstr("after_percentile"));
  EXPECT_THAT(first_problem(phone({{"dely", "1 s"}})), HasSubstr("did you mean \"delay\""));
  json s = phone({{"to", "l"}});
  s["nodes"]["other"] = {{"tier", "edge"}};
  s["services"]["l"] = {{"service_time", "1 s"}, {"on", "other"}, {"local", true}};
  EXPECT_THAT(first_problem(s), HasSubstr("set its \"local\" to false"));
}

}  // namespace
}  // namespace isthmus::scenarios
