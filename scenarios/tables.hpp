// The tables of the scenario language. Add a field here and it is read, checked, in the schema and
// on the reference page; then use it where the object is resolved (resolve_*.cpp).
#pragma once

#include "scenarios/field_table.hpp"

namespace isthmus::scenarios {

const ObjectSpec& scenario_spec();  //!< the whole file

const ObjectSpec& node_spec();  //!< tables_nodes.cpp
const ObjectSpec& unit_spec();
const ObjectSpec& peak_spec();
const ObjectSpec& unit_transfer_spec();
const ObjectSpec& accelerator_sharing_spec();
const ObjectSpec& operating_point_spec();  //!< tables_physics.cpp
const ObjectSpec& thermal_spec();
const ObjectSpec& battery_spec();
const ObjectSpec& ambient_step_spec();
const ObjectSpec& device_spec();  //!< entry of catalogue/devices.json

const ObjectSpec& network_spec();  //!< tables_network.cpp
const ObjectSpec& link_spec();
const ObjectSpec& route_spec();
const ObjectSpec& node_route_spec();
const ObjectSpec& transfer_policy_spec();
const ObjectSpec& flow_model_spec();
const ObjectSpec& link_preset_spec();  //!< entry of catalogue/links.json

const ObjectSpec& protocol_spec();  //!< tables_protocols.cpp

const ObjectSpec& outbox_spec();  //!< tables_offline.cpp
const ObjectSpec& replicated_data_spec();

const ObjectSpec& service_spec();  //!< tables_services.cpp
const ObjectSpec& queue_spec();
const ObjectSpec& pool_spec();
const ObjectSpec& variant_choice_spec();
const ObjectSpec& loading_spec();
const ObjectSpec& balancer_spec();

const ObjectSpec& speculation_spec();  //!< tables_engine.cpp
const ObjectSpec& kv_tier_spec();
const ObjectSpec& engine_adapters_spec();
std::vector<Field> continuous_batching_fields();

const ObjectSpec& update_spec();  //!< tables_updates.cpp

const ObjectSpec& descheduler_spec();  //!< tables_placement.cpp
const ObjectSpec& cluster_spec();      //!< tables_cluster.cpp
const ObjectSpec& batch_job_spec();    //!< tables_jobs.cpp

const ObjectSpec& calls_spec();  //!< tables_calls.cpp
const ObjectSpec& connection_pool_spec();
const ObjectSpec& message_queue_spec();
const ObjectSpec& key_spec();  //!< tables_caching.cpp
std::vector<Field> caching_fields();

//! A row that is the name of a policy of the table, or an object with its parameters.
Field policy(const char* name, const ObjectSpec& of, const char* help);
//! The row "variant": how a model is stored and computed.
Field stored_as(const char* help);

const ObjectSpec& model_spec();  //!< tables_models.cpp; also an entry of catalogue/models.json
const ObjectSpec& variant_spec();
const ObjectSpec& llm_shape_spec();
const ObjectSpec& vision_tower_spec();
const ObjectSpec& pass_spec();  //!< from the passes' own declarations

const ObjectSpec& workload_spec();  //!< tables_workload.cpp
const ObjectSpec& clients_spec();
const ObjectSpec& request_spec();
const ObjectSpec& request_adapters_spec();
const ObjectSpec& hedging_spec();
const ObjectSpec& task_spec();
const ObjectSpec& session_spec();

const ObjectSpec& offload_reward_spec();
const ObjectSpec& offload_spec();  //!< tables_policies.cpp, from the registered policies
const ObjectSpec& batching_spec();
const ObjectSpec& routing_spec();
const ObjectSpec& autoscaling_spec();
const ObjectSpec& list_scheduler_spec();
const ObjectSpec& placement_spec();
const ObjectSpec& governor_spec();
const ObjectSpec& variant_policy_spec();
const ObjectSpec& admission_spec();
Field admission_rules();           //!< the row "admission": a list of rules
const ObjectSpec& fault_spec();     //!< tables_faults.cpp
const ObjectSpec& crash_spec();
const ObjectSpec& maintenance_spec();
const ObjectSpec& chaos_spec();
const ObjectSpec& failover_spec();  //!< tables_failover.cpp
const ObjectSpec& rollout_spec();   //!< tables_rollouts.cpp
const ObjectSpec& compatibility_spec();
const ObjectSpec& service_level_spec();  //!< tables_levels.cpp
const ObjectSpec& startup_spec();  //!< tables_startup.cpp
const ObjectSpec& costs_spec();    //!< tables_costs.cpp
const ObjectSpec& billing_spec();
const ObjectSpec& serverless_spec();
const ObjectSpec& provider_spec();
std::vector<Field> node_cost_fields();
std::vector<Field> service_cost_fields();
const ObjectSpec& tenant_spec();    //!< tables_tenants.cpp
const ObjectSpec& model_cache_spec();
const ObjectSpec& replacement_spec();
const ObjectSpec& split_spec();
//! Must follow every schedulers::AddedPolicies::add().
void refresh_policy_tables();

const ObjectSpec& requirements_spec();  //!< tables_advice.cpp; of isthmus advise

const ObjectSpec& offload_view_spec();  //!< tables_views.cpp
const ObjectSpec& routing_view_spec();
const ObjectSpec& batching_view_spec();
const ObjectSpec& governor_view_spec();
const ObjectSpec& variant_view_spec();
const ObjectSpec& admission_view_spec();
const ObjectSpec& eviction_view_spec();
const ObjectSpec& placement_view_spec();
const ObjectSpec& autoscaling_view_spec();

//! Largest number of equal machines in a group, and of machines in a scenario.
inline constexpr double max_nodes = 10'000'000;

}  // namespace isthmus::scenarios
