// Placement of replicas: scenario files, whole runs by hand, random scenarios.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "results/metrics.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"
#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using testing::first_problem;
using testing::load_json;
using ::testing::HasSubstr;

json gpus(int count, int accelerators) {
  return {{"kind", "gpu"}, {"count", count}, {"accelerators", accelerators}, {"memory", "16 GB"},
          {"price", "1 USD/h"}, {"billed_when_idle", false}};
}

json service(const char* on, int units, int replicas, json placement) {
  placement["requests"]["accelerators"] = units;
  if (!placement.contains("policy")) placement["policy"] = "first-fit";
  return {{"service_time", "10 ms"}, {"on", on}, {"replicas", replicas}, {"placement", placement}};
}

json base(json nodes, json services) {
  nodes["client"] = {{"tier", "device"}};
  json s = {{"isthmus", 1}, {"name", "t"}, {"duration", "100 s"},
            {"nodes", nodes}, {"services", services}, {"workload", json::array()}};
  for (const auto& [name, unused] : services.items())
    s["workload"].push_back({{"name", name}, {"source", "poisson"}, {"rate", "5/s"}, {"target", name},
                             {"clients", {{"on", "client"}}}});
  return s;
}

results::Summary run(const json& s) {
  results::Summary r = world::run(*load_json(s).scenario, {});
  EXPECT_EQ(r.value("placement_violations"), 0);
  return r;
}

