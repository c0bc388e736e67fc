// Machines that come and go: timelines by hand from the documented rules, expanders, spot machines, mistakes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "sim/core/random.hpp"
#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using testing::first_problem;
using testing::load_json;
using ::testing::HasSubstr;

json gpus(int count, int accelerators, double price = 1) {
  return {{"kind", "gpu"}, {"count", count}, {"accelerators", accelerators}, {"memory", "16 GB"},
          {"price", std::to_string(price) + " USD/h"}};
}

// Replicas of one accelerator each.
json service(json on, int replicas, json placement = json::object()) {
  placement["requests"]["accelerators"] = 1;
  if (!placement.contains("policy")) placement["policy"] = "first-fit";
  return {{"service_time", "10 ms"}, {"on", on}, {"replicas", replicas}, {"placement", placement}};
}

json base(json nodes, json services, json groups, double duration) {
  nodes["client"] = {{"tier", "device"}};
  json s = {{"isthmus", 1}, {"name", "t"}, {"duration", std::to_string(duration) + " s"},
            {"nodes", nodes}, {"services", services}, {"workload", json::array()},
            {"cluster_autoscaler", {{"groups", groups}}}};
  for (const auto& [name, unused] : services.items())
    s["workload"].push_back({{"name", name}, {"source", "deterministic"}, {"rate", "1/s"}, {"target", name},
                             {"clients", {{"on", "client"}}}});
  return s;
}

// The number of replicas changes at dates, as seen at multiples of 5 s.
void schedule(json& s, const char* name, const json& at, const json& replicas) {
  s["services"][name]["autoscaling"] = {{"policy", "scheduled"}, {"at", at}, {"replicas", replicas},
                                        {"period", "5 s"}, {"scrape_period", "5 s"}, {"scrape_delay", "0 s"}};
}

results::Summary run(const json& s) {
  results::Summary r = world::run(*load_json(s).scenario, {});
  EXPECT_EQ(r.value("placement_violations"), 0);
  EXPECT_EQ(r.created, r.completed + r.rejected + r.failed + r.in_flight);
  return r;
}

// Three more replicas are wanted at 95 s, seen at the scan of 100 s; their machines come at 160 s. At 1005 s they go;
// their machines are empty from the scan of 1010 s on and are given up 10 minutes later.
TEST(ClusterAutoscaling, GrowsAndShrinksByHand) {
  for (const char* network : {"fluid", "simgrid"}) {
    json s = base({{"g", gpus(5, 1)}}, {{"s", service("g", 1)}}, {{"g", {{"min", 1}}}}, 2000);
    s["network"]["model"] = network;
    schedule(s, "s", {"0 s", "95 s", "1005 s"}, {1, 4, 1});
    const auto r = run(s);
    EXPECT_EQ(r.value("node_orders.g"), 3);
    EXPECT_EQ(r.value("node_removals.g"), 3);
    EXPECT_EQ(r.value("node_orders_failed.g"), 0);
    EXPECT_EQ(r.value("node_count_max.g"), 4);
    EXPECT_NEAR(r.value("pending_replica_seconds"), 3 * 65, 1e-9);
    EXPECT_NEAR(r.value("node_provisioning.g"), 60, 1e-9);
    EXPECT_NEAR(r.value("node_count.g"), 1 + 3 * (1610.0 - 160) / 2000, 1e-9);
    EXPECT_NEAR(r.value("cost"), (2000 + 3 * 1450) / 3600.0, 1e-9);
    EXPECT_EQ(r.failed, 0U);
  }
}

// Another group orders at 1500 s: for 10 minutes nothing is given up.
TEST(ClusterAutoscaling, WaitsAfterAnOrder) {
  json s = base({{"g", gpus(5, 1)}, {"h", gpus(2, 1)}}, {{"s", service("g", 1)}, {"t", service("h", 1)}},
                {{"g", {{"min", 1}}}, {"h", {{"min", 1}}}}, 3000);
  schedule(s, "s", {"0 s", "95 s", "1005 s"}, {1, 4, 1});
  schedule(s, "t", {"0 s", "1495 s"}, {1, 2});
  EXPECT_NEAR(run(s).value("node_count.g"), 1 + 3 * (2100.0 - 160) / 3000, 1e-9);
  s["cluster_autoscaler"]["delay_after_add"] = "200 s";
  EXPECT_NEAR(run(s).value("node_count.g"), 1 + 3 * (1700.0 - 160) / 3000, 1e-9);
  s["cluster_autoscaler"]["delay_after_add"] = "0 s";
  s["cluster_autoscaler"]["max_empty"] = 1;    // and then one per scan
  EXPECT_NEAR(run(s).value("node_count.g"), 1 + (3 * (1610.0 - 160) + 10 + 20) / 3000, 1e-9);
  s["cluster_autoscaler"]["delay_after_delete"] = "100 s";
  EXPECT_NEAR(run(s).value("node_count.g"), 1 + (3 * (1610.0 - 160) + 100 + 200) / 3000, 1e-9);
  s["cluster_autoscaler"]["scale_down"] = false;
  EXPECT_EQ(run(s).value("node_removals.g"), 0);
}

