#include "sim/world/arrival_generators.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include "sim/core/random.hpp"

namespace isthmus::world {

namespace {

// A date in whole nanoseconds that advances by gaps in double seconds without drift.
class DriftFreeDate {
 public:
  explicit DriftFreeDate(Duration start) : ns_(start.ns()) {}

  // False when the new date would be out of range; the date is then meaningless.
  bool advance(double gap_seconds) {
    const double gap = gap_seconds * 1e9 + carry_;
    if (!(gap < 9e18)) return false;
    const auto whole = static_cast<std::int64_t>(gap);
    carry_ = gap - static_cast<double>(whole);
    return !__builtin_add_overflow(ns_, whole, &ns_);
  }
  std::int64_t ns() const { return ns_; }

 private:
  std::int64_t ns_;
  double carry_ = 0;
};

// A Process has: bool next(Rng&, std::int64_t& date). False ends the stream.
template <class Process>
class Generator final : public ArrivalSource {
 public:
  Generator(Process process, Rng rng, std::uint64_t limit)
      : process_(std::move(process)), rng_(rng), limit_(limit) {}

  std::optional<Arrival> next() override {
    std::optional<Arrival> arrival;
    std::int64_t date = 0;
    if (index_ >= limit_ || !process_.next(rng_, date)) {
      limit_ = 0;
      return arrival;
    }
    arrival.emplace();
    arrival->at = Instant(date);
    arrival->index = index_++;
    return arrival;
  }

 private:
  Process process_;
  Rng rng_;
  std::uint64_t limit_, index_ = 0;
};

// Independent gaps drawn by `Gap`, a callable Rng& -> seconds.
template <class Gap>
class Renewal {
 public:
  Renewal(Gap gap, Duration start) : gap_(gap), date_(start) {}
  bool next(Rng& g, std::int64_t& date) {
    if (!date_.advance(gap_(g))) return false;
    date = date_.ns();
    return true;
  }

 private:
  Gap gap_;
  DriftFreeDate date_;
};

// Arrival i is computed from i, so that not even rounding accumulates.
class Metronome {
 public:
  Metronome(double rate, Duration start) : rate_(rate), start_(start.ns()) {}
  bool next(Rng&, std::int64_t& date) {
    const long double offset = static_cast<long double>(i_++) * 1e9L / rate_;
    if (!(offset < 9e18L)) return false;
    return !__builtin_add_overflow(start_, std::llround(offset), &date);
  }

 private:
  double rate_;
  std::int64_t start_;
  std::uint64_t i_ = 0;
};

// Poisson with a rate that is constant on stretches. The unit-rate gap is spent along the
// stretches, which is exact: nothing is thinned away. `Stretches` has: double rate(), double
// left() (seconds of the present stretch still ahead, may be infinite), void spend(double) and
// bool advance(Rng&) to the next stretch.
template <class Stretches>
class ModulatedPoisson {
 public:
  ModulatedPoisson(Stretches stretches, Duration start)
      : stretches_(std::move(stretches)), date_(start) {}

  bool next(Rng& g, std::int64_t& date) {
    double todo = sample_exponential(g, 1.0);
    double gap = 0;
    for (;;) {
      const double rate = stretches_.rate(), left = stretches_.left();
      if (todo <= rate * left && rate > 0) {
        const double last = std::min(todo / rate, left);
        stretches_.spend(last);
        if (!date_.advance(gap + last)) return false;
        date = date_.ns();
        return true;
      }
      gap += left;
      todo -= rate * left;
      // Beyond the range of the clock no later stretch matters.
      if (!(gap < 9.2e9) || !stretches_.advance(g)) return false;
    }
  }

 private:
  Stretches stretches_;
  DriftFreeDate date_;
};

class MarkovStates {
 public:
  MarkovStates(std::vector<double> rates, std::vector<double> sojourns, Rng& g)
      : rates_(std::move(rates)), sojourns_(std::move(sojourns)) {
    state_ = sample_discrete(g, sojourns_);
    left_ = sample_exponential(g, sojourns_[state_]);
  }
  double rate() const { return rates_[state_]; }
  double left() const { return left_; }
  void spend(double seconds) { left_ -= seconds; }
  bool advance(Rng& g) {
    state_ = state_ + 1 == rates_.size() ? 0 : state_ + 1;
    left_ = sample_exponential(g, sojourns_[state_]);
    return true;
  }

