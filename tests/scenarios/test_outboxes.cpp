// Store and forward: scenario files, whole runs by hand, autonomy of an edge site.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "results/metrics.hpp"
#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using testing::first_problem;
using testing::load_json;
using ::testing::HasSubstr;

constexpr double ns = 5e-9;

// Messages of 100 kB every second from 0 s on, over 1 MB/s and 10 ms: 0.11 s there, 0.01 s back.
json site(const json& outbox = json::object()) {
  json s = {{"isthmus", 1},
            {"name", "t"},
            {"duration", "199.5 s"},
            {"nodes",
             {{"edge", {{"tier", "edge"}, {"zone", "site"}}}, {"cloud", {{"tier", "cloud"}, {"zone", "region"}}}}},
            {"network",
             {{"links", {{"wan", {{"bandwidth", "8 Mbps"}, {"latency", "10 ms"}}}}},
              {"routes", {{{"from", "site"}, {"to", "region"}, {"links", {"wan"}}}}}}},
            {"services", {{"s", {{"service_time", "100 ms"}, {"on", "edge"}, {"local", false}}}}},
            {"workload",
             {{{"source", "times"}, {"times", {"0 s", "50 s", "80 s"}}, {"target", "s"},
               {"clients", {{"on", "edge"}}}}}},
            {"outboxes",
             {{"logs",
               {{"from", "edge"},
                {"to", "cloud"},
                {"ack", "0 B"},
                {"reconnect", {{"by", "link-up"}, {"interval", "1000 s"}, {"longest", "1000 s"}}},
                {"messages", {{"m", {{"interval", "1 s"}, {"start", "0 s"}, {"bytes", "100 kB"}}}}}}}}}};
  s["outboxes"]["logs"].update(outbox);
  return s;
}

json outage(json s, const char* at, const char* lasts) {
  s["faults"].push_back({{"link", "wan"}, {"at", at}, {"lasts", lasts}});
  return s;
}

std::vector<results::Summary> both(json s) {
  std::vector<results::Summary> made;
  for (const char* model : {"fluid", "simgrid"}) {
    s["network"]["model"] = model;
    made.push_back(world::run(*load_json(s).scenario, {}));
    const auto& r = made.back();
    EXPECT_EQ(r.value("outbox_made.logs"),
              r.value("outbox_delivered.logs") + r.value("outbox_dropped.logs") +
                  r.value("outbox_lost_network.logs") + r.value("outbox_lost_node.logs") +
                  r.value("outbox_queued.logs"));
  }
  for (const results::MetricDefinition& d : results::metric_definitions())
    if (const std::size_t at = d.name.find("<outbox>"); at != std::string_view::npos) {
      const std::string name = std::string(d.name).replace(at, 8, "logs");
      EXPECT_TRUE(std::any_of(made[0].metrics.begin(), made[0].metrics.end(),
                              [&](const results::Metric& m) { return m.name == name; }))
          << name;
    }
  for (const results::Metric& m : made[0].metrics)
    if (m.name.starts_with("outbox_") && !std::isnan(m.value)) {
      EXPECT_NEAR(m.value, made[1].value(m.name), ns) << m.name;
    }
  return made;
}

TEST(Outboxes, ForwardAtOnceWhileThePathIsUp) {
  const auto r = both(site())[0];
  EXPECT_EQ(r.value("outbox_made.logs"), 200);
  EXPECT_EQ(r.value("outbox_delivered.logs"), 200);
  EXPECT_EQ(r.value("outbox_queued.logs"), 0);
  EXPECT_NEAR(r.value("outbox_age.logs.mean"), 0.11, ns);
  EXPECT_NEAR(r.value("outbox_age.logs.max"), 0.11, ns);
  EXPECT_EQ(r.value("outbox_backlog.logs"), 1);
  EXPECT_EQ(r.value("outbox_backlog_bytes.logs"), 1e5);
  EXPECT_EQ(r.value("outbox_bytes.logs"), 2e7);
  EXPECT_EQ(r.value("outbox_partitions.logs"), 0);
  EXPECT_TRUE(std::isnan(r.value("outbox_catch_up.logs.mean")));
}

