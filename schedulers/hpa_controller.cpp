#include "schedulers/hpa_controller.hpp"

#include <algorithm>

namespace isthmus::schedulers {

namespace {

Duration longest_period(const HpaScalingRules& rules) {
  Duration longest;
  for (const HpaScalingPolicy& p : rules.policies) longest = std::max(longest, p.period);
  return longest;
}

template <class Record>
void drop_before(std::vector<Record>& records, Instant cutoff) {
  std::erase_if(records, [cutoff](const Record& r) { return r.at < cutoff; });
}

}  // namespace

HpaOutcome HpaController::reconcile(Instant now, std::int32_t current,
                                    std::span<const std::optional<std::int32_t>> proposals) {
  if (record_initial_) {
    recommendations_.push_back({current, now});
    record_initial_ = false;
  }

  // Zero replicas mean "switched off by hand", unless the object itself may scale to zero.
  if (current == 0 && spec_.min_replicas != 0) return {0, "ScalingDisabled"};
  if (!needs_metrics(current)) {
    const std::int32_t bound = std::clamp(current, spec_.min_replicas, spec_.max_replicas);
    remember(now, current, bound);
    return {bound, "SucceededRescale"};
  }

  std::optional<std::int32_t> desired;
  bool all_read = true;
  for (const auto& p : proposals) {
    if (p)
      desired = std::max(desired.value_or(0), *p);
    else
      all_read = false;
  }
  // What the silent metric would have asked for may be the larger number.
  if (!desired || (!all_read && *desired < current)) return {current, "FailedGetMetrics"};

  const HpaOutcome outcome = normalize(now, current, *desired);
  remember(now, current, outcome.replicas);
  return outcome;
}

HpaOutcome HpaController::normalize(Instant now, std::int32_t current, std::int32_t desired) {
  std::int32_t stable = desired;
  HpaLimited limited;
  if (spec_.behavior) {
    const HpaScalingRules& up = spec_.behavior->up;
    const HpaScalingRules& down = spec_.behavior->down;
    stable =
        stabilized(recommendations_, current, desired, up.stabilization, down.stabilization, now);
    limited = rate_limited(current, stable, spec_.min_replicas, spec_.max_replicas, up, down, ups_,
                           downs_, now);
  } else {
    stable = stabilized_downscale(recommendations_, desired, spec_.downscale_stabilization, now);
    limited = limited_without_behavior(current, stable, spec_.min_replicas, spec_.max_replicas);
  }
  forget(now);
  recommendations_.push_back({desired, now});

  if (limited.replicas != stable) return {limited.replicas, limited.condition};
  if (stable < desired) return {limited.replicas, "ScaleUpStabilized"};
  if (stable > desired) return {limited.replicas, "ScaleDownStabilized"};
  return {limited.replicas, "ReadyForNewScale"};
}

void HpaController::remember(Instant now, std::int32_t current, std::int32_t chosen) {
  if (!spec_.behavior || chosen == current) return;
  if (chosen > current)
    ups_.push_back({chosen - current, now});
  else
    downs_.push_back({current - chosen, now});
}

// Keeps what a later window can still see, so that a long run stays small.
void HpaController::forget(Instant now) {
  if (!spec_.behavior) {
    drop_before(recommendations_, now - spec_.downscale_stabilization);
    return;
  }
  const HpaScalingRules& up = spec_.behavior->up;
  const HpaScalingRules& down = spec_.behavior->down;
  drop_before(recommendations_, now - std::max(up.stabilization, down.stabilization));
  const Instant cutoff = now - std::max(longest_period(up), longest_period(down));
  drop_before(ups_, cutoff);
  drop_before(downs_, cutoff);
}

}  // namespace isthmus::schedulers
