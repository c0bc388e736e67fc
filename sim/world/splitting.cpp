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
  const Service& head = scenario_.services[spec.head];
  const std::array<const models::GraphCost*, 2> tiers{&cost_of(head), &cost_of(service)};
  s.split = devices::split_problem(tiers, 1);
  s.tensor_bytes = s.split.output_bytes;
  s.split.encodings = spec.encodings;
  s.split.latency_weight = spec.latency_weight;
  s.split.energy_weight = spec.energy_weight;
  s.split.price_weight = spec.price_weight;
  const NodeGroup& device = scenario_.nodes[head.group];
  const NodeGroup& remote = scenario_.nodes[service.group];
  s.split.watts = {s.split.watts[0] + device.base_power, device.base_power};
  s.split.transfer_watts = device.base_power + device.upload_power;
  s.split.price = {0, remote.price_per_hour / 3600.0 / std::max(1U, remote.accelerators)};
}

// Plans with what the client knows: nominal bandwidths, its own queue, the service's as last
// reported. True when the request now waits on the client's machine.
bool World::begin_split(std::uint32_t slot) {
  Request& r = requests_[slot];
  const std::uint32_t index = r.record.service;
  const Service& service = scenario_.services[index];
  const GraphSplit& spec = *service.split;
  ServiceState& s = services_[index];
  const std::uint32_t local = r.host == ~0U ? ~0U : local_replica(spec.head, r.host);
  if (local == ~0U || replicas_[local].phase != ReplicaPhase::ready) return false;

  // Conditions.
  schedulers::PartitionProblem& p = s.split;
  const std::uint32_t node =
      s.ready.empty() ? scenario_.nodes[service.group].first : replicas_[s.ready.front()].node;
  p.bandwidth = {network_->path_bandwidth(r.host, node)};
  p.down_bandwidth = {network_->path_bandwidth(node, r.host)};
  p.latency = {cost_of(service).unit().iteration_overhead.seconds() + r.protocol +
               (network_->path_latency(r.host, node) + network_->path_latency(node, r.host))
                   .seconds()};
  const Replica& own = replicas_[local];
  const double own_slots = services_[spec.head].slots_per_replica;
  const double slots = std::max(1.0, s.signal.slots * std::max(1.0, s.parallel_speedup));
  p.slowdown = {1 + (own.shown_queued + own.shown_running) / own_slots,
                1 + s.signal.queued / slots};
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

  // Costs of both parts, made once per placement.
  std::shared_ptr<const SplitPlan>& plan = s.split_plans[partition.tier];
  if (!plan) {
    SplitPlan made;
    const models::GraphCost &head = cost_of(scenario_.services[spec.head]), &tail = cost_of(service);
    const std::vector<bool> first = devices::operators_on(head.graph(), partition, 0),
                            rest = devices::operators_on(head.graph(), partition, 1);
    const auto any = [](const std::vector<bool>& v) {
      return std::find(v.begin(), v.end(), true) != v.end();
    };
    made.head_operators = static_cast<std::uint32_t>(std::count(first.begin(), first.end(), true));
    if (any(first)) made.head = std::make_shared<const models::GraphCost>(head.only(first));
    if (any(rest)) made.tail = std::make_shared<const models::GraphCost>(tail.only(rest));
    plan = std::make_shared<const SplitPlan>(std::move(made));
  }
  r.split = plan;
  r.record.upload = r.encode = 0;
  for (const schedulers::Crossing& c : partition.crossings) {
    r.record.upload += p.pinned[c.task] == 0 ? p.output_bytes[c.task] : c.bytes;
    r.encode += p.output_bytes[c.task] * p.encodings[c.encoding].seconds_per_byte;
  }
  r.record.accuracy = std::max(0.0, r.record.accuracy - partition.accuracy_loss);
  if (scenario_.record_decisions)
    recorder_.add({now_, r.record.request, index, plan->tail ? index : spec.head,
                   static_cast<double>(plan->head_operators), spec.policy->name});
  if (!plan->head) return false;

  r.in_head = true;
  r.replica = local;
  ++replicas_[local].outstanding;
  r.record.replica = replicas_[local].number;
  r.record.sent = now_;
  arrive(slot);
  return true;
}

// The first part is done: on to the service, or home when that was all.
void World::head_done(std::uint32_t slot) {
  Request& r = requests_[slot];
  const std::uint32_t local = r.replica;
  --replicas_[local].outstanding;
  r.in_head = false;
  if (!r.split->tail) {
    r.record.served = now_;
    r.record.download = 0;
    if (replicas_[local].phase == ReplicaPhase::draining) release(local);
    return complete(slot);
  }
  r.replica = ~0U;
  r.record.arrived = r.record.started = Instant::never();
  r.record.batch = 0;
  if (replicas_[local].phase == ReplicaPhase::draining) release(local);
  assign_service(slot, r.record.service);
}

// Equal parts of a graph run as one batch, unequal ones after each other.
void World::group_by_cut(const GraphModel& graph, Batch& b) const {
  for (const std::uint64_t tag : b.tags) {
    const Request& r = requests_[Handle::unpack(tag).slot];
    const auto& part = r.in_head ? r.split->head : r.split ? r.split->tail : graph.cost;
    const models::GraphCost* cost = part ? part.get() : graph.cost.get();
    const auto it = std::find_if(b.parts.begin(), b.parts.end(),
                                 [&](const Batch::Part& p) { return p.cost == cost; });
    if (it != b.parts.end()) ++it->size;
    else b.parts.push_back({cost, 1, 1});
  }
}

}  // namespace isthmus::world
