// Radios, traces, moves, failures and repeated transfers: scenario files, and whole runs by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "scenarios/trace_files.hpp"
#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"
#include "tests/scenarios/temporary_folder.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using testing::first_problem;
using testing::load_json;
using ::testing::HasSubstr;

// A phone sends 1 MB at 1 MB/s after 10 ms, is served in 100 ms and answered after 10 ms: 1.12 s.
json phone(const json& radio = json::object(), const json& network = json::object()) {
  json s = {{"isthmus", 1},
            {"name", "t"},
            {"duration", "100 s"},
            {"nodes",
             {{"phone", {{"tier", "device"}, {"zone", "field"}}}, {"server", {{"zone", "region"}}}}},
            {"network",
             {{"model", "fluid"},
              {"links", {{"radio", {{"bandwidth", "8 Mbps"}, {"latency", "10 ms"}}}}},
              {"access", {{"phone", {"radio"}}}},
              {"routes", {{{"from", "field"}, {"to", "region"}, {"links", json::array()}}}}}},
            {"services", {{"s", {{"service_time", "100 ms"}, {"on", "server"}, {"slots", 9}}}}},
            {"workload",
             {{{"source", "times"},
               {"times", {"0 s"}},
               {"target", "s"},
               {"clients", {{"on", "phone"}}},
               {"request", {{"upload", "1 MB"}, {"download", "0 B"}}}}}}};
  s["network"]["links"]["radio"].update(radio);
  s["network"].update(network);
  return s;
}

// A list of pairs, which braces alone would make an object.
json steps(const std::vector<std::pair<std::string, std::string>>& pairs) {
  json list = json::array();
  for (const auto& [at, what] : pairs) list.push_back(json::array({at, what}));
  return list;
}

// On both backends.
std::vector<results::Summary> both(json s) {
  std::vector<results::Summary> made;
  for (const char* model : {"fluid", "simgrid"}) {
    s["network"]["model"] = model;
    made.push_back(world::run(*load_json(s).scenario, {}));
    EXPECT_EQ(made.back().created, made.back().completed + made.back().rejected +
                                       made.back().failed + made.back().in_flight);
  }
  return made;
}

constexpr double ns = 2e-9;

TEST(AccessScenario, RadiosSleepAndWakeUp) {
  json s = phone({{"promotion", {{"delay", "800 ms"}, {"after", "10.5 s"}}}});
  s["workload"][0]["times"] = {"0 s", "5 s", "20 s"};
  for (const auto& r : both(s)) {
    EXPECT_NEAR(r.value("latency.mean"), (1.92 + 1.12 + 1.92) / 3, ns);
    EXPECT_EQ(r.value("promotions"), 2);
    EXPECT_NEAR(r.value("transfer_wait"), 1.6, ns);
  }
  s["network"]["links"]["radio"].erase("promotion");
  EXPECT_NEAR(both(s)[0].value("latency.mean"), 1.12, ns);
  EXPECT_TRUE(std::isnan(both(s)[0].value("promotions")));
}

// The link is down from 0.51 to 1.1 s, when 0.5 MB are there.
TEST(AccessScenario, BrokenTransfersFailRetryOrResume) {
  json s = phone();
  s["faults"] = {{{"link", "radio"}, {"at", "510 ms"}, {"lasts", "590 ms"}}};
  for (const auto& r : both(s)) {
    EXPECT_EQ(r.failed, 1U);
    EXPECT_EQ(r.by_cause.at("network_failed"), 1U);
    EXPECT_EQ(r.value("outages"), 1);
    EXPECT_TRUE(std::isnan(r.value("transfer_retries")));
  }
  // Attempts at 0.71 and 1.11 s.
  json& policy = s["network"]["transfers"];
  policy = {{"on_failure", "retry"}};
  for (const auto& r : both(s)) {
    EXPECT_NEAR(r.value("latency.mean"), 1.11 + 1.12, ns);
    EXPECT_EQ(r.value("transfer_retries"), 2);
    EXPECT_NEAR(r.value("resent_bytes"), 5e5, 1e-2);
  }
  policy["on_failure"] = "resume";
  for (const auto& r : both(s)) {
    EXPECT_NEAR(r.value("latency.mean"), 1.11 + 0.62, ns);
    EXPECT_EQ(r.value("transfer_resumes"), 2);
  }
  policy["attempts"] = 2;
  for (const auto& r : both(s)) {
    EXPECT_EQ(r.by_cause.at("network_failed"), 1U);
    EXPECT_EQ(r.value("transfers_given_up"), 1);
  }
  // A service says it otherwise; then the client's own retries begin.
  s["services"]["s"]["transfers"] = {{"on_failure", "fail"}};
  s["workload"][0]["request"]["retries"] = 1;
  for (const auto& r : both(s)) {
    EXPECT_NEAR(r.value("latency.mean"), 1.51 + 1.12, ns);
    EXPECT_EQ(r.value("transfer_resumes"), 0);
    EXPECT_EQ(r.value("retry_rate"), 1);
  }
  // The deadline ends it whatever the policy is.
  s["services"]["s"]["transfers"] = {{"on_failure", "retry"}, {"attempts", 1000}};
  s["workload"][0]["request"]["deadline"] = "600 ms";
  for (const auto& r : both(s)) EXPECT_EQ(r.by_cause.at("cancelled"), 1U);
}

