// One HorizontalPodAutoscaler: takes the proposals of its metrics and keeps the history that its
// stabilization and rate limits need.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "schedulers/hpa_behavior.hpp"
#include "sim/core/time.hpp"

namespace isthmus::schedulers {

//! `behavior` of the object. Without it the controller's older rules hold, as for every object that
//! leaves the field out: at most max(2 current, 4) at once, and the downscale stabilization.
struct HpaBehavior {
  HpaScalingRules up = default_scale_up();
  HpaScalingRules down = default_scale_down();
};

//! What the object says.
struct HpaSpec {
  std::int32_t min_replicas = 1;
  std::int32_t max_replicas = 10;
  std::optional<HpaBehavior> behavior = HpaBehavior{};
  Duration downscale_stabilization = Duration(300'000'000'000);  //!< used without `behavior` only
};

//! Outcome of one reconciliation. `reason` is Kubernetes' word: ScalingDisabled,
//! FailedGetMetrics, SucceededRescale (min or max moved, no metric needed), one of HpaLimited's
//! conditions when a limit held, ScaleUpStabilized, ScaleDownStabilized, or ReadyForNewScale.
struct HpaOutcome {
  std::int32_t replicas = 0;
  std::string_view reason;
};

//! reconcileAutoscaler() of kubernetes/kubernetes, pkg/controller/podautoscaler/horizontal.go.
class HpaController {
 public:
  //! `record_initial`: remember the replica count of the first reconciliation as a recommendation,
  //! as the controller does for an object that it sees for the first time; a service then keeps its
  //! initial size for one scale-down window.
  explicit HpaController(HpaSpec spec, bool record_initial = true)
      : spec_(std::move(spec)), record_initial_(record_initial) {}

  //! True when the outcome depends on metrics; otherwise the proposals are not looked at.
  bool needs_metrics(std::int32_t current) const {
    return !(current == 0 && spec_.min_replicas != 0) && current >= spec_.min_replicas &&
           current <= spec_.max_replicas;
  }

  //! One proposal per metric, empty where a metric could not be read. The largest counts; a metric
  //! that cannot be read forbids shrinking. `now` never goes back.
  HpaOutcome reconcile(Instant now, std::int32_t current,
                       std::span<const std::optional<std::int32_t>> proposals);

 private:
  HpaOutcome normalize(Instant now, std::int32_t current, std::int32_t desired);
  void remember(Instant now, std::int32_t current, std::int32_t chosen);
  void forget(Instant now);

  HpaSpec spec_;
  bool record_initial_;
  std::vector<HpaRecommendation> recommendations_;
  std::vector<HpaScaleEvent> ups_, downs_;
};

}  // namespace isthmus::schedulers
