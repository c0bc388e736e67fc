// What both backends promise beside dates: failures, horizons, cancellation, queries, routes,
// errors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>

#include "network/fluid_network.hpp"
#include "network/routes.hpp"
#include "sim/core/errors.hpp"
#include "tests/network/script.hpp"

namespace isthmus::network::test {
namespace {

using ::testing::HasSubstr;

template <class F>
std::string input_error(F f) {
  try {
    f();
  } catch (const InputError& e) {
    return e.what();
  }
  return "no InputError";
}

// Both backends, each result in order of tag.
std::vector<std::vector<FlowEnd>> both(const Topology& t, const std::vector<Op>& ops,
                                       Instant horizon = Instant::never()) {
  return {by_tag(run_fluid(t, {}, ops, horizon)), by_tag(run_simgrid(t, {}, ops, horizon))};
}

LinkChange set_up(bool up) {
  LinkChange c;
  c.up = up;
  return c;
}

TEST(Network, FailingLinkFailsItsFlowsWaitingOnesToo) {
  for (const auto& ends :
       both(wire(1e6, 0.25), {start_at(0, 0, 1, 1e6), start_at(0.4, 0, 1, 1e6),
                              change_at(0.5, 0, set_up(false)), start_at(0.6, 0, 1, 1e6),
                              change_at(0.7, 0, set_up(true)), start_at(0.8, 0, 1, 1e6)})) {
    ASSERT_EQ(ends.size(), 4U);
    EXPECT_EQ(ends[0].outcome, Outcome::failed);
    EXPECT_EQ(ends[0].at, Instant::from_seconds(0.5));
    EXPECT_EQ(ends[1].outcome, Outcome::failed);
    EXPECT_EQ(ends[1].at, Instant::from_seconds(0.5));
    EXPECT_EQ(ends[2].outcome, Outcome::failed);
    EXPECT_EQ(ends[2].at, Instant::from_seconds(0.6));
    EXPECT_EQ(ends[3].outcome, Outcome::delivered);
    EXPECT_EQ(ends[3].at, Instant::from_seconds(2.05));
  }
}

TEST(Network, CancelAndUnknownIds) {
  for (const auto& ends :
       both(wire(1e6, 0.1), {start_at(0, 0, 1, 1e6), start_at(0, 1, 0, 1e6), cancel_at(0.6, 0),
                             cancel_at(0.7, 0), cancel_at(5, 1)})) {
    ASSERT_EQ(ends.size(), 2U);
    EXPECT_EQ(ends[0].outcome, Outcome::cancelled);
    EXPECT_EQ(ends[0].at, Instant::from_seconds(0.6));
    // 0.25 MB until 0.6 s, then alone.
    EXPECT_EQ(ends[1].outcome, Outcome::delivered);
    EXPECT_EQ(ends[1].at, Instant::from_seconds(1.35));
  }
}

TEST(Network, EmptyAndLocalTransfers) {
  for (const auto& ends : both(wire(1e6, 0.1), {start_at(1, 0, 1, 0), start_at(2, 0, 0, 1e9)})) {
    ASSERT_EQ(ends.size(), 2U);
    EXPECT_EQ(ends[0].at, Instant::from_seconds(1.1));
    EXPECT_EQ(ends[1].at, Instant::from_seconds(2));
  }
}

TEST(Network, HostsWithoutLinksAreJoinedByNothingThatTakesTime) {
  Topology t;
  t.zones = {{"z"}};
  t.hosts = {{"a", 0, {}}, {"b", 0, {}}};
  for (const auto& ends : both(t, {start_at(1, 0, 1, 1e6), start_at(1, 0, 1, 1e6, 2e6)})) {
    ASSERT_EQ(ends.size(), 2U);
    EXPECT_EQ(ends[0].at, Instant::from_seconds(1));
    EXPECT_EQ(ends[1].at, Instant::from_seconds(1.5));
  }
}

// Their dates differ by rounding only, by how much depends on the backend.
TEST(Network, EndsOfOneDateComeInOrderOfStart) {
  Topology t;
  t.zones = {{"z"}};
  t.hosts = {{"server", 0, {}}};
  std::vector<Op> ops;
  constexpr std::uint32_t n = 40;
  for (std::uint32_t i = 0; i < n; ++i) {
    Link l;
    l.name = "l" + std::to_string(i);
    l.bandwidth = 1e6 / (i + 3);
    t.links.push_back(l);
    t.hosts.push_back({"h" + std::to_string(i), 0, {LinkId(i)}});
    const double start = 0.01 * ((i * 17) % n);
    ops.push_back(start_at(start, i + 1, 0, (1.1 - start) * l.bandwidth));
  }
  for (const auto& ends : {run_fluid(t, {}, ops), run_simgrid(t, {}, ops)}) {
    ASSERT_EQ(ends.size(), n);
    for (std::uint32_t i = 0; i < n; ++i) {
      EXPECT_EQ(ends[i].at, Instant::from_seconds(1.1));
      EXPECT_EQ(ends[i].tag * 17 % n, i);
      EXPECT_EQ(ends[i].order, i);
    }
  }
}

TEST(Network, HorizonStopsAndASecondRunGoesOn) {
  const Topology t = wire(1e6, 0);
  const std::vector<Op> ops = {start_at(0, 0, 1, 1e6), start_at(0.25, 0, 1, 1e6),
                               start_at(5, 0, 1, 1e6)};
  const auto in_two = [&](Network& net) {
    ScriptLoop loop(net, ops);
    net.run(loop, Instant::from_seconds(0.5));
    EXPECT_EQ(loop.ends.size(), 0U);
    EXPECT_EQ(net.in_flight(), 2U);
    EXPECT_EQ(loop.next(), Instant::from_seconds(5));
    net.run(loop, Instant::from_seconds(3));
    EXPECT_EQ(loop.ends.size(), 2U);
    net.run(loop, Instant::never());
    return loop.ends;
  };
  const auto fluid_net = make_fluid_network(t, {});
  const auto fluid = in_two(*fluid_net);
  const auto simgrid = in_child<FlowEnd>([&] {
    const auto net = make_simgrid_network(t, {}, {});
    auto ends = in_two(*net);
    if (::testing::Test::HasFailure()) throw std::runtime_error("expectation failed in the child");
    return ends;
  });
  ASSERT_EQ(fluid.size(), 3U);
  ASSERT_EQ(simgrid.size(), 3U);
  for (const auto& ends : {fluid, simgrid}) {
    EXPECT_EQ(ends[0].at, Instant::from_seconds(1.75));
    EXPECT_EQ(ends[1].at, Instant::from_seconds(2));
    EXPECT_EQ(ends[2].at, Instant::from_seconds(6));
  }
}

TEST(Network, QueriesSeeThePresent) {
  Topology t = star(2, 1e6, 0.01);
  t.links[1].bandwidth_down = 3e6;
  LinkChange later;
  later.at = Duration::from_seconds(2);
  later.bandwidth = 0.5e6;
  later.latency = Duration::from_seconds(0.03);
  t.links[0].changes = {later};
  std::vector<double> seen;
  const auto ask = [&](Network& n) {
    seen.push_back(n.path_bandwidth(0, 1));
    seen.push_back(n.path_bandwidth(1, 0));
    seen.push_back(n.path_latency(0, 1).seconds());
    seen.push_back(n.carried_bytes(LinkId(0)));
  };
  const std::vector<Op> ops = {call_at(1, ask), start_at(1.98, 0, 1, 1e6), call_at(2.5, ask),
                               change_at(3, 0, set_up(false)), call_at(3.5, ask)};
  const auto expected = [](const std::vector<double>& v) {
    ASSERT_EQ(v.size(), 12U);
    EXPECT_DOUBLE_EQ(v[0], 1e6);
    EXPECT_DOUBLE_EQ(v[1], 1e6);
    EXPECT_DOUBLE_EQ(v[2], 0.02);
    EXPECT_DOUBLE_EQ(v[3], 0);
    EXPECT_DOUBLE_EQ(v[4], 0.5e6);
    EXPECT_DOUBLE_EQ(v[6], 0.04);
    EXPECT_NEAR(v[7], 0.25e6, 1);
    EXPECT_DOUBLE_EQ(v[8], 0);
    EXPECT_NEAR(v[11], 0.5e6, 1);
  };
  run_fluid(t, {}, ops);
  expected(seen);
  seen.clear();
  expected(in_child<double>([&] {
    const auto net = make_simgrid_network(t, {}, {});
    run_script(*net, ops);
    return seen;
  }));
}

TEST(Network, LoopedChangesAreStreamed) {
  // 1 ms at 1 MB/s, 1 ms at 3 MB/s, for ever: 2 MB/s on average.
  Topology t = wire(1e6, 0);
  LinkChange slow, fast;
  slow.bandwidth = 1e6;
  fast.at = Duration(1'000'000);
  fast.bandwidth = 3e6;
  t.links[0].changes = {slow, fast};
  t.links[0].loop_period = Duration(2'000'000);
  for (const auto& ends : both(t, {start_at(0, 0, 1, 2e6), start_at(100, 0, 1, 4e3)})) {
    ASSERT_EQ(ends.size(), 2U);
    EXPECT_NEAR(ends[0].at.seconds(), 1.0, 2e-9);
    EXPECT_NEAR(ends[1].at.seconds(), 100.002, 2e-9);
  }
}

TEST(Network, RunsAreBitIdentical) {
  std::mt19937_64 random(7);
  const Topology t = star(6, 1e6, 0.003, Sharing::shared);
  std::vector<Op> ops;
  for (int i = 0; i < 500; ++i)
    ops.push_back(start_at(
        static_cast<double>(random() % 20000) * 1e-3, static_cast<std::uint32_t>(random() % 6),
        static_cast<std::uint32_t>(random() % 6), static_cast<double>(random() % 300000)));
  const auto same = [](const std::vector<FlowEnd>& a, const std::vector<FlowEnd>& b) {
    ASSERT_EQ(a.size(), 500U);
    ASSERT_EQ(b.size(), 500U);
    for (std::size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(a[i].tag, b[i].tag);
      ASSERT_EQ(a[i].at, b[i].at);
    }
  };
  same(run_fluid(t, {}, ops), run_fluid(t, {}, ops));
  same(run_simgrid(t, {}, ops), run_simgrid(t, {}, ops));
}

TEST(Routes, UpAcrossDownAndBack) {
  Topology t;
  t.zones = {{"edge"}, {"cloud"}, {"island"}};
  for (int i = 0; i < 6; ++i) t.links.push_back({"l" + std::to_string(i), 1e6, {}, {}, {}, {}, {}, {}});
  t.hosts = {{"phone", 0, {LinkId(0), LinkId(1)}},
             {"server", 1, {LinkId(2)}},
             {"gateway", 0, {LinkId(1)}},
             {"castaway", 2, {}}};
  t.zone_routes = {{0, 1, {{LinkId(3), Direction::up}, {LinkId(4), Direction::down}}}};
  t.host_routes = {{0, 2, {{LinkId(5), Direction::up}}}};
  const Router router(t);
  const auto up = Direction::up, down = Direction::down;
  EXPECT_EQ(router.path(0, 1), (std::vector<LinkUse>{{LinkId(0), up},
                                                     {LinkId(1), up},
                                                     {LinkId(3), up},
                                                     {LinkId(4), down},
                                                     {LinkId(2), down}}));
  EXPECT_EQ(router.path(1, 0), (std::vector<LinkUse>{{LinkId(2), up},
                                                     {LinkId(4), up},
                                                     {LinkId(3), down},
                                                     {LinkId(1), down},
                                                     {LinkId(0), down}}));
  EXPECT_EQ(router.path(2, 0), (std::vector<LinkUse>{{LinkId(5), down}}));
  EXPECT_TRUE(router.path(1, 1).empty());
  const std::string message = input_error([&] { router.path(0, 3); });
  EXPECT_THAT(message, HasSubstr("'edge'"));
  EXPECT_THAT(message, HasSubstr("'island'"));
}

TEST(Validate, NamesEveryProblem) {
  Topology t = star(2, 1e6, 0.01);
  t.links[0].bandwidth = 0;
  t.links[1].latency = Duration(-1);
  t.hosts[1].zone = 7;
  t.zone_routes.push_back({0, 3, {{LinkId(9), Direction::up}}});
  LinkChange zero;
  zero.bandwidth = 0.0;
  t.links[1].changes = {zero};
  const std::string message = input_error([&] { validate(t); });
  for (const char* part : {"'l0'", "'l1'", "zone 7", "zones 0 and 3", "link 9", "up: false"})
    EXPECT_THAT(message, HasSubstr(part));
  FlowModel m;
  m.bandwidth_factor = 0;
  EXPECT_THAT(input_error([&] { make_fluid_network(star(2, 1, 0), m); }),
              HasSubstr("bandwidth_factor"));
  EXPECT_THAT(input_error([&] { flow_model("TCP"); }), HasSubstr("LV08"));
}

TEST(SimGrid, OncePerProcess) {
  const auto message = in_child<char>([] {
    const Topology t = wire(1e6, 0);
    const auto first = make_simgrid_network(t, {}, {});
    try {
      make_simgrid_network(t, {}, {});
    } catch (const Error& e) {
      const std::string s = e.what();
      return std::vector<char>(s.begin(), s.end());
    }
    return std::vector<char>{'n', 'o'};
  });
  EXPECT_THAT(std::string(message.begin(), message.end()), HasSubstr("once per process"));
}

TEST(SimGrid, SettingsAreChecked) {
  EXPECT_THAT([] { run_simgrid(wire(1e6, 0), {}, {}, Instant::never(), {"network/no-such:1"}); },
              ::testing::ThrowsMessage<std::runtime_error>(HasSubstr("network/no-such")));
}

TEST(SimGrid, ExceptionsOfTheLoopComeThrough) {
  const auto boom = [](Network&) { throw Error("boom"); };
  EXPECT_THAT(
      [&] {
        run_simgrid(wire(1e6, 0), {}, {start_at(0, 0, 1, 1e6), call_at(0.5, boom)});
      },
      ::testing::ThrowsMessage<std::runtime_error>(HasSubstr("boom")));
}

TEST(SimGrid, PlatformFile) {
  const auto file = std::filesystem::temp_directory_path() /
                    ("isthmus-platform-" + std::to_string(getpid()) + ".xml");
  std::ofstream(file) << R"(<?xml version='1.0'?>
<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">
<platform version="4.1">
  <zone id="world" routing="Full">
    <host id="tokyo" speed="1Gf"/>
    <host id="paris" speed="1Gf"/>
    <host id="lyon" speed="1Gf"/>
    <link id="sea" bandwidth="1MBps" latency="50ms"/>
    <link id="rail" bandwidth="2MBps" latency="5ms" sharing_policy="FATPIPE"/>
    <route src="tokyo" dst="paris"><link_ctn id="sea"/></route>
    <route src="paris" dst="lyon"><link_ctn id="rail"/></route>
    <route src="tokyo" dst="lyon"><link_ctn id="sea"/><link_ctn id="rail"/></route>
  </zone>
</platform>
)";
  Topology t;
  t.platform_xml = file.string();
  t.hosts = {{"tokyo", 0, {}}, {"paris", 0, {}}, {"lyon", 0, {}}};
  const auto ends = by_tag(
      run_simgrid(t, {}, {start_at(0, 0, 1, 1e6), start_at(2, 1, 2, 1e6), start_at(2, 2, 1, 1e6)}));
  ASSERT_EQ(ends.size(), 3U);
  EXPECT_EQ(ends[0].at, Instant::from_seconds(1.05));
  EXPECT_EQ(ends[1].at, Instant::from_seconds(2.505));
  EXPECT_EQ(ends[2].at, Instant::from_seconds(2.505));

