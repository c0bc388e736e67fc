// Power, heat, clocks and batteries: closed forms and measured cases of the shared truth, and the
// law that energy is the integral of power.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "devices/max_min.hpp"
#include "devices/node_physics.hpp"
#include "devices/physics_spec.hpp"
#include "devices/power_meter.hpp"
#include "devices/thermal_network.hpp"
#include "network/fluid_network.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"
#include "tests/shared_data.hpp"

namespace isthmus::devices {
namespace {

using nlohmann::json;

Instant at(double s) { return Instant::from_seconds(s); }

const schedulers::PolicyEntry<schedulers::GovernorPolicy>& governor(const char* name) {
  return schedulers::find_entry(schedulers::governor_policies(), name);
}

void govern(UnitPhysics& u, const char* name, const std::map<std::string, double>& set = {}) {
  u.governor = &governor(name);
  u.parameters.emplace(u.governor->parameters);
  for (const auto& [key, value] : set) u.parameters->set(key, value);
}

// Ticks up to and including `end`.
void run_to(NodePhysics& p, Instant end) {
  while (p.next_tick() <= end) p.tick(p.next_tick());
}

// One thermal node with resistance and capacitance.
ThermalSpec simple_heat(double resistance, double capacitance, double ambient, double leakage = 0) {
  ThermalSpec t;
  t.network.nodes = {{"chip", capacitance, resistance, leakage}};
  t.network.leakage_reference = ambient;
  t.ambient = {{Instant::zero(), ambient}};
  return t;
}

// ---- cases of truth/thermal_power.json and truth/energy.json ------------------------------------

void single_node(const json& c) {
  const json& in = c["inputs"];
  auto spec = std::make_shared<PhysicsSpec>();
  spec->units = {{}};
  spec->thermal = simple_heat(in["R_K_per_W"], in["C_J_per_K"], in["T_ambient"]);
  NodePhysics p(spec, Instant::zero());
  p.set_activity(Instant::zero(), 0, {1, in["P_W"].get<double>(), 0, Instant::never()});
  for (const auto& [t, celsius] : c["expected"]["T_at"].items())
    EXPECT_NEAR(p.temperature(at(std::stod(t)), 0), celsius.get<double>(), 1e-9) << t;
  ThermalNetwork n(spec->thermal->network, in["T_ambient"]);
  n.set_power(0, in["P_W"]);
  EXPECT_NEAR(n.settles_at(0), c["expected"]["T_inf"].get<double>(), 1e-9);
  const double ninety =
      in["T_ambient"].get<double>() + 0.9 * (n.settles_at(0) - in["T_ambient"].get<double>());
  EXPECT_NEAR(n.temperature_after(0, c["expected"]["time_to_90pct"]), ninety, 1e-9);
}

void throttling(const json& c) {
  const json &in = c["inputs"], &e = c["expected"];
  const double slow = in["speed_throttled"];
  auto spec = std::make_shared<PhysicsSpec>();
  UnitPhysics u;
  u.points = {{slow, 0, 0, in["P_throttled"].get<double>() / in["P_full"].get<double>()},
              {1, 0, 0, 1}};
  spec->units = {u};
  spec->thermal = simple_heat(in["R"], in["C"], in["T_ambient"]);
  spec->thermal->trips = {{0, in["T_throttle"], in["T_resume"], slow, false}};
  NodePhysics p(spec, Instant::zero());
  p.set_activity(Instant::zero(), 0, {1, in["P_full"].get<double>(), 0, Instant::never()});
  std::vector<double> throttled, resumed;
  const double end = 4000;
  double energy_from = 0, from = 0;
  while (p.next_tick() <= at(end)) {
    const Instant t = p.next_tick();
    if (!p.tick(t)) continue;
    (p.speed(0) < 1 ? throttled : resumed).push_back(t.seconds());
    if (resumed.size() == 1 && p.speed(0) == 1) {
      energy_from = p.energy(t);
      from = t.seconds();
    }
  }
  ASSERT_FALSE(throttled.empty());
  EXPECT_NEAR(throttled[0], e["first_throttle_s"].get<double>(), 0.02);
  if (e.contains("note")) {
    EXPECT_TRUE(resumed.empty());  // never leaves the throttled state
    EXPECT_NEAR(p.temperature(at(end), 0), e["steady_low"].get<double>(), 0.1);
    return;
  }
  ASSERT_GT(resumed.size(), 5U);
  EXPECT_NEAR(throttled[2] - resumed[1], e["heat_s"].get<double>(), 0.05);
  EXPECT_NEAR(resumed[2] - throttled[2], e["cool_s"].get<double>(), 0.05);
  const double whole = resumed.back() - from;
  // Work and energy up to the last resumption: whole cycles.
  double cycles_work = 0;
  for (std::size_t i = 1; i < resumed.size(); ++i)
    cycles_work += (throttled[i] - resumed[i - 1]) + slow * (resumed[i] - throttled[i]);
  EXPECT_NEAR(cycles_work / whole, e["mean_speed"].get<double>(), 1e-3);
  NodePhysics again(spec, Instant::zero());
  again.set_activity(Instant::zero(), 0, {1, in["P_full"].get<double>(), 0, Instant::never()});
  run_to(again, at(resumed.back()));
  EXPECT_NEAR((again.energy(at(resumed.back())) - energy_from) / whole,
              e["mean_power"].get<double>(), 2e-3);
}

void leakage(const json& c) {
  const json& in = c["inputs"];
  ThermalNetwork n(simple_heat(in["R"], 20, in["T_ambient"], in["k"]).network, in["T_ambient"]);
  n.set_power(0, in["P0"]);
  EXPECT_EQ(n.runs_away(), c["expected"]["runaway"].get<bool>());
  if (!n.runs_away()) {
    EXPECT_NEAR(n.settles_at(0), c["expected"]["T_inf"].get<double>(), 1e-9);
    n.advance(1e6);
    EXPECT_NEAR(n.temperature(0), c["expected"]["T_inf"].get<double>(), 1e-6);
  }
}

void two_nodes(const json& c) {
  const json& in = c["inputs"];
  ThermalNetworkSpec s;
  s.nodes = {{"junction", in["C_j"], std::numeric_limits<double>::infinity(), 0},
             {"case", in["C_c"], in["R_ca"], 0}};
  s.links = {{0, 1, in["R_jc"]}};
  ThermalNetwork n(s, in["T_ambient"]);
  n.set_power(0, in["P"]);
  for (const auto& [t, both] : c["expected"]["T_at"].items())
    for (std::uint32_t i = 0; i < 2; ++i)
      EXPECT_NEAR(n.temperature_after(i, std::stod(t)), both[i].get<double>(), 1e-6) << t;
  for (std::uint32_t i = 0; i < 2; ++i)
    EXPECT_NEAR(n.settles_at(i), c["expected"]["T_inf"][i].get<double>(), 1e-9);
}

// Energy of `work` Gcycles at a clock: P = static + a f^3 with V ~ f, then idle until `until`.
double energy_of_work(double fixed, double a, double work, double f, double fmax, double idle,
                      double until) {
  auto spec = std::make_shared<PhysicsSpec>();
  UnitPhysics u;
  u.points = {{f, idle, fixed - idle, cmos_scale(f, fmax, f, fmax)}};
  if (f < fmax) u.points.push_back({fmax, idle, fixed - idle, 1});
  govern(u, "userspace", {{"clock", f / fmax}});
  spec->units = {u};
  NodePhysics p(spec, Instant::zero());
  p.set_activity(Instant::zero(), 0, {1, a * fmax * fmax * fmax, 0, Instant::never()});
  const double done = work / f;
  p.set_activity(at(done), 0, {});
  return p.energy(at(std::max(done, until)));
}

void frequencies(const json& c) {
  const json &in = c["inputs"], &e = c["expected"];
  const double ps = in["P_static"], a = in["a"], w = in["work_Gcycles"];
  for (const auto& [f, joules] : e["E_at"].items())
    EXPECT_NEAR(energy_of_work(ps, a, w, std::stod(f), 2.4, 0, 0), joules.get<double>(),
                1e-6 * joules.get<double>());
  const double best = e["f_opt"];
  const double least = energy_of_work(ps, a, w, best, 2.4, 0, 0);
  EXPECT_NEAR(least, e["E_opt"].get<double>(), 1e-6 * least);
  EXPECT_LT(least, energy_of_work(ps, a, w, best * 0.98, 2.4, 0, 0));
  EXPECT_LT(least, energy_of_work(ps, a, w, best * 1.02, 2.4, 0, 0));
}

void race(const json& c) {
  const json &in = c["inputs"], &e = c["expected"];
  EXPECT_NEAR(
      energy_of_work(in["P_static"], in["a"], in["work"], 2.0, 2.0, in["P_idle"], in["deadline"]),
      e["E_race_2p0GHz"].get<double>(), 1e-6);
  EXPECT_NEAR(
      energy_of_work(in["P_static"], in["a"], in["work"], 1.0, 2.0, in["P_idle"], in["deadline"]),
      e["E_pace_1p0GHz"].get<double>(), 1e-6);
  // The deadline governor finds the pace by itself: 1 s of work at 2 GHz, 2 s of time.
  UnitPhysics u;
  u.points = {{1, 0, 0, 1}, {1.5, 0, 0, 1}, {2, 0, 0, 1}};
  govern(u, "deadline", {{"margin", 0}});
  auto spec = std::make_shared<PhysicsSpec>();
  spec->units = {u};
  NodePhysics p(spec, Instant::zero());
  p.set_activity(Instant::zero(), 0, {1, 1, 0.999, at(2)});
  p.tick(p.next_tick());
  EXPECT_DOUBLE_EQ(p.speed(0), 0.5);
}

void gpu_power(const json& c) {
  const json& in = c["inputs"];
  UnitPhysics u;
  u.points = {{1, in["idle"], 0, 1}};
  auto spec = std::make_shared<PhysicsSpec>();
  spec->units = {u};
  NodePhysics p(spec, Instant::zero());
  double t = 0;
  for (const json& step : in["trace"]) {
    const double busy = step[1];
    p.set_activity(
        at(t), 0,
        {busy, (in["max"].get<double>() - in["idle"].get<double>()) * busy, 0, Instant::never()});
    t += step[0].get<double>();
  }
  EXPECT_NEAR(p.energy(at(t)), c["expected"]["energy_J"].get<double>(), 1e-9 * 24500);
  EXPECT_NEAR(p.energy(at(t)) / t, c["expected"]["mean_W"].get<double>(), 1e-9 * 408);
}

// The client's energy with and without offloading, from power meters.
void kumar_lu(const json& c) {
  const json& in = c["inputs"];
  const double local = in["C"].get<double>() / in["M"].get<double>();
  const double remote = in["C"].get<double>() / (in["F"].get<double>() * in["M"].get<double>());
  const double send = in["D"].get<double>() / in["B"].get<double>();
  PowerMeter alone, offloaded;
  alone.set(Instant::zero(), Watts(in["Pc"].get<double>()));
  offloaded.set(Instant::zero(), Watts(in["Ptr"].get<double>()));
  offloaded.set(at(send), Watts(in["Pi"].get<double>()));
  const double saving =
      alone.energy(at(local)).value() - offloaded.energy(at(send + remote)).value();
  EXPECT_NEAR(saving, c["expected"]["saving_J"].get<double>(), 1e-7);
  EXPECT_EQ(saving > 0, c["expected"]["offload"].get<bool>());
}

void max_min(const json& c) {
  const auto shares = [](double capacity, std::vector<double> want) {
    std::vector<unsigned char> open(want.size(), 1);
    std::vector<double> got = want;
    share_max_min(
        want.size(), capacity, open, [&](std::size_t i) { return want[i]; },
        [&](std::size_t i, double s) { got[i] = s; });
    return got;
  };
  const json& in = c["inputs"];
  for (std::size_t i = 0; i < in["demands"].size(); ++i) {
    const auto want = in["demands"][i].get<std::vector<double>>();
    const double capacity = want.size() == 1 ? in["capacity_single"] : in["capacity"];
    EXPECT_EQ(shares(capacity, want), c["expected"]["supplied"][i].get<std::vector<double>>());
  }
}

// A phone whose language model is bound by its clock: heat makes it decay to a plateau.
void phone_decay(const json& c) {
  auto spec = std::make_shared<PhysicsSpec>();
  UnitPhysics u;
  for (const double mhz : {450.0, 580.0, 680.0, 750.0, 820.0, 900.0})
    u.points.push_back({mhz * 1e6, 0.3, 0, cmos_scale(mhz, 900, 0.55 + mhz / 2000, 1.0)});
  spec->units = {u};
  spec->thermal = simple_heat(7.5, 75, 25);
  spec->thermal->trips = {{0, 43, 41, 0.5, true}};
  spec->tick = Duration::from_seconds(10);  // step-wise governors of phones poll slowly
  NodePhysics p(spec, Instant::zero());
  p.set_activity(Instant::zero(), 0, {1, 6.5, 0, Instant::never()});
  const json& table = c["expected"]["table"];
  const double first = table[0]["tok_s"];
  std::vector<double> rates;
  for (const json& row : table) {
    const Instant t = at(60 * row["min"].get<double>());
    run_to(p, t);
    rates.push_back(first * p.speed(0));
  }
  for (std::size_t i = 1; i < rates.size(); ++i) EXPECT_LE(rates[i], rates[i - 1] + 1e-9);
  EXPECT_LT(rates.back(), 0.75 * rates.front());
  EXPECT_NEAR(rates[4], rates[3], 0.3 * rates[3]);  // a plateau
}

void sg_exec(const json& c) {
  // One busy core of four. What it draws above epsilon scales with the share of busy cores.
  const json& in = c["inputs"];
  UnitPhysics u;
  std::vector<json> states(in["pstates"].begin(), in["pstates"].end());
  const double full = states[0]["max"].get<double>() - states[0]["epsilon"].get<double>();
  std::reverse(states.begin(), states.end());
  for (const json& s : states)
    u.points.push_back({s["speed"], s["idle"], s["epsilon"].get<double>() - s["idle"].get<double>(),
                        (s["max"].get<double>() - s["epsilon"].get<double>()) / full});
  const auto make = [&](double clock) {
    auto spec = std::make_shared<PhysicsSpec>();
    spec->units = {u};
    govern(spec->units[0], "userspace", {{"clock", clock}});
    spec->off_power = in["watt_off"];
    return NodePhysics(spec, Instant::zero());
  };
  const double busy = 1.0 / in["cores"].get<double>();
  const json& e = c["expected"];
  // Before the change of clock: idle for 10 s, then 1e8 flop at 1e8 flop/s.
  NodePhysics fast = make(1);
  EXPECT_NEAR(fast.energy(at(10)), e["host1_J"][0].get<double>(), 0.5);
  fast.set_activity(at(10), 0, {busy, full * busy, 0, Instant::never()});
  const double first = 1e8 / (1e8 * fast.speed(0));
  fast.set_activity(at(10 + first), 0, {});
  EXPECT_NEAR(fast.energy(at(11)), e["host1_J"][1].get<double>(), 0.5);
  // After it: the same work at the slowest clock, then idle.
  NodePhysics slow = make(0.2);
  slow.set_activity(Instant::zero(), 0, {busy, full * busy, 0, Instant::never()});
  const double second = 1e8 / (1e8 * slow.speed(0));
  EXPECT_DOUBLE_EQ(second, e["durations"][2].get<double>());
  slow.set_activity(at(second), 0, {});
  const double before = e["host1_J"][1];
  EXPECT_NEAR(before + slow.energy(at(5)), e["host1_J"][2].get<double>(), 0.5);
  EXPECT_NEAR(before + slow.energy(at(9)), e["host1_J"][3].get<double>(), 0.5);
  EXPECT_NEAR(before + slow.energy(at(19)), e["host1_J"][4].get<double>(), 0.5);
  // Host 2 idles for 20 s and is off for 10; host 3 idles.
  NodePhysics off = make(1);
  off.set_running(at(20), false);
  EXPECT_NEAR(off.energy(at(30)), e["host2_J_total"].get<double>(), 0.5);
  EXPECT_NEAR(make(1).energy(at(30)), e["host3_J_total"].get<double>(), 0.5);
}

void sg_battery(const json& c) {
  const json &in = c["inputs"], &e = c["expected"];
  BatterySpec s;
  s.capacity = in["capacity_Wh"].get<double>() * 3600;
  s.charge = in["soc0"];
  s.discharge_efficiency = in["discharge_eff"];
  s.charge_efficiency = in["charge_eff"];
  s.discharge_limit = in["nominal_discharge_W"];
  s.charge_limit = in["nominal_charge_W"];
  s.cycles = in["cycles"];
  Battery b(s);
  b.set(in["requested_load_W"], 0);
  EXPECT_DOUBLE_EQ(b.delivering(), e["delivered_W"].get<double>());
  const double empty = b.time_until(0.2);
  EXPECT_NEAR(empty, e["discharge_time_s"].get<double>(), 1e-3);
  b.advance(empty);
  EXPECT_NEAR(b.stored(), e["stored_J_at_20pct"].get<double>(), 0.1);
  EXPECT_NEAR(b.delivered(), e["delivered_J"].get<double>(), 0.1);
  EXPECT_NEAR(b.health(), e["soh"].get<double>(), 1e-6);
  b.set(0, 100);
  const double full = b.time_until(0.8);
  EXPECT_NEAR(empty + full, e["recharge_end_s"].get<double>(), 1e-3);
  b.advance(full);
  EXPECT_NEAR(b.stored(), e["stored_J_after"].get<double>(), 0.1);
  EXPECT_NEAR(b.drawn(), e["drawn_J"].get<double>(), 0.1);
}

// A transfer over the fluid network; the link draws `busy` while bytes flow.
void sg_link(const json& c) {
  const json& in = c["inputs"];
  for (const auto& [name, bytes] : {std::pair{"case_25kB", 25e3}, {"case_50MB", 50e6}}) {
    network::Topology t;
    t.zones = {{"z"}};
    network::Link l;
    l.name = "link";
    l.bandwidth = in["bandwidth_Bps"];
    l.latency = Duration::from_seconds(in["latency_s"]);
    t.links = {l};
    t.hosts = {{"a", 0, {LinkId(0)}}, {"b", 0, {}}};
    network::FluidNetwork net(t, {});
    net.start({0, 1, bytes, 0.0, 1}, Instant::zero());
    std::vector<network::FlowEnd> ends;
    while (ends.empty()) net.collect(net.next_completion(), ends);
    ASSERT_EQ(ends.size(), 1U);
    const double duration = ends[0].at.seconds();
    PowerMeter meter;
    meter.set(Instant::zero(), Watts(in["idle_W"].get<double>()));
    meter.set(at(in["latency_s"]), Watts(in["busy_W"].get<double>()));
    EXPECT_NEAR(duration, c["expected"][name]["duration"].get<double>(), 0.01);
    EXPECT_NEAR(meter.energy(at(duration)).value(), c["expected"][name]["J"].get<double>(), 0.01);
  }
}

const std::map<std::string, std::function<void(const json&)>> by_prefix{
    {"rc_", single_node},           {"throttle_phone", throttling},
    {"leakage_", leakage},          {"two_node", two_nodes},
    {"dvfs_opt", frequencies},      {"race_to_idle", race},
    {"gpu_power_trace", gpu_power}, {"kumar_lu", kumar_lu},
    {"opendc_maxmin", max_min},     {"phone_llm_throttle", phone_decay},
    {"sg_energy_exec", sg_exec},    {"sg_battery", sg_battery},
    {"sg_link_energy", sg_link},
};
// Not of devices, with the reason.
const std::map<std::string, std::string> elsewhere{
    {"sci_embodied", "carbon accounting comes with cost and carbon"},
    {"sg_co2", "carbon accounting comes with cost and carbon"},
    {"sg_wifi_energy", "the network has no Wi-Fi zones yet"},
    {"jetson_agx_modes", "a table of one user's readings, without a mechanism to derive it from"},
};

void run_truth(const char* file) {
  std::ifstream in(testing::shared_data() / "truth" / file);
  ASSERT_TRUE(in) << file;
  std::size_t ran = 0;
  const json all = json::parse(in);
  for (const json& c : all["cases"]) {
    const std::string id = c["id"];
    SCOPED_TRACE(id);
    bool known = elsewhere.contains(id);
    for (const auto& [prefix, test] : by_prefix)
      if (id.starts_with(prefix)) {
        test(c);
        ++ran;
        known = true;
        break;
      }
    EXPECT_TRUE(known) << "a case of a new kind";
  }
  EXPECT_GT(ran, 2U);
  std::printf("%s: %zu cases run\n", file, ran);
}

TEST(PhysicsTruth, ThermalAndPower) { run_truth("thermal_power.json"); }
TEST(PhysicsTruth, Energy) { run_truth("energy.json"); }

// ---- laws
// ----------------------------------------------------------------------------------------

std::shared_ptr<PhysicsSpec> random_spec(Rng& g) {
  auto spec = std::make_shared<PhysicsSpec>();
  const char* governors[] = {"performance", "ondemand", "conservative",
                             "schedutil",   "deadline", "load-threshold"};
  ThermalSpec t;
  for (int n = 0; n < 1 + static_cast<int>(uniform_index(g, 3)); ++n) {
    t.network.nodes.push_back(
        {"n", 1 + 50 * uniform01(g), 2 + 10 * uniform01(g), 0.02 * uniform01(g)});
    if (n > 0) t.network.links.push_back({0, static_cast<std::uint32_t>(n), 1 + uniform01(g)});
  }
  t.ambient = {{Instant::zero(), 20}, {at(3), 35}};
  t.trips = {{0, 40 + 20 * uniform01(g), 38, 0.4, uniform01(g) < 0.5}};
  spec->thermal = t;
  for (int i = 0; i < 2; ++i) {
    UnitPhysics u;
    u.points = {{0.4, 0.2, 0.05, 0.2}, {0.7, 0.2, 0.05, 0.5}, {1, 0.3, 0.1, 1}};
    govern(u, governors[uniform_index(g, 6)]);
    u.thermal_node = static_cast<std::uint32_t>(uniform_index(g, t.network.nodes.size()));
    spec->units.push_back(u);
  }
  if (uniform01(g) < 0.5) spec->battery = BatterySpec{.capacity = 100 + 1000 * uniform01(g)};
  return spec;
}

TEST(NodePhysics, EnergyIsTheIntegralOfPower) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    Rng g = StreamKey(seed, "physics").at(0);
    const auto spec = random_spec(g);
    check(*spec);
    NodePhysics p(spec, Instant::zero());
    double integral = 0;
    Instant now;
    // Gauss-Legendre with five points: exact enough for exponentials over short pieces.
    const auto piece = [&](Instant a, Instant b) {
      constexpr double x[] = {-0.9061798459386640, -0.5384693101056831, 0, 0.5384693101056831,
                              0.9061798459386640};
      constexpr double w[] = {0.2369268850561891, 0.4786286704993665, 0.5688888888888889,
                              0.4786286704993665, 0.2369268850561891};
      const double s = (b - a).seconds();
      double sum = 0;
      for (int i = 0; i < 5; ++i) {
        // Powers change continuously within a piece; a date rounded to ns is near enough.
        const Instant t = a + Duration(static_cast<std::int64_t>((x[i] + 1) / 2 * s * 1e9));
        sum += w[i] / 2 * p.power(t);
      }
      integral += sum * s;
    };
    while (now < at(10)) {
      Instant next = now + Duration(static_cast<std::int64_t>(3e8 * uniform01(g)));
      while (p.next_tick() <= next) {
        const Instant t = p.next_tick();
        piece(now, t);
        now = t;
        p.tick(t);
      }
      piece(now, next);
      now = next;
      const bool busy = uniform01(g) < 0.6;
      p.set_activity(now, static_cast<std::uint32_t>(uniform_index(g, 2)),
                     busy ? UnitActivity{uniform01(g), 5 * uniform01(g), uniform01(g),
                                         now + Duration(100'000'000)}
                          : UnitActivity{});
    }
    ASSERT_NEAR(p.energy(now), integral, 1e-9 * integral) << seed;
  }
}

