// Replicas at work: queues, batches and engine spans.
#include <algorithm>
#include <utility>

#include "devices/unit_power.hpp"
#include "sim/world/saturated.hpp"
#include "sim/world/sharing.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

// Contents of the whole KV blocks at the start of a prompt; their size divides that of the trace's.
std::vector<std::uint64_t> prefix_of(const PromptBlocks& blocks, std::int64_t prompt,
                                     std::uint32_t block_size) {
  std::vector<std::uint64_t> prefix;
  const std::uint64_t parts = blocks.tokens / block_size;
  const auto whole = static_cast<std::uint64_t>(prompt) / block_size;
  for (std::uint64_t i = 0; i < std::min(whole, blocks.contents.size() * parts); ++i)
    prefix.push_back(blocks.contents[i / parts] * parts + i % parts);
  return prefix;
}

// One of the adapters, by their weights.
std::uint32_t adapter_of(const std::vector<double>& summed, Rng g) {
  const auto it = std::upper_bound(summed.begin(), summed.end(), uniform01(g) * summed.back());
  return 1 + static_cast<std::uint32_t>(std::min(it - summed.begin(), std::ssize(summed) - 1));
}

}  // namespace

// Whose it is, what it asks for and what names its draws.
void World::label(devices::EngineRequest& job, const Request& r) const {
  const Workload& workload = scenario_.workloads[r.record.workload];
  job.priority = workload.priority;
  job.client = r.record.workload;
  job.identity = r.record.identity;
  if (const auto& adapters = workload.request.adapters; !adapters.empty())
    job.adapter = adapter_of(adapters, adapter_draws_.at(r.record.identity));
}

// What policies are told of a request that joins a queue.
schedulers::WaitingRequest World::describe(std::uint32_t slot) const {
  const Request& r = requests_[slot];
  const Workload& workload = scenario_.workloads[r.record.workload];
  schedulers::WaitingRequest w;
  w.tag = handle_of(slot).pack();
  w.since = now_;
  w.priority = workload.priority;
  w.timeout = workload.request.queue_timeout;
  Duration limit = workload.request.deadline;
  for (const results::Objective& o : scenario_.objectives)
    if (o.metric == "latency") limit = std::min(limit, o.target);
  if (limit != Duration::max()) w.due = r.record.created + limit;
  return w;
}

// A service does not take the request.
void World::turn_away(std::uint32_t slot, results::Cause cause) {
  const std::uint32_t replica = std::exchange(requests_[slot].replica, ~0U);
  --replicas_[replica].outstanding;
  if (replicas_[replica].phase == ReplicaPhase::draining) release(replica);
  drop(slot, results::Status::rejected, cause);
}

void World::enqueue(std::uint32_t slot) {
  Request& r = requests_[slot];
  Replica& p = replicas_[r.replica];
  const Service& service = scenario_.services[p.service];
  const std::uint64_t tag = handle_of(slot).pack();
  Instant leaves = now_ + service.queue_timeout;

  if (p.engine) {
    devices::EngineRequest job{tag, std::max<std::int64_t>(1, r.record.prompt_tokens),
                               r.image_tokens, r.record.output_tokens};
    label(job, r);
    job.image_end = r.image_end;
    job.samples = scenario_.workloads[r.record.workload].request.samples;
    if (service.batching.continuous.prefix_caching && r.prompt_blocks)
      job.prefix = prefix_of(*r.prompt_blocks, job.prompt, service.batching.continuous.block_size);
    if (service.role == PoolRole::prefill && job.output > 1) {
      // The first token here, the others at a decode replica that fetches the blocks.
      const std::vector<std::uint32_t>& pools = scenario_.services[service.front].pools->decode;
      if (std::none_of(pools.begin(), pools.end(),
                       [&](std::uint32_t pool) { return services_[pool].sample->fits(job); }))
        return turn_away(slot, results::Cause::too_large);
      job.output = 1;
      job.hold = true;
    }
    if (!p.engine->fits(job)) return turn_away(slot, results::Cause::too_large);
    if (p.engine->waiting() >= service.queue_capacity) return turn_away(slot, results::Cause::queue_full);
    p.engine->enqueue(job);
  } else if (p.server->wants_requests()) {
    const schedulers::WaitingRequest w = describe(slot);
    if (!p.server->enqueue(w)) return turn_away(slot, results::Cause::queue_full);
    leaves = std::min(leaves, p.server->expires(w));
  } else if (p.line) {
    p.line->push(line_request(slot));
  } else if (!p.server->enqueue(tag, now_)) {
    return turn_away(slot, results::Cause::queue_full);
  }
  if (!leaves.is_never())
    r.queue_timer = queue_.push(leaves, EventKind::queue_timeout, 0, tag);

  // Single requests start at once; batches and engines look at the whole instant first.
  const std::uint32_t replica = r.replica;
  if (p.engine) {
    if (p.engine->busy()) interrupt_span(replica);
    else request_dispatch(replica);
  } else if (service.batching.policy) {
    if (p.server->can_start()) request_dispatch(replica);
  } else if (can_start(p)) {
    start_batch(replica);
  } else if (service.preemption) {
    displace(replica);
  }
  if (p.line && p.line->size() > service.queue_capacity) push_out(replica);
  show_load(replica);
}

