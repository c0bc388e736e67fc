// Impossible graphs, units, clocks, batteries, models, splits and variants: each is refused with
// its place and the fix, or runs with finite results.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "results/recorder.hpp"
#include "scenarios/reader.hpp"
#include "scenarios/schedule_question.hpp"
#include "scenarios/split_question.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"
#include "tests/scenarios/temporary_folder.hpp"

namespace isthmus::scenarios {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::TemporaryFolder;
using Changes = std::vector<std::pair<std::string, json>>;

// A machine with two units that serves MobileNetV2 on one of them.
json machine() {
  return json::parse(R"({"isthmus": 1, "name": "h", "duration": "5 s",
    "nodes": {"m": {"tier": "device", "base_power": "1 W", "units": {
      "cpu": {"kind": "cpu", "peak": {"fp32": "100 GFLOPS", "fp16": "100 GFLOPS"},
              "memory_bandwidth": "10 GB/s", "memory": "8 GB", "idle_power": "0.5 W",
              "bandwidth_power": "2 W", "compute_power": "3 W"},
      "gpu": {"kind": "gpu", "peak": {"fp32": "500 GFLOPS"}, "memory_bandwidth": "50 GB/s",
              "memory": "8 GB"}}}},
    "services": {"s": {"model": "mobilenet-v2", "variant": "fp32", "on": "m"}},
    "workload": [{"source": "deterministic", "rate": "5 /s", "target": "s",
                  "clients": {"on": "m"}, "request": {}}]})");
}

json changed(json scenario, const Changes& changes) {
  for (const auto& [pointer, value] : changes) {
    const json::json_pointer at(pointer);
    if (value.is_null())
      scenario[at.parent_pointer()].erase(at.back());
    else
      scenario[at] = value;
  }
  return scenario;
}

results::Summary run_text(const std::string& text, const std::filesystem::path& folder = {}) {
  return world::run(*load_text(text, {}, "s.json", folder).scenario, {});
}

// What reading or running says; "accepted" when nothing is wrong.
std::string error_of(const json& scenario, const std::filesystem::path& folder = {}) {
  try {
    run_text(scenario.dump(), folder);
  } catch (const InputError& e) {
    return e.what();
  } catch (const std::exception& e) {
    return std::string("not an input error: ") + e.what();
  }
  return "accepted";
}
std::string error_with(const Changes& changes) { return error_of(changed(machine(), changes)); }

// Runs, keeps its books, and has no figure that is negative or not finite.
void expect_sound(const json& scenario, const std::filesystem::path& folder = {}) {
  try {
    const auto r = run_text(scenario.dump(), folder);
    EXPECT_EQ(r.created, r.completed + r.rejected + r.failed + r.in_flight);
    for (const char* metric : {"energy", "latency.mean", "latency.max", "throughput"}) {
      const double v = r.value(metric);
      if (std::isnan(v)) {  // no request was answered
        EXPECT_EQ(r.completed, 0U) << metric;
        continue;
      }
      EXPECT_TRUE(std::isfinite(v)) << metric << " " << v;
      EXPECT_GE(v, 0) << metric;
    }
  } catch (const std::exception& e) {
    ADD_FAILURE() << e.what();
  }
}
void expect_sound_with(const Changes& changes) { expect_sound(changed(machine(), changes)); }

// ---- graph files ----

const std::string input = R"({"name": "in", "kind": "input", "output": [8]})";

class HostileGraphs : public ::testing::Test {
 protected:
  // A scenario that serves the graph with these operators, written as g.json.
  json serving(const std::string& operators, const json& units = nullptr) {
    folder_.write("g.json",
                  R"({"isthmus_graph": 1, "name": "g", "operators": [)" + operators + "]}");
    Changes changes{{"/services/s/model", "own"},
                    {"/services/s/variant", nullptr},
                    {"/models", {{"own", {{"file", "g.json"}}}}}};
    if (!units.is_null()) changes.push_back({"/services/s/units", units});
    return changed(machine(), changes);
  }
  std::string error(const std::string& operators, const json& units = nullptr) {
    return error_of(serving(operators, units), folder_.path());
  }
  void sound(const std::string& operators) {
    SCOPED_TRACE(operators);
    expect_sound(serving(operators), folder_.path());
    expect_sound(serving(operators, {"gpu", "cpu"}), folder_.path());
  }
  TemporaryFolder folder_;
};

