// Cold starts in parts: sums to the nanosecond on both network backends, shared layers, keep-alive.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "sim/world/run.hpp"
#include "tests/scenarios/json_scenario.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using testing::first_problem;
using testing::load_json;
using ::testing::HasSubstr;

// Machines that pull from a registry over 100 MB/s and 10 ms; at 10 s the only one fails, and is back at 20 s.
json scenario(const char* network, const json& startup, const json& more = json::object()) {
  json s = {{"isthmus", 1},
            {"name", "t"},
            {"duration", "1000 s"},
            {"nodes", {{"server", {{"zone", "a"}}}, {"registry", {{"zone", "b"}}}}},
            {"network", {{"model", network},
                         {"links", {{"wan", {{"bandwidth", "100 MB/s"}, {"latency", "10 ms"}}}}},
                         {"routes", {{{"from", "a"}, {"to", "b"}, {"links", {"wan"}}}}}}},
            {"services", {{"s", {{"service_time", "100 ms"}, {"on", "server"}, {"startup", startup}}}}},
            {"faults", {{{"node", "server"}, {"at", "10 s"}, {"lasts", "10 s"}}}},
            {"workload", {{{"source", "times"}, {"times", {"15 s"}}, {"target", "s"}, {"clients", {{"on", "server"}}}}}}};
  s.merge_patch(more);
  return s;
}

const json image = {{"registry", "registry"}, {"layers", {{"base", "200 MB"}, {"app", "50 MB"}}}, {"unpack", "500 MB/s"}};

double metric(const results::Summary& s, const std::string& name) { return s.value(name); }

class Startup : public ::testing::TestWithParam<const char*> {
 protected:
  results::Summary run(const json& startup, const json& more = json::object()) {
    return world::run(*load_json(scenario(GetParam(), startup, more)).scenario, {});
  }
};

INSTANTIATE_TEST_SUITE_P(Backends, Startup, ::testing::Values("fluid", "simgrid"));

// A machine that comes up by an autoscaler: everything from the machine to the warm-up.
TEST_P(Startup, PartsAddUpToTheNanosecond) {
  json s = scenario(GetParam(),
                    {{"provision", "30 s"}, {"image", image}, {"runtime", "1.5 s"}, {"weights", "700 ms"},
                     {"warmup", "1 ns"}, {"warmup_requests", 3}},
                    {{"nodes", {{"server", {{"count", 2}}}}},
                     {"services", {{"s", {{"replicas", 1}, {"max_replicas", 2},
                                          {"autoscaling", {{"policy", "hpa"}, {"target_utilization", 0.1}}}}}}}});
  s.erase("faults");
  s["workload"][0] = {{"source", "closed"}, {"target", "s"}, {"clients", {{"on", "server"}, {"count", 2}}}};
  const results::Summary r = world::run(*load_json(s).scenario, {});
  ASSERT_EQ(metric(r, "cold_starts.s"), 1);
  const std::vector<std::pair<const char*, double>> parts{
      {"provision", 30}, {"pull", 2.51}, {"unpack", 0.5}, {"runtime", 1.5}, {"weights", 0.7}, {"warmup", 0.300000001}};
  std::int64_t sum = 0;
  for (const auto& [name, seconds] : parts) {
    const double got = metric(r, std::string("cold_start_part.s/") + name);
    EXPECT_NEAR(got, seconds, name == std::string("pull") ? 3e-9 : 1e-12) << name;
    sum += std::llround(got * 1e9);
  }
  EXPECT_EQ(sum, std::llround(metric(r, "cold_start_mean.s") * 1e9));
  EXPECT_TRUE(std::isnan(metric(r, "cold_start_part.s/restore")));
  EXPECT_EQ(metric(r, "image_bytes"), 250e6);
}

// A crash leaves the machine and its image: after the restart's delay of 10 s the rest of the start follows.
TEST_P(Startup, ACrashedProcessStartsFromTheImageThatItHas) {
  json s = scenario(GetParam(), {{"provision", "30 s"}, {"image", image}, {"runtime", "1.5 s"}, {"weights", "0.5 s"}});
  s.erase("faults");
  s["crashes"] = {{{"service", "s"}, {"at", "14 s"}}};
  const results::Summary r = world::run(*load_json(s).scenario, {});
  EXPECT_NEAR(r.value("latency.max"), 24 + 2 - 15 + 0.1, 1e-9);
  EXPECT_EQ(metric(r, "cold_starts.s"), 1);
  EXPECT_NEAR(metric(r, "cold_start_part.s/runtime"), 1.5, 1e-12);
  EXPECT_NEAR(metric(r, "cold_start_mean.s"), 2, 1e-12);
  EXPECT_TRUE(std::isnan(metric(r, "image_bytes")));
}

// The date at which the request is answered says the same as the metrics.
TEST_P(Startup, AFailedMachineStartsFromTheImageThatItHas) {
  const results::Summary r = run({{"provision", "30 s"}, {"image", image}, {"runtime", "1.5 s"}, {"weights", "0.5 s"}});
  // The machine is there at 20 s, its layers are on it; asked for at 15 s, answered after 2 s and 0.1 s.
  EXPECT_NEAR(r.value("latency.max"), 5 + 2 + 0.1, 1e-9);
  EXPECT_NEAR(metric(r, "cold_start_mean.s"), 2, 1e-12);
  EXPECT_TRUE(std::isnan(metric(r, "image_bytes")));
}

TEST_P(Startup, SnapshotsReplaceRuntimeAndWeights) {
  const results::Summary r = run({{"snapshot", "250 ms"}});
  EXPECT_NEAR(r.value("latency.max"), 5 + 0.25 + 0.1, 1e-9);
  EXPECT_NEAR(metric(r, "cold_start_part.s/restore"), 0.25, 1e-12);
}

