// Which machines may take a replica: taints and tolerations, room, neighbours, spread over domains. Pure
// functions, after the Kubernetes scheduler's filters.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schedulers/placement_policy.hpp"

namespace isthmus::schedulers {

//! Why a machine cannot take a replica; the first that applies, in this order.
enum class Refusal : std::uint8_t {
  none,
  down,
  requirement,    //!< device, memory, zone, labels
  taint,
  affinity,
  anti_affinity,  //!< one of its own or of a neighbour
  spread,
  accelerators,
  memory,
  count_
};
//! As in messages, after the number of machines.
std::string_view name_of(Refusal refusal);

//! "key", "key=value", either with ":PreferNoSchedule". Other effects keep replicas off.
struct Taint {
  std::string key, value;
  bool soft = false;  //!< PreferNoSchedule: other machines are preferred
};
//! Throws InputError.
Taint parse_taint(std::string_view text);

//! "key" (any value), "key=value", "*" (everything).
struct Toleration {
  std::string key, value;
  bool any_value = true;
};
//! Throws InputError.
Toleration parse_toleration(std::string_view text);
bool tolerates(const Toleration& toleration, const Taint& taint);
//! Whether one of the tolerations covers every taint that keeps replicas off.
bool tolerates_all(std::span<const Toleration> tolerations, std::span<const Taint> taints);
//! Taints that only make other machines preferred, and that nobody tolerates.
std::uint32_t untolerated_soft(std::span<const Toleration> tolerations, std::span<const Taint> taints);

//! Skew of a domain that gets one replica more: its replicas then, less the fewest of any domain.
std::uint32_t skew_with_one_more(std::span<const std::uint32_t> domains, std::size_t domain);

//! How many machines there are for each reason; [none] counts those that may.
using RefusalCounts = std::array<std::uint32_t, static_cast<std::size_t>(Refusal::count_)>;
//! "0 of 5 machines can take it: 3 have no free accelerators, 2 have a taint that it does not tolerate".
std::string explain(const RefusalCounts& counts);

//! Replicas of a demand that fit into what is free on a machine; `most`: where nothing limits them.
std::uint64_t room_for(const PlacementDemand& demand, double free_accelerators, double free_memory,
                       std::uint64_t most);

}  // namespace isthmus::schedulers
