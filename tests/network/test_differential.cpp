// The two backends against each other on random networks: every end within 2 ns + 1e-9 relative.
#include <gtest/gtest.h>

#include <cmath>
#include <iostream>

#include "network/fluid_network.hpp"
#include "sim/core/random.hpp"
#include "tests/network/script.hpp"

namespace isthmus::network::test {
namespace {

struct Case {
  Topology topology;
  std::vector<Op> ops;
};

enum class Shape { star, two_level, dumbbell, funnel, cells, trunks };
constexpr Shape shapes[] = {Shape::star,   Shape::two_level, Shape::dumbbell,
                            Shape::funnel, Shape::cells,     Shape::trunks};

// What may happen in a case beside transfers.
struct Extras {
  bool changes = false, failures = false, cancels = false;
  bool contention = false;  // capacities fall with the number of flows
};

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : rng_(seed) {}
  double uniform(double lo, double hi) { return lo + (hi - lo) * uniform01(rng_); }
  std::uint32_t index(std::size_t n) { return static_cast<std::uint32_t>(uniform_index(rng_, n)); }
  bool chance(double p) { return uniform01(rng_) < p; }

 private:
  Rng rng_;
};

Link random_link(Draw& draw, const std::string& name, double scale) {
  Link l;
  l.name = name;
  l.bandwidth = std::floor(scale * draw.uniform(0.5, 4.0));
  l.latency = Duration::from_seconds(draw.uniform(1e-4, 0.03));
  const double kind = draw.uniform(0, 1);
  l.sharing = kind < 0.5 ? Sharing::split_duplex : kind < 0.85 ? Sharing::shared : Sharing::fatpipe;
  if (l.sharing == Sharing::split_duplex && draw.chance(0.3))
    l.bandwidth_down = std::floor(l.bandwidth * draw.uniform(1, 5));
  return l;
}

Case random_case(std::uint64_t seed, Shape shape, const Extras& extras, int flows) {
  Draw draw(seed);
  Case c;
  Topology& t = c.topology;
  const auto add_link = [&](double scale) {
    t.links.push_back(random_link(draw, "link" + std::to_string(t.links.size()), scale));
    Link& l = t.links.back();
    if (extras.contention && l.sharing != Sharing::fatpipe && draw.chance(0.5))
      for (double left = draw.uniform(0.8, 1); left > 0.1 && l.contention.size() < 12;
           left *= draw.uniform(0.7, 1))
        l.contention.push_back(left);
    return LinkId::of(t.links.size() - 1);
  };
  const auto add_host = [&](std::uint32_t zone, std::vector<LinkId> access) {
    t.hosts.push_back({"host" + std::to_string(t.hosts.size()), zone, std::move(access)});
  };

  // Hosts and links.
  if (shape == Shape::star) {
    t.zones = {{"z"}};
    for (int i = 0; i < 8; ++i) add_host(0, {add_link(1e6)});
    if (draw.chance(0.5)) t.zone_routes.push_back({0, 0, {{add_link(2e6), Direction::up}}});
  } else if (shape == Shape::funnel) {
    // Many hosts behind one link: the virtual-time path, with two transfers of one host at times.
    t.zones = {{"field"}, {"edge"}};
    for (int i = 0; i < 60; ++i) add_host(0, {add_link(1e6)});
    add_host(1, {});
    t.zone_routes.push_back({0, 1, {{add_link(draw.uniform(5e5, 1e7)), Direction::up}}});
  } else if (shape == Shape::cells) {
    // Wi-Fi cells with stations of different rates, some behind a link of their own, and a server.
    for (std::uint32_t z = 0; z < 3; ++z) {
      t.zones.push_back({"cell" + std::to_string(z)});
      const LinkId cell = add_link(2e6);
      Link& l = t.links[cell.value()];
      l.sharing = Sharing::wifi;
      l.bandwidth_down.reset();
      l.contention.clear();
      for (int i = 0; i < 6; ++i) {
        std::vector<LinkId> access = {cell};
        if (draw.chance(0.3)) access.insert(access.begin(), add_link(1e6));
        add_host(z, access);
        if (draw.chance(0.7))
          t.hosts.back().station_rate = std::floor(draw.uniform(0.1, 1) * t.links[cell.value()].bandwidth);
      }
    }
    t.zones.push_back({"wired"});
    add_host(3, {add_link(1e7)});
    const LinkId backbone = add_link(5e6);
    for (std::uint32_t a = 0; a < 4; ++a)
      for (std::uint32_t b = a + 1; b < 4; ++b)
        t.zone_routes.push_back({a, b, {{backbone, Direction::up}}});
  } else if (shape == Shape::trunks) {
    // Contended cells behind contended trunks to an edge server and, over a WAN, to the cloud: many
    // transfers in few classes. Some stations have a link of their own beside.
    const std::uint32_t cells = 3 + draw.index(6);
    for (std::uint32_t z = 0; z < cells; ++z) {
      t.zones.push_back({"cell" + std::to_string(z)});
      const LinkId cell = add_link(2e6);
      Link& l = t.links[cell.value()];
      const bool air = draw.chance(0.5);
      l.sharing = air ? Sharing::wifi : Sharing::split_duplex;
      if (air) {
        l.bandwidth_down.reset();
        l.contention.clear();
      }
      for (int i = 0; i < 12; ++i) {
        std::vector<LinkId> access = {cell};
        if (draw.chance(0.2)) access.insert(access.begin(), add_link(1e6));
        add_host(z, access);
        if (air && draw.chance(0.5))
          t.hosts.back().station_rate = std::floor(draw.uniform(0.1, 1) * t.links[cell.value()].bandwidth);
      }
    }
    t.zones.push_back({"edge"});
    t.zones.push_back({"cloud"});
    add_host(cells, {add_link(1e7)});
    add_host(cells + 1, {});
    const LinkId wan = add_link(draw.uniform(1e6, 6e6));
    for (std::uint32_t z = 0; z < cells; ++z) {
      std::vector<LinkUse> trunk;
      if (draw.chance(0.7)) trunk.push_back({add_link(2e6), Direction::up});
      t.zone_routes.push_back({z, cells, trunk});
      trunk.push_back({wan, Direction::up});
      t.zone_routes.push_back({z, cells + 1, trunk});
      for (std::uint32_t other = z + 1; other < cells; ++other)
        t.zone_routes.push_back({z, other, {{wan, Direction::up}}});
    }
    t.zone_routes.push_back({cells, cells + 1, {{wan, Direction::up}}});
  } else {
    const std::uint32_t zones = shape == Shape::dumbbell ? 2 : 4;
    for (std::uint32_t z = 0; z < zones; ++z) {
      t.zones.push_back({"z" + std::to_string(z)});
      const LinkId cell = add_link(2e6);
      for (int i = 0; i < 5; ++i) {
        std::vector<LinkId> access = {add_link(1e6)};
        if (shape == Shape::two_level) access.push_back(cell);
        add_host(z, access);
      }
    }
    const LinkId backbone = add_link(3e6);
    for (std::uint32_t a = 0; a < zones; ++a)
      for (std::uint32_t b = a + 1; b < zones; ++b)
        t.zone_routes.push_back(
            {a, b, {{backbone, Direction::up}, {add_link(4e6), Direction::up}}});
    // An exception for one pair.
    t.host_routes.push_back({0, 6, {{add_link(1e6), Direction::up}}});
  }

  // Transfers, staggered over ten seconds; some with a cap, some empty.
  for (int i = 0; i < flows; ++i) {
    const std::uint32_t from = draw.index(t.hosts.size());
    std::uint32_t to = draw.index(t.hosts.size());
    if (shape == Shape::funnel && draw.chance(0.9)) to = 60;
    if (shape == Shape::trunks && draw.chance(0.95))
      to = static_cast<std::uint32_t>(t.hosts.size()) - 1 - draw.index(2);
    if (to == from) to = (to + 1) % static_cast<std::uint32_t>(t.hosts.size());
    const double bytes = draw.chance(0.03) ? 0 : std::floor(draw.uniform(1e3, 1e6));
    c.ops.push_back(start_at(std::floor(draw.uniform(0, 1e6)) * 1e-5, from, to, bytes,
                             draw.chance(0.2) ? draw.uniform(5e4, 5e5) : 0));
  }
  if (extras.cancels)
    for (int i = 0; i < flows / 10; ++i) {
      const std::size_t which = draw.index(static_cast<std::size_t>(flows));
      c.ops.push_back(cancel_at(c.ops[which].at.seconds() + draw.uniform(0.001, 2), which));
    }

  // Capacities, states and (rarely) latencies change by schedule, some of them in loops.
  for (Link& l : t.links) {
    if (extras.changes && l.sharing != Sharing::wifi && draw.chance(0.5)) {
      double at = 0;
      for (int i = 0; i < 8; ++i) {
        at += draw.uniform(0.1, 1.5);
        LinkChange change;
        change.at = Duration::from_seconds(at);
        change.bandwidth = std::floor(l.bandwidth * draw.uniform(0.2, 3));
        if (draw.chance(0.1)) change.latency = Duration::from_seconds(draw.uniform(1e-4, 0.03));
        l.changes.push_back(change);
      }
      if (draw.chance(0.5)) l.loop_period = Duration::from_seconds(at + 0.25);
    } else if (extras.failures && draw.chance(0.3)) {
      LinkChange down, up;
      down.at = Duration::from_seconds(draw.uniform(0.5, 8));
      down.up = false;
      up.at = down.at + Duration::from_seconds(draw.uniform(0.1, 1));
      up.up = true;
      l.changes = {down, up};
    }
  }
  return c;
}

// Compares the ends of one case from two solvers and returns the worst deviation in ns.
double compare(const Case& c, const std::vector<FlowEnd>& fluid, const std::vector<FlowEnd>& other) {
  EXPECT_EQ(fluid.size(), other.size());
  EXPECT_EQ(fluid.size(),
            static_cast<std::size_t>(std::count_if(c.ops.begin(), c.ops.end(), [](const Op& op) {
              return op.kind == Op::Kind::start;
            })));
  double worst = 0;
  for (std::size_t i = 0; i < std::min(fluid.size(), other.size()); ++i) {
    EXPECT_EQ(fluid[i].tag, other[i].tag);
    EXPECT_EQ(static_cast<int>(fluid[i].outcome), static_cast<int>(other[i].outcome))
        << "flow " << fluid[i].tag << " fluid " << fluid[i].at.ns() << " other "
        << other[i].at.ns();
    const double deviation = std::abs(static_cast<double>(fluid[i].at.ns() - other[i].at.ns()));
    EXPECT_LE(deviation, 2 + 1e-9 * static_cast<double>(other[i].at.ns()))
        << "flow " << fluid[i].tag << " fluid " << fluid[i].at.ns() << " other "
        << other[i].at.ns();
    worst = std::max(worst, deviation);
    if (::testing::Test::HasFailure()) return worst;
  }
  return worst;
}

// The fluid backend with one of its solvers for meshes; adds up what it has done in `solves`.
std::vector<FlowEnd> run_solver(FluidNetwork::MeshSolver solver, const Case& c,
                                const FlowModel& model, FluidNetwork::Solves& solves) {
  FluidNetwork net(c.topology, model);
  net.set_mesh_solver(solver);
  std::vector<FlowEnd> ends = by_tag(run_script(net, c.ops));
  solves.by_flow += net.solves().by_flow;
  solves.by_class += net.solves().by_class;
  return ends;
}

double compare(const Case& c, const FlowModel& model) {
  return compare(c, by_tag(run_fluid(c.topology, model, c.ops)),
                 by_tag(run_simgrid(c.topology, model, c.ops)));
}

void sweep(const Extras& extras, const FlowModel& model, std::uint64_t salt, int flows = 300,
           std::uint64_t seeds = 5) {
  double worst = 0;
  for (const Shape shape : shapes)
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
      SCOPED_TRACE("shape " + std::to_string(static_cast<int>(shape)) + " seed " +
                   std::to_string(seed));
      worst = std::max(
          worst, compare(random_case(seed * 1000 + salt, shape, extras, flows), model));
      if (::testing::Test::HasFailure()) return;
    }
  std::cout << "  largest deviation between backends: " << worst << " ns" << std::endl;
}

