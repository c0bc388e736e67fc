// Model updates of fleets: scenario files, and whole runs by hand on both backends.
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
using ::testing::HasSubstr;

constexpr double ns = 5e-9;

// Four phones with 1 MB/s each way after 10 ms, relays and an origin behind 2 MB/s after 20 ms. An
// image of 4 MB, told at once without a message.
json fleet(const json& update = json::object(), int phones = 4) {
  json s = {
      {"isthmus", 1},
      {"name", "t"},
      {"duration", "100 s"},
      {"nodes",
       {{"phone", {{"tier", "device"}, {"zone", "field"}, {"count", phones}}},
        {"relay", {{"zone", "metro"}}},
        {"origin", {{"zone", "region"}}}}},
      {"network",
       {{"model", "fluid"},
        {"links",
         {{"radio", {{"bandwidth", "8 Mbps"}, {"latency", "10 ms"}}},
          {"port", {{"bandwidth", "16 Mbps"}, {"latency", "20 ms"}}},
          {"metro", {{"bandwidth", "1 Gbps"}}}}},
        {"access", {{"phone", {"radio"}}, {"origin", {"port"}}}},
        {"routes",
         {{{"from", "field"}, {"to", "metro"}, {"links", {"metro"}}},
          {{"from", "metro"}, {"to", "region"}, {"links", json::array()}},
          {{"from", "field"}, {"to", "region"}, {"links", json::array()}},
          {{"from", "field"}, {"to", "field"}, {"links", json::array()}}}}}},
      {"services",
       {{"local", {{"service_time", "100 ms"}, {"on", "phone"}, {"local", true}}},
        {"cloud", {{"service_time", "1 ms"}, {"on", "origin"}}}}},
      {"workload",
       {{{"source", "times"}, {"times", {"0 s"}}, {"target", "cloud"}, {"clients", {{"on", "origin"}}}}}}};
  json u = {{"to", "phone"}, {"from", "origin"}, {"size", "4 MB"}, {"message", "0 B"}};
  u.update(update);
  s["updates"]["v2"] = u;
  return s;
}

// What every run keeps.
void check(const results::Summary& r) {
  for (const results::UpdateTotals& u : r.updates) {
    EXPECT_NEAR(u.from_origin + u.from_relays + u.from_peers, u.received + u.wasted, 0.1) << u.name;
    EXPECT_LE(u.serving, u.applied);
    EXPECT_LE(u.applied, u.fleet);
    for (std::size_t i = 1; i < u.progress.size(); ++i)
      EXPECT_LE(u.progress[i - 1].first, u.progress[i].first);
  }
}

std::vector<results::Summary> both(json s) {
  std::vector<results::Summary> made;
  for (const char* model : {"fluid", "simgrid"}) {
    s["network"]["model"] = model;
    made.push_back(world::run(*load_json(s).scenario, {}));
    check(made.back());
  }
  return made;
}

double metric(const results::Summary& r, const std::string& name) { return r.value(name + ".v2"); }

// Four phones share the 2 MB/s of the origin: 16 MB take 8 s.
TEST(Updates, DirectSharesTheLinkOfTheOrigin) {
  for (const auto& r : both(fleet())) {
    EXPECT_NEAR(metric(r, "update_time_first"), 8.03, ns);
    EXPECT_NEAR(metric(r, "update_time_all"), 8.03, ns);
    EXPECT_NEAR(metric(r, "update_bytes_origin"), 16e6, 1);
    EXPECT_EQ(metric(r, "update_bytes_wasted"), 0);
    EXPECT_EQ(metric(r, "update_share"), 1);
  }
}

// Two at a time, each at the 1 MB/s of its radio; the first two are 50 %.
TEST(Updates, WaitInLineAtTheOrigin) {
  for (const auto& r : both(fleet({{"concurrent", 2}}))) {
    EXPECT_NEAR(metric(r, "update_time_first"), 4.03, ns);
    EXPECT_NEAR(metric(r, "update_time_50"), 4.03, ns);
    EXPECT_NEAR(metric(r, "update_time_95"), 8.06, ns);
  }
  for (const auto& r : both(fleet({{"concurrent", 1}, {"rate_cap", "4 Mbps"}})))
    EXPECT_NEAR(metric(r, "update_time_all"), 4 * 8.03, 4 * ns);
}

