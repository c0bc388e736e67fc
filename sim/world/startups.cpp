// Cold starts: a machine, its image, the runtime, weights and warm-up; and replicas kept alive.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "sim/world/rollouts.hpp"
#include "sim/world/saturated.hpp"
#include "sim/world/startup_state.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

namespace {

constexpr double longest_pause = 64;  // s, between attempts to pull

Duration& part(StartupState::Parts& parts, StartPart which) { return parts[static_cast<std::size_t>(which)]; }

double bytes_of(const std::vector<ImageLayer>& layers) {
  double sum = 0;
  for (const ImageLayer& l : layers) sum += l.bytes;
  return sum;
}

}  // namespace

void World::open_startups() {
  const auto& services = scenario_.services;
  if (std::none_of(services.begin(), services.end(), [](const Service& s) { return s.startup != nullptr; })) return;
  startups_ = std::make_unique<StartupState>();
  startups_->totals.resize(services.size());
  for (std::uint32_t i = 0; i < services.size(); ++i) {
    if (!services[i].startup) continue;
    const Startup& spec = *services[i].startup;
    if (!spec.on_machines) continue;
    const NodeGroup& group = scenario_.nodes[services[i].group];
    for (std::uint32_t n = group.first; n < group.first + group.count; ++n)
      for (const ImageLayer& l : spec.layers) startups_->held.emplace(n, l.id);
  }
}

void World::reset_startups() {
  for (StartupState::Totals& t : startups_->totals) t = {};
  startups_->pulled = 0;
}

void World::end_part(StartupState::Start& start, StartPart which) const {
  Duration& spent = part(start.parts, which);
  spent = spent + (now_ - start.since);
  start.since = now_;
}

// A replica that is there when the run begins has its image.
void World::start_complete(std::uint32_t id) {
  const Replica& p = replicas_[id];
  for (const ImageLayer& l : spec_of(p).startup->layers) startups_->held.emplace(p.node, l.id);
}

void World::begin_start(std::uint32_t id, bool on_new_machine) {
  Replica& p = replicas_[id];
  const Startup& spec = *spec_of(p).startup;
  ++services_[p.service].cold_starts;
  StartupState::Start& s = startups_->starts[id];
  s = {};
  s.asked = s.since = now_;
  if (on_new_machine && spec.provision > Duration::zero())
    p.ready = queue_.push(now_ + spec.provision, EventKind::startup,
                          static_cast<std::uint32_t>(StartStep::provisioned), id);
  else
    provisioned(id);
}

// Its machine is there: the image is next.
void World::provisioned(std::uint32_t id) {
  const Replica& p = replicas_[id];
  const Startup& spec = *spec_of(p).startup;
  StartupState::Start& s = startups_->starts.at(id);
  end_part(s, StartPart::provision);
  s.pulling = true;
  StartupState::Pull pull;
  for (const ImageLayer& l : spec.layers) {
    const std::pair key{p.node, l.id};
    if (startups_->held.contains(key) || !startups_->coming.insert(key).second) continue;
    pull.layers.push_back(l);
  }
  if (!pull.layers.empty()) {
    pull.node = p.node;
    pull.registry = spec.registry;
    pull.unpack = spec.unpack;
    pull.live = true;
    auto& pulls = startups_->pulls;
    const auto free = std::find_if(pulls.begin(), pulls.end(), [](const auto& q) { return !q.live; });
    const auto slot = static_cast<std::uint32_t>(free - pulls.begin());
    if (free == pulls.end()) pulls.emplace_back();
    pull.generation = pulls[slot].generation + 1;
    pulls[slot] = std::move(pull);
    begin_pull(slot);
  } else {
    image_there(id);
  }
}

void World::begin_pull(std::uint32_t slot) {
  StartupState::Pull& p = startups_->pulls[slot];
  if (p.registry == p.node) return on_image_flow_ended({slot, p.generation}, network::Outcome::delivered);
  if (!nodes_[p.registry].up) return on_image_flow_ended({slot, p.generation}, network::Outcome::failed);
  p.flow = network_->start({p.registry, p.node, bytes_of(p.layers), 0.0,
                            flow_tag(FlowOwner::image, {slot, p.generation})},
                           now_);
}

