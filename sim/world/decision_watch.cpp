#include "sim/world/decision_watch.hpp"

#include <algorithm>

#include "sim/world/world.hpp"

namespace isthmus::world {

void World::watch_decisions(DecisionEyes eyes) { eyes_ = std::make_unique<DecisionEyes>(std::move(eyes)); }

bool World::watched(const Request& r) const { return r.record.request == eyes_->request; }

// A balancer has chosen `chosen` of `among`; without a view its policy was not asked.
void World::show_routing(std::uint32_t slot, const Router& s, const schedulers::RoutingView* view,
                         std::span<const std::uint32_t> among, std::size_t chosen) const {
  const Request& r = requests_[slot];
  const Service& service = scenario_.services[r.serving];
  RoutingSeen seen;
  seen.request = r.record.request;
  seen.service = r.serving;
  seen.at = now_;
  seen.decode = services_[r.serving].decode.get() == &s;
  const auto* entry = seen.decode ? service.pools->decode_routing : service.routing;
  if (entry) seen.policy = entry->name;
  for (const std::uint32_t id : among) seen.replicas.push_back(replicas_[id].number);
  seen.view = view;
  seen.chosen = chosen;
  seen.outstanding = s.routes_by_outstanding;
  seen.load = s.routes_by_load;
  seen.prefix = s.routes_by_prefix;
  seen.places = s.routes_by_place;
  seen.health = s.health != nullptr;

  const bool failed_before = slot < tries_.size() && !tries_[slot].failed.empty();
  for (std::uint32_t id = 0; id < replicas_.size(); ++id) {
    const Replica& p = replicas_[id];
    if (p.phase == ReplicaPhase::gone || front_of(p.service) != r.serving) continue;
    if (std::find(among.begin(), among.end(), id) != among.end()) continue;
    std::string_view why;
    if (failed_before && std::find(tries_[slot].failed.begin(), tries_[slot].failed.end(), id) !=
                             tries_[slot].failed.end())
      why = "has failed this request";
    else if (s.health && !s.health->admits())
      why = "max_requests of the balancer reached";
    else if (s.health)
      why = s.health->why_out(p.number, p.outstanding, now_, s.listed.size() == 1);
    if (why.empty() && p.phase == ReplicaPhase::starting) why = "not ready";
    if (why.empty() && p.phase == ReplicaPhase::draining) why = "draining";
    if (why.empty() && s.health && s.health->spec().server(p.number).backup) why = "backup: others are usable";
    if (why.empty()) why = scenario_.services[p.service].role == PoolRole::both ? "has or had a copy of the request"
                                                                                 : "another role, or too small for it";
    seen.left_out.emplace_back(p.number, why);
  }
  eyes_->routing(seen);
}

}  // namespace isthmus::world
