#include "schedulers/hpa_behavior.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace isthmus::schedulers {

namespace {

constexpr double most_replicas = std::numeric_limits<std::int32_t>::max();

// Sum of the changes strictly younger than `period`: one exactly that old has left the period.
std::int32_t changed_within(Duration period, std::span<const HpaScaleEvent> events, Instant now) {
  std::int32_t sum = 0;
  for (const HpaScaleEvent& e : events)
    if (e.at > now - period) sum += e.change;
  return sum;
}

// What each rule allows, starting from the count at the start of its period. `sign` is +1 up, -1
// down. `cautious` picks the limit that allows less.
std::int32_t limit(std::int32_t current, const HpaScalingRules& rules, int sign,
                   std::span<const HpaScaleEvent> ups, std::span<const HpaScaleEvent> downs,
                   Instant now) {
  if (rules.select == HpaSelect::disabled || rules.policies.empty()) return current;
  const bool take_highest = (rules.select == HpaSelect::max) == (sign > 0);
  double result = 0;
  bool first = true;
  for (const HpaScalingPolicy& policy : rules.policies) {
    const double start = static_cast<double>(current) - changed_within(policy.period, ups, now) +
                         changed_within(policy.period, downs, now);
    double allowed = start + sign * policy.value;
    if (policy.type == HpaScalingPolicy::Type::percent) {
      // Rounded so that any percentage can move a small count: up on the way up, down on the way
      // down. The expressions are Kubernetes', for its rounding of products.
      const double share = static_cast<double>(policy.value) / 100;
      allowed = sign > 0 ? std::ceil(start * (1 + share)) : std::trunc(start * (1 - share));
    }
    if (first || (take_highest ? allowed > result : allowed < result)) result = allowed;
    first = false;
  }
  return static_cast<std::int32_t>(std::clamp(result, 0.0, most_replicas));
}

}  // namespace

HpaScalingRules default_scale_up() {
  return {Duration::zero(),
          HpaSelect::max,
          {{HpaScalingPolicy::Type::pods, 4, Duration(15'000'000'000)},
           {HpaScalingPolicy::Type::percent, 100, Duration(15'000'000'000)}}};
}

HpaScalingRules default_scale_down() {
  return {Duration(300'000'000'000),
          HpaSelect::max,
          {{HpaScalingPolicy::Type::percent, 100, Duration(15'000'000'000)}}};
}

std::int32_t stabilized(std::span<const HpaRecommendation> past, std::int32_t current,
                        std::int32_t desired, Duration up_window, Duration down_window,
                        Instant now) {
  std::int32_t lowest = desired;
  std::int32_t highest = desired;
  for (const HpaRecommendation& r : past) {
    if (r.at > now - up_window) lowest = std::min(lowest, r.replicas);
    if (r.at > now - down_window) highest = std::max(highest, r.replicas);
  }
  return std::clamp(current, lowest, highest);
}

std::int32_t stabilized_downscale(std::span<const HpaRecommendation> past, std::int32_t desired,
                                  Duration window, Instant now) {
  for (const HpaRecommendation& r : past)
    if (r.at >= now - window) desired = std::max(desired, r.replicas);
  return desired;
}

HpaLimited rate_limited(std::int32_t current, std::int32_t desired, std::int32_t min,
                        std::int32_t max, const HpaScalingRules& up, const HpaScalingRules& down,
                        std::span<const HpaScaleEvent> ups, std::span<const HpaScaleEvent> downs,
                        Instant now) {
  if (desired > current) {
    // Past changes may have used up more than the rate: then nothing moves, and nothing is undone.
    const std::int32_t rate = std::max(current, limit(current, up, 1, ups, downs, now));
    const bool by_rate = max > rate;
    const std::int32_t allowed = by_rate ? rate : max;
    if (desired > allowed) return {allowed, by_rate ? "ScaleUpLimit" : "TooManyReplicas"};
  } else if (desired < current) {
    const std::int32_t rate = std::min(current, limit(current, down, -1, ups, downs, now));
    const bool by_rate = min < rate;
    const std::int32_t allowed = by_rate ? rate : min;
    if (desired < allowed) return {allowed, by_rate ? "ScaleDownLimit" : "TooFewReplicas"};
  }
  return {desired, "DesiredWithinRange"};
}

HpaLimited limited_without_behavior(std::int32_t current, std::int32_t desired, std::int32_t min,
                                    std::int32_t max) {
  const auto rate =
      static_cast<std::int32_t>(std::min(std::max(2.0 * current, 4.0), most_replicas));
  const bool by_rate = max > rate;
  const std::int32_t allowed = by_rate ? rate : max;
  if (desired < min) return {min, "TooFewReplicas"};
  if (desired > allowed) return {allowed, by_rate ? "ScaleUpLimit" : "TooManyReplicas"};
  return {desired, "DesiredWithinRange"};
}

}  // namespace isthmus::schedulers
