// What a sound scenario turns into.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/experiments.hpp"
#include "scenarios/reader.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"
#include "tests/scenarios/sample.hpp"
#include "tests/scenarios/temporary_folder.hpp"

namespace isthmus::scenarios {
namespace {

using testing::changed;
using ::testing::HasSubstr;
using testing::sample;
using testing::TemporaryFolder;

std::filesystem::path source(const std::string& path) {
  return std::filesystem::path(ISTHMUS_SOURCE_DIR) / path;
}

// The example of the design page, with the parts that it leaves open filled in.
const std::string design = R"(
{ "isthmus": 1, "name": "AutoGLM: phone, edge or cloud?", "seed": 7, "duration": "30 min", "warmup": "2 min",
  "nodes":    { "phone": {"device": "snapdragon-8-gen3", "count": 2000, "zone": "field"},
                "edge":  {"device": "nvidia-t4",  "count": 4, "zone": "metro"},
                "cloud": {"device": "nvidia-a100-80g", "count": 8, "zone": ["az1", "az2"]} },
  "network":  { "model": "simgrid", "links": {"5g": {"bandwidth": "80 Mbps", "latency": "18 ms"},
                                              "wan": {"bandwidth": "10 Gbps", "latency": "8 ms"}},
                "access": {"phone": ["5g"]},
                "routes": [ {"from": "field", "to": "metro", "links": []},
                            {"from": "metro", "to": ["az1", "az2"], "links": ["wan"]} ] },
  "services": { "local": {"model": "qwen2-vl-2b", "variant": "int4", "on": "phone"},
                "cloud": {"model": "autoglm-9b", "on": "cloud", "batching": {"policy": "continuous", "max_batch": 64},
                          "autoscaling": {"policy": "hpa", "max_replicas": 8}} },
  "workload": [ {"source": "trace", "format": "azure-llm", "file": "trace.csv", "target": "offload"} ],
  "offload":  { "policy": "score", "alpha": 0.6, "candidates": ["local", "cloud"], "fallback": "cloud" },
  "slo":      [ {"metric": "latency", "percentile": 95, "target": "8 s"} ],
  "compare":  { "/offload/policy": ["always-local", "always-cloud", "score", "min-latency"] } }
)";

TEST(Scenario, DesignExample) {
  const TemporaryFolder folder;
  folder.write("trace.csv",
               "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.97,4808,10\n");
  const LoadedScenario l = load(folder.write("s.json", design));
  const world::Scenario& s = *l.scenario;
  EXPECT_EQ(s.name, "AutoGLM: phone, edge or cloud?");
  EXPECT_EQ(s.duration, Duration::from_seconds(1800));
  EXPECT_EQ(s.warmup, Duration::from_seconds(120));
  ASSERT_EQ(s.nodes.size(), 3U);
  EXPECT_EQ(s.node_count(), 2012U);
  EXPECT_EQ(s.nodes[2].first, 2004U);
  EXPECT_EQ(s.nodes[0].tier, schedulers::Tier::device);
  EXPECT_EQ(s.nodes[1].tier, schedulers::Tier::edge);
  EXPECT_EQ(s.nodes[2].tier, schedulers::Tier::cloud);
  EXPECT_TRUE(s.simgrid);

  // One host per machine; zones in turn; every phone behind a link of its own.
  ASSERT_EQ(s.topology.hosts.size(), 2012U);
  EXPECT_EQ(s.topology.hosts[2004].zone, 2U);
  EXPECT_EQ(s.topology.hosts[2005].zone, 3U);
  EXPECT_EQ(s.topology.links.size(), 2001U);
  EXPECT_EQ(s.topology.links[17].name, "5g[17]");
  EXPECT_EQ(s.topology.hosts[17].access, (std::vector<LinkId>{LinkId(17)}));

  // field - metro - az1 is joined over metro.
  bool joined = false;
  for (const network::ZoneRoute& r : s.topology.zone_routes)
    if (r.from == 0 && r.to == 2) {
      joined = true;
      ASSERT_EQ(r.links.size(), 1U);
      EXPECT_EQ(s.topology.links[r.links[0].link.value()].name, "wan");
    }
  EXPECT_TRUE(joined);

  ASSERT_EQ(s.services.size(), 2U);
  EXPECT_TRUE(s.services[0].local);
  EXPECT_FALSE(s.services[1].local);
  EXPECT_EQ(s.services[0].variant, "int4");
  EXPECT_DOUBLE_EQ(s.services[0].accuracy, 0.4169);
  EXPECT_EQ(std::get<world::LlmModel>(s.services[1].work).shape.name, "autoglm-phone-9b");
  EXPECT_EQ(s.services[1].batching.continuous.max_sequences, 64U);
  EXPECT_EQ(s.services[1].autoscaling.policy->name, "hpa");
  EXPECT_EQ(s.services[1].max_replicas, 8U);
  EXPECT_EQ(s.offload.policy->name, "score");
  EXPECT_DOUBLE_EQ(s.offload.parameters->number("alpha"), 0.6);
  EXPECT_EQ(s.offload.fallback, 1U);
  EXPECT_EQ(s.workloads[0].service, -1);
  EXPECT_EQ(s.workloads[0].clients, 2000U);
  EXPECT_EQ(s.objectives[0].target, Duration::from_seconds(8));

  const auto candidates = candidates_of(l, l.alternatives);
  ASSERT_EQ(candidates.size(), 4U);
  EXPECT_EQ(candidates[0].label, "always-local");
  EXPECT_EQ(candidates[3].scenario->offload.policy->name, "min-latency");
}

// What a run stores as its input leads to the same run again.
TEST(Scenario, ResolvedTextReadsBack) {
  const LoadedScenario once = load_text(sample);
  const LoadedScenario twice = load_text(once.scenario->resolved_json);
  EXPECT_EQ(once.scenario->resolved_json, twice.scenario->resolved_json);
  EXPECT_EQ(once.scenario->topology.hosts.size(), twice.scenario->topology.hosts.size());
}

TEST(Scenario, ShippedFilesAreSound) {
  for (const char* folder : {"scenarios", "scenarios/examples"})
    for (const auto& entry : std::filesystem::directory_iterator(source(folder))) {
      if (entry.path().extension() != ".json") continue;
      SCOPED_TRACE(entry.path().string());
      const LoadedScenario l = load(entry.path());
      candidates_of(l, l.alternatives);
      candidates_of(l, l.grid);
    }
}

TEST(Scenario, OverridesOfCatalogueFigures) {
  const LoadedScenario l = load_text(
      changed("\"device\": \"snapdragon-8-gen3\"",
              "\"device\": \"snapdragon-8-gen3\", \"memory_bandwidth\": "
              "\"38 GB/s\", \"base_power\": \"2 W\", \"peak\": {\"fp16\": \"4 TFLOPS\"}"));
  const world::NodeGroup& phone = l.scenario->nodes[0];
  EXPECT_DOUBLE_EQ(phone.units[0].memory_bandwidth, 38e9);
  EXPECT_DOUBLE_EQ(phone.units[0].peak[static_cast<std::size_t>(models::Precision::fp16)], 4e12);
  EXPECT_DOUBLE_EQ(phone.units[0].peak[static_cast<std::size_t>(models::Precision::fp32)], 2.77e12);
  EXPECT_DOUBLE_EQ(phone.units[0].bandwidth_efficiency, 0.33);
  EXPECT_DOUBLE_EQ(phone.base_power, 2);
}

TEST(Scenario, ClosedLoopsEndAtTheirLimit) {
  for (const std::uint64_t limit : {0, 1, 5, 100}) {
    const auto l = load_text(fmt::format(
        R"({{"isthmus": 1, "name": "x", "duration": "60 s", "nodes": {{"box": {{}}}},
            "services": {{"s": {{"service_time": "10 ms", "on": "box", "slots": 4}}}},
            "workload": [{{"source": "closed", "think": "3 ms", "limit": {},
                          "clients": {{"on": "box", "count": 3}}}}]}})",
        limit));
    const auto r = world::run(*l.scenario, {});
    EXPECT_EQ(r.created, limit);
    EXPECT_EQ(r.completed, limit);
  }
}