TEST_F(HostileGraphs, CyclesAreNamedWithFileAndPlace) {
  EXPECT_THAT(error(input + R"(,{"name": "a", "kind": "gemm", "inputs": ["b"], "output": [8]},
                        {"name": "b", "kind": "gemm", "inputs": ["a"], "output": [8]})"),
              AllOf(HasSubstr("/models/own/file: "), HasSubstr("/g.json: operator 1 (\"a\"): "),
                    HasSubstr("a cycle: a -> b -> a; remove one of its inputs")));
  EXPECT_THAT(error(input + R"(,{"name": "a", "kind": "gemm", "inputs": ["a"], "output": [8]})"),
              HasSubstr("cycle: a -> a"));
  // No cycle, only in the wrong order; or no such operator.
  EXPECT_THAT(error(R"({"name": "a", "kind": "gemm", "inputs": ["in"], "output": [8]},)" + input),
              AllOf(HasSubstr("input \"in\" stands later in the file"), Not(HasSubstr("cycle"))));
  EXPECT_THAT(error(input + R"(,{"name": "a", "kind": "gemm", "inputs": ["im"], "output": [8]})"),
              HasSubstr("no operator is called \"im\"; did you mean \"in\"?"));
}

TEST_F(HostileGraphs, EmptyAndRepeatedAreRefused) {
  EXPECT_THAT(error(""), HasSubstr("/g.json: graph 'g': has no operators"));
  EXPECT_THAT(error(input + "," + input),
              AllOf(HasSubstr("g.json: operator 1"), HasSubstr("\"in\" already")));
  EXPECT_THAT(error(R"({"kind": "input", "output": [8]})"),
              AllOf(HasSubstr("g.json: "), HasSubstr("operator 0 has no name")));
  EXPECT_THAT(error(input + R"(,{"name": "b", "kind": "input", "inputs": ["in"], "output": [8]})"),
              HasSubstr("kind input reads nothing"));
}

TEST_F(HostileGraphs, FiguresOutOfRangeAreRefused) {
  const auto with = [&](const std::string& more, const json& units = nullptr) {
    return error(input + R"(,{"name": "a", "kind": "gemm", "inputs": ["in"], )" + more + "}",
                 units);
  };
  const std::string a = "operator 1 (\"a\"): ";
  EXPECT_THAT(with(R"("output": [8], "flops": -1)"),
              HasSubstr(a + "flops must be a number from 0"));
  EXPECT_THAT(with(R"("output": [8], "flops": NaN)"), HasSubstr("g.json: is not JSON"));
  EXPECT_THAT(with(R"("output": [8], "flops": 1e400)"), HasSubstr("1e400"));
  EXPECT_THAT(with(R"("output": [8], "params": 1e31)"), HasSubstr(a + "params must be"));
  EXPECT_THAT(with(R"("output": [-8])"), HasSubstr(a + "output must be positive sizes"));
  EXPECT_THAT(with(R"("output": [8.5])"), HasSubstr("positive sizes"));
  EXPECT_THAT(with(R"("output": [8], "active": 0)"),
              AllOf(HasSubstr("g.json: "), HasSubstr("'a' touches a share of 0")));
  EXPECT_THAT(with(R"("output": [8], "heads": 0)"), HasSubstr("heads must be a positive integer"));
  EXPECT_THAT(with(R"("output": [8], "params": 1e13)"),
              AllOf(HasSubstr("/services/s/model: does not fit"), HasSubstr("8 GB")));
  // Work that no unit ends in a lifetime.
  for (const char* flops : {"1e18", "1e20", "1e30"}) {
    const std::string work = fmt::format(R"("output": [8], "flops": {})", flops);
    EXPECT_THAT(with(work), AllOf(HasSubstr("/services/s/model: unit 'cpu': one inference would"),
                                  HasSubstr("operator 'a'"), HasSubstr("check the counts")));
    EXPECT_THAT(with(work, {"cpu"}), AllOf(HasSubstr("/services/s/units"), HasSubstr("'a'")));
  }
}

TEST_F(HostileGraphs, TinyGraphsRun) {
  sound(input);
  sound(R"({"name": "a", "kind": "gemm", "output": [8], "flops": 200})");
  sound(R"({"name": "a", "kind": "copy", "output": [1]})");
  sound(input + R"(,{"name": "a", "kind": "copy", "inputs": ["in"], "output": [8]})");
  sound(input + R"(,{"name": "a", "kind": "elementwise", "inputs": ["in", "in"], "output": [8]})");
  sound(input + R"(,{"name": "b", "kind": "gemm", "output": [8], "flops": 10})");
}

TEST_F(HostileGraphs, DeepChainsAreScheduledAndSplitInTime) {
  std::string operators = input;
  for (int i = 0; i < 2000; ++i)
    operators += fmt::format(
        R"(,{{"name": "o{}", "kind": "gemm", "inputs": ["{}"], "output": [8], "flops": 1000}})", i,
        i == 0 ? "in" : fmt::format("o{}", i - 1));
  const std::string file =
      folder_.write("deep.json", R"({"isthmus_graph": 1, "operators": [)" + operators + "]}")
          .string();
  ScheduleQuestion q;
  q.model = file;
  q.device = "snapdragon-8-gen3";
  const GraphSchedule s = schedule(q);
  EXPECT_EQ(s.operators.size(), 2000u);
  EXPECT_TRUE(std::isfinite(s.makespan));
  SplitQuestion p;
  p.model = file;
  p.tiers = {"raspberry-pi-5", "nvidia-t4"};
  p.bandwidth = {1e6};
  for (const SplitPlanRow& row : split(p).plans) EXPECT_GE(row.latency, 0) << row.policy;
}

