#include "schedulers/kpa_decider.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace isthmus::schedulers {

namespace {

std::int32_t whole(double value) {
  constexpr double most = std::numeric_limits<std::int32_t>::max();
  return static_cast<std::int32_t>(std::clamp(value, -most, most));
}

}  // namespace

KpaDecider::KpaDecider(const KpaSpec& spec, std::int32_t ready, Instant now)
    : spec_(spec), panic_replicas_(ready) {
  if (ready > 1) panic_since_ = now;
  if (spec.scale_down_delay > Duration::zero())
    delay_.emplace((spec.scale_down_delay.ns() + spec.tick.ns() - 1) / spec.tick.ns());
}

KpaDecision KpaDecider::scale(Instant now, double stable, double panic, std::int32_t ready) {
  const double count = std::max(1, ready);
  // Rounded away from it, so that any rate can move a small count.
  const double most = std::ceil(spec_.max_scale_up_rate * count);
  const double least = spec_.reachable ? std::floor(count / spec_.max_scale_down_rate) : 0.0;
  const double by_stable = std::ceil(stable / spec_.target), by_panic = std::ceil(panic / spec_.target);
  const auto limited = [&](double wanted) {
    const std::int32_t n = whole(std::min(std::max(wanted, least), most));
    return wanted > 0 ? std::max(n, spec_.activation_scale) : n;
  };

  const bool over = by_panic / count >= spec_.panic_threshold;
  if (over) {
    panic_since_ = now;
  } else if (panic_since_ && *panic_since_ + spec_.stable_window < now) {
    panic_since_.reset();
    panic_replicas_ = 0;
  }
  KpaDecision d;
  d.desired = limited(by_stable);
  d.panic = panic_since_.has_value();
  if (d.panic) {  // only upwards
    panic_replicas_ = std::max({panic_replicas_, d.desired, limited(by_panic)});
    d.desired = panic_replicas_;
  }
  if (delay_)
    d.desired = whole(delay_->record(now.ns() / spec_.tick.ns(), static_cast<double>(d.desired)));

  d.excess_burst_capacity = -1;
  if (spec_.target_burst_capacity == 0) d.excess_burst_capacity = 0;
  else if (spec_.target_burst_capacity > 0)
    d.excess_burst_capacity =
        whole(std::floor(ready * spec_.total_value - spec_.target_burst_capacity - panic));
  return d;
}

}  // namespace isthmus::schedulers