TEST(Outboxes, CatchUpAfterAPartition) {
  // Messages of 10 ... 70 s wait at 70 s; one is done every 0.12 s, one more comes every second: the 69th
  // leaves nothing behind. By hand: 61 / (1/0.12 - 1) = 8.32 s.
  auto r = both(outage(site(), "10 s", "60 s"))[0];
  EXPECT_EQ(r.value("outbox_delivered.logs"), 200);
  EXPECT_EQ(r.value("outbox_partitions.logs"), 1);
  EXPECT_EQ(r.value("outbox_failures.logs"), 1);
  EXPECT_EQ(r.value("outbox_backlog.logs"), 61);
  EXPECT_NEAR(r.value("outbox_catch_up.logs.mean"), 69 * 0.12, 70 * ns);
  EXPECT_NEAR(r.value("outbox_age.logs.max"), 60.11, ns);
  // Probes every 7 s find the path 3 s late.
  r = both(outage(site({{"reconnect", {{"interval", "7 s"}, {"backoff", 1}, {"jitter", 0}}}}), "10 s", "60 s"))[0];
  EXPECT_EQ(r.value("outbox_failures.logs"), 9);
  EXPECT_NEAR(r.value("outbox_catch_up.logs.mean"), 3 + 72 * 0.12, 73 * ns);
  // Waits of 5, 10, 20, 40 s: 10, 15, 25, 45, 85.
  r = both(outage(site({{"reconnect", {{"jitter", 0}}}}), "10 s", "60 s"))[0];
  EXPECT_EQ(r.value("outbox_failures.logs"), 4);
  EXPECT_NEAR(r.value("outbox_age.logs.max"), 75.11, ns);
  // Jitter only shortens.
  r = both(outage(site({{"reconnect", {{"jitter", 1}}}}), "10 s", "60 s"))[0];
  EXPECT_GT(r.value("outbox_failures.logs"), 4);
  // 60 waiting messages at once take 6.02 s; one batch of those made meanwhile is not behind.
  r = both(outage(site({{"batch", 100}}), "10 s", "60 s"))[0];
  EXPECT_NEAR(r.value("outbox_catch_up.logs.mean"), 6.02, ns);
  EXPECT_NEAR(r.value("outbox_age.logs.max"), 60 + 6.01, ns);
  // Ten at once: 1.02 s for ten. Seven of them: 70 messages, of which the last were made by 77 s.
  r = both(outage(site({{"batch", 10}}), "10 s", "60 s"))[0];
  EXPECT_NEAR(r.value("outbox_catch_up.logs.mean"), 61 / (10 / 1.02 - 1), 1.02);
  // At 500 kB/s a message takes 0.22 s.
  r = both(outage(site({{"catch_up_rate", "500 kB/s"}}), "10 s", "60 s"))[0];
  EXPECT_NEAR(r.value("outbox_catch_up.logs.mean"), 61 / (1 / 0.22 - 1), 2 * 0.22);
  EXPECT_EQ(r.value("outbox_delivered.logs"), 200);
}

TEST(Outboxes, FullOnesDropOrBlock) {
  // Twenty fit. 61 messages of 10 ... 70 s, and the first has only just left at 70 s.
  auto r = both(outage(site({{"max_messages", 20}}), "10 s", "60 s"))[0];
  EXPECT_EQ(r.value("outbox_dropped.logs"), 41);
  EXPECT_EQ(r.value("outbox_delivered.logs"), 159);
  EXPECT_NEAR(r.value("outbox_age.logs.max"), 20.11, ns);  // of 50 s
  r = both(outage(site({{"capacity", "2 MB"}, {"when_full", "drop-newest"}}), "10 s", "60 s"))[0];
  EXPECT_EQ(r.value("outbox_dropped.logs"), 41);
  EXPECT_EQ(r.value("outbox_backlog_bytes.logs"), 2e6);
  EXPECT_NEAR(r.value("outbox_age.logs.max"), 60.11, ns);
  // The message of 30 s waits until 70.12 s, and the clock with it.
  r = both(outage(site({{"max_messages", 20}, {"when_full", "block"}}), "10 s", "60 s"))[0];
  EXPECT_EQ(r.value("outbox_dropped.logs"), 0);
  EXPECT_NEAR(r.value("outbox_blocked.logs"), 40.12, ns);
  EXPECT_EQ(r.value("outbox_made.logs"), 31 + 129);  // up to 30 s, then 71.12, 72.12 ... 199.12 s
  // A message that never fits does not block for ever.
  r = both(site({{"capacity", "50 kB"}, {"when_full", "block"}}))[0];
  EXPECT_EQ(r.value("outbox_dropped.logs"), 200);
}

