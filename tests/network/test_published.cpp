// Figures that SimGrid publishes with its own examples and tests, on both backends and on SimGrid left
// to itself. Platforms are ours; the configuration of every figure stands beside it.
#include <gtest/gtest.h>

#include <cmath>

#include "sim/core/errors.hpp"
#include "tests/network/script.hpp"

namespace isthmus::network::test {
namespace {

// SimGrid prints six decimals.
constexpr double printed = 6e-7;

// Ends of the transfers of a script by tag, in seconds: of fluid, simgrid and native simgrid, which
// must agree to what is printed.
std::vector<FlowEnd> ends_of(const Topology& t, const FlowModel& model, const std::vector<Op>& ops) {
  const auto fluid = by_tag(run_fluid(t, model, ops));
  FlowModel native = model;
  native.native = true;
  const auto simgrid = by_tag(run_simgrid(t, model, ops));
  const auto alone = by_tag(run_simgrid(t, native, ops));
  EXPECT_EQ(fluid.size(), simgrid.size());
  EXPECT_EQ(fluid.size(), alone.size());
  for (std::size_t i = 0; i < std::min(simgrid.size(), alone.size()); ++i) {
    EXPECT_EQ(fluid[i].outcome, simgrid[i].outcome) << i;
    EXPECT_EQ(fluid[i].outcome, alone[i].outcome) << i;
    EXPECT_NEAR(fluid[i].at.seconds(), simgrid[i].at.seconds(),
                2e-9 + 1e-9 * fluid[i].at.seconds())
        << i;
    EXPECT_NEAR(fluid[i].at.seconds(), alone[i].at.seconds(), printed) << i;
  }
  return fluid;
}

FlowModel cm02(double gamma, double weight_s, bool cross_traffic) {
  FlowModel m;
  m.tcp_gamma = gamma;
  m.weight_s = weight_s;
  m.cross_traffic = cross_traffic;
  return m;
}

Link shared_link(const std::string& name, double bandwidth, double latency) {
  Link l;
  l.name = name;
  l.bandwidth = bandwidth;
  l.latency = Duration::from_seconds(latency);
  l.sharing = Sharing::shared;
  return l;
}

// teshsuite/models/cm02-set-lat-bw: CM02, weight-S 20537, TCP-gamma 4194304, crosstraffic 0. Two
// flows over one bottleneck of 1 kB/s; a second after their start the own link of one gets 20 s of
// latency, then (in the next round) 1 kB/s of bandwidth.
TEST(Published, SharingFollowsLatencyAndBandwidth) {
  Topology t;
  t.zones = {{"dogbone"}};
  t.hosts = {{"S1", 0, {}}, {"C1", 0, {}}, {"S2", 0, {}}, {"C2", 0, {}}};
  t.links = {shared_link("bottleneck", 1e3, 0)};
  for (const char* name : {"S1", "C1", "S2", "C2"}) t.links.push_back(shared_link(name, 1e9, 1e-9));
  t.host_routes = {{0, 1, {{LinkId(1)}, {LinkId(0)}, {LinkId(2)}}},
                   {2, 3, {{LinkId(3)}, {LinkId(0)}, {LinkId(4)}}}};
  LinkChange slow, back, thin;
  slow.latency = Duration::from_seconds(20);
  back.latency = Duration::from_seconds(1e-9);
  thin.bandwidth = 1e3;
  const auto ends = ends_of(
      t, cm02(4194304, 20537, false),
      {start_at(0, 0, 1, 1e3), start_at(0, 2, 3, 1e3), start_at(10, 0, 1, 1e3),
       start_at(10, 2, 3, 1e3), start_at(20, 0, 1, 1e3), start_at(20, 2, 3, 1e3),
       change_at(11, 4, slow), change_at(19, 4, back), change_at(21, 4, thin)});
  ASSERT_EQ(ends.size(), 6U);
  const double expected[] = {2.0, 2.0, 11.753312, 12.0, 21.75, 22.0};
  for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(ends[i].at.seconds(), expected[i], printed) << i;
}

// teshsuite/models/cm02-tcpgamma: CM02, crosstraffic 0, 1e10 bytes over 1e10 B/s.
TEST(Published, TcpWindow) {
  struct Case {
    double latency, gamma, lasts;
  };
  for (const Case& c : {Case{0, 4194304, 1.0}, Case{1e-5, 4194304, 1.00001},
                        Case{1e-3, 4194304, 4.769372}, Case{0.1, 4194304, 476.937158},
                        Case{1e-3, 0, 1.001}}) {
    const auto ends = ends_of(wire(1e10, c.latency), cm02(c.gamma, 0, false), {start_at(0, 0, 1, 1e10)});
    EXPECT_NEAR(ends.at(0).at.seconds(), c.lasts, printed) << c.latency;
  }
}

// examples/cpp/network-nonlinear: LV08, a split-duplex link of 1 MB/s and 10 us that n flows leave
// 1 - (n - 1) / 10 of; nine messages of 1 to 9 MB at once.
TEST(Published, CapacityThatFallsWithTheNumberOfFlows) {
  Topology t = wire(1e6, 1e-5);
  t.links[0].sharing = Sharing::split_duplex;
  std::vector<Op> ops;
  for (int n = 1; n <= 9; ++n) {
    t.links[0].contention.push_back(1.0 - (n - 1) / 10.0);
    ops.push_back(start_at(0, 0, 1, 1e6 * n));
  }
  const auto ends = ends_of(t, flow_model("LV08"), ops);
  const double expected[] = {46.391883,  73.883292,  91.924529,  104.295663, 112.886728,
                             118.777744, 122.643724, 124.934674, 125.965602};
  ASSERT_EQ(ends.size(), 9U);
  for (std::size_t i = 0; i < 9; ++i) EXPECT_NEAR(ends[i].at.seconds(), expected[i], printed) << i;
}

// examples/cpp/energy-link: CM02, crosstraffic no, a bus of 100 kB/s, 1 W idle and 3 W busy; one
// transfer after 10 s, energy at its end.
TEST(Published, EnergyOfALink) {
  struct Case {
    double bytes, date, energy;
  };
  for (const Case& c : {Case{25000, 10.25, 10.75}, Case{5e7, 510, 1510}}) {
    Topology t = wire(1e5, 0);
    t.links[0].power = LinkPower{1, 3};
    const std::vector<Op> ops = {start_at(10, 0, 1, c.bytes)};
    const auto energy = [&](Network& net) {
      const auto ends = run_script(net, ops);
      EXPECT_NEAR(ends.at(0).at.seconds(), c.date, printed);
      return 1 * ends.at(0).at.seconds() + (3 - 1) * net.busy_seconds(LinkId(0));
    };
    EXPECT_NEAR(energy(*make_fluid_network(t, cm02(0, 0, false))), c.energy, printed);
    for (const bool native : {false, true}) {
      FlowModel m = cm02(4194304, 0, false);
      m.native = native;
      const auto got = in_child<double>([&] {
        const auto net = make_simgrid_network(t, m, {});
        return std::vector<double>{energy(*net)};
      });
      EXPECT_NEAR(got.at(0), c.energy, printed);
    }
  }
}

// examples/cpp/comm-failure: LV08 on two links of 1 bit/s; the first fails after 10 s, the transfer
// over the other goes on (with crosstraffic 0 it would end at 16.494845).
TEST(Published, FailureOfALink) {
  Topology t;
  t.zones = {{"world"}};
  t.hosts = {{"Host1", 0, {}}, {"Host2", 0, {}}, {"Host3", 0, {}}};
  t.links = {shared_link("linkto2", 0.125, 0), shared_link("linkto3", 0.125, 0)};
  t.host_routes = {{0, 1, {{LinkId(0)}}}, {0, 2, {{LinkId(1)}}}};
  LinkChange off;
  off.up = false;
  for (const bool cross : {true, false}) {
    FlowModel m = flow_model("LV08");
    m.cross_traffic = cross;
    const auto ends =
        ends_of(t, m, {start_at(0, 0, 1, 5), start_at(0, 0, 2, 2), change_at(10, 0, off)});
    ASSERT_EQ(ends.size(), 2U);
    EXPECT_EQ(ends[0].outcome, Outcome::failed);
    EXPECT_NEAR(ends[0].at.seconds(), 10.0, printed);
    EXPECT_EQ(ends[1].outcome, Outcome::delivered);
    EXPECT_NEAR(ends[1].at.seconds(), cross ? 17.319588 : 16.494845, printed);
  }
}

Topology cell(const std::vector<double>& rates, double bandwidth) {
  Topology t;
  t.zones = {{"cell"}, {"wired"}};
  t.links = {{"AP1", bandwidth, {}, Duration(), {}, Sharing::wifi, {}, Duration()}};
  for (const double r : rates) {
    t.hosts.push_back({"station" + std::to_string(t.hosts.size()), 0, {LinkId(0)}});
    t.hosts.back().station_rate = r;
  }
  t.links.push_back(shared_link("collector", 12.5e6, 0));
  t.hosts.push_back({"node", 1, {}});
  t.zone_routes.push_back({0, 1, {{LinkId(1)}}});
  return t;
}

// examples/cpp/network-wifi: CM02, crosstraffic yes; 10 MB from a station at 36 Mbit/s to one at 54
// in the same cell.
TEST(Published, WifiCell) {
  const auto ends = ends_of(cell({4.5e6, 0}, 6.75e6), cm02(4194304, 0, true), {start_at(0, 0, 1, 1e7)});
  EXPECT_NEAR(ends.at(0).at.seconds(), 3.888889, printed);
}

// Air time by hand: a station sends and another receives, 1 MB each over 4 and 1 MB/s. With equal
// rates of r both, r / 4 + r / 1 = 1; the faster station gains nothing.
TEST(Wifi, SlowStationsSlowTheCell) {
  FlowModel equal;
  equal.equal_shares = true;
  const Topology t = cell({4e6, 1e6}, 4e6);
  const std::vector<Op> ops = {start_at(0, 0, 2, 1e6), start_at(0, 2, 1, 1e6)};
  for (const auto& ends : {by_tag(run_fluid(t, equal, ops)), by_tag(run_simgrid(t, equal, ops))}) {
    ASSERT_EQ(ends.size(), 2U);
    EXPECT_NEAR(ends[0].at.seconds(), 1.25, 3e-9);
    EXPECT_NEAR(ends[1].at.seconds(), 1.25, 3e-9);
  }
  // Alone each has its own rate, and the wire behind the cell counts as usual.
  const std::vector<Op> apart = {start_at(0, 0, 2, 1e6), start_at(1, 2, 1, 1e6)};
  for (const auto& ends : {by_tag(run_fluid(t, equal, apart)), by_tag(run_simgrid(t, equal, apart))}) {
    EXPECT_NEAR(ends.at(0).at.seconds(), 0.25, 3e-9);
    EXPECT_NEAR(ends.at(1).at.seconds(), 2, 3e-9);
  }
}

// Half the capacity in use for a second, then a quarter of a doubled one, then nothing for a second:
// 1 W idle, 5 W busy.
TEST(LinkPower, FollowsCapacitiesThatChange) {
  Topology t = wire(1e6, 0);
  t.links[0].power = LinkPower{1, 5};
  LinkChange doubled;
  doubled.bandwidth = 2e6;
  const std::vector<Op> ops = {start_at(0, 0, 1, 1e6, 5e5), change_at(1, 0, doubled),
                               call_at(3, [](Network&) {})};
  const double expected = 3 * 1 + 4 * (0.5 + 0.25);
  const auto energy = [&](Network& net) {
    run_script(net, ops);
    return 3 * 1 + 4 * net.busy_seconds(LinkId(0));
  };
  EXPECT_NEAR(energy(*make_fluid_network(t, {})), expected, 1e-9);
  const auto got = in_child<double>([&] {
    const auto net = make_simgrid_network(t, {}, {});
    return std::vector<double>{energy(*net)};
  });
  EXPECT_NEAR(got.at(0), expected, 1e-8);

  // Both ways of a split-duplex link: one full, one idle. A link in its own power is not asked for.
  t.links[0].sharing = Sharing::split_duplex;
  const auto net = make_fluid_network(t, {});
  run_script(*net, {start_at(0, 0, 1, 1e6)});
  EXPECT_NEAR(net->busy_seconds(LinkId(0)), 0.5, 1e-9);
  t.links[0].power.reset();
  EXPECT_EQ(make_fluid_network(t, {})->busy_seconds(LinkId(0)), 0);
}

TEST(Validate, WifiContentionAndPower) {
  const auto message = [](const Topology& t) {
    try {
      validate(t);
    } catch (const InputError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  Topology t = cell({1e6}, 2e6);
  EXPECT_EQ(message(t), "");
  t.hosts[1].station_rate = 5;
  EXPECT_NE(message(t).find("no Wi-Fi cell"), std::string::npos);
  t = cell({1e6}, 2e6);
  t.hosts[0].station_rate = std::nan("");
  EXPECT_NE(message(t).find("must be above 0"), std::string::npos);
  t = cell({1e6}, 2e6);
  t.zone_routes[0].links.push_back({LinkId(0)});
  EXPECT_NE(message(t).find("only hosts reach it"), std::string::npos);
  t = cell({1e6}, 2e6);
  t.hosts[0].access.push_back(LinkId(0));
  EXPECT_NE(message(t).find("2 Wi-Fi cells"), std::string::npos);
  t = cell({1e6}, 2e6);
  t.links[0].contention = {1, 0.5};
  EXPECT_NE(message(t).find("contention needs"), std::string::npos);
  t = cell({1e6}, 2e6);
  LinkChange change;
  change.bandwidth = 1e6;
  t.links[0].changes = {change};
  EXPECT_NE(message(t).find("does not change"), std::string::npos);
  for (const std::vector<double>& bad :
       {std::vector<double>{1, 0.5, 0.6}, {1.5}, {1, 0}, {std::nan("")}}) {
    Topology w = wire(1, 0);
    w.links[0].contention = bad;
    EXPECT_NE(message(w).find("never rise"), std::string::npos);
  }
  for (const LinkPower& bad : {LinkPower{-1, 2}, LinkPower{3, 2}, LinkPower{0, INFINITY}}) {
    Topology w = wire(1, 0);
    w.links[0].power = bad;
    EXPECT_NE(message(w).find("0 <= idle <= busy"), std::string::npos);
  }
  Topology w = wire(1, 0);
  w.links[0].sharing = Sharing::fatpipe;
  w.links[0].power = LinkPower{1, 2};
  EXPECT_NE(message(w).find("fatpipe"), std::string::npos);
}

}  // namespace
}  // namespace isthmus::network::test
