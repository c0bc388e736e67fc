// Records and summaries that the tests of results share.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "results/metrics.hpp"
#include "results/recorder.hpp"
#include "sim/core/random.hpp"

namespace isthmus::results::test {

inline Duration ms(double v) { return Duration::from_seconds(v * 1e-3); }

//! A directory of its own that disappears with the test.
class Scratch {
 public:
  Scratch() {
    static int number = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("isthmus-results-" + std::to_string(::getpid()) + "-" + std::to_string(number++));
    std::filesystem::create_directories(path_);
  }
  ~Scratch() {
    std::error_code ec;
    std::filesystem::remove_all(path_, ec);
  }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

inline RunInfo two_services() {
  RunInfo info;
  info.name = "test run";
  info.scenario_json = R"({"isthmus":1})";
  info.seed = 7;
  info.network = "fluid";
  info.duration = Duration::from_seconds(12);
  info.warmup = Duration::from_seconds(2);
  info.workloads = {"cameras", "agents"};
  info.tenants = {"gold"};
  info.tenant_weights = {2};
  info.tenant_of = {0, ~0U};
  info.services = {"edge", "cloud"};
  info.nodes = {"gateway", "server"};
  return info;
}

//! A request answered by `service`: created at `at` s, 1 ms preparation, 10 ms upload, 5 ms queue,
//! 20 ms service, 4 ms download: 40 ms of latency.
inline RequestRecord answered(std::uint64_t number, double at, std::uint32_t service = 0,
                              std::uint32_t workload = 0) {
  RequestRecord r;
  r.request = number;
  r.identity = mix64(number);
  r.workload = workload;
  r.service = r.first_choice = service;
  r.replica = 0;
  r.created = Instant::from_seconds(at);
  r.sent = r.created + ms(1);
  r.arrived = r.sent + ms(10);
  r.started = r.arrived + ms(5);
  r.served = r.started + ms(20);
  r.completed = r.served + ms(4);
  r.upload = 1000;
  r.download = 24;
  r.client_energy = 0.5;
  r.accuracy = 0.8;
  r.counted = at >= 2;
  return r;
}

//! The same for an LLM: first token 20 ms after the start, then 10 tokens at 4 ms each.
inline RequestRecord answered_llm(std::uint64_t number, double at, std::uint32_t service = 1) {
  RequestRecord r = answered(number, at, service);
  r.prompt_tokens = 100;
  r.output_tokens = 11;
  r.first_token = r.started + ms(20);
  r.served = r.first_token + ms(40);
  r.completed = r.served + ms(4);
  return r;
}

inline RequestRecord ended(std::uint64_t number, double at, Status status, Cause cause) {
  RequestRecord r;
  r.request = number;
  r.created = Instant::from_seconds(at);
  r.status = status;
  r.cause = cause;
  r.counted = at >= 2;
  return r;
}

inline WorldTotals totals(std::uint64_t created, double end = 12) {
  WorldTotals t;
  t.created = created;
  t.end = Instant::from_seconds(end);
  t.events = 1234;
  t.fingerprint = 0x0123456789abcdefULL;
  t.cpu_seconds = 0.25;
  t.nodes = {{"gateway", 2, 300.0, 5.0, 0.006, 0.01, {}}, {"server", 1, 700.0, 8.0, 0.003, 0.02,
              NodeTotals::Physics{0.1, 61.5, 0.5, 0, 3.5, 0.25, 0.875, 0.125}}};
  // What parts of a run name themselves (tests/scenarios hold them to all of it).
  const auto one_of = [](std::string_view name, std::initializer_list<std::string_view> starts) {
    return std::ranges::any_of(starts, [&](std::string_view start) { return name.starts_with(start); });
  };
  for (const MetricDefinition& d : metric_definitions()) {
    for (const std::string_view part : {"<outbox>", "<data>", "<owner/rule>", "<job>", "<failover>", "<level>",
                                        "<level/alert>", "<item/of>", "<service/part>", "<service/pool>",
                                        "<service/pool/reason>", "<nodes>", "<service>"}) {
      const std::size_t at = d.name.find(part);
      if (at == std::string_view::npos) continue;
      if (part == "<nodes>" && !one_of(d.name, {"node_", "accelerator_"})) continue;
      if (part == "<service>" && !one_of(d.name, {"placement_", "message", "cold_starts.", "warm_starts.", "cold_start_mean.",
                                                  "service_availability.", "crashes.", "requests_lost.",
                                                  "sharing_slowdown.",
                                                  "availability."}))
        continue;
      t.more.emplace_back(std::string(d.name).replace(at, part.size(), "logs"), 1.5);
    }
    if (d.name == "placement_violations" || d.name == "pending_replica_seconds") t.more.emplace_back(d.name, 0);
    if (d.name == "image_bytes" || d.name == "carbon" || d.name == "carbon_embodied" || d.name == "sci" ||
        one_of(d.name, {"cost_per_month", "cost_per_year", "cost_at_once", "running_cost_"}))
      t.more.emplace_back(d.name, 1.5);
  }
  t.more.emplace_back("displaced.edge", 1.5);
  ServiceTotals edge;
  edge.name = "edge";
  edge.model = "yolo";
  edge.variant = "int8";
  edge.timing = "roofline +-10 %";
  edge.utilization = 0.5;
  edge.mean_replicas = 1;
  edge.max_replicas = 1;
  edge.timing_error = 0.1;
  edge.variants = {{"fp32", 3}, {"int8", 1}};
  edge.exits = {1, 2};
  edge.weight_bytes = 7e6;
  edge.cold_start = 1.5;
  edge.load_peak = 14e6;
  edge.bubbles = 0.25;
  edge.dummy_iterations = 0.125;
  edge.weight_cache = {.batches = 20, .hits = 15, .loads = 3, .evictions = 2};
  ServiceTotals::Cache cache;
  cache.name = "answers";
  cache.lookups = 40;
  cache.hits = 10;
  cache.similar = 4;
  cache.wrong = 1;
  cache.coalesced = 8;
  cache.writes = 30;
  cache.evictions = 7;
  cache.expired = 3;
  cache.entries = 20;
  cache.bytes = 2e6;
  cache.similar_counted = true;
  edge.caches.push_back(cache);
  edge.calls = 60;
  edge.near = std::pair<std::uint64_t, std::uint64_t>{15, 20};
  edge.balancing = ServiceTotals::Balancing{60, 3, 2, 1, 1, 0, 4, {40, 20}};
  edge.versions = {{"before", 5}, {"v2", 15}};
  edge.skewed = 4;
  ServiceTotals cloud = edge;
  cloud.name = "cloud";
  cloud.utilization = 0.2;
  cloud.mean_replicas = 3;
  cloud.timing_error = 0.02;
  cloud.variants.clear();
  cloud.exits.clear();
  t.services = {edge, cloud};
  t.links = {{"uplink", 1e6, 0.3, 12.5}};
  t.network_cost = 0.005;
  t.hedging = HedgingTotals{10, 4, {6, 2}, 1.5};
  t.protocols = ProtocolTotals{4, 1, 16, 2, 0.2, 1000, 1100, 0.5, 0.25, 600, 200, 100, 50, 64e6, 3};
  t.transfers = TransferTotals{3, 2, 1, 5, 4, 1e6, 2.5};
  t.outages = 7;
  UpdateTotals update;
  update.name = "v2";
  update.fleet = 40;
  update.applied = 30;
  update.serving = 10;
  update.affected = 25;
  update.back = 20;
  update.broken = 3;
  update.full_instead = 2;
  update.from_origin = 100;
  update.from_relays = 200;
  update.from_peers = 300;
  update.to_relays = 50;
  update.news = 4;
  update.received = 580;
  update.wasted = 20;
  update.taken_back = true;
  update.first = 1.5;
  update.half = 4;
  update.back_most = 2.25;
  update.progress = {{0, 0}, {1.5, 0.025}, {12, 0.25}};
  t.updates = {update};
  t.offload = OffloadTotals{4, 2, 8, 6, 0.4};
  RolloutTotals rollout;
  rollout.name = "edge/v2";
  rollout.service = "edge";
  rollout.version = "v2";
  rollout.strategy = "ab";
  rollout.outcome = "completed";
  rollout.reason = "the new version is more accurate";
  rollout.began = Instant::from_seconds(3);
  rollout.ended = Instant::from_seconds(9);
  rollout.detect = 1.5;
  rollout.tries = 40;
  rollout.exposed = 10;
  rollout.errors = 2;
  rollout.deadlines = 1;
  rollout.test = RolloutTotals::Test{{100, 80, 0.5, 0.9}, {90, 81, 0.4, 0.8}, 0.95, true};
  rollout.events = {{Instant::from_seconds(3), "begins"}, {Instant::from_seconds(9), "completed"}};
  t.rollouts = {rollout};
  t.versions = {{"edge", "v1", 30, 1, 2, 0.5, 0.4, 0.9, 1.0, 0.75}, {"edge", "v2", 10, 0, 0, 0.25, 0.25, 0.5, 0.5, 0.875}};
  t.skews = {{"cloud", 20, 5, 1}};
  return t;
}

}  // namespace isthmus::results::test