void World::on_image_flow_ended(Handle h, network::Outcome outcome) {
  StartupState::Pull& p = startups_->pulls[h.slot];
  if (!p.live || p.generation != h.generation) return;
  p.flow = FlowId::none();
  if (outcome == network::Outcome::cancelled) return;
  if (outcome == network::Outcome::failed) {
    const double pause = std::min(longest_pause, std::pow(2.0, std::min(p.attempts++, 16U)));
    p.timer = queue_.push(now_ + Duration::from_seconds(pause), EventKind::startup,
                          static_cast<std::uint32_t>(StartStep::pull_again), h.pack());
    return;
  }
  const double bytes = bytes_of(p.layers);
  if (warm_) startups_->pulled += bytes;
  p.arrived = now_;
  // Whoever waits for it pulls until now, and unpacks from now on.
  for (const std::uint32_t id : waiting_for(p)) end_part(startups_->starts.at(id), StartPart::pull);
  if (p.unpack > 0)
    p.timer = queue_.push(now_ + saturated(bytes / p.unpack), EventKind::startup,
                          static_cast<std::uint32_t>(StartStep::unpacked), h.pack());
  else
    unpacked(h.slot);
}

// Replicas of the machine that lack a layer of the pull, the oldest first.
std::vector<std::uint32_t> World::waiting_for(const StartupState::Pull& pull) const {
  std::vector<std::uint32_t> waiting;
  for (const std::uint32_t id : nodes_[pull.node].replicas) {
    const auto at = startups_->starts.find(id);
    if (at == startups_->starts.end() || !at->second.pulling) continue;
    const auto& layers = spec_of(replicas_[id]).startup->layers;
    if (std::any_of(layers.begin(), layers.end(), [&](const ImageLayer& l) {
          return std::any_of(pull.layers.begin(), pull.layers.end(),
                             [&](const ImageLayer& q) { return q.id == l.id; });
        }))
      waiting.push_back(id);
  }
  std::sort(waiting.begin(), waiting.end());
  return waiting;
}

void World::unpacked(std::uint32_t slot) {
  StartupState::Pull& p = startups_->pulls[slot];
  p.live = false;
  const std::vector<std::uint32_t> waiting = waiting_for(p);
  for (const std::uint32_t id : waiting) end_part(startups_->starts.at(id), StartPart::unpack);
  for (const ImageLayer& l : p.layers) {
    startups_->held.emplace(p.node, l.id);
    startups_->coming.erase({p.node, l.id});
  }
  for (const std::uint32_t id : waiting) image_there(id);
}

// Once all layers are there, the rest has fixed times.
void World::image_there(std::uint32_t id) {
  Replica& p = replicas_[id];
  const Startup& spec = *spec_of(p).startup;
  StartupState::Start& s = startups_->starts.at(id);
  for (const ImageLayer& l : spec.layers)
    if (!startups_->held.contains({p.node, l.id})) return;
  s.pulling = false;
  end_part(s, StartPart::pull);  // for layers that another pull brought
  if (spec.snapshot) {
    part(s.parts, StartPart::restore) = *spec.snapshot;
  } else {
    part(s.parts, StartPart::runtime) = spec.runtime;
    part(s.parts, StartPart::weights) = spec.weights;
    Duration& warmup = part(s.parts, StartPart::warmup);
    warmup = spec.warmup;
    if (spec.warmup_requests > 0)
      warmup = warmup + saturated(spec.warmup_requests * batch_time(p.service)(1).seconds());
  }
  Duration rest;
  for (const StartPart which : {StartPart::runtime, StartPart::weights, StartPart::warmup, StartPart::restore})
    rest = rest + part(s.parts, which);
  p.ready = queue_.push(now_ + rest, EventKind::replica_ready, id);
}

// It takes requests from now on.
void World::end_start(std::uint32_t id) {
  const auto at = startups_->starts.find(id);
  if (at == startups_->starts.end()) return;
  if (warm_) {
    StartupState::Totals& t = startups_->totals[replicas_[id].service];
    ++t.starts;
    t.whole = t.whole + (now_ - at->second.asked);
    for (std::size_t i = 0; i < start_parts; ++i) t.parts[i] = t.parts[i] + at->second.parts[i];
  }
  startups_->starts.erase(at);
}

