// Engines whose weights come from host memory: leaps and steps agree where copies and computation take
// turns in setting the time.
#include <gtest/gtest.h>

#include <memory>

#include "devices/llm_engine.hpp"
#include "models/builtin_llms.hpp"
#include "models/llm_cost.hpp"
#include "sim/core/random.hpp"
#include "tests/devices/engine_driver.hpp"

namespace isthmus::devices {
namespace {

using testing::drive;
using testing::TimedRequest;

models::ComputeUnit gpu(bool overlap) {
  models::ComputeUnit u;
  u.name = "gpu";
  u.peak[static_cast<std::size_t>(models::Precision::bf16)] = 250e12;
  u.memory_bandwidth = 1631e9;
  u.memory = 80e9;
  u.iteration_overhead = Duration(2'000'000);
  u.launch_overhead = Duration(3'000);
  u.overlap_overhead = overlap;
  return u;
}

TEST(LlmEngineCopies, LeapsAndStepsGiveTheSameDates) {
  Rng g(77);
  int bound_by_copies = 0, bound_by_reading = 0;
  for (int trial = 0; trial < 400; ++trial) {
    models::LlmVariant v;
    v.name = "bf16";
    v.prefetch = trial % 4 != 0;
    // About as long as an iteration: which one is longer depends on the contexts.
    v.host_weights = 0.021 + 0.006 * uniform01(g);
    if (trial % 5 == 0) v.ffn_active = 0.3;
    const auto cost = std::make_shared<const models::LlmCost>(
        models::builtin_llm("llama-3.1-8b"), v, gpu(trial % 2 == 0),
        models::LlmLayout{.host_bandwidth = 25e9});
    std::vector<TimedRequest> arrivals;
    Instant t;
    for (std::uint64_t i = 1; i <= 40; ++i) {
      t += Duration::from_seconds(sample_exponential(g, 0.05));
      EngineRequest r;
      r.tag = i;
      r.prompt = 1 + static_cast<std::int64_t>(uniform_index(g, 1500));
      r.output = 1 + static_cast<std::int64_t>(uniform_index(g, 120));
      arrivals.push_back({t, r});
    }
    EngineLimits limits;
    limits.kv_blocks = 4000;
    limits.leap = true;
    LlmEngine leaping(cost, limits);
    const auto with = drive(leaping, arrivals);
    limits.leap = false;
    LlmEngine stepping(cost, limits);
    const auto without = drive(stepping, arrivals);
    ASSERT_TRUE(with == without) << "trial " << trial;
    ASSERT_EQ(leaping.counters().iterations, stepping.counters().iterations);
    for (const std::int64_t context : {500, 30000})
      (cost->decode_line(8, context).per_context_ns == 0 ? bound_by_copies : bound_by_reading)++;
  }
  EXPECT_GT(bound_by_copies, 100);
  EXPECT_GT(bound_by_reading, 100);
}

}  // namespace
}  // namespace isthmus::devices
