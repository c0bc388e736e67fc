// Every policy of isthmus. A new one is its own file plus two lines here: the declaration of its
// entry, and the entry in its kind's table. Order is that of the documentation.
#include "schedulers/admission_policy.hpp"
#include "schedulers/autoscaling_policy.hpp"
#include "schedulers/batching_policy.hpp"
#include "schedulers/eviction_policy.hpp"
#include "schedulers/governor_policy.hpp"
#include "schedulers/list_scheduler.hpp"
#include "schedulers/offload_policy.hpp"
#include "schedulers/partition.hpp"
#include "schedulers/placement_policy.hpp"
#include "schedulers/replacement_policy.hpp"
#include "schedulers/routing_policy.hpp"
#include "schedulers/variant_policy.hpp"

namespace isthmus::schedulers {

PolicyEntry<OffloadPolicy> offload_always_local();
PolicyEntry<OffloadPolicy> offload_always_edge();
PolicyEntry<OffloadPolicy> offload_always_cloud();
PolicyEntry<OffloadPolicy> offload_min_latency();
PolicyEntry<OffloadPolicy> offload_min_energy();
PolicyEntry<OffloadPolicy> offload_cheapest_within_slo();
PolicyEntry<OffloadPolicy> offload_score();
PolicyEntry<OffloadPolicy> offload_score_corrected();
PolicyEntry<OffloadPolicy> offload_threshold();
PolicyEntry<OffloadPolicy> offload_random();
PolicyEntry<OffloadPolicy> offload_round_robin();
PolicyEntry<OffloadPolicy> offload_max_reward();
PolicyEntry<OffloadPolicy> offload_cost_ratio();
PolicyEntry<OffloadPolicy> offload_cost_ratio_feedback();
PolicyEntry<OffloadPolicy> offload_weighted_threshold();
PolicyEntry<OffloadPolicy> offload_lyapunov();
PolicyEntry<OffloadPolicy> offload_multi_criteria();
PolicyEntry<OffloadPolicy> offload_epsilon_greedy();
PolicyEntry<OffloadPolicy> offload_ucb1();
PolicyEntry<OffloadPolicy> offload_thompson();
PolicyEntry<OffloadPolicy> offload_linucb();
PolicyEntry<OffloadPolicy> offload_q_learning();
PolicyEntry<OffloadPolicy> offload_policy_gradient();
PolicyEntry<OffloadPolicy> offload_oracle();

PolicyEntry<RoutingPolicy> routing_round_robin();
PolicyEntry<RoutingPolicy> routing_weighted_round_robin();
PolicyEntry<RoutingPolicy> routing_least_connections();
PolicyEntry<RoutingPolicy> routing_least_outstanding();
PolicyEntry<RoutingPolicy> routing_random();
PolicyEntry<RoutingPolicy> routing_power_of_two();
PolicyEntry<RoutingPolicy> routing_consistent_hash();
PolicyEntry<RoutingPolicy> routing_modulo_hash();
PolicyEntry<RoutingPolicy> routing_session_affinity();
PolicyEntry<RoutingPolicy> routing_kv_usage();
PolicyEntry<RoutingPolicy> routing_prefix_aware();
PolicyEntry<RoutingPolicy> routing_bounded_load();
PolicyEntry<RoutingPolicy> routing_maglev();
PolicyEntry<RoutingPolicy> routing_jump_hash();
PolicyEntry<RoutingPolicy> routing_peak_ewma();
PolicyEntry<RoutingPolicy> routing_qoe_weighted();
PolicyEntry<RoutingPolicy> routing_optimal_split();
PolicyEntry<RoutingPolicy> routing_locality_priority();

PolicyEntry<BatchingPolicy> batching_none();
PolicyEntry<BatchingPolicy> batching_fixed();
PolicyEntry<BatchingPolicy> batching_timeout();
PolicyEntry<BatchingPolicy> batching_dynamic();
PolicyEntry<BatchingPolicy> batching_greedy();
PolicyEntry<BatchingPolicy> batching_adaptive();
PolicyEntry<BatchingPolicy> batching_earliest_deadline();

PolicyEntry<AutoscalingPolicy> autoscaling_alert_step();
PolicyEntry<AutoscalingPolicy> autoscaling_fixed();
PolicyEntry<AutoscalingPolicy> autoscaling_hpa();
PolicyEntry<AutoscalingPolicy> autoscaling_cost_efficiency();
PolicyEntry<AutoscalingPolicy> autoscaling_predictive();
PolicyEntry<AutoscalingPolicy> autoscaling_keda();
PolicyEntry<AutoscalingPolicy> autoscaling_kpa();
PolicyEntry<AutoscalingPolicy> autoscaling_queue_length();
PolicyEntry<AutoscalingPolicy> autoscaling_scheduled();
PolicyEntry<AutoscalingPolicy> autoscaling_slo();
PolicyEntry<AutoscalingPolicy> autoscaling_step_scaling();
PolicyEntry<AutoscalingPolicy> autoscaling_target_tracking();

PolicyEntry<PlacementPolicy> placement_first_fit();
PolicyEntry<PlacementPolicy> placement_best_fit();
PolicyEntry<PlacementPolicy> placement_worst_fit();
PolicyEntry<PlacementPolicy> placement_spread();
PolicyEntry<PlacementPolicy> placement_most_allocated();
PolicyEntry<PlacementPolicy> placement_least_allocated();
PolicyEntry<PlacementPolicy> placement_dominant_resource();
PolicyEntry<PlacementPolicy> placement_least_cost();
PolicyEntry<PlacementPolicy> placement_random();

PolicyEntry<GovernorPolicy> governor_performance();
PolicyEntry<GovernorPolicy> governor_powersave();
PolicyEntry<GovernorPolicy> governor_userspace();
PolicyEntry<GovernorPolicy> governor_ondemand();
PolicyEntry<GovernorPolicy> governor_conservative();
PolicyEntry<GovernorPolicy> governor_schedutil();
PolicyEntry<GovernorPolicy> governor_deadline();
PolicyEntry<GovernorPolicy> governor_load_threshold();
PolicyEntry<GovernorPolicy> governor_battery_saver();

PolicyEntry<Partitioner> partition_client_only();
PolicyEntry<Partitioner> partition_remote_only();
PolicyEntry<Partitioner> partition_chain();
PolicyEntry<Partitioner> partition_min_cut();

PolicyEntry<EvictionPolicy> eviction_lru();
PolicyEntry<EvictionPolicy> eviction_lfu();
PolicyEntry<EvictionPolicy> eviction_fifo();
PolicyEntry<EvictionPolicy> eviction_priority();
PolicyEntry<EvictionPolicy> eviction_greedy_dual();

PolicyEntry<ReplacementPolicy> replacement_lru();
PolicyEntry<ReplacementPolicy> replacement_lfu();
PolicyEntry<ReplacementPolicy> replacement_fifo();
PolicyEntry<ReplacementPolicy> replacement_s3_fifo();

PolicyEntry<VariantPolicy> variant_alert_degrade();
PolicyEntry<VariantPolicy> variant_class_degrade();
PolicyEntry<VariantPolicy> variant_fixed();
PolicyEntry<VariantPolicy> variant_most_accurate();
PolicyEntry<VariantPolicy> variant_fastest();
PolicyEntry<VariantPolicy> variant_deadline();
PolicyEntry<VariantPolicy> variant_load_adaptive();
PolicyEntry<VariantPolicy> variant_energy();
PolicyEntry<VariantPolicy> variant_weighted();

PolicyEntry<ListScheduler> list_fifo();
PolicyEntry<ListScheduler> list_critical_path();
PolicyEntry<ListScheduler> list_heft();
PolicyEntry<ListScheduler> list_cpop();
PolicyEntry<ListScheduler> list_peft();
PolicyEntry<ListScheduler> list_dls();
PolicyEntry<ListScheduler> list_lookahead();
PolicyEntry<ListScheduler> list_min_min();
PolicyEntry<ListScheduler> list_max_min();
PolicyEntry<ListScheduler> list_met();
PolicyEntry<ListScheduler> list_olb();
PolicyEntry<ListScheduler> list_lpt();
PolicyEntry<ListScheduler> list_order();
PolicyEntry<ListScheduler> list_coffman_graham();
PolicyEntry<ListScheduler> list_memory_bounded();
PolicyEntry<ListScheduler> list_exact();

PolicyEntry<AdmissionPolicy> admission_always();
PolicyEntry<AdmissionPolicy> admission_token_bucket();
PolicyEntry<AdmissionPolicy> admission_concurrency();
PolicyEntry<AdmissionPolicy> admission_quota();
PolicyEntry<AdmissionPolicy> admission_aimd();
PolicyEntry<AdmissionPolicy> admission_gradient();
PolicyEntry<AdmissionPolicy> admission_codel();
PolicyEntry<AdmissionPolicy> admission_shed();
PolicyEntry<AdmissionPolicy> admission_deadline();

const std::vector<PolicyEntry<OffloadPolicy>>& offload_policies() {
  static const std::vector<PolicyEntry<OffloadPolicy>> table{
      offload_always_local(), offload_always_edge(),     offload_always_cloud(),
      offload_min_latency(),  offload_min_energy(),      offload_cheapest_within_slo(),
      offload_score(),        offload_score_corrected(), offload_threshold(),
      offload_random(),       offload_round_robin(),
      offload_max_reward(),
      offload_cost_ratio(),
      offload_cost_ratio_feedback(),
      offload_weighted_threshold(),
      offload_lyapunov(),
      offload_multi_criteria(),
      offload_epsilon_greedy(),
      offload_ucb1(),
      offload_thompson(),
      offload_linucb(),
      offload_q_learning(),
      offload_policy_gradient(),
      offload_oracle(),
  };
  return table;
}

const std::vector<PolicyEntry<RoutingPolicy>>& routing_policies() {
  static const std::vector<PolicyEntry<RoutingPolicy>> table{
      routing_round_robin(),
      routing_weighted_round_robin(),
      routing_least_connections(),
      routing_least_outstanding(),
      routing_random(),
      routing_power_of_two(),
      routing_consistent_hash(),
      routing_modulo_hash(),
      routing_session_affinity(),
      routing_kv_usage(),
      routing_prefix_aware(),
      routing_bounded_load(),
      routing_maglev(),
      routing_jump_hash(),
      routing_peak_ewma(),
      routing_qoe_weighted(),
      routing_optimal_split(),
      routing_locality_priority(),
  };
  return table;
}

const std::vector<PolicyEntry<BatchingPolicy>>& batching_policies() {
  static const std::vector<PolicyEntry<BatchingPolicy>> table{
      batching_none(),   batching_fixed(),    batching_timeout(),           batching_dynamic(),
      batching_greedy(), batching_adaptive(), batching_earliest_deadline(),
  };
  return table;
}

const std::vector<PolicyEntry<AutoscalingPolicy>>& autoscaling_policies() {
  static const std::vector<PolicyEntry<AutoscalingPolicy>> table{
      autoscaling_fixed(),
      autoscaling_hpa(),
      autoscaling_keda(),
      autoscaling_kpa(),
      autoscaling_queue_length(),
      autoscaling_scheduled(),
      autoscaling_slo(),
      autoscaling_step_scaling(),
      autoscaling_target_tracking(),
      autoscaling_predictive(),
      autoscaling_cost_efficiency(),
      autoscaling_alert_step(),
  };
  return table;
}

const std::vector<PolicyEntry<PlacementPolicy>>& placement_policies() {
  static const std::vector<PolicyEntry<PlacementPolicy>> table{
      placement_first_fit(),
      placement_best_fit(),
      placement_worst_fit(),
      placement_spread(),
      placement_most_allocated(),
      placement_least_allocated(),
      placement_dominant_resource(),
      placement_least_cost(),
      placement_random(),
  };
  return table;
}

const std::vector<PolicyEntry<GovernorPolicy>>& governor_policies() {
  static const std::vector<PolicyEntry<GovernorPolicy>> table{
      governor_performance(), governor_powersave(),      governor_userspace(),
      governor_ondemand(),    governor_conservative(),   governor_schedutil(),
      governor_deadline(),    governor_load_threshold(), governor_battery_saver(),
  };
  return table;
}

const std::vector<PolicyEntry<EvictionPolicy>>& eviction_policies() {
  static const std::vector<PolicyEntry<EvictionPolicy>> table{
      eviction_lru(),      eviction_lfu(),         eviction_fifo(),
      eviction_priority(), eviction_greedy_dual(),
  };
  return table;
}

const std::vector<PolicyEntry<ReplacementPolicy>>& replacement_policies() {
  static const std::vector<PolicyEntry<ReplacementPolicy>> table{
      replacement_lru(),
      replacement_lfu(),
      replacement_fifo(),
      replacement_s3_fifo(),
  };
  return table;
}

const std::vector<PolicyEntry<VariantPolicy>>& variant_policies() {
  static const std::vector<PolicyEntry<VariantPolicy>> table{
      variant_fixed(),         variant_most_accurate(), variant_fastest(),  variant_deadline(),
      variant_load_adaptive(), variant_energy(),        variant_weighted(),
      variant_alert_degrade(), variant_class_degrade(),
  };
  return table;
}

const std::vector<PolicyEntry<AdmissionPolicy>>& admission_policies() {
  static const std::vector<PolicyEntry<AdmissionPolicy>> table{
      admission_always(), admission_token_bucket(), admission_concurrency(),
      admission_quota(),  admission_aimd(),         admission_gradient(),
      admission_codel(),  admission_shed(),         admission_deadline(),
  };
  return table;
}

const std::vector<PolicyEntry<Partitioner>>& partitioners() {
  static const std::vector<PolicyEntry<Partitioner>> table{
      partition_client_only(),
      partition_remote_only(),
      partition_chain(),
      partition_min_cut(),
  };
  return table;
}

const std::vector<PolicyEntry<ListScheduler>>& list_schedulers() {
  static const std::vector<PolicyEntry<ListScheduler>> table{
      list_fifo(),
      list_critical_path(),
      list_heft(),
      list_cpop(),
      list_peft(),
      list_dls(),
      list_lookahead(),
      list_min_min(),
      list_max_min(),
      list_met(),
      list_olb(),
      list_lpt(),
      list_order(),
      list_coffman_graham(),
      list_memory_bounded(),
      list_exact(),
  };
  return table;
}

}  // namespace isthmus::schedulers
