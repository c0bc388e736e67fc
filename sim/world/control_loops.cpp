// Replicas come and go: start-up, scaling, interval samples.
#include <algorithm>

#include <fmt/format.h>

#include "sim/world/cluster_autoscaler.hpp"
#include "sim/world/message_queues.hpp"
#include "sim/world/placer.hpp"
#include "sim/world/disruptions.hpp"
#include "sim/world/calls.hpp"
#include "sim/world/failover.hpp"
#include "sim/world/rollouts.hpp"
#include "sim/world/sharing.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

// Batches that a replica has in flight: one per pipeline stage or data-parallel rank.
std::uint32_t batches_of(const LlmModel& llm) {
  return std::max({1U, static_cast<std::uint32_t>(llm.cost->stages().size()),
                   static_cast<std::uint32_t>(llm.cost->layout().data)});
}

// Slots of one replica as load signals count them.
std::uint32_t slots_of(const Service& s) {
  if (const auto* llm = std::get_if<LlmModel>(&s.work))
    return s.batching.continuous.max_sequences * batches_of(*llm);
  return s.slots;
}

// Throughput with every slot busy over one request at a time, for queueing estimates.
double speedup_of(const Service& s) {
  if (const auto* llm = std::get_if<LlmModel>(&s.work)) {
    const auto b = static_cast<std::int64_t>(s.batching.continuous.max_sequences);
    const models::IterationWork one{.decode_sequences = 1, .decode_context = 1024, .logits = 1};
    const models::IterationWork all{.decode_sequences = b, .decode_context = 1024 * b, .logits = b};
    const auto together = [&] {
      if (llm->cost->layout().data == 1) return llm->cost->iteration_ns(all);
      return llm->cost->step_time(std::vector(batches_of(*llm), all)).time.ns();
    };
    return static_cast<double>(b * batches_of(*llm)) *
           static_cast<double>(llm->cost->iteration_ns(one)) / static_cast<double>(together());
  }
  return s.slots;
}

// Whole blocks in a memory; sizes that nobody has are cut.
std::int64_t blocks_in(double bytes, double block_bytes) {
  constexpr double most = 1e15;
  return static_cast<std::int64_t>(std::min(bytes / block_bytes, most));
}

}  // namespace

void World::start_services() {
  const std::size_t count = scenario_.services.size();
  services_.resize(count);
  local_offset_.assign(count, 0);
  std::size_t local = 0;
  for (std::size_t i = 0; i < count; ++i) {
    local_offset_[i] = local;
    if (scenario_.services[i].local) local += scenario_.nodes[scenario_.services[i].group].count;
  }
  replica_of_node_.assign(local, ~0U);

  for (std::uint32_t i = 0; i < count; ++i) {
    const Service& spec = scenario_.services[i];
    ServiceState& s = services_[i];
    s.slots_per_replica = slots_of(spec);
    s.parallel_speedup = speedup_of(spec);
    open_variants(i);
    open_split(i);
    if (spec.routing) open_routing(s, *spec.routing, *spec.routing_parameters, i, for_router);
    if (spec.health && !spec.local) open_health(i);
    if (spec.pools) {
      open_pools(i);
      continue;
    }
    if (placed_by(i) != ~0U) continue;
    const NodeGroup& group = scenario_.nodes[spec.group];
    if (spec.local) {
      for (std::uint32_t n = 0; n < group.count; ++n) make_replica(i, group.first + n, true);
      s.asked = group.count;
      continue;
    }
    for (std::uint32_t n = 0; n < spec.replicas; ++n)
      if (!start_replica(i, true))
        throw InputError(fmt::format(
            "service \"{}\": only {} of {} replicas fit on \"{}\" ({} nodes with {} of unit \"{}\", {} "
            "per replica, shared with the services placed before)",
            spec.name, n, spec.replicas, group.name, group.count,
            group.units.empty() ? group.accelerators : group.places_of(spec.unit),
            group.units.empty() ? "" : group.units[spec.unit].name, spec.parallel) +
                         (sharing_ && sharing_->concerns(i)
                              ? fmt::format("; replicas that share an accelerator must fit its memory of {:.3g} GB "
                                            "together, one of this service needs {:.3g} GB",
                                            group.units[spec.unit].memory / 1e9, spec.shared_use.memory / 1e9)
                              : std::string()));
    ask_for(i, spec.replicas);
    if (spec.autoscaling.policy) open_autoscaling(i);
  }
  if (placer_) placer_->start();  // beside what needs no choice
}

