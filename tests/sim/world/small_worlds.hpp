// Small scenarios built in code, for tests of the world.
#pragma once

#include <string>

#include "schedulers/registry.hpp"
#include "sim/world/run.hpp"

namespace isthmus::world::testing {

//! One node group "server" of `replicas` machines without units; workload "load" hits service "s",
//! whose service time is a law. Fluid network, clients outside of it, random routing.
inline Scenario queue_scenario(const Distribution& service_time, double rate, double seconds,
                               std::uint32_t slots = 1, std::uint32_t replicas = 1) {
  Scenario s;
  s.name = "queue";
  s.seed = 11;
  s.simgrid = false;
  s.streaming = true;
  s.record_decisions = false;
  s.duration = Duration::from_seconds(seconds);
  s.warmup = Duration::from_seconds(seconds / 10);
  NodeGroup g;
  g.name = "server";
  g.count = replicas;
  s.nodes.push_back(g);
  s.topology.zones.push_back({"zone"});
  for (std::uint32_t i = 0; i < replicas; ++i)
    s.topology.hosts.push_back({"server" + std::to_string(i), 0, {}});
  Service v;
  v.name = "s";
  v.work = ServiceLaw{service_time, 0};
  v.slots = slots;
  v.replicas = v.min_replicas = v.max_replicas = replicas;
  const auto& routing = schedulers::find_entry(schedulers::routing_policies(), "random");
  v.routing = &routing;
  v.routing_parameters.emplace(routing.parameters);
  s.services.push_back(v);
  Workload w;
  w.name = "load";
  w.arrivals.rate = rate;
  w.clients_group = 0xffffffffU;
  w.service = 0;
  s.workloads.push_back(w);
  return s;
}

}  // namespace isthmus::world::testing
