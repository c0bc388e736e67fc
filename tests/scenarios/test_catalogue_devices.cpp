// The devices of the catalogue: what is there, where its figures come from, whether they make sense
// together, and what runs on them.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string_view>

#include "scenarios/catalogue.hpp"
#include "scenarios/experiments.hpp"
#include "scenarios/explain.hpp"
#include "scenarios/reader.hpp"
#include "scenarios/unit_strings.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"

namespace isthmus::scenarios {
namespace {

using ::testing::IsSupersetOf;

const Catalogue& catalogue() {
  static Sources sources;
  static const Catalogue c(catalogue_folder(), sources);
  return c;
}

const std::vector<Member>& units_of(const std::string& device) {
  return catalogue().device(device)->find("units")->members;
}

double figure(const Value& entry, const char* field, Unit unit) {
  const Value* v = entry.find(field);
  EXPECT_NE(v, nullptr) << field;
  return v ? parse_quantity(v->text, unit) : 0;
}

double share(const Value& entry, const char* field) {
  const Value* v = entry.find(field);
  EXPECT_NE(v, nullptr) << field;
  return v ? v->number : 0;
}

TEST(CatalogueDevices, CoverEveryClass) {
  const auto names = catalogue().devices();
  EXPECT_GE(names.size(), 40U);
  EXPECT_THAT(names, IsSupersetOf({"snapdragon-8-gen2", "snapdragon-8-gen3", "snapdragon-8-elite",
                                   "dimensity-9300", "apple-a17-pro", "tensor-g3", "tensor-g4"}));
  EXPECT_THAT(names, IsSupersetOf({"raspberry-pi-4", "raspberry-pi-5", "jetson-nano",
                                   "jetson-orin-nano", "jetson-orin-nano-super",
                                   "jetson-orin-nx-16g", "jetson-agx-orin-64g", "jetson-agx-thor",
                                   "jetson-xavier-nx", "coral-edge-tpu", "rockchip-rk3588"}));
  EXPECT_THAT(names, IsSupersetOf({"amd-epyc-7742", "amd-epyc-8024p", "amd-epyc-9654",
                                   "intel-xeon-8480plus", "azure-cobalt-100", "aws-graviton3",
                                   "aws-graviton4", "apple-m3", "amd-ryzen-9-7950x"}));
  EXPECT_THAT(names, IsSupersetOf({"nvidia-t4", "nvidia-l4", "nvidia-a100-40g", "nvidia-h100-sxm",
                                   "nvidia-h200-sxm", "nvidia-b200", "nvidia-gb300", "amd-mi300x",
                                   "rtx-3090", "rtx-4090", "rtx-pro-6000", "intel-arc-pro-b60"}));
  std::set<std::string> tiers, kinds;
  for (const std::string& name : names) {
    tiers.insert(catalogue().device(name)->find("tier")->text);
    for (const Member& u : units_of(name)) kinds.insert(u.value.find("kind")->text);
  }
  EXPECT_EQ(tiers, (std::set<std::string>{"device", "edge", "cloud"}));
  EXPECT_EQ(kinds, (std::set<std::string>{"cpu", "gpu", "npu"}));
}

// A source says what kind of evidence it is: somebody's document, a measurement, a calculation, or
// nothing but a judgement.
TEST(CatalogueDevices, EverySourceSaysWhatKindItIs) {
  constexpr std::array<std::string_view, 24> kinds{
      "datasheet",      "whitepaper",      "technical brief",    "product page",
      "documentation",  "announcement",    "architecture brief", "sheet",
      "AIConfigurator", "computed",        "measured",           "fitted",
      "estimate",       "choice",          "taken from",         "published",
      "price list",     "list price",      "price table",        "as computed from",
      "NCCL",           "shipped profile", "on demand",          "unverified"};
  for (const std::string& name : catalogue().devices())
    for (const Member& s : catalogue().device(name)->find("sources")->members) {
      SCOPED_TRACE(name + ": " + s.key + ": " + s.value.text);
      EXPECT_GE(s.value.text.size(), 8U);
      EXPECT_TRUE(std::any_of(kinds.begin(), kinds.end(), [&](std::string_view kind) {
        return s.value.text.find(kind) != std::string::npos;
      }));
    }
}

// A source for a whole unit or device would cover figures that it says nothing about.
TEST(CatalogueDevices, NoSourceCoversAWholeUnit) {
  for (const std::string& name : catalogue().devices())
    for (const Member& s : catalogue().device(name)->find("sources")->members) {
      const auto dots = std::count(s.key.begin(), s.key.end(), '.');
      EXPECT_TRUE(s.key.starts_with("units.") ? dots >= 2 : dots == 0) << name << ": " << s.key;
    }
}

TEST(CatalogueDevices, PeaksGrowAsFormatsNarrow) {
  // NVIDIA cut the INT8 rate of these two.
  const std::set<std::string> weak_int8{"nvidia-b300", "nvidia-gb300"};
  for (const std::string& name : catalogue().devices())
    for (const Member& u : units_of(name)) {
      SCOPED_TRACE(name + " " + u.key);
      const Value* peak = u.value.find("peak");
      ASSERT_NE(peak, nullptr);
      ASSERT_FALSE(peak->members.empty());
      const auto rate = [&](const char* format) {
        const Value* v = peak->find(format);
        return v ? parse_quantity(v->text, Unit::compute) : 0;
      };
      for (const Member& m : peak->members) {
        EXPECT_GT(rate(m.key.c_str()), 1e10) << m.key;
        EXPECT_LT(rate(m.key.c_str()), 2e16) << m.key;
      }
      const auto not_below = [&](const char* narrow, const char* wide) {
        if (rate(narrow) > 0 && rate(wide) > 0) {
          EXPECT_GE(rate(narrow), rate(wide)) << narrow << " against " << wide;
        }
      };
      not_below("fp16", "fp32");
      not_below("bf16", "fp32");
      not_below("bf16", "fp16");
      not_below("fp8", "fp16");
      not_below("fp4", "fp8");
      if (!weak_int8.contains(name)) not_below("int8", "fp16");
      // A sparse figure slipped in would be 4 times the next wider tensor format.
      if (rate("fp16") > 0 && rate("int8") > 0 && u.value.find("kind")->text == "gpu") {
        EXPECT_LE(rate("int8"), 4.1 * rate("fp16"));
      }
      if (rate("fp16") > 0 && rate("fp8") > 0) {
        EXPECT_LE(rate("fp8"), 2.1 * rate("fp16"));
      }
    }
}

TEST(CatalogueDevices, MemoryPowerAndEfficienciesMakeSense) {
  for (const std::string& name : catalogue().devices()) {
    for (const Member& u : units_of(name)) {
      SCOPED_TRACE(name + " " + u.key);
      const Value& v = u.value;
      EXPECT_GT(figure(v, "memory_bandwidth", Unit::bandwidth), 5e9);
      EXPECT_LT(figure(v, "memory_bandwidth", Unit::bandwidth), 1e13);
      EXPECT_GT(figure(v, "memory", Unit::bytes), 5e6);
      for (const char* efficiency : {"compute_efficiency", "bandwidth_efficiency"}) {
        EXPECT_GE(share(v, efficiency), 0.05) << efficiency;
        EXPECT_LE(share(v, efficiency), 1.0) << efficiency;
      }
      EXPECT_GE(share(v, "efficiency_error"), 0.05);
      EXPECT_LE(share(v, "efficiency_error"), 0.5);
      const double idle = figure(v, "idle_power", Unit::power);
      const double memory_bound = figure(v, "bandwidth_power", Unit::power);
      const double compute_bound = figure(v, "compute_power", Unit::power);
      EXPECT_LE(idle, memory_bound);
      EXPECT_LE(memory_bound, compute_bound);
      EXPECT_GT(compute_bound, 0);
      // No machine of today does more than 20 operations per picojoule, whatever their format.
      for (const Member& m : v.find("peak")->members)
        EXPECT_LT(parse_quantity(m.value.text, Unit::compute) / compute_bound, 2e13) << m.key;
    }
    // Units of one chip share its idle power; it counts once, in the main unit.
    const auto& units = units_of(name);
    EXPECT_GT(figure(units[0].value, "idle_power", Unit::power), 0) << name;
    for (std::size_t i = 1; i < units.size(); ++i)
      EXPECT_EQ(figure(units[i].value, "idle_power", Unit::power), 0)
          << name << " " << units[i].key;
  }
}

TEST(CatalogueDevices, OperatingPointsRiseInClockAndVoltage) {
  std::set<std::string> with_clocks;
  for (const std::string& name : catalogue().devices())
    for (const Member& u : units_of(name)) {
      SCOPED_TRACE(name + " " + u.key);
      const Value* points = u.value.find("operating_points");
      if (!points) continue;
      with_clocks.insert(name);
      ASSERT_GE(points->items.size(), 2U);
      double clock = 5e7, voltage = 0.4;
      for (const Value& p : points->items) {
        EXPECT_GT(figure(p, "frequency", Unit::frequency), clock);
        clock = figure(p, "frequency", Unit::frequency);
        if (!p.find("voltage")) continue;
        EXPECT_GE(figure(p, "voltage", Unit::voltage), voltage);
        voltage = figure(p, "voltage", Unit::voltage);
      }
      EXPECT_LT(clock, 5e9);
      EXPECT_LT(voltage, 1.5);
    }
  EXPECT_THAT(with_clocks,
              IsSupersetOf({"raspberry-pi-4", "raspberry-pi-5", "jetson-nano", "rockchip-rk3588",
                            "snapdragon-8-gen2", "snapdragon-8-gen3"}));
}

TEST(CatalogueDevices, PricesAreInUsdAndDated) {
  int bought = 0, rented = 0;
  for (const std::string& name : catalogue().devices()) {
    SCOPED_TRACE(name);
    const Value& d = *catalogue().device(name);
    const auto year = [&](const char* field) {
      const std::string& source = d.find("sources")->find(field)->text;
      EXPECT_TRUE(source.find("20") != std::string::npos) << source;
    };
    if (d.find("purchase_price")) {
      ++bought;
      year("purchase_price");
      EXPECT_GT(figure(d, "purchase_price", Unit::money), 30);
      EXPECT_LT(figure(d, "purchase_price", Unit::money), 1e5);
    }
    if (d.find("price")) {
      ++rented;
      year("price");
      EXPECT_LT(figure(d, "price", Unit::price_per_hour), 10);
    }
  }
  EXPECT_GE(bought, 30);
  EXPECT_GE(rented, 12);
}

TEST(CatalogueDevices, NodesTakeAPurchasePriceThatNobodyIsBilledFor) {
  const auto scenario = [](const std::string& node) {
    return R"({"isthmus": 1, "name": "x", "duration": "10 s", "nodes": {"n": )" + node +
           R"(}, "services": {"s": {"service_time": "0.1 s", "on": "n"}},
              "workload": [{"rate": "1 /s"}]})";
  };
  const auto cost = [&](const std::string& node) {
    const auto s = world::run(*load_text(scenario(node)).scenario, {});
    for (const auto& m : s.metrics)
      if (m.name == "cost") return m.value;
    ADD_FAILURE() << "no cost";
    return 0.0;
  };
  EXPECT_EQ(cost(R"({"price": "2 USD/h", "purchase_price": "9000 USD"})"),
            cost(R"({"price": "2 USD/h"})"));
  EXPECT_THROW(load_text(scenario(R"({"purchase_price": "9000 USD/h"})")), InputError);
  EXPECT_THROW(load_text(scenario(R"({"purchase_price": "-1 USD"})")), InputError);
  EXPECT_THROW(load_text(scenario(R"({"purchase_price": 9000})")), InputError);
}