// A message of 1 kB, then the image, decoded, verified, patched, written and restarted.
TEST(Updates, TakeTheTimeOfEveryStep) {
  json s = fleet({{"message", "1 MB"},
                  {"format", {{"ratio", 2}, {"decode", "4 MB/s"}}},
                  {"verify", "8 MB/s"},
                  {"install", "300 ms"},
                  {"delta", {{"changed", 0.25}, {"index", 1}, {"patch", "2 MB/s"}}}},
                 1);
  s["nodes"]["phone"]["core_speed"] = 0.5;
  // 1 MB of news; 2 MB of delta are 1 MB; (2/4 + 2/8 + 4/2) / 0.5 + 0.3 s until they are in place.
  for (const auto& r : both(s)) {
    EXPECT_NEAR(metric(r, "update_time_all"), 1.03 + 1.03 + 5.5 + 0.3, ns);
    EXPECT_EQ(metric(r, "update_bytes"), 1e6);
    EXPECT_EQ(metric(r, "update_bytes_news"), 1e6);
  }
}

// The relay has 1 MB after 0.52 s, then every half second; each phone has 1 MB/s, 10 ms away.
TEST(Updates, TheFirstFillsTheRelayForAll) {
  json s = fleet({{"way", "cdn"}, {"relays", "relay"}, {"chunk", "1 MB"}});
  // Chunks come at 0.52, 1.04, 1.56, 2.08 s. The first goes to phones in 1.01 s, until 1.53 s, when
  // the relay has one more; that is there at 2.54 s, and the other two at 4.55 s.
  for (const auto& r : both(s)) {
    EXPECT_NEAR(metric(r, "update_time_first"), 4.55, ns);
    EXPECT_NEAR(metric(r, "update_time_all"), 4.55, ns);
    EXPECT_NEAR(metric(r, "update_bytes_fill"), 4e6, 1);
    EXPECT_NEAR(metric(r, "update_bytes_relays"), 16e6, 1);
    EXPECT_EQ(metric(r, "update_bytes_origin"), 0);
  }
  // As one chunk, two at a time from the relay: 2.02 s of filling, twice 4.01 s.
  s["updates"]["v2"]["chunk"] = "4 MB";
  s["updates"]["v2"]["relay_concurrent"] = 2;
  for (const auto& r : both(s)) EXPECT_NEAR(metric(r, "update_time_all"), 2.02 + 2 * 4.01, ns);
}

// One by one from the origin, one upload each: the number of holders doubles with every round but for
// the origin, which serves one more.
TEST(Updates, PeersPassItOn) {
  json s = fleet({{"way", "peer"}, {"uploads", 1}, {"concurrent", 1}, {"chunk", "4 MB"}}, 3);
  // The first has it at 4.03 s; then it sends to one (20 ms away) while the origin sends to another.
  for (const auto& r : both(s)) {
    EXPECT_NEAR(metric(r, "update_time_first"), 4.03, ns);
    EXPECT_NEAR(metric(r, "update_time_all"), 8.06, ns);
    EXPECT_NEAR(metric(r, "update_bytes_peers"), 4e6, 1);
    EXPECT_NEAR(metric(r, "update_bytes_origin"), 8e6, 1);
  }
  // In small chunks everybody soon has something that others lack.
  s = fleet({{"way", "peer"}, {"uploads", 2}, {"concurrent", 1}, {"chunk", "250 kB"}}, 12);
  double dates[2];
  int i = 0;
  for (const auto& r : both(s)) {
    EXPECT_NEAR(metric(r, "update_bytes"), 48e6, 1);
    EXPECT_LT(metric(r, "update_bytes_origin"), 24e6);
    dates[i++] = metric(r, "update_time_all");
  }
  // Chunks end together; nanoseconds decide who gets which next, and these differ by backend.
  EXPECT_NEAR(dates[0], dates[1], 0.1 * dates[0]);
}

