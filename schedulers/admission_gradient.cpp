// A limit on concurrency from the ratio of the usual to the present latency.
#include <algorithm>

#include "schedulers/admission_policy.hpp"
#include "schedulers/entry.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

class Gradient final : public AdmissionPolicy {
 public:
  explicit Gradient(const Parameters& p)
      : limit_(p.number("initial_limit")),
        least_(p.number("min_limit")),
        most_(p.number("max_limit")),
        smoothing_(p.number("smoothing")),
        queue_(p.number("queue")),
        factor_(2 / (p.number("long_window") + 1)) {
    if (least_ > limit_ || limit_ > most_)
      throw InputError("gradient: needs min_limit <= initial_limit <= max_limit");
  }
  AdmissionDecision decide(const AdmissionView& v) override {
    if (inside_ >= static_cast<std::int64_t>(limit_)) return {false, Instant::never(), "at the limit"};
    ++inside_;
    return {true, v.now, "below the limit"};
  }
  void ended(const AdmissionEnd& e) override {
    --inside_;
    const double now = static_cast<double>(e.time.ns());
    if (now <= 0) return;
    // Mean of the first samples, then exponential.
    if (samples_ < warm_up) usual_ = (sum_ += now) / static_cast<double>(++samples_);
    else usual_ += (now - usual_) * factor_;
    const double ratio = usual_ / now;
    if (ratio > 2) usual_ *= 0.9;  // the load has gone: no need to wait for the average
    if (e.in_flight < limit_ / 2) return;
    const double wanted = limit_ * std::clamp(ratio, 0.5, 1.0) + queue_;
    limit_ = std::clamp(limit_ * (1 - smoothing_) + wanted * smoothing_, least_, most_);
  }

 private:
  static constexpr std::uint64_t warm_up = 10;
  double limit_, least_, most_, smoothing_, queue_, factor_;
  double usual_ = 0, sum_ = 0;  // ns
  std::uint64_t samples_ = 0;
  std::int64_t inside_ = 0;
};

}  // namespace

PolicyEntry<AdmissionPolicy> admission_gradient() {
  return {"gradient",
          "A concurrency limit times the ratio of the long-term to the present latency, between 0.5 "
          "and 1, plus room for a queue.",
          "Netflix concurrency-limits, Gradient2Limit",
          "requests differ much in length, or an overload lasts until it is the usual latency.",
          "O(1)",
          {number_parameter("initial_limit", Dimension::count, 20, 1, 1e6, "limit at the start"),
           number_parameter("min_limit", Dimension::count, 20, 1, 1e6, "smallest limit"),
           number_parameter("max_limit", Dimension::count, 200, 1, 1e6, "largest limit"),
           number_parameter("queue", Dimension::count, 4, 0, 1e6, "requests that may queue"),
           number_parameter("smoothing", Dimension::fraction, 0.2, 0.001, 1, "weight of the newest limit"),
           number_parameter("long_window", Dimension::count, 600, 1, 1e9,
                            "samples of the long-term average")},
          &make_policy<AdmissionPolicy, Gradient>};
}

}  // namespace isthmus::schedulers
