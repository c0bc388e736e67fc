// Local services that an update renews: stopped, started, and counted by version.
#include <utility>

#include "sim/world/world.hpp"

namespace isthmus::world {

// The service of the machine loses what it has and takes nothing until start_service().
void World::stop_service(UpdateDevice& d) {
  const std::uint32_t service = scenario_.update_lines[d.line].service;
  if (service == ~0U) return;
  const std::uint32_t id = local_replica(service, d.node);
  Replica& p = replicas_[id];
  if (p.phase != ReplicaPhase::ready) return;  // its node has just come back
  d.stopped = true;
  const Service& spec = scenario_.services[service];
  if (p.engine && p.engine->busy()) occupy(d.node, spec.unit, -p.span_units, -p.span_watts);
  for (const Batch& b : p.batches)
    if (b.live)
      occupy(d.node, spec.unit, -static_cast<double>(spec.parallel) / spec.slots, -b.watts);
  std::vector<std::uint64_t> lost;
  lose_work(id, lost);
  show_load(id);
  p.phase = ReplicaPhase::starting;
  p.loaded_at = Instant::never();
  lose_requests(lost);
}

void World::start_service(UpdateDevice& d) {
  if (!std::exchange(d.stopped, false)) return;
  const std::uint32_t id = local_replica(scenario_.update_lines[d.line].service, d.node);
  Replica& p = replicas_[id];
  p.phase = ReplicaPhase::ready;
  p.ready_since = now_;
  wake_pending(p.service);
}

// A version has answered.
void World::count_version(const Request& r) {
  if (r.replica == ~0U) return;
  const std::uint32_t line = updates_->line_of_service[replicas_[r.replica].service];
  if (line == UpdateDevice::none) return;
  UpdateLineState& s = updates_->lines[line];
  ++s.answers[r.record.version];
  if (r.record.version != s.cloud) ++s.skewed;
}

}  // namespace isthmus::world
