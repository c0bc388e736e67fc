// Failures by schedule or by chance: links go down and up or lose capacity, nodes lose what they run.
#include <algorithm>

#include "sim/world/batch_jobs.hpp"
#include "sim/world/cluster_autoscaler.hpp"
#include "sim/world/message_queues.hpp"
#include "sim/world/placer.hpp"
#include "sim/world/disruptions.hpp"
#include "sim/world/calls.hpp"
#include "sim/world/failover.hpp"
#include "sim/world/replication.hpp"
#include "sim/world/saturated.hpp"
#include "sim/world/service_levels.hpp"
#include "sim/world/sharing.hpp"
#include "sim/world/store_and_forward.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

void World::schedule_faults() {
  const bool held = !scenario_.faults.empty() || scenario_.count_failures || cluster_;
  node_holds_.assign(held ? nodes_.size() : 0, 0);
  if (cluster_) cluster_->hold_absent();
  if (scenario_.faults.empty()) return;
  link_holds_.assign(scenario_.topology.links.size(), 0);
  fault_counts_.assign(scenario_.faults.size(), 0);
  for (std::uint32_t i = 0; i < scenario_.faults.size(); ++i) {
    const Fault& f = scenario_.faults[i];
    if (f.law) {
      schedule_failure(i);
      continue;
    }
    queue_.push(f.at, EventKind::condition_change, i, 0);
    const Instant end = f.at + f.lasts;
    if (!end.is_never()) queue_.push(end, EventKind::condition_change, i, 1);
  }
}

// The next failure by chance, and its end.
void World::schedule_failure(std::uint32_t index) {
  const Fault& f = scenario_.faults[index];
  const auto drawn = [&](const Distribution& law, std::uint64_t which) {
    Rng g = fault_draws_.at(f.identity, 2 * fault_counts_[index] + which);
    return std::max(Duration(1'000'000), saturated(law.sample(g)));
  };
  const Instant at = now_ + drawn(f.law->time_to_failure, 0);
  const Instant end = at + drawn(f.law->time_to_repair, 1);
  ++fault_counts_[index];
  if (at.is_never()) return;
  queue_.push(at, EventKind::condition_change, index, 0);
  if (!end.is_never()) queue_.push(end, EventKind::condition_change, index, 1);
}

// A link or node is back when the last fault that holds it down has ended.
void World::on_condition_change(std::uint32_t index, bool begins) {
  const Fault& f = scenario_.faults[index];
  if (begins && counted()) ++outages_;
  if (levels_) levels_->fault(begins);
  for (const std::uint32_t link : f.links) {
    if (f.capacity > 0) {
      change_capacity(link, f.capacity, begins);
      continue;
    }
    std::uint32_t& holds = link_holds_[link];
    holds += begins ? 1 : ~0U;
    if (holds > (begins ? 1U : 0U)) continue;
    network::LinkChange change;
    change.up = !begins;
    network_->change_link(LinkId(link), change, now_);
  }
  for (const std::uint32_t node : f.nodes) {
    if (f.accelerator != ~0U && begins) disruptions_->accelerator_fails(node, f.accelerator);
    else if (f.accelerator != ~0U) disruptions_->accelerator_recovers(node, f.accelerator);
    else if (f.speed > 0) change_speed(node, f.speed, begins);
    else hold_node(node, begins);
  }
  if (outboxes_) outboxes_->conditions_changed();
  if (replication_) replication_->conditions_changed();
  if (f.law && !begins) schedule_failure(index);
}

// Of several brown-outs the deepest counts.
void World::change_capacity(std::uint32_t link, double share, bool begins) {
  std::multiset<double>& shares = brown_outs_[link];
  if (begins) shares.insert(share);
  else shares.erase(shares.find(share));
  network::LinkChange change;
  change.scale = shares.empty() ? 1.0 : *shares.begin();
  if (shares.empty()) brown_outs_.erase(link);
  network_->change_link(LinkId(link), change, now_);
}

