// Requests per CPU second of the whole simulator: LLM serving, queueing, offloading over the fluid
// network. Prints; never fails.
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string_view>

#include "models/builtin_llms.hpp"
#include "tests/sim/world/small_worlds.hpp"

namespace {

using namespace isthmus;
using namespace isthmus::world;

void report(const char* what, const results::Summary& s) {
  std::printf("%-44s %9.0f requests  %6.2f CPU s  %9.0f requests/s  %10.0f events/s\n", what,
              static_cast<double>(s.created), s.cpu_seconds,
              static_cast<double>(s.created) / s.cpu_seconds,
              static_cast<double>(s.events) / s.cpu_seconds);
}

// LLM serving: iterations, tokens emitted (one per sequence and step), memory so far.
void report_llm(const char* what, const results::Summary& s, double output) {
  report(what, s);
  double iterations = 0;
  for (const results::ServiceTotals& v : s.services) iterations += static_cast<double>(v.iterations);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::printf("%-44s %9.2f M iterations/s  %6.1f M sequence-steps/s  peak memory %.0f MB\n", "",
              iterations / s.cpu_seconds * 1e-6,
              static_cast<double>(s.completed) * output / s.cpu_seconds * 1e-6,
              static_cast<double>(usage.ru_maxrss) * 1e-3);
}

Distribution exponential(double mean) {
  Distribution d;
  d.kind = DistributionKind::exponential;
  d.a = mean;
  return d;
}

// 1000 phones behind a 5G link each, one cloud service; every request uploads and downloads.
Scenario offload_scenario(double rate, double seconds) {
  Scenario s = testing::queue_scenario(exponential(0.005), rate, seconds, 64);
  s.nodes[0].first = 1000;
  NodeGroup phones;
  phones.name = "phone";
  phones.count = 1000;
  phones.tier = schedulers::Tier::device;
  phones.base_power = 2;
  phones.upload_power = 2;
  s.nodes.insert(s.nodes.begin(), phones);
  s.services[0].group = 1;
  s.topology = network::Topology();
  s.topology.zones = {{"field"}, {"cloud"}};
  for (std::uint32_t i = 0; i < 1000; ++i) {
    network::Link l;
    l.name = "5g[" + std::to_string(i) + "]";
    l.bandwidth = 8e6;
    l.latency = Duration(9'000'000);
    s.topology.links.push_back(l);
    s.topology.hosts.push_back({"phone" + std::to_string(i), 0, {LinkId(i)}});
  }
  network::Link wan;
  wan.name = "wan";
  wan.bandwidth = 12.5e9;
  wan.latency = Duration(10'000'000);
  s.topology.links.push_back(wan);
  s.topology.hosts.push_back({"server", 1, {}});
  s.topology.zone_routes.push_back({0, 1, {{LinkId(1000), network::Direction::up}}});
  Workload& w = s.workloads[0];
  w.clients_group = 0;
  w.clients = 1000;
  w.request.upload = Distribution::constant(20000);
  w.request.download = Distribution::constant(1000);
  return s;
}

// Llama-3.1-8B on A100-80G, 512 tokens in, 128 out.
Scenario llm_scenario(std::uint32_t replicas, double rate_per_replica, double seconds) {
  Scenario s = testing::queue_scenario(exponential(1), rate_per_replica * replicas, seconds, 1, replicas);
  models::ComputeUnit u;
  u.name = "gpu";
  u.peak[static_cast<std::size_t>(models::Precision::bf16)] = 312e12;
  u.memory_bandwidth = 2039e9;
  u.memory = 80e9;
  u.compute_efficiency = 0.8;
  u.bandwidth_efficiency = 0.8;
  u.iteration_overhead = Duration(2'000'000);
  s.nodes[0].units = {u};
  models::LlmVariant v;
  v.name = "bf16";
  const auto shape = models::builtin_llm("llama-3.1-8b");
  s.services[0].work = LlmModel{shape, v, std::make_shared<models::LlmCost>(shape, v, u), {}};
  s.services[0].batching.continuous.max_sequences = 128;
  Workload& w = s.workloads[0];
  w.request.prompt_tokens = Distribution::constant(512);
  w.request.output_tokens = Distribution::constant(128);
  s.sample_period = Duration::from_seconds(10);
  return s;
}

// The same with prefix caching: a trace in which half of every prompt is one of 50 system prompts.
Scenario prefix_scenario(const std::filesystem::path& trace, std::uint32_t requests) {
  std::ofstream out(trace);
  for (std::uint32_t i = 0; i < requests; ++i) {
    out << "{\"timestamp\": " << i * 125 << ", \"input_length\": 512, \"output_length\": 128, "
        << "\"hash_ids\": [" << 2 * (i * 7 % 50) << ", " << 2 * (i * 7 % 50) + 1;
    for (std::uint32_t k = 0; k < 2; ++k) out << ", " << 100 + 2 * i + k;
    out << "]}\n";
  }
  Scenario s = llm_scenario(1, 8, requests / 8.0);
  Arrivals& a = s.workloads[0].arrivals;
  a.kind = ArrivalKind::trace;
  a.format = TraceFormat::mooncake;
  a.file = trace.string();
  a.tokens_per_hash = 128;
  s.services[0].batching.continuous.reserve_prompt = true;
  s.services[0].batching.continuous.prefix_caching = true;
  return s;
}

}  // namespace

int main(int argc, char** argv) {
  // "llm", "sixteen" (replicas), "offloads" or "rest": only those.
  const std::string_view only = argc > 1 ? argv[1] : "";
  const auto sixteen = [&] {
    report_llm("LLM 512/128, sixteen replicas, 8 req/s each", run(llm_scenario(16, 8, argc > 2 ? 500 : 8000), {}), 128);
  };
  if (only == "sixteen") return sixteen(), 0;
  const auto offloads = [&](double seconds) {
    report("offloads, fluid network, streaming", run(offload_scenario(5000, seconds), {}));
  };
  if (only == "offloads") return offloads(argc > 2 ? std::atof(argv[2]) : 200), 0;
  if (only != "rest") {
    report_llm("LLM 512/128, one replica, 8 req/s", run(llm_scenario(1, 8, 125000), {}), 128);
    sixteen();
    const auto trace = std::filesystem::temp_directory_path() / "isthmus_bench_prefix.jsonl";
    report_llm("LLM 512/128, prefix caching, from a trace", run(prefix_scenario(trace, 200000), {}),
               128);
    std::filesystem::remove(trace);
  }
  if (only == "llm") return 0;
  report("M/M/1, no network, streaming", run(testing::queue_scenario(exponential(1), 0.8, 1.25e6), {}));
  offloads(200);
  Scenario rows = offload_scenario(5000, 100);
  rows.streaming = false;
  report("offloads, fluid network, per-request metrics", run(rows, {}));
  return 0;
}
