// Governors of the Linux kernel that follow the load: ondemand, conservative, schedutil.
#include <algorithm>
#include <cmath>

#include "schedulers/entry.hpp"
#include "schedulers/governor_policy.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

ParameterSpec period_parameter(double seconds) {
  return number_parameter("period", Dimension::duration, seconds, 1e-4, 10,
                          "between decisions; shorter follows the load sooner");
}

class Ondemand final : public GovernorPolicy {
 public:
  explicit Ondemand(const Parameters& p)
      : up_(p.number("up_threshold")),
        stay_(static_cast<int>(p.number("sampling_down_factor"))),
        period_(Duration::from_seconds(p.number("period"))) {}
  std::size_t decide(const GovernorView& v) override {
    if (v.busy > up_) {
      held_ = stay_;
      return v.frequencies.size() - 1;
    }
    if (held_ > 1 && v.current + 1 == v.frequencies.size()) {
      --held_;
      return v.current;
    }
    // freq_next = min + load (max - min), the next clock at or above it.
    const double low = v.relative(0);
    return v.at_least(low + v.busy * (1 - low));
  }
  Duration period() const override { return period_; }

 private:
  double up_;
  int stay_, held_ = 0;
  Duration period_;
};

class Conservative final : public GovernorPolicy {
 public:
  explicit Conservative(const Parameters& p)
      : up_(p.number("up_threshold")),
        down_(p.number("down_threshold")),
        step_(p.number("freq_step")),
        period_(Duration::from_seconds(p.number("period"))) {
    if (down_ >= up_)  // as the kernel's driver
      throw InputError("conservative: down_threshold must be below up_threshold");
  }
  std::size_t decide(const GovernorView& v) override {
    if (wish_ < 0) wish_ = v.relative(v.current);
    if (v.busy > up_)
      wish_ = std::min(1.0, wish_ + step_);
    else if (v.busy < down_)
      wish_ = std::max(v.relative(0), wish_ - step_);
    return v.at_least(wish_);
  }
  Duration period() const override { return period_; }

 private:
  double up_, down_, step_, wish_ = -1;  // relative clock it is at, between the available ones
  Duration period_;
};

class Schedutil final : public GovernorPolicy {
 public:
  explicit Schedutil(const Parameters& p)
      : margin_(p.number("margin")),
        half_life_(p.number("half_life")),
        period_(Duration::from_seconds(p.number("period"))) {}
  std::size_t decide(const GovernorView& v) override {
    const double keep = std::exp2(-v.since.seconds() / half_life_);
    utilization_ = utilization_ * keep + v.busy * v.relative(v.current) * (1 - keep);
    return v.at_least(margin_ * utilization_);
  }
  Duration period() const override { return period_; }

 private:
  double margin_, half_life_, utilization_ = 0;  // of the highest clock, geometrically averaged
  Duration period_;
};

}  // namespace

PolicyEntry<GovernorPolicy> governor_ondemand() {
  return {"ondemand",
          "The highest clock when the unit was busier than a threshold, else one in proportion to "
          "the load.",
          "Linux cpufreq, drivers/cpufreq/cpufreq_ondemand.c",
          "bursts are shorter than the period: they end before the clock rises.",
          "O(frequencies)",
          {number_parameter("up_threshold", Dimension::fraction, 0.80, 0.01, 1,
                            "busy share above "
                            "which the clock goes to the highest"),
           number_parameter("sampling_down_factor", Dimension::count, 1, 1, 100000,
                            "periods for which the highest clock is kept at least"),
           period_parameter(0.01)},
          &make_policy<GovernorPolicy, Ondemand>};
}

PolicyEntry<GovernorPolicy> governor_conservative() {
  return {"conservative",
          "Moves the clock up or down by a small step when the load is above or below a threshold.",
          "Linux cpufreq, drivers/cpufreq/cpufreq_conservative.c",
          "requests are rare and urgent: the clock climbs too slowly.",
          "O(frequencies)",
          {number_parameter("up_threshold", Dimension::fraction, 0.80, 0.01, 1,
                            "busy share above which the clock rises"),
           number_parameter("down_threshold", Dimension::fraction, 0.20, 0, 0.99,
                            "busy share below which the clock falls"),
           number_parameter("freq_step", Dimension::fraction, 0.05, 0.001, 1,
                            "step relative to the highest clock"),
           period_parameter(0.01)},
          &make_policy<GovernorPolicy, Conservative>};
}

PolicyEntry<GovernorPolicy> governor_schedutil() {
  return {
      "schedutil",
      "1.25 times the utilization, measured in units of the highest clock and averaged with a "
      "half-life of 32 ms.",
      "Linux cpufreq, kernel/sched/cpufreq_schedutil.c (next_freq = 1.25 max_freq util / max) "
      "and PELT (half-life of 32 periods of 1 ms)",
      "work comes in bursts of a few milliseconds with pauses.",
      "O(frequencies)",
      {number_parameter("margin", Dimension::none, 1.25, 1, 10, "headroom above the utilization"),
       number_parameter("half_life", Dimension::duration, 0.032, 1e-4, 100,
                        "after which a past load counts half"),
       period_parameter(0.01)},
      &make_policy<GovernorPolicy, Schedutil>};
}

}  // namespace isthmus::schedulers
