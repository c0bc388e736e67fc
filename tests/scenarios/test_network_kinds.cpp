// Kinds of links and of SimGrid's zones from scenario files to dates and energies worked out by hand.
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "results/summary.hpp"
#include "scenarios/field_values.hpp"
#include "scenarios/reader.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"
#include "tests/scenarios/temporary_folder.hpp"

namespace isthmus::scenarios {
namespace {

// Phones a and b of a home, a server; `link` is the access link of both phones, fields in JSON.
std::string home(const std::string& model, const std::string& link, const std::string& times,
                 const std::string& upload) {
  return fmt::format(
      R"({{"isthmus": 1, "name": "t", "duration": "20 s",
          "nodes": {{"a": {{"zone": "home", "tier": "device"}}, "b": {{"zone": "home", "tier": "device"}},
                     "server": {{"zone": "room"}}}},
          "network": {{"model": "{}", "links": {{"cell": {{"bandwidth": "4 MB/s", "per_nodes": 0, {}}}}},
            "access": {{"a": ["cell"], "b": ["cell"]}},
            "routes": [{{"from": "home", "to": "room", "links": []}}]}},
          "services": {{"s": {{"service_time": "1 ns", "on": "server"}}}},
          "workload": [
            {{"name": "wa", "source": "times", "times": [{}], "clients": {{"on": "a"}}, "request": {{"upload": "{}", "download": "0 B"}}}},
            {{"name": "wb", "source": "times", "times": [{}], "clients": {{"on": "b"}}, "request": {{"upload": "{}", "download": "0 B"}}}}]}})",
      model, link, times, upload, times, upload);
}

results::Summary run_text(const std::string& text) {
  return world::run(*load_text(text).scenario, {});
}

std::string error_of(const std::string& text) {
  try {
    load_text(text);
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

class OnBoth : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Networks, OnBoth, ::testing::Values("fluid", "simgrid"));

// Rates r of both: r / 4 + r / 1 of the air time are all of it: 0.8 MB/s, the slower one's bits take
// the most. After 1.25 s both have sent 1 MB; the air was in use for all of it.
TEST_P(OnBoth, WifiStationsShareAirTime) {
  const auto r = run_text(home(GetParam(), R"("sharing": "wifi", "stations": {"b": "1 MB/s"})",
                               "\"0 s\"", "1 MB"));
  EXPECT_NEAR(r.value("latency.max"), 1.25, 5e-9);
  EXPECT_NEAR(r.value("latency.mean"), 1.25, 5e-9);
  ASSERT_EQ(r.links.size(), 1U);
  EXPECT_NEAR(r.links[0].utilization, 1.25 / 20, 1e-9);
  EXPECT_FALSE(r.links[0].energy);
}

// Two transfers leave half of the capacity: 1 MB/s each until 1 s, and the capacity is nominally half
// in use. 2 W idle, 10 W busy.
TEST_P(OnBoth, ContentionAndPower) {
  const auto r = run_text(home(GetParam(), R"("sharing": "shared", "contention": [1, 0.5],
      "idle_power": "2 W", "busy_power": "10 W")", "\"0 s\"", "1 MB"));
  EXPECT_NEAR(r.value("latency.max"), 1, 5e-9);
  ASSERT_TRUE(r.links.at(0).energy);
  EXPECT_NEAR(*r.links[0].energy, 2 * 20 + 8 * 0.5, 1e-7);
  EXPECT_NEAR(r.value("link_energy"), 44, 1e-7);
}

// The same run again in this process: every figure, to the last bit.
TEST_P(OnBoth, RepeatedRunsAreBitIdentical) {
  const std::string text = home(GetParam(), R"("sharing": "wifi", "stations": {"a": "3 MB/s", "b": "1 MB/s"},
      "idle_power": "1 W", "busy_power": "2 W")", "\"0 s\", \"0.3 s\", \"0.7 s\"", "777 kB");
  const std::string first = results::reproducible_json(run_text(text));
  EXPECT_NE(first.find("link_energy"), std::string::npos);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(results::reproducible_json(run_text(text)) == first);
}