// ---- units ----

const std::string units = "/nodes/m/units";

TEST(HostileUnits, OperatorsThatNobodyRuns) {
  EXPECT_THAT(error_with({{units + "/cpu/unsupported", {"conv"}},
                          {units + "/gpu/unsupported", {"conv"}},
                          {"/services/s/units", {"gpu", "cpu"}}}),
              AllOf(HasSubstr("/services/s/units: no unit can run operator 'conv1' of kind conv"),
                    HasSubstr("'gpu'"), HasSubstr("'cpu'"), HasSubstr("add a unit that can")));
  EXPECT_THAT(error_with({{units + "/gpu/unsupported", {"conf"}}}),
              AllOf(HasSubstr(units + "/gpu/unsupported/0"), HasSubstr("did you mean \"conv\"?")));
  expect_sound_with(
      {{units + "/gpu/unsupported", {"conv"}}, {"/services/s/units", {"gpu", "cpu"}}});
}

TEST(HostileUnits, NoBandwidth) {
  EXPECT_THAT(error_with({{units + "/cpu/memory_bandwidth", "0 B/s"}}),
              AllOf(HasSubstr("/services/s/model: unit 'cpu'"),
                    HasSubstr("memory_bandwidth and the efficiencies must be positive")));
  // The other unit runs the graph; without one, both are named.
  expect_sound_with(
      {{units + "/gpu/memory_bandwidth", "0 B/s"}, {"/services/s/units", {"gpu", "cpu"}}});
  EXPECT_THAT(error_with({{units + "/gpu/memory_bandwidth", "0 B/s"},
                          {units + "/cpu/memory_bandwidth", "0 B/s"},
                          {"/services/s/units", {"gpu", "cpu"}}}),
              AllOf(HasSubstr("/services/s/units: none of its units can run the graph"),
                    HasSubstr("'gpu'"), HasSubstr("'cpu'"), HasSubstr("must be positive")));
  EXPECT_THAT(error_with({{"/nodes/m/unit_transfer", {{"bandwidth", "0 B/s"}}}}),
              HasSubstr("/nodes/m/unit_transfer/bandwidth: must be > 0"));
  EXPECT_THAT(error_with({{"/nodes/m/unit_transfer", {{"latency", "-1 s"}}}}),
              HasSubstr("/nodes/m/unit_transfer/latency: must be >= 0"));
  // Inputs have to cross, but never arrive.
  EXPECT_THAT(error_with({{"/nodes/m/unit_transfer", {{"bandwidth", "1e-300 B/s"}}},
                          {units + "/cpu/unsupported", {"conv"}},
                          {"/services/s/units", {"gpu", "cpu"}}}),
              AllOf(HasSubstr("/services/s/units"), HasSubstr("unit_transfer")));
}

TEST(HostileUnits, SpeedsBeyondReason) {
  for (const char* field : {"/cpu/memory_bandwidth", "/cpu/peak/fp32"}) {
    const std::string unit = std::string(field).ends_with("fp32") ? " FLOPS" : " B/s";
    EXPECT_THAT(error_with({{units + field, "1e-300" + unit}}),
                AllOf(HasSubstr("/services/s/model: unit 'cpu'"), HasSubstr("check the counts")))
        << field;
    expect_sound_with({{units + field, "1e300" + unit}});
  }
  EXPECT_THAT(error_with({{units + "/cpu/peak", json::object()}}),
              AllOf(HasSubstr("cannot compute fp32"), HasSubstr("give it a peak rate")));
  EXPECT_THAT(error_with({{units + "/cpu/launch_overhead", "1e20 s"}}), HasSubstr("is too long"));
  EXPECT_THAT(error_with({{units + "/cpu/launch_overhead", "5e9 s"}}),
              HasSubstr("one inference would take"));
}