// A second of MobileNetV3 on every unit, in the first format that the unit computes in.
TEST(CatalogueDevices, EveryUnitAnswersRequests) {
  int runs = 0;
  for (const std::string& device : catalogue().devices())
    for (const Member& u : units_of(device)) {
      SCOPED_TRACE(device + " " + u.key);
      const Value& peak = *u.value.find("peak");
      const char* variant = peak.find("fp32")                        ? "fp32"
                            : peak.find("fp16") || peak.find("bf16") ? "fp16"
                                                                     : "int8";
      const auto loaded = load_text(
          R"({"isthmus": 1, "name": "x", "duration": "1 s", "nodes": {"n": {"device": ")" + device +
          R"("}}, "services": {"s": {"model": "mobilenet-v3-large", "variant": ")" + variant +
          R"(", "on": "n", "unit": ")" + u.key +
          R"("}}, "workload": [{"source": "poisson", "rate": "10 /s"}]})");
      const auto s = world::run(*loaded.scenario, {});
      EXPECT_GT(s.completed, 0U);
      ++runs;
    }
  EXPECT_GT(runs, 75);
}

// ResNet-50 against measured times, ms: the devices whose efficiencies come from these runs, so it
// is the consistency of the catalogue that is tested, not the model. ncnn: shared data, lowest time
// of a run; Hailo: model zoo, throughput; Rockchip: model zoo, one of three cores.
TEST(CatalogueDevices, ReproduceTheRunsTheyWereFittedTo) {
  struct Run {
    const char* unit;
    const char* variant;
    double ms;
    double factor;  //!< how far off a prediction may be
  };
  constexpr Run runs[] = {{"dimensity-9300/cpu", "fp16", 18.76, 1.06},
                          {"dimensity-9300/cpu", "int8", 9.56, 1.06},
                          {"dimensity-9300/little", "fp16", 26.82, 1.4},
                          {"dimensity-9300/gpu", "fp16", 15.74, 1.06},
                          {"snapdragon-8-gen2/cpu", "fp16", 18.90, 1.06},
                          {"snapdragon-8-gen2/gpu", "fp16", 42.5, 1.06},
                          {"raspberry-pi-4", "fp32", 263, 1.06},
                          {"raspberry-pi-5", "fp16", 45.94, 1.4},
                          {"jetson-nano/gpu", "fp16", 93.0, 1.06},
                          {"jetson-nano/cpu", "fp32", 203, 1.06},
                          {"rockchip-rk3588/gpu", "fp16", 37.8, 1.06},
                          {"rockchip-rk3588/cpu", "fp16", 38.4, 1.06},
                          {"rockchip-rk3588/little", "fp16", 113, 1.06},
                          {"apple-m3/gpu", "fp16", 5.46, 1.06},
                          {"snapdragon-x-elite/cpu", "fp16", 16.54, 1.06},
                          {"azure-cobalt-100", "fp16", 4.98, 1.4},
                          {"amd-epyc-7742", "fp32", 13.94, 2.2},
                          {"amd-ryzen-9-5950x", "fp32", 18.55, 1.06},
                          {"jetson-agx-xavier/cpu", "fp16", 28.2, 1.06},
                          {"hailo-8", "int8", 0.753, 1.06}};
  for (const Run& r : runs) {
    ExplainQuestion q;
    q.model = "resnet-50";
    q.device = r.unit;
    q.variant = r.variant;
    const double ms = explain(q).phases[0].total.time.seconds() * 1e3;
    fmt::print("{:24} {}: {:7.2f} ms, measured {:7.2f}  {:+6.1f} %\n", r.unit, r.variant, ms, r.ms,
               100 * (ms / r.ms - 1));
    EXPECT_LT(std::abs(std::log(ms / r.ms)), std::log(r.factor)) << r.unit;
  }
}

