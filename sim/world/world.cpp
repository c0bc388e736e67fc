// The clock of a run and the one switch over events.
#include "sim/world/world.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>

#include <fmt/format.h>

#include "sim/core/errors.hpp"
#include "sim/world/admission_state.hpp"
#include "sim/world/batch_jobs.hpp"
#include "sim/world/message_queues.hpp"
#include "sim/world/decision_watch.hpp"
#include "sim/world/placer.hpp"
#include "sim/world/cluster_autoscaler.hpp"
#include "sim/world/disruptions.hpp"
#include "sim/world/calls.hpp"
#include "sim/world/failover.hpp"
#include "sim/world/replication.hpp"
#include "sim/world/rollouts.hpp"
#include "sim/world/service_levels.hpp"
#include "sim/world/service_meter.hpp"
#include "sim/world/sharing.hpp"
#include "sim/world/store_and_forward.hpp"

namespace isthmus::world {

World::World(const Scenario& scenario, std::uint64_t seed,
             std::unique_ptr<network::Network> network, results::Recorder& recorder)
    : scenario_(scenario),
      seed_(seed),
      network_(std::move(network)),
      recorder_(recorder),
      guess_seed_(StreamKey(seed, "guesses").value()),
      adapter_draws_(seed, "adapters"),
      service_draws_(seed, "service"),
      offload_draws_(seed, "offload"),
      routing_draws_(seed, "routing"),
      difficulty_draws_(seed, "difficulty"),
      retry_draws_(seed, "retries"),
      content_draws_(seed, "content"),
      similarity_draws_(seed, "similarity"),
      work_draws_(seed, "work"),
      fault_draws_(seed, "faults"),
      update_draws_(seed, "updates") {
  const bool open_ended = scenario.duration == Duration::max();
  horizon_ = open_ended ? Instant::never() : Instant::zero() + scenario.duration;
  for (const Workload& w : scenario.workloads)
    if (open_ended && w.arrivals.kind != ArrivalKind::trace &&
        w.arrivals.kind != ArrivalKind::recorded && w.arrivals.kind != ArrivalKind::times &&
        w.arrivals.limit == ~0ULL)
      throw InputError(fmt::format("workload \"{}\" never ends: give the scenario a duration", w.name));

  if (scenario.record_operators) codes_ = operator_codes(scenario);

  // Nodes idle from the start.
  nodes_.resize(scenario.node_count());
  for (std::uint32_t g = 0; g < scenario.nodes.size(); ++g) {
    const NodeGroup& group = scenario.nodes[g];
    double idle = group.base_power;
    for (std::size_t u = 0; u < group.units.size(); ++u) idle += group.units[u].idle_power * group.count_of(u);
    for (std::uint32_t i = 0; i < group.count; ++i) {
      NodeState& n = nodes_[group.first + i];
      n.group = g;
      if (group.physics) open_physics(group.first + i);
      else n.power.set(now_, Watts(idle));
      for (std::size_t u = 0; u < group.units.size(); ++u) n.free_units.push_back(group.places_of(u));
      n.billed.set(now_, group.billed_when_idle ? 1 : 0);
      if (group.model_cache) open_model_cache(group.first + i);
    }
  }
  if (scenario.offload.policy) open_offload();
  open_costs();
  open_startups();
  open_caches();
  open_admission();
  if (scenario.cluster) cluster_ = std::make_unique<ClusterAutoscaler>(*this);
  if (std::any_of(scenario.services.begin(), scenario.services.end(),
                  [](const Service& s) { return s.placement != nullptr; }))
    placer_ = std::make_unique<Placer>(*this);
  if (std::any_of(scenario.nodes.begin(), scenario.nodes.end(), [](const NodeGroup& g) { return g.sharing.has_value(); }))
    sharing_ = std::make_unique<Sharing>(*this);
  start_services();
  open_workloads();
  schedule_faults();
  open_updates();
  if (!scenario.outboxes.empty()) outboxes_ = std::make_unique<StoreAndForward>(*this);
  if (!scenario.replicated.empty()) replication_ = std::make_unique<Replication>(*this);
  if (!scenario.jobs.empty()) jobs_ = std::make_unique<BatchJobs>(*this);
  if (!scenario.failovers.empty()) failover_ = std::make_unique<Failover>(*this);
  if (std::any_of(scenario.services.begin(), scenario.services.end(),
                  [](const Service& v) { return v.fetching && !v.fetching->calls.empty(); }))
    calls_ = std::make_unique<Calls>(*this);
  if (std::any_of(scenario.services.begin(), scenario.services.end(),
                  [](const Service& v) { return v.fetching && v.fetching->queue; }))
    queues_ = std::make_unique<MessageQueues>(*this);
  if (!scenario.rollouts.empty() || !scenario.compatibilities.empty()) rollouts_ = std::make_unique<Rollouts>(*this);
  if (scenario.count_failures) disruptions_ = std::make_unique<Disruptions>(*this);
  if (cluster_) cluster_->begin();
  if (!scenario.levels.empty()) levels_ = std::make_unique<ServiceLevels>(*this);
  publish_signals();
  if (std::any_of(scenario.workloads.begin(), scenario.workloads.end(),
                  [](const Workload& w) { return std::isfinite(w.request.retry_budget); }))
    retry_credit_.resize(scenario.workloads.size());
  disaggregated_ =
      std::any_of(scenario.services.begin(), scenario.services.end(),
                  [](const Service& s) { return s.pools && !s.pools->decode.empty(); });
  const bool split = std::any_of(scenario.services.begin(), scenario.services.end(),
                                 [](const Service& s) { return s.split.has_value(); });
  if (offload_ || split) every(scenario.offload.signal_age, EventKind::scrape, ~0U);
  every(scenario.sample_period, EventKind::sample, 0);
  if (scenario.warmup > Duration::zero())
    queue_.push(Instant::zero() + scenario.warmup, EventKind::phase_end, 0, 0);
  else
    warm_ = true;
  if (!open_ended) queue_.push(horizon_, EventKind::phase_end, 0, 1);
}

World::~World() = default;

bool World::finished() const {
  return open_sources_ == 0 && live_requests_ == 0 && live_tasks_ == 0 && (!jobs_ || jobs_->done()) &&
         (!queues_ || queues_->idle());
}

Instant World::next() {
  if (ended_) return Instant::never();
  if (horizon_.is_never() && finished()) return Instant::never();
  return queue_.next_time();
}

void World::step() {
  const Event e = queue_.pop();
  // Legitimate instants hold as many events as there are machines and clients, not this many.
  events_at_once_ = e.time == now_ ? events_at_once_ + 1 : 0;
  if (events_at_once_ > 50'000'000)
    throw Error(fmt::format("simulated time stands still at {} s; does a closed loop without think "
                            "time meet a service that takes no time?",
                            now_.seconds()));
  now_ = e.time;
  ++events_;
  fingerprint_.add(e.time.ns(), static_cast<std::uint32_t>(e.kind), e.target, e.payload);
  handle(e);
}

void World::flow_ended(const network::FlowEnd& end) {
  const Instant at = end.at < queue_.now() ? queue_.now() : end.at;
  if (flow_owner(end.tag) == FlowOwner::update) updates_->transfers[flow_handle(end.tag).slot].left = end.left;
  queue_.push(at, EventKind::flow_ended, static_cast<std::uint32_t>(end.outcome), end.tag);
}

void World::handle(const Event& e) {
  switch (e.kind) {
    case EventKind::condition_change: on_condition_change(e.target, e.payload == 0); break;
    case EventKind::flow_ended: on_flow_ended(e.payload, static_cast<network::Outcome>(e.target)); break;
    case EventKind::work_done: on_work_done(e.target, e.payload); break;
    case EventKind::replica_ready: on_replica_ready(e.target); break;
    case EventKind::arrival: on_arrival(e.target, e.payload); break;
    case EventKind::task_step: on_task_step(Handle::unpack(e.payload)); break;
    case EventKind::local_step: on_local_step(Handle::unpack(e.payload)); break;
    case EventKind::dispatch: dispatch(e.target); break;
    case EventKind::queue_timeout: on_request_timer(e.target, Handle::unpack(e.payload)); break;
    case EventKind::scrape:
      if (e.target == ~0U) {
        publish_signals();
        every(scenario_.offload.signal_age, EventKind::scrape, ~0U);
      } else if (e.payload == for_probes) {
        probe(e.target);
        queue_.push(now_ + services_[e.target].health->spec().active->interval, EventKind::scrape,
                    e.target, for_probes);
      } else if (e.payload == for_rollouts) {
        rollouts_->scrape(e.target);
      } else if (e.payload == for_router || e.payload == for_decode_router) {
        ServiceState& s = services_[e.target];
        Router& router = e.payload == for_router ? s : *s.decode;
        scrape_for_router(router);
        queue_.push(now_ + router.routing->signal_period(), EventKind::scrape, e.target, e.payload);
      } else {
        scrape(e.target);
        every(scenario_.services[e.target].autoscaling.scrape_period, EventKind::scrape, e.target);
      }
      break;
    case EventKind::control:
      control(e.target, e.payload == for_waking);
      if (e.payload != for_waking)
        every(scenario_.services[e.target].autoscaling.period, EventKind::control, e.target);
      break;
    case EventKind::sample:
      sample_services();
      every(scenario_.sample_period, EventKind::sample, 0);
      break;
    case EventKind::phase_end: on_phase_end(e.payload); break;
    case EventKind::machine_work: on_machine_work(e.target); break;
    case EventKind::weights_ready: on_weights_ready(e.target); break;
    case EventKind::machine_tick: on_machine_tick(e.target); break;
    case EventKind::token_due: on_token_due(Handle::unpack(e.payload)); break;
    case EventKind::hedge_due: on_hedge_due(Handle::unpack(e.payload)); break;
    case EventKind::kv_transfer: on_kv_event(e.target, Handle::unpack(e.payload)); break;
    case EventKind::update_step: on_update_event(e.target, e.payload); break;
    case EventKind::outbox: outboxes_->on_event(e.target, e.payload); break;
    case EventKind::replication: replication_->on_event(e.target, e.payload); break;
    case EventKind::placement: placer_->on_event(e.target); break;
    case EventKind::batch_job: jobs_->on_event(e.target, e.payload); break;
    case EventKind::service_level: levels_->on_slice(e.target); break;
    case EventKind::disruption: disruptions_->on_event(e.target, e.payload); break;
    case EventKind::failover: failover_->on_event(e.target, e.payload); break;
    case EventKind::startup: on_startup_event(e.target, e.payload); break;
    case EventKind::rollout: rollouts_->on_event(e.target, e.payload); break;
    case EventKind::price_change: on_price_change(e.target); break;
    case EventKind::cluster_machine: cluster_->on_event(e.target, e.payload); break;
    case EventKind::cluster_scan: cluster_->scan(); break;
    case EventKind::message_queue: queues_->on_event(e.target, e.payload); break;
    case EventKind::sharing: sharing_->on_event(e.target); break;
    case EventKind::count_: throw InternalError("event without a kind");
  }
}

void World::on_flow_ended(std::uint64_t tag, network::Outcome outcome) {
  const Handle h = flow_handle(tag);
  switch (flow_owner(tag)) {
    case FlowOwner::request: return on_request_flow_ended(h, outcome);
    case FlowOwner::update: return on_update_flow_ended(h, outcome);
    case FlowOwner::cache_write: return on_cache_write_ended(h, outcome);
    case FlowOwner::image: return on_image_flow_ended(h, outcome);
    case FlowOwner::message: return on_message_ended(h, outcome);
    case FlowOwner::outbox: return outboxes_->on_flow_ended(h, outcome);
    case FlowOwner::replication: return replication_->on_flow_ended(h, outcome);
    case FlowOwner::batch_job: return jobs_->on_flow_ended(h, outcome);
    case FlowOwner::failover: return failover_->on_flow_ended(h, outcome);
  }
  throw InternalError("flow without an owner");
}

void World::every(Duration period, EventKind kind, std::uint32_t target) {
  queue_.push(now_ + period, kind, target);
}

void World::on_phase_end(std::uint64_t phase) {
  if (phase == 1) {
    ended_ = true;
    return;
  }
  warm_ = true;
  reset_totals();
}

// What FluidNetwork::run does, without a virtual call per event.
void World::run_beside(network::FluidNetwork& fluid) {
  for (;;) {
    const Instant event = next();
    const Instant flow = fluid.next_completion();
    if (event.is_never() && fluid.in_flight() == 0) return;
    const Instant first = flow <= event ? flow : event;
    if (first.is_never() || first > horizon_) return;
    if (flow > event) {
      step();
      continue;
    }
    ends_.clear();
    fluid.collect(flow, ends_);
    for (const network::FlowEnd& end : ends_) flow_ended(end);
  }
}

results::WorldTotals World::run() {
  const std::clock_t start = std::clock();
  reset_totals();
  if (auto* fluid = dynamic_cast<network::FluidNetwork*>(network_.get())) run_beside(*fluid);
  else network_->run(*this, horizon_);
  results::WorldTotals t = totals();
  t.cpu_seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  return t;
}

}  // namespace isthmus::world