std::string start_error(const json& s) {
  try {
    run(s);
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

TEST(Placement, PolicyDecidesHowManyMachinesAreUsed) {
  // Six replicas of one unit on four machines of four.
  for (const auto& [policy, machines] : {std::pair("first-fit", 2), std::pair("best-fit", 2), std::pair("spread", 4),
                                         std::pair("most-allocated", 2), std::pair("least-allocated", 4),
                                         std::pair("worst-fit", 4), std::pair("dominant-resource", 4),
                                         std::pair("least-cost", 2)}) {
    const auto r = run(base({{"g", gpus(4, 4)}}, {{"s", service("g", 1, 6, {{"policy", policy}})}}));
    EXPECT_EQ(r.value("placement_machines.s"), machines) << policy;
    EXPECT_EQ(r.value("placement_placed.s"), 0) << "all of them at the start";
    // Machines are paid only while they are used: 100 s each.
    EXPECT_NEAR(r.value("cost"), machines * 100 / 3600.0, 1e-9) << policy;
    EXPECT_EQ(r.value("placement_room.s"), 10);
    EXPECT_EQ(r.value("placement_fragmentation.s"), 0);
  }
  for (const results::MetricDefinition& d : results::metric_definitions())
    if (d.name.starts_with("placement_")) {
      const auto r = run(base({{"g", gpus(1, 1)}}, {{"s", service("g", 1, 1, {})}}));
      const std::string name = std::string(d.name).substr(0, d.name.find('.')) + (d.name.find('<') < 99 ? ".s" : "");
      EXPECT_TRUE(std::any_of(r.metrics.begin(), r.metrics.end(), [&](const auto& m) { return m.name == name; })) << name;
    }
}

TEST(Placement, FragmentationByHand) {
  // Three small replicas, spread, leave 3 of 4 units on each of three machines: none for a replica of four,
  // and nine units are free of which none can be used. Packed, they leave two whole machines of the nine.
  for (const auto& [policy, wasted, room] : {std::tuple("spread", 1.0, 0.0), std::tuple("best-fit", 1.0 / 9, 2.0)}) {
    json s = base({{"g", gpus(3, 4)}},
                  {{"a", service("g", 1, 3, {{"policy", policy}})}, {"big", service("g", 4, 1, {})}});
    if (room == 0.0) {
      EXPECT_THAT(start_error(s), HasSubstr("0 of 1 replicas find a machine; for the next one, 0 of 3 machines can "
                                            "take it: 3 without enough free accelerators"));
      continue;
    }
    const auto r = run(s);  // the big one takes one of them: 5 are free, 4 of use
    EXPECT_EQ(r.value("placement_room.big"), room - 1);
    EXPECT_NEAR(r.value("placement_fragmentation.big"), 1.0 / 5, 1e-12);
    EXPECT_EQ(r.value("placement_fragmentation.a"), 0) << wasted;
  }
}

TEST(Placement, RequirementsChooseTheGroup) {
  json t4 = gpus(4, 1), a100 = gpus(1, 2);
  a100["memory"] = "80 GB";
  a100["labels"] = {{"disk", "ssd"}};
  for (const json& need : {json{{"memory", "80 GB"}}, json{{"labels", {{"disk", "ssd"}}}}}) {
    json s = base({{"t4", t4}, {"a100", a100}}, {{"s", service("t4", 1, 2, {{"requires", need}})}});
    s["services"]["s"]["on"] = {"t4", "a100"};
    EXPECT_EQ(run(s).value("placement_machines.s"), 1) << need;
    s["services"]["s"].erase("on");  // any that is what it requires
    EXPECT_EQ(run(s).value("placement_machines.s"), 1);
    s["services"]["s"]["replicas"] = 3;
    EXPECT_THAT(start_error(s), HasSubstr("0 of 5 machines can take it: 4 not what it requires, 1 without enough free "
                                          "accelerators"));
  }
  json s = base({{"t4", t4}}, {{"s", service("t4", 1, 1, {{"requires", {{"memory", "80 GB"}}}})}});
  EXPECT_THAT(first_problem(s), HasSubstr("no machine is what it requires: \"t4\" has 16 GB per unit, 80 GB are required"));
}

TEST(Placement, PoolsHaveTimesOfTheirOwn) {
  json s = base({{"slow", gpus(1, 1)}, {"fast", gpus(1, 1)}}, {{"s", service("slow", 1, 2, {})}});
  s["services"]["s"]["pools"] = {{"slow", {{"on", "slow"}}}, {"fast", {{"on", "fast"}, {"service_time", "1 ms"}}}};
  s["services"]["s"]["routing"] = "round-robin";
  const auto r = run(s);
  EXPECT_NEAR(r.value("service_time.mean"), 0.0055, 2e-4);
  EXPECT_EQ(r.value("placement_machines.s"), 2);
}

TEST(Placement, TaintsKeepOffWhatDoesNotTolerateThem) {
  json g = gpus(2, 1);
  g["taints"] = {"dedicated=vision"};
  const json s = base({{"g", g}}, {{"s", service("g", 1, 1, {})}});
  EXPECT_THAT(start_error(s), HasSubstr("2 with a taint that it does not tolerate"));
  const json tolerant = base({{"g", g}}, {{"s", service("g", 1, 1, {{"tolerates", {"dedicated"}}})}});
  EXPECT_EQ(run(tolerant).value("placement_machines.s"), 1);
  // A soft one only makes the others preferred.
  json soft = gpus(1, 1), plain = gpus(1, 1);
  soft["taints"] = {"old:PreferNoSchedule"};
  plain["price"] = "9 USD/h";
  json both = base({{"a", soft}, {"b", plain}}, {{"s", service("a", 1, 1, {})}});
  both["services"]["s"]["on"] = {"a", "b"};
  EXPECT_NEAR(run(both).value("cost"), 9 * 100 / 3600.0, 1e-9);
  both["services"]["s"]["replicas"] = 2;
  EXPECT_NEAR(run(both).value("cost"), 10 * 100 / 3600.0, 1e-9);
}

TEST(Placement, NeighboursAndSpread) {
  json zoned = gpus(6, 4);
  zoned["zone"] = {"z1", "z2", "z3"};
  const auto one = [&](const json& rules, int replicas) {
    return base({{"g", zoned}}, {{"s", service("g", 1, replicas, rules)}});
  };
  // One per machine, six machines.
  EXPECT_EQ(run(one({{"anti_affinity", {"s"}}}, 6)).value("placement_machines.s"), 6);
  EXPECT_THAT(start_error(one({{"anti_affinity", {"s"}}}, 7)), HasSubstr("6 with a service it must not be near"));
  EXPECT_THAT(start_error(one({{"anti_affinity", {"s"}}, {"anti_affinity_over", "zone"}}, 4)),
              HasSubstr("3 of 4 replicas find a machine"));
  // Near itself: all in the machine of the first.
  EXPECT_EQ(run(one({{"affinity", {"s"}}, {"policy", "spread"}}, 4)).value("placement_machines.s"), 1);
  EXPECT_THAT(start_error(one({{"affinity", {"s"}}}, 5)), HasSubstr("5 without the service it must be near"));
  // First fit over zones with a skew of one: machines z1, z2, z3, z1...
  EXPECT_EQ(run(one({{"spread", {{"over", "zone"}}}}, 6)).value("placement_machines.s"), 3);
  EXPECT_EQ(run(one({{"spread", {{"over", "machine"}}}}, 6)).value("placement_machines.s"), 6);
  EXPECT_EQ(run(one({{"spread", {{"over", "machine"}, {"hard", false}}}}, 6)).value("placement_machines.s"), 6);
  // What is there keeps newcomers away as well.
  json pair = base({{"g", gpus(1, 2)}}, {{"a", service("g", 1, 1, {{"anti_affinity", {"b"}}})}, {"b", service("g", 1, 1, {})}});
  EXPECT_THAT(start_error(pair), HasSubstr("1 with a service it must not be near"));
}

TEST(Placement, MemoryIsShared) {
  const auto s = [](const char* bytes) {
    json p = service("g", 0, 3, {});
    p["placement"]["requests"] = {{"memory", bytes}};
    return base({{"g", gpus(1, 1)}}, {{"s", p}});
  };
  EXPECT_EQ(run(s("5 GB")).value("placement_room.s"), 0);
  EXPECT_THAT(start_error(s("6 GB")), HasSubstr("1 without enough free memory"));
  EXPECT_THAT(first_problem(s("17 GB")), HasSubstr("a replica requests 17 GB, a machine of \"g\" has 16 GB"));
}

TEST(Placement, FailedMachinesAreReplacedElsewhere) {
  json s = base({{"g", gpus(2, 1)}}, {{"s", service("g", 1, 1, {{"failover", "5 s"}})}});
  s["services"]["s"]["cold_start"] = "2 s";
  s["faults"] = {{{"node", "g"}, {"index", 0}, {"at", "50 s"}, {"lasts", "40 s"}}};
  const auto r = run(s);
  EXPECT_EQ(r.value("placement_placed.s"), 1);
  EXPECT_NEAR(r.services[0].mean_replicas, 0.93, 1e-9) << "gone for 7 s of 100";
  // With nothing else, it waits until the machine is back.
  s["nodes"]["g"]["count"] = 1;
  const auto waiting = run(s);
  EXPECT_EQ(waiting.value("placement_waited.s"), 35) << "from 55 s to 90 s";
  EXPECT_NEAR(waiting.value("placement_pending.s"), 0.35, 1e-9);
  EXPECT_NEAR(waiting.services[0].mean_replicas, 0.58, 1e-9) << "0 to 50 s and 92 to 100 s";
  s["faults"][0].erase("lasts");
  const auto never = run(s);
  EXPECT_TRUE(std::any_of(never.info.notes.begin(), never.info.notes.end(), [](const std::string& n) {
    return n.find("1 replicas wait for a machine: 0 of 1 machines can take it: 1 down") != std::string::npos;
  }));
}

json crowded() {
  // Two small ones, spread over two machines of two, and a large one that takes both units of one.
  json s = base({{"g", gpus(2, 2)}}, {{"small", service("g", 1, 2, {{"policy", "spread"}})}});
  json big = service("g", 2, 1, {});
  big["cold_start"] = "1 s";
  s["services"]["small"]["cold_start"] = "3 s";
  s["services"]["big"] = big;
  return s;
}

TEST(Placement, DeschedulerMakesRoom) {
  // The large one loses its machine; the small ones stand on the other two.
  json s = crowded();
  s["nodes"]["h"] = gpus(1, 2);
  s["services"]["big"]["on"] = {"h", "g"};
  s["faults"] = {{{"node", "h"}, {"at", "20.5 s"}}};
  EXPECT_NEAR(run(s).value("placement_waited.big"), 79.5, 1e-9);
  s["descheduler"] = {{"period", "10 s"}};
  const auto r = run(s);
  // At 30 s a copy of one small one starts beside the other, ready at 33 s; then the old one goes.
  EXPECT_EQ(r.value("placement_moves.small"), 1);
  EXPECT_NEAR(r.value("placement_waited.big"), 12.5, 0.011) << "the old one may have a request to end";
  EXPECT_EQ(r.value("failed_rate"), 0);
  s["services"]["small"]["placement"]["movable"] = false;
  EXPECT_EQ(run(s).value("placement_moves.small"), 0);
}

TEST(Placement, DeschedulerFreesMachines) {
  json s = base({{"g", gpus(4, 4)}}, {{"s", service("g", 1, 4, {{"policy", "spread"}})}});
  s["descheduler"] = {{"period", "10 s"}, {"consolidate", true}, {"max_moves", 2}};
  const auto r = run(s);
  // Rounds at 10, 20 and 30 s free a machine each, with 1, 1 and 2 moves; no cold start.
  EXPECT_EQ(r.value("placement_moves.s"), 4);
  EXPECT_NEAR(r.value("placement_machines.s"), (4 * 10 + 3 * 10 + 2 * 10 + 70) / 100.0, 2e-3);
}

TEST(Placement, RandomScenariosBreakNoRule) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Rng g(seed);
    const auto below = [&](std::uint64_t n) { return static_cast<int>(uniform_index(g, n)); };
    json nodes, services;
    for (int n = 0; n < 3; ++n) {
      json group = gpus(1 + below(4), 1 + below(4));
      group["zone"] = {"z" + std::to_string(below(3)), "y"};
      if (below(3) == 0) group["taints"] = {below(2) ? "a" : "b=1:PreferNoSchedule"};
      nodes["g" + std::to_string(n)] = group;
    }
    for (int i = 0; i < 3; ++i) {
      json rules{{"policy", std::array{"best-fit", "spread", "random", "least-cost", "dominant-resource"}[static_cast<std::size_t>(below(5))]},
                 {"failover", below(2) ? "0 s" : "3 s"}};
      if (below(3) == 0) rules["anti_affinity"] = {"s" + std::to_string(below(3))};
      if (below(3) == 0) rules["spread"] = {{"over", below(2) ? "zone" : "machine"}, {"max_skew", 1 + below(2)}};
      if (below(2) == 0) rules["tolerates"] = {"a"};
      json s = service("g0", 1, 1, rules);
      s["on"] = {"g0", "g1", "g2"};
      if (below(2)) s["placement"]["requests"]["memory"] = "3 GB";
      s["max_replicas"] = 6;
      s["service_time"] = "200 ms";
      s["cold_start"] = "2 s";
      s["autoscaling"] = {{"policy", "hpa"}, {"period", "5 s"}, {"scrape_period", "5 s"}};
      services["s" + std::to_string(i)] = s;
    }
    json s = base(nodes, services);
    s["seed"] = seed;
    s["descheduler"] = {{"period", "7 s"}, {"consolidate", below(2) == 1}};
    s["faults"] = {{{"nodes", {"g0", "g1", "g2"}}, {"together", false}, {"time_to_repair", "10 s"},
                    {"time_to_failure", {{"distribution", "exponential"}, {"mean", "40 s"}}}}};
    try {
      const auto r = run(s);
      EXPECT_EQ(r.created, r.completed + r.rejected + r.failed + r.in_flight);
    } catch (const InputError& e) {
      EXPECT_THAT(e.what(), HasSubstr("machines can take it")) << s.dump(1);
    }
  }
}