// Two machines with one replica each, a quarter of what they take: the first one's replica fits on the second from the
// scan of 10 s on. It moves at 610 s; then the second is taken by half.
TEST(ClusterAutoscaling, DrainsAMachineWhoseReplicasFitElsewhere) {
  json s = base({{"g", gpus(2, 4)}}, {{"s", service("g", 2, {{"policy", "spread"}})}},
                {{"g", {{"min", 0}, {"start", 2}}}}, 2000);
  auto r = run(s);
  EXPECT_EQ(r.value("node_removals.g"), 1);
  EXPECT_NEAR(r.value("node_count.g"), 1 + 610.0 / 2000, 1e-4);
  EXPECT_EQ(r.value("pending_replica_seconds"), 0);
  EXPECT_EQ(r.value("node_requests_lost.g"), 0);
  EXPECT_EQ(r.failed, 0U);
  s["cluster_autoscaler"]["utilization_threshold"] = 0.25;  // not below
  EXPECT_EQ(run(s).value("node_removals.g"), 0);
  s["cluster_autoscaler"]["utilization_threshold"] = 0.5;
  s["services"]["s"]["placement"]["movable"] = false;
  EXPECT_EQ(run(s).value("node_removals.g"), 0);
  s["services"]["s"]["placement"]["movable"] = true;
  s["services"]["s"]["placement"]["anti_affinity"] = {"s"};  // it may not join the other
  EXPECT_EQ(run(s).value("node_removals.g"), 0);
  s["services"]["s"]["placement"].erase("anti_affinity");
  s["cluster_autoscaler"]["groups"]["g"]["min"] = 2;
  EXPECT_EQ(run(s).value("node_removals.g"), 0);
}

// Requests take 20 minutes: they are lost when the machine has drained for 10.
TEST(ClusterAutoscaling, LosesWhatTakesTooLong) {
  json s = base({{"g", gpus(2, 4)}}, {{"s", service("g", 2, {{"policy", "spread"}})}},
                {{"g", {{"min", 0}, {"start", 2}}}}, 1900);
  s["services"]["s"]["service_time"] = "1200 s";
  s["services"]["s"]["slots"] = 100;
  s["services"]["s"]["routing"] = "round-robin";
  s["workload"] = {{{"name", "w"}, {"source", "times"}, {"times", {"100 s", "101 s"}}, {"target", "s"},
                    {"clients", {{"on", "client"}}}}};
  const auto r = run(s);
  EXPECT_EQ(r.value("node_requests_lost.g"), 1);
  EXPECT_NEAR(r.value("node_work_lost.g"), 1110, 1.1);
  EXPECT_NEAR(r.value("node_count.g"), 1 + 1210.0 / 1900, 1e-4);
  EXPECT_EQ(r.completed, 1U);
  EXPECT_EQ(r.failed, 1U);
}

// Nothing ever comes: orders at 10 s, 170 s, 430 s, 690 s, 950 s, each given up after 60 s, with back-offs of 100 s and
// then 200 s.
TEST(ClusterAutoscaling, BacksOffByHand) {
  json s = base({{"g", gpus(2, 1)}}, {{"s", service("g", 2)}}, {{"g", {{"min", 1}, {"failure", 1}}}}, 1000);
  s["cluster_autoscaler"].update({{"max_node_provision_time", "60 s"}, {"initial_backoff", "100 s"}, {"max_backoff", "200 s"}});
  auto r = run(s);
  EXPECT_EQ(r.value("node_orders.g"), 5);
  EXPECT_EQ(r.value("node_orders_failed.g"), 4);
  EXPECT_NEAR(r.value("pending_replica_seconds"), 1000, 1e-9);
  // Likewise when they would come too late; a failure long ago is forgotten.
  s["cluster_autoscaler"]["groups"]["g"] = {{"min", 1}, {"provisioning", "61 s"}};
  EXPECT_EQ(run(s).value("node_orders_failed.g"), 4);
  s["cluster_autoscaler"]["backoff_reset"] = "150 s";  // from failure to failure there are 160 s
  r = run(s);
  EXPECT_EQ(r.value("node_orders.g"), 7);  // every 160 s
  s["cluster_autoscaler"]["groups"]["g"] = {{"min", 1}, {"provisioning", "60 s"}};
  r = run(s);
  EXPECT_EQ(r.value("node_orders.g"), 1);
  EXPECT_NEAR(r.value("pending_replica_seconds"), 70, 1e-9);
}