TEST(HostileUnits, CountsAndNames) {
  EXPECT_THAT(error_with({{units + "/gpu/streams", 0}}),
              HasSubstr(units + "/gpu/streams: must be >= 1 and <= 64"));
  EXPECT_THAT(error_with({{"/services/s/slots", 0}}), HasSubstr("/services/s/slots: must be >= 1"));
  EXPECT_THAT(error_with({{"/services/s/slots", 4000000000}}), HasSubstr("<= 1000000"));
  EXPECT_THAT(error_with({{"/services/s/units", {"gpu", "gpv"}}}),
              HasSubstr("/services/s/units: \"m\" has no unit \"gpv\"; did you mean \"gpu\"?"));
  EXPECT_THAT(error_with({{"/services/s/unit", "gp"}}),
              HasSubstr("/services/s/unit: \"m\" has no unit \"gp\"; did you mean \"gpu\"?"));
  EXPECT_THAT(error_with({{"/services/s/units", {"gpu", "gpu"}}}),
              HasSubstr("unit \"gpu\" is named twice"));
  EXPECT_THAT(error_with({{"/services/s/units", json::array()}}), HasSubstr("at least 1 entry"));
  EXPECT_THAT(error_with({{"/services/s/units", {"cpu"}}, {"/services/s/unit", "cpu"}}),
              HasSubstr("either \"unit\" or \"units\""));
}

// ---- clocks, heat, batteries ----

const std::string cpu = "/nodes/m/units/cpu/";
const json heat = {{"capacitance", "10 J/K"}, {"resistance", "5 K/W"}, {"shutdown", "90 C"}};
const json clocks = {{{"frequency", "0.5 GHz"}, {"voltage", "0.7 V"}},
                     {{"frequency", "1 GHz"}, {"voltage", "1 V"}}};

TEST(HostilePhysics, Ambient) {
  const auto error = [](const json& ambient) {
    return error_with({{"/nodes/m/thermal", heat}, {"/nodes/m/ambient", ambient}});
  };
  for (const json& ambient :
       {json("95 C"), json("90 C"),
        json({{{"at", "0 s"}, {"temperature", "20 C"}}, {{"at", "1 s"}, {"temperature", "95 C"}}})})
    EXPECT_THAT(error(ambient),
                AllOf(HasSubstr("/nodes/m/"), HasSubstr("could not even be switched"),
                      HasSubstr("lower the ambient or raise the shutdown")));
  EXPECT_THAT(error("-300 C"), HasSubstr("/nodes/m/ambient: must be >= -273"));
  const json late = {{{"at", "1 s"}, {"temperature", "20 C"}}};
  EXPECT_THAT(error(late), HasSubstr("/nodes/m/ambient: the first step must be at 0 s"));
  // Also where nothing heats up.
  EXPECT_THAT(error_with({{"/nodes/m/ambient", late}}), HasSubstr("/nodes/m/ambient: the first"));
  const json twice = {{{"at", "0 s"}, {"temperature", "20 C"}},
                      {{"at", "0 s"}, {"temperature", "30 C"}}};
  EXPECT_THAT(error(twice), HasSubstr("/nodes/m/ambient: the dates of the steps must rise"));
}

TEST(HostilePhysics, HeatAndLeakage) {
  const auto with = [](const char* field, const json& value) {
    json t = heat;
    t[field] = value;
    return error_with({{"/nodes/m/thermal", t}});
  };
  EXPECT_THAT(with("capacitance", "0 J/K"), HasSubstr("/nodes/m/thermal/capacitance: must be > 0"));
  EXPECT_THAT(with("resistance", "-1 K/W"), HasSubstr("/nodes/m/thermal/resistance: must be > 0"));
  EXPECT_THAT(with("trips", {{{"at", "95 C"}}}), HasSubstr("not below the shutdown"));
  EXPECT_THAT(with("trips", {{{"at", "50 C"}, {"resume", "60 C"}}}), HasSubstr("is hotter"));
  EXPECT_THAT(with("trips", {{{"at", "50 C"}, {"clock", 0}}}),
              HasSubstr("/nodes/m/thermal/trips/0/clock"));
  EXPECT_THAT(with("trips", {{{"at", "50 C"}, {"part", "gpu"}}}),
              HasSubstr("there is no part \"gpu\""));
  EXPECT_THAT(error_with({{"/nodes/m/thermal",
                           {{"parts", {{"a", {{"capacitance", "1 J/K"}, {"resistance", "1 K/W"}}}}},
                            {"links", {{{"between", {"a", "a"}}, {"resistance", "1 K/W"}}}}}}}),
              AllOf(HasSubstr("\"a\" to itself"), HasSubstr("name two parts")));
  EXPECT_THAT(error_with({{"/nodes/m/thermal",
                           {{"capacitance", "1e-300 J/K"}, {"resistance", "1e-300 K/W"}}}}),
              HasSubstr("/nodes/m/thermal: thermal network: capacitances and resistances"));
  expect_sound_with({{"/nodes/m/thermal", {{"capacitance", "1e-9 J/K"}, {"resistance", "1 K/W"}}}});
  expect_sound_with(
      {{"/nodes/m/thermal", {{"capacitance", "1e300 J/K"}, {"resistance", "1 K/W"}}}});

  // Heat that grows faster than anybody looks, and cold that would give power back.
  EXPECT_THAT(error_with({{"/nodes/m/thermal", heat}, {cpu + "leakage", "1e10 W/K"}}),
              AllOf(HasSubstr("/nodes/m/thermal: leakage"), HasSubstr("lower the leakage"),
                    HasSubstr("power_trace")));
  EXPECT_THAT(error_with({{"/nodes/m/thermal", heat},
                          {"/nodes/m/ambient", "-100 C"},
                          {cpu + "leakage", "0.1 W/K"}}),
              AllOf(HasSubstr("at an ambient of -100 C"), HasSubstr("raise idle_power")));
  expect_sound_with(
      {{"/nodes/m/thermal", heat}, {"/nodes/m/ambient", "-20 C"}, {cpu + "leakage", "10 mW/K"}});
  EXPECT_THAT(error_with({{"/nodes/m/power_trace", "1 ns"}}),
              HasSubstr("/nodes/m/power_trace: must"));
}

