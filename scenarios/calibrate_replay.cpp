// A log as the workload of one service: nobody else sends, and nothing travels but KV caches.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "scenarios/calibrate_internal.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/run.hpp"

namespace isthmus::scenarios {

namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();

SimulatedRequest simulated(const results::RequestRecord& r) {
  SimulatedRequest s{none, none, none, none, none, r.cause, false};
  if (r.status != results::Status::completed) return s;
  s.served = true;
  s.latency = (r.completed - r.created).seconds();
  if (!r.started.is_never()) s.service = (r.completed - r.started).seconds();
  if (!r.first_token.is_never()) {
    s.ttft = (r.first_token - r.created).seconds();
    if (r.output_tokens > 1)
      s.tpot = (r.completed - r.first_token).seconds() / (r.output_tokens - 1.0);
  }
  s.batch = r.batch;
  return s;
}

// Token counts that a language model needs, within what it can take.
void check_tokens(const world::LlmModel& llm, const world::Service& service,
                  const MeasuredLog& log) {
  for (const MeasuredRequest& r : log.requests) {
    for (const auto& [what, option, count] :
         {std::tuple{"prompt", "--prompt-tokens", r.prompt_tokens},
          std::tuple{"output", "--output-tokens", r.output_tokens}})
      if (!count)
        throw InputError(
            fmt::format("{}: does not say how many {} tokens it has, which \"{}\" must know; add "
                        "them to the log, or give {} N if all have as many",
                        r.place, what, service.name, option));
    const std::int64_t all =
        std::int64_t{*r.prompt_tokens} + r.image_tokens.value_or(0) + *r.output_tokens;
    if (*r.output_tokens == 0)
      throw InputError(fmt::format("{}: has no output token; leave it out", r.place));
    if (llm.shape.max_positions > 0 && all > llm.shape.max_positions)
      throw InputError(fmt::format(
          "{}: {} prompt and output tokens are more than the {} positions of {}; is it another "
          "model's log?",
          r.place, all, llm.shape.max_positions, service.model));
  }
}

// Over the network, between pools.
bool moves_caches(const world::Service& s) { return s.pools && !s.pools->decode.empty(); }

}  // namespace

LogScales scales_of(const MeasuredLog& log) {
  std::vector<double> tpot, service, first, latency;
  for (const MeasuredRequest& r : log.requests) {
    if (r.tpot) tpot.push_back(*r.tpot);
    if (r.service) service.push_back(*r.service);
    if (r.ttft || r.latency) first.push_back(r.ttft ? *r.ttft : *r.latency);
    for (const auto& v : {r.latency, r.service, r.ttft})
      if (v) {
        latency.push_back(*v);
        break;
      }
  }
  const auto rank = [](std::vector<double> v, double share) {
    const auto at = v.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(v.size() - 1));
    std::nth_element(v.begin(), at, v.end());
    return *at;
  };
  if (latency.empty()) latency = tpot;
  LogScales s;
  s.longest = *std::max_element(latency.begin(), latency.end());
  s.soonest = rank(first.empty() ? latency : first, 0.1);
  s.step = !tpot.empty() ? rank(tpot, 0.5) : rank(!service.empty() ? service : latency, 0.5);
  return s;
}

Replay::Replay(const LoadedScenario& loaded, std::size_t service, const MeasuredLog& log)
    : loaded_(loaded), service_(service) {
  const world::Service& s = loaded.scenario->services[service];
  if (s.split)
    throw InputError(
        fmt::format("service \"{}\" shares its requests with the clients' machines, of which a "
                    "log of one server knows nothing; calibrate it without \"split\"",
                    s.name));
  if (moves_caches(s) && !loaded.scenario->topology.platform_xml.empty())
    throw InputError(
        fmt::format("the KV caches of service \"{}\" travel over a SimGrid platform, which replays do "
                    "not have; describe its \"links\" and \"routes\" in the scenario",
                    s.name));
  if (const auto* llm = std::get_if<world::LlmModel>(&s.work)) check_tokens(*llm, s, log);
  auto arrivals = std::make_shared<std::vector<world::Arrival>>();
  for (const MeasuredRequest& r : log.requests) {
    world::Arrival a;
    a.at = Instant(r.arrival);
    a.index = arrivals->size();
    a.prompt_tokens = r.prompt_tokens;
    a.output_tokens = r.output_tokens;
    a.image_tokens = r.image_tokens;
    a.client = r.client;
    a.prompt_blocks = r.prompt_blocks;
    const std::uint32_t block = s.batching.continuous.block_size;
    if (r.prompt_blocks && s.batching.continuous.prefix_caching && r.prompt_blocks->tokens % block != 0)
      throw InputError(fmt::format("--tokens-per-hash {}: must be a multiple of the block_size of "
                                   "service \"{}\", {}",
                                   r.prompt_blocks->tokens, s.name, block));
    arrivals->push_back(std::move(a));
  }
  arrivals_ = std::move(arrivals);
}

std::vector<SimulatedRequest> Replay::run(const std::vector<Override>& values) const {
  Document document = loaded_.document;
  std::vector<Edit> edits;
  for (const Override& v : values) edits.push_back(parse_override(v, document.sources));
  world::Scenario s = *resolve(document, edits);

  const world::Service& service = s.services[service_];
  world::Workload w;
  w.name = "log";
  w.arrivals.kind = world::ArrivalKind::recorded;
  w.arrivals.recorded = arrivals_;
  w.service = static_cast<int>(service_);
  // Local services ask for a machine; others are reached from nowhere, without a network.
  w.clients_group = service.local ? service.group : std::numeric_limits<std::uint32_t>::max();
  w.clients = service.local ? s.nodes[service.group].count : 1;
  s.workloads = {w};
  s.offload = {};
  s.faults.clear();
  s.objectives.clear();
  if (!moves_caches(service)) {
    s.topology.links.clear();
    s.topology.zone_routes.clear();
    s.topology.host_routes.clear();
    s.topology.platform_xml.clear();
  }
  s.simgrid = false;
  s.streaming = true;
  s.record_decisions = s.record_operators = false;
  s.duration = Duration::max();
  s.warmup = Duration::zero();

  std::vector<SimulatedRequest> all(arrivals_->size());
  world::RunOptions options;
  options.on_request = [&](const results::RequestRecord& r) { all.at(r.request) = simulated(r); };
  world::run(s, options);
  return all;
}

}  // namespace isthmus::scenarios