// A warning at 500 s, gone at 530 s; the request that began at 490 s is lost and tried again on the machine that was
// ordered at once and comes at 560 s.
TEST(ClusterAutoscaling, SpotInterruptionByHand) {
  json s = base({{"g", gpus(2, 1)}}, {{"s", service("g", 1)}},
                {{"g", {{"start", 1}, {"spot", {{"notice", "30 s"}, {"schedule", {{{"at", "500 s"}}}}}}}}}, 2000);
  s["nodes"]["g"]["billing"] = {{"kind", "spot"}, {"discount", "60 %"}};
  s["services"]["s"]["service_time"] = "60 s";
  s["workload"] = {{{"name", "w"}, {"source", "times"}, {"times", {"490 s"}}, {"target", "s"},
                    {"clients", {{"on", "client"}}}, {"request", {{"retries", 1}, {"retry_backoff", "0 s"}}}}};
  const auto r = run(s);
  EXPECT_EQ(r.value("node_interruptions.g"), 1);
  EXPECT_EQ(r.value("node_requests_lost.g"), 1);
  EXPECT_NEAR(r.value("node_work_lost.g"), 40, 1e-6);
  EXPECT_EQ(r.value("node_orders.g"), 1);
  EXPECT_EQ(r.value("node_removals.g"), 0);
  EXPECT_NEAR(r.value("pending_replica_seconds"), 60, 1e-9);
  EXPECT_NEAR(r.value("node_count.g"), (530 + 1440) / 2000.0, 1e-9);
  EXPECT_NEAR(r.value("cost"), 0.4 * (530 + 1440) / 3600, 1e-6);
  EXPECT_EQ(r.completed, 1U);
  EXPECT_NEAR(r.value("latency.mean"), 620 - 490, 1e-3);
}

// 0.36 per hour and machine: over 200 machines and 10 h about 720, give or take four standard deviations; of machines
// that are always replaced within 70 s.
TEST(ClusterAutoscaling, SpotInterruptionsFollowTheirRate) {
  json s = base({{"g", gpus(420, 1)}}, {{"s", service("g", 200)}},
                {{"g", {{"start", 200}, {"spot", {{"interruptions_per_hour", 0.36}}}}}}, 36000);
  s["workload"][0]["rate"] = "0.01/s";
  const double n = run(s).value("node_interruptions.g");
  EXPECT_NEAR(n, 720, 4 * 27);
  s["seed"] = 5;
  EXPECT_NE(run(s).value("node_interruptions.g"), n);
}

// Three replicas wait: three small machines, or one large one with room for a fourth.
TEST(ClusterAutoscaling, ExpandersByHand) {
  const auto orders = [](const char* expander, double large_price, int small_max, int priority) {
    json s = base({{"small", gpus(5, 1)}, {"large", gpus(5, 4, large_price)}},
                  {{"s", service({"small", "large"}, 3)}},
                  {{"small", {{"max", small_max}}}, {"large", {{"priority", priority}}}}, 100);
    s["cluster_autoscaler"]["expander"] = expander;
    const auto r = run(s);
    return std::pair(r.value("node_orders.small"), r.value("node_orders.large"));
  };
  const std::pair small(3.0, 0.0), large(0.0, 1.0), both(2.0, 1.0);
  EXPECT_EQ(orders("least-waste", 3, 5, 0), small);
  EXPECT_EQ(orders("most-pods", 3, 2, 0), large);
  EXPECT_EQ(orders("least-waste", 3, 2, 0), both);   // two now, the third at the next scan
  EXPECT_EQ(orders("price", 2.9, 5, 0), large);      // 0.97 per replica
  EXPECT_EQ(orders("price", 3.1, 5, 0), small);
  EXPECT_EQ(orders("priority", 9, 5, 1), large);
  EXPECT_EQ(orders("priority", 1, 5, -1), small);
  const auto any = orders("random", 3, 5, 0);
  EXPECT_TRUE(any == small || any == large);
}

