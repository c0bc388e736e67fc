// How fast may the replica count follow its recommendations? Stabilization windows and rate limits
// of the HorizontalPodAutoscaler (autoscaling/v2 `behavior`), as pure functions.
//
// Source: kubernetes/kubernetes, pkg/controller/podautoscaler/horizontal.go; defaults from
// pkg/apis/autoscaling/v2/defaults.go; the cases of horizontal_test.go are tests of these
// functions.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sim/core/time.hpp"

namespace isthmus::schedulers {

//! Which of several rate limits counts: that of the largest change, of the smallest, or no change.
enum class HpaSelect : std::uint8_t { max, min, disabled };

//! One rate limit: at most `value` pods, or percent of the pods at the period's start, per period.
struct HpaScalingPolicy {
  enum class Type : std::uint8_t { pods, percent };
  Type type = Type::percent;
  std::int32_t value = 100;
  Duration period = Duration(15'000'000'000);  //!< 15 s
};

//! Rules of one direction.
struct HpaScalingRules {
  Duration stabilization;  //!< window over which the most cautious recommendation counts
  HpaSelect select = HpaSelect::max;
  std::vector<HpaScalingPolicy> policies;
};

//! Defaults of autoscaling/v2: up by 4 pods or 100 % per 15 s, whichever is more, at once.
HpaScalingRules default_scale_up();
//! Defaults of autoscaling/v2: down by 100 % per 15 s after 5 min of stabilization.
HpaScalingRules default_scale_down();

//! A past change of the replica count, `change` > 0 in either direction.
struct HpaScaleEvent {
  std::int32_t change = 0;
  Instant at;
};

//! A past recommendation, before stabilization.
struct HpaRecommendation {
  std::int32_t replicas = 0;
  Instant at;
};

//! A replica count and why it is not more extreme: DesiredWithinRange, TooFewReplicas,
//! TooManyReplicas, ScaleUpLimit or ScaleDownLimit.
struct HpaLimited {
  std::int32_t replicas = 0;
  std::string_view condition;
};

//! Keeps a recommendation between the lowest one of the scale-up window and the highest one of the
//! scale-down window (stabilizeRecommendationWithBehaviors). `past` in any order.
std::int32_t stabilized(std::span<const HpaRecommendation> past, std::int32_t current,
                        std::int32_t desired, Duration up_window, Duration down_window,
                        Instant now);

//! Without `behavior`: the highest recommendation of the last `window` (stabilizeRecommendation).
std::int32_t stabilized_downscale(std::span<const HpaRecommendation> past, std::int32_t desired,
                                  Duration window, Instant now);

//! Limits a change by the rules and by min and max (convertDesiredReplicasWithBehaviorRate).
//! Past changes in both directions count against both rates, each within its policy's period.
HpaLimited rate_limited(std::int32_t current, std::int32_t desired, std::int32_t min,
                        std::int32_t max, const HpaScalingRules& up, const HpaScalingRules& down,
                        std::span<const HpaScaleEvent> ups, std::span<const HpaScaleEvent> downs,
                        Instant now);

//! Without `behavior`: at most max(2 current, 4), min and max (convertDesiredReplicasWithRules).
HpaLimited limited_without_behavior(std::int32_t current, std::int32_t desired, std::int32_t min,
                                    std::int32_t max);

}  // namespace isthmus::schedulers
