// Who was let into services, and what their rules remember.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "schedulers/admission_policy.hpp"
#include "sim/world/tenant_spec.hpp"

namespace isthmus::world {

//! A rule at work: one policy object, or one for each tenant.
struct AdmissionGate {
  struct State {
    std::shared_ptr<schedulers::AdmissionPolicy> policy;
    std::uint32_t inside = 0;          // admitted requests that have not left
  };
  const AdmissionRule* rule = nullptr;
  std::uint32_t service = 0xffffffffU; // at whose front it is; ~0: of a tenant
  std::string name;                    // in results
  std::vector<State> states;           // per tenant: the last one for those without
  std::uint64_t admitted = 0, held_back = 0, turned_away = 0;  // after the warm-up
  std::uint64_t degraded = 0;          // let in over the quota, where the rule says so
};

struct AdmissionState {
  //! A gate that a request has passed.
  struct Pass {
    std::uint32_t gate = 0, state = 0, in_flight = 0;
    Instant since;
  };
  std::vector<AdmissionGate> gates;
  std::vector<std::vector<std::uint32_t>> of_service, of_tenant;  // gates, by index of these
  std::vector<std::vector<Pass>> passes;  // by request slot
};

}  // namespace isthmus::world