TEST(HostilePhysics, OperatingPoints) {
  const auto error = [](const json& points) {
    return error_with({{cpu + "operating_points", points}});
  };
  const std::string place = cpu + "operating_points/";
  EXPECT_THAT(error({clocks[1], clocks[0]}),
              HasSubstr(place + "1/frequency: operating points go from slow to fast"));
  EXPECT_THAT(error({clocks[0], clocks[0]}), HasSubstr(place + "1/frequency"));
  EXPECT_THAT(error({{{"frequency", "0 Hz"}}}), HasSubstr(place + "0/frequency: must be > 0"));
  EXPECT_THAT(error({{{"frequency", "1 GHz"}, {"voltage", "-1 V"}}}),
              HasSubstr(place + "0/voltage: must be > 0"));
  EXPECT_THAT(error({{{"frequency", "1 GHz"}, {"dynamic", -1}}}), HasSubstr(place + "0/dynamic"));
  // A clock at which nothing ever ends.
  for (const char* slow : {"1 Hz", "1e-9 Hz", "1e-300 Hz"})
    for (const json& spread : {json(nullptr), json({"cpu"})})
      expect_sound_with(
          {{cpu + "operating_points", {{{"frequency", slow}}, {{"frequency", "1 GHz"}}}},
           {cpu + "governor", "powersave"},
           {"/services/s/units", spread}});
}

TEST(HostilePhysics, Governors) {
  const auto error = [](const json& governor) {
    return error_with({{cpu + "operating_points", clocks}, {cpu + "governor", governor}});
  };
  EXPECT_THAT(error("schedutl"),
              AllOf(HasSubstr(cpu + "governor"), HasSubstr("did you mean \"schedutil\"?")));
  EXPECT_THAT(error({{"policy", "ondemand"}, {"period", "0 s"}}),
              HasSubstr(cpu + "governor/period: must be >= 100 us"));
  EXPECT_THAT(error({{"policy", "userspace"}, {"clock", 2}}), HasSubstr("governor/clock: must be"));
  EXPECT_THAT(error({{"policy", "schedutil"}, {"margin", 0}}),
              HasSubstr("governor/margin: must be"));
  EXPECT_THAT(error({{"policy", "conservative"}, {"up_threshold", 0.2}, {"down_threshold", 0.8}}),
              HasSubstr(cpu + "governor: conservative: down_threshold must be below up_threshold"));
  EXPECT_THAT(error({{"policy", "load-threshold"}, {"up", 0.2}, {"down", 0.7}}),
              HasSubstr("down exceeds up"));
}

TEST(HostilePhysics, Batteries) {
  const auto error = [](const json& battery) {
    return error_with({{"/nodes/m/battery", battery}});
  };
  const std::string place = "/nodes/m/battery/";
  EXPECT_THAT(error({{"capacity", "0 J"}}), HasSubstr(place + "capacity: must be > 0 J"));
  EXPECT_THAT(error({{"capacity", "-1 Wh"}}), HasSubstr(place + "capacity: must be > 0 J"));
  EXPECT_THAT(error({{"capacity", "1 J"}, {"charge", 2}}), HasSubstr(place + "charge: must be"));
  EXPECT_THAT(error({{"capacity", "1 J"}, {"discharge_efficiency", 0}}),
              HasSubstr(place + "discharge_efficiency: must be > 0"));
  EXPECT_THAT(error({{"charge", 1}}), HasSubstr("needs the field \"capacity\""));
  EXPECT_THAT(error({{"capacity", "100 J"}, {"discharge_limit", "0.1 W"}}),
              AllOf(HasSubstr("/nodes/m/battery: gives at most 0.1 W"), HasSubstr("draws 1.5 W"),
                    HasSubstr("raise discharge_limit")));
  for (const char* capacity : {"1e-300 J", "1e-9 J", "1e12 J", "1e300 J"})
    expect_sound_with({{"/nodes/m/battery", {{"capacity", capacity}}}});
}