TEST(Outboxes, DeliveryGuarantees) {
  // The message of 5 s is there at 5.11 s, its acknowledgement dies at 5.115 s.
  const auto lost_ack = [](const char* delivery) {
    return outage(site({{"delivery", delivery}, {"ack_timeout", "2 s"}}), "5.115 s", "10 s");
  };
  for (const char* delivery : {"at-least-once", "exactly-once"}) {
    const auto r = both(lost_ack(delivery))[0];
    EXPECT_EQ(r.value("outbox_duplicates.logs"), 1);
    EXPECT_EQ(r.value("outbox_repeated.logs"), std::string(delivery) == "exactly-once" ? 0 : 1);
    EXPECT_EQ(r.value("outbox_delivered.logs"), 200);
    EXPECT_EQ(r.value("outbox_bytes.logs"), 2e7 + 1e5);
  }
  // Without acknowledgements what is on its way at 5.05 s is lost.
  auto r = both(outage(site({{"delivery", "at-most-once"}}).patch(json::parse(
                           R"([{"op": "remove", "path": "/outboxes/logs/ack"}])")),
                       "5.05 s", "10 s"))[0];
  EXPECT_EQ(r.value("outbox_lost_network.logs"), 1);
  EXPECT_EQ(r.value("outbox_delivered.logs"), 199);
  EXPECT_EQ(r.value("outbox_duplicates.logs"), 0);
  // A sink that is down takes nothing; it is back after 10 s.
  json s = site({{"ack_timeout", "1 s"}});
  s["faults"] = {{{"node", "cloud"}, {"at", "10 s"}, {"lasts", "10 s"}}};
  r = both(s)[0];
  EXPECT_EQ(r.value("outbox_delivered.logs"), 200);
  EXPECT_EQ(r.value("outbox_partitions.logs"), 1);
  EXPECT_NEAR(r.value("outbox_age.logs.max"), 10.11, ns);
}

TEST(Outboxes, SurviveTheirMachineOrNot) {
  json s = outage(site(), "5 s", "25 s");
  s["faults"].push_back({{"node", "edge"}, {"at", "10 s"}, {"lasts", "10 s"}});
  auto r = both(s)[0];
  EXPECT_EQ(r.value("outbox_made.logs"), 190);  // a machine that is down makes none
  EXPECT_EQ(r.value("outbox_delivered.logs"), 190);
  s["outboxes"]["logs"]["durable"] = false;
  r = both(s)[0];
  EXPECT_EQ(r.value("outbox_lost_node.logs"), 5);
  EXPECT_EQ(r.value("outbox_delivered.logs"), 185);
}

TEST(Outboxes, SourcesConnectionsAndTheEnd) {
  // Two round trips, then the message.
  auto r = both(site({{"reconnect", {{"trips", 2}, {"trip_bytes", "0 B"}}}}))[0];
  EXPECT_NEAR(r.value("outbox_age.logs.max"), 0.15, ns);
  EXPECT_NEAR(r.value("outbox_age.logs.mean"), 0.11 + 0.04 / 200, ns);
  // One message per request, served at 0.1, 50.1 and 80.1 s.
  json s = site();
  s["outboxes"]["logs"]["messages"] = {{"m", {{"after", "s"}, {"bytes", "100 kB"}}}};
  r = both(outage(s, "50 s", "10 s"))[0];
  EXPECT_EQ(r.value("outbox_made.logs"), 3);
  EXPECT_NEAR(r.value("outbox_age.logs.max"), 9.9 + 0.11, ns);
  // What a partition that lasts keeps is queued at the end, not lost.
  r = both(outage(site(), "100 s", "1000 s"))[0];
  EXPECT_EQ(r.value("outbox_queued.logs"), 100);
  EXPECT_EQ(r.value("outbox_delivered.logs"), 100);
  // The warm-up is not counted, but what it leaves is sent.
  s = outage(site(), "10 s", "60 s");
  s["warmup"] = "40.5 s";
  r = both(s)[0];
  EXPECT_EQ(r.value("outbox_made.logs"), 159);
  EXPECT_EQ(r.value("outbox_delivered.logs"), 159);
  EXPECT_EQ(r.value("outbox_backlog.logs"), 61);
}