FlowModel equal() {
  FlowModel m;
  m.equal_shares = true;
  return m;
}

TEST(Differential, MaxMin) { sweep({}, equal(), 1); }
TEST(Differential, MaxMinWithChangesFailuresCancels) { sweep({true, true, true}, equal(), 2); }
TEST(Differential, Cm02) { sweep({}, {}, 3); }
TEST(Differential, Cm02WithChangesFailuresCancels) { sweep({true, true, true}, {}, 4); }
TEST(Differential, Lv08) { sweep({}, flow_model("LV08"), 5); }
TEST(Differential, Lv08WithChangesFailuresCancels) {
  sweep({true, true, true}, flow_model("LV08"), 6);
}

TEST(Differential, Contention) { sweep({false, false, false, true}, equal(), 9); }
TEST(Differential, ContentionWithChangesFailuresCancels) {
  sweep({true, true, true, true}, equal(), 10);
  sweep({true, true, true, true}, flow_model("LV08"), 11);
}
// Thousands of transfers that pile up (congestion collapse), with everything that can happen.
TEST(Differential, ThousandsOfFlows) {
  sweep({true, true, true, true}, equal(), 12, 2000, 1);
  sweep({true, true, true, false}, flow_model("LV08"), 13, 1500, 1);
}

// Class by class against SimGrid: cells behind trunks, all at once, with caps and unequal weights.
// Nearly every event must have been solved by class, or the test says nothing.
TEST(Differential, FewClassesOfManyFlows) {
  using Solver = FluidNetwork::MeshSolver;
  FluidNetwork::Solves solves;
  double worst = 0;
  for (const FlowModel& model : {equal(), FlowModel{}, flow_model("LV08")})
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      SCOPED_TRACE("model " + model.name + " seed " + std::to_string(seed));
      const Extras extras{seed % 4 == 3, seed % 4 == 3, seed % 2 == 1, seed % 4 == 0};
      const Case c = random_case(seed * 1000 + 14, Shape::trunks, extras, 700);
      worst = std::max(worst, compare(c, run_solver(Solver::automatic, c, model, solves),
                                      by_tag(run_simgrid(c.topology, model, c.ops))));
      if (::testing::Test::HasFailure()) return;
    }
  std::cout << "  largest deviation between backends: " << worst << " ns; " << solves.by_class
            << " solutions by class, " << solves.by_flow << " by flow" << std::endl;
  EXPECT_GT(solves.by_class, 3000U);
  EXPECT_LT(solves.by_flow * 10, solves.by_class);
}