// The radios are down from 2.03 to 4 s, when 2 of 4 MB are there.
json with_outage(const std::string& after) {
  json s = fleet({{"on_failure", after}, {"retry", "5 s"}, {"chunk", "1500 kB"}}, 1);
  s["faults"] = {{{"link", "radio"}, {"at", "2030 ms"}, {"lasts", "2 s"}}};
  return s;
}

TEST(Updates, BrokenDownloadsResumeOrStartAgain) {
  for (const auto& r : both(with_outage("resume"))) {
    EXPECT_NEAR(metric(r, "update_time_all"), 7.03 + 2.03, ns);
    EXPECT_NEAR(metric(r, "update_bytes_wasted"), 0, 0.01);
    EXPECT_EQ(metric(r, "update_broken"), 1);
  }
  for (const auto& r : both(with_outage("chunk"))) {
    EXPECT_NEAR(metric(r, "update_time_all"), 7.03 + 2.53, ns);
    EXPECT_NEAR(metric(r, "update_bytes_wasted"), 0.5e6, 0.1);
  }
  for (const auto& r : both(with_outage("restart"))) {
    EXPECT_NEAR(metric(r, "update_time_all"), 7.03 + 4.03, ns);
    EXPECT_NEAR(metric(r, "update_bytes_wasted"), 2e6, 0.1);
    EXPECT_NEAR(metric(r, "update_bytes"), 6e6, 0.1);
  }
}

// Waits of 1, 2 and at most 3 s while nothing arrives.
TEST(Updates, WaitLongerWhileNothingArrives) {
  json s = fleet({{"retry", "1 s"}, {"retry_longest", "3 s"}}, 1);
  s["faults"] = {{{"link", "radio"}, {"at", "2030 ms"}, {"lasts", "6 s"}}};
  // Tries at 3.03, 5.03 and 8.03 s, all but the last in vain.
  for (const auto& r : both(s)) {
    EXPECT_NEAR(metric(r, "update_time_all"), 8.03 + 2.03, ns);
    EXPECT_EQ(metric(r, "update_broken"), 3);
  }
}

// Machines that fail lose nothing they have stored; what they send breaks.
TEST(Updates, OutlastsFailuresOfMachines) {
  json s = fleet({{"retry", "1 s"}}, 1);
  s["faults"] = {{{"node", "phone"}, {"at", "2030 ms"}, {"lasts", "5 s"}}};
  for (const auto& r : both(s)) EXPECT_NEAR(metric(r, "update_time_all"), 7.03 + 2.03, ns);
  s["faults"] = {{{"node", "origin"}, {"at", "2030 ms"}, {"lasts", "500 ms"}}};
  for (const auto& r : both(s)) EXPECT_NEAR(metric(r, "update_time_all"), 3.03 + 2.03, ns);
  // A relay that is away is gone round.
  s["updates"]["v2"].update({{"way", "cdn"}, {"relays", "relay"}});
  s["faults"] = {{{"node", "relay"}, {"at", "0 s"}, {"lasts", "50 s"}}};
  for (const auto& r : both(s)) {
    EXPECT_NEAR(metric(r, "update_time_all"), 4.03, ns);
    EXPECT_EQ(metric(r, "update_bytes_relays"), 0);
  }
}

