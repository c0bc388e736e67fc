#include "schedulers/keda.hpp"

#include <algorithm>
#include <cmath>

#include "schedulers/hpa_replica_calculator.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

std::int64_t milli(double value) { return std::llround(std::clamp(value, 0.0, 9e15) * 1000); }

std::int32_t least(const KedaSpec& spec) { return std::max(1, spec.min_replicas); }

HpaSpec hpa_of(const KedaSpec& spec) {
  HpaSpec hpa;
  hpa.min_replicas = least(spec);
  hpa.max_replicas = spec.max_replicas;
  hpa.behavior->down.stabilization = spec.downscale_stabilization;
  return hpa;
}

}  // namespace

std::int32_t keda_replicas(const KedaSpec& spec, std::int32_t current, double total) {
  const std::int32_t idle = spec.idle_replicas.value_or(spec.min_replicas);
  if (current <= idle && current < least(spec)) return total > spec.activation_threshold ? least(spec) : idle;
  const HpaProposal p =
      average_metric_replicas(current, milli(spec.threshold), milli(total), spec.tolerance);
  return std::clamp(p.replicas, least(spec), spec.max_replicas);
}

Keda::Keda(const KedaSpec& spec) : spec_(spec), controller_(hpa_of(spec)) {
  if (least(spec) > spec.max_replicas) throw InputError("keda: min_replicas is above max_replicas");
  if (spec.idle_replicas && *spec.idle_replicas >= spec.min_replicas)
    throw InputError("keda: idle_replicas has to be below min_replicas");
}

std::int32_t Keda::decide(Instant now, std::int32_t current, std::optional<double> total) {
  // The operator looks every polling interval and remembers when it last saw activity.
  if (!polled_ || now >= *polled_ + spec_.polling_interval) {
    polled_ = now;
    is_active_ = total && *total > spec_.activation_threshold;
    if (is_active_ || !active_) active_ = now;
  }
  const std::int32_t idle = spec_.idle_replicas.value_or(spec_.min_replicas);
  if (current < least(spec_)) {
    reason_ = is_active_ ? "activated" : "idle";
    return is_active_ ? least(spec_) : idle;
  }
  if (!is_active_ && idle < least(spec_) && total && now >= *active_ + spec_.cooldown_period) {
    reason_ = "cooled down";
    return idle;
  }
  std::vector<std::optional<std::int32_t>> proposals{std::nullopt};
  if (total)
    proposals[0] =
        average_metric_replicas(current, milli(spec_.threshold), milli(*total), spec_.tolerance).replicas;
  const HpaOutcome outcome = controller_.reconcile(now, current, proposals);
  reason_ = outcome.reason.data();
  return outcome.replicas;
}

}  // namespace isthmus::schedulers
