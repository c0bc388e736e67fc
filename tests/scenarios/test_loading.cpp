// Loading of models from scenario files to cold starts and first requests.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "scenarios/reader.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"

namespace isthmus::scenarios {
namespace {

// BERT-large in FP32 on a T4 with one client; 2 GB/s of storage, 10 GB/s to the card.
world::Scenario read(const std::string& service, const std::string& node = "") {
  return *load_text(fmt::format(
                        R"({{"isthmus": 1, "name": "t", "duration": "20 s",
      "nodes": {{"m": {{"device": "nvidia-t4", "storage_bandwidth": "2 GB/s", "storage_latency": "1 ms",
                        "unit_transfer": {{"bandwidth": "10 GB/s"}}{}}}}},
      "services": {{"s": {{"on": "m", "model": "bert-large", "variant": "fp32"{}}}}},
      "workload": [{{"source": "closed", "target": "s", "clients": {{"on": "m", "count": 1}}}}]}})",
                        node, service))
              .scenario;
}
double weights() {
  return std::get<world::GraphModel>(read("").services[0].work).cost->weight_bytes();
}

TEST(Loading, ColdStartFollowsTheStrategy) {
  const double w = weights();
  const auto cold = [](const std::string& loading) {
    return read(R"(, "loading": )" + loading).services[0].cold_start.seconds();
  };
  EXPECT_NEAR(cold(R"("eager")"), 0.001 + w / 2e9 + w / 4e9 + w / 10e9, 1e-6);
  EXPECT_NEAR(cold(R"("lazy")"), 0.001, 1e-9);
  EXPECT_LT(cold(R"({"strategy": "sharded", "shard": "100 MB"})"), cold(R"("eager")"));
  // What the scenario says itself wins.
  EXPECT_NEAR(read(R"(, "loading": "eager", "cold_start": "7 s")").services[0].cold_start.seconds(),
              7, 1e-12);
}

TEST(Loading, TheFirstRequestPaysForLazyWeights) {
  const world::Scenario s = read(R"(, "loading": "mmap")");
  const auto r = world::run(s, {});
  const double alone =
      std::get<world::GraphModel>(s.services[0].work).cost->batch(1).time.seconds();
  EXPECT_NEAR(r.value("latency.max"), alone + s.services[0].first_use, 1e-6);
  EXPECT_NEAR(r.value("latency.p50"), alone, 1e-6);
  EXPECT_GT(s.services[0].first_use, weights() / 2e9);
}

TEST(Loading, EveryoneWaitsForLazyWeights) {
  world::Scenario s = read(R"(, "loading": "lazy", "slots": 4)");
  s.workloads[0].clients = 4;
  const auto r = world::run(s, {});
  // Four start at once: all of them wait, nobody afterwards.
  const double excess = (r.value("latency.mean") - r.value("latency.p50")) * r.value("completed");
  EXPECT_NEAR(excess, 4 * s.services[0].first_use, 0.05 * excess);
}

TEST(Loading, OffloadLeavesRoomForItsBatch) {
  const world::Scenario s =
      read(R"(, "loading": "offload", "batching": {"policy": "greedy", "max_batch": 32})",
           R"(, "memory": "0.9 GB")");
  const auto& cost = *std::get<world::GraphModel>(s.services[0].work).cost;
  EXPECT_NEAR(s.services[0].every_use,
              (cost.weight_bytes() + cost.peak_activation_bytes(32) - 0.9e9) / 10e9, 1e-9);
}

TEST(Loading, OffloadedWeightsAreStreamedEveryTime) {
  // Half a gigabyte short of what the model needs.
  const std::string node = R"(, "memory": "0.9 GB")";
  try {
    read("", node);
    ADD_FAILURE() << "accepted";
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("does not fit: weights"), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("/services/s/model"), std::string::npos);
  }
  const world::Scenario s = read(R"(, "loading": "offload")", node);
  const auto& cost = *std::get<world::GraphModel>(s.services[0].work).cost;
  const double rest = cost.weight_bytes() + cost.peak_activation_bytes(1) - 0.9e9;
  EXPECT_NEAR(s.services[0].every_use, rest / 10e9, 1e-9);
  const auto r = world::run(s, {});
  EXPECT_NEAR(r.value("latency.mean"), cost.batch(1).time.seconds() + rest / 10e9, 1e-6);
  EXPECT_GT(r.value("load_peak.s"), rest);
}

}  // namespace
}  // namespace isthmus::scenarios
