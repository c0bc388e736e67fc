// Knative Pod Autoscaler as an autoscaling policy: metrics into windows, the decision into replicas
// with the way to zero and back.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>

#include "schedulers/autoscaling_policy.hpp"
#include "schedulers/entry.hpp"
#include "schedulers/kpa_decider.hpp"
#include "schedulers/kpa_windows.hpp"
#include "schedulers/replica_range.hpp"

namespace isthmus::schedulers {

namespace {

class Kpa final : public AutoscalingPolicy {
 public:
  explicit Kpa(const Parameters& p)
      : by_rate_(p.text("metric") == "rps"),
        range_(p),
        grace_(Duration::from_seconds(p.number("scale_to_zero_grace_period"))),
        stable_(seconds(p.number("stable_window")), weighted(p)),
        panic_(seconds(p.number("stable_window") * p.number("panic_window_percentage")), weighted(p)) {
    double total = p.number("target");
    const double limit = p.number("container_concurrency");
    if (total == 0) total = by_rate_ ? 200 : limit > 0 ? limit : 100;
    if (!by_rate_ && limit > 0) total = std::min(total, limit);
    spec_.total_value = total;
    spec_.target = std::max(0.01, total * p.number("target_utilization"));
    spec_.target_burst_capacity = p.number("target_burst_capacity");
    spec_.max_scale_up_rate = p.number("max_scale_up_rate");
    spec_.max_scale_down_rate = p.number("max_scale_down_rate");
    spec_.panic_threshold = p.number("panic_threshold_percentage");
    spec_.stable_window = Duration::from_seconds(p.number("stable_window"));
    spec_.scale_down_delay = Duration::from_seconds(p.number("scale_down_delay"));
    spec_.activation_scale = static_cast<std::int32_t>(p.number("activation_scale"));
  }

  bool wants_metrics() const override { return true; }
  bool wakes() const override { return true; }

  AutoscalingDecision decide(const AutoscalingView& view) override {
    for (std::size_t i = 0; i < view.samples.size(); ++i)
      take(view.samples[i], view.current == 0 && i + 1 == view.samples.size());
    const auto ready = static_cast<std::int32_t>(std::count_if(
        view.replicas.begin(), view.replicas.end(), [](const ReplicaSample& r) { return r.ready; }));
    const std::int64_t second = view.now.ns() / 1'000'000'000;
    if (!decider_) {
      decider_.emplace(spec_, ready, view.now);
      active_since_ = view.now;
    }
    if (stable_.empty(second)) return {range_.clamp(view.current), "no samples"};
    const KpaDecision d = decider_->scale(view.now, stable_.average(second), panic_.average(second), ready);
    const auto desired = std::clamp(static_cast<std::uint32_t>(std::max(0, d.desired)), range_.min, range_.max);
    if (d.excess_burst_capacity >= 0) proxy_since_.reset();
    else if (!proxy_since_) proxy_since_ = view.now;
    if (desired == 0) return to_zero(view);
    if (view.current == 0 || inactive_since_) active_since_ = view.now;
    inactive_since_.reset();
    return {desired, d.panic ? "panic" : "stable"};
  }

 private:
  static bool weighted(const Parameters& p) { return p.text("aggregation") == "weighted"; }
  static std::int64_t seconds(double s) { return std::max(1LL, std::llround(s)); }

  // The metric of a sample goes to its second, and to those before it that a longer window covers.
  void take(const ServiceMetrics& m, bool newest_at_zero) {
    const std::int64_t at = m.observed_at.ns() / 1'000'000'000;
    const auto record = [&](std::int64_t second, double value) {
      stable_.record(second, value);
      panic_.record(second, value);
    };
    // The first request at zero is reported as it comes.
    if (newest_at_zero && m.in_flight > 0)
      return record(at, by_rate_ ? std::max(1.0, m.arrivals) : std::max(1.0, m.in_flight));
    const double length = m.window.seconds();
    const double value = by_rate_ ? m.rate() : m.concurrency;
    if (length <= 0) return;
    if (length < 1) return record(at, value * length);
    for (std::int64_t k = std::llround(length) - 1; k >= 0; --k) record(at - k, value);
  }

