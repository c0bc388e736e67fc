// What clients see of the services, and where their requests go.
#include <algorithm>
#include <span>
#include <utility>

#include "devices/unit_power.hpp"
#include "sim/world/failover.hpp"
#include "sim/world/rollouts.hpp"
#include "sim/world/decision_watch.hpp"
#include "sim/world/saturated.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

// Estimated time of a request alone on a service: the cost model at the request's known size and
// the expected output length. Never the drawn service time or output length.
Duration service_estimate(const Service& service, const Request& r, double expected_output) {
  if (const auto* law = std::get_if<ServiceLaw>(&service.work))
    return saturated(law->time.mean() + law->per_item);
  if (const auto* graph = std::get_if<GraphModel>(&service.work))
    return graph->cost->batch(1).time;
  return std::get<LlmModel>(service.work)
      .cost->request(std::max<std::int64_t>(1, r.record.prompt_tokens), r.image_tokens,
                     expected_output)
      .time;
}

// Likewise of the services that it calls, and that they call: one after the other; of parallel ones the
// longest.
Duration called_time(const Scenario& s, const Service& service, const Request& r, double expected_output) {
  Duration sum, longest;
  if (!service.fetching || service.fetching->queue) return sum;
  for (const Call& c : service.fetching->calls) {
    const Service& called = s.services[c.service];
    Duration one = service_estimate(called, r, expected_output) + called_time(s, called, r, expected_output);
    const double times = c.chance * (c.parallel ? 1 : c.count);
    if (times != 1) one = saturated(times * one.seconds());
    if (!c.parallel) sum = sum + std::exchange(longest, Duration()) + one;
    else longest = std::max(longest, one);
  }
  return sum + longest;
}

}  // namespace

// Of a request at the service that it is at, alone.
Duration World::estimate_alone(std::uint32_t slot) const {
  const Request& r = requests_[slot];
  // Pools: those of the replica that it goes to.
  const Service& service = scenario_.services[r.replica == ~0U ? r.serving : replicas_[r.replica].service];
  const Duration alone =
      service_estimate(service, r, std::max(1.0, scenario_.workloads[r.record.workload].request.output_tokens.mean()));
  return std::holds_alternative<ServiceLaw>(service.work) ? saturated(alone.seconds() * work_of(r)) : alone;
}

std::uint32_t World::local_replica(std::uint32_t service, std::uint32_t host) const {
  const NodeGroup& g = scenario_.nodes[scenario_.services[service].group];
  if (host < g.first || host >= g.first + g.count) return ~0U;
  return replica_of_node_[local_offset_[service] + (host - g.first)];
}

// A ready replica for the request, or ~0.
std::uint32_t World::route(std::uint32_t slot, std::uint32_t service) {
  if (scenario_.services[service].local) {
    const std::uint32_t id = local_replica(service, requests_[slot].host);
    return id != ~0U && replicas_[id].phase == ReplicaPhase::ready ? id : ~0U;
  }
  if (failover_) {
    if (const std::uint32_t reader = failover_->reader(slot, service); reader != ~0U) return reader;
  }
  ServiceState& s = services_[service];
  const std::uint64_t hop = requests_[slot].visit ? requests_[slot].visit->hops : 0;
  const std::uint32_t id =
      s.health ? choose_usable(slot, s, hop)
      : rollouts_ ? choose_replica(slot, s, rollouts_->eligible(slot, service, s.ready), hop)
                  : choose_replica(slot, s, s.ready, hop);
  if ((s.health || s.routes_by_outcome) && id != ~0U) begin_try(slot, s, id);
  return id;
}

