// Requests that begin on the client's machine and end at a service: plans, and the way from one
// part to the other.
#include <algorithm>
#include <array>

#include "devices/split_problem.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {
const models::GraphCost& cost_of(const Service& service) {
  return *std::get<GraphModel>(service.work).cost;
}
}  // namespace

// What is the same for all clients.
void World::open_split(std::uint32_t index) {
  const Service& service = scenario_.services[index];
  if (!service.split) return;
  ServiceState& s = services_[index];
  const GraphSplit& spec = *service.split;
  s.tiers = spec.before;
  s.tiers.push_back(index);
  std::vector<const models::GraphCost*> costs;
  for (const std::uint32_t tier : s.tiers) costs.push_back(&cost_of(scenario_.services[tier]));
  s.split = devices::split_problem(costs, 1);
  s.tensor_bytes = s.split.output_bytes;
  s.split.encodings = spec.encodings;
  s.split.latency_weight = spec.latency_weight;
  s.split.energy_weight = spec.energy_weight;
  s.split.price_weight = spec.price_weight;
  const NodeGroup& device = scenario_.nodes[scenario_.services[s.tiers[0]].group];
  for (double& watts : s.split.watts) watts += device.base_power;
  s.split.transfer_watts = device.base_power + device.upload_power;
  s.split.price.assign(s.tiers.size(), 0);
  for (std::size_t t = 1; t < s.tiers.size(); ++t) {
    const Service& remote = scenario_.services[s.tiers[t]];
    const NodeGroup& group = scenario_.nodes[remote.group];
    s.split.price[t] = group.price_per_hour / 3600.0 * group.part_of(remote.unit);
  }
}

// Nominal bandwidths, the client's own queue, those of services as last reported.
void World::split_conditions(const Request& r, const Replica& own, ServiceState& s) {
  schedulers::PartitionProblem& p = s.split;
  const std::size_t tiers = s.tiers.size();
  p.bandwidth.assign(tiers - 1, 0);
  p.down_bandwidth.assign(tiers - 1, 0);
  p.latency.assign(tiers - 1, 0);
  p.slowdown.assign(tiers, 1);
  p.slowdown[0] =
      1 + static_cast<double>(own.shown.queued + own.shown.running) / services_[own.service].slots_per_replica;
  std::uint32_t here = r.host;
  for (std::size_t t = 1; t < tiers; ++t) {
    const Service& service = scenario_.services[s.tiers[t]];
    const ServiceState& state = services_[s.tiers[t]];
    const std::uint32_t there = state.ready.empty() ? scenario_.nodes[service.group].first
                                                    : replicas_[state.ready.front()].node;
    p.bandwidth[t - 1] = network_->path_bandwidth(here, there);
    p.down_bandwidth[t - 1] = network_->path_bandwidth(there, here);
    p.latency[t - 1] =
        cost_of(service).unit().iteration_overhead.seconds() + (t == 1 ? r.protocol : 0) +
        (network_->path_latency(here, there) + network_->path_latency(there, here)).seconds();
    const double slots = std::max(1.0, state.signal.slots * std::max(1.0, state.parallel_speedup));
    p.slowdown[t] = 1 + state.signal.queued / slots;
    here = there;
  }
}

