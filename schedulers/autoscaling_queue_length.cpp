// As many replicas as keep the requests per replica at a target.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "schedulers/autoscaling_policy.hpp"
#include "schedulers/entry.hpp"
#include "schedulers/replica_range.hpp"

namespace isthmus::schedulers {

namespace {

class QueueLength final : public AutoscalingPolicy {
 public:
  explicit QueueLength(const Parameters& p)
      : target_(p.number("target")),
        range_(p) {}

  AutoscalingDecision decide(const AutoscalingView& view) override {
    double in_flight = view.waiting;
    bool complete = true;
    for (const ReplicaSample& r : view.replicas) {
      // A starting replica that reports nothing has nothing; a silent ready one may be full.
      complete = complete && (r.in_flight || !r.ready);
      in_flight += r.in_flight.value_or(0);
    }
    const double wanted = std::ceil(in_flight / target_);
    auto desired = static_cast<std::uint32_t>(std::min(wanted, static_cast<double>(range_.max)));
    desired = range_.clamp(desired);
    if (!complete && desired < view.current)
      return {range_.clamp(view.current), "samples missing"};
    return {desired, "in flight over target"};
  }

 private:
  double target_;
  ReplicaRange range_;
};

}  // namespace

PolicyEntry<AutoscalingPolicy> autoscaling_queue_length() {
  return {
      "queue-length",
      "Asks for ceil(requests in flight / target) replicas; does not shrink on missing samples.",
      "target value on queue length, as KEDA's queue scalers",
      "replicas start slowly and load is noisy: without a stabilization window it flaps.",
      "O(replicas)",
      {number_parameter("target", Dimension::none, 4, 0.001, 1e9,
                        "requests in flight per replica, waiting ones included; about the "
                        "number of slots of one replica"),
       number_parameter("min_replicas", Dimension::count, 1, 0, 1e6, "never fewer"),
       number_parameter("max_replicas", Dimension::count, 10, 1, 1e6, "never more")},
      make_policy<AutoscalingPolicy, QueueLength>};
}

}  // namespace isthmus::schedulers