void World::open_routing(Router& s,
                         const schedulers::PolicyEntry<schedulers::RoutingPolicy>& entry,
                         const schedulers::Parameters& parameters, std::uint32_t service,
                         std::uint64_t scrapes) {
  s.routing = entry.make(parameters);
  s.routes_by_load = s.routing->wants_load();
  s.routes_by_prefix = s.routing->wants_prefix();
  s.routes_single = s.routing->remembers();
  s.routes_by_outstanding = s.routing->wants_outstanding();
  s.routes_by_place = s.routing->wants_places();
  s.routes_unhealthy = s.routing->wants_unhealthy();
  s.routes_by_outcome = s.routing->wants_outcomes();
  s.scraped_at = now_;
  if (s.routes_by_load && !scenario_.services[service].local &&
      s.routing->signal_period() > Duration::zero())
    queue_.push(now_ + s.routing->signal_period(), EventKind::scrape, service, scrapes);
}

// Finds a node with free units: the first one in order. Returns false when none has.
bool World::start_replica(std::uint32_t service, bool at_once) {
  const Service& spec = scenario_.services[service];
  const NodeGroup& group = scenario_.nodes[spec.group];
  if (!spec.takes_units() || group.units.empty()) {
    // No unit of its own: spread them over the nodes in turn.
    for (std::uint32_t k = 0; k < group.count; ++k) {
      const std::uint32_t node = group.first + (services_[service].next_number + k) % group.count;
      if (!nodes_[node].up || (disruptions_ && disruptions_->cordoned(node))) continue;
      make_replica(service, node, at_once);
      return true;
    }
    return false;
  }
  for (std::uint32_t n = group.first; n < group.first + group.count; ++n) {
    if (!nodes_[n].up || (disruptions_ && disruptions_->cordoned(n)) ||
        nodes_[n].free_units[spec.unit] < spec.units_held() || (sharing_ && !sharing_->has_room(service, n)))
      continue;
    make_replica(service, n, at_once);
    return true;
  }
  return false;
}

devices::EngineLimits World::engine_limits(std::uint32_t service, const Service& spec) const {
  const models::LlmCost& cost = *std::get<LlmModel>(spec.work).cost;
  const ContinuousBatching& c = spec.batching.continuous;
  devices::EngineLimits limits;
  limits.scheduling = c.scheduling;
  limits.max_sequences = c.max_sequences;
  limits.max_batched_tokens = c.max_batched_tokens;
  limits.block_size = c.block_size;
  limits.chunked_prefill = c.chunked_prefill;
  limits.reserve_prompt = c.reserve_prompt;
  limits.prefix_caching = c.prefix_caching;
  limits.async_scheduling = c.async_scheduling;
  limits.leap = c.leap;
  const std::int64_t tokens =
      c.kv_tokens > 0 ? c.kv_tokens : cost.kv_capacity_tokens(c.memory_utilization);
  limits.kv_blocks = tokens / c.block_size * cost.layout().data;
  limits.watermark_blocks =
      static_cast<std::int64_t>(c.watermark * static_cast<double>(limits.kv_blocks));
  const double block_bytes = c.block_size * cost.kv_bytes_per_token();
  if (c.swap) {
    limits.swap_bandwidth = c.swap_bandwidth;
    limits.host_blocks = blocks_in(c.swap_space, block_bytes);
  }
  limits.order = c.order;
  limits.speculation = c.speculation;
  limits.speculation.seed = hash_combine(guess_seed_, service);
  limits.adapters = c.adapters;
  for (const KvTier& t : c.tiers)
    limits.tiers.push_back({blocks_in(t.bytes, block_bytes), t.bandwidth});
  return limits;
}

// Estimate for policies: at the highest clock, without waiting for weights or for others on its units.
std::function<Duration(std::uint32_t)> World::batch_time(std::uint32_t service) {
  const Service& spec = scenario_.services[service];
  if (const auto* law = std::get_if<ServiceLaw>(&spec.work))
    return [mean = law->time.mean(), each = law->per_item](std::uint32_t size) {
      return Duration::from_seconds(mean + each * size);
    };
  if (spec.execution())
    return [this, service](std::uint32_t size) { return plan_of(service, size).makespan(); };
  return [cost = std::get<GraphModel>(spec.work).cost](std::uint32_t size) {
    return cost->batch(size).time;
  };
}