// Phones ask the cloud, and the edge when the cloud is away; requests on their way then start again there.
TEST(Outboxes, TheEdgeServesWhileTheCloudIsAway) {
  json s = site();
  s["nodes"]["phone"] = {{"tier", "device"}, {"zone", "site"}};
  s["services"]["cloud-s"] = {{"service_time", "400 ms"}, {"on", "cloud"}, {"slots", 8}};
  s["workload"] = {{{"source", "deterministic"},
                    {"rate", "2 /s"},
                    {"target", "offload"},
                    {"clients", {{"on", "phone"}}},
                    {"request", {{"upload", "1 kB"}, {"retries", 1}, {"retry_backoff", "100 ms"}}}}};
  s["offload"] = {{"policy", "always-cloud"}, {"candidates", {"s", "cloud-s"}}, {"fallback", "s"}};
  for (const json& fault : {json{{"link", "wan"}, {"at", "50.2 s"}, {"lasts", "60 s"}},
                            json{{"node", "cloud"}, {"at", "50.2 s"}, {"lasts", "60 s"}}}) {
    s["faults"] = {fault};
    const auto r = both(s)[0];
    EXPECT_EQ(r.failed + r.rejected, 0U);
    EXPECT_EQ(r.in_flight, 1U);  // created at 199.5 s
    EXPECT_NEAR(r.value("share.s"), 121.0 / 399, 1.5 / 399);
    s["offload"]["fallback"] = "cloud-s";  // no autonomy
    const auto without = both(s)[0];
    // Requests fail with the link, and wait for the machine.
    EXPECT_TRUE(fault.contains("link") ? without.failed > 100 : without.value("latency.max") > 50);
    s["offload"]["fallback"] = "s";
  }
}

TEST(Outboxes, Mistakes) {
  EXPECT_THAT(first_problem(site({{"to", "edge"}})), HasSubstr("/outboxes/logs/to: must be another node group"));
  EXPECT_THAT(first_problem(site({{"to", "clud"}})), HasSubstr("did you mean \"cloud\""));
  EXPECT_THAT(first_problem(site({{"when_full", "drop-newest"}})), HasSubstr("is never full"));
  EXPECT_THAT(first_problem(site({{"messages", json::object()}})), HasSubstr("/outboxes/logs/messages"));
  const auto source = [](const json& m, const json& box = json::object()) {
    json s = site(box);
    s["outboxes"]["logs"]["messages"]["m"] = m;
    return first_problem(s);
  };
  EXPECT_THAT(source({{"bytes", "1 B"}}), HasSubstr("give either \"after\" or \"interval\""));
  EXPECT_THAT(source({{"bytes", "1 B"}, {"after", "s"}, {"interval", "1 s"}}), HasSubstr("give either"));
  EXPECT_THAT(source({{"bytes", "1 B"}, {"after", "s"}}, {{"max_messages", 1}, {"when_full", "block"}}),
              HasSubstr("requests do not wait for outboxes"));
  EXPECT_THAT(source({{"bytes", "1 B"}, {"after", "s"}}, {{"from", "cloud"}, {"to", "edge"}}),
              HasSubstr("service \"s\" does not run on \"cloud\""));
  EXPECT_THAT(first_problem(site({{"delivery", "at-most-once"}})), HasSubstr("nothing is acknowledged"));
  EXPECT_THAT(first_problem(site({{"reconnect", {{"interval", "9 s"}, {"longest", "1 s"}}}})),
              HasSubstr("must not be shorter"));
  json s = site();
  s["network"]["routes"].clear();
  EXPECT_THAT(first_problem(s), HasSubstr("no route joins"));
  s = site({{"max_messages", 5}});
  s["duration"] = "1 ms";
  s["outboxes"]["logs"]["messages"]["m"]["interval"] = "0 s";
  EXPECT_THAT(first_problem(s), HasSubstr("must be 1 us or more on average"));
  s["outboxes"]["logs"]["messages"]["m"]["interval"] = "1 us";
  EXPECT_EQ(both(s)[0].value("outbox_made.logs"), 1001);
}

}  // namespace
}  // namespace isthmus::scenarios