// Settings reach into what only the catalogue says, and only there.
TEST(Scenario, SettingsReachIntoTheCatalogue) {
  const std::string pi = R"({"isthmus": 1, "name": "x", "duration": "1 s",
    "nodes": {"box": {"device": "jetson-orin-nano"}},
    "services": {"s": {"service_time": "1 ms", "on": "box"}}, "workload": [{"rate": "1 /s"}]})";
  const LoadedScenario l = load_text(pi, {{"/nodes/box/units/gpu/streams", "3"}});
  const auto& units = l.scenario->nodes[0].units;
  const auto gpu =
      std::find_if(units.begin(), units.end(), [](const auto& u) { return u.name == "gpu"; });
  ASSERT_NE(gpu, units.end());
  EXPECT_EQ(gpu->streams, 3U);
  EXPECT_GT(gpu->memory_bandwidth, 1e10);  // the rest stays
  EXPECT_EQ(units.size(), load_text(pi).scenario->nodes[0].units.size());
  const auto refused = [&](const char* pointer, const char* why) {
    EXPECT_THAT(
        [&] {
          load_text(pi, {{pointer, "3"}});
        },
        ThrowsMessage<InputError>(HasSubstr(why)));
  };
  refused("/nodes/box/units/gpuu/streams",
          "there is no \"gpuu\" in /nodes/box/units; did you mean \"gpu\"?");
  refused("/nodes/box/unit/gpu/streams", "did you mean \"units\"?");
  refused("/nodes/box/units/gpu/streamz", "did you mean \"streams\"?");
}

