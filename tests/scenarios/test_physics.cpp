// Clocks, heat and batteries from scenario files to results.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "results/recorder.hpp"
#include "scenarios/reader.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"

namespace isthmus::scenarios {
namespace {

// One machine; `node` and `service` are fields in JSON, with a comma in front.
results::Summary run_with(const std::string& node, const std::string& service,
                          const std::string& rate = "2 /s", const std::string& duration = "100 s") {
  const std::string text = fmt::format(
      R"({{"isthmus": 1, "name": "t", "duration": "{}",
          "nodes": {{"m": {{"tier": "device", "kind": "cpu", "peak": {{"fp32": "100 GFLOPS", "bf16": "10 GFLOPS"}},
            "memory_bandwidth": "1000 GB/s", "memory": "8 GB", "base_power": "1 W", "idle_power": "0.5 W",
            "bandwidth_power": "2.5 W", "compute_power": "2.5 W"{}}}}},
          "services": {{"s": {{"on": "m"{}}}}},
          "workload": [{{"source": "deterministic", "rate": "{}", "target": "s", "clients": {{"on": "m"}}}}]}})",
      duration, node, service, rate);
  return world::run(*load_text(text).scenario, {});
}

const std::string law = R"(, "service_time": "100 ms")";
const std::string clocks =
    R"(, "operating_points": [{"frequency": "0.5 GHz", "voltage": "0.7 V"}, {"frequency": "1 GHz", "voltage": "1 V"}])";

TEST(Physics, SlowClocksStretchArithmetic) {
  const auto fast = run_with(clocks, law);
  EXPECT_NEAR(fast.value("latency.mean"), 0.1, 1e-9);
  const auto slow = run_with(clocks + R"(, "governor": "powersave")", law);
  EXPECT_NEAR(slow.value("latency.mean"), 0.2, 1e-9);
  // A compute-bound graph doubles as well, whole or operator by operator, but for its overheads.
  for (const char* units : {"", R"(, "units": ["cpu"])"}) {
    const std::string graph = R"(, "model": "resnet-50", "variant": "fp32")" + std::string(units);
    const double a = run_with(clocks, graph).value("latency.mean");
    const double b = run_with(clocks + R"(, "governor": "powersave")", graph).value("latency.mean");
    EXPECT_NEAR(b / a, 2, 0.01) << units;
  }
}

TEST(Physics, EnergyFollowsClocks) {
  // 1 W + 0.5 W idle for 100 s, 2 W for 0.1 s per request at full clock.
  const auto fast = run_with(clocks, law);
  const double n = static_cast<double>(fast.completed);
  EXPECT_NEAR(fast.value("energy"), 150 + n * 0.2, 0.3);
  // Half the clock, 0.7^2 / 2 of the power, twice the time: 0.49 of the energy.
  const auto slow = run_with(clocks + R"(, "governor": "powersave")", law);
  EXPECT_NEAR(slow.value("energy"), 150 + n * 0.2 * 0.49, 0.3);
  EXPECT_NEAR(fast.value("client_energy_per_request"), 0.2 + 0.1 * 1, 1e-6);
  EXPECT_NEAR(slow.value("client_energy_per_request"), 0.2 * 0.49 + 0.2 * 1, 1e-6);
  // The executor accounts for the same work alike.
  const std::string graph = R"(, "model": "resnet-50", "variant": "fp32")";
  const auto whole = run_with(clocks + R"(, "governor": "powersave")", graph);
  const auto spread =
      run_with(clocks + R"(, "governor": "powersave")", graph + R"(, "units": ["cpu"])");
  EXPECT_NEAR(spread.value("energy"), whole.value("energy"), 0.02 * whole.value("energy"));
}

TEST(Physics, TracesAddUpToTheEnergy) {
  const auto r =
      run_with(clocks + R"(, "governor": "schedutil", "power_trace": "10 ms", "ambient": "30 C",
      "leakage": "20 mW/K", "thermal": {"capacitance": "10 J/K", "resistance": "20 K/W",
      "trips": [{"at": "65 C", "resume": "60 C", "clock": 0.5}]})",
               law, "8 /s");
  EXPECT_NEAR(r.value("power.m.mean") * 100, r.value("energy"), 1e-6 * r.value("energy"));
  EXPECT_GT(r.value("power.m.stddev"), 0.1);
  EXPECT_GT(r.value("temperature.m.max"), 50);
  EXPECT_LT(r.value("temperature.m.max"), 66);
}