void World::forget_start(std::uint32_t id) {
  startups_->starts.erase(id);
  startups_->kept.erase(id);
  queue_.cancel(replicas_[id].ready);
}

// An idle replica that nobody asks for stays for a while.
bool World::keep_alive(std::uint32_t id) {
  Replica& p = replicas_[id];
  const auto& spec = spec_of(p).startup;
  if (!spec || spec->keep_alive == Duration::zero() || !nodes_[p.node].up) return false;
  if (startups_->starts.contains(id)) return false;  // it never was ready
  if (startups_->kept.insert(id).second)
    p.ready = queue_.push(now_ + spec->keep_alive, EventKind::startup,
                          static_cast<std::uint32_t>(StartStep::kept_long_enough), id);
  return true;
}

// The newest kept replica takes requests again.
bool World::revive(std::uint32_t service) {
  if (!startups_) return false;
  for (auto it = startups_->kept.rbegin(); it != startups_->kept.rend(); ++it) {
    const std::uint32_t id = *it;
    Replica& p = replicas_[id];
    if (p.service != service || (rollouts_ && rollouts_->obsolete(id))) continue;
    queue_.cancel(p.ready);
    startups_->kept.erase(id);
    if (warm_) ++startups_->totals[service].revived;
    p.phase = ReplicaPhase::starting;
    on_replica_ready(id);
    return true;
  }
  return false;
}

// After a crash: its machine is there, and so is its image.
void World::restart(std::uint32_t id, Duration wait) {
  Replica& p = replicas_[id];
  if (spec_of(p).startup) {
    startups_->starts[id] = {};  // not ready: nothing to keep alive
    p.ready = queue_.push(now_ + wait, EventKind::startup, static_cast<std::uint32_t>(StartStep::restart), id);
    return;
  }
  ++services_[p.service].cold_starts;
  p.ready = queue_.push(now_ + wait + spec_of(p).cold_start, EventKind::replica_ready, id);
}

// The disk keeps what it has; what was on its way is lost.
void World::lose_pulls(std::uint32_t node) {
  for (StartupState::Pull& p : startups_->pulls) {
    if (!p.live || p.node != node) continue;
    p.live = false;
    queue_.cancel(p.timer);
    for (const ImageLayer& l : p.layers) startups_->coming.erase({p.node, l.id});
    if (p.flow.valid()) network_->cancel(p.flow, now_);
    p.flow = FlowId::none();
  }
  for (const std::uint32_t id : nodes_[node].replicas) startups_->starts.erase(id);
}

void World::on_startup_event(std::uint32_t step, std::uint64_t payload) {
  const Handle h = Handle::unpack(payload);
  switch (static_cast<StartStep>(step)) {
    case StartStep::provisioned: return provisioned(static_cast<std::uint32_t>(payload));
    case StartStep::unpacked: return unpacked(h.slot);
    case StartStep::pull_again: return begin_pull(h.slot);
    case StartStep::restart: return begin_start(static_cast<std::uint32_t>(payload), false);
    case StartStep::kept_long_enough: {
      const auto id = static_cast<std::uint32_t>(payload);
      startups_->kept.erase(id);
      return remove_replica(id);
    }
  }
}

void World::add_startup_totals(std::vector<std::pair<std::string, double>>& more) const {
  for (std::uint32_t i = 0; i < scenario_.services.size(); ++i) {
    const Service& service = scenario_.services[i];
    if (!service.startup) continue;
    const StartupState::Totals& t = startups_->totals[i];
    const auto n = static_cast<double>(t.starts);
    more.emplace_back("cold_starts." + service.name, n);
    if (service.startup->keep_alive > Duration::zero())
      more.emplace_back("warm_starts." + service.name, static_cast<double>(t.revived));
    if (t.starts == 0) continue;
    more.emplace_back("cold_start_mean." + service.name, t.whole.seconds() / n);
    for (std::size_t p = 0; p < start_parts; ++p)
      if (t.parts[p] > Duration::zero())
        more.emplace_back(fmt::format("cold_start_part.{}/{}", service.name, start_part_names[p]),
                          t.parts[p].seconds() / n);
  }
  if (startups_->pulled > 0) more.emplace_back("image_bytes", startups_->pulled);
}

}  // namespace isthmus::world