// Class by class against flow by flow, where few flows share a class too.
TEST(Differential, ClassesAgainstFlows) {
  using Solver = FluidNetwork::MeshSolver;
  FluidNetwork::Solves flows, classes, automatic;
  double worst = 0;
  const Extras plain, all{true, true, true, true};
  std::uint64_t salt = 20;
  for (const FlowModel& model : {equal(), FlowModel{}, flow_model("LV08")})
    for (const Extras& extras : {plain, all})
      for (const int size : {40, 300, 600}) {
        ++salt;
        for (const Shape shape : shapes) {
          SCOPED_TRACE("shape " + std::to_string(static_cast<int>(shape)) + " salt " +
                       std::to_string(salt));
          const Case c = random_case(salt, shape, extras, size);
          const auto by_flow = run_solver(Solver::flows, c, model, flows);
          worst = std::max(
              {worst, compare(c, run_solver(Solver::classes, c, model, classes), by_flow),
               compare(c, run_solver(Solver::automatic, c, model, automatic), by_flow)});
          if (::testing::Test::HasFailure()) return;
        }
      }
  std::cout << "  largest deviation between solvers: " << worst << " ns; " << classes.by_class
            << " solutions by class, " << flows.by_flow << " by flow" << std::endl;
  EXPECT_EQ(flows.by_class, 0U);
  EXPECT_EQ(classes.by_flow, 0U);
  EXPECT_GT(classes.by_class, 10000U);
  EXPECT_GT(automatic.by_class, 1000U);
  EXPECT_GT(automatic.by_flow, 1000U);
}

