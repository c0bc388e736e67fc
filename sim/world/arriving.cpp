// Arrivals, closed loops and agent tasks: who wants something, and when.
#include <algorithm>
#include <cmath>

#include "sim/world/saturated.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {
constexpr std::uint64_t population_step = 1ULL << 63;  // payload of an arrival that changes the population
}

void World::open_workloads() {
  workloads_.resize(scenario_.workloads.size());
  for (std::uint32_t w = 0; w < workloads_.size(); ++w) {
    const Workload& spec = scenario_.workloads[w];
    WorkloadState& state = workloads_[w];
    state.draws = StreamKey(seed_, "request/" + spec.name);
    state.thinks = StreamKey(seed_, "think/" + spec.name);
    state.keys = StreamKey(seed_, "key/" + spec.name);
    state.open = true;
    ++open_sources_;
    if (spec.arrivals.kind != ArrivalKind::closed) {
      state.source = make_arrival_source(spec, seed_);
      schedule_next_arrival(w);
      continue;
    }
    if (spec.arrivals.limit == 0) {
      state.open = false;
      --open_sources_;
      continue;
    }
    // A closed loop ends at its limit only; clients start with a think time, from `start` on.
    state.clients.resize(spec.clients);
    const auto& steps = spec.arrivals.steps;
    if (steps.empty()) {
      state.population = spec.clients;
      for (std::uint32_t c = 0; c < spec.clients; ++c)
        start_closed_client(w, c, spec.arrivals.start);
    }
    for (std::size_t i = 0; i < steps.size(); ++i)
      queue_.push(Instant::zero() + steps[i].at, EventKind::arrival, w, population_step | i);
  }
}

void World::schedule_next_arrival(std::uint32_t w) {
  WorkloadState& state = workloads_[w];
  if (const auto next = state.source->next()) {
    state.next = *next;
    queue_.push(next->at < now_ ? now_ : next->at, EventKind::arrival, w);
  } else {
    state.open = false;
    --open_sources_;
  }
}

void World::start_closed_client(std::uint32_t w, std::uint32_t client, Duration after) {
  ClosedClient& c = workloads_[w].clients[client];
  c.active = workloads_[w].open && client < workloads_[w].population;
  if (!c.active) return;
  Rng g = workloads_[w].thinks.at(client, c.cycle);
  const double think = scenario_.workloads[w].arrivals.think.sample(g);
  queue_.push(now_ + after + saturated(think), EventKind::arrival, w, client);
}

void World::on_population_step(std::uint32_t w, std::size_t step) {
  WorkloadState& state = workloads_[w];
  const double wanted = scenario_.workloads[w].arrivals.steps[step].rate;
  state.population = std::min(static_cast<std::uint32_t>(wanted),
                              static_cast<std::uint32_t>(state.clients.size()));
  for (std::uint32_t c = 0; c < state.population; ++c)
    if (!state.clients[c].active) start_closed_client(w, c, Duration::zero());
}

// Open arrivals come from any client alike.
std::uint32_t World::client_of(std::uint32_t w, std::uint64_t index) const {
  const std::uint32_t clients = std::max(scenario_.workloads[w].clients, 1U);
  if (clients == 1) return 0;
  Rng g = workloads_[w].thinks.at(index, ~0ULL);
  return static_cast<std::uint32_t>(uniform_index(g, clients));
}

void World::on_arrival(std::uint32_t w, std::uint64_t payload) {
  const Workload& spec = scenario_.workloads[w];
  if (spec.arrivals.kind == ArrivalKind::closed) {
    if (payload & population_step) return on_population_step(w, payload & ~population_step);
    const auto client = static_cast<std::uint32_t>(payload);
    WorkloadState& state = workloads_[w];
    if (!state.open) return;  // others have used up the limit
    if (++state.closed_arrivals == spec.arrivals.limit) {
      state.open = false;
      --open_sources_;
    }
    Arrival a;
    a.at = now_;
    a.index = static_cast<std::uint64_t>(client) << 32 | workloads_[w].clients[client].cycle++;
    begin_work(w, client, a);
    return;
  }
  const Arrival a = workloads_[w].next;
  schedule_next_arrival(w);
  begin_work(w, a.client ? *a.client : client_of(w, a.index), a);
}

// One arrival is one request, or one task of several.
void World::begin_work(std::uint32_t w, std::uint32_t client, const Arrival& arrival) {
  const Workload& spec = scenario_.workloads[w];
  if (!spec.task.enabled) {
    create_request(w, client, arrival, ~0U, 0.0);
    return;
  }
  std::uint32_t slot;
  if (free_tasks_.empty()) {
    slot = static_cast<std::uint32_t>(tasks_.size());
    tasks_.emplace_back();
  } else {
    slot = free_tasks_.back();
    free_tasks_.pop_back();
  }
  Task& t = tasks_[slot];
  t.live = true;
  t.index = arrival.index;
  t.context = 0;
  t.turns.clear();
  t.arrival = arrival;
  t.record = results::TaskRecord();
  t.record.task = next_task_++;
  t.record.identity = hash_combine(workloads_[w].draws.value(), arrival.index);
  t.record.workload = w;
  t.record.client = client;
  t.record.created = now_;
  t.record.counted = counted();
  Rng g = workloads_[w].draws.at(arrival.index, ~0ULL);
  t.record.steps = static_cast<std::uint32_t>(std::max(1.0, std::round(spec.task.steps.sample(g))));
  ++live_tasks_;
  create_request(w, client, arrival, slot, 0.0);
}

void World::on_task_step(Handle h) {
  if (h.slot >= tasks_.size()) return;
  const Task& t = tasks_[h.slot];
  if (!t.live || t.generation != h.generation) return;
  create_request(t.record.workload, t.record.client, t.arrival, h.slot, t.context);
}

// The answer (or its absence) moves the task or the closed-loop client on.
void World::end_of_request(std::uint32_t w, std::uint32_t client, std::uint32_t task, bool answered) {
  const Workload& spec = scenario_.workloads[w];
  if (task == ~0U) {
    // Whoever was turned away pauses: without think time it would ask again at the same instant, for ever.
    if (spec.arrivals.kind == ArrivalKind::closed)
      start_closed_client(w, client, answered ? Duration::zero() : spec.request.retry_backoff);
    return;
  }
  Task& t = tasks_[task];
  if (!answered) return end_task(task, false);
  ++t.record.steps_done;
  if (t.record.steps_done >= t.record.steps) return end_task(task, true);
  Rng g = workloads_[w].thinks.at(t.index, t.record.steps_done);
  const double action = spec.task.action.sample(g);
  t.context += spec.task.context_growth.sample(g);
  queue_.push(now_ + saturated(action), EventKind::task_step, 0,
              Handle{task, t.generation}.pack());
}

void World::end_task(std::uint32_t slot, bool succeeded) {
  Task& t = tasks_[slot];
  t.record.succeeded = succeeded;
  t.record.ended = now_;
  recorder_.add(t.record);
  t.live = false;
  ++t.generation;
  --live_tasks_;
  free_tasks_.push_back(slot);
  const std::uint32_t w = t.record.workload;
  const Workload& spec = scenario_.workloads[w];
  if (spec.arrivals.kind == ArrivalKind::closed)
    start_closed_client(w, t.record.client, succeeded ? Duration::zero() : spec.request.retry_backoff);
}

}  // namespace isthmus::world