// Of several brown-outs the deepest counts.
void World::change_speed(std::uint32_t node, double share, bool begins) {
  std::multiset<double>& shares = slow_nodes_[node];
  if (begins) shares.insert(share);
  else shares.erase(shares.find(share));
  if (slow_.empty()) slow_.assign(nodes_.size(), 1.0);
  const double before = std::exchange(slow_[node], shares.empty() ? 1.0 : *shares.begin());
  if (shares.empty()) slow_nodes_.erase(node);
  if (slow_[node] != before) take_over_clocks(node, before);
}

// A node is down while anything holds it.
void World::hold_node(std::uint32_t node, bool begins) {
  std::uint32_t& holds = node_holds_[node];
  holds += begins ? 1 : ~0U;
  if (holds > (begins ? 1U : 0U)) return;
  if (begins) fail_node(node);
  else recover_node(node);
  if (outboxes_) outboxes_->conditions_changed();
  if (replication_) replication_->conditions_changed();
}

// One that nobody has is there no more, or again.
void World::take_accelerator(std::uint32_t node, bool fails) {
  NodeState& n = nodes_[node];
  const std::vector<std::uint32_t> places = places_of_accelerator(scenario_.nodes[n.group]);
  for (std::size_t u = 0; u < places.size(); ++u) n.free_units[u] += fails ? 0U - places[u] : places[u];
}

// Places for replicas that one accelerator of a machine stands for, by unit: its instances, and those who share
// it.
std::vector<std::uint32_t> places_of_accelerator(const NodeGroup& group) {
  std::vector<std::uint32_t> places(group.units.size());
  for (std::size_t u = 0; u < places.size(); ++u) {
    if (group.units[u].kind == models::UnitKind::cpu) continue;
    places[u] = group.places_of(u) / group.accelerators;
    if (group.unit_counts.empty()) break;  // the first one, of several accelerators
  }
  return places;
}

// The process of a replica is gone, with all that it ran and all that waited there.
void World::end_process(std::uint32_t id) {
  Replica& p = replicas_[id];
  const Service& service = scenario_.services[p.service];
  if (service.execution()) {
    std::vector<std::uint64_t> batches;
    for (std::size_t i = 0; i < p.batches.size(); ++i)
      if (p.batches[i].live) batches.push_back(static_cast<std::uint64_t>(id) << 32 | i);
    leave_units(p.node, batches);
  } else {
    for (const Batch& b : p.batches)
      if (b.live) occupy(p.node, service.unit, -static_cast<double>(service.parallel) / service.slots, -b.watts);
  }
  if (p.engine && p.engine->busy()) occupy(p.node, service.unit, -p.span_units, -p.span_watts);
  std::vector<std::uint64_t> lost;
  lose_work(id, lost);
  queue_.cancel(p.ready);
  show_load(id);
  leave_router(id);
  p.phase = ReplicaPhase::starting;
  p.loaded_at = Instant::never();
  update_ready(p.service);
  lose_requests(lost);
}

// What a replica runs and what waits there.
void World::lose_work(std::uint32_t id, std::vector<std::uint64_t>& lost) {
  Replica& p = replicas_[id];
  if (failover_) failover_->take_held(id, lost);
  if (sharing_) sharing_->touched(id);
  if (p.engine) {
    p.engine->clear(lost);
    queue_.cancel(p.work);
  }
  if (!p.server) return;
  for (Batch& b : p.batches) {
    if (!b.live) continue;
    lost.insert(lost.end(), b.tags.begin(), b.tags.end());
    queue_.cancel(b.done);
    b.live = false;
  }
  p.server->clear(lost);
  if (p.line) p.line->clear(lost);
  queue_.cancel(p.look_again);
}

void World::lose_requests(const std::vector<std::uint64_t>& lost) {
  for (const std::uint64_t tag : lost) {
    const Handle h = Handle::unpack(tag);
    Request* r = find(h);
    if (r && r->stage == Stage::queued) {
      queue_.cancel(r->queue_timer);
      if (cluster_ && cluster_->removing()) cluster_->request_lost(*r);
      else if (disruptions_ && r->record.counted) disruptions_->request_lost(r->serving);
      retry_or_fail(h.slot, results::Cause::node_failed);
    }
  }
}