void World::make_replica(std::uint32_t service, std::uint32_t node, bool at_once) {
  ServiceState& s = services_[service];
  const auto id = static_cast<std::uint32_t>(replicas_.size());
  Replica& p = replicas_.emplace_back();
  p.service = service;
  if (rollouts_) rollouts_->made(p);
  const Service& spec = spec_of(p);
  p.number = services_[front_of(service)].next_number++;
  if (front_of(service) != service) ++s.next_number;  // machines are taken in turn
  p.node = node;
  p.started_at = now_;
  p.busy.reset(now_);
  if (const auto* llm = std::get_if<LlmModel>(&spec.work)) {
    const devices::EngineLimits limits = engine_limits(service, spec);
    p.kv_blocks = limits.kv_blocks;
    p.engine = std::make_unique<devices::ServingEngine>(llm->cost, limits);
  } else {
    const auto policy =
        spec.batching.policy ? spec.batching.policy->make(*spec.batching.parameters) : nullptr;
    p.server = std::make_unique<devices::BatchServer>(
        spec.slots, spec.queue_capacity, policy,
        policy && policy->wants_batch_time() ? batch_time(service) : nullptr);
    p.batches.resize(spec.slots);
    if (spec.queue_order != LineOrder::arrival) {
      using By = devices::OrderedLine::By;
      p.line = std::make_unique<devices::OrderedLine>(spec.queue_order == LineOrder::priority ? By::priority
                                                      : spec.queue_order == LineOrder::fair   ? By::fair
                                                                                              : By::due);
    }
  }
  NodeState& n = nodes_[node];
  if (spec.takes_units() && !n.free_units.empty()) {
    if (n.free_units[spec.unit] < spec.units_held())
      throw InputError(fmt::format("service \"{}\": no free unit on \"{}\" (another service has it); "
                                   "name another \"unit\", or spread both with \"units\"",
                                   spec.name, scenario_.nodes[n.group].name));
    n.free_units[spec.unit] -= spec.units_held();
  }
  ++n.hosted;
  n.replicas.push_back(id);
  if (!scenario_.nodes[n.group].billed_when_idle) {
    n.billed.set(now_, 1);
    if (costs_) rent(node, true);
  }
  s.replicas.push_back(id);
  if (placer_) placer_->changed(id, true);
  if (spec.local) {
    replica_of_node_[local_offset_[service] + (node - scenario_.nodes[spec.group].first)] = id;
  }
  if (sharing_) sharing_->placed(id);
  if (disruptions_) disruptions_->units_taken(id);
  if (spec.startup && !at_once) {
    begin_start(id, n.hosted == 1);
  } else if (at_once || spec.cold_start == Duration::zero()) {
    if (spec.startup) start_complete(id);
    on_replica_ready(id);
  } else {
    ++s.cold_starts;
    p.ready = queue_.push(now_ + spec.cold_start, EventKind::replica_ready, id);
  }
}

void World::update_ready(std::uint32_t service) {
  ServiceState& s = services_[service];
  s.ready_count.set(now_, static_cast<double>(s.ready.size()));
  // Draining replicas still work: their slots count until they go.
  const auto working = std::count_if(s.replicas.begin(), s.replicas.end(), [&](std::uint32_t id) {
    return replicas_[id].phase == ReplicaPhase::ready || replicas_[id].phase == ReplicaPhase::draining;
  });
  s.total_slots.set(now_, static_cast<double>(working) * s.slots_per_replica);
  s.max_ready = std::max(s.max_ready, static_cast<std::uint32_t>(s.ready.size()));
  if (disruptions_) disruptions_->ready_changed(service);
  if (rollouts_) rollouts_->changed(service);
  if (scenario_.services[service].front != ~0U) count_ready(scenario_.services[service].front);
}

void World::on_replica_ready(std::uint32_t id) {
  Replica& p = replicas_[id];
  if (p.phase != ReplicaPhase::starting) return;
  p.phase = ReplicaPhase::ready;
  p.ready_since = now_;
  if (startups_) end_start(id);
  if (!failover_ || failover_->may_serve(id)) join_router(id);
  update_ready(p.service);
  wake_pending(p.service);
  if (placer_) placer_->ready(id);
  if (queues_) queues_->replica_ready(id);
  if (disruptions_) disruptions_->replica_ready(id);
  if (rollouts_) rollouts_->ready(id);
}

// Requests that waited for a first replica go now.
void World::wake_pending(std::uint32_t of) {
  std::deque<std::uint64_t> pending;
  const std::uint32_t service = front_of(of);
  Router& router = *router_to(of);
  pending.swap(router.pending);
  if (&router == &services_[service]) note_pending(service, ~0U);
  for (const std::uint64_t tag : pending)
    if (Request* r = find(Handle::unpack(tag))) {
      const std::uint32_t slot = Handle::unpack(tag).slot;
      queue_.cancel(r->queue_timer);
      if (r->stage == Stage::handing_over) find_decode_replica(slot);
      else if (r->split || (r->visit && r->visit->nested())) approach(slot, service);
      else assign_service(slot, service);
    }
}

