// Balancers that find out by themselves which replicas answer: what they may choose from, how a try at
// a replica ends, and where a failed request goes next.
#include <algorithm>

#include "sim/world/rollouts.hpp"
#include "sim/world/decision_watch.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

void World::open_health(std::uint32_t service) {
  ServiceState& s = services_[service];
  s.health = std::make_unique<schedulers::ReplicaHealth>(*scenario_.services[service].health);
  if (const auto& active = s.health->spec().active)
    queue_.push(now_ + active->interval, EventKind::scrape, service, for_probes);
}

// A try that the balancer of the service wants to know the end of.
void World::begin_try(std::uint32_t slot, ServiceState& s, std::uint32_t replica) {
  if (slot >= tries_.size()) tries_.resize(std::max<std::size_t>(requests_.size(), slot + 1));
  OpenTry& t = tries_[slot];
  end_try(slot, schedulers::TryEnd::error);  // its replica has gone meanwhile, and it found another
  t.replica = replica;
  t.since = now_;
  t.again = !t.failed.empty();
  if (s.health) s.health->tried(replicas_[replica].number, now_, t.again);
}

void World::end_try(std::uint32_t slot, schedulers::TryEnd how) {
  if (slot >= tries_.size() || tries_[slot].replica == ~0U) return;
  OpenTry& t = tries_[slot];
  close_try(t, requests_[slot], how);
  if (how == schedulers::TryEnd::error) t.failed.push_back(t.replica);
  else t.failed.clear();
  static_cast<Try&>(t) = {};
}

// Tells the balancer.
void World::close_try(const Try& t, const Request& r, schedulers::TryEnd how) {
  const Replica& p = replicas_[t.replica];
  ServiceState& s = services_[front_of(p.service)];
  if (s.health) s.health->ended(p.number, how, now_, t.again);
  if (!s.routes_by_outcome || how == schedulers::TryEnd::abandoned) return;
  schedulers::RoutingOutcome o{p.number, now_, now_ - t.since, now_ - t.since, Duration::zero(),
                               how == schedulers::TryEnd::answered};
  const results::RequestRecord& rec = r.record;
  if (o.succeeded && !rec.served.is_never() && rec.served >= t.since) {
    o.delivery = now_ - rec.served;
    const Instant first = !rec.first_received.is_never() ? rec.first_received
                          : !rec.first_token.is_never()  ? rec.first_token
                                                         : rec.served;
    if (first >= t.since) o.response = first - t.since;
  }
  s.routing->observe(o);
}

// Replicas that the balancer would send a request to, in usable_; `failed` are left out.
void World::find_usable(ServiceState& s, std::span<const std::uint32_t> failed) {
  schedulers::ReplicaHealth& health = *s.health;
  const schedulers::HealthSpec& spec = health.spec();
  const std::vector<std::uint32_t>& all = spec.knows_failures ? s.ready : s.listed;
  const auto left_out = [&](std::uint32_t id) {
    return spec.server(replicas_[id].number).down ||
           std::find(failed.begin(), failed.end(), id) != failed.end() || (rollouts_ && !rollouts_->may_get(id));
  };
  usable_.clear();
  for (const bool backup : {false, true}) {
    for (const std::uint32_t id : all)
      if (spec.server(replicas_[id].number).backup == backup && !left_out(id) &&
          health.usable(replicas_[id].number, replicas_[id].outstanding, now_, all.size() == 1))
        usable_.push_back(id);
    if (!usable_.empty()) break;
  }
  if (static_cast<double>(usable_.size()) < spec.panic_threshold * static_cast<double>(all.size())) {
    usable_.clear();
    for (const std::uint32_t id : all)
      if (!left_out(id)) usable_.push_back(id);
  }
}

// Of the version that the request is to get, else of any that it may get.
void World::find_usable_for(std::uint32_t slot, ServiceState& s, std::span<const std::uint32_t> failed) {
  if (rollouts_) rollouts_->aim(slot, static_cast<std::uint32_t>(&s - services_.data()));
  find_usable(s, failed);
  if (usable_.empty() && rollouts_ && rollouts_->aim_elsewhere()) find_usable(s, failed);
}