TEST(NodePhysics, LongIdleStretchesNeedNoTicks) {
  auto spec = std::make_shared<PhysicsSpec>();
  UnitPhysics u;
  u.points = {{0.5, 0.1, 0, 0.3}, {1, 0.2, 0, 1}};
  govern(u, "schedutil");
  spec->units = {u};
  spec->thermal = simple_heat(5, 20, 25);
  spec->thermal->trips = {{0, 60, 50, 0.5, false}};
  NodePhysics p(spec, Instant::zero());
  p.set_activity(Instant::zero(), 0, {1, 3, 0, Instant::never()});
  int ticks = 0;
  while (p.next_tick() <= at(1)) {
    p.tick(p.next_tick());
    ++ticks;
  }
  EXPECT_GE(ticks, 99);
  p.set_activity(at(1), 0, {});
  for (ticks = 0; !p.next_tick().is_never() && ticks < 1000; ++ticks) p.tick(p.next_tick());
  EXPECT_LT(ticks, 100);  // it settles
  EXPECT_DOUBLE_EQ(p.speed(0), 0.5);
  EXPECT_NEAR(p.temperature(at(1000), 0), 25 + 5 * 0.1, 1e-3);
  p.set_activity(at(1000), 0, {1, 3, 0, Instant::never()});
  EXPECT_EQ(p.next_tick(), at(1000.01));
}