TEST(HostilePhysics, WhatHasNoEffectIsNoticed) {
  const auto notices = [](const Changes& changes) {
    const LoadedScenario loaded = load_text(changed(machine(), changes).dump(), {}, "s.json");
    std::string all;
    for (const std::string& n : loaded.scenario->notices) all += n + "\n";
    return all;
  };
  EXPECT_THAT(notices({{"/nodes/m/ambient", "95 C"}}),
              HasSubstr("node \"m\": an ambient temperature without \"thermal\" has no effect"));
  EXPECT_THAT(notices({{cpu + "leakage", "1 W/K"},
                       {cpu + "governor", "battery-saver"},
                       {"/nodes/m/physics", true}}),
              AllOf(HasSubstr("leakage without \"thermal\""),
                    HasSubstr("governor battery-saver without \"battery\"")));
  EXPECT_THAT(notices({{"/nodes/m/ambient", "20 C"}, {"/nodes/m/thermal", heat}}),
              Not(HasSubstr("no effect")));
}

TEST(HostilePhysics, AChargerCarriesAnEmptyBattery) {
  // 100 W feed the machine at once and fill the battery.
  const auto fed = run_text(
      changed(machine(),
              {{"/nodes/m/battery", {{"capacity", "1 kJ"}, {"charge", 0}, {"charger", "100 W"}}}})
          .dump());
  EXPECT_GT(fed.completed, 20U);
  EXPECT_NEAR(fed.value("battery.m"), 0.49, 0.01);
  // 1 W does not: the first request takes the machine down.
  const auto starved = run_text(
      changed(machine(),
              {{"/nodes/m/battery", {{"capacity", "1 kJ"}, {"charge", 0}, {"charger", "1 W"}}}})
          .dump());
  EXPECT_EQ(starved.completed, 0U);
  EXPECT_EQ(starved.nodes[0].physics->shut_down, 1U);
}

// ---- memory ----

TEST(HostileMemory, ModelsThatDoNotFit) {
  EXPECT_THAT(error_with({{units + "/cpu/memory", "1 MB"}}),
              AllOf(HasSubstr("/services/s/model: does not fit: weights 13.9513 MB"),
                    HasSubstr("unit \"cpu\" has 1 MB"), HasSubstr("take a smaller format")));
  // On any of several units; one that runs nothing needs no room.
  for (const char* tight : {"gpu", "cpu"}) {
    const std::string memory = units + "/" + tight + "/memory";
    const std::string other = std::string(tight) == "gpu" ? "cpu" : "gpu";
    EXPECT_THAT(
        error_with({{memory, "1 MB"},
                    {units + "/" + other + "/unsupported", {"gemm"}},
                    {"/services/s/units", {"cpu", "gpu"}}}),
        AllOf(HasSubstr("/services/s/units: does not fit"),
              HasSubstr(fmt::format("unit \"{}\"", tight)), HasSubstr("leave the unit out")))
        << tight;
    expect_sound_with({{memory, "1 MB"},
                       {units + "/" + tight + "/peak", {{"fp32", "1 MFLOPS"}}},
                       {"/services/s/units", {"cpu", "gpu"}}});
  }
  // Only what a unit runs counts: the classifier alone on the CPU.
  const Changes little{{units + "/gpu/unsupported", {"gemm"}},
                       {"/services/s/units", {"gpu", "cpu"}}};
  Changes enough = little, tight = little;
  enough.push_back({units + "/cpu/memory", "6 MB"});
  expect_sound_with(enough);
  tight.push_back({units + "/cpu/memory", "5 MB"});
  EXPECT_THAT(error_with(tight), HasSubstr("operators on unit \"cpu\" need weights 5.1"));
  EXPECT_THAT(error_with({{units + "/cpu/memory", "1 MB"}, {"/services/s/loading", "offload"}}),
              HasSubstr("activations"));
}

TEST(HostileMemory, LoadingThatNeverEnds) {
  const auto error = [](const json& loading) {
    return error_with({{"/services/s/loading", loading}});
  };
  EXPECT_THAT(error({{"strategy", "sharded"}, {"shard", "0 B"}}),
              HasSubstr("/services/s/loading/shard: must be > 0 B"));
  for (const json& loading : {json{{"strategy", "lazy"}, {"shard", "1e-300 B"}},
                              json{{"strategy", "eager"}, {"deserialize", "1e-300 B/s"}},
                              json{{"strategy", "mmap"}, {"page_fault", "1e9 s"}}})
    EXPECT_THAT(error(loading),
                AllOf(HasSubstr("/services/s/loading: loading would take"), HasSubstr("shard")));
  EXPECT_THAT(
      error_with({{"/nodes/m/storage_bandwidth", "1e-300 B/s"}, {"/services/s/loading", "eager"}}),
      AllOf(HasSubstr("/services/s/loading"), HasSubstr("storage_bandwidth")));
}