// The queue is full: the last in order goes.
void World::push_out(std::uint32_t replica) {
  Replica& p = replicas_[replica];
  const std::uint32_t slot = Handle::unpack(p.line->last()).slot;
  p.line->erase(p.line->last());
  requests_[slot].replica = ~0U;
  --p.outstanding;
  drop(slot, results::Status::rejected, results::Cause::queue_full);
}

// What decides about the place of a request in an ordered line.
devices::LineRequest World::line_request(std::uint32_t slot) const {
  const Request& r = requests_[slot];
  const Workload& w = scenario_.workloads[r.record.workload];
  devices::LineRequest l;
  l.tag = handle_of(slot).pack();
  // Workloads without a tenant are flows of their own.
  l.flow = w.tenant == ~0U ? static_cast<std::uint32_t>(scenario_.tenants.size()) + r.record.workload : w.tenant;
  if (w.tenant != ~0U) l.weight = scenario_.tenants[w.tenant].weight;
  l.cost = std::holds_alternative<ServiceLaw>(scenario_.services[r.serving].work) ? work_of(r) : 1.0;
  l.priority = w.priority;
  l.due = due(r);
  return l;
}

// A slot is free and somebody waits, who is moved up from the line.
bool World::can_start(Replica& p) {
  if (p.line && !p.line->empty() && p.server->waiting() == 0 && p.server->busy_slots() < p.server->slots())
    p.server->enqueue(p.line->pop(), now_);
  return p.server->can_start();
}

// The first of the line takes the place of one in service that comes behind it.
void World::displace(std::uint32_t replica) {
  Replica& p = replicas_[replica];
  const std::optional<std::uint64_t> tag = p.line->displaced();
  if (!tag) return;
  const auto it = std::find_if(p.batches.begin(), p.batches.end(),
                               [&](const Batch& b) { return b.live && b.tags.front() == *tag; });
  Batch& b = *it;
  const Service& service = scenario_.services[p.service];
  queue_.cancel(b.done);
  b.live = false;
  p.server->finish(1);
  occupy(p.node, service.unit, -static_cast<double>(service.parallel) / service.slots, -b.watts);
  if (sharing_) sharing_->touched(replica);
  b.nominal = b.watts * (now_ - b.start).seconds();
  if (const Request* r = find(Handle::unpack(*tag))) {
    if (service.local)
      requests_[Handle::unpack(*tag).slot].record.client_energy += joules_of(nodes_[p.node], b);
    Duration left = b.since + saturated(b.left * b.seconds) - now_;
    if (pace(replica) != 1) left = saturated(left.seconds() * pace(replica));
    p.line->put_back(*tag, left);
    if (r->record.counted) ++services_[front_of(p.service)].displaced;
  } else {
    p.line->end(*tag);
  }
  if (can_start(p)) start_batch(replica);
}

// One dispatch event per replica and instant, after all arrivals of the instant.
void World::request_dispatch(std::uint32_t replica) {
  Replica& p = replicas_[replica];
  if (p.dispatch_pending) return;
  p.dispatch_pending = true;
  queue_.push(now_, EventKind::dispatch, replica, p.number);
}

