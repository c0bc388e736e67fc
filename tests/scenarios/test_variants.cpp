// Services that choose a variant per request, and early exits, from scenario files to results.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "scenarios/reader.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"

namespace isthmus::scenarios {
namespace {

world::Scenario read(const std::string& service, const std::string& more = "",
                     const std::string& rate = "1 /s", const std::string& request = "") {
  return *load_text(fmt::format(
                        R"({{"isthmus": 1, "name": "t", "duration": "400 s",
      "nodes": {{"m": {{"device": "raspberry-pi-5", "tier": "device"}}}},
      "models": {{"exits": {{"shape": "resnet-50",
        "variants": {{"fp32": {{"weights": "fp32", "accuracy": 0.76, "accuracy_source": "test"}}}},
        "passes": [{{"pass": "early-exits", "exits": [{{"after": "relu54", "share": 0.25, "classes": 1000,
                     "accuracy": 0.9, "metric": "m", "source": "test"}}],
                   "accuracy": 0.6, "metric": "m", "source": "test"}}]}}}},
      "services": {{"s": {{"on": "m", {}}}}},
      "workload": [{{"source": "deterministic", "rate": "{}", "target": "s", "clients": {{"on": "m"}},
                     "request": {{{}}}}}]{}}})",
                        service, rate, request, more))
              .scenario;
}

TEST(ServiceVariants, EarlyExitsShortenRequests) {
  const world::Scenario s = read(R"("model": "exits")");
  const auto& choice = std::get<world::GraphModel>(s.services[0].work).choices.at(0);
  ASSERT_EQ(choice.exits.size(), 2U);
  EXPECT_DOUBLE_EQ(choice.accuracy, 0.25 * 0.9 + 0.75 * 0.6);
  const double early = choice.exits[0].cost->batch(1).time.seconds();
  const double late = choice.exits[1].cost->batch(1).time.seconds();
  EXPECT_LT(early, 0.7 * late);
  const auto r = world::run(s, {});
  // One request more may have started than was answered.
  const double share = r.value("exit.s/0");
  EXPECT_NEAR(share, 0.25, 0.07);
  EXPECT_NEAR(r.value("latency.mean"), share * early + (1 - share) * late, 2e-3 * late);
  EXPECT_NEAR(r.value("accuracy"), share * 0.9 + (1 - share) * 0.6, 1e-3);
  EXPECT_EQ(world::run(s, {}).fingerprint, r.fingerprint);
}

TEST(ServiceVariants, EasyInputsLeaveEarly) {
  const auto easy = world::run(read(R"("model": "exits")", "", "1 /s", R"("difficulty": 0.1)"), {});
  const auto hard = world::run(read(R"("model": "exits")", "", "1 /s", R"("difficulty": 0.3)"), {});
  EXPECT_EQ(easy.value("exit.s/0"), 1);
  EXPECT_EQ(hard.value("exit.s/0"), 0);
  EXPECT_LT(easy.value("latency.mean"), hard.value("latency.mean"));
}

TEST(ServiceVariants, BatchesShrinkAtExits) {
  // Four at a time: the first part runs for all, the rest for those that stay.
  const world::Scenario s =
      read(R"("model": "exits", "batching": {"policy": "fixed", "max_batch": 4})", "", "8 /s");
  const auto& exits = std::get<world::GraphModel>(s.services[0].work).choices[0].exits;
  const auto r = world::run(s, {});
  const auto time = [&](std::size_t e, int n) { return exits[e].cost->batch(n).time.seconds(); };
  double low = 1e9, high = 0;
  for (int stay = 1; stay <= 4; ++stay) {
    const double t = time(0, 4) + time(1, stay) - time(0, stay);
    low = std::min(low, t);
    high = std::max(high, t);
  }
  EXPECT_GE(r.value("service_time.mean"), std::min(low, time(0, 4)) - 1e-6);
  EXPECT_LE(r.value("service_time.max"), high + 1e-6);
}

TEST(ServiceVariants, PoliciesChoosePerRequest) {
  const std::string variants =
      R"("model": "resnet-50", "variants": ["fp32", "int8", {"model": "exits", "name": "early"}], )";
  const auto fixed = world::run(read(variants + R"("variant_policy": "fixed")"), {});
  EXPECT_EQ(fixed.value("variant.s/fp32"), 1);
  const auto fast = world::run(read(variants + R"("variant_policy": "fastest")"), {});
  EXPECT_EQ(fast.value("variant.s/int8"), 1);
  EXPECT_LT(fast.value("latency.mean"), fixed.value("latency.mean"));
  // Under load the adaptive policy mixes, and keeps up where the fixed one does not.
  const auto load =
      world::run(read(variants + R"("variant_policy": "load-adaptive")", "", "12 /s"), {});
  const auto stuck = world::run(read(variants + R"("variant_policy": "fixed")", "", "12 /s"), {});
  EXPECT_GT(load.value("variant.s/int8"), 0.1);
  EXPECT_GT(load.value("variant.s/fp32"), 0.01);
  EXPECT_LT(load.value("latency.mean"), 0.2 * stuck.value("latency.mean"));
  EXPECT_EQ(load.created, load.completed + load.rejected + load.failed + load.in_flight);
}

TEST(ServiceVariants, MistakesHaveAPlace) {
  const auto error = [](const std::string& service) -> std::string {
    try {
      read(service);
    } catch (const InputError& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_NE(error(R"("model": "resnet-50", "variants": ["fp32", "fp23"])").find("/variants/1"),
            std::string::npos);
  EXPECT_NE(error(R"("model": "resnet-50", "variants": ["fp32", "fp32"])").find("two variants"),
            std::string::npos);
  EXPECT_NE(
      error(R"("model": "resnet-50", "variant": "fp32", "variants": ["fp32"])").find("either"),
      std::string::npos);
  EXPECT_NE(error(R"("model": "qwen3-0.6b", "variants": ["int8"])").find("operator graphs"),
            std::string::npos);
}

}  // namespace
}  // namespace isthmus::scenarios