// ---- splits ----

std::string split_error(const Changes& changes) {
  return error_of(changed(json::parse(R"({"isthmus": 1, "name": "t", "duration": "5 s",
    "nodes": {"pi": {"device": "raspberry-pi-5", "tier": "device", "zone": "field"},
              "gpu": {"device": "nvidia-t4", "zone": "metro"}},
    "network": {"model": "fluid", "links": {"cell": {"bandwidth": "50 Mbps", "latency": "5 ms"}},
      "access": {"pi": ["cell"]}, "routes": [{"from": "field", "to": "metro", "links": []}]},
    "models": {"small": {"shape": "mobilenet-v2", "image": 160}},
    "services": {"tail": {"model": "mobilenet-v2", "on": "gpu",
                          "split": {"policy": "min-cut", "head": "head"}},
                 "head": {"model": "mobilenet-v2", "on": "pi"}},
    "workload": [{"source": "deterministic", "rate": "2 /s", "target": "tail",
                  "clients": {"on": "pi"}}]})"),
                          changes));
}

TEST(HostileSplits, HeadsThatDoNotMatch) {
  const std::string place = "/services/tail/split";
  EXPECT_EQ(split_error({}), "accepted");
  EXPECT_THAT(split_error({{place + "/head", nullptr}}), HasSubstr("needs the field \"head\""));
  EXPECT_THAT(split_error({{place + "/head", "hed"}}),
              HasSubstr(place + "/head: there is no service \"hed\"; did you mean \"head\"?"));
  EXPECT_THAT(split_error({{place + "/head", "tail"}}),
              AllOf(HasSubstr(place + ": the head is this service itself"), HasSubstr("name a")));
  EXPECT_THAT(split_error({{"/services/head/model", "resnet-18"}}),
              AllOf(HasSubstr(place), HasSubstr("same operators"), HasSubstr("use one model")));
  // The same names, but tensors of another size.
  EXPECT_THAT(split_error({{"/services/head/model", "small"}}),
              AllOf(HasSubstr(place), HasSubstr("3x160x160"), HasSubstr("3x224x224")));
  EXPECT_THAT(
      split_error({{"/services/head/model", nullptr}, {"/services/head/service_time", "10 ms"}}),
      HasSubstr("\"head\" must run an operator graph on one unit"));
  EXPECT_THAT(split_error({{"/services/tail/variants", {"fp32", "int8"}}}),
              HasSubstr("\"tail\" must run an operator graph on one unit, in one variant"));
  EXPECT_THAT(split_error({{"/services/head/on", "gpu"}}), HasSubstr("a local head"));
  EXPECT_THAT(split_error({{"/services/head/split", {{"policy", "min-cut"}, {"head", "tail"}}}}),
              HasSubstr("/services/head/split"));
}

TEST(HostileSplits, WeightsAndFormats) {
  const std::string place = "/services/tail/split";
  EXPECT_THAT(split_error({{place + "/energy_weight", -1}}),
              HasSubstr(place + "/energy_weight: must be >= 0"));
  EXPECT_THAT(split_error({{place + "/encode", {"int9"}}}), HasSubstr("did you mean \"int8\"?"));
  EXPECT_THAT(split_error({{place + "/accuracy_loss", 2}}), HasSubstr(place + "/accuracy_loss"));
  for (const double weight : {0.0, 1e-300, 1e308})
    EXPECT_EQ(
        split_error({{place + "/latency_weight", weight}, {place + "/energy_weight", weight}}),
        "accepted");
  EXPECT_EQ(split_error({{"/network/links/cell/bandwidth", "1e-300 bps"}}), "accepted");
}