TEST(NetworkKinds, MistakesAreNamed) {
  const auto error = [](const std::string& link) {
    return error_of(home("fluid", link, "\"0 s\"", "1 MB"));
  };
  EXPECT_EQ(error(R"("sharing": "wifi")"), "");
  for (const auto& [link, part] : std::vector<std::pair<const char*, const char*>>{
           {R"("sharing": "shared", "stations": {"a": "1 Mbps"})", "only a link with \"sharing\": \"wifi\""},
           {R"("sharing": "wifi", "stations": {"server": "1 Mbps"})", "does not hang on this cell"},
           {R"("sharing": "wifi", "stations": {"nobody": "1 Mbps"})", "nobody"},
           {R"("sharing": "wifi", "stations": {"a": "0 Mbps"})", "/network/links/cell/stations/a"},
           {R"("sharing": "wifi", "stations": {"a": ["1 Mbps", "2 Mbps"]})", "2 rates for 1 machines"},
           {R"("sharing": "wifi", "trace": [["0 s", "1 Mbps"]])", "do not change"},
           {R"("sharing": "wifi", "bandwidth_down": "1 Mbps")", "only split-duplex"},
           {R"("sharing": "wifi", "contention": [1, 0.5])", "share air time already"},
           {R"("sharing": "shared", "contention": [0.5, 0.6])", "must not rise"},
           {R"("sharing": "shared", "contention": [0])", "/network/links/cell/contention/0"},
           {R"("sharing": "shared", "idle_power": "3 W", "busy_power": "1 W")", "below idle_power"},
           {R"("sharing": "fatpipe", "busy_power": "1 W")", "idle power only"}})
    EXPECT_NE(error(link).find(part), std::string::npos) << link << "\n" << error(link);
  // On the way between zones, and a second cell.
  std::string text = home("fluid", R"("sharing": "wifi")", "\"0 s\"", "1 MB");
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string out = text;
    out.replace(out.find(from), from.size(), to);
    return out;
  };
  EXPECT_NE(error_of(replaced(R"("links": []})", R"("links": ["cell"]})")).find("routes do not"),
            std::string::npos);
  EXPECT_NE(error_of(replaced(R"("a": ["cell"])", R"("a": ["cell", "cell"])")).find("second Wi-Fi cell"),
            std::string::npos);
}

TEST(NetworkKinds, CompareKnowsTheValuesOfWords) {
  EXPECT_EQ(words_at("/network/model"), (std::vector<std::string>{"simgrid", "fluid"}));
  EXPECT_EQ(words_at("/network/links/any/sharing").size(), 4U);
  EXPECT_EQ(words_at("/network/flow_model/cross_traffic"),
            (std::vector<std::string>{"false", "true"}));
  for (const char* none : {"/network/egress_price", "/no/such", "/network/model/x", "/name"})
    EXPECT_TRUE(words_at(none).empty()) << none;
}

// A platform file with the hosts h0 and h5; the delay of 1 MB between them and of the empty answer.
struct Zone {
  const char* name;
  const char* xml;
  double up, back;
};

// Each link that counts has 1 MB/s or more and a latency of its own.
const Zone zones[] = {
    {"Full", R"(<zone id="z" routing="Full"><host id="h0" speed="1Gf"/><host id="h5" speed="1Gf"/>
      <link id="l" bandwidth="1MBps" latency="30ms"/>
      <route src="h0" dst="h5"><link_ctn id="l"/></route></zone>)",
     1.03, 0.03},
    // Over a third host that no route joins to both at once.
    {"Floyd", R"(<zone id="z" routing="Floyd"><host id="h0" speed="1Gf"/><host id="h5" speed="1Gf"/>
      <host id="m" speed="1Gf"/><link id="x" bandwidth="2MBps" latency="10ms"/>
      <link id="y" bandwidth="1MBps" latency="20ms"/>
      <route src="h0" dst="m"><link_ctn id="x"/></route>
      <route src="m" dst="h5"><link_ctn id="y"/></route></zone>)",
     1.03, 0.03},
    {"Dijkstra", R"(<zone id="z" routing="Dijkstra"><host id="h0" speed="1Gf"/><host id="h5" speed="1Gf"/>
      <host id="m" speed="1Gf"/><link id="x" bandwidth="2MBps" latency="10ms"/>
      <link id="y" bandwidth="1MBps" latency="20ms"/>
      <route src="h0" dst="m"><link_ctn id="x"/></route>
      <route src="m" dst="h5"><link_ctn id="y"/></route></zone>)",
     1.03, 0.03},
    // Coordinates are milliseconds: 3-4-5, and heights of 1 and 2 ms.
    {"Vivaldi", R"(<zone id="z" routing="Vivaldi">
      <peer id="h0" speed="1Gf" coordinates="0 0 1" bw_in="4MBps" bw_out="1MBps"/>
      <peer id="h5" speed="1Gf" coordinates="3 4 2" bw_in="4MBps" bw_out="2MBps"/></zone>)",
     1.008, 0.008},
    // Up and down the own links of the hosts (a star around a switch), and over a backbone.
    {"Cluster", R"(<cluster id="c" prefix="h" radical="0-7" suffix="" speed="1Gf" bw="1MBps" lat="10ms"
      bb_bw="5MBps" bb_lat="1ms"/>)",
     1.021, 0.021},
    // A star in XML (SimGrid 3.32 reads no routing="Star"): links of the hosts around a switch.
    {"Star", R"(<zone id="z" routing="Cluster"><host id="h0" speed="1Gf"/><host id="h5" speed="1Gf"/>
      <link id="x" bandwidth="2MBps" latency="10ms"/><link id="y" bandwidth="1MBps" latency="20ms"/>
      <host_link id="h0" up="x" down="x"/><host_link id="h5" up="y" down="y"/><router id="r"/></zone>)",
     1.03, 0.03},
    // 3 x 3: h0 to h5 is one step back in the first dimension (0 to 2) and one on in the second.
    {"Torus", R"(<cluster id="c" topology="TORUS" topo_parameters="3,3" prefix="h" radical="0-8" suffix=""
      speed="1Gf" bw="1MBps" lat="10ms"/>)",
     1.02, 0.02},
    // Two levels of two: h0 to h5 goes up twice and down twice.
    {"FatTree", R"(<cluster id="c" topology="FAT_TREE" topo_parameters="2;4,2;1,2;1,1" prefix="h"
      radical="0-7" suffix="" speed="1Gf" bw="1MBps" lat="10ms"/>)",
     1.04, 0.04},
    // Two groups of two chassis of two routers of a host. The blue link to the other group is at the
    // neighbour, and ends at the neighbour of h5: host, green, blue, green, host.
    {"Dragonfly", R"(<cluster id="c" topology="DRAGONFLY" topo_parameters="2,1;2,1;2,1;1" prefix="h"
      radical="0-7" suffix="" speed="1Gf" bw="1MBps" lat="10ms"/>)",
     1.05, 0.05},
    // One air for both: the station to the station takes it twice.
    {"Wifi", R"(<zone id="z" routing="Wifi"><prop id="access_point" value="ap"/>
      <host id="h0" speed="1Gf"/><host id="h5" speed="1Gf"/><router id="ap"/>
      <link id="air" sharing_policy="WIFI" bandwidth="2MBps" latency="0ms"/></zone>)",
     1.0, 0.0},
};