// Decode rates of Llama 3.2 3B in Q4_K_M (geerlingguy/ai-benchmarks), 5.03 bits per weight in all.
TEST(CatalogueDevices, ReproduceMeasuredDecodes) {
  struct Run {
    const char* unit;
    double tokens_per_s;
  };
  for (const Run& r :
       {Run{"rtx-3060", 122.85}, Run{"rtx-4090", 334.67}, Run{"apple-m4/gpu", 41.31},
        Run{"raspberry-pi-4", 1.60}, Run{"raspberry-pi-5", 4.75}, Run{"intel-n150", 9.06}}) {
    ExplainQuestion q;
    q.model = "llama-3.2-3b";
    q.device = r.unit;
    q.context = 128;
    q.variant = "int4";
    const Explanation e = explain(q);
    const double weights =
        2.02e9 / e.weight_bytes;  // the file is that much larger than 4 bits each
    const double rate = 1 / (e.phases.back().total.time.seconds() * weights);
    fmt::print("{:24} {:7.2f} token/s, measured {:7.2f}  {:+6.1f} %\n", r.unit, rate,
               r.tokens_per_s, 100 * (rate / r.tokens_per_s - 1));
    EXPECT_LT(std::abs(std::log(rate / r.tokens_per_s)), std::log(1.25)) << r.unit;
  }
}

}  // namespace
}  // namespace isthmus::scenarios