TEST(HostileSplits, Questions) {
  const auto error = [](const auto& change) -> std::string {
    SplitQuestion q;
    q.model = "mobilenet-v2";
    q.tiers = {"raspberry-pi-5", "nvidia-t4"};
    q.bandwidth = {1e6};
    change(q);
    try {
      split(q);
    } catch (const InputError& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_EQ(error([](SplitQuestion&) {}), "accepted");
  EXPECT_THAT(error([](SplitQuestion& q) { q.radio_power = -5; }),
              HasSubstr("--radio-power must be"));
  EXPECT_THAT(error([](SplitQuestion& q) { q.latency_weight = std::nan(""); }),
              HasSubstr("--latency-weight must be at least 0, not nan"));
  EXPECT_THAT(error([](SplitQuestion& q) { q.energy_weight = INFINITY; }),
              HasSubstr("--energy-weight must be at least 0, not inf"));
  EXPECT_THAT(error([](SplitQuestion& q) { q.accuracy_loss = 2; }), HasSubstr("--accuracy-loss"));
  EXPECT_THAT(error([](SplitQuestion& q) { q.sizes.image = -5; }),
              HasSubstr("--image must be above"));
}

// ---- variants and exits ----

TEST(HostileVariants, ChoicesThatDoNotExist) {
  const auto error = [](const json& variants, const json& policy = "fixed") {
    return error_with({{"/services/s/variant", nullptr},
                       {"/services/s/variants", variants},
                       {"/services/s/variant_policy", policy}});
  };
  EXPECT_THAT(
      error({"fp32", "fp32"}),
      HasSubstr("/services/s/variants/1: two variants are called \"fp32\"; give them names"));
  EXPECT_THAT(error({{{"variant", "fp32"}, {"name", "a"}}, {{"variant", "fp16"}, {"name", "a"}}}),
              HasSubstr("/services/s/variants/1: two variants are called \"a\""));
  EXPECT_THAT(error({"fp32", "fp33"}), HasSubstr("/services/s/variants/1"));
  EXPECT_THAT(error(json::array()), HasSubstr("/services/s/variants: must have at least 1 entry"));
  EXPECT_THAT(
      error({"fp32", "fp16"}, {{"policy", "fixed"}, {"variant", "fp17"}}),
      HasSubstr("/services/s/variant_policy: the service has no variant \"fp17\"; did you"));
  EXPECT_THAT(error({"fp32", {{"model", "qwen3-0.6b"}}}),
              HasSubstr("/services/s/variants/1: language models"));
  EXPECT_THAT(error_with({{"/services/s/variant_policy", "fastest"}}),
              HasSubstr("/services/s/variant_policy: only with \"variants\""));
  EXPECT_THAT(error({"fp32", "fp16"}, {{"policy", "energy"}, {"accuracy_floor", 2}}),
              HasSubstr("accuracy_floor: must be"));
}

std::string exits_error(const json& exits, const json& difficulty = nullptr) {
  Changes changes{
      {"/models",
       {{"own",
         {{"shape", "resnet-50"}, {"passes", {{{"pass", "early-exits"}, {"exits", exits}}}}}}}},
      {"/services/s/variant", nullptr},
      {"/services/s/model", "own"}};
  if (!difficulty.is_null()) changes.push_back({"/workload/0/request/difficulty", difficulty});
  return error_with(changes);
}

TEST(HostileVariants, ExitsThatDoNotExist) {
  const auto exit = [](const char* after, const json& share) {
    return json{{"after", after}, {"share", share}, {"classes", 10}};
  };
  EXPECT_EQ(exits_error(json::array({exit("relu54", 0.25)})), "accepted");
  EXPECT_THAT(exits_error(json::array({exit("relu5x", 0.25)})),
              AllOf(HasSubstr("/models/own/passes/0/exits/0/after"), HasSubstr("did you mean")));
  EXPECT_THAT(exits_error(json::array({exit("relu54", 1.2)})), HasSubstr("exits/0/share"));
  EXPECT_THAT(exits_error(json::array({exit("relu54", -0.1)})),
              HasSubstr("exits/0/share: must be >= 0"));
  EXPECT_THAT(exits_error({exit("relu40", 0.7), exit("relu54", 0.7)}), HasSubstr("add up to 1.4"));
  EXPECT_THAT(exits_error({exit("relu54", 0.2), exit("relu54", 0.2)}),
              HasSubstr("there is an exit after 'relu54' already"));
  EXPECT_THAT(exits_error(json::array()), HasSubstr("at least one entry"));
}

TEST(HostileVariants, DifficultyLiesBetweenZeroAndOne) {
  const json exits = {{{"after", "relu54"}, {"share", 0.25}, {"classes", 10}}};
  const std::string place = "/workload/0/request/difficulty";
  const auto uniform = [](double low, double high) {
    return json{{"distribution", "uniform"}, {"low", low}, {"high", high}};
  };
  EXPECT_THAT(exits_error(exits, -0.1), HasSubstr(place + ": must be >= 0"));
  for (const json& above :
       {json(1.5), json("150 %"), uniform(0, 2),
        json{{"distribution", "choice"}, {"values", {0.1, 3}}, {"weights", {1, 1}}}})
    EXPECT_THAT(exits_error(exits, above), HasSubstr(place + ": must lie between 0 (easy) and 1"));
  for (const json& good : {json(0), json(1), json("50 %"), uniform(0, 1),
                           json{{"distribution", "uniform"}, {"low", 0}, {"high", 2}, {"max", 1}},
                           json{{"distribution", "exponential"}, {"mean", 0.3}}})
    EXPECT_EQ(exits_error(exits, good), "accepted") << good;
}

}  // namespace
}  // namespace isthmus::scenarios