// One of some ready replicas of the router. `hop` tells the decisions about a request apart.
std::uint32_t World::choose_replica(std::uint32_t slot, Router& s,
                                    const std::vector<std::uint32_t>& among, std::uint64_t hop) {
  const Request& r = requests_[slot];
  const bool seen = eyes_ && eyes_->routing && watched(r);
  const auto went_to = [&](std::uint32_t replica) {
    if (!s.routes_by_place) return replica;
    const std::uint32_t from = r.from != ~0U ? r.from : r.host;
    const auto& hosts = scenario_.topology.hosts;
    ++s.chosen;
    if (from != ~0U && hosts[from].zone == hosts[replicas_[replica].node].zone) ++s.near;
    return replica;
  };
  if (among.size() <= 1 && (among.empty() || !s.routes_single)) {
    if (seen) show_routing(slot, s, nullptr, among, 0);
    return among.empty() ? ~0U : went_to(among.front());
  }
  signals_.resize(among.size());  // what is not set below has its default
  for (std::size_t k = 0; s.routes_by_outstanding && k < signals_.size(); ++k) {
    signals_[k].replica = replicas_[among[k]].number;
    signals_[k].outstanding = replicas_[among[k]].outstanding;
  }
  Rng g = routing_draws_.at(hop == 0 ? r.record.identity : hash_combine(r.record.identity, hop),
                            r.record.attempts);
  const std::uint64_t session =
      r.visit && r.visit->nested() && r.key != 0 ? r.key
      : r.task != ~0U && scenario_.workloads[r.record.workload].task.session
          ? tasks_[r.task].record.identity
          : hash_combine(workloads_[r.record.workload].draws.value(), r.record.client);
  schedulers::RoutingView view{now_, session, uniform01(g), signals_};
  view.unweighted = !s.health;
  if (s.health || s.routes_by_place) {
    show_places(s, among);
    view.partial = s.health && among.size() < s.listed.size();
    const std::uint32_t from = r.from != ~0U ? r.from : r.host;
    if (s.routes_by_place && from != ~0U) view.zone = scenario_.topology.hosts[from].zone;
  }
  if (s.routes_by_load) {
    if (s.routing->signal_period() == Duration::zero()) scrape_for_router(s);
    for (std::size_t k = 0; k < signals_.size(); ++k) {
      signals_[k].waiting = replicas_[among[k]].scraped_waiting;
      signals_[k].kv_usage = replicas_[among[k]].scraped_kv_usage;
    }
    view.signal_age = now_ - s.scraped_at;
  }
  if (s.routes_by_prefix && r.prompt_blocks) {
    const PromptBlocks& blocks = *r.prompt_blocks;
    const std::size_t whole = r.record.prompt_tokens / blocks.tokens;
    view.prefix = std::span(blocks.contents).first(std::min(whole, blocks.contents.size()));
    view.block_tokens = blocks.tokens;
  }
  const std::size_t i = s.routing->choose(view);
  if (seen) show_routing(slot, s, &view, among, i);
  // Other services' routers see neither load nor places.
  if (s.routes_by_load || s.routes_by_place || s.health) signals_.clear();
  if (i >= among.size()) throw Error("routing policy: chose a replica that does not exist");
  return went_to(among[i]);
}

// What the router knows of its replicas from now on.
void World::scrape_for_router(Router& s) {
  s.scraped_at = now_;
  for (const std::uint32_t id : s.ready) {
    Replica& p = replicas_[id];
    p.scraped_waiting = p.engine ? p.engine->waiting() : p.server->waiting() + (p.line ? p.line->size() : 0);
    p.scraped_kv_usage = p.engine ? p.engine->kv_usage(now_) : 0;
  }
}

// Fills one candidate; false when this client can never use the service.
bool World::candidate_view(std::uint32_t slot, std::uint32_t index, std::size_t candidate,
                           schedulers::OffloadCandidate& c) {
  const Request& r = requests_[slot];
  const Service& service = scenario_.services[index];
  const ServiceState& s = services_[index];
  const NodeGroup& group = scenario_.nodes[service.group];
  const Workload& workload = scenario_.workloads[r.record.workload];
  c = schedulers::OffloadCandidate();
  c.name = service.name;
  c.tier = group.tier;
  c.accuracy = service.accuracy;
  c.service = service.execution()
                  ? plan_of(index, 1).makespan()
              : !s.options.empty()
                  ? s.options.front().service
                  : service_estimate(service, r, std::max(1.0, workload.request.output_tokens.mean()));
  if (std::holds_alternative<ServiceLaw>(service.work)) c.service = saturated(c.service.seconds() * work_of(r));
  c.service = c.service + called_time(scenario_, service, r, std::max(1.0, workload.request.output_tokens.mean()));
  c.parallel_speedup = s.parallel_speedup;
  std::uint32_t node = ~0U;

  // A client sees its own device as it is, and other services as last reported.
  if (service.local) {
    const std::uint32_t id = local_replica(index, r.host);
    if (id == ~0U) return false;
    const Replica& p = replicas_[id];
    node = p.node;
    c.healthy = p.phase == ReplicaPhase::ready;
    c.observed_at = now_;
    c.slots = s.slots_per_replica;
    c.queued = p.shown.queued;
    c.running = p.shown.running;
    c.load = std::min(1.0, p.busy.value() / s.slots_per_replica);
  } else {
    node = s.ready.empty() ? group.first : replicas_[s.ready.front()].node;
    c.healthy = !s.ready.empty() && (!s.decode || !s.decode->ready.empty());
    c.observed_at = s.signal.observed_at;
    c.slots = s.signal.slots;
    c.queued = s.signal.queued;
    c.running = s.signal.running;
    c.load = s.signal.load;
  }

  // Network and energy of the client, from the rates that it knows.
  double upload = 0, download = 0;
  if (r.host != ~0U && node != r.host) {
    double up = network_->path_bandwidth(r.host, node);
    double down = network_->path_bandwidth(node, r.host);
    know_candidate(r, candidate, workload.request.output_tokens.mean(), up, down, c);
    if (up <= 0 || down <= 0) {
      c.healthy = false;
    } else {
      const Duration latency = network_->path_latency(r.host, node) + network_->path_latency(node, r.host);
      upload = r.record.upload, download = r.record.download;
      if (service.protocol != ~0U) {
        const Protocol& p = scenario_.protocols[service.protocol];
        upload = wire_bytes(p, p.up, upload);
        download = wire_bytes(p, p.down, download);
      }
      upload /= up;
      download /= down;
      c.network = latency + Duration::from_seconds(std::min(1e6, upload + download + r.protocol));
    }
  }
  if (c.uplink == 0) {
    double none = 0;
    know_candidate(r, candidate, workload.request.output_tokens.mean(), none, none, c);
  }
  if (r.host != ~0U) {
    const NodeGroup& client = scenario_.nodes[nodes_[r.host].group];
    c.client_energy = client.upload_power * upload + client.download_power * download +
                      client.base_power * (c.network + c.service).seconds();
    if (service.local && service.execution())
      c.client_energy += plan_of(index, 1).energy();
    else if (service.local && !group.units.empty())
      c.client_energy += devices::active_power(group.units[service.unit], 0.0).value() *
                         service.parallel * c.service.seconds();
  }
  if (!service.local)
    c.cost = group.price_per_hour / 3600.0 * service.parallel * group.part_of(service.unit) * c.service.seconds() / std::max(1.0, c.parallel_speedup);
  return true;
}

