// What the run adds up to, from the end of the warm-up on.
#include <algorithm>
#include <limits>
#include <map>
#include <optional>

#include "sim/world/batch_jobs.hpp"
#include "sim/world/cluster_autoscaler.hpp"
#include "sim/world/message_queues.hpp"
#include "sim/world/placer.hpp"
#include "sim/world/disruptions.hpp"
#include "sim/world/calls.hpp"
#include "sim/world/failover.hpp"
#include "sim/world/replication.hpp"
#include "sim/world/rollouts.hpp"
#include "sim/world/service_levels.hpp"
#include "sim/world/sharing.hpp"
#include "sim/world/store_and_forward.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

results::ServiceTotals::Engine engine_totals(const devices::EngineCounters& c) {
  return {c.prompt_tokens,  c.cached_tokens,   c.fetched_tokens, c.swapped_tokens,
          c.guessed_tokens, c.accepted_tokens, c.adapter_loads};
}

std::optional<double> dummy_iterations(const devices::EngineCounters& c) {
  if (c.rank_iterations == 0) return std::nullopt;
  return static_cast<double>(c.dummy_iterations) / static_cast<double>(c.rank_iterations);
}

}  // namespace

void World::reset_totals() {
  carry_meters();
  for (ServiceState& s : services_) {
    for (TimeAverage* a : {&s.queued, &s.running, &s.ready_count, &s.busy_slots, &s.total_slots})
      a->reset(now_);
    s.sampled_busy = s.sampled_slots = 0;
    s.max_ready = static_cast<std::uint32_t>(s.ready_count.value());
    s.batches = s.batched = s.calls = s.displaced = 0;
    s.near = s.chosen = 0;
    if (s.health) s.health->reset_counts();
    s.engines = {};
    s.busy_stages = s.all_stages = 0;
    for (const std::uint32_t id : s.replicas)
      if (const auto& engine = replicas_[id].engine) {
        s.engines -= engine->counters();
        s.busy_stages -= engine->busy_stage_seconds();
        s.all_stages -= engine->stage_seconds();
      }
  }
  for (NodeState& n : nodes_) {
    n.power.reset(now_);
    n.billed.reset(now_);
    n.busy_units.reset(now_);
    if (n.cache) n.cache->reset_counts();
    if (n.executor) n.busy_before = n.executor->busy_seconds(now_);
    if (n.physics) {
      n.energy_before = n.physics->energy(now_);
      n.throttled_before = n.physics->throttled_seconds(now_);
      n.power_samples = n.speed_samples = {};
    } else if (n.executor) {
      n.energy_before = n.executor->energy(now_);
    }
  }
  for (CacheState& c : caches_) {
    c.counts = {};
    c.before = writes_of(c);
  }
  if (outboxes_) outboxes_->reset_totals();
  if (replication_) replication_->reset_totals();
  if (placer_) placer_->reset_totals();
  if (disruptions_) disruptions_->reset_totals();
  if (failover_) failover_->reset_totals();
  if (cluster_) cluster_->reset_totals();
  if (calls_) calls_->reset_totals();
  if (queues_) queues_->reset_totals();
  if (sharing_) sharing_->reset_totals();
  egress_cost_ = egress_bytes_ = 0;
  if (costs_) reset_costs();
  if (startups_) reset_startups();
  if (offload_state_) offload_state_->totals = {};
  talk_ = {};
  hedging_ = {};
  for (auto& [key, b] : brokers_) b.peak = b.memory, b.most = b.held;
  counters_before_ = network_->counters();
  network_->bring_to(now_);
  carried_before_.clear();
  busy_before_.clear();
  for (std::uint32_t l = 0; l < scenario_.topology.links.size(); ++l) {
    carried_before_.push_back(network_->carried_bytes(LinkId(l)));
    busy_before_.push_back(network_->busy_seconds(LinkId(l)));
  }
}

results::ServiceTotals::WeightCache World::cache_totals(const Service& service) const {
  results::ServiceTotals::WeightCache out;
  const NodeGroup& group = scenario_.nodes[service.group];
  for (std::uint32_t i = 0; i < group.count; ++i) {
    const auto& c = nodes_[group.first + i].cache->counts(service.cached);
    out.batches += c.batches;
    out.hits += c.hits;
    out.loads += c.loads;
    out.evictions += c.evictions;
  }
  return out;
}

namespace {
double weight_bytes(const Service& s) {
  if (const auto* llm = std::get_if<LlmModel>(&s.work)) return llm->cost->weight_bytes();
  const auto* graph = std::get_if<GraphModel>(&s.work);
  if (!graph) return 0;
  double bytes = graph->cost->weight_bytes();
  for (const GraphChoice& c : graph->choices) bytes = std::max(bytes, c.weight_bytes);
  return bytes;
}
}  // namespace