void World::dispatch(std::uint32_t replica) {
  Replica& p = replicas_[replica];
  p.dispatch_pending = false;
  if (p.phase == ReplicaPhase::gone || p.phase == ReplicaPhase::starting) return;
  if (p.engine) {
    if (!p.engine->busy()) dispatch_engine(replica);
  } else {
    while (can_start(p)) {
      const std::uint32_t before = p.server->busy_slots();
      start_batch(replica);
      if (p.server->busy_slots() == before) break;  // the policy waits
    }
  }
  show_load(replica);
}

// ---- batch servers ---------------------------------------------------------------------------------

// Nanoseconds of a batch on a unit at its highest clock, without waiting for weights.
std::int64_t World::service_ns(std::uint32_t replica, Batch& b, double& compute_share) {
  const Service& service = spec_of(replicas_[replica]);
  b.parts.clear();
  const Request& first = requests_[Handle::unpack(b.tags.front()).slot];
  const auto draws = [&] {
    const std::uint64_t path = first.visit ? first.visit->here().path : 0;
    return service_draws_.at(path == 0 ? first.record.identity : hash_combine(first.record.identity, path),
                             std::uint64_t{first.copy} << 16 | first.record.attempts);
  };
  if (const auto* law = std::get_if<ServiceLaw>(&service.work)) {
    Rng g = draws();
    compute_share = 1;
    double most = 0, sum = 0;
    for (const std::uint64_t tag : b.tags) {
      const double work = work_of(requests_[Handle::unpack(tag).slot]);
      most = std::max(most, work);
      sum += work;
    }
    const double seconds = law->time.sample(g) * most + law->per_item * sum;
    return saturated(seconds / replicas_[replica].speed).ns();
  }
  const std::int64_t ns = graph_ns(replica, b, compute_share);
  const double speed = replicas_[replica].speed;
  if (service.time_cv <= 0 && speed == 1) {
    b.factor = 1;
    return ns;
  }
  b.factor = 1 / speed;
  if (service.time_cv > 0) {
    Rng g = draws();
    const double spread = service.time_cv * service.time_cv;
    b.factor *= sample_gamma(g, 1 / spread, spread);
  }
  return saturated(b.factor * static_cast<double>(ns) * 1e-9).ns();
}

// What the model says of its graphs.
std::int64_t World::graph_ns(std::uint32_t replica, Batch& b, double& compute_share) {
  const Service& service = spec_of(replicas_[replica]);
  const auto& graph = std::get<GraphModel>(service.work);
  if (service.parts) group_by_cut(graph, b);
  else if (graph.choices.empty()) b.parts.push_back({graph.cost.get(), static_cast<std::int64_t>(b.tags.size()), 1});
  else choose_variants(replica, b);
  if (b.parts.size() == 1) {
    const models::Prediction p = b.parts[0].cost->batch(b.parts[0].size);
    compute_share = p.compute_share;
    return p.time.ns();
  }
  std::int64_t ns = 0;
  double compute = 0;
  for (const Batch::Part& part : b.parts) {
    const models::Prediction p = part.cost->batch(part.size);
    ns += part.sign > 0 ? p.time.ns() : -p.time.ns();
    compute += part.sign * p.compute_share * static_cast<double>(p.time.ns());
  }
  compute_share = ns > 0 ? std::clamp(compute / static_cast<double>(ns), 0.0, 1.0) : 0.0;
  return std::max<std::int64_t>(ns, 0);
}

// How much of the time of a law the request takes.
double World::work_of(const Request& r) const {
  const Distribution& work = scenario_.workloads[r.record.workload].request.work;
  if (work.kind == DistributionKind::constant) return work.a;
  Rng g = work_draws_.at(r.record.identity, 0);
  return std::max(0.0, work.sample(g));
}