json scaled(const char* network, const json& startup) {
  json s = scenario(network, startup,
                    {{"nodes", {{"server", {{"count", 1}}}}},
                     {"duration", "3000 s"},
                     {"services", {{"s", {{"replicas", 1}, {"max_replicas", 4},
                                          {"autoscaling", {{"policy", "hpa"}, {"target_utilization", 0.5}, {"scale_down_stabilization", "60 s"}}}}},
                                   {"t", {{"service_time", "100 ms"}, {"on", "server"}, {"startup", startup}}}}}});
  s.erase("faults");
  s["workload"][0] = {{"source", "steps"}, {"target", "s"}, {"clients", {{"on", "server"}}},
                      {"steps", json::array({json::array({"0 s", "1 /s"}), json::array({"300 s", "15 /s"}),
                                             json::array({"600 s", "1 /s"}), json::array({"900 s", "15 /s"}),
                                             json::array({"1200 s", "1 /s"})})}};
  return s;
}

// Layers come to a machine once, however many replicas and services want them.
TEST_P(Startup, LayersComeOnce) {
  json s = scaled(GetParam(), {{"image", image}});
  s["nodes"]["server"]["count"] = 3;
  s["services"].erase("t");
  const results::Summary r = world::run(*load_json(s).scenario, {});
  EXPECT_EQ(metric(r, "image_bytes"), 2 * 250e6);  // the first machine had it
  EXPECT_GT(metric(r, "cold_starts.s"), 3);
}

TEST_P(Startup, KeptReplicasComeBackAtOnce) {
  json s = scaled(GetParam(), {{"runtime", "20 s"}});
  const results::Summary gone = world::run(*load_json(s).scenario, {});
  s["services"]["s"]["startup"]["keep_alive"] = "600 s";
  const results::Summary kept = world::run(*load_json(s).scenario, {});
  EXPECT_GT(metric(kept, "warm_starts.s"), 0);
  EXPECT_LT(metric(kept, "cold_starts.s"), metric(gone, "cold_starts.s"));
  EXPECT_LT(kept.value("latency.mean"), gone.value("latency.mean"));
  EXPECT_EQ(metric(gone, "cold_start_mean.s"), 20);
  // One that nobody asks for again goes after its time: the same machines are free in the end.
  s["services"]["s"]["startup"]["keep_alive"] = "1 ns";
  const results::Summary brief = world::run(*load_json(s).scenario, {});
  EXPECT_EQ(metric(brief, "warm_starts.s"), 0);
  EXPECT_EQ(metric(brief, "cold_starts.s"), metric(gone, "cold_starts.s"));
}

// The machines of a scenario without parts are those of one whose parts make the same whole.
TEST_P(Startup, PartsOfTheSameSumAreTheSameRun) {
  json s = scaled(GetParam(), {{"runtime", "12 s"}, {"weights", "7 s"}, {"warmup", "1 s"}});
  const results::Summary parts = world::run(*load_json(s).scenario, {});
  s["services"]["s"].erase("startup");
  s["services"]["s"]["cold_start"] = "20 s";
  const results::Summary whole = world::run(*load_json(s).scenario, {});
  EXPECT_EQ(parts.fingerprint, whole.fingerprint);
  EXPECT_EQ(parts.value("latency.mean"), whole.value("latency.mean"));
}

// A registry or a path that is down is asked again, until the image is there.
TEST_P(Startup, BrokenPullsAreRepeated) {
  json s = scaled(GetParam(), {{"image", image}});
  s["services"].erase("t");
  s["nodes"]["server"]["count"] = 3;
  const auto pulling = [&] {
    const results::Summary r = world::run(*load_json(s).scenario, {});
    EXPECT_EQ(metric(r, "image_bytes"), 2 * 250e6);
    return metric(r, "cold_start_part.s/pull") * metric(r, "cold_starts.s");
  };
  const double well = pulling();
  EXPECT_GT(well, 2 * 2.5);
  s["faults"] = {{{"link", "wan"}, {"at", "301 s"}, {"lasts", "100 s"}}};
  EXPECT_GT(pulling(), well + 10);
  s["faults"] = {{{"node", "registry"}, {"at", "301 s"}, {"lasts", "100 s"}}};
  EXPECT_GT(pulling(), well + 10);
}

TEST(StartupReading, ContradictionsAreRefused) {
  const auto problem = [](const json& startup, const json& more = json::object()) {
    return first_problem(scenario("fluid", startup, more));
  };
  EXPECT_THAT(problem({{"runtime", "1 s"}}, {{"services", {{"s", {{"cold_start", "1 s"}}}}}}), HasSubstr("part by part"));
  EXPECT_THAT(problem({{"snapshot", "1 s"}, {"runtime", "1 s"}}), HasSubstr("restored instead"));
  EXPECT_THAT(problem({{"image", {{"registry", "nobody"}, {"layers", {{"a", "1 MB"}}}}}}), HasSubstr("nobody"));
  EXPECT_THAT(problem({{"image", {{"registry", "registry"}, {"layers", json::object()}}}}), HasSubstr("empty"));
  EXPECT_THAT(problem({{"image", {{"registry", "registry"}, {"layers", {{"a", "0 B"}}}}}}), HasSubstr("> 0"));
  json far = scenario("fluid", {{"image", image}});
  far["network"].erase("routes");
  EXPECT_THAT(first_problem(far), HasSubstr("registry"));
}

}  // namespace
}  // namespace isthmus::scenarios