TEST(Placement, OthersAreNeverUsed) {
  // Machines without the label have room and are cheaper, and no replica is ever there: they cost nothing.
  json good = gpus(3, 2), bad = gpus(5, 4);
  good["labels"] = {{"land", "de"}};
  bad["price"] = "0.1 USD/h";
  for (const char* policy : {"least-cost", "spread", "random"})
    for (int seed = 1; seed <= 3; ++seed) {
      json s = base({{"bad", bad}, {"good", good}},
                    {{"s", service("bad", 1, 2, {{"policy", policy}, {"requires", {{"labels", {{"land", "de"}}}}}})}});
      s["services"]["s"].update({{"on", {"bad", "good"}}, {"max_replicas", 20}, {"service_time", "300 ms"}, {"cold_start", "1 s"},
                                 {"autoscaling", {{"policy", "queue-length"}, {"target", 0.5}, {"max_replicas", 20}, {"period", "2 s"}}}});
      s["workload"][0]["rate"] = "20/s";
      s["seed"] = seed;
      s["descheduler"] = {{"period", "3 s"}, {"consolidate", true}};
      s["faults"] = {{{"node", "good"}, {"together", false}, {"time_to_repair", "4 s"},
                      {"time_to_failure", {{"distribution", "exponential"}, {"mean", "20 s"}}}}};
      const auto r = run(s);
      EXPECT_GT(r.value("placement_pending.s"), 0) << "six of twenty find room";
      EXPECT_EQ(r.nodes[0].name, "bad");
      EXPECT_EQ(r.nodes[0].hours, 0) << policy;
      EXPECT_GT(r.nodes[1].hours, 0);
    }
}