void World::start_batch(std::uint32_t replica) {
  Replica& p = replicas_[replica];
  const Service& service = scenario_.services[p.service];
  const Instant again = p.server->form_batch(now_, batch_);
  const std::vector<std::uint64_t> dropped = p.server->dropped();
  if (batch_.empty()) {
    queue_.cancel(p.look_again);
    p.look_again = again.is_never()
                       ? EventHandle()
                       : queue_.push(again, EventKind::dispatch, replica, p.number);
    return turn_away(dropped);
  }
  // Occupy a slot and the unit's power.
  const auto it = std::find_if(p.batches.begin(), p.batches.end(), [](const Batch& b) { return !b.live; });
  Batch& b = *it;
  const auto index = static_cast<std::uint32_t>(it - p.batches.begin());
  b.live = true;
  b.tags = batch_;
  b.start = now_;
  if (service.execution()) start_on_units(replica, index);
  else occupy_unit(replica, index);

  ServiceState& s = services_[p.service];
  ++s.batches;
  s.batched += batch_.size();
  for (const std::uint64_t tag : batch_) {
    Request& r = *find(Handle::unpack(tag));
    if (!p.line || !p.line->left(tag)) {
      r.record.started = now_;
      if (admission_) tell_gates(p.service, r);
    }
    r.record.batch = static_cast<std::uint32_t>(batch_.size());
    r.record.version = p.version;
    if (p.accuracy >= 0) r.record.accuracy = p.accuracy;
    if (r.queue_timer.valid()) queue_.cancel(r.queue_timer);
  }
  turn_away(dropped);
}

// Those whom a policy gave up.
void World::turn_away(const std::vector<std::uint64_t>& tags) {
  for (const std::uint64_t tag : tags)
    if (find(Handle::unpack(tag)))
      turn_away(Handle::unpack(tag).slot, results::Cause::queue_timeout);
}

// The whole batch on a unit that the replica has for itself.
void World::occupy_unit(std::uint32_t replica, std::uint32_t index) {
  Replica& p = replicas_[replica];
  Batch& b = p.batches[index];
  const Service& service = scenario_.services[p.service];
  double compute_share = 0;
  if (p.loaded_at.is_never()) p.loaded_at = now_ + saturated(service.first_use);
  b.extra = service.every_use + (p.loaded_at > now_ ? (p.loaded_at - now_).seconds() : 0.0);
  const std::optional<Duration> left = p.line ? p.line->left(b.tags.front()) : std::nullopt;
  const std::int64_t ns =
      left ? left->ns() : (Duration(service_ns(replica, b, compute_share)) + saturated(b.extra)).ns();
  if (left) compute_share = b.compute_share;
  b.compute_share = compute_share;
  NodeState& n = nodes_[p.node];
  const NodeGroup& group = scenario_.nodes[n.group];
  b.watts = group.units.empty()
                ? 0.0
                : devices::active_power(group.units[service.unit], compute_share).value() *
                      service.parallel / static_cast<double>(service.slots);
  b.seconds = static_cast<double>(ns) * 1e-9;
  Duration takes(ns);
  b.left = 1;
  b.since = now_;
  if (n.physics) {
    b.work_before = n.physics->dynamic_energy(now_);
    b.nominal_before = n.nominal.energy(now_).value();
    b.law_seconds = std::holds_alternative<ServiceLaw>(service.work) ? b.seconds - b.extra : 0.0;
    b.seconds = batch_seconds(p, b, n.physics->speed(service.unit)) / slow(p.node);
    takes = saturated(b.seconds);
  } else if (pace(replica) != 1) {
    b.seconds /= pace(replica);
    takes = saturated(b.seconds);
  }
  occupy(p.node, service.unit, static_cast<double>(service.parallel) / service.slots, b.watts);
  if (sharing_) sharing_->touched(replica);
  b.done = queue_.push(now_ + takes, EventKind::work_done, replica, index);
}

void World::on_batch_done(std::uint32_t replica, std::uint32_t index) {
  Replica& p = replicas_[replica];
  const Service& service = scenario_.services[p.service];
  Batch& b = p.batches[index];
  const auto size = static_cast<std::uint32_t>(b.tags.size());
  p.server->finish(size, now_ - b.start);
  if (p.line) p.line->end(b.tags.front());
  b.live = false;
  give_back_weights(p.node, p.service);
  if (sharing_) sharing_->touched(replica);
  if (!service.execution())
    occupy(p.node, service.unit, -static_cast<double>(service.parallel) / service.slots, -b.watts);
  if (!service.execution()) b.nominal = b.watts * (now_ - b.start).seconds();
  const double energy = joules_of(nodes_[p.node], b) / size;
  // Parts of a request that go on within the machine start batches of their own meanwhile.
  std::vector<std::uint64_t> tags = std::move(spare_tags_);
  tags = b.tags;
  for (const std::uint64_t tag : tags) {
    Request* r = find(Handle::unpack(tag));
    if (!r || r->stage != Stage::queued) continue;
    if (service.local) r->record.client_energy += energy;
    served(Handle::unpack(tag).slot, now_);
  }
  spare_tags_ = std::move(tags);
  if (replicas_[replica].phase == ReplicaPhase::draining) release(replica);
  if (replicas_[replica].phase == ReplicaPhase::gone) return;
  if (can_start(replicas_[replica])) {
    if (service.batching.policy) request_dispatch(replica);
    else start_batch(replica);
  }
  show_load(replica);
}