TEST(Updates, ComeInWavesAndAtPolls) {
  json s = fleet({{"at", "1 s"},
                  {"waves", {{{"share", 0.25}}, {{"share", 1}, {"after", "10 s"}}}},
                  {"rate_cap", "4 Mbps"}});
  for (const auto& r : both(s)) {
    EXPECT_NEAR(metric(r, "update_time_first"), 8.03, ns);
    EXPECT_NEAR(metric(r, "update_time_50"), 18.03, ns);
    EXPECT_NEAR(metric(r, "update_time_all"), 18.03, ns);
  }
  // Every machine hears of it within a period, at dates of its own.
  s = fleet({{"poll", "20 s"}, {"message", "1 kB"}}, 40);
  s["network"]["links"]["port"]["bandwidth"] = "1 Gbps";
  const auto made = both(s);
  for (const auto& r : made) {
    EXPECT_EQ(metric(r, "update_share"), 1);
    EXPECT_GT(metric(r, "update_time_50"), 8);
    EXPECT_LT(metric(r, "update_time_50"), 20);
    EXPECT_LT(metric(r, "update_time_all"), 25);
  }
  EXPECT_NEAR(metric(made[0], "update_time_all"), metric(made[1], "update_time_all"), ns);
}

// Taken back at 20 s: kept images switch in 2 s after a message of 30 ms (and 1 ms of bytes); others
// fetch 4 MB again.
TEST(Updates, AreTakenBack) {
  json s = fleet({{"message", "1 kB"}, {"rollback", {{"at", "20 s"}, {"switch_time", "2 s"}}}}, 1);
  for (const auto& r : both(s)) {
    EXPECT_NEAR(metric(r, "rollback_time_95"), 2.031, ns);
    EXPECT_EQ(metric(r, "update_share"), 0);
    EXPECT_EQ(r.updates[0].applied, 1);
  }
  s["updates"]["v2"]["rollback"] = {{"at", "20 s"}, {"keep_previous", false}};
  for (const auto& r : both(s)) {
    EXPECT_NEAR(metric(r, "rollback_time_all"), 4.03 + 0.031, ns);
    EXPECT_NEAR(metric(r, "update_bytes"), 8e6, 1);
  }
  // In the middle of the download it just stops.
  s["updates"]["v2"]["rollback"] = {{"at", "2031 ms"}};
  for (const auto& r : both(s)) {
    EXPECT_EQ(metric(r, "rollback_time_all"), 0);
    EXPECT_EQ(r.updates[0].applied, 0);
    EXPECT_NEAR(metric(r, "update_bytes_wasted"), (2.031 - 0.031 - 0.03) * 1e6, 2);
  }
}

// By the rule: the first wave shows the error, and the second never comes.
TEST(Updates, AreTakenBackWhenTheFirstWaveFails) {
  json s = fleet({{"waves", {{{"share", 0.5}}, {{"share", 1}, {"after", "1 min"}}}},
                  {"rollback", {{"share", 0.5}, {"after", "10 s"}}}});
  for (const auto& r : both(s)) {
    EXPECT_EQ(r.updates[0].applied, 2);
    EXPECT_EQ(r.updates[0].affected, 2);
    EXPECT_EQ(r.updates[0].back, 2);
    EXPECT_EQ(metric(r, "update_share"), 0);
    EXPECT_EQ(metric(r, "rollback_time_95"), 0);
    ASSERT_GE(r.updates[0].progress.size(), 3);
    EXPECT_EQ(r.updates[0].progress[1].second, 0.5);
    EXPECT_NEAR(r.updates[0].progress.back().second, 0, 0);
  }
}

// Of two updates of a machine the newer one wins; its delta is of no use to who missed the older.
TEST(Updates, TheNewestWins) {
  json s = fleet(json::object(), 1);
  s["updates"]["v3"] = s["updates"]["v2"];
  s["updates"]["v3"].update({{"at", "2030 ms"}, {"delta", {{"size", "1 MB"}}}});
  for (const auto& r : both(s)) {
    EXPECT_NEAR(metric(r, "update_bytes_wasted"), 2e6, 1);
    EXPECT_EQ(metric(r, "update_share"), 0);
    EXPECT_NEAR(r.value("update_time_all.v3"), 4.03, ns);
    EXPECT_EQ(r.value("update_full_instead.v3"), 1);
    EXPECT_EQ(r.value("update_bytes.v3"), 4e6);
  }
  s["updates"]["v3"]["at"] = "10 s";
  for (const auto& r : both(s)) {
    EXPECT_NEAR(r.value("update_time_all.v3"), 1.03, ns);
    EXPECT_EQ(r.value("update_full_instead.v3"), 0);
    EXPECT_EQ(r.updates[0].serving, 0);
    EXPECT_EQ(r.updates[0].applied, 1);
  }
}

