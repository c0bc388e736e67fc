// What a scenario says of tenants and of admission to services.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "schedulers/admission_policy.hpp"

namespace isthmus::world {

//! A rule at the front of a service, or of a tenant.
struct AdmissionRule {
  const schedulers::PolicyEntry<schedulers::AdmissionPolicy>* policy = nullptr;
  std::optional<schedulers::Parameters> parameters;
  bool per_tenant = false;             //!< a state of its own for each tenant
  bool retry_after = false;            //!< those turned away are told when to come again
  bool degrades = false;               //!< those turned away are let in all the same, for a smaller variant
  std::vector<bool> tenants;           //!< whom it concerns, by index; empty: everybody
};

struct Tenant {
  std::string name;
  double weight = 1;                   //!< in fair queues
  std::int32_t priority = 0;           //!< of its workloads
  std::vector<AdmissionRule> admission;  //!< for its requests, at all services together
};

//! Who of those that wait in front of a replica is next.
enum class LineOrder : std::uint8_t { arrival, priority, fair, deadline };

}  // namespace isthmus::world