 private:
  std::vector<double> rates_, sojourns_;
  std::size_t state_;
  double left_;
};

class StepStretches {
 public:
  StepStretches(std::vector<RateStep> steps, Duration start) : steps_(std::move(steps)) {
    // Before the first step nothing arrives; what lies before `start` is passed over.
    while (next_ < steps_.size() && steps_[next_].at <= start) rate_ = steps_[next_++].rate;
    left_ = until_next(start);
  }
  double rate() const { return rate_; }
  double left() const { return left_; }
  void spend(double seconds) { left_ -= seconds; }
  bool advance(Rng&) {
    if (next_ == steps_.size()) return false;
    const RateStep& step = steps_[next_++];
    rate_ = step.rate;
    left_ = until_next(step.at);
    return true;
  }

 private:
  double until_next(Duration from) const {
    if (next_ == steps_.size()) return std::numeric_limits<double>::infinity();
    return (steps_[next_].at - from).seconds();
  }
  std::vector<RateStep> steps_;
  std::size_t next_ = 0;
  double rate_ = 0, left_ = 0;
};

// A sinusoidal rate by thinning (Lewis and Shedler 1979).
class Diurnal {
 public:
  explicit Diurnal(const Arrivals& a)
      : mean_gap_(1 / (a.rate * (1 + a.amplitude))),
        amplitude_(a.amplitude),
        phase_(a.phase),
        period_(a.period.seconds()),
        date_(a.start) {}

  bool next(Rng& g, std::int64_t& date) {
    double intensity = 0;
    do {
      if (!date_.advance(sample_exponential(g, mean_gap_))) return false;
      const double turns = static_cast<double>(date_.ns()) * 1e-9 / period_ + phase_;
      intensity = 1 + amplitude_ * std::sin(2 * pi * (turns - std::floor(turns)));
    } while (uniform01(g) * (1 + amplitude_) > intensity);
    date = date_.ns();
    return true;
  }

 private:
  static constexpr double pi = 3.14159265358979323846;
  double mean_gap_, amplitude_, phase_, period_;
  DriftFreeDate date_;
};

class ExplicitTimes {
 public:
  ExplicitTimes(std::vector<Duration> times, Duration start) : times_(std::move(times)) {
    while (next_ < times_.size() && times_[next_] < start) ++next_;
  }
  bool next(Rng&, std::int64_t& date) {
    if (next_ == times_.size()) return false;
    date = times_[next_++].ns();
    return true;
  }

 private:
  std::vector<Duration> times_;
  std::size_t next_ = 0;
};

// Checks parameters, naming the workload.
class Checker {
 public:
  explicit Checker(const Workload& w) : name_(w.name) {}
  [[noreturn]] void fail(std::string_view message) const {
    throw InputError(fmt::format("workload \"{}\": arrivals: {}", name_, message));
  }
  void positive(std::string_view what, double v) const {
    if (!(v > 0) || !std::isfinite(v))
      fail(fmt::format("{} must be positive and finite, found {}", what, v));
  }
  void not_negative(std::string_view what, double v) const {
    if (!(v >= 0) || !std::isfinite(v))
      fail(fmt::format("{} must be non-negative and finite, found {}", what, v));
  }
  void within(std::string_view what, double v, double lo, double hi) const {
    if (!(v >= lo && v <= hi))
      fail(fmt::format("{} must lie between {} and {}, found {}", what, lo, hi, v));
  }

 private:
  const std::string& name_;
};

// Checks a rate for each state or step; at least one must bring arrivals.
void check_rates(const Checker& check, const std::vector<double>& rates, std::string_view of) {
  bool any = false;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    check.not_negative(fmt::format("the rate of {} {}", of, i), rates[i]);
    any |= rates[i] > 0;
  }
  if (!any) check.fail(fmt::format("at least one {} needs a positive rate", of));
}

std::vector<double> checked_sojourns(const Checker& check, const Arrivals& a) {
  if (a.rates.size() != a.sojourns.size())
    check.fail(fmt::format("mmpp needs one mean sojourn per state, found {} rates and {} sojourns",
                           a.rates.size(), a.sojourns.size()));
  check_rates(check, a.rates, "state");
  std::vector<double> seconds;
  for (std::size_t i = 0; i < a.sojourns.size(); ++i) {
    seconds.push_back(a.sojourns[i].seconds());
    check.positive(fmt::format("the mean sojourn of state {}", i), seconds.back());
  }
  return seconds;
}

void check_steps(const Checker& check, const std::vector<RateStep>& steps) {
  std::vector<double> rates;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    rates.push_back(steps[i].rate);
    if (steps[i].at < Duration::zero()) check.fail(fmt::format("step {} begins before the run", i));
    if (i > 0 && steps[i].at <= steps[i - 1].at)
      check.fail(fmt::format("step {} at {} s must come after the one before it, at {} s", i,
                             steps[i].at.seconds(), steps[i - 1].at.seconds()));
  }
  check_rates(check, rates, "step");
}