// Against SimGrid left to itself: no fatpipes, whose light flows it slows, and nothing that
// changes.
Case without_fatpipes(Case c) {
  for (Link& l : c.topology.links)
    if (l.sharing == Sharing::fatpipe) l.sharing = Sharing::shared;
  return c;
}
void sweep_native(FlowModel model, std::uint64_t salt) {
  for (const Shape shape : {Shape::star, Shape::two_level, Shape::dumbbell})
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      const Case c =
          without_fatpipes(random_case(seed * 1000 + salt, shape, {false, true, true}, 200));
      FlowModel native = model;
      native.native = true;
      const auto fluid = by_tag(run_fluid(c.topology, model, c.ops));
      const auto simgrid = by_tag(run_simgrid(c.topology, native, c.ops));
      ASSERT_EQ(fluid.size(), simgrid.size());
      for (std::size_t i = 0; i < fluid.size(); ++i) {
        const auto at = static_cast<double>(simgrid[i].at.ns());
        ASSERT_EQ(static_cast<int>(fluid[i].outcome), static_cast<int>(simgrid[i].outcome)) << i;
        ASSERT_NEAR(static_cast<double>(fluid[i].at.ns()), at, 2 + 1e-9 * at)
            << "flow " << i << " seed " << seed << " shape " << static_cast<int>(shape);
      }
    }
}
TEST(Differential, NativeCm02) { sweep_native({}, 7); }
TEST(Differential, NativeLv08) { sweep_native(flow_model("LV08"), 8); }

}  // namespace
}  // namespace isthmus::network::test