TEST(AccessScenario, BrownOutsLeaveAShare) {
  json s = phone();
  // 0.5 MB, a quarter of a second's, and 0.25 MB.
  s["faults"] = {{{"link", "radio"}, {"at", "510 ms"}, {"lasts", "1 s"}, {"capacity", 0.25}}};
  for (const auto& r : both(s)) EXPECT_NEAR(r.value("latency.mean"), 1.76 + 0.11, ns);
  // The deeper of two counts, and the other one when it is over: 0.25 s at 0.1, 0.75 s at 0.25.
  s["faults"].push_back({{"links", {"radio"}}, {"at", "510 ms"}, {"lasts", "250 ms"},
                         {"capacity", 0.1}});
  for (const auto& r : both(s))
    EXPECT_NEAR(r.value("latency.mean"), 1.51 + (0.5 - 0.025 - 0.1875) + 0.11, ns);
  s["faults"] = json::array();
  s["network"]["links"]["radio"]["failures"] = {
      {{"at", "510 ms"}, {"lasts", "1 s"}, {"capacity", 0.25}}};
  for (const auto& r : both(s)) EXPECT_NEAR(r.value("latency.mean"), 1.76 + 0.11, ns);
}

TEST(AccessScenario, OverlappingFaultsEndWithTheLast) {
  json s = phone();
  s["workload"][0]["times"] = {"6 s", "11 s"};
  s["faults"] = {{{"link", "radio"}, {"at", "1 s"}, {"lasts", "4 s"}},
                 {{"zone", "field"}, {"at", "3 s"}, {"lasts", "7 s"}}};
  for (const auto& r : both(s)) {
    EXPECT_EQ(r.failed, 1U);
    EXPECT_EQ(r.completed, 1U);
  }
}

TEST(AccessScenario, ZonesAndGroupsGoDownTogether) {
  json s = phone();
  s["nodes"]["server"]["count"] = 3;
  s["nodes"]["other"] = {{"zone", "elsewhere"}};
  s["network"]["links"]["way"] = {{"bandwidth", "1 Gbps"}};
  s["network"]["links"]["both"] = {{"bandwidth", "1 Gbps"}};
  s["network"]["routes"] = {
      {{"from", "field"}, {"to", "region"}, {"links", {"way", "both"}}},
      {{"from", "field"}, {"to", "elsewhere"}, {"links", {"both"}}}};
  s["faults"] = {{{"zone", "region"}, {"at", "1 s"}}};
  // Three machines and the way that only the region's traffic takes.
  auto scenario = load_json(s).scenario;
  ASSERT_EQ(scenario->faults.size(), 4U);
  std::size_t links = 0;
  for (const auto& f : scenario->faults)
    for (const std::uint32_t l : f.links) {
      ++links;
      EXPECT_EQ(scenario->topology.links[l].name, "way");
    }
  EXPECT_EQ(links, 1U);

  // By chance: one draw for the zone and for groups, one each for the machines of a group.
  const json law = {{"time_to_failure", "10 s"}, {"time_to_repair", "2 s"}};
  json fault = law;
  fault["zone"] = "region";
  s["faults"] = {fault};
  EXPECT_EQ(load_json(s).scenario->faults.size(), 1U);
  for (const auto& r : both(s)) EXPECT_EQ(r.value("outages"), 8);  // 10, 22, ... 94 s
  fault = law;
  fault["nodes"] = {"server", "other"};
  fault["links"] = {"both", "radio"};
  s["faults"] = {fault};
  scenario = load_json(s).scenario;
  ASSERT_EQ(scenario->faults.size(), 1U);
  EXPECT_EQ(scenario->faults[0].nodes.size(), 4U);
  EXPECT_EQ(scenario->faults[0].links.size(), 2U);
  fault = law;
  fault["node"] = "server";
  s["faults"] = {fault};
  EXPECT_EQ(load_json(s).scenario->faults.size(), 3U);
  s["faults"][0]["together"] = true;
  EXPECT_EQ(load_json(s).scenario->faults.size(), 1U);

  // Own draws differ, and do not change when the fault is the same in another run.
  fault["time_to_failure"] = {{"distribution", "exponential"}, {"mean", "5 s"}};
  s["faults"] = {fault};
  const auto once = world::run(*load_json(s).scenario, {}), again = world::run(*load_json(s).scenario, {});
  EXPECT_EQ(once.fingerprint, again.fingerprint);
  EXPECT_GT(once.value("outages"), 20);
}