TEST(Placement, RefusesWhatMakesNoSense) {
  const json fine = base({{"g", gpus(2, 2)}}, {{"s", service("g", 1, 1, {})}});
  const auto with = [&](const char* pointer, const json& value) {
    json s = fine;
    s[json::json_pointer(pointer)] = value;
    return first_problem(s);
  };
  EXPECT_THAT(with("/services/s/placement/policy", "best"), HasSubstr("best-fit"));
  EXPECT_THAT(with("/services/s/placement/tolerates", {"a b"}), HasSubstr("neither \"key\" nor"));
  EXPECT_THAT(with("/nodes/g/taints", {"a:Sometimes"}), HasSubstr("NoSchedule"));
  EXPECT_THAT(with("/services/s/placement/affinity", {"x"}), HasSubstr("x"));
  EXPECT_THAT(with("/services/s/placement/affinity_over", "zone"), HasSubstr("only with \"affinity\""));
  EXPECT_THAT(with("/services/s/placement/requests/accelerators", 3), HasSubstr("a replica needs 3 accelerators"));
  EXPECT_THAT(with("/services/s/placement/spread", {{"max_skew", 0}}), HasSubstr("1"));
  EXPECT_THAT(with("/services/s/on", {"g", "g"}), HasSubstr("named twice"));
  EXPECT_THAT(with("/services/s/on", {"g", "h"}), HasSubstr("h"));
  EXPECT_THAT(with("/services/s/local", true), HasSubstr("every machine"));
  EXPECT_THAT(with("/services/s/placement/requires", {{"zone", "nowhere"}}), HasSubstr("nowhere"));
  json none = fine;
  none["services"]["s"].erase("placement");
  none["services"]["s"]["on"] = {"g", "client"};
  EXPECT_THAT(first_problem(none), HasSubstr("several node groups need a \"placement\""));
  json idle = base({{"g", gpus(2, 2)}}, {{"s", {{"service_time", "1 ms"}, {"on", "g"}}}});
  idle["descheduler"] = json::object();
  EXPECT_THAT(first_problem(idle), HasSubstr("no service has a \"placement\""));
}

}  // namespace
}  // namespace isthmus::scenarios