// Nobody waits for the request any more. Its batch ends with the last one that somebody waits for; a
// graph over several units runs to its end.
void World::stop_serving(std::uint32_t slot) {
  const Request& r = requests_[slot];
  Replica& p = replicas_[r.replica];
  const Service& service = scenario_.services[p.service];
  if (p.engine && service.local && !r.record.started.is_never())
    requests_[slot].record.client_energy += p.energy_per_sequence - r.energy_mark;
  if (!p.server || service.execution()) return;
  const std::uint64_t tag = handle_of(slot).pack();
  const auto has_it = [&](const Batch& b) {
    return b.live && std::find(b.tags.begin(), b.tags.end(), tag) != b.tags.end();
  };
  const auto it = std::find_if(p.batches.begin(), p.batches.end(), has_it);
  if (it == p.batches.end()) return;
  Batch& b = *it;
  if (std::any_of(b.tags.begin(), b.tags.end(),
                  [&](std::uint64_t t) { return t != tag && find(Handle::unpack(t)); }))
    return;
  queue_.cancel(b.done);
  b.live = false;
  p.server->abandon(static_cast<std::uint32_t>(b.tags.size()));
  if (p.line) p.line->end(tag);
  occupy(p.node, service.unit, -static_cast<double>(service.parallel) / service.slots, -b.watts);
  b.nominal = b.watts * (now_ - b.start).seconds();
  if (service.local)
    requests_[slot].record.client_energy += joules_of(nodes_[p.node], b) / static_cast<double>(b.tags.size());
  if (sharing_) sharing_->touched(r.replica);
  if (p.server->can_start() || (p.line && !p.line->empty())) request_dispatch(r.replica);
}

// ---- engines ---------------------------------------------------------------------------------------

void World::dispatch_engine(std::uint32_t replica) {
  Replica& p = replicas_[replica];
  const Service& service = scenario_.services[p.service];
  clock_engine(replica);
  admitted_.clear();
  const Instant end = p.engine->begin(now_, admitted_);
  for (const devices::Admission& a : admitted_) {
    Request* r = find(Handle::unpack(a.tag));
    if (!r) continue;
    r->record.batch = p.engine->running();
    if (r->handover && r->handover->landed) {
      started_to_decode(*r);
      continue;
    }
    r->record.started = a.at;
    if (admission_) tell_gates(p.service, *r);
    r->record.version = p.version;
    if (p.accuracy >= 0) r->record.accuracy = p.accuracy;
    r->energy_mark = p.energy_per_sequence;
    queue_.cancel(r->queue_timer);
    if (service.role == PoolRole::prefill) prefill_began(Handle::unpack(a.tag).slot, end);
  }
  if (sharing_) sharing_->touched(replica);
  if (end.is_never()) return;
  const NodeGroup& group = scenario_.nodes[nodes_[p.node].group];
  p.span_units = service.parallel * p.engine->busy_share();
  p.span_watts = devices::active_power(group.units[service.unit], p.engine->compute_share()).value() *
                 p.span_units;
  p.span_start = now_;
  if (const NodeState& n = nodes_[p.node]; n.physics) {
    p.span.work_before = n.physics->dynamic_energy(now_);
    p.span.nominal_before = n.nominal.energy(now_).value();
  }
  occupy(p.node, service.unit, p.span_units, p.span_watts);
  p.span_end = end;
  p.work = queue_.push(end, EventKind::work_done, replica, 0);
  if (!p.streams.empty()) wake_streams(p);
}