TEST(Scenario, InlineMachines) {
  const LoadedScenario l = load_text(R"({"isthmus": 1, "name": "x", "duration": "1 s",
    "nodes": {"box": {"kind": "gpu", "peak": {"fp16": "10 TFLOPS"}, "memory_bandwidth": "100 GB/s",
                      "memory": "16 GB", "price": "730 USD/month"},
              "two": {"units": {"cpu": {}, "npu": {"kind": "npu", "peak": {"int8": "4 TOPS"}}}}},
    "services": {"a": {"model": "resnet-50", "variant": "fp16", "on": "box"},
                 "b": {"service_time": "1 ms", "on": "two"}},
    "workload": [{"rate": "1 /s", "target": "a"}, {"rate": "1 /s", "target": "b"}]})");
  const world::Scenario& s = *l.scenario;
  EXPECT_EQ(s.nodes[0].units[0].kind, models::UnitKind::gpu);
  EXPECT_DOUBLE_EQ(s.nodes[0].price_per_hour, 1);
  ASSERT_EQ(s.nodes[1].units.size(), 2U);
  EXPECT_EQ(s.nodes[1].units[1].name, "npu");
  EXPECT_TRUE(std::holds_alternative<world::GraphModel>(s.services[0].work));
  EXPECT_FALSE(s.simgrid);  // nothing to simulate without a network
}