results::NodeTotals::Physics World::physics_totals(const NodeGroup& group) const {
  results::NodeTotals::Physics p;
  p.hottest = std::numeric_limits<double>::quiet_NaN();
  Moments power, speed;
  double measured = 0;
  for (std::uint32_t i = group.first; i < group.first + group.count; ++i) {
    const NodeState& n = nodes_[i];
    p.throttled += n.physics->throttled_seconds(now_) - n.throttled_before;
    measured += (now_ - Instant::zero() - (warm_ ? scenario_.warmup : Duration::zero())).seconds();
    if (!(n.physics->hottest() <= p.hottest)) p.hottest = n.physics->hottest();
    p.battery = std::min(p.battery, n.physics->battery_charge(now_));
    p.shut_down += n.physics->shut_down() ? 1 : 0;
    power.add(n.power_samples);
    speed.add(n.speed_samples);
  }
  if (measured > 0) p.throttled /= measured;
  const auto known = [](const Moments& m, double x) {
    return m.n > 0 ? x : std::numeric_limits<double>::quiet_NaN();
  };
  p.power_mean = known(power, power.mean);
  p.power_stddev = known(power, power.stddev());
  p.speed_mean = known(speed, speed.mean);
  p.speed_stddev = known(speed, speed.stddev());
  return p;
}