// One request per second; the update is there after 4.03 s and 2 s of restart, twice as fast.
TEST(Updates, RequestsSayWhichVersionServedThem) {
  json s = fleet({{"service", "local"}, {"restart", "2 s"}, {"speed", 2}, {"accuracy", 0.9}}, 1);
  s["updates"]["v2"].erase("to");
  s["services"]["local"]["accuracy"] = 0.8;
  s["duration"] = "10 s";
  s["workload"][0] = {{"source", "deterministic"}, {"rate", "1 /s"},   {"target", "local"},
                      {"clients", {{"on", "phone"}}}, {"limit", 9}};
  for (const auto& r : both(s)) {
    const auto& v = r.services[1].versions;
    ASSERT_EQ(v.size(), 2);
    EXPECT_EQ(v[0].first, "before");
    EXPECT_EQ(v[1].first, "v2");
    EXPECT_EQ(v[0].second + v[1].second, r.completed);
    const double old = static_cast<double>(v[0].second), all = static_cast<double>(r.completed);
    EXPECT_EQ(r.value("version.local/v2"), 1 - old / all);
    // The cloud has it from the start.
    EXPECT_EQ(r.value("version_skew.local"), old / all);
    EXPECT_NEAR(r.value("accuracy"), (0.8 * old + 0.9 * (all - old)) / all, 1e-12);
    EXPECT_GT(v[0].second, 2);
    EXPECT_GT(v[1].second, 2);
    // The longest wait is for the restart.
    EXPECT_GT(r.value("latency.max"), 1);
    EXPECT_NEAR(r.value("service_time.p99"), 0.1, 1e-9);
    EXPECT_NEAR(r.value("service_time.p50"), 0.05, 0.051);
  }
  // What runs when it restarts is lost.
  s["services"]["local"]["service_time"] = "10 s";
  s["duration"] = "50 s";
  s["workload"][0]["limit"] = 1;
  for (const auto& r : both(s)) EXPECT_EQ(r.failed, 1);
}

TEST(Updates, CostEgressAndPower) {
  json s = fleet(json::object(), 2);
  s["network"]["egress_price"] = "0.1 USD/GB";
  s["nodes"]["phone"]["download_power"] = "2 W";
  s["workload"][0]["request"] = {{"upload", "0 B"}, {"download", "0 B"}};
  for (const auto& r : both(s)) {
    EXPECT_NEAR(r.value("network_cost"), 8e6 * 1e-10, 1e-12);
    EXPECT_NEAR(r.nodes[1].energy, 2 * 2 * 4.03, 1e-6);
  }
}

TEST(Updates, SizeMayBeThatOfAModel) {
  json s = fleet(json::object(), 1);
  s["updates"]["v2"].erase("size");
  s["updates"]["v2"].update({{"model", "mobilenet-v2"}, {"variant", "int8"}});
  const auto r = world::run(*load_json(s).scenario, {});
  EXPECT_GT(metric(r, "update_bytes"), 3e6);
  EXPECT_LT(metric(r, "update_bytes"), 4e6);
}

// 20,000 machines under a hundred relays.
TEST(Updates, ReachLargeFleets) {
  json s = fleet({{"way", "cdn"}, {"relays", "relay"}, {"message", "1 kB"}, {"poll", "1 h"}}, 20000);
  s["duration"] = "2 h";
  s["nodes"]["relay"]["count"] = 100;
  s["network"]["links"]["port"]["bandwidth"] = "1 Gbps";
  s["network"]["links"]["metro"]["bandwidth"] = "100 Gbps";
  const auto r = world::run(*load_json(s).scenario, {});
  check(r);
  EXPECT_EQ(metric(r, "update_share"), 1);
  EXPECT_NEAR(metric(r, "update_bytes_relays"), 20000 * 4e6, 1e3);
  EXPECT_NEAR(metric(r, "update_bytes_fill"), 100 * 4e6, 10);
  EXPECT_NEAR(metric(r, "update_time_50"), 1800, 50);
  EXPECT_LT(r.updates[0].progress.size(), 300);
}