TEST(Scenario, LinksInAllTheirForms) {
  const TemporaryFolder folder;
  folder.write(
      "t.csv",
      "# a comment\ntime (s), bandwidth_mbps, latency_ms\n0, 10, 5\n2.5, 0, 5\n4, 40, 9\n");
  const auto path = folder.write("s.json", R"({"isthmus": 1, "name": "x", "duration": "100 s",
    "nodes": {"phone": {"tier": "device", "count": 4, "zone": "a"}, "srv": {"zone": "b"}},
    "network": {"model": "fluid", "egress_price": "0.09 USD/GB",
      "flow_model": {"latency_factor": 2},
      "links": {
        "cell": {"bandwidth": "10 Mbps", "bandwidth_down": "40 Mbps", "latency": "20 ms", "per_nodes": 2,
                 "trace": "t.csv", "loop": "10 s"},
        "air": {"bandwidth": "1 Gbps", "per_nodes": 0, "sharing": "shared"},
        "wan": {"preset": "wan-frankfurt-london", "latency": "9 ms",
                "failures": [{"at": "5 s", "lasts": "1 s"}]}},
      "access": {"phone": ["cell", "air"]},
      "routes": [{"from": "a", "to": "b", "links": [{"link": "wan", "direction": "down"}]}],
      "node_routes": [{"from": "phone", "from_index": 3, "to": "srv", "links": ["wan"]}]},
    "services": {"api": {"service_time": "1 ms", "on": "srv"}},
    "workload": [{"rate": "1 /s"}],
    "faults": [{"link": "cell", "index": 1, "at": "3 s"}, {"node": "phone", "at": "1 s", "lasts": "2 s"}]})");
  const LoadedScenario l = load(path);
  const world::Scenario& s = *l.scenario;
  ASSERT_EQ(s.topology.links.size(), 4U);
  const network::Link& cell = s.topology.links[0];
  EXPECT_EQ(cell.name, "cell[0]");
  EXPECT_EQ(s.topology.links[1].name, "cell[1]");
  EXPECT_EQ(s.topology.links[2].name, "air");
  EXPECT_EQ(s.topology.hosts[2].access, (std::vector<LinkId>{LinkId(1), LinkId(2)}));
  ASSERT_LT(cell.rule, s.topology.access.links.size());
  EXPECT_EQ(cell.rule, s.topology.links[1].rule);  // steps of several instances exist once
  const network::LinkTrace& trace = *s.topology.access.links[cell.rule].trace;
  ASSERT_EQ(trace.steps.size(), 3U);
  EXPECT_EQ(trace.steps[1].up, std::optional<bool>(false));  // zero capacity is an outage
  EXPECT_EQ(trace.steps[2].up, std::optional<bool>(true));
  EXPECT_DOUBLE_EQ(*trace.steps[2].bandwidth, 5e6);
  EXPECT_DOUBLE_EQ(trace.steps[2].latency->seconds(), 0.009);
  EXPECT_DOUBLE_EQ(trace.period.seconds(), 10);
  EXPECT_EQ(s.topology.links[3].sharing, network::Sharing::fatpipe);
  EXPECT_DOUBLE_EQ(s.topology.links[3].latency.seconds(), 0.009);
  EXPECT_EQ(s.topology.zone_routes[0].links[0].direction, network::Direction::down);
  EXPECT_EQ(s.topology.host_routes[0].from, 3U);
  EXPECT_DOUBLE_EQ(s.flow_model.latency_factor, 2);
  EXPECT_DOUBLE_EQ(s.egress_price, 9e-11);
  ASSERT_EQ(s.faults.size(), 6U);  // one cell, four phones, the link's own
  EXPECT_EQ(s.faults[0].links, (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(s.faults[5].links, (std::vector<std::uint32_t>{3}));
}

TEST(Scenario, TraceFilesNameTheirLine) {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& csv) -> std::string {
    folder.write("t.csv", csv);
    const auto path = folder.write(
        "s.json",
        changed("\"latency\": \"18 ms\"", "\"latency\": \"18 ms\", \"trace\": \"t.csv\""));
    try {
      load(path);
    } catch (const InputError& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_EQ(error("time,bandwidth\n0 s,1 Mbps\n1 min,2 Mbps\n"), "no error");
  EXPECT_THAT(error("time_s,bandwidth_Mbps\n5,1\n5,2\n"),
              HasSubstr("t.csv:3: times must increase"));
  EXPECT_THAT(error("time_s,bandwidth_Mbps\n5,x\n"), HasSubstr("t.csv:2: "));
  EXPECT_THAT(error("time_s,bandwidth_Mbps\n5\n"), HasSubstr("1 cells, the header has 2"));
  EXPECT_THAT(error("time_s,speed\n5,1\n"), HasSubstr("should be called \"bandwidth\""));
  EXPECT_THAT(error("time_s,bandwidth_Mbps\n"), HasSubstr("has no rows"));
  EXPECT_THAT(error("time_s,bandwidth_Mbps\n0,-1\n"), HasSubstr("bandwidth must be >= 0"));
}

TEST(Scenario, EveryArrivalProcess) {
  const auto arrivals = [](const std::string& fields) {
    return load_text(R"({"isthmus": 1, "name": "x", "duration": "1 h", "nodes": {"n": {"count": 5}},
      "services": {"s": {"service_time": "1 ms", "on": "n"}}, "workload": [{)" +
                     fields + "}]}")
        .scenario->workloads[0]
        .arrivals;
  };
  using world::ArrivalKind;
  EXPECT_EQ(arrivals(R"("rate": "30 /min")").kind, ArrivalKind::poisson);
  EXPECT_DOUBLE_EQ(arrivals(R"("source": "gamma", "rate": "2 /s", "cv": 3)").cv, 3);
  EXPECT_EQ(arrivals(R"("source": "erlang", "rate": "2 /s", "phases": 4)").phases, 4);
  EXPECT_EQ(
      arrivals(R"("source": "mmpp", "rates": ["1 /s", "9 /s"], "sojourns": ["1 min", "2 min"])")
          .sojourns[1],
      Duration::from_seconds(120));
  EXPECT_DOUBLE_EQ(
      arrivals(R"("source": "diurnal", "rate": "1 /s", "amplitude": "50 %")").amplitude, 0.5);
  EXPECT_DOUBLE_EQ(
      arrivals(R"("source": "steps", "steps": [["0 s", "1 /s"], ["10 s", "3 /s"]])").steps[1].rate,
      3);
  EXPECT_EQ(arrivals(R"("source": "times", "times": ["1 s", "1 s", "2 s"])").times.size(), 3U);
  EXPECT_DOUBLE_EQ(
      arrivals(R"("source": "closed", "think": "2 s", "steps": [["0 s", 2], ["9 s", 5]])")
          .steps[1]
          .rate,
      5);
  EXPECT_THROW(arrivals(R"("source": "closed", "steps": [["0 s", 6]])"), InputError);
  EXPECT_THROW(arrivals(R"("source": "times", "times": ["2 s", "1 s"])"), InputError);
  EXPECT_THROW(arrivals(R"("source": "mmpp", "rates": ["1 /s", "9 /s"], "sojourns": ["1 min"])"),
               InputError);
  EXPECT_THROW(arrivals(R"("source": "trace", "file": "nowhere.csv")"), InputError);
}

TEST(Scenario, ReplicaLimitsComeFromServiceOrPolicy) {
  const auto service = [](const std::string& fields) {
    return load_text(R"({"isthmus": 1, "name": "x", "duration": "1 h", "nodes": {"n": {"count": 5}},
      "services": {"s": {"service_time": "1 ms", "on": "n", )" +
                     fields + R"(}}, "workload": [{"rate": "1 /s"}]})")
        .scenario->services[0];
  };
  auto s = service(R"("min_replicas": 2, "max_replicas": 4, "autoscaling": "hpa")");
  EXPECT_EQ(s.replicas, 2U);
  EXPECT_EQ(s.max_replicas, 4U);
  EXPECT_DOUBLE_EQ(s.autoscaling.parameters->number("max_replicas"), 4);
  s = service(R"("replicas": 3)");
  EXPECT_EQ(s.min_replicas, 3U);
  EXPECT_EQ(s.max_replicas, 3U);
  s = service(
      R"("autoscaling": {"policy": "hpa", "min_replicas": 0, "max_replicas": 7}, "replicas": 5)");
  EXPECT_EQ(s.replicas, 5U);
  EXPECT_EQ(s.min_replicas, 0U);
  EXPECT_THROW(service(R"("replicas": 9, "max_replicas": 4)"), InputError);
  EXPECT_THROW(service(R"("max_replicas": 4, "autoscaling": {"policy": "hpa", "max_replicas": 7})"),
               InputError);
}

// A preset brings its arrivals and lengths; the scenario may scale the rate and state its own
// lengths.
TEST(Scenario, PresetsBringArrivalsAndLengths) {
  const auto base = load(source("scenarios/examples/fitted_conversation.json"));
  const world::Workload& w = base.scenario->workloads.at(0);
  EXPECT_NEAR(w.request.output_tokens.mean(), 211, 5);
  const auto own = load(source("scenarios/examples/fitted_conversation.json"),
                        {{"/workload/0/request", R"({"output_tokens": 7})"}});
  EXPECT_EQ(own.scenario->workloads.at(0).request.output_tokens.mean(), 7);
  EXPECT_NEAR(own.scenario->workloads.at(0).request.prompt_tokens.mean(), 1148, 30);
  try {
    load(source("scenarios/examples/fitted_conversation.json"),
         {{"/workload/0/preset", "azure-2023-con"}});
    FAIL() << "an unknown preset must be refused";
  } catch (const InputError& e) {
    EXPECT_THAT(e.what(), HasSubstr("azure-2023-conv"));
  }
}

}  // namespace
}  // namespace isthmus::scenarios