// True when the request is on its way through the tiers of a plan.
bool World::begin_split(std::uint32_t slot) {
  Request& r = requests_[slot];
  const std::uint32_t index = r.record.service;
  const Service& service = scenario_.services[index];
  const GraphSplit& spec = *service.split;
  ServiceState& s = services_[index];
  const std::uint32_t local = r.host == ~0U ? ~0U : local_replica(s.tiers[0], r.host);
  if (local == ~0U || replicas_[local].phase != ReplicaPhase::ready) return false;

  split_conditions(r, replicas_[local], s);
  schedulers::PartitionProblem& p = s.split;
  p.result_bytes = r.record.download;
  if (r.input_bytes < 0) r.input_bytes = r.record.upload;
  double inputs = 0;
  for (std::uint32_t t = 0; t < p.tasks; ++t)
    if (p.pinned[t] == 0) inputs += s.tensor_bytes[t];
  if (r.input_bytes > 0 && inputs > 0)
    for (std::uint32_t t = 0; t < p.tasks; ++t)
      if (p.pinned[t] == 0) p.output_bytes[t] = s.tensor_bytes[t] * r.input_bytes / inputs;

  auto it = s.planners.find({r.record.workload, r.host});
  if (it == s.planners.end())
    it = s.planners
             .emplace(std::pair{r.record.workload, r.host},
                      schedulers::SplitPlanner(spec.policy->make(*spec.parameters), spec.hysteresis))
             .first;
  const schedulers::Partition& partition = it->second.plan(p);

  // Costs of the parts, made once per placement.
  std::shared_ptr<const SplitPlan>& plan = s.split_plans[partition.tier];
  if (!plan) {
    SplitPlan made;
    for (std::uint32_t t = 0; t < s.tiers.size(); ++t) {
      const models::GraphCost& cost = cost_of(scenario_.services[s.tiers[t]]);
      const std::vector<bool> mine = devices::operators_on(cost.graph(), partition, t);
      const auto count = std::count(mine.begin(), mine.end(), true);
      made.parts.push_back(count > 0 ? std::make_shared<const models::GraphCost>(cost.only(mine))
                                     : nullptr);
      if (count > 0) made.last = t;
      if (t == 0) made.head_operators = static_cast<std::uint32_t>(count);
    }
    plan = std::make_shared<const SplitPlan>(std::move(made));
  }
  r.split = plan;
  r.part = 0;
  r.hop_bytes = r.hop_encode = {};
  for (const schedulers::Crossing& c : partition.crossings) {
    r.hop_bytes[c.hop] += p.pinned[c.task] == 0 ? p.output_bytes[c.task] : c.bytes;
    r.hop_encode[c.hop] += p.output_bytes[c.task] * p.encodings[c.encoding].seconds_per_byte;
  }
  r.record.upload = plan->last > 0 ? r.hop_bytes[0] : 0;
  r.record.accuracy = std::max(0.0, r.record.accuracy - partition.accuracy_loss);
  if (scenario_.record_decisions)
    recorder_.add({now_, r.record.request, index, s.tiers[plan->last],
                   static_cast<double>(plan->head_operators), spec.policy->name});

  // The first part waits on the client's machine like any other request there.
  r.serving = s.tiers[0];
  r.replica = local;
  ++replicas_[local].outstanding;
  r.record.replica = replicas_[local].number;
  r.record.sent = now_;
  arrive(slot);
  return true;
}

// Done on this tier: on to the next one.
void World::next_part(std::uint32_t slot) {
  Request& r = requests_[slot];
  const std::uint32_t done = r.replica;
  if (!meters_.empty() && !r.record.arrived.is_never()) note_answer(slot, now_);
  --replicas_[done].outstanding;
  r.from = replicas_[done].node;
  r.replica = ~0U;
  r.record.arrived = r.record.started = Instant::never();
  r.record.batch = 0;
  const std::uint32_t next = services_[r.record.service].tiers[++r.part];
  if (replicas_[done].phase == ReplicaPhase::draining) release(done);
  approach(slot, next);
}

// Equal parts of a graph run as one batch, unequal ones after each other.
void World::group_by_cut(const GraphModel& graph, Batch& b) const {
  for (const std::uint64_t tag : b.tags) {
    const Request& r = requests_[Handle::unpack(tag).slot];
    const models::GraphCost* cost = r.split ? r.split->parts[r.part].get() : graph.cost.get();
    const auto it = std::find_if(b.parts.begin(), b.parts.end(),
                                 [&](const Batch::Part& p) { return p.cost == cost; });
    if (it != b.parts.end()) ++it->size;
    else b.parts.push_back({cost, 1, 1});
  }
}

}  // namespace isthmus::world