results::WorldTotals World::totals() {
  results::WorldTotals t;
  if (!horizon_.is_never()) now_ = horizon_;
  // Whoever has no answer yet is in flight.
  for (Request& r : requests_) {
    if (!r.live || (r.hedge != Hedge::none && !leads(handle_of(r).slot))) continue;
    if (r.visit && r.visit->branch) continue;
    while (r.visit && r.visit->nested()) return_to(r);
    r.record.status = results::Status::in_flight;
    recorder_.add(r.record);
  }
  for (Task& task : tasks_)
    if (task.live) recorder_.add(task.record);
  t.created = created_;
  t.events = events_;
  t.fingerprint = fingerprint_.value();
  t.end = now_;
  t.network_cost = egress_cost_;
  if (!scenario_.topology.access.empty()) {
    const network::TransferCounters c = network_->counters(), &b = counters_before_;
    t.transfers = results::TransferTotals{c.retries - b.retries,       c.resumes - b.resumes,
                                          c.given_up - b.given_up,     c.promotions - b.promotions,
                                          c.handovers - b.handovers,   c.resent - b.resent,
                                          c.waited - b.waited};
  }
  t.protocols = protocol_totals();
  if (std::any_of(scenario_.workloads.begin(), scenario_.workloads.end(),
                  [](const Workload& w) { return w.request.hedging.has_value(); }))
    t.hedging = hedging_;
  if (!scenario_.faults.empty()) t.outages = outages_;
  add_admission_totals(t.more);
  if (outboxes_) outboxes_->add_totals(t.more);
  if (replication_) replication_->add_totals(t.more);
  if (disruptions_) disruptions_->add_totals(t.more);
  if (failover_) failover_->add_totals(t.more);
  if (cluster_) cluster_->add_totals(t.more);
  if (calls_) calls_->add_totals(t.more);
  if (queues_) queues_->add_totals(t.more);
  if (rollouts_) rollouts_->add_totals(t);
  if (sharing_) sharing_->add_totals(t.more);
  if (levels_) levels_->add_totals(t.levels, t.alerts);
  if (offload_state_ && (scenario_.offload.rewarded || offload_state_->oracle))
    t.offload = offload_state_->totals;
  if (placer_) {
    placer_->add_totals(t.more);
    placer_->add_notes(t.notes);
  }
  if (jobs_) jobs_->add_totals(t.more);

  for (const NodeGroup& group : scenario_.nodes) {
    results::NodeTotals n;
    n.name = group.name;
    n.count = group.count;
    for (std::uint32_t i = group.first; i < group.first + group.count; ++i) {
      n.energy += node_energy(nodes_[i]);
      n.busy_seconds += node_busy_seconds(nodes_[i]);
      n.hours += nodes_[i].billed.integral(now_) / 3600.0;
    }
    n.cost = n.hours * group.price_per_hour;
    if (group.physics) n.physics = physics_totals(group);
    t.nodes.push_back(n);
  }

  // Engines and pipeline stages of all pools of a service.
  struct Whole {
    devices::EngineCounters engines;
    double busy_stages = 0, all_stages = 0;
  };
  std::vector<Whole> wholes(services_.size());
  for (std::uint32_t i = 0; i < services_.size(); ++i) {
    const Service& spec = scenario_.services[i];
    ServiceState& s = services_[i];
    results::ServiceTotals out;
    out.name = spec.name;
    out.model = spec.model;
    out.variant = spec.variant;
    out.timing = spec.timing;
    out.timing_error = spec.timing_error;
    out.pool = spec.front != ~0U;
    const double slots = s.total_slots.integral(now_);
    out.utilization = slots > 0 ? s.busy_slots.integral(now_) / slots : 0.0;
    out.mean_queue = s.queued.mean(now_);
    out.mean_in_system = out.mean_queue + s.running.mean(now_);
    out.mean_replicas = s.ready_count.mean(now_);
    out.max_replicas = s.max_ready;
    devices::EngineCounters engines = s.engines;
    double busy_stages = s.busy_stages, all_stages = s.all_stages;
    for (const std::uint32_t id : s.replicas)
      if (const auto& engine = replicas_[id].engine) {
        engines += engine->counters();
        busy_stages += engine->busy_stage_seconds();
        all_stages += engine->stage_seconds();
      }
    if (all_stages > 0) out.bubbles = 1 - busy_stages / all_stages;
    out.dummy_iterations = dummy_iterations(engines);
    out.iterations = s.batches + engines.iterations;
    out.preemptions = engines.preemptions;
    if (std::holds_alternative<LlmModel>(spec.work)) out.engine = engine_totals(engines);
    out.mean_batch = s.batches > 0 ? static_cast<double>(s.batched) / static_cast<double>(s.batches) : 0;
    out.cold_starts = s.cold_starts;
    out.weight_bytes = weight_bytes(spec);
    out.cold_start = spec.cold_start.seconds();
    out.load_peak = spec.load_host_peak;
    if (spec.cached != ~0U) out.weight_cache = cache_totals(spec);
    add_cache_totals(i, out);
    if (s.routes_by_place) out.near = std::pair{s.near, s.chosen};
    if (s.health) {
      const schedulers::ReplicaHealth::Counts& c = s.health->counts();
      out.balancing = {c.tries,   c.failures, c.retries,     c.ejections,
                       c.returns, c.opened,   c.turned_away, c.by_replica};
    }
    for (std::size_t v = 0; v < s.variant_counts.size(); ++v)
      out.variants.emplace_back(s.options[v].name, s.variant_counts[v]);
    if (s.exit_counts.size() > 1) out.exits = s.exit_counts;
    if (out.pool) {  // the service that it is a part of stands before it
      results::ServiceTotals& whole = t.services[spec.front];
      whole.iterations += out.iterations;
      whole.preemptions += out.preemptions;
      whole.cold_starts += out.cold_starts;
      Whole& w = wholes[spec.front];
      w.engines += engines;
      w.busy_stages += busy_stages;
      w.all_stages += all_stages;
      if (std::holds_alternative<LlmModel>(spec.work)) whole.engine = engine_totals(w.engines);
      if (w.all_stages > 0) whole.bubbles = 1 - w.busy_stages / w.all_stages;
      whole.dummy_iterations = dummy_iterations(w.engines);
    }
    t.services.push_back(out);
  }

  add_ledger(t);
  if (startups_) add_startup_totals(t.more);
  add_update_totals(t);

  // Instances of one scenario link ("5g[17]") are one row.
  network_->bring_to(now_);
  const double seconds = (now_ - Instant::zero() - (warm_ ? scenario_.warmup : Duration::zero())).seconds();
  std::map<std::string, std::size_t> rows;
  std::map<std::string, double> capacity, air_time;
  for (std::uint32_t l = 0; l < scenario_.topology.links.size(); ++l) {
    const network::Link& link = scenario_.topology.links[l];
    const std::string name = link.name.substr(0, link.name.find('['));
    const auto [it, fresh] = rows.emplace(name, t.links.size());
    if (fresh) t.links.push_back({name, 0, 0, {}});
    results::LinkTotals& row = t.links[it->second];
    row.bytes += network_->carried_bytes(LinkId(l)) - carried_before_[l];
    capacity[name] += link.bandwidth;
    const double busy = network_->busy_seconds(LinkId(l)) - busy_before_[l];
    if (link.sharing == network::Sharing::wifi) air_time[name] += busy * link.bandwidth;
    if (link.power)
      row.energy = row.energy.value_or(0) + link.power->idle * seconds +
                   (link.power->busy - link.power->idle) * busy;
  }
  for (results::LinkTotals& l : t.links) {
    if (!(seconds > 0 && capacity[l.name] > 0)) continue;
    const auto air = air_time.find(l.name);
    l.utilization = (air != air_time.end() ? air->second : l.bytes) / (capacity[l.name] * seconds);
  }
  return t;
}

}  // namespace isthmus::world
