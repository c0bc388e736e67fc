// State of one resolution: the checked tree on one side, the scenario that grows on the other.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "scenarios/catalogue.hpp"
#include "scenarios/compose.hpp"
#include "scenarios/object_view.hpp"
#include "scenarios/problems.hpp"
#include "schedulers/registry.hpp"
#include "sim/core/errors.hpp"
#include "sim/world/scenario.hpp"

namespace isthmus::scenarios {

//! Shared by the steps below, which run in this order.
struct Resolution {
  const Document& document;
  const Catalogue& catalogue;
  Problems& problems;
  world::Scenario scenario;
  std::map<std::string, std::uint32_t> groups, zones, services, tenants;
  std::map<std::string, std::vector<std::uint32_t>> links;  //!< instances in the topology, by name
  std::vector<std::vector<std::uint32_t>> group_zones;      //!< zones that a group's machines take
  std::uint32_t transfer_policy = 0;  //!< of services that state none
  bool joined = false;                                      //!< no network: everything is joined
};

//! Puts catalogue devices and link presets below the fields that override them.
void expand_catalogue(Value& root, const Catalogue& catalogue);

void resolve_nodes(Resolution& r, const ObjectView& root);
//! The memory that models on the node share, without its models.
void read_model_cache(Resolution& r, const ObjectView& node, world::NodeGroup& group);
//! Cold start of a service from its load strategy; refuses what does not fit.
void read_loading(Resolution& r, const ObjectView& s, const ObjectView& node, world::Service& out);
//! Its model in the model_cache of its node.
void read_cached(Resolution& r, const ObjectView& s, const ObjectView& node, world::Service& out);
//! Refuses services that do not fit on their machine together.
void check_shared_memory(Resolution& r, const ObjectView& root);
void resolve_network(Resolution& r, const ObjectView& root);
void resolve_protocols(Resolution& r, const ObjectView& root);
//! Refuses brokers that do not fit on their machines beside the models.
void check_brokers(Resolution& r, const ObjectView& root);
//! Index of the protocol that the service speaks; ~0: none.
std::uint32_t read_protocol(Resolution& r, const ObjectView& s, const world::Service& service);
//! The balancer of a service with at most that many replicas. With an nginx file it gives the routing.
void read_balancer(Resolution& r, const ObjectView& s, world::Service& out,
                   std::uint32_t max_replicas);
void resolve_tenants(Resolution& r, const ObjectView& root);
//! The rules of an object row "admission".
std::vector<world::AdmissionRule> read_admission(Resolution& r, const ObjectView& owner);
//! Order of the queue of a service, and the rules at its front.
void read_front(Resolution& r, const ObjectView& s, world::Service& out);
void resolve_services(Resolution& r, const ObjectView& root);
//! Index of a unit of the group by name. Throws InputError.
std::uint32_t unit_named(const world::NodeGroup& group, const std::string& wanted);
//! Unit, number of units and locality of a service.
void read_placement(Resolution& r, const ObjectView& s, world::Service& out);
//! Start, minimum and maximum of replicas. Limits may stand at the service or at the policy.
void read_replicas(Resolution& r, const ObjectView& s, world::Service& out);
//! Refuses more replicas of models than the machines hold; laws take no unit.
void check_capacity(Resolution& r, const ObjectView& s, const world::Service& out);
//! What a service with replicas of its own says, without its split.
world::Service resolve_service(Resolution& r, const ObjectView& root, const std::string& name,
                               const ObjectView& s);
//! A service with pools: itself, then its pools, at the end of the scenario's services.
void resolve_pools(Resolution& r, const ObjectView& root, const std::string& name,
                   const ObjectView& s);
//! Caches and calls of services, once all services are known.
void resolve_caching(Resolution& r, const ObjectView& root);
//! Whether that service, which the field names, can hold a cache or be called; else says why not.
bool may_be_called(Resolution& r, const ObjectView& row, std::string_view field, const std::string& caller);
//! Calls of a service and the pools that they use.
void read_calls(Resolution& r, const ObjectView& s, const std::string& name, world::Fetching& out);
//! Where chains of calls lead; refuses circles.
void resolve_call_chains(Resolution& r, const ObjectView& root);
//! Whether other services call it, or keep a cache there.
bool is_called(const world::Scenario& scenario, std::uint32_t service);
//! Keys of the requests of a workload whose arrivals are known.
std::optional<world::KeyLaw> key_of(Resolution& r, const ObjectView& request,
                                    const ObjectView& workload, const world::Workload& w);
void resolve_workloads(Resolution& r, const ObjectView& root);
void resolve_offload(Resolution& r, const ObjectView& root);
//! Throws InputError when nothing has a weight.
schedulers::OffloadReward reward_of(const ObjectView& reward);
//! Whether whom requests may reach can give what they ask for. Without problems so far.
void check_requests(Resolution& r, const ObjectView& root);
//! Updates of fleets, once services are known.
void resolve_updates(Resolution& r, const ObjectView& root);
void resolve_faults(Resolution& r, const ObjectView& root);
void resolve_offline(Resolution& r, const ObjectView& root);
void resolve_jobs(Resolution& r, const ObjectView& root);

//! A service with a placement on several node groups, or on any, becomes one with a pool on each.
void expand_placement(Value& root);
//! Why no machine of the group may take replicas of the service, whose pool is `replica`; "" if they may.
std::string unmet_requirement(Resolution& r, const ObjectView& s, const ObjectView& replica,
                              std::uint32_t group);
//! What a replica takes of its machine beside the units it computes on.
void read_requests(Resolution& r, const ObjectView& s, world::Service& out);
//! The placement of a service, without its neighbours.
void read_rules(Resolution& r, const ObjectView& s, world::Service& out,
                std::vector<std::pair<std::uint32_t, std::string>> excluded);
//! Affinity and anti-affinity, once all services are known.
void resolve_neighbours(Resolution& r, const ObjectView& s, world::Service& out);
//! How replicas share the accelerators of a node.
void read_accelerator_sharing(Resolution& r, const ObjectView& node, world::NodeGroup& group);
//! What a replica of the service wants of an accelerator that it shares, and whether it may. After its work.
void read_shared_use(Resolution& r, const ObjectView& s, world::Service& out);
void check_shared_pools(Resolution& r, const ObjectView& root);
//! Bytes of its unit that a replica needs; 0 for a law.
double replica_memory(const world::NodeGroup& group, const world::Service& service, const ObjectView& s);
void resolve_descheduler(Resolution& r, const ObjectView& root);
//! Node groups whose machines come and go. After everything that stands on machines, and after costs.
void resolve_cluster(Resolution& r, const ObjectView& root);
void resolve_levels(Resolution& r, const ObjectView& root);
void resolve_failover(Resolution& r, const ObjectView& root);
//! New versions of services. After services and failovers.
void resolve_rollouts(Resolution& r, const ObjectView& root);
//! Crashes, maintenance and chaos. After the faults and failovers.
void resolve_disruptions(Resolution& r, const ObjectView& root);
//! The parts of a service's cold start, after read_loading().
void read_startup(Resolution& r, const ObjectView& s, world::Service& out);
//! Rewrites prices of a checked tree in the scenario's currency.
void settle_currency(Value& root, Problems& problems);
//! Billing, sites and everything else of the ledger; outages of providers become faults.
void resolve_costs(Resolution& r, const ObjectView& root);
//! Joins the zones of clients and services that no single route joins.
void complete_routes(Resolution& r, const ObjectView& root);

//! Share of a link's rate that is left when its link layer sends again what it loses.
double goodput_of(const ObjectView& row);
//! States of a link over time from lists or files; `row` is the link.
void read_traces(Resolution& r, const ObjectView& row, const network::Link& link,
                 network::LinkRule& rule);
//! Lets the instances of the link follow the traces of the rule, each from its own start. A single
//! one that starts at the start takes them as its changes, and the rule loses them.
void spread_traces(const ObjectView& row, std::vector<network::Link>& links,
                   const std::vector<std::uint32_t>& instances, network::LinkRule& rule);
//! Promotion, jitter and loss of a link.
void read_link_rule(Resolution& r, const ObjectView& row, network::Link& link,
                    network::LinkRule& rule);
//! The policy of an object row "transfers", as network::Transfer::policy; `other` when it is not
//! there.
std::uint32_t read_transfer_policy(Resolution& r, const ObjectView& owner, std::uint32_t other);
//! Moves between cells and TCP. After the links.
void resolve_access_rules(Resolution& r, const ObjectView& net);
//! Reads contention and power of a link whose sharing is known, and refuses what does not fit it.
void read_sharing(Resolution& r, const ObjectView& row, network::Link& link);
//! Gives the machines that hang on a Wi-Fi cell their rates; `row` is the cell's.
void place_stations(Resolution& r, const std::string& name, const ObjectView& row,
                    const Value* access);
//! Refuses machines in several Wi-Fi cells.
void check_cells(Resolution& r, const Value* access);

//! The view of an object row that may also be a bare policy name.
ObjectView policy_view(const ObjectView& owner, std::string_view name, const ObjectSpec& spec,
                       Value& storage);
//! Parameters of a policy as the scenario states them.
template <class Entry>
schedulers::Parameters parameters_of(const Entry& entry, const ObjectView& view);

//! A policy row that is a name or an object.
template <class Policy>
void read_policy(Resolution& r, const ObjectView& s, std::string_view name, const ObjectSpec& spec,
                 const std::vector<schedulers::PolicyEntry<Policy>>& table,
                 const schedulers::PolicyEntry<Policy>*& entry,
                 std::optional<schedulers::Parameters>& parameters);

//! Clocks and governor of a unit, powers of `count` of them together.
devices::UnitPhysics unit_physics_of(const models::ComputeUnit& unit, const ObjectView& view,
                                     std::uint32_t count, Problems& problems);
//! Clocks, heat and battery of a node, or null without `physics`.
std::shared_ptr<const devices::PhysicsSpec> physics_of(const ObjectView& node,
                                                       const world::NodeGroup& group,
                                                       std::vector<devices::UnitPhysics> units,
                                                       std::span<const double> leakages,
                                                       Problems& problems);

//! The unit description of a node: its main unit with the node's own unit fields on top.
models::ComputeUnit unit_of(const std::string& name, const ObjectView& view,
                            const std::filesystem::path& folder, Problems& problems);

template <class Entry>
schedulers::Parameters parameters_of(const Entry& entry, const ObjectView& view) {
  schedulers::Parameters p(entry.parameters);
  for (const schedulers::ParameterSpec& spec : entry.parameters) {
    if (!view.has(spec.name)) continue;
    if (spec.dimension == schedulers::Dimension::text)
      p.set(spec.name, view.text(spec.name));
    else if (spec.list)
      p.set(spec.name, view.numbers(spec.name));
    else
      p.set(spec.name, view.number(spec.name));
  }
  return p;
}

//! A policy row that is a name or an object.
template <class Policy>
void read_policy(Resolution& r, const ObjectView& s, std::string_view name, const ObjectSpec& spec,
                 const std::vector<schedulers::PolicyEntry<Policy>>& table,
                 const schedulers::PolicyEntry<Policy>*& entry,
                 std::optional<schedulers::Parameters>& parameters) {
  Value storage;
  const ObjectView v = policy_view(s, name, spec, storage);
  if (v.variant().empty()) return;
  entry = &schedulers::find_entry(table, v.variant());
  parameters = parameters_of(*entry, v);
  try {
    entry->make(*parameters);  // combinations that only the policy itself can judge
  } catch (const InputError& e) {
    r.problems.add(s.at(name), s.pointer_to(name), e.what());
  }
}

}  // namespace isthmus::scenarios
