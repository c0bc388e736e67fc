// What clients know of the paths to candidates, what only the oracle knows, and what decisions were
// worth.
#include <algorithm>

#include "schedulers/offload_estimates.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/saturated.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

WorkFigures figures_of(const Service& s) {
  const double units = s.parallel;
  if (const auto* llm = std::get_if<LlmModel>(&s.work)) {
    const models::LlmShape& shape = llm->shape;
    const double idle = shape.experts > 0 ? 1 - static_cast<double>(shape.experts_active) /
                                                    static_cast<double>(shape.experts)
                                          : 0;
    return {0, 2 * (shape.text_params() - idle * shape.expert_params()),
            units * models::usable_peak(llm->cost->unit(), llm->variant.weights,
                                        llm->variant.activations)};
  }
  const auto* graph = std::get_if<GraphModel>(&s.work);
  if (!graph) return {};
  const models::GraphCost* cost = graph->cost.get();
  if (const GraphExecution* e = s.execution())
    for (const auto& c : e->costs)
      if (c) cost = c.get();
  if (!cost) return {};
  return {cost->graph().totals().flops, 0,
          units * models::usable_peak(cost->unit(), cost->variant().weights,
                                      cost->variant().activations)};
}

}  // namespace

void World::open_offload() {
  const Offload& spec = scenario_.offload;
  offload_ = spec.policy->make(*spec.parameters);
  std::vector<std::string> names;
  for (const std::uint32_t s : spec.candidates) names.push_back(scenario_.services[s].name);
  offload_->begin(names);
  offload_state_ = std::make_unique<OffloadState>();
  for (const std::uint32_t s : spec.candidates)
    offload_state_->work.push_back(figures_of(scenario_.services[s]));
  if (spec.bandwidth != Offload::Bandwidth::current)
    offload_state_->paths.resize(scenario_.node_count() * spec.candidates.size());
  if (spec.decision_quality) {
    const auto& oracle = schedulers::find_entry(schedulers::offload_policies(), "oracle");
    offload_state_->oracle = oracle.make(schedulers::Parameters(oracle.parameters));
  }
}

void World::begin_with(const std::string& learned) {
  if (!offload_) throw InputError("there is no offload policy that could have learned anything");
  offload_->load(learned);
}

void World::watch_decisions(DecisionWatch watch) {
  if (!offload_state_) throw InputError("the scenario has no offload section: nothing is decided");
  offload_state_->watch = std::move(watch);
}

// Operations of a request at a candidate, and the rates that its client reckons with.
void World::know_candidate(const Request& r, std::size_t candidate, double expected_output, double& up,
                           double& down, schedulers::OffloadCandidate& c) {
  OffloadState& state = *offload_state_;
  const WorkFigures& w = state.work[candidate];
  c.work = w.fixed + w.per_token * (static_cast<double>(r.record.prompt_tokens) + expected_output);
  c.speed = w.speed;
  c.nominal_uplink = up;
  if (!state.paths.empty() && up > 0 && down > 0) {
    PathRates& p = state.paths[r.host * state.work.size() + candidate];
    if (p.nominal_up <= 0) p.nominal_up = p.up = up, p.nominal_down = p.down = down;
    const bool measured = scenario_.offload.bandwidth == Offload::Bandwidth::measured;
    up = measured ? p.up : p.nominal_up;
    down = measured ? p.down : p.nominal_down;
    c.nominal_uplink = p.nominal_up;
    c.measured_at = p.measured_at;
  }
  c.uplink = up;
}

// A transfer of the request has ended: its client has seen how fast it was.
void World::measure_path(const Request& r, bool upload) {
  if (!offload_state_ || offload_state_->paths.empty() || r.split || r.candidate == ~0U ||
      r.host == ~0U || r.replica == ~0U || r.record.service >= scenario_.services.size() ||
      scenario_.offload.candidates[r.candidate] != r.record.service)
    return;
  const std::uint32_t node = replicas_[r.replica].node;
  const Service& service = scenario_.services[r.record.service];
  double bytes = upload ? r.record.upload : r.record.download;
  if (service.protocol != ~0U) {
    const Protocol& p = scenario_.protocols[service.protocol];
    bytes = wire_bytes(p, upload ? p.up : p.down, bytes);
  }
  const Duration latency =
      upload ? network_->path_latency(r.host, node) : network_->path_latency(node, r.host);
  const double seconds = (now_ - r.transfer_start - latency).seconds();
  if (bytes <= 0 || seconds <= 0) return;
  PathRates& p = offload_state_->paths[r.host * offload_state_->work.size() + r.candidate];
  double& known = upload ? p.up : p.down;
  const double weight = scenario_.offload.measurement_weight;
  known = known > 0 ? (1 - weight) * known + weight * bytes / seconds : bytes / seconds;
  p.measured_at = now_;
}