  // A host that is not there; a file that is not there.
  t.hosts.push_back({"atlantis", 0, {}});
  EXPECT_THAT([&] { run_simgrid(t, {}, {}); },
              ::testing::ThrowsMessage<std::runtime_error>(
                  ::testing::AllOf(HasSubstr("atlantis"), HasSubstr("lyon, paris, tokyo"))));
  t.platform_xml = "no-such-file.xml";
  EXPECT_THAT([&] { run_simgrid(t, {}, {}); },
              ::testing::ThrowsMessage<std::runtime_error>(HasSubstr("does not exist")));
  std::filesystem::remove(file);
}

TEST(SimGrid, HundredThousandHosts) {
  // Printed, not asserted: seconds to build, resident megabytes, then one transfer.
  const auto figures = in_child<double>([] {
    const auto memory = [] {
      rusage r{};
      getrusage(RUSAGE_SELF, &r);
      return static_cast<double>(r.ru_maxrss) / 1024;
    };
    const double before = memory();
    const Topology t = star(100000, 1e7, 0.01);
    const auto begin = std::chrono::steady_clock::now();
    const auto net = make_simgrid_network(t, {}, {});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    const auto ends = run_script(*net, {start_at(0, 17, 99999, 1e7)});
    return std::vector<double>{took.count(), memory() - before, ends.at(0).at.seconds()};
  });
  std::cout << "  100,000 hosts: " << figures[0] << " s, " << figures[1] << " MB\n";
  EXPECT_NEAR(figures[2], 1.02, 1e-9);
}

}  // namespace
}  // namespace isthmus::network::test