void check_times(const Checker& check, const std::vector<Duration>& times) {
  for (std::size_t i = 0; i < times.size(); ++i) {
    if (times[i] < Duration::zero()) check.fail(fmt::format("date {} lies before the run", i));
    if (i > 0 && times[i] < times[i - 1])
      check.fail(fmt::format("dates must not decrease: date {} is {} s, after {} s", i,
                             times[i].seconds(), times[i - 1].seconds()));
  }
}

template <class Process>
std::unique_ptr<ArrivalSource> generator(Process process, Rng rng, const Arrivals& a) {
  return std::make_unique<Generator<Process>>(std::move(process), rng, a.limit);
}

template <class Gap>
std::unique_ptr<ArrivalSource> renewal(Gap gap, Rng rng, const Arrivals& a) {
  return generator(Renewal<Gap>(gap, a.start), rng, a);
}

}  // namespace

double weibull_shape(double cv) {
  if (!(cv >= 0.01 && cv <= 100))
    throw Error(fmt::format("weibull: cv must lie between 0.01 and 100, found {}", cv));
  // cv^2 = Gamma(1 + 2/k) / Gamma(1 + 1/k)^2 - 1 falls as k grows: bisect on ln k. std::tgamma and
  // not lgamma, which writes a global.
  const auto cv_of = [](double k) {
    const double m = std::tgamma(1 + 1 / k);
    return std::sqrt(std::tgamma(1 + 2 / k) / (m * m) - 1);
  };
  double lo = std::log(0.05), hi = std::log(200.0);
  for (int i = 0; i < 80; ++i) {
    const double mid = (lo + hi) / 2;
    (cv_of(std::exp(mid)) > cv ? lo : hi) = mid;
  }
  return std::exp((lo + hi) / 2);
}

std::unique_ptr<ArrivalSource> make_generator(const Workload& workload, std::uint64_t seed) {
  const Arrivals& a = workload.arrivals;
  const Checker check(workload);
  Rng rng = StreamKey(seed, "arrivals/" + workload.name).sequence();
  if (a.start < Duration::zero()) check.fail("start must not be negative");

  switch (a.kind) {
    case ArrivalKind::poisson:
      check.positive("rate", a.rate);
      return renewal([mean = 1 / a.rate](Rng& g) { return sample_exponential(g, mean); }, rng, a);
    case ArrivalKind::gamma: {
      check.positive("rate", a.rate);
      check.within("cv", a.cv, 0.001, 1000);
      const double shape = 1 / (a.cv * a.cv), scale = 1 / (a.rate * shape);
      return renewal([=](Rng& g) { return sample_gamma(g, shape, scale); }, rng, a);
    }
    case ArrivalKind::weibull: {
      check.positive("rate", a.rate);
      check.within("cv", a.cv, 0.01, 100);
      const double shape = weibull_shape(a.cv);
      const double scale = 1 / (a.rate * std::tgamma(1 + 1 / shape));
      return renewal([=](Rng& g) { return sample_weibull(g, shape, scale); }, rng, a);
    }
    case ArrivalKind::erlang:
      check.positive("rate", a.rate);
      check.within("phases", a.phases, 1, 1000);
      return renewal(
          [mean = 1 / a.rate, k = a.phases](Rng& g) { return sample_erlang(g, k, mean); }, rng, a);
    case ArrivalKind::deterministic:
      check.positive("rate", a.rate);
      return generator(Metronome(a.rate, a.start), rng, a);
    case ArrivalKind::mmpp: {
      MarkovStates states(a.rates, checked_sojourns(check, a), rng);
      return generator(ModulatedPoisson(std::move(states), a.start), rng, a);
    }
    case ArrivalKind::diurnal:
      check.positive("rate", a.rate);
      check.within("amplitude", a.amplitude, 0, 1);
      check.within("phase", a.phase, -1e6, 1e6);
      check.positive("period", a.period.seconds());
      return generator(Diurnal(a), rng, a);
    case ArrivalKind::steps:
      check_steps(check, a.steps);
      return generator(ModulatedPoisson(StepStretches(a.steps, a.start), a.start), rng, a);
    case ArrivalKind::times:
      check_times(check, a.times);
      return generator(ExplicitTimes(a.times, a.start), rng, a);
    case ArrivalKind::closed:
    case ArrivalKind::trace:
    case ArrivalKind::recorded:
      break;
  }
  throw InternalError("not an open generator");
}

}  // namespace isthmus::world