  // Replicas stay until it was active for a stable window, and then until requests have gone through
  // the activator for the grace period, in which none can be lost.
  AutoscalingDecision to_zero(const AutoscalingView& view) {
    if (view.current == 0) return {0, "zero"};
    if (view.now - *active_since_ < spec_.stable_window) return {1, "was active within a stable window"};
    if (!inactive_since_) inactive_since_ = view.now;
    const Instant since = proxy_since_ ? std::min(*proxy_since_, *inactive_since_) : *inactive_since_;
    if (view.now - since < grace_) return {view.current, "grace period before zero"};
    return {0, "idle"};
  }

  bool by_rate_;
  ReplicaRange range_;
  Duration grace_;
  KpaSpec spec_;
  KpaBuckets stable_, panic_;
  std::optional<KpaDecider> decider_;
  std::optional<Instant> active_since_, inactive_since_, proxy_since_;
};

}  // namespace

PolicyEntry<AutoscalingPolicy> autoscaling_kpa() {
  const double hour = 3600;
  return {
      "kpa",
      "Knative Pod Autoscaler: concurrency or requests per second per replica, averaged over a stable "
      "window, and over a short one in panic; to zero and back.",
      "knative/serving, pkg/autoscaler/scaling; defaults of its autoscaler.yaml (period 2 s, "
      "scrape_period 1 s)",
      "a replica takes longer to start than the panic window is long: it asks for far too many.",
      "O(replicas + new samples), with weighted aggregation O(stable window / 1 s)",
      {text_parameter("metric", "concurrency", {"concurrency", "rps"},
                      "what is held at its target: mean requests at the service or arrivals per second"),
       number_parameter("target", Dimension::none, 0, 0, 1e9,
                        "of the metric for one replica, before target_utilization; 0: its "
                        "container_concurrency, else 100, with rps 200"),
       number_parameter("target_utilization", Dimension::fraction, 0.7, 0.01, 1,
                        "share of the target to aim at (container-concurrency-target-percentage)"),
       number_parameter("container_concurrency", Dimension::count, 0, 0, 1e6,
                        "requests that one replica takes at once: the service's slots; 0: no limit"),
       number_parameter("stable_window", Dimension::duration, 60, 6, hour, "of the usual average"),
       number_parameter("panic_window_percentage", Dimension::fraction, 0.1, 0.01, 1,
                        "length of the short window as a share of the stable one"),
       number_parameter("panic_threshold_percentage", Dimension::fraction, 2, 1.1, 10,
                        "wanted by the short window over ready replicas from which there is panic, in "
                        "which nothing shrinks for a stable window"),
       number_parameter("max_scale_up_rate", Dimension::none, 1000, 1.01, 1e6,
                        "at most so many times the ready replicas at once"),
       number_parameter("max_scale_down_rate", Dimension::none, 2, 1.01, 1e6,
                        "at least the ready replicas over this at once"),
       number_parameter("target_burst_capacity", Dimension::none, 211, -1, 1e9,
                        "spare requests below which the activator stays in the path, which makes the "
                        "way to zero shorter; -1: always, 0: only at zero"),
       number_parameter("scale_down_delay", Dimension::duration, 0, 0, hour,
                        "the largest wish of this time counts"),
       number_parameter("activation_scale", Dimension::count, 1, 1, 1e6, "fewest when not at zero"),
       number_parameter("scale_to_zero_grace_period", Dimension::duration, 30, 0, hour,
                        "requests go through the activator for so long before the last replica goes"),
       text_parameter("aggregation", "linear", {"linear", "weighted"},
                      "of the seconds of a window: mean, or newer ones count for more"),
       number_parameter("min_replicas", Dimension::count, 0, 0, 1e6, "never fewer (min-scale)"),
       number_parameter("max_replicas", Dimension::count, 10, 1, 1e6, "never more (max-scale)")},
      make_policy<AutoscalingPolicy, Kpa>};
}

}  // namespace isthmus::schedulers
