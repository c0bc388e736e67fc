// Finds a registered policy by its name.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>
#include <vector>

#include "schedulers/added_policies.hpp"
#include "schedulers/admission_policy.hpp"
#include "schedulers/autoscaling_policy.hpp"
#include "schedulers/batching_policy.hpp"
#include "schedulers/eviction_policy.hpp"
#include "schedulers/governor_policy.hpp"
#include "schedulers/list_scheduler.hpp"
#include "schedulers/partition.hpp"
#include "schedulers/offload_policy.hpp"
#include "schedulers/placement_policy.hpp"
#include "schedulers/replacement_policy.hpp"
#include "schedulers/routing_policy.hpp"
#include "schedulers/variant_policy.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

//! The word for a kind of policy in messages, scenario files and on the command line.
template <class Policy>
inline constexpr std::string_view policy_kind = "";
template <>
inline constexpr std::string_view policy_kind<OffloadPolicy> = "offload";
template <>
inline constexpr std::string_view policy_kind<RoutingPolicy> = "routing";
template <>
inline constexpr std::string_view policy_kind<BatchingPolicy> = "batching";
template <>
inline constexpr std::string_view policy_kind<AutoscalingPolicy> = "autoscaling";
template <>
inline constexpr std::string_view policy_kind<PlacementPolicy> = "placement";
template <>
inline constexpr std::string_view policy_kind<GovernorPolicy> = "governor";
template <>
inline constexpr std::string_view policy_kind<Partitioner> = "partition";
template <>
inline constexpr std::string_view policy_kind<EvictionPolicy> = "eviction";
template <>
inline constexpr std::string_view policy_kind<ReplacementPolicy> = "replacement";
template <>
inline constexpr std::string_view policy_kind<VariantPolicy> = "variant";
template <>
inline constexpr std::string_view policy_kind<AdmissionPolicy> = "admission";
template <>
inline constexpr std::string_view policy_kind<ListScheduler> = "list-scheduler";

//! The names of a table, in its order, and of the added policies.
template <class Policy>
std::vector<std::string> policy_names(const std::vector<PolicyEntry<Policy>>& table) {
  std::vector<std::string> names;
  for (const auto& entry : table) names.push_back(entry.name);
  for (const auto& entry : AddedPolicies<Policy>::instance().current()) names.push_back(entry->name);
  return names;
}

//! The entry called `name`, built in or added. Throws InputError with the nearest name, or all names, when
//! there is none. The reference lives as long as the program.
template <class Policy>
const PolicyEntry<Policy>& find_entry(const std::vector<PolicyEntry<Policy>>& table,
                                      std::string_view name) {
  for (const auto& entry : table)
    if (entry.name == name) return entry;
  if (const auto* added = AddedPolicies<Policy>::instance().find(name)) return *added;
  throw InputError(fmt::format("unknown {} policy \"{}\"; {}", policy_kind<Policy>, name,
                               hint(name, policy_names(table))));
}

}  // namespace isthmus::schedulers
