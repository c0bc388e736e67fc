#include "schedulers/hpa_pods.hpp"

#include <algorithm>
#include <cmath>

namespace isthmus::schedulers {

std::int64_t milli(double value) {
  const auto nanos = static_cast<std::int64_t>(std::llround(std::clamp(value * 1e9, -9e18, 9e18)));
  return nanos > 0 ? (nanos - 1) / 1'000'000 + 1 : nanos / 1'000'000;
}

void list_pods(const AutoscalingView& view, std::optional<double> ReplicaSample::*metric, Duration window,
               std::vector<HpaPod>& pods) {
  pods.clear();
  for (const ReplicaSample& r : view.replicas) {
    HpaPod pod;
    pod.ready = r.ready;
    pod.age = r.age;
    pod.since_transition = r.since_transition.value_or(r.age);
    const std::optional<double>& value = r.*metric;
    if (value) pod.value = milli(*value);
    // A starting replica that reports nothing yet has no running container.
    if (!r.ready && !value) pod.phase = HpaPhase::pending;
    pod.sample_age = view.now - view.observed_at;
    pod.window = window;
    pod.request = 1000;
    pods.push_back(pod);
  }
}

}  // namespace isthmus::schedulers
