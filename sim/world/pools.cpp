// Services whose replicas stand in several pools: who belongs to whom, and what the service that
// requests name shows of its pools.
#include <algorithm>

#include "sim/world/placer.hpp"
#include "sim/world/disruptions.hpp"
#include "sim/world/failover.hpp"
#include "sim/world/world.hpp"

namespace isthmus::world {

// The service that requests name.
std::uint32_t World::front_of(std::uint32_t service) const {
  const std::uint32_t front = scenario_.services[service].front;
  return front == ~0U ? service : front;
}

// The service whose placement a service or pool goes by; ~0: none.
std::uint32_t World::placed_by(std::uint32_t service) const {
  const std::uint32_t front = front_of(service);
  return scenario_.services[front].placement ? front : ~0U;
}

// All replicas of a service, with those of its pools, by number.
std::vector<std::uint32_t> World::replicas_of(std::uint32_t service) const {
  const Service& spec = scenario_.services[service];
  if (!spec.pools) return services_[service].replicas;
  std::vector<std::uint32_t> all;
  for (const auto* list : {&spec.pools->first, &spec.pools->decode})
    for (const std::uint32_t pool : *list)
      all.insert(all.end(), services_[pool].replicas.begin(), services_[pool].replicas.end());
  std::sort(all.begin(), all.end(),
            [&](std::uint32_t a, std::uint32_t b) { return replicas_[a].number < replicas_[b].number; });
  return all;
}

// What sends requests to the replicas of a service or pool.
Router* World::router_to(std::uint32_t service) {
  ServiceState& s = services_[front_of(service)];
  return scenario_.services[service].role == PoolRole::decode ? s.decode.get() : &s;
}

void World::open_pools(std::uint32_t service) {
  const Pools& pools = *scenario_.services[service].pools;
  if (pools.decode.empty()) return;
  ServiceState& s = services_[service];
  s.decode = std::make_unique<Router>();
  open_routing(*s.decode, *pools.decode_routing, *pools.decode_routing_parameters, service,
               for_decode_router);
  for (const std::uint32_t pool : pools.decode)
    services_[pool].sample = std::make_unique<devices::ServingEngine>(
        std::get<LlmModel>(scenario_.services[pool].work).cost, engine_limits(pool, scenario_.services[pool]));
}

// Routers see replicas in order of their number.
void World::join_router(std::uint32_t id) {
  const auto join = [&](std::vector<std::uint32_t>& ready) {
    ready.insert(std::upper_bound(ready.begin(), ready.end(), id,
                                  [&](std::uint32_t a, std::uint32_t b) {
                                    return replicas_[a].number < replicas_[b].number;
                                  }),
                 id);
  };
  const std::uint32_t service = replicas_[id].service;
  join(services_[service].ready);
  Router& router = *router_to(service);
  if (front_of(service) != service) join(router.ready);
  if (!router.health) return;
  if (std::find(router.listed.begin(), router.listed.end(), id) == router.listed.end())
    join(router.listed);
  router.health->joined(replicas_[id].number, now_);
}

// The balancer is told that the replica goes.
void World::delist(std::uint32_t id) {
  Router& router = *router_to(replicas_[id].service);
  if (!router.health) return;
  std::erase(router.listed, id);
  router.health->left(replicas_[id].number);
}

void World::leave_router(std::uint32_t id) {
  if (failover_) failover_->left(id);
  const auto leave = [&](std::vector<std::uint32_t>& ready) {
    const auto it = std::find(ready.begin(), ready.end(), id);
    if (it != ready.end()) ready.erase(it);
  };
  const std::uint32_t service = replicas_[id].service;
  leave(services_[service].ready);
  if (front_of(service) != service) leave(router_to(service)->ready);
}

// Whether waiting for a first replica makes sense.
bool World::expects_replica(std::uint32_t service) const {
  const Service& spec = scenario_.services[service];
  if (spec.placement && (spec.autoscaling.policy || placer_->pending(service))) return true;
  if (spec.pools)
    return std::any_of(spec.pools->first.begin(), spec.pools->first.end(),
                       [&](std::uint32_t pool) { return expects_replica(pool); });
  const std::vector<std::uint32_t>& replicas = services_[service].replicas;
  return spec.autoscaling.policy || (failover_ && failover_->manages(service)) ||
         std::any_of(replicas.begin(), replicas.end(), [&](std::uint32_t id) {
           return replicas_[id].phase == ReplicaPhase::starting || (disruptions_ && disruptions_->keeps(id));
         });
}

// How many replicas a service or pool wants from now on.
void World::ask_for(std::uint32_t service, std::uint32_t replicas) {
  const std::uint32_t before = services_[service].asked;
  services_[service].asked = replicas;
  if (const std::uint32_t front = scenario_.services[service].front; front != ~0U)
    services_[front].asked += replicas - before;
}

// A service shows the replicas and slots of all its pools.
void World::count_ready(std::uint32_t front) {
  const Pools& pools = *scenario_.services[front].pools;
  double ready = 0, slots = 0;
  for (const auto* list : {&pools.first, &pools.decode})
    for (const std::uint32_t pool : *list) {
      ready += services_[pool].ready_count.value();
      slots += services_[pool].total_slots.value();
    }
  ServiceState& s = services_[front];
  s.ready_count.set(now_, ready);
  s.total_slots.set(now_, slots);
  s.max_ready = std::max(s.max_ready, static_cast<std::uint32_t>(ready));
}

}  // namespace isthmus::world