// Stops sending requests to a replica; it goes once it has answered those it has.
void World::retire(std::uint32_t id) {
  Replica& p = replicas_[id];
  if (p.phase == ReplicaPhase::ready) leave_router(id);
  delist(id);
  queue_.cancel(p.ready);
  p.phase = ReplicaPhase::draining;
  update_ready(p.service);
  release(id);
}

// Frees a draining replica when nothing is left for it to do.
void World::release(std::uint32_t id) {
  if (busy(id)) return;
  if (disruptions_ && disruptions_->keeps(id)) return disruptions_->idle(id);
  if (!(startups_ && !(rollouts_ && rollouts_->obsolete(id)) && keep_alive(id))) remove_replica(id);
  else if (cluster_) cluster_->calmed(replicas_[id].node);
}

bool World::busy(std::uint32_t id) const {
  const Replica& p = replicas_[id];
  return p.outstanding > 0 || (p.engine && (p.engine->busy() || p.engine->has_work())) ||
         (p.server && p.server->busy_slots() > 0);
}

// The end of a replica: its units are free for others.
void World::remove_replica(std::uint32_t id) {
  Replica& p = replicas_[id];
  show_load(id);
  delist(id);
  p.phase = ReplicaPhase::gone;
  if (startups_) forget_start(id);
  ServiceState& s = services_[p.service];
  s.replicas.erase(std::find(s.replicas.begin(), s.replicas.end(), id));
  update_ready(p.service);
  if (p.engine) {
    s.engines += p.engine->counters();
    s.busy_stages += p.engine->busy_stage_seconds();
    s.all_stages += p.engine->stage_seconds();
    p.engine.reset();
  }
  queue_.cancel(p.look_again);
  if (visits_) forget_caches(id);
  if (calls_) calls_->forget(id);
  if (disruptions_) disruptions_->units_given_back(id);
  if (sharing_) sharing_->removed(id);
  NodeState& n = nodes_[p.node];
  const Service& spec = scenario_.services[p.service];
  if (spec.takes_units() && !n.free_units.empty())
    n.free_units[spec.unit] += spec.units_held();
  --n.hosted;
  n.replicas.erase(std::find(n.replicas.begin(), n.replicas.end(), id));
  if (n.hosted == 0 && !scenario_.nodes[n.group].billed_when_idle) {
    n.billed.set(now_, 0);
    if (costs_) rent(p.node, false);
  }
  if (placer_) placer_->changed(id, false);
  if (cluster_) cluster_->calmed(p.node);
}

// Carries out a controller's wish; the newest replicas go first.
void World::set_replicas(std::uint32_t service, std::uint32_t desired) {
  const Service& spec = scenario_.services[service];
  ServiceState& s = services_[service];
  desired = std::clamp(desired, spec.min_replicas, spec.max_replicas);
  ask_for(service, desired);
  if (spec.placement) return placer_->set_replicas(service, desired);
  if (rollouts_ && rollouts_->scales(service)) return rollouts_->changed(service);
  const auto alive = [&] {
    return static_cast<std::uint32_t>(std::count_if(
        s.replicas.begin(), s.replicas.end(),
        [&](std::uint32_t id) { return replicas_[id].phase != ReplicaPhase::draining; }));
  };
  while (alive() < desired)
    if (!revive(service) && !start_replica(service, false)) return;  // no room now: tried again at the next period
  while (alive() > desired) {
    const auto newest = std::find_if(s.replicas.rbegin(), s.replicas.rend(), [&](std::uint32_t id) {
      return replicas_[id].phase != ReplicaPhase::draining;
    });
    retire(*newest);
  }
}

void World::sample_services() {
  for (std::uint32_t i = 0; i < services_.size(); ++i) {
    ServiceState& s = services_[i];
    const double busy = s.busy_slots.integral(now_), slots = s.total_slots.integral(now_);
    const double span = slots - s.sampled_slots;
    const std::size_t pending = s.pending.size() + (s.decode ? s.decode->pending.size() : 0);
    recorder_.add(results::ServiceSample{
        now_, i, static_cast<std::uint32_t>(s.queued.value()) + static_cast<std::uint32_t>(pending),
        static_cast<std::uint32_t>(s.running.value()),
        static_cast<std::uint32_t>(s.ready_count.value()), s.asked,
        span > 0 ? (busy - s.sampled_busy) / span : 0.0});
    s.sampled_busy = busy;
    s.sampled_slots = slots;
  }
}

}  // namespace isthmus::world