// A replica of a service whose balancer watches their health; ~0: none that it would send to.
std::uint32_t World::choose_usable(std::uint32_t slot, ServiceState& s, std::uint64_t hop) {
  schedulers::ReplicaHealth& health = *s.health;
  const std::span<const std::uint32_t> failed =
      slot < tries_.size() ? std::span<const std::uint32_t>(tries_[slot].failed)
                           : std::span<const std::uint32_t>();
  const bool seen = eyes_ && eyes_->routing && watched(requests_[slot]);
  if (!health.admits()) {
    health.turned_away();
    if (seen) show_routing(slot, s, nullptr, {}, 0);
    return ~0U;
  }
  find_usable_for(slot, s, failed);
  if (usable_.empty()) {
    if (seen) show_routing(slot, s, nullptr, {}, 0);
    return ~0U;
  }
  // Each failed try is a decision of its own.
  if (!failed.empty()) hop = hash_combine(hop, failed.size());
  if (!s.routes_unhealthy) return choose_replica(slot, s, usable_, hop);
  shown_.clear();
  for (const std::uint32_t id : health.spec().knows_failures ? s.ready : s.listed)
    if (!health.spec().server(replicas_[id].number).down &&
        std::find(failed.begin(), failed.end(), id) == failed.end() && (!rollouts_ || rollouts_->may_get(id)))
      shown_.push_back(id);
  return choose_replica(slot, s, shown_, hop);
}

// What the balancer's configuration and its experience say of the replicas, and where these are.
void World::show_places(const Router& s, std::span<const std::uint32_t> among) {
  for (std::size_t k = 0; k < among.size(); ++k) {
    const Replica& p = replicas_[among[k]];
    schedulers::ReplicaSignal& signal = signals_[k];
    signal.replica = p.number;
    if (s.routes_by_place) signal.zone = scenario_.topology.hosts[p.node].zone;
    if (!s.health) continue;
    signal.weight = s.health->weight(p.number, now_);
    signal.priority = s.health->spec().server(p.number).priority;
    signal.healthy = std::find(usable_.begin(), usable_.end(), among[k]) != usable_.end();
    if (signal.healthy) signal.penalty = s.health->take_penalty(p.number);
  }
}

// True when the chosen replica is dead, which the balancer does not know yet.
bool World::meets_nobody(std::uint32_t slot) {
  Request& r = requests_[slot];
  const ReplicaPhase phase = replicas_[r.replica].phase;
  const ServiceState& s = services_[r.serving];
  if (!s.health || phase == ReplicaPhase::ready || phase == ReplicaPhase::draining) return false;
  queue_.cancel(r.queue_timer);
  r.stage = Stage::refused;
  r.timer = queue_.push(now_ + s.health->spec().connect_timeout, EventKind::local_step, 0,
                        handle_of(slot).pack());
  return true;
}

// After a failed try: true when the balancer sends the request to another replica at once.
bool World::try_elsewhere(std::uint32_t slot) {
  Request& r = requests_[slot];
  if (r.serving == ~0U || r.split || slot >= tries_.size() || tries_[slot].failed.empty()) return false;
  if (r.visit && (r.visit->here().tier > 0 || r.visit->here().leads != 0 ||
                  r.visit->here().called || r.visit->here().asks_cache))
    return false;
  ServiceState& s = services_[r.serving];
  if (!s.health || tries_[slot].failed.size() > s.health->spec().next_tries) return false;
  if (!s.health->admits()) return false;
  if (!s.health->admits_retry()) {
    s.health->turned_away();
    return false;
  }
  find_usable_for(slot, s, tries_[slot].failed);
  if (usable_.empty()) return false;
  forget_attempt(r);
  approach(slot, r.serving);
  return true;
}

// The balancer looks whether its replicas are alive.
void World::probe(std::uint32_t service) {
  ServiceState& s = services_[service];
  for (const std::uint32_t id : s.listed)
    s.health->probed(replicas_[id].number, replicas_[id].phase == ReplicaPhase::ready);
}

}  // namespace isthmus::world