std::uint32_t World::choose_service(std::uint32_t slot) {
  if (!offload_) throw InternalError("offload target without a policy");
  const Offload& spec = scenario_.offload;
  Request& r = requests_[slot];
  candidates_.clear();
  // Candidates a client cannot reach at all stay in the list as unhealthy: indices keep their meaning.
  for (const std::uint32_t service : spec.candidates) {
    schedulers::OffloadCandidate c;
    if (!candidate_view(slot, service, candidates_.size(), c)) c.healthy = false;
    else if (offload_->privileged() && c.healthy) reveal(slot, service, candidates_.size(), c);
    candidates_.push_back(c);
  }
  schedulers::OffloadView view;
  view.now = now_;
  view.request = r.record.request;
  view.upload = r.record.upload;
  view.download = r.record.download;
  if (!scenario_.objectives.empty()) view.slo = scenario_.objectives.front().target;
  Rng g = offload_draws_.at(r.record.identity, r.record.attempts);
  view.uniform = uniform01(g);
  view.reward = spec.reward;
  view.work = candidates_.front().work;
  view.candidates = candidates_;
  const schedulers::OffloadDecision d = offload_->decide(view);
  if (d.candidate >= candidates_.size())
    throw Error("offload policy: chose a candidate that does not exist");

  // The decision is an intent: an unhealthy or overloaded choice becomes the fallback.
  const std::uint32_t chosen = spec.candidates[d.candidate];
  const schedulers::OffloadCandidate& c = candidates_[d.candidate];
  std::uint32_t used = chosen;
  const bool overloaded =
      spec.overload_queue > 0 && scenario_.services[chosen].local && c.queued >= spec.overload_queue;
  if (!c.healthy || overloaded) used = spec.fallback;
  r.candidate = static_cast<std::uint32_t>(
      std::find(spec.candidates.begin(), spec.candidates.end(), used) - spec.candidates.begin());
  if (r.candidate >= spec.candidates.size()) r.candidate = static_cast<std::uint32_t>(d.candidate);
  if (r.record.first_choice == ~0U) r.record.first_choice = chosen;
  if (offload_state_->oracle) compare_with_oracle(slot, view, d.candidate);
  if (offload_state_->watch && offload_state_->watch(view, d, r.candidate)) ended_ = true;
  if (scenario_.record_decisions)
    recorder_.add({now_, r.record.request, chosen, used, d.score, d.reason});
  return used;
}

// Services report their load to clients once per period.
void World::publish_signals() {
  for (std::uint32_t i = 0; i < services_.size(); ++i) {
    ServiceState& s = services_[i];
    if (!scenario_.services[i].local) s.signal = load_of(s);
  }
}

LoadSignal World::load_of(const ServiceState& s) const {
  const double slots = std::max(1.0, s.total_slots.value());
  return {now_, std::min(1.0, s.busy_slots.value() / slots),
          static_cast<std::uint32_t>(s.queued.value()) +
              static_cast<std::uint32_t>(s.pending.size() + (s.decode ? s.decode->pending.size() : 0)),
          static_cast<std::uint32_t>(s.running.value()), static_cast<std::uint32_t>(slots)};
}

}  // namespace isthmus::world