// Everything that runs or waits on the node is lost; its clients retry if they may.
void World::fail_node(std::uint32_t node) {
  NodeState& n = nodes_[node];
  if (!n.up) return;
  n.up = false;
  if (disruptions_ && !(cluster_ && cluster_->removing())) disruptions_->node_down(node);
  if (costs_) note_machine(node, false);
  std::vector<std::uint64_t> lost;
  std::vector<std::uint32_t> here = n.replicas;  // removed ones leave the list
  std::sort(here.begin(), here.end());
  for (const std::uint32_t id : here) {
    Replica& p = replicas_[id];
    lose_work(id, lost);
    queue_.cancel(p.ready);
    show_load(id);
    leave_router(id);
    // Local and unscaled replicas come back with their node; scaled and draining ones do not, and
    // requests on their way to them find another replica.
    const std::uint32_t placed = placed_by(p.service);
    const bool kept = disruptions_ && disruptions_->keeps(id);
    if (placed != ~0U) {
      const bool went = p.phase == ReplicaPhase::draining && !kept;
      remove_replica(id);
      if (!went) placer_->lost(placed);
    } else if (scenario_.services[p.service].autoscaling.policy || (p.phase == ReplicaPhase::draining && !kept)) {
      remove_replica(id);
    } else {
      p.phase = ReplicaPhase::starting;
      if (disruptions_) disruptions_->forget(id);
      p.loaded_at = Instant::never();
      update_ready(p.service);
    }
  }
  if (visits_) lose_caches(node);
  if (n.cache) {
    n.cache->clear();
    begin_with_weights(node, {});
  }
  if (n.executor) {
    std::vector<std::uint64_t> batches;  // their requests are among the lost ones already
    n.executor->clear(now_, batches);
    watch_machine(node);
  }
  if (n.physics) {
    for (NodeState::UnitLoad& l : n.loads) l = {};
    n.nominal.set(now_, Watts(0));
    show_activity(node);
    n.physics->set_running(now_, false);
    watch_physics(node);
  } else {
    n.power.set(now_, Watts(0));
  }
  n.busy_units.set(now_, 0);
  if (sharing_) sharing_->node_failed(node);
  lose_requests(lost);
  lose_handovers(node);
  if (calls_)
    for (const std::uint32_t id : here) calls_->forget(id);
  if (visits_) lose_visits(node);
  if (queues_)
    for (const std::uint32_t id : here) queues_->replica_lost(id);
  if (updates_) lose_updates(node);
  if (startups_) lose_pulls(node);
  if (outboxes_) outboxes_->node_failed(node);
  if (replication_) replication_->node_failed(node);
  if (jobs_) jobs_->node_failed(node);
}

void World::recover_node(std::uint32_t node) {
  NodeState& n = nodes_[node];
  if (n.up) return;
  if (n.physics && n.physics->shut_down()) return;  // too hot or empty: it stays down
  n.up = true;
  if (disruptions_) disruptions_->node_up(node);
  if (costs_) note_machine(node, true);
  const NodeGroup& group = scenario_.nodes[n.group];
  double watts = group.base_power + (n.uploads > 0 ? group.upload_power : 0) +
                 (n.downloads > 0 ? group.download_power : 0);
  for (std::size_t u = 0; u < group.units.size(); ++u) watts += group.units[u].idle_power * group.count_of(u);
  if (n.physics) {
    n.other_power = 0;
    n.physics->set_running(now_, true);
    draw(node, group.base_power + (n.uploads > 0 ? group.upload_power : 0) +
                   (n.downloads > 0 ? group.download_power : 0));
  } else {
    n.power.set(now_, Watts(watts));
  }
  std::vector<std::uint32_t> here = n.replicas;
  std::sort(here.begin(), here.end());
  for (const std::uint32_t id : here) {
    Replica& p = replicas_[id];
    if (p.phase != ReplicaPhase::starting) continue;
    if (spec_of(p).startup) {
      begin_start(id, false);
      continue;
    }
    ++services_[p.service].cold_starts;
    p.ready = queue_.push(now_ + spec_of(p).cold_start, EventKind::replica_ready, id);
  }
  if (updates_) resume_updates(node);
  if (outboxes_) outboxes_->node_recovered(node);
  if (placer_) placer_->recovered();
  if (jobs_) jobs_->node_recovered(node);
}

}  // namespace isthmus::world
