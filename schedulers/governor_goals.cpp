// Governors with a goal of their own: deadlines, a load threshold, a battery that lasts.
#include <algorithm>

#include "schedulers/entry.hpp"
#include "schedulers/governor_policy.hpp"
#include "sim/core/errors.hpp"

namespace isthmus::schedulers {

namespace {

class DeadlineGovernor final : public GovernorPolicy {
 public:
  explicit DeadlineGovernor(const Parameters& p)
      : margin_(p.number("margin")), period_(Duration::from_seconds(p.number("period"))) {}
  std::size_t decide(const GovernorView& v) override {
    if (v.pending <= 0) return 0;
    if (v.deadline.is_never()) return v.frequencies.size() - 1;
    const double left = (v.deadline - v.now).seconds() * (1 - margin_);
    return left <= 0 ? v.frequencies.size() - 1 : v.at_least(v.pending / left);
  }
  Duration period() const override { return period_; }
  bool wants_deadline() const override { return true; }

 private:
  double margin_;
  Duration period_;
};

class LoadThreshold final : public GovernorPolicy {
 public:
  explicit LoadThreshold(const Parameters& p)
      : up_(p.number("up")),
        down_(p.number("down")),
        saving_(p.number("saving_clock")),
        period_(Duration::from_seconds(p.number("period"))) {
    if (down_ > up_) throw InputError("load-threshold: down exceeds up");
  }
  std::size_t decide(const GovernorView& v) override {
    const double load = v.busy * v.relative(v.current);  // in units of the highest clock
    if (full_ ? load < down_ : v.busy >= up_) full_ = !full_;
    return full_ ? v.frequencies.size() - 1 : v.at_least(saving_);
  }
  Duration period() const override { return period_; }

 private:
  double up_, down_, saving_;
  bool full_ = false;
  Duration period_;
};

class BatterySaver final : public GovernorPolicy {
 public:
  explicit BatterySaver(const Parameters& p)
      : below_(p.number("below")),
        clock_(p.number("clock")),
        period_(Duration::from_seconds(p.number("period"))) {}
  std::size_t decide(const GovernorView& v) override {
    if (v.battery >= below_) return v.frequencies.size() - 1;
    // The highest clock that is not above the limit.
    std::size_t i = 0;
    while (i + 1 < v.frequencies.size() && v.relative(i + 1) <= clock_ * (1 + 1e-12)) ++i;
    return i;
  }
  Duration period() const override { return period_; }

 private:
  double below_, clock_;
  Duration period_;
};

}  // namespace

PolicyEntry<GovernorPolicy> governor_deadline() {
  return {"deadline",
          "The lowest clock at which the work that is there ends before the earliest deadline.",
          "pace instead of race to idle: Yao, Demers, Shenker, FOCS 1995 (one job at a time)",
          "requests have no deadlines (then it runs at the highest clock), or idle power "
          "dominates.",
          "O(frequencies)",
          {number_parameter("margin", Dimension::fraction, 0.1, 0, 0.95,
                            "share of the time left that stays unused"),
           number_parameter("period", Dimension::duration, 0.001, 1e-4, 10, "between decisions")},
          &make_policy<GovernorPolicy, DeadlineGovernor>};
}

PolicyEntry<GovernorPolicy> governor_load_threshold() {
  return {
      "load-threshold",
      "A saving clock while the load is light, the highest clock from a threshold on, with "
      "hysteresis.",
      "reference case R40",
      "the load stays near the threshold: half of the requests meet the slow clock.",
      "O(frequencies)",
      {number_parameter("up", Dimension::fraction, 0.7, 0, 1,
                        "busy share at the saving clock from which the clock goes to the highest"),
       number_parameter("down", Dimension::fraction, 0.3, 0, 1,
                        "load, in units of the highest clock, below which it saves again"),
       number_parameter("saving_clock", Dimension::fraction, 0.5, 0, 1,
                        "relative clock at light load; the next available one above is used"),
       number_parameter("period", Dimension::duration, 0.1, 1e-4, 100, "between decisions")},
      &make_policy<GovernorPolicy, LoadThreshold>};
}

PolicyEntry<GovernorPolicy> governor_battery_saver() {
  return {
      "battery-saver",
      "The highest clock, but not above a limit once the battery is below a level.",
      "battery saver modes of phones",
      "the machine hangs on the mains.",
      "O(frequencies)",
      {number_parameter("below", Dimension::fraction, 0.2, 0, 1, "charge below which it saves"),
       number_parameter("clock", Dimension::fraction, 0.6, 0, 1, "limit relative to the highest"),
       number_parameter("period", Dimension::duration, 1, 1e-3, 3600, "between decisions")},
      &make_policy<GovernorPolicy, BatterySaver>};
}

}  // namespace isthmus::schedulers
