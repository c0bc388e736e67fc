// Simulated time: integral nanoseconds, so that the order of events is exact on every machine.
#pragma once

#include <cmath>
#include <compare>
#include <cstdint>
#include <limits>

#include "sim/core/errors.hpp"

namespace isthmus {

//! A span of simulated time in integral nanoseconds. May be negative as an intermediate value.
class Duration {
 public:
  constexpr Duration() = default;
  //! `ns`: nanoseconds.
  constexpr explicit Duration(std::int64_t ns) : ns_(ns) {}

  //! Rounds `s` seconds to the nearest nanosecond. Throws Error when it is not finite or beyond
  //! +-292 years.
  static Duration from_seconds(double s) {
    const double ns = s * 1e9;
    if (!(std::abs(ns) < 9.2e18)) throw Error("duration out of range: " + std::to_string(s) + " s");
    return Duration(std::llround(ns));
  }
  static constexpr Duration zero() { return Duration(0); }
  //! The largest span; used for "never".
  static constexpr Duration max() { return Duration(std::numeric_limits<std::int64_t>::max()); }

  constexpr std::int64_t ns() const { return ns_; }
  constexpr double seconds() const { return static_cast<double>(ns_) * 1e-9; }

  constexpr auto operator<=>(const Duration&) const = default;
  constexpr Duration operator+(Duration o) const { return Duration(ns_ + o.ns_); }
  constexpr Duration operator-(Duration o) const { return Duration(ns_ - o.ns_); }
  constexpr Duration operator-() const { return Duration(-ns_); }
  constexpr Duration operator*(std::int64_t k) const { return Duration(ns_ * k); }
  constexpr Duration& operator+=(Duration o) { ns_ += o.ns_; return *this; }
  constexpr Duration& operator-=(Duration o) { ns_ -= o.ns_; return *this; }

 private:
  std::int64_t ns_ = 0;
};

//! A date on the simulated clock: nanoseconds since the start of the run.
class Instant {
 public:
  constexpr Instant() = default;
  //! `ns`: nanoseconds since the start of the run.
  constexpr explicit Instant(std::int64_t ns) : ns_(ns) {}
  static Instant from_seconds(double s) { return Instant(Duration::from_seconds(s).ns()); }
  static constexpr Instant zero() { return Instant(0); }
  //! Later than every date that a run can reach.
  static constexpr Instant never() { return Instant(std::numeric_limits<std::int64_t>::max()); }

  constexpr std::int64_t ns() const { return ns_; }
  constexpr double seconds() const { return static_cast<double>(ns_) * 1e-9; }
  constexpr bool is_never() const { return ns_ == std::numeric_limits<std::int64_t>::max(); }

  constexpr auto operator<=>(const Instant&) const = default;
  //! Saturates at never().
  constexpr Instant operator+(Duration d) const {
    std::int64_t r = 0;
    if (__builtin_add_overflow(ns_, d.ns(), &r)) return never();
    return Instant(r);
  }
  constexpr Instant operator-(Duration d) const { return Instant(ns_ - d.ns()); }
  constexpr Duration operator-(Instant o) const { return Duration(ns_ - o.ns_); }
  constexpr Instant& operator+=(Duration d) { return *this = *this + d; }

 private:
  std::int64_t ns_ = 0;
};

}  // namespace isthmus