TEST(ClusterAutoscaling, RulesOfPlacementDecideHowManyMachinesHelp) {
  json s = base({{"g", gpus(5, 4)}}, {{"s", service("g", 3, {{"anti_affinity", {"s"}}})}}, {{"g", json::object()}}, 200);
  EXPECT_EQ(run(s).value("node_orders.g"), 3);
  s["services"]["s"]["placement"].erase("anti_affinity");
  EXPECT_EQ(run(s).value("node_orders.g"), 1);
  s["nodes"]["g"]["taints"] = {"kept=yes"};
  EXPECT_EQ(run(s).value("node_orders.g"), 0);       // no machine would help
  s["nodes"]["g"].erase("taints");
  s["services"]["s"]["replicas"] = 30;               // 20 fit
  const auto r = run(s);
  EXPECT_EQ(r.value("node_orders.g"), 5);
  EXPECT_NEAR(r.value("pending_replica_seconds"), 30 * 70 + 10 * 130, 1e-9);
}

TEST(ClusterAutoscaling, OrderedMachinesAreWaitedFor) {
  json s = base({{"g", gpus(5, 1)}}, {{"s", service("g", 2)}}, {{"g", {{"provisioning", "300 s"}}}}, 1000);
  const auto r = run(s);
  EXPECT_EQ(r.value("node_orders.g"), 2);
  EXPECT_NEAR(r.value("pending_replica_seconds"), 2 * 310, 1e-9);
}

// What fails where there is no machine does not bring one, and one that comes during a failure stays down.
TEST(ClusterAutoscaling, FailuresOfMachinesThatDoNotExist) {
  json s = base({{"g", gpus(2, 1)}}, {{"s", service("g", 2)}}, {{"g", {{"min", 1}, {"max", 1}}}}, 500);
  s["faults"] = {{{"node", "g"}, {"index", 1}, {"at", "10 s"}, {"lasts", "20 s"}}};
  s["results"]["availability"] = true;
  auto r = run(s);
  EXPECT_EQ(r.value("node_count_max.g"), 1);
  EXPECT_NEAR(r.value("pending_replica_seconds"), 500, 1e-9);
  EXPECT_EQ(r.value("node_failures.g"), 0);
  s["cluster_autoscaler"]["groups"]["g"]["max"] = 2;  // ordered at 10 s, comes at 70 s
  s["faults"][0]["lasts"] = "100 s";
  r = run(s);
  EXPECT_NEAR(r.value("pending_replica_seconds"), 110, 1e-9);
  EXPECT_NEAR(r.value("node_count.g"), 1 + 430.0 / 500, 1e-9);
}

TEST(ClusterAutoscaling, MistakesAreNamed) {
  const json good = base({{"g", gpus(2, 1)}}, {{"s", service("g", 1)}}, {{"g", {{"min", 1}}}}, 10);
  EXPECT_EQ(first_problem(good), "no error");
  const auto with = [&](const char* pointer, const json& value) {
    json s = good;
    s[json::json_pointer(pointer)] = value;
    return first_problem(s);
  };
  EXPECT_THAT(with("/cluster_autoscaler/groups/g/max", 3), HasSubstr("has a count of 2"));
  EXPECT_THAT(with("/cluster_autoscaler/groups/g/min", 3), HasSubstr("must not be above max"));
  EXPECT_THAT(with("/cluster_autoscaler/groups/g/start", 0), HasSubstr("from min to max"));
  EXPECT_THAT(with("/cluster_autoscaler/groups/x", json::object()), HasSubstr("no node group \"x\""));
  EXPECT_THAT(with("/cluster_autoscaler/groups/client", json::object()), HasSubstr("clients of workload \"s\""));
  EXPECT_THAT(with("/services/s/placement/requests/accelerators", 0), HasSubstr("take nothing"));
  EXPECT_THAT(with("/nodes/g/billed_when_idle", false), HasSubstr("while they exist"));
  EXPECT_THAT(with("/cluster_autoscaler/max_backoff", "1 s"), HasSubstr("initial_backoff"));
  json s = good;
  s["services"]["s"].erase("placement");
  EXPECT_THAT(first_problem(s), HasSubstr("give it a \"placement\""));
}

}  // namespace
}  // namespace isthmus::scenarios
