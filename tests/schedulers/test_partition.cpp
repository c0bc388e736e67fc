// Partitions of graphs over tiers: published and exhaustive optima, random graphs against
// exhaustive search, hysteresis.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "schedulers/list_scheduler.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"
#include "tests/shared_data.hpp"

namespace isthmus::schedulers {
namespace {

using nlohmann::json;

std::shared_ptr<Partitioner> partitioner(const char* name) {
  const auto& entry = find_entry(partitioners(), name);
  return entry.make(Parameters(entry.parameters));
}

// Task 0 is the input on the device, then the layers.
PartitionProblem chain_of(const json& in) {
  const auto device = in["device_s"].get<std::vector<double>>();
  const auto cloud = in["cloud_s"].get<std::vector<double>>();
  PartitionProblem p;
  p.tasks = static_cast<std::uint32_t>(device.size()) + 1;
  p.output_bytes = in["cut_bytes"].get<std::vector<double>>();
  p.seconds = {0, 0};
  p.pinned.assign(p.tasks, -1);
  p.pinned[0] = 0;
  for (std::uint32_t i = 0; i + 1 < p.tasks; ++i) {
    p.seconds.insert(p.seconds.end(), {device[i], cloud[i]});
    p.edges.emplace_back(i, i + 1);
  }
  p.bandwidth = {in["bandwidth_Bps"]};
  p.latency = {in["rtt_s"]};
  return p;
}

void check_chain(const json& c) {
  const json& e = c["expected"];
  const PartitionProblem p = chain_of(c["inputs"]);
  const auto cuts = e["all_cuts_s"].get<std::vector<double>>();
  for (std::size_t cut = 0; cut < cuts.size(); ++cut) {
    std::vector<std::uint32_t> tier(p.tasks, 0);
    for (std::size_t t = cut + 1; t < p.tasks; ++t) tier[t] = 1;
    EXPECT_NEAR(evaluate(p, tier).latency, cuts[cut], 1e-6) << cut;
  }
  for (const char* name : {"chain", "min-cut"}) {
    const Partition best = partitioner(name)->partition(p);
    EXPECT_NEAR(best.latency, e["latency_s"].get<double>(), 1e-9) << name;
    EXPECT_EQ(static_cast<int>(std::count(best.tier.begin(), best.tier.end(), 0U)) - 1,
              e["best_cut_index"].get<int>())
        << name;
  }
}

void check_dads(const json& c) {
  const json &in = c["inputs"], &e = c["expected"];
  PartitionProblem p;
  p.tasks = in["n"];
  const auto device = in["device_s"].get<std::vector<double>>();
  const auto cloud = in["cloud_s"].get<std::vector<double>>();
  for (std::uint32_t i = 0; i < p.tasks; ++i)
    p.seconds.insert(p.seconds.end(), {device[i], cloud[i]});
  for (const json& edge : in["edges"]) p.edges.emplace_back(edge[0], edge[1]);
  p.output_bytes = in["out_bytes"].get<std::vector<double>>();
  p.bandwidth = {in["bandwidth_Bps"]};
  p.pinned.assign(p.tasks, -1);
  p.pinned[in["input_node"].get<std::size_t>()] = 0;
  const Partition best = partitioner("min-cut")->partition(p);
  EXPECT_NEAR(best.latency, e["min_latency_s"].get<double>(), 1e-9 * best.latency);
  std::vector<std::uint32_t> remote;
  for (std::uint32_t t = 0; t < p.tasks; ++t)
    if (best.tier[t] == 1) remote.push_back(t);
  EXPECT_EQ(remote, e["cloud_nodes"].get<std::vector<std::uint32_t>>());
}

TEST(PartitionTruth, EveryCutOfTheSharedCases) {
  std::ifstream file(isthmus::testing::shared_data() / "truth" / "dag_scheduling.json");
  ASSERT_TRUE(file);
  const json all = json::parse(file);
  int chains = 0, cuts = 0;
  for (const json& c : all["cases"]) {
    const std::string id = c["id"];
    SCOPED_TRACE(id);
    if (id.starts_with("alexnet_chain")) {
      check_chain(c);
      ++chains;
    } else if (id.starts_with("dads_cut")) {
      check_dads(c);
      ++cuts;
    }
  }
  EXPECT_GE(chains, 6);
  EXPECT_GE(cuts, 14);
  std::printf("%d chain cases, %d DAG cuts\n", chains, cuts);
}

PartitionProblem random_problem(std::uint64_t seed) {
  Rng g = StreamKey(seed, "partitions").at(0);
  PartitionProblem p;
  p.tiers = 2 + static_cast<std::uint32_t>(uniform_index(g, 2));
  p.tasks = 1 + static_cast<std::uint32_t>(uniform_index(g, p.tiers == 2 ? 9 : 7));
  p.pinned.assign(p.tasks, -1);
  if (uniform01(g) < 0.7) p.pinned[0] = 0;
  for (std::uint32_t t = 0; t < p.tasks; ++t) {
    for (std::uint32_t m = 0; m < p.tiers; ++m)
      p.seconds.push_back(m > 0 && t > 0 && uniform01(g) < 0.05 ? cannot_run
                                                                : uniform01(g) / (1 + 2.0 * m));
    p.output_bytes.push_back(uniform01(g) < 0.1 ? 0 : 100 * uniform01(g));
    for (std::uint32_t s = 0; s < t; ++s)
      if (uniform01(g) < 0.35) p.edges.emplace_back(s, t);
  }
  for (std::uint32_t h = 0; h + 1 < p.tiers; ++h) {
    p.bandwidth.push_back(uniform01(g) < 0.05 ? 0 : 500 * uniform01(g));
    p.latency.push_back(0.2 * uniform01(g));
  }
  for (std::uint32_t m = 0; m < p.tiers; ++m) {
    p.slowdown.push_back(1 + uniform01(g));
    p.watts.push_back(3 * uniform01(g));
    p.price.push_back(uniform01(g));
  }
  p.energy_weight = uniform01(g) < 0.5 ? 0 : uniform01(g);
  p.price_weight = uniform01(g) < 0.5 ? 0 : uniform01(g);
  p.transfer_watts = uniform01(g);
  p.result_bytes = uniform01(g) < 0.5 ? 0 : 10;
  if (uniform01(g) < 0.5) p.encodings.push_back({"int8", 0.25, 0.002, 0.001});
  return p;
}

double exhaustive(const PartitionProblem& p) {
  double best = cannot_run;
  std::vector<std::uint32_t> tier(p.tasks, 0);
  for (;;) {
    bool allowed = true;
    for (const auto& [a, b] : p.edges) allowed = allowed && tier[a] <= tier[b];
    if (allowed) best = std::min(best, evaluate(p, tier).objective);
    std::uint32_t t = 0;
    while (t < p.tasks && ++tier[t] == p.tiers) tier[t++] = 0;
    if (t == p.tasks) return best;
  }
}

TEST(Partition, MinimumCutsAreOptimalOnRandomGraphs) {
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const PartitionProblem p = random_problem(seed);
    const double best = exhaustive(p);
    if (best == cannot_run) {
      EXPECT_THROW(partitioner("min-cut")->partition(p), InputError) << seed;
      continue;
    }
    const Partition cut = partitioner("min-cut")->partition(p);
    ASSERT_NEAR(cut.objective, best, 1e-9 * best) << seed;
    // Chains see fewer placements and are never better.
    try {
      ASSERT_GE(partitioner("chain")->partition(p).objective, best * (1 - 1e-12)) << seed;
    } catch (const InputError&) {
    }
  }
}

TEST(Partition, TensorsTakeTheCheapestEncoding) {
  PartitionProblem p;
  p.tasks = 2;
  p.seconds = {1, 1, 10, 1};
  p.edges = {{0, 1}};
  p.output_bytes = {1000, 10};
  p.bandwidth = {1000};
  p.pinned = {0, -1};
  p.encodings = {{"raw", 1, 0, 0}, {"fp16", 0.5, 0, 0.001}, {"int8", 0.25, 0.0001, 0.002}};
  const Partition best = partitioner("min-cut")->partition(p);
  EXPECT_DOUBLE_EQ(best.latency, 1 + 0.25 + 0.1 + 1);
  ASSERT_EQ(best.crossings.size(), 1U);
  EXPECT_EQ(best.crossings[0].encoding, 2U);
  EXPECT_DOUBLE_EQ(best.bytes, 250);
  EXPECT_DOUBLE_EQ(best.accuracy_loss, 0.002);
}

TEST(Partition, PlansHoldWithinTheHysteresis) {
  PartitionProblem p;
  p.tasks = 2;
  p.seconds = {0, 0, 1, 0.1};
  p.edges = {{0, 1}};
  p.output_bytes = {100, 0};
  p.bandwidth = {1000};
  p.slowdown = {1, 1};
  p.pinned = {0, -1};
  SplitPlanner planner(partitioner("min-cut"), 0.2);
  EXPECT_EQ(planner.plan(p).tier[1], 1U);
  p.bandwidth = {850};
  planner.plan(p);
  EXPECT_EQ(planner.computed(), 1U);
  p.bandwidth = {50};  // now sending takes 2 s
  EXPECT_EQ(planner.plan(p).tier[1], 0U);
  p.slowdown = {1.3, 1};
  planner.plan(p);
  EXPECT_EQ(planner.computed(), 3U);
  EXPECT_EQ(planner.changed(), 1U);
}

TEST(Partition, MalformedProblemsAreRefused) {
  PartitionProblem p;
  EXPECT_THROW(evaluate(p, {}), InputError);
  p.tasks = 2;
  p.seconds = {1, 1, 1, 1};
  p.output_bytes = {1, 1};
  p.bandwidth = {1};
  EXPECT_NO_THROW(evaluate(p, {0, 1}));
  p.edges = {{0, 1}, {1, 0}};
  EXPECT_THROW(evaluate(p, {0, 1}), InputError);
  p.edges = {{0, 1}};
  EXPECT_THROW(evaluate(p, {1, 0}), InputError);
  p.bandwidth = {-1};
  EXPECT_THROW(evaluate(p, {0, 1}), InputError);
}

}  // namespace
}  // namespace isthmus::schedulers