TEST(Physics, HeatThrottles) {
  const auto heat = [](const char* ambient) {
    return clocks +
           fmt::format(
               R"(, "ambient": "{}", "thermal": {{"capacitance": "5 J/K", "resistance": "15 K/W",
        "trips": [{{"at": "70 C", "resume": "65 C", "clock": 0.5}}], "shutdown": "120 C"}})",
               ambient);
  };
  const auto cool = run_with(heat("10 C"), law, "9 /s", "300 s");
  const auto hot = run_with(heat("40 C"), law, "9 /s", "300 s");
  EXPECT_EQ(cool.value("throttled.m"), 0);
  EXPECT_GT(hot.value("throttled.m"), 0.1);
  EXPECT_GT(hot.value("latency.mean"), 2 * cool.value("latency.mean"));
}

// Shipped devices under full load: figures of the catalogue alone, but for the ambient.
TEST(Physics, ShippedDevicesThrottleWhenItIsHot) {
  struct Case {
    const char* device;
    const char* variant;
    const char* cool;
    const char* hot;
    const char* duration;
  };
  for (const Case& c : {Case{"snapdragon-8-gen2", "fp16", "10 C", "35 C", "1200 s"},
                        Case{"snapdragon-8-gen3", "fp16", "10 C", "35 C", "1200 s"},
                        Case{"raspberry-pi-4", "fp32", "20 C", "40 C", "300 s"},
                        Case{"raspberry-pi-5", "fp16", "20 C", "40 C", "300 s"}}) {
    SCOPED_TRACE(c.device);
    const auto at = [&](const char* ambient, const char* more) {
      const std::string text = fmt::format(
          R"({{"isthmus": 1, "name": "t", "duration": "{}",
              "nodes": {{"m": {{"device": "{}", "governor": "schedutil", "ambient": "{}"{}}}}},
              "services": {{"s": {{"model": "resnet-50", "variant": "{}", "on": "m"}}}},
              "workload": [{{"source": "closed", "target": "s", "clients": {{"on": "m"}}}}]}})",
          c.duration, c.device, ambient, more, c.variant);
      return world::run(*load_text(text).scenario, {});
    };
    const auto cool = at(c.cool, "");
    const auto hot = at(c.hot, "");
    EXPECT_EQ(cool.value("throttled.m"), 0);
    EXPECT_GT(hot.value("throttled.m"), 0.1);
    EXPECT_EQ(hot.nodes[0].physics->shut_down, 0U);
    EXPECT_LT(hot.completed, 0.97 * static_cast<double>(cool.completed));
    EXPECT_EQ(at(c.hot, R"(, "thermal": null)").completed, cool.completed);
  }
}

TEST(Physics, ShippedPhonesRunOnTheirBattery) {
  const auto charge = [](const char* more) {
    return world::run(*load_text(fmt::format(
                                     R"({{"isthmus": 1, "name": "t", "duration": "600 s",
        "nodes": {{"m": {{"device": "tensor-g3", "governor": "performance"{}}}}},
        "services": {{"s": {{"service_time": "100 ms", "on": "m"}}}},
        "workload": [{{"source": "deterministic", "rate": "1 /s", "target": "s",
                       "clients": {{"on": "m"}}}}]}})",
                                     more))
                           .scenario,
                      {})
        .value("battery.m");
  };
  EXPECT_GT(charge(""), 0.96);
  EXPECT_LT(charge(""), 0.995);
  EXPECT_EQ(charge(R"(, "battery": null)"), 1);
  // Who states nothing about clocks, heat or batteries gets none of them.
  const auto plain = load_text(
      R"({"isthmus": 1, "name": "t", "duration": "1 s",
          "nodes": {"a": {"device": "snapdragon-8-gen3"},
                    "b": {"device": "snapdragon-8-gen3", "battery": null},
                    "c": {"device": "snapdragon-8-gen3", "governor": "schedutil"}},
          "services": {"s": {"service_time": "100 ms", "on": "a"}},
          "workload": [{"rate": "1 /s"}]})");
  EXPECT_EQ(plain.scenario->nodes[0].physics, nullptr);
  EXPECT_EQ(plain.scenario->nodes[1].physics, nullptr);
  ASSERT_NE(plain.scenario->nodes[2].physics, nullptr);
  EXPECT_TRUE(plain.scenario->nodes[2].physics->thermal.has_value());
  EXPECT_TRUE(plain.scenario->nodes[2].physics->battery.has_value());
}