// Puts the truth of this instant into a candidate: load, rates, and the service time of this request.
void World::reveal(std::uint32_t slot, std::uint32_t index, std::size_t candidate,
                   schedulers::OffloadCandidate& c) {
  const Request& r = requests_[slot];
  const Service& service = scenario_.services[index];
  const ServiceState& s = services_[index];
  if (!service.local) {
    const LoadSignal now = load_of(s);
    c.observed_at = now.observed_at;
    c.load = now.load;
    c.queued = now.queued;
    c.running = now.running;
    c.slots = now.slots;
  }
  const Duration estimated = c.service;
  if (const auto* law = std::get_if<ServiceLaw>(&service.work)) {
    Rng g = service_draws_.at(r.record.identity, r.record.attempts);
    c.service = saturated(law->time.sample(g) + law->per_item);
  } else if (const auto* llm = std::get_if<LlmModel>(&service.work)) {
    c.service = llm->cost
                    ->request(std::max<std::int64_t>(1, r.record.prompt_tokens), r.image_tokens,
                              std::max(1.0, static_cast<double>(r.record.output_tokens)))
                    .time;
  }
  if (r.host == ~0U) return;
  const NodeGroup& client = scenario_.nodes[nodes_[r.host].group];
  const Duration network = c.network;
  double upload = 0, download = 0, transfers = 0;
  const std::uint32_t node =
      s.ready.empty() ? scenario_.nodes[service.group].first : replicas_[s.ready.front()].node;
  if (!offload_state_->paths.empty() && !service.local && node != r.host) {
    const double up = network_->path_bandwidth(r.host, node);
    const double down = network_->path_bandwidth(node, r.host);
    if (up > 0 && down > 0) {
      const PathRates& p = offload_state_->paths[r.host * offload_state_->work.size() + candidate];
      const double known_down =
          scenario_.offload.bandwidth == Offload::Bandwidth::measured ? p.down : p.nominal_down;
      double sent = r.record.upload, received = r.record.download;
      if (service.protocol != ~0U) {
        const Protocol& protocol = scenario_.protocols[service.protocol];
        sent = wire_bytes(protocol, protocol.up, sent);
        received = wire_bytes(protocol, protocol.down, received);
      }
      upload = sent / up - sent / c.uplink;
      download = received / down - received / known_down;
      transfers = std::min(1e6, upload + download);
      c.uplink = up;
      c.measured_at = now_;
    }
  }
  c.network = std::max(Duration::zero(), c.network + Duration::from_seconds(transfers));
  double energy = client.upload_power * upload + client.download_power * download +
                  client.base_power * (c.network - network + c.service - estimated).seconds();
  if (service.local && estimated > Duration::zero())
    energy += (c.client_energy - client.base_power * estimated.seconds()) *
              (c.service.seconds() / estimated.seconds() - 1);
  c.client_energy = std::max(0.0, c.client_energy + energy);
}

// Would the oracle have chosen the same?
void World::compare_with_oracle(std::uint32_t slot, const schedulers::OffloadView& view,
                                std::size_t chosen) {
  OffloadState& state = *offload_state_;
  state.truth.assign(view.candidates.begin(), view.candidates.end());
  for (std::size_t i = 0; i < state.truth.size(); ++i)
    if (state.truth[i].healthy) reveal(slot, scenario_.offload.candidates[i], i, state.truth[i]);
  schedulers::OffloadView full = view;
  full.candidates = state.truth;
  const std::size_t best = state.oracle->decide(full).candidate;
  if (!requests_[slot].record.counted) return;
  ++state.totals.compared;
  state.totals.agreed += best == chosen ? 1 : 0;
  state.totals.gap += schedulers::estimated_reward(full, state.truth[best]) -
                      (state.truth[chosen].healthy
                           ? schedulers::estimated_reward(full, state.truth[chosen])
                           : 0);
}

// The policy hears how a request has ended.
void World::report_outcome(const Request& r) {
  const results::RequestRecord& record = r.record;
  const bool answered = record.status == results::Status::completed;
  const Duration latency = now_ - record.created;
  const double reward =
      answered ? scenario_.offload.reward.of(latency.seconds(), record.client_energy, record.accuracy)
               : 0;
  if (record.counted) {
    ++offload_state_->totals.ended;
    offload_state_->totals.reward += reward;
  }
  offload_->observe({record.request, r.candidate, answered, latency, record.client_energy,
                     record.accuracy, reward});
}

}  // namespace isthmus::world
