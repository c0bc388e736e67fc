// Published and reference-simulator cases (truth/network_simgrid.json), and closed forms that need
// no data folder.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/network/script.hpp"

namespace isthmus::network::test {
namespace {

using Json = nlohmann::json;

// Cases that name an example of SimGrid's instead of a platform: built by hand in TeshCases.
const std::set<std::string> by_hand = {"tesh_cm02_set_lat_bw", "tesh_wifi", "tesh_cpu_nonlinear",
                                       "tesh_dag_comm"};

std::filesystem::path truth_file() {
  const char* data = std::getenv("ISTHMUS_DATA");
  const std::filesystem::path root =
      data != nullptr ? data : std::filesystem::path(ISTHMUS_SOURCE_DIR) / ".." / "shared";
  return root / "truth" / "network_simgrid.json";
}

struct Case {
  Topology topology;
  FlowModel model = flow_model("LV08");
  std::vector<Op> ops;
  std::vector<std::string> ids;
};

Case read_case(const Json& inputs) {
  Case c;
  Topology& t = c.topology;
  t.zones = {{"all"}};
  std::map<std::string, std::uint32_t> hosts, links;
  for (const auto& h : inputs.at("hosts")) {
    hosts[h] = static_cast<std::uint32_t>(t.hosts.size());
    t.hosts.push_back({h, 0, {}});
  }
  for (const auto& [name, l] : inputs.at("links").items()) {
    links[name] = static_cast<std::uint32_t>(t.links.size());
    Link link;
    link.name = name;
    link.bandwidth = l.at("bw");
    link.latency = Duration::from_seconds(l.at("lat"));
    link.sharing = l.value("split", false) ? Sharing::split_duplex : Sharing::shared;
    t.links.push_back(link);
  }
  for (const auto& r : inputs.at("routes")) {
    HostRoute route{hosts.at(r.at("src")), hosts.at(r.at("dst")), {}};
    for (std::string name : r.at("links")) {
      // NAME_UP and NAME_DOWN are the two ways of a split-duplex link.
      Direction direction = Direction::up;
      if (name.ends_with("_DOWN")) direction = Direction::down;
      if (!links.contains(name)) name = name.substr(0, name.rfind('_'));
      route.links.push_back({LinkId(links.at(name)), direction});
    }
    t.host_routes.push_back(route);
  }
  for (const auto& f : inputs.at("flows")) {
    c.ids.push_back(f.at("id"));
    c.ops.push_back(start_at(f.value("t", 0.0), hosts.at(f.at("src")), hosts.at(f.at("dst")),
                             f.at("bytes"), f.value("rate", 0.0)));
  }
  const Json changes = inputs.value("bw_changes", Json::object());
  for (const auto& [name, list] : changes.items())
    for (const auto& change : list) {
      LinkChange lc;
      lc.at = Duration::from_seconds(change.at(0));
      lc.bandwidth = change.at(1).get<double>();
      t.links[links.at(name)].changes.push_back(lc);
    }
  const Json cfg = inputs.value("cfg", Json::object());
  for (const auto& [key, text] : cfg.items()) {
    const std::string value = text;
    if (key == "network/crosstraffic")
      c.model.cross_traffic = value == "1";
    else if (key == "network/TCP-gamma")
      c.model.tcp_gamma = std::stod(value);
    else
      ADD_FAILURE() << "unknown setting " << key;
  }
  return c;
}

void expect_dates(const Case& c, const std::vector<FlowEnd>& ends, const Json& expected,
                  double tolerance, const std::string& what) {
  const auto sorted = by_tag(ends);
  ASSERT_EQ(sorted.size(), c.ids.size()) << what;
  for (std::size_t i = 0; i < c.ids.size(); ++i) {
    const double date = expected.at(c.ids[i]);
    EXPECT_NEAR(sorted[i].at.seconds(), date, tolerance * date) << what << ": " << c.ids[i];
  }
}

TEST(Truth, NetworkSimgrid) {
  const auto file = truth_file();
  if (!std::filesystem::exists(file))
    GTEST_SKIP() << file << " is absent; set ISTHMUS_DATA to the shared data folder";
  std::ifstream in(file);
  const Json all = Json::parse(in);
  int used = 0;
  for (const auto& c : all.at("cases")) {
    const std::string id = c.at("id");
    if (by_hand.contains(id)) continue;
    SCOPED_TRACE(id);
    ++used;
    const Case parsed = read_case(c.at("inputs"));
    const double tolerance = c.at("tolerance").at("rel");
    const Json& expected = c.at("expected");
    const Json& dates =
        expected.contains("finish") ? expected.at("finish") : expected.at("finish_physical");
    expect_dates(parsed, run_fluid(parsed.topology, parsed.model, parsed.ops), dates, tolerance,
                 "fluid");
    expect_dates(parsed, run_simgrid(parsed.topology, parsed.model, parsed.ops), dates, tolerance,
                 "simgrid");
    // SimGrid left to itself gives its own figures, the frozen bound included.
    FlowModel native = parsed.model;
    native.native = true;
    expect_dates(parsed, run_simgrid(parsed.topology, native, parsed.ops),
                 expected.contains("finish") ? dates : expected.at("finish_plain_simgrid"),
                 tolerance, "simgrid native");
  }
  EXPECT_EQ(used + static_cast<int>(by_hand.size()), all.at("count"));
}

// Dates of both backends, which must agree, and of SimGrid left to itself.
std::vector<double> dates_of_three(const Topology& t, FlowModel m, const std::vector<Op>& ops) {
  const auto fluid = by_tag(run_fluid(t, m, ops)), simgrid = by_tag(run_simgrid(t, m, ops));
  m.native = true;
  const auto native = by_tag(run_simgrid(t, m, ops));
  EXPECT_EQ(fluid.size(), simgrid.size());
  EXPECT_EQ(fluid.size(), native.size());
  std::vector<double> dates;
  for (std::size_t i = 0; i < std::min({fluid.size(), simgrid.size(), native.size()}); ++i) {
    EXPECT_NEAR(fluid[i].at.seconds(), simgrid[i].at.seconds(), 2e-9);
    EXPECT_NEAR(fluid[i].at.seconds(), native[i].at.seconds(), 1e-6);
    dates.push_back(fluid[i].at.seconds());
  }
  return dates;
}

// The platforms are those of the examples that the cases name; test_published.cpp has them with their
// configuration, and more figures.
TEST(Truth, TeshCases) {
  const auto file = truth_file();
  if (!std::filesystem::exists(file))
    GTEST_SKIP() << file << " is absent; set ISTHMUS_DATA to the shared data folder";
  std::ifstream in(file);
  const Json all = Json::parse(in);
  std::set<std::string> used;
  for (const auto& c : all.at("cases")) {
    const std::string id = c.at("id");
    if (!by_hand.contains(id)) continue;
    SCOPED_TRACE(id);
    used.insert(id);
    const Json& expected = c.at("expected");
    const double tolerance = c.at("tolerance").at("abs");
    if (id == "tesh_cm02_set_lat_bw") {
      // CM02, weight-S 20537, crosstraffic 0; 1 kB each over a bottleneck of 1 kB/s.
      Topology t;
      t.zones = {{"all"}};
      t.hosts = {{"S1", 0, {}}, {"C1", 0, {}}, {"S2", 0, {}}, {"C2", 0, {}}};
      for (const char* name : {"L0", "L1", "L2", "L3", "L4"})
        t.links.push_back({name, 1e9, {}, Duration(1), {}, Sharing::shared, {}, Duration()});
      t.links[0].bandwidth = 1e3;
      t.links[0].latency = Duration();
      t.host_routes = {{0, 1, {{LinkId(1)}, {LinkId(0)}, {LinkId(2)}}},
                       {2, 3, {{LinkId(3)}, {LinkId(0)}, {LinkId(4)}}}};
      FlowModel m;
      m.weight_s = 20537;
      m.tcp_gamma = 4194304;
      LinkChange latency, bandwidth;
      latency.latency = Duration::from_seconds(20);
      bandwidth.bandwidth = 1e3;
      const std::vector<Op> flows = {start_at(0, 0, 1, 1e3), start_at(0, 2, 3, 1e3)};
      const auto check = [&](const std::vector<Op>& ops, const Json& a, const Json& b) {
        const auto d = dates_of_three(t, m, ops);
        ASSERT_EQ(d.size(), 2U);
        EXPECT_NEAR(d[0], a.get<double>(), tolerance);
        EXPECT_NEAR(d[1], b.get<double>(), tolerance);
      };
      check(flows, expected.at("phase1")[0], expected.at("phase1")[1]);
      std::vector<Op> changed = flows;
      changed.push_back(change_at(1, 4, latency));
      const Json& second = expected.at("phase2_latency_change_at_1s");
      check(changed, second.at("A"), second.at("B"));
      changed.back() = change_at(1, 4, bandwidth);
      const Json& third = expected.at("phase3_bandwidth_change_at_1s");
      check(changed, third.at("A"), third.at("B"));
    } else if (id == "tesh_wifi") {
      // CM02, crosstraffic yes; 10 MB between stations at 36 and 54 Mbit/s.
      Topology t;
      t.zones = {{"cell"}};
      t.links = {{"AP1", 6.75e6, {}, Duration(), {}, Sharing::wifi, {}, Duration()}};
      t.hosts = {{"Station 1", 0, {LinkId(0)}, 4.5e6}, {"Station 2", 0, {LinkId(0)}}};
      FlowModel m;
      m.cross_traffic = true;
      const auto d = dates_of_three(t, m, {start_at(0, 0, 1, 1e7)});
      EXPECT_NEAR(d.at(0), expected.at("finish"), tolerance);
    } else if (id == "tesh_cpu_nonlinear") {
      // SimGrid shares processors and links by the same solver; a link stands for the processor here:
      // the case is about shares and a capacity that falls, not about a device of ours.
      const Json& given = c.at("inputs");
      Topology t = wire(given.at("speed"), 0);
      const double half = given.at("capacity_when_10").get<double>() / given.at("speed").get<double>();
      t.links[0].contention = {1, half};
      std::vector<Op> ops;
      for (int i = 0; i < given.at("tasks"); ++i) ops.push_back(start_at(0, 0, 1, given.at("flop")));
      for (const double d : dates_of_three(t, {}, ops)) EXPECT_NEAR(d, expected.at("finish"), tolerance);
    } else {
      // LV08; 125 MB over 125 MB/s and 100 us after one second. The whole chain with its computations
      // is in tests/validation/test_composite.cpp.
      const auto d = dates_of_three(wire(125e6, 1e-4), flow_model("LV08"), {start_at(1, 0, 1, 125e6)});
      EXPECT_NEAR(d.at(0), expected.at("comm")[1], tolerance);
    }
  }
  EXPECT_EQ(used, by_hand);
}

// Runs a case on both backends and hands back the dates, which must agree.
std::vector<double> dates_of(const Topology& t, const FlowModel& m, const std::vector<Op>& ops) {
  const auto fluid = by_tag(run_fluid(t, m, ops)), simgrid = by_tag(run_simgrid(t, m, ops));
  EXPECT_EQ(fluid.size(), simgrid.size());
  std::vector<double> dates;
  for (std::size_t i = 0; i < std::min(fluid.size(), simgrid.size()); ++i) {
    EXPECT_NEAR(fluid[i].at.seconds(), simgrid[i].at.seconds(), 2e-9);
    dates.push_back(fluid[i].at.seconds());
  }
  return dates;
}

TEST(ClosedForm, AloneIsLatencyPlusBytesOverBandwidth) {
  EXPECT_NEAR(dates_of(wire(1e6, 0.018), {}, {start_at(1, 0, 1, 250000)}).at(0), 1.268, 1e-9);
}

TEST(ClosedForm, Lv08OfTheSimGridManual) {
  // 100 kB over 1 Mb/s and 10 ms: 0.01 * 13.01 + 8e5 / (0.97e6 / 1.05).
  const auto d = dates_of(wire(125000, 0.01), flow_model("LV08"), {start_at(0, 0, 1, 100000)});
  EXPECT_NEAR(d.at(0), 0.01 * 13.01 + 1e5 / (0.97 * 125000 / 1.05), 2e-9);
}

TEST(ClosedForm, TwoFlowsShareThenOneGoesOn) {
  // The second joins after 0.5 MB of the first: 0.5 MB each at half rate, then the rest alone.
  const auto d = dates_of(wire(1e6, 0), {}, {start_at(0, 0, 1, 1e6), start_at(0.5, 1, 0, 1e6)});
  EXPECT_NEAR(d.at(0), 1.5, 1e-9);
  EXPECT_NEAR(d.at(1), 2.0, 1e-9);
}

TEST(ClosedForm, SharesAreInverselyProportionalToLatency) {
  // 10 ms against 40 ms on one bottleneck: 4/5 and 1/5 of it; with equal_shares half each.
  Topology t = star(3, 1e9, 0);
  t.links[0].latency = Duration::from_seconds(0.01);
  t.links[1].latency = Duration::from_seconds(0.04);
  t.links[2].bandwidth = 1e6;
  const std::vector<Op> ops = {start_at(0, 0, 2, 8e5), start_at(0, 1, 2, 8e5)};
  const auto d = dates_of(t, {}, ops);
  const double first = 0.04 + (8e5 - 0.03e6) / 0.8e6;  // alone from 10 to 40 ms
  EXPECT_NEAR(d.at(0), first, 1e-8);
  EXPECT_NEAR(d.at(1), 0.01 + 1.6, 1e-8);
  FlowModel equal;
  equal.equal_shares = true;
  EXPECT_NEAR(dates_of(t, equal, ops).at(0), 0.04 + (8e5 - 0.03e6) / 0.5e6, 1e-8);
}

TEST(ClosedForm, RisingBandwidthSpeedsUpAFlowInFlight) {
  // 1 s at 0.5 MB/s, then 1.5 MB at 2 MB/s; by schedule and by surprise.
  Topology t = wire(0.5e6, 0.02);
  LinkChange faster;
  faster.bandwidth = 2e6;
  const double date = 1.02 + 1.5 / 2;
  EXPECT_NEAR(dates_of(t, {}, {start_at(0, 0, 1, 2e6), change_at(1.02, 0, faster)}).at(0), date,
              2e-9);
  faster.at = Duration::from_seconds(1.02);
  t.links[0].changes = {faster};
  EXPECT_NEAR(dates_of(t, {}, {start_at(0, 0, 1, 2e6)}).at(0), date, 2e-9);
}

TEST(ClosedForm, WindowAndFatpipeBoundAFlow) {
  FlowModel window;
  window.tcp_gamma = 4e4;  // 4e4 / (2 * 0.02) = 1 MB/s
  EXPECT_NEAR(dates_of(wire(1e8, 0.02), window, {start_at(0, 0, 1, 1e6)}).at(0), 1.02, 2e-9);
  // Flows of different weight on a fatpipe take its capacity each.
  Topology t = star(4, 1e9, 0.01);
  t.links[1].latency = Duration::from_seconds(0.1);
  t.links.push_back({"fat", 1e6, {}, Duration(), {}, Sharing::fatpipe, {}, Duration()});
  t.zone_routes.push_back({0, 0, {{LinkId(4), Direction::up}}});
  const auto d = dates_of(t, {}, {start_at(0, 0, 2, 1e6), start_at(0, 1, 3, 1e6)});
  EXPECT_NEAR(d.at(0), 1.02, 2e-9);
  EXPECT_NEAR(d.at(1), 1.11, 2e-9);
}

}  // namespace
}  // namespace isthmus::network::test