TEST(AccessScenario, MovesBetweenCells) {
  json s = phone();
  auto& net = s["network"];
  net["links"]["second"] = {{"bandwidth", "16 Mbps"}, {"latency", "20 ms"}};
  net["mobility"] = {{{"on", "phone"},
                      {"cells", {"radio", "second"}},
                      {"schedule", steps({{"510 ms", "second"}})},
                      {"gap", "300 ms"}}};
  // 0.5 MB, the gap, 20 ms and 0.25 s; the answer takes 20 ms.
  for (const auto& r : both(s)) {
    EXPECT_NEAR(r.value("latency.mean"), 0.81 + 0.02 + 0.25 + 0.1 + 0.02, ns);
    EXPECT_EQ(r.value("handovers"), 1);
  }
  net["mobility"][0]["in_flight"] = "fail";
  for (const auto& r : both(s)) EXPECT_EQ(r.by_cause.at("network_failed"), 1U);

  // Among the instances of one link, by chance.
  s["nodes"]["phone"]["count"] = 40;
  net["links"]["radio"]["per_nodes"] = 10;
  net["links"]["radio"]["sharing"] = "shared";
  net["mobility"] = {{{"on", "phone"},
                      {"cells", {"radio"}},
                      {"residence", {{"distribution", "exponential"}, {"mean", "2 s"}}},
                      {"gap", {{"distribution", "uniform"}, {"low", "0 s"}, {"high", "100 ms"}}}}};
  s["workload"][0] = {{"source", "poisson"},
                      {"rate", "4 /s"},
                      {"target", "s"},
                      {"clients", {{"on", "phone"}}},
                      {"request", {{"upload", "500 kB"}, {"download", "10 kB"}}}};
  const auto r = both(s);
  EXPECT_GT(r[0].value("handovers"), 50);
  EXPECT_EQ(r[0].value("handovers"), r[1].value("handovers"));
  EXPECT_EQ(r[0].completed, r[1].completed);
  EXPECT_NEAR(r[0].value("latency.mean"), r[1].value("latency.mean"), 1e-8);
}

// Three phones on a trace of 1 s at 1 MB/s and 2 s at 2 MB/s.
TEST(AccessScenario, TracesStartWhereTheyAreToldTo) {
  json s = phone({{"trace", steps({{"0 s", "8 Mbps"}, {"1 s", "16 Mbps"}})}, {"loop", "3 s"}});
  s["nodes"]["phone"]["count"] = 3;
  // One request of each, after 200 turns of the trace.
  s["duration"] = "1000 s";
  s["workload"][0].erase("times");
  s["workload"][0].update({{"source", "closed"}, {"think", "600 s"}});
  s["workload"][0]["request"]["upload"] = "1980 kB";
  // All: 0.99 MB by 1 s, 0.495 s for the rest.
  for (const auto& r : both(s)) EXPECT_NEAR(r.value("latency.max"), 1.495 + 0.11, ns);
  // Starts at 0, 1 and 2 s: 1.495; 0.01 + 0.99; 0.99 s at 2, nothing left.
  s["network"]["links"]["radio"]["trace_start"] = "staggered";
  for (const auto& r : both(s))
    EXPECT_NEAR(r.value("latency.mean"), (1.495 + 1 + 1) / 3 + 0.11, ns);
  const auto offsets = [&] {
    std::vector<double> seen;
    for (const auto& l : load_json(s).scenario->topology.links)
      seen.push_back(l.trace_offset.seconds());
    return seen;
  };
  EXPECT_EQ(offsets(), (std::vector<double>{0, 1, 2}));
  s["network"]["links"]["radio"]["trace_offset"] = "500 ms";
  EXPECT_EQ(offsets(), (std::vector<double>{0.5, 1.5, 2.5}));
  // Drawn: apart from each other, the same on both backends, and other ones with another seed.
  s["network"]["links"]["radio"]["trace_start"] = "random";
  const auto r = both(s);
  EXPECT_NEAR(r[0].value("latency.mean"), r[1].value("latency.mean"), ns);
  s["seed"] = 2;
  EXPECT_NE(both(s)[0].value("latency.mean"), r[0].value("latency.mean"));
}

