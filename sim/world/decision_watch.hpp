// Eyes on the decisions of a run, for whoever explains them: called where something was decided, and only
// then. They see what the policies saw, and change nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "schedulers/admission_policy.hpp"
#include "schedulers/routing_policy.hpp"
#include "schedulers/variant_policy.hpp"

namespace isthmus::world {

//! A balancer has chosen a replica. What a view holds beyond the signals that were filled is a default.
struct RoutingSeen {
  std::uint64_t request = 0;
  std::uint32_t service = 0;           //!< index
  Instant at;
  std::string_view policy;
  std::vector<std::uint32_t> replicas; //!< numbers of those to choose from
  const schedulers::RoutingView* view = nullptr;  //!< null: at most one, so that nobody was asked
  std::size_t chosen = 0;              //!< index into `replicas`; past its end: none
  bool outstanding = false, load = false, prefix = false, places = false, health = false;  //!< filled
  bool decode = false;                 //!< for the tokens after the first (decode pools)
  //! Replicas by number that were not shown to the policy, and why.
  std::vector<std::pair<std::uint32_t, std::string_view>> left_out;
};

//! A rule at the front of a service, or of a tenant, was asked.
struct AdmissionSeen {
  std::uint64_t request = 0;
  std::uint32_t service = 0;           //!< index
  std::string rule;                    //!< as in results
  const schedulers::AdmissionView* view = nullptr;
  schedulers::AdmissionDecision decision;
  std::uint32_t inside = 0;            //!< admitted by the rule and not gone
  bool degraded = false;               //!< not admitted by the rule, but let in for a smaller variant
};

//! A variant was chosen.
struct VariantSeen {
  std::uint64_t request = 0;
  std::uint32_t service = 0;           //!< index
  std::string_view policy;             //!< empty: nothing to choose
  const schedulers::VariantView* view = nullptr;
  schedulers::VariantDecision decision;
  std::size_t exit = 0, exits = 1;     //!< that it leaves at, of so many
};

//! On one request, with all its copies. The run ends with it.
struct DecisionEyes {
  std::uint64_t request = 0;
  std::function<void(const RoutingSeen&)> routing;
  std::function<void(const AdmissionSeen&)> admission;
  std::function<void(const VariantSeen&)> variant;
};

}  // namespace isthmus::world