TEST(NodePhysics, AnEmptyBatterySwitchesOffOnTime) {
  auto spec = std::make_shared<PhysicsSpec>();
  UnitPhysics u;
  u.points = {{1, 1, 0, 1}};
  spec->units = {u};
  spec->battery = BatterySpec{.capacity = 100};
  NodePhysics p(spec, Instant::zero());
  p.set_activity(at(10), 0, {1, 4, 0, Instant::never()});
  // 90 J are left at 10 s; 5 W empty them at 28 s.
  run_to(p, at(27.9));
  EXPECT_FALSE(p.shut_down());
  EXPECT_NEAR(p.battery_charge(at(19)), 0.45, 1e-9);
  run_to(p, at(100));
  EXPECT_TRUE(p.shut_down());
  EXPECT_NEAR(p.energy(at(100)), 100, 1e-6);
}

TEST(NodePhysics, ImpossibleMachinesAreRefused) {
  const auto refuses = [](const std::function<void(PhysicsSpec&)>& edit, const char* words) {
    PhysicsSpec s;
    s.units = {{}};
    s.thermal = simple_heat(10, 20, 25);
    edit(s);
    try {
      check(s);
      ADD_FAILURE() << "accepted: " << words;
    } catch (const InputError& e) {
      EXPECT_NE(std::string(e.what()).find(words), std::string::npos) << e.what();
    }
  };
  refuses([](PhysicsSpec& s) { s.thermal->shutdown = 20; }, "could not even be switched on");
  refuses([](PhysicsSpec& s) { s.thermal->network.nodes[0].capacitance = 0; }, "capacitance");
  refuses([](PhysicsSpec& s) { s.thermal->network.nodes[0].leakage = 0.2; }, "thermal runaway");
  refuses([](PhysicsSpec& s) { s.thermal->trips = {{0, 60, 70, 0.5, false}}; }, "resumes");
  refuses([](PhysicsSpec& s) { s.units[0].points = {{2}, {1}}; }, "must rise");
  refuses([](PhysicsSpec& s) { s.battery = BatterySpec{}; }, "capacity");
  refuses(
      [](PhysicsSpec& s) {
        s.thermal->network.nodes[0].to_ambient = std::numeric_limits<double>::infinity();
      },
      "no path to ambient");
}

}  // namespace
}  // namespace isthmus::devices