TEST(AccessScenario, LossJitterAndWaysDown) {
  // A tenth is sent again.
  for (const auto& r : both(phone({{"loss", 0.1}})))
    EXPECT_NEAR(r.value("latency.mean"), 0.01 + 1 / 0.9 + 0.11, ns);
  const double rate = 1460 / (0.02 * std::sqrt(2 * 0.1 / 3));
  for (const auto& r : both(phone({{"loss", 0.1}, {"loss_model", "tcp"}})))
    EXPECT_NEAR(r.value("latency.mean"), 0.01 + 1e6 / rate + 0.11, ns);
  for (const auto& r : both(phone({{"jitter", "30 ms"}}))) {
    EXPECT_NEAR(r.value("latency.mean"), 1.12 + 2 * 0.03, ns);
    EXPECT_NEAR(r.value("transfer_wait"), 2 * 0.03, ns);
  }
  for (const auto& r : both(phone({{"latency_down", "50 ms"}})))
    EXPECT_NEAR(r.value("latency.mean"), 1.16, ns);
}

// ---- files

class TraceFiles : public ::testing::Test {
 protected:
  std::filesystem::path file(const std::string& content) {
    return folder_.write("trace.txt", content);
  }
  TraceSteps read(const std::string& content, const std::string& format = "auto") {
    return read_trace_file(file(content), format, Duration::from_seconds(0.1));
  }
  std::string refusal(const std::string& content, const std::string& format = "auto") {
    try {
      read(content, format);
    } catch (const InputError& e) {
      return e.what();
    }
    return "no error";
  }
  testing::TemporaryFolder folder_;
};