class PlatformZone : public ::testing::TestWithParam<Zone> {};
INSTANTIATE_TEST_SUITE_P(Kinds, PlatformZone, ::testing::ValuesIn(zones),
                         [](const auto& p) { return std::string(p.param.name); });

TEST_P(PlatformZone, GivesTheDelayOfItsRoute) {
  const isthmus::scenarios::testing::TemporaryFolder folder;
  const auto file = folder.path() / "platform.xml";
  std::ofstream(file) << "<?xml version='1.0'?>\n<!DOCTYPE platform SYSTEM "
                         "\"https://simgrid.org/simgrid.dtd\">\n<platform version=\"4.1\">"
                      << GetParam().xml << "</platform>\n";
  const auto r = run_text(fmt::format(
      R"({{"isthmus": 1, "name": "t", "duration": "20 s", "nodes": {{"h0": {{"tier": "device"}}, "h5": {{}}}},
          "network": {{"model": "simgrid", "platform": "{}"}},
          "services": {{"s": {{"service_time": "1 ns", "on": "h5"}}}},
          "workload": [{{"source": "times", "times": ["1 s"], "clients": {{"on": "h0"}},
                        "request": {{"upload": "1 MB", "download": "0 B"}}}}]}})",
      file.string()));
  EXPECT_NEAR(r.value("latency.mean"), GetParam().up + GetParam().back, 1e-8);
}

// A fleet on SimGrid: 2 s and 500 MB are the limits on an idle machine; held to with room for a busy
// one.
TEST(NetworkKinds, HundredThousandDevicesOnSimGrid) {
  const std::string text = R"({"isthmus": 1, "name": "t", "duration": "1 s",
    "nodes": {"phone": {"count": 100000, "zone": "field", "tier": "device"}, "server": {"zone": "room"}},
    "network": {"model": "simgrid", "links": {"radio": {"bandwidth": "50 Mbps", "latency": "10 ms"}},
      "access": {"phone": ["radio"]}, "routes": [{"from": "field", "to": "room", "links": []}]},
    "services": {"s": {"service_time": "1 ms", "on": "server"}},
    "workload": [{"source": "times", "times": ["0.5 s"], "clients": {"on": "phone"},
                  "request": {"upload": "1 kB", "download": "1 kB"}}]})";
  const auto cpu = [] {
    rusage own{}, children{};
    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    double s = 0;
    for (const rusage& r : {own, children})
      for (const timeval& t : {r.ru_utime, r.ru_stime})
        s += static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    return s;
  };
  const double before = cpu();
  const auto r = run_text(text);
  const double seconds = cpu() - before;
  rusage children{};
  getrusage(RUSAGE_CHILDREN, &children);
  const double megabytes = static_cast<double>(children.ru_maxrss) / 1024;
  std::printf("  100,000 devices: %.2f s of CPU, worker at most %.0f MB\n", seconds, megabytes);
  EXPECT_EQ(r.completed, 1U);
  EXPECT_LT(seconds, 4);
#ifndef __SANITIZE_ADDRESS__
  EXPECT_LT(megabytes, 500);
#endif
}

}  // namespace
}  // namespace isthmus::scenarios