// Its next iterations run at the clock of its unit and the speed of its machine.
void World::clock_engine(std::uint32_t replica) {
  Replica& p = replicas_[replica];
  const Service& service = spec_of(p);
  const auto& llm = std::get<LlmModel>(service.work);
  if (llm.by_point.empty() && slow_.empty() && p.speed == 1 && !sharing_) return;
  const double speed = slow(p.node) * p.speed * (sharing_ ? sharing_->next_speed(replica) : 1.0);
  const auto& cost = llm.by_point.empty() ? llm.cost : llm.by_point[nodes_[p.node].physics->point(service.unit)];
  if (llm.by_point.empty() && std::exchange(engine_speeds_.try_emplace(replica, 1.0).first->second, speed) == speed)
    return;
  if (speed == 1) return p.engine->set_cost(cost);
  auto& slowed = slowed_costs_[{cost.get(), speed}];
  if (!slowed) slowed = std::make_shared<const models::LlmCost>(cost->slowed(1 / speed));
  p.engine->set_cost(slowed);
}

void World::interrupt_span(std::uint32_t replica) {
  end_span_at(replica, std::max(now_, replicas_[replica].engine->interrupt(now_)));
}

// The iteration under way is the span's last one.
void World::cut_span(std::uint32_t replica) {
  end_span_at(replica, std::max(now_, replicas_[replica].engine->cut(now_)));
}

void World::end_span_at(std::uint32_t replica, Instant end) {
  Replica& p = replicas_[replica];
  if (end == p.span_end) return;
  queue_.cancel(p.work);
  p.span_end = end;
  p.work = queue_.push(end, EventKind::work_done, replica, 0);
}

void World::on_span_done(std::uint32_t replica) {
  Replica& p = replicas_[replica];
  const Service& service = scenario_.services[p.service];
  occupy(p.node, service.unit, -p.span_units, -p.span_watts);
  const double sequences = std::max(1U, p.engine->running());
  p.span.nominal = p.span_watts * (now_ - p.span_start).seconds();
  p.energy_per_sequence += joules_of(nodes_[p.node], p.span) / sequences;
  progress_.clear();
  p.engine->finish(progress_);
  for (const devices::Progress& e : progress_) {
    const Handle h = Handle::unpack(e.tag);
    Request* r = find(h);
    if (!r) continue;
    if (e.what == devices::Progress::What::first_token) {
      if (service.role == PoolRole::decode) continue;
      r->record.first_token = e.at;
      // Only from where the client sent it, and if nothing else is needed for the answer.
      const bool passed_on = r->visit && (r->visit->nested() ||
                                          !scenario_.services[r->serving].fetching->calls.empty());
      if (scenario_.workloads[r->record.workload].request.streaming && !passed_on)
        begin_stream(h.slot);
      continue;
    }
    if (service.role == PoolRole::prefill && r->record.output_tokens > 1) {
      prefilled(h.slot);
      continue;
    }
    if (service.local) r->record.client_energy += p.energy_per_sequence - r->energy_mark;
    served(h.slot, e.at);
  }
  if (replicas_[replica].phase == ReplicaPhase::draining) release(replica);
  if (replicas_[replica].phase == ReplicaPhase::gone) return;
  if (replicas_[replica].engine->has_work()) request_dispatch(replica);
  if (sharing_) sharing_->touched(replica);
  if (service.role == PoolRole::decode) fill_room(replica);
  show_load(replica);
}

void World::on_work_done(std::uint32_t replica, std::uint64_t payload) {
  if (replicas_[replica].engine) on_span_done(replica);
  else on_batch_done(replica, static_cast<std::uint32_t>(payload));
}

// Keeps the service's totals in step with one replica.
void World::show_load(std::uint32_t replica) {
  Replica& p = replicas_[replica];
  Replica::Load load;
  if (p.engine) load = {p.engine->waiting(), p.engine->running(), p.engine->running()};
  else if (p.server) load = {p.server->waiting() + (p.line ? p.line->size() : 0), p.server->in_service(), p.server->busy_slots()};
  if (load == p.shown) return;
  const auto change = [&](TimeAverage& total, std::uint32_t from, std::uint32_t to) {
    if (to != from) total.change(now_, static_cast<double>(to) - static_cast<double>(from));
  };
  const auto show = [&](ServiceState& state) {
    change(state.queued, p.shown.queued, load.queued);
    change(state.running, p.shown.running, load.running);
    change(state.busy_slots, p.shown.busy, load.busy);
  };
  show(services_[p.service]);
  if (const std::uint32_t front = scenario_.services[p.service].front; front != ~0U)
    show(services_[front]);
  if (load.busy != p.shown.busy) p.busy.set(now_, load.busy);
  p.shown = load;
}

}  // namespace isthmus::world