// Bytes that a trace lets through by each of its dates are those of the file.
TEST_F(TraceFiles, MahimahiKeepsItsBytes) {
  const TraceSteps t = read("0\n3\n3\n100\n450\n450\n460\n");
  ASSERT_EQ(t.steps.size(), 2U);
  EXPECT_TRUE(t.loops);
  EXPECT_EQ(t.length, Duration::from_seconds(0.46));
  EXPECT_EQ(t.steps[0].at, Duration::zero());
  EXPECT_DOUBLE_EQ(*t.steps[0].bandwidth, 4 * 1500 / 0.1);
  EXPECT_EQ(t.steps[1].at, Duration::from_seconds(0.1));
  EXPECT_DOUBLE_EQ(*t.steps[1].bandwidth, 3 * 1500 / 0.36);  // two empty bins join the next one
  std::string many;
  std::uint64_t state = 7;
  std::size_t packets = 0;
  for (int ms = 0; ms < 60'000; ++ms)
    for (state = state * 6364136223846793005ULL + 1; state >> 62 == 0; ++packets)
      many += std::to_string(ms) + "\n", state = state * 6364136223846793005ULL + 1;
  const TraceSteps long_one = read(many);
  double bytes = 0;
  for (std::size_t i = 0; i < long_one.steps.size(); ++i) {
    const Duration end =
        i + 1 < long_one.steps.size() ? long_one.steps[i + 1].at : long_one.length;
    bytes += *long_one.steps[i].bandwidth * (end - long_one.steps[i].at).seconds();
  }
  EXPECT_GT(packets, 10'000U);
  EXPECT_NEAR(bytes, 1500.0 * static_cast<double>(packets), 1e-3);
}

TEST_F(TraceFiles, IrishLogs) {
  const std::string head = "Timestamp,Longitude,DL_bitrate,UL_bitrate,State,PINGAVG\n";
  const TraceSteps t = read(head + "2020.02.27_23.59.58,-8.3,13000,214,D,-\n"
                                   "2020.02.28_00.00.00,-8.3,0,0,D,60\n"
                                   "2020.02.28_00.00.00,-8.3,80,0,D,-\n"
                                   "2020.02.28_00.00.03,-8.3,0,1,I,80\n");
  ASSERT_EQ(t.steps.size(), 3U);
  EXPECT_FALSE(t.loops);
  EXPECT_EQ(t.steps[1].at, Duration::from_seconds(2));
  EXPECT_EQ(t.length, Duration::from_seconds(8));
  EXPECT_DOUBLE_EQ(*t.steps[0].bandwidth, 13e6 / 8);
  EXPECT_DOUBLE_EQ(*t.steps[1].bandwidth, 1e4);
  EXPECT_DOUBLE_EQ(*t.steps[2].bandwidth, 125);
  EXPECT_EQ(*t.steps[0].latency, Duration::from_seconds(0.03));
  EXPECT_EQ(*t.steps[2].latency, Duration::from_seconds(0.04));
  EXPECT_THAT(refusal(head + "2020.02.30_00.00.00,1,2,3,D,-\n"), HasSubstr("trace.txt:2: Timestamp"));
  EXPECT_THAT(refusal(head + "2020.02.27_00.00.05,1,2,3,D,-\n2020.02.27_00.00.04,1,2,3,D,-\n"),
              HasSubstr(":3: times must not fall"));
  EXPECT_THAT(refusal(head + "2020.02.27_00.00.05,1,x,3,D,-\n"), HasSubstr(":2: DL_bitrate is \"x\""));
  EXPECT_THAT(refusal(head + "2020.02.27_00.00.05,1\n"), HasSubstr(":2: 2 cells, the header has 6"));
  EXPECT_THAT(refusal(head), HasSubstr("has no rows"));
}

TEST_F(TraceFiles, CsvAndFormats) {
  const TraceSteps t = read("# mine\ntime_s,bandwidth_Mbps,rtt_ms\n0,8,40\n1.5,0,40\n2,16,60\n");
  ASSERT_EQ(t.steps.size(), 3U);
  EXPECT_EQ(*t.steps[2].latency, Duration::from_seconds(0.03));
  EXPECT_EQ(*t.steps[1].up, false);
  EXPECT_EQ(*t.steps[2].up, true);
  EXPECT_EQ(t.length, Duration::from_seconds(2.5));
  EXPECT_THAT(refusal("12\n7\n"), HasSubstr("trace.txt:2: 7 ms comes after 12 ms"));
  EXPECT_THAT(refusal("12\nx\n"), HasSubstr(":2: a mahimahi trace has one whole number"));
  EXPECT_THAT(refusal("12\n-3\n"), HasSubstr(":2:"));
  EXPECT_THAT(refusal("0\n"), HasSubstr("lasts 0 ms"));
  EXPECT_THAT(refusal("1\n", "csv"), HasSubstr(":1: the header is time,bandwidth"));
  EXPECT_THAT(refusal("time,bandwidth\n0 s,1 Mbps\n", "mahimahi"), HasSubstr(":1: a mahimahi"));
  EXPECT_THAT(refusal("", "mahimahi"), HasSubstr("has no lines"));
  EXPECT_THAT(refusal(""), HasSubstr("has no rows"));
  EXPECT_THAT(refusal("time_s,bandwidth_Mbps\n0,nan\n"), HasSubstr(":2:"));
  EXPECT_THAT(refusal("time_s,bandwidth_Mbps\n0,1e400\n"), HasSubstr(":2:"));
  EXPECT_THAT(refusal("time_s,bandwidth_Mbps\n-1,1\n"), HasSubstr(":2:"));
}

// A mahimahi trace loops unless told otherwise: 15 kB in 0.1 s, then as much in 0.9 s.
TEST_F(TraceFiles, RunsFollowThem) {
  std::string lines;
  for (int i = 1; i <= 10; ++i) lines += std::to_string(10 * i) + "\n";
  for (int i = 1; i <= 10; ++i) lines += std::to_string(100 + 90 * i) + "\n";
  json s = phone({{"trace", file(lines).string()}, {"trace_bin", "1 s"}});
  s["workload"][0]["request"]["upload"] = "60 kB";
  for (const auto& r : both(s)) EXPECT_NEAR(r.value("latency.mean"), 0.01 + 2 + 0.11, ns);
  s["network"]["links"]["radio"]["trace_bin"] = "100 ms";
  for (const auto& r : both(s)) {
    // From 10 ms on: 13.5 kB by 0.1, 30 kB a second after it; the rest at 150 kB/s.
    EXPECT_NEAR(r.value("latency.mean"), 2.01 + 0.11, ns);
  }
}

TEST(AccessScenario, WhatMakesNoSenseIsRefused) {
  const auto radio = [](const json& r) { return first_problem(phone(r)); };
  EXPECT_THAT(radio({{"loss", 1}}), HasSubstr("/network/links/radio/loss"));
  EXPECT_THAT(radio({{"promotion", {{"delay", "1 s"}}}}), HasSubstr("\"after\""));
  EXPECT_THAT(radio({{"jitter", "-1 ms"}}), HasSubstr("/network/links/radio/jitter"));
  EXPECT_THAT(radio({{"loop", true}}), HasSubstr("there is no trace"));
  EXPECT_THAT(radio({{"trace_start", "random"}}), HasSubstr("there is no trace"));
  EXPECT_THAT(radio({{"trace", "nowhere.csv"}}), HasSubstr("nowhere.csv"));
  EXPECT_THAT(radio({{"trace", steps({{"0 s", "1 Mbps"}, {"5 s", "2 Mbps"}})}, {"loop", "4 s"}}),
              HasSubstr("must be longer"));
  EXPECT_THAT(radio({{"sharing", "shared"}, {"trace_down", steps({{"0 s", "1 Mbps"}})}}),
              HasSubstr("only split-duplex"));
  EXPECT_THAT(radio({{"sharing", "shared"}, {"latency_down", "1 ms"}}),
              HasSubstr("only split-duplex"));

  const auto net = [](const json& n) { return first_problem(phone(json::object(), n)); };
  const json move = {{"on", "phone"}, {"cells", {"radio"}}, {"residence", "5 s"}};
  EXPECT_THAT(net({{"mobility", {move}}}), HasSubstr("one cell only"));
  json m = move;
  m["schedule"] = steps({{"1 s", "radio"}});
  EXPECT_THAT(net({{"mobility", {m}}}), HasSubstr("either \"residence\" or \"schedule\""));
  m.erase("residence");
  m["cells"] = {"radio", "radio"};
  EXPECT_THAT(net({{"mobility", {m}}}), HasSubstr("stands twice"));
  m["cells"] = {"radio"};
  m["on"] = "server";
  EXPECT_THAT(net({{"mobility", {m}}}), HasSubstr("exactly one access link of \"server\""));
  EXPECT_THAT(net({{"transfers", {{"on_failure", "retry"}, {"backoff", {{"factor", 0.5}}}}}}),
              HasSubstr("/network/transfers/backoff/factor"));
  EXPECT_THAT(net({{"tcp", {{"segment", "0 B"}}}}), HasSubstr("/network/tcp/segment"));

  const auto fault = [](const json& f) {
    json s = phone();
    s["faults"] = {f};
    return first_problem(s);
  };
  EXPECT_THAT(fault({{"at", "1 s"}}), HasSubstr("give either"));
  EXPECT_THAT(fault({{"link", "radio"}, {"zone", "field"}, {"at", "1 s"}}), HasSubstr("give either"));
  EXPECT_THAT(fault({{"link", "radio"}}), HasSubstr("\"at\" or \"time_to_failure\""));
  EXPECT_THAT(fault({{"link", "radio"}, {"time_to_failure", "1 s"}}), HasSubstr("time_to_repair"));
  EXPECT_THAT(fault({{"link", "radio"}, {"at", "1 s"}, {"time_to_repair", "1 s"}}),
              HasSubstr("only with"));
  EXPECT_THAT(fault({{"node", "phone"}, {"at", "1 s"}, {"capacity", 0.5}}), HasSubstr("brown-out"));
  EXPECT_THAT(fault({{"link", "radio"}, {"at", "1 s"}, {"capacity", 0}}), HasSubstr("capacity"));
  EXPECT_THAT(fault({{"zone", "field"}, {"index", 0}, {"at", "1 s"}}), HasSubstr("/faults/0/index"));
  // No time between failures at all: a millisecond each, and the run ends.
  json s = phone();
  s["duration"] = "1 s";
  s["faults"] = {{{"link", "radio"}, {"time_to_failure", "0 s"}, {"time_to_repair", "0 s"}}};
  EXPECT_EQ(world::run(*load_json(s).scenario, {}).value("outages"), 500);
}

}  // namespace
}  // namespace isthmus::scenarios
