// The look-up table of Google's Maglev.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "schedulers/routing_policy.hpp"

namespace isthmus::schedulers {

//! Index of a replica by hash modulo the table's size, which must be prime. Replicas fill the table in
//! turn, each in an order of its own, so that equal ones have equal shares to within one entry
//! (Eisenbud et al., NSDI 2016, section 3.4); those of smaller weight sit out turns, as in Envoy.
std::vector<std::uint32_t> maglev_table(std::span<const ReplicaSignal> replicas, std::uint64_t size);

//! The smallest prime that is not below `n`.
std::uint64_t prime_from(std::uint64_t n);

}  // namespace isthmus::schedulers
