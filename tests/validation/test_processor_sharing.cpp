// Time slicing without a cost of switching is processor sharing: its closed forms, through scenarios.
#include <gtest/gtest.h>

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "scenarios/reader.hpp"
#include "sim/world/run.hpp"

namespace isthmus {
namespace {

using nlohmann::json;

struct Class {
  double rate = 1;  // 1/s
  json service;     // distribution of seconds
  double mean = 1;  // s
};

// Each class is a service with so many replicas that hardly anybody ever waits for one.
results::Summary run_of(const std::vector<Class>& classes, const json& sharing, std::uint64_t seed, int each) {
  json s = {{"isthmus", 1},
            {"name", "ps"},
            {"seed", seed},
            {"duration", "220000 s"},
            {"warmup", "20000 s"},
            {"nodes", {{"server", {{"kind", "gpu"}, {"sharing", sharing}}}}},
            {"network", {{"model", "fluid"}}},
            {"services", json::object()},
            {"workload", json::array()},
            {"results", {{"streaming", true}, {"sample_period", "10000 s"}}}};
  for (std::size_t i = 0; i < classes.size(); ++i) {
    const std::string name = fmt::format("c{}", i);
    s["services"][name] = {{"service_time", classes[i].service}, {"on", "server"}, {"replicas", each}};
    s["workload"].push_back({{"name", name}, {"source", "poisson"}, {"rate", fmt::format("{} /s", classes[i].rate)},
                             {"target", name}});
  }
  const scenarios::LoadedScenario loaded = scenarios::load_text(s.dump(), {}, "ps.json");
  return world::run(*loaded.scenario, {});
}

double mean_response(const results::Summary& s, std::size_t c) {
  for (const results::Metric& m : s.by_workload.at(fmt::format("c{}", c)))
    if (m.name == "latency.mean") return m.value;
  return std::nan("");
}

TEST(ProcessorSharing, MeanResponseOfExponentialJobs) {
  // M/M/1-PS: 1 / (mu - lambda); the busy fraction is lambda / mu.
  for (const double rho : {0.3, 0.6, 0.8}) {
    const auto s = run_of({{rho, {{"distribution", "exponential"}, {"mean", "1 s"}}}},
                          {{"replicas", 80}, {"kind", "time_slicing"}}, 1, 80);
    EXPECT_NEAR(s.value("latency.mean") * (1 - rho), 1, rho < 0.7 ? 0.02 : 0.04) << rho;
    EXPECT_NEAR(s.value("accelerator_busy.server"), rho, 0.01);
    EXPECT_NEAR(s.value("sharing_slowdown.c0") * (1 - rho), 1, rho < 0.7 ? 0.02 : 0.04);
  }
}

TEST(ProcessorSharing, MeanResponseDoesNotDependOnTheLaw) {
  // M/G/1-PS: E[S] / (1 - rho) for every class, whatever the laws of all of them.
  const std::vector<json> laws{"1 s",
                               {{"distribution", "uniform"}, {"low", "0 s"}, {"high", "2 s"}},
                               {{"distribution", "gamma"}, {"mean", "1 s"}, {"cv", 2}}};
  for (const json& law : laws) {
    const auto s = run_of({{0.35, law, 1}, {0.7, {{"distribution", "exponential"}, {"mean", "0.5 s"}}, 0.5}},
                          {{"replicas", 120}}, 2, 60);
    const double rho = 0.7;
    EXPECT_NEAR(mean_response(s, 0) * (1 - rho), 1, 0.04) << law.dump();
    EXPECT_NEAR(mean_response(s, 1) * (1 - rho), 0.5, 0.02) << law.dump();
  }
}

TEST(ProcessorSharing, SwitchingMakesTheMachineSlowerWhereItIsShared) {
  // A birth-death chain: rate mu alone, 0.8 mu with others.
  const double lambda = 0.5, slow = 0.8;
  double weight = 1, all = 1, jobs = 0;
  for (int n = 1; n < 2000; ++n) {
    weight *= lambda / (n == 1 ? 1 : slow);
    all += weight;
    jobs += n * weight;
  }
  const auto s = run_of({{lambda, {{"distribution", "exponential"}, {"mean", "1 s"}}}},
                        {{"replicas", 80}, {"slice", "2 ms"}, {"context_switch", "0.5 ms"}}, 3, 80);
  EXPECT_NEAR(s.value("latency.mean") / (jobs / all / lambda), 1, 0.02);
}

}  // namespace
}  // namespace isthmus
