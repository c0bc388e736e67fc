// Prefill and decode pools against figures worked out by hand from the cost model and the network.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/builtin_llms.hpp"
#include "tests/sim/world/small_worlds.hpp"

namespace isthmus::world {
namespace {

constexpr double bandwidth = 10e9;          // bytes/s of a machine's link
constexpr std::int64_t hop_ns = 50'000;     // latency of one of the two links of a path

models::ComputeUnit gpu(double peak, double memory_bandwidth) {
  models::ComputeUnit u;
  u.name = "gpu";
  u.peak[static_cast<std::size_t>(models::Precision::bf16)] = peak;
  u.memory_bandwidth = memory_bandwidth;
  u.memory = 80e9;
  u.iteration_overhead = Duration(2'000'000);
  return u;
}

Service pool_of(const Scenario& s, std::uint32_t group, PoolRole role) {
  Service v;
  v.name = role == PoolRole::prefill ? "s/prefill" : "s/decode";
  v.group = group;
  v.front = 0;
  v.role = role;
  models::LlmVariant variant;
  variant.name = "bf16";
  const auto shape = models::builtin_llm("llama-3.1-8b");
  v.work = LlmModel{shape, variant,
                    std::make_shared<models::LlmCost>(shape, variant, s.nodes[group].units[0]), {}};
  return v;
}

// Clients outside of the network; one group for prefill and one for decode, each machine behind a
// link of its own.
Scenario pooled(std::uint32_t prefill = 1, std::uint32_t decode = 1) {
  Scenario s = testing::queue_scenario(Distribution::constant(1), 1, 100);
  s.warmup = Duration::zero();
  s.streaming = false;
  s.nodes.clear();
  s.topology = network::Topology();
  s.topology.zones = {{"zone"}};
  for (const std::uint32_t count : {prefill, decode}) {
    NodeGroup g;
    g.name = s.nodes.empty() ? "p" : "d";
    g.first = s.node_count();
    g.count = count;
    g.units = {s.nodes.empty() ? gpu(900e12, 3e12) : gpu(300e12, 2e12)};
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto link = static_cast<std::uint32_t>(s.topology.links.size());
      s.topology.links.push_back({fmt::format("nic-{}[{}]", g.name, i), bandwidth, {},
                                  Duration(hop_ns), {}, network::Sharing::split_duplex, {}, {}});
      s.topology.hosts.push_back({fmt::format("{}-{}", g.name, i), 0, {LinkId(link)}});
    }
    s.nodes.push_back(g);
  }
  s.flow_model.equal_shares = true;
  const Service law = s.services[0];
  s.services.clear();
  s.services.push_back(pool_of(s, 0, PoolRole::prefill));
  Service& front = s.services[0];
  front.name = "s";
  front.front = ~0U;
  front.role = PoolRole::both;
  front.routing = law.routing;
  front.routing_parameters = law.routing_parameters;
  front.pools.emplace();
  front.pools->first = {1};
  front.pools->decode = {2};
  front.pools->decode_routing = law.routing;
  front.pools->decode_routing_parameters = law.routing_parameters;
  s.services.push_back(pool_of(s, 0, PoolRole::prefill));
  s.services.back().replicas = s.services.back().max_replicas = prefill;
  s.services.push_back(pool_of(s, 1, PoolRole::decode));
  s.services.back().replicas = s.services.back().max_replicas = decode;
  Workload& w = s.workloads[0];
  w.arrivals.kind = ArrivalKind::times;
  w.arrivals.times = {Duration(1'000'000'000)};
  w.request.prompt_tokens = Distribution::constant(1000);
  w.request.output_tokens = Distribution::constant(21);
  return s;
}

const models::LlmCost& cost(const Scenario& s, std::size_t service) {
  return *std::get<LlmModel>(s.services[service].work).cost;
}
std::int64_t prefill_ns(const Scenario& s, std::int64_t tokens, std::int64_t prompts = 1) {
  return cost(s, 1).iteration_ns({.prefill_tokens = tokens * prompts,
                                  .prefill_attention = static_cast<double>(prompts) * 0.5 *
                                                       static_cast<double>(tokens * tokens),
                                  .prefill_context = tokens * prompts,
                                  .logits = prompts});
}
// All tokens after the first, alone.
std::int64_t decode_ns(const Scenario& s, std::int64_t prompt, std::int64_t output) {
  std::int64_t ns = 0;
  for (std::int64_t k = 1; k < output; ++k)
    ns += cost(s, 2).iteration_ns(
        {.decode_sequences = 1, .decode_context = prompt + k, .logits = 1});
  return ns;
}
std::int64_t kv_ns(const Scenario& s, std::int64_t prompt, double share = 1) {
  const double bytes = cost(s, 1).kv_bytes_per_token() * static_cast<double>(prompt);
  return 2 * hop_ns + std::llround(share * bytes / bandwidth * 1e9);
}
// A date or time to the nanosecond, up to what sums of rounded ones may be off.
#define NEAR_NS(got, want, tolerance) \
  EXPECT_LE(std::abs((got) - (want)), (tolerance)) << (got) << " instead of " << (want)

std::int64_t ns(const results::Summary& r, const char* metric) {
  return std::llround(r.value(metric) * 1e9);
}

TEST(Pools, OneRequestByHand) {
  for (const bool simgrid : {false, true}) {
    Scenario s = pooled();
    s.simgrid = simgrid;
    const auto r = run(s, {});
    ASSERT_EQ(r.completed, 1U);
    // 128 KiB of keys and values per token of Llama-3.1-8B.
    EXPECT_EQ(r.value("kv_bytes_per_transfer"), 131072e3);
    EXPECT_EQ(kv_ns(s, 1000), 100'000 + 13'107'200);
    NEAR_NS(ns(r, "ttft.mean"), prefill_ns(s, 1000), 1);
    NEAR_NS(ns(r, "kv_transfer.p99"), kv_ns(s, 1000), 1);
    NEAR_NS(ns(r, "e2e.mean"),
                prefill_ns(s, 1000) + kv_ns(s, 1000) + decode_ns(s, 1000, 21), 2);
    NEAR_NS(ns(r, "tpot.mean") * 20, kv_ns(s, 1000) + decode_ns(s, 1000, 21), 20);
    NEAR_NS(ns(r, "latency.mean"), ns(r, "e2e.mean"), 1);
    EXPECT_NEAR(r.links[0].bytes, 131072e3, 1);
    EXPECT_EQ(r.services[1].iterations, 1U);
    EXPECT_EQ(r.services[2].iterations, 20U);
    EXPECT_EQ(r.services[0].iterations, 21U);
    EXPECT_EQ(r.value("share.s"), 1);
  }
}

// The last layer alone is not hidden behind the prompt.
TEST(Pools, LayersFollowThePrompt) {
  Scenario s = pooled();
  s.services[0].pools->transfer = KvTransfer::layerwise;
  const auto r = run(s, {});
  ASSERT_EQ(r.completed, 1U);
  // 31 of 32 layers take 12.8 ms, less than the prompt without its first layer.
  ASSERT_LT(kv_ns(s, 1000), prefill_ns(s, 1000) * 31 / 32);
  NEAR_NS(ns(r, "ttft.mean"), prefill_ns(s, 1000), 1);
  EXPECT_NEAR(r.value("kv_bytes_per_transfer"), 131072e3, 1e-3);
  NEAR_NS(ns(r, "e2e.mean"),
              prefill_ns(s, 1000) + kv_ns(s, 1000, 1.0 / 32) + decode_ns(s, 1000, 21), 2);
  NEAR_NS(ns(r, "kv_transfer.mean"), kv_ns(s, 1000, 1.0 / 32), 2);

  // A link that does not keep up: layers queue behind the first, and each part pays the latency.
  for (network::Link& l : s.topology.links) l.bandwidth = bandwidth / 10;
  const auto slow = run(s, {});
  const std::int64_t whole = std::llround(131072e3 / (bandwidth / 10) * 1e9);
  NEAR_NS(ns(slow, "e2e.mean"),
              prefill_ns(s, 1000) / 32 + whole + 4 * hop_ns + decode_ns(s, 1000, 21), 4);
}

// Two caches that leave together share the links.
TEST(Pools, TransfersShareTheNetwork) {
  for (const bool simgrid : {false, true}) {
    Scenario s = pooled();
    s.simgrid = simgrid;
    s.workloads[0].arrivals.times = {Duration(1'000'000'000), Duration(1'000'000'000)};
    const auto r = run(s, {});
    ASSERT_EQ(r.completed, 2U);
    NEAR_NS(ns(r, "ttft.max"), prefill_ns(s, 1000, 2), 1);
    NEAR_NS(ns(r, "kv_transfer.max"), 2 * hop_ns + 2 * 13'107'200, 2);
    NEAR_NS(ns(r, "kv_transfer.mean"), 2 * hop_ns + 2 * 13'107'200, 2);
  }
}

// Between units of one machine the interconnect carries them, each transfer by itself.
TEST(Pools, WithinAMachine) {
  Scenario s = pooled();
  s.nodes[0].accelerators = 2;
  s.nodes[0].interconnect_bandwidth = 200e9;
  s.nodes[0].interconnect_latency = 5e-6;
  s.services[2].group = 0;
  s.services[2].work = s.services[1].work;
  s.workloads[0].arrivals.times = {Duration(1'000'000'000), Duration(1'000'000'000)};
  const auto r = run(s, {});
  ASSERT_EQ(r.completed, 2U);
  NEAR_NS(ns(r, "kv_transfer.max"), 5'000 + 655'360, 1);
  EXPECT_EQ(r.links[0].bytes, 0);
}

TEST(Pools, OneTokenNeedsNoDecode) {
  Scenario s = pooled();
  s.workloads[0].request.output_tokens = Distribution::constant(1);
  const auto r = run(s, {});
  ASSERT_EQ(r.completed, 1U);
  EXPECT_EQ(r.services[2].iterations, 0U);
  EXPECT_EQ(r.links[0].bytes, 0);
  EXPECT_TRUE(std::isnan(r.value("kv_transfer.mean")));
}

// A decode replica with room for one fetches the second cache when the first request has ended;
// until then its blocks stay at the prefill replica, which has room for two and a half.
TEST(Pools, CachesWaitForRoom) {
  Scenario s = pooled();
  s.services[2].batching.continuous.kv_tokens = 1024;
  s.services[1].batching.continuous.kv_tokens = 2500;
  const Duration at(1'000'000'000);
  s.workloads[0].arrivals.times = {at, at, at};
  const auto r = run(s, {});
  ASSERT_EQ(r.completed, 3U);
  const std::int64_t one = kv_ns(s, 1000) + decode_ns(s, 1000, 21);
  // The third prompt starts when the first cache has left: it did not fit before.
  const std::int64_t first = prefill_ns(s, 1000, 2);
  NEAR_NS(ns(r, "ttft.max"), first + kv_ns(s, 1000) + prefill_ns(s, 1000), 2);
  NEAR_NS(ns(r, "e2e.max"), first + 3 * one, 6);
  NEAR_NS(ns(r, "kv_transfer.max"), kv_ns(s, 1000), 1);
}

TEST(Pools, TooLongForEveryDecodeReplica) {
  Scenario s = pooled();
  s.services[2].batching.continuous.kv_tokens = 1008;  // 63 blocks; 1020 tokens need 64
  EXPECT_EQ(run(s, {}).by_cause.at("too_large"), 1U);
  s.services[2].batching.continuous.kv_tokens = 1024;
  EXPECT_EQ(run(s, {}).completed, 1U);
}

// A heterogeneous service: whole requests on either kind of machine.
TEST(Pools, SeveralKindsOfMachines) {
  Scenario s = pooled();
  s.services[0].pools->first = {1, 2};
  s.services[0].pools->decode = {};
  s.services[1].role = s.services[2].role = PoolRole::both;
  const auto& turns = schedulers::find_entry(schedulers::routing_policies(), "round-robin");
  s.services[0].routing = &turns;
  s.services[0].routing_parameters.emplace(turns.parameters);
  s.workloads[0].arrivals.times = {Duration(1'000'000'000), Duration(1'000'000'000)};
  const auto r = run(s, {});
  ASSERT_EQ(r.completed, 2U);
  EXPECT_EQ(r.services[1].iterations, 21U);
  EXPECT_EQ(r.services[2].iterations, 21U);
  EXPECT_EQ(r.services[0].mean_replicas, 2);
  EXPECT_EQ(r.services[0].max_replicas, 2U);
  EXPECT_EQ(ns(r, "ttft.p50"), prefill_ns(s, 1000));
  EXPECT_GT(ns(r, "ttft.max"), 2 * prefill_ns(s, 1000));
}

// ---- what breaks on the way ------------------------------------------------------------------------

Fault fault_of(bool is_link, std::uint32_t target, Instant at, Duration lasts) {
  Fault f;
  (is_link ? f.links : f.nodes) = {target};
  f.at = at;
  f.lasts = lasts;
  return f;
}

struct Broken {
  const char* name;
  bool is_link;
  std::uint32_t target;
  double after;  // ms from the arrival
};

// During the prompt (about 22 ms), the transfer (13.2 ms) and the decodes after it.
const Broken breakages[] = {
    {"prefill node, prompt", false, 0, 5},
    {"prefill node, transfer", false, 0, -1},
    {"decode node, transfer", false, 1, -1},
    {"decode node, decoding", false, 1, 60},
    {"link, transfer", true, 1, -1},
};

TEST(Pools, WhatBreaksIsPrefilledAgain) {
  for (const KvTransfer transfer : {KvTransfer::after_prefill, KvTransfer::layerwise})
    for (const Broken& b : breakages) {
      SCOPED_TRACE(fmt::format("{}, {}", b.name, static_cast<int>(transfer)));
      Scenario s = pooled();
      s.services[0].pools->transfer = transfer;
      s.workloads[0].request.retries = 1;
      s.workloads[0].request.retry_backoff = Duration(1'000'000'000);
      // The last layer alone travels for 0.5 ms.
      const std::int64_t on_the_way = prefill_ns(s, 1000) + 300'000;
      const std::int64_t after =
          b.after < 0 ? on_the_way : static_cast<std::int64_t>(b.after * 1e6);
      s.faults = {fault_of(b.is_link, b.target, Instant(1'000'000'000 + after), Duration(500'000'000))};
      const auto r = run(s, {});
      ASSERT_EQ(r.completed, 1U);
      EXPECT_EQ(r.value("retry_rate"), 1);
      // Once more from the start, a second after the failure.
      const std::int64_t rest = transfer == KvTransfer::layerwise ? kv_ns(s, 1000, 1.0 / 32)
                                                                  : kv_ns(s, 1000);
      NEAR_NS(ns(r, "e2e.mean"),
                  after + 1'000'000'000 + prefill_ns(s, 1000) + rest + decode_ns(s, 1000, 21), 3);
      EXPECT_EQ(r.value("kv_bytes_per_transfer"), 131072e3);

      s.workloads[0].request.retries = 0;
      const auto lost = run(s, {});
      EXPECT_EQ(lost.failed, 1U);
    }
}

// Layers that meet a dead link are sent again with all the others once the prompt is there.
TEST(Pools, LayersThatFailTravelLater) {
  Scenario s = pooled();
  s.services[0].pools->transfer = KvTransfer::layerwise;
  s.faults = {fault_of(true, 1, Instant(1'005'000'000), Duration(1'000'000))};
  const auto r = run(s, {});
  ASSERT_EQ(r.completed, 1U);
  EXPECT_EQ(r.value("retry_rate"), 0);
  EXPECT_EQ(r.value("kv_bytes_per_transfer"), 131072e3);
  NEAR_NS(ns(r, "e2e.mean"), prefill_ns(s, 1000) + kv_ns(s, 1000) + decode_ns(s, 1000, 21), 3);
}

// A client that gives up leaves no blocks behind: the next request finds both caches empty.
TEST(Pools, DeadlinesFreeBothSides) {
  for (const double after : {5.0, 25.0, 60.0}) {  // ms: prompt, transfer, decoding
    SCOPED_TRACE(after);
    Scenario s = pooled();
    for (const std::size_t pool : {1U, 2U}) s.services[pool].batching.continuous.kv_tokens = 1024;
    const Duration at(1'000'000'000), next(2'000'000'000);
    Workload other = s.workloads[0];
    other.name = "other";
    other.arrivals.times = {next};
    s.workloads[0].request.deadline = Duration(static_cast<std::int64_t>(after * 1e6));
    s.workloads.push_back(other);
    const auto r = run(s, {});
    EXPECT_EQ(r.by_cause.at("cancelled"), 1U);
    ASSERT_EQ(r.completed, 1U);
    NEAR_NS(ns(r, "e2e.mean"), prefill_ns(s, 1000) + kv_ns(s, 1000) + decode_ns(s, 1000, 21), 3);
  }
}

// Without a decode replica there is nowhere to go on, but one that comes back is waited for.
TEST(Pools, DecodeReplicasThatAreAway) {
  Scenario s = pooled();
  s.faults = {fault_of(false, 1, Instant(500'000'000), Duration(1'500'000'000))};
  const auto r = run(s, {});
  ASSERT_EQ(r.completed, 1U);
  NEAR_NS(ns(r, "e2e.mean"), 1'000'000'000 + kv_ns(s, 1000) + decode_ns(s, 1000, 21), 3);
  NEAR_NS(ns(r, "ttft.mean"), prefill_ns(s, 1000), 1);
}

}  // namespace
}  // namespace isthmus::world
