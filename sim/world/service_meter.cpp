#include "sim/world/service_meter.hpp"

#include <algorithm>

#include "schedulers/hpa_object.hpp"
#include "sim/world/autoscaling_spec.hpp"

namespace isthmus::world {

const double* ExternalSeries::at(Instant date) const {
  const auto after = std::upper_bound(values.begin(), values.end(), date,
                                      [](Instant d, const auto& v) { return d < v.first; });
  return after == values.begin() ? nullptr : &std::prev(after)->second;
}

std::shared_ptr<schedulers::AutoscalingPolicy> Autoscaling::make() const {
  return object ? schedulers::make_hpa(*object) : policy->make(*parameters);
}

schedulers::ServiceMetrics ServiceMeter::close(Instant now, double queued, double running,
                                               std::vector<double>& spent) {
  schedulers::ServiceMetrics m;
  m.observed_at = now;
  m.window = now - since;
  m.arrivals = static_cast<double>(arrivals);
  m.completed = static_cast<double>(completed);
  m.failed = static_cast<double>(failed);
  if (m.window > Duration::zero()) {
    const double seconds = m.window.seconds();
    m.queue_length = (queued - queued_before + pending.integral(now)) / seconds;
    m.concurrency = m.queue_length + (running - running_before) / seconds;
  }
  if (completed > 0) m.mean_latency = latency_sum / static_cast<double>(completed);
  std::sort(latencies.begin(), latencies.end());
  spent = std::move(latencies);
  latencies.clear();
  arrivals = completed = failed = 0;
  latency_sum = 0;
  pending.reset(now);
  queued_before = queued;
  running_before = running;
  since = now;
  return m;
}

}  // namespace isthmus::world
