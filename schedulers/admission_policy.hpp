// May a request enter a service, and when?
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "schedulers/policy.hpp"
#include "sim/core/time.hpp"

namespace isthmus::schedulers {

//! A request at the front of a service. Dates do not decrease from view to view.
struct AdmissionView {
  Instant now;
  double tokens = 0;            //!< that it asks for, prompt and answer
  std::int32_t priority = 0;    //!< larger: more important
  Instant deadline = Instant::never();  //!< own deadline or first latency objective, the earlier one
  double waiting = 0;           //!< requests in the queues of the service
  double running = 0;           //!< requests in service
  double slots = 1;             //!< requests that it serves at once
  Duration service;             //!< estimate of one request alone; only if the policy wants estimates
};

struct AdmissionDecision {
  bool admitted = true;
  //! Of an admitted request: when it goes on, now or later. Of another one: the earliest date at which
  //! it would be admitted if nobody else came; never() where that is not known.
  Instant at;
  std::string_view reason;      //!< static text
};

//! An admitted request has left the service.
struct AdmissionEnd {
  Instant now;
  Duration time;                //!< since it was admitted
  std::uint32_t in_flight = 0;  //!< admitted requests, itself included, when it was admitted
  bool answered = true;         //!< false: it failed, timed out or was given up
};

//! One object per service or tenant; it keeps state. Every admitted request ends once.
class AdmissionPolicy {
 public:
  virtual ~AdmissionPolicy() = default;
  virtual AdmissionDecision decide(const AdmissionView& view) = 0;
  virtual void ended(const AdmissionEnd&) {}
  //! A request of the service has left its queue after it waited that long.
  virtual void started(Instant, Duration) {}
  virtual bool wants_estimates() const { return false; }
};

const std::vector<PolicyEntry<AdmissionPolicy>>& admission_policies();

}  // namespace isthmus::schedulers