TEST(Updates, RefuseWhatMakesNoSense) {
  const auto problem = [](const json& change) { return first_problem(fleet(change)); };
  EXPECT_THAT(problem({{"size", "0 B"}}), HasSubstr("/updates/v2/size"));
  EXPECT_THAT(problem({{"model", "mobilenet-v2"}}), HasSubstr("either \"size\" or \"model\""));
  EXPECT_THAT(problem({{"to", "origin"}}), HasSubstr("origin cannot be in the fleet"));
  EXPECT_THAT(problem({{"to", "phones"}}), HasSubstr("did you mean \"phone\""));
  EXPECT_THAT(problem({{"to", {"phone", "phone"}}}), HasSubstr("twice"));
  EXPECT_THAT(problem({{"to", json::array()}}), HasSubstr("/updates/v2/to"));
  EXPECT_THAT(problem({{"way", "cdn"}}), HasSubstr("relays"));
  EXPECT_THAT(problem({{"way", "cdn"}, {"relays", "phone"}}), HasSubstr("relays cannot be in the fleet"));
  EXPECT_THAT(problem({{"way", "cdn"}, {"relays", "origin"}}), HasSubstr("cannot relay"));
  EXPECT_THAT(problem({{"uploads", 2}}), HasSubstr("peer"));
  EXPECT_THAT(problem({{"way", "peer"}, {"on_failure", "restart"}}), HasSubstr("peers keep"));
  EXPECT_THAT(problem({{"way", "peer"}, {"chunk", "1 B"}}), HasSubstr("more than 4096 chunks"));
  EXPECT_THAT(problem({{"delta", json::object()}}), HasSubstr("needs the field \"changed\" or \"size\""));
  EXPECT_THAT(problem({{"delta", {{"changed", 0}}}}), HasSubstr("nothing changes"));
  EXPECT_THAT(problem({{"delta", {{"changed", 2}}}}), HasSubstr("/updates/v2/delta/changed"));
  EXPECT_THAT(problem({{"format", {{"ratio", 0.5}}}}), HasSubstr("/updates/v2/format/ratio"));
  EXPECT_THAT(problem({{"waves", {{{"share", 0.5}}, {{"share", 0.5}}}}}), HasSubstr("more than theirs"));
  EXPECT_THAT(problem({{"service", "cloud"}}), HasSubstr("does not run on every machine"));
  EXPECT_THAT(problem({{"restart", "1 s"}}), HasSubstr("only with \"service\""));
  EXPECT_THAT(problem({{"rollback", json::object()}}), HasSubstr("needs the field \"at\" or \"share\""));
  EXPECT_THAT(problem({{"at", "5 s"}, {"rollback", {{"at", "1 s"}}}}), HasSubstr("before the update"));
  EXPECT_THAT(problem({{"waves", {{{"share", 0.1}}}}, {"rollback", {{"share", 0.5}}}}),
              HasSubstr("never gets"));
  EXPECT_THAT(problem({{"rollback", {{"at", "1 s"}, {"size", "1 MB"}}}}), HasSubstr("keep_previous"));
  EXPECT_THAT(problem({{"retry", "0 s"}}), HasSubstr("/updates/v2/retry"));
  EXPECT_THAT(problem({{"poll", "1 us"}}), HasSubstr("at least 1 ms"));
  json s = fleet();
  s["updates"]["v3"] = s["updates"]["v2"];
  EXPECT_THAT(first_problem(s), HasSubstr("which one is newer"));
  s = fleet();
  s["network"]["routes"] = json::array();
  EXPECT_THAT(first_problem(s), HasSubstr("no route joins zone"));
}

}  // namespace
}  // namespace isthmus::scenarios
