// Knative's autoscaler (KPA) as one object: stable and panic averages in, replicas and spare capacity
// for bursts out.
#pragma once

#include <cstdint>
#include <optional>

#include "schedulers/kpa_windows.hpp"
#include "sim/core/time.hpp"

namespace isthmus::schedulers {

//! What a revision says; defaults are those of config/core/configmaps/autoscaler.yaml where there are any.
struct KpaSpec {
  double target = 70;                  //!< of the metric per replica: total_value x utilization
  double total_value = 100;            //!< what one replica can take
  double target_burst_capacity = 211;  //!< -1: any burst, 0: none
  double max_scale_up_rate = 1000, max_scale_down_rate = 2;
  double panic_threshold = 2;          //!< of replicas wanted in panic over ready ones
  Duration stable_window = Duration(60'000'000'000);
  Duration scale_down_delay;           //!< zero: none
  Duration tick = Duration(2'000'000'000);  //!< granularity of the delay
  std::int32_t activation_scale = 1;   //!< fewest when it is not zero
  bool reachable = true;               //!< false: may shrink to nothing at once
};

struct KpaDecision {
  std::int32_t desired = 0;
  std::int32_t excess_burst_capacity = 0;  //!< below 0: the activator stays in the path of requests
  bool panic = false;
};

//! scaling.autoscaler.Scale() of knative/serving.
class KpaDecider {
 public:
  //! `ready`: replicas at the start; with several it starts in panic at `now`, so as not to shrink
  //! before it knows anything.
  KpaDecider(const KpaSpec& spec, std::int32_t ready, Instant now);

  //! In panic since a date, with at least so many replicas; for tests.
  void panic_since(Instant at, std::int32_t replicas) { panic_since_ = at, panic_replicas_ = replicas; }

  KpaDecision scale(Instant now, double stable, double panic, std::int32_t ready);

 private:
  KpaSpec spec_;
  std::optional<Instant> panic_since_;
  std::int32_t panic_replicas_;
  std::optional<KpaMaximum> delay_;
};

}  // namespace isthmus::schedulers