TEST(Physics, AnEmptyBatteryEndsTheMachine) {
  // 1.5 W while idle: 75 J last for 50 s, but for the requests.
  const auto r = run_with(R"(, "battery": {"capacity": "75 J"})", law, "0.5 /s");
  EXPECT_EQ(r.nodes[0].physics->shut_down, 1U);
  EXPECT_NEAR(r.value("energy"), 75, 1e-6);
  EXPECT_NEAR(static_cast<double>(r.completed), 0.5 * 75 / (1.5 + 0.1), 1.5);
  EXPECT_EQ(r.created, r.completed + r.rejected + r.failed + r.in_flight);
  EXPECT_EQ(r.value("battery.m"), 0);
}

TEST(Physics, LanguageModelsFollowTheirClock) {
  const std::string llm = R"(, "model": "qwen3-0.6b", "variant": "bf16")";
  const auto with = [&](const char* governor) {
    return run_with(clocks + R"(, "governor": ")" + governor + "\"", llm, "0.05 /s", "200 s");
  };
  const double a = with("performance").value("latency.mean"),
               b = with("powersave").value("latency.mean");
  EXPECT_GT(b, 1.5 * a);
  EXPECT_LE(b, 2.001 * a);
}

TEST(Physics, DeadlinesSetThePace) {
  const std::string many =
      R"(, "operating_points": [{"frequency": "0.25 GHz"}, {"frequency": "0.5 GHz"}, {"frequency": "0.75 GHz"}, {"frequency": "1 GHz"}])";
  const std::string governor = R"(, "governor": {"policy": "deadline", "margin": 0})";
  const std::string text = fmt::format(
      R"({{"isthmus": 1, "name": "t", "duration": "100 s",
          "nodes": {{"m": {{"tier": "device", "compute_power": "4 W"{}{}}}}},
          "services": {{"s": {{"on": "m", "service_time": "100 ms"}}}},
          "workload": [{{"source": "deterministic", "rate": "1 /s", "target": "s", "clients": {{"on": "m"}},
                         "request": {{"deadline": "240 ms"}}}}]}})",
      many, governor);
  const auto r = world::run(*load_text(text).scenario, {});
  EXPECT_EQ(r.failed, 0U);
  // 100 ms of work in 240 ms: half the clock is enough.
  EXPECT_GT(r.value("latency.mean"), 0.19);
  EXPECT_LE(r.value("latency.max"), 0.24 + 1e-9);  // never faster than it must
}

TEST(Physics, ImpossibleMachinesAreRefusedWithTheirPlace) {
  const auto error = [](const std::string& node) -> std::string {
    try {
      run_with(node, law);
    } catch (const InputError& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_NE(
      error(
          R"(, "ambient": "90 C", "thermal": {"capacitance": "1 J/K", "resistance": "1 K/W", "shutdown": "85 C"})")
          .find("could not even be switched on"),
      std::string::npos);
  EXPECT_NE(error(R"(, "thermal": {"capacitance": "1 J/K"})").find("/nodes/m/thermal"),
            std::string::npos);
  EXPECT_NE(error(R"(, "governor": "fast")").find("/nodes/m/governor"), std::string::npos);
  EXPECT_NE(error(R"(, "operating_points": [{"frequency": "2 GHz"}, {"frequency": "1 GHz"}])")
                .find("slow to fast"),
            std::string::npos);
  EXPECT_NE(error(R"(, "ambient": "25 W")").find("temperature"), std::string::npos);
  EXPECT_NE(
      error(
          R"(, "thermal": {"capacitance": "1 J/K", "resistance": "60 K/W"}, "leakage": "20 mW/K")")
          .find("thermal runaway"),
      std::string::npos);
}

}  // namespace
}  // namespace isthmus::scenarios
