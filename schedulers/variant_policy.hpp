// Which variant of its model answers a request?
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "schedulers/policy.hpp"
#include "sim/core/time.hpp"

namespace isthmus::schedulers {

//! One variant as its service knows it; estimates of the cost model, never what will happen.
struct VariantOption {
  std::string_view name;
  Duration service;     //!< of one request alone, expected over early exits
  double energy = 0;    //!< J above idle for that
  double accuracy = 0;  //!< expected over early exits, [0, 1]; 0 = not known
  double weight_bytes = 0;
};

//! Asked for every request when its batch is formed.
struct VariantView {
  Instant now;
  Instant created;  //!< the client has waited since
  Instant deadline =
      Instant::never();       //!< own deadline or first latency objective, the earlier one
  std::uint32_t waiting = 0;  //!< requests that stay in the queue behind this batch
  std::uint32_t slots = 1;    //!< batches that the replica serves at once
  double battery = 1;         //!< of the machine, [0, 1]
  std::uint32_t alerts = 0;   //!< of service levels, active and about the service
  std::int32_t priority = 0;  //!< of the request; larger: more important
  bool over_quota = false;    //!< a rule of admission with `degrade` would have turned it away
  std::span<const VariantOption> options;  //!< never empty, order of the scenario
};

struct VariantDecision {
  std::size_t option = 0;   //!< index into view.options
  std::string_view reason;  //!< static text
};

//! One object per replica; it may keep state.
class VariantPolicy {
 public:
  virtual ~VariantPolicy() = default;
  virtual VariantDecision choose(const VariantView& view) = 0;
};

const std::vector<PolicyEntry<VariantPolicy>>& variant_policies();

}  // namespace isthmus::schedulers
