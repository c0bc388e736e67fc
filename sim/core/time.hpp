// Simulated time: integral nanoseconds, so that the order of events is exact on every machine.
// Arithmetic saturates instead of overflowing: "never" stays never, whatever is added to it.
#pragma once

#include <cmath>
#include <compare>
#include <cstdint>
#include <limits>
#include <string>

#include "sim/core/errors.hpp"

namespace isthmus {

//! A span of simulated time in integral nanoseconds. May be negative as an intermediate value.
class Duration {
 public:
  constexpr Duration() = default;
  //! `ns`: nanoseconds.
  constexpr explicit Duration(std::int64_t ns) : ns_(ns) {}

  //! Rounds `s` seconds to the nearest nanosecond. Throws Error when it is not finite or beyond
  //! +-291 years.
  static Duration from_seconds(double s) {
    const double ns = s * 1e9;
    if (!(std::abs(ns) < 9.2e18)) fail_range(s);
    return Duration(std::llround(ns));
  }
  static constexpr Duration zero() { return Duration(0); }
  //! The largest span (292 years); stands for "never" and "no limit".
  static constexpr Duration max() { return Duration(std::numeric_limits<std::int64_t>::max()); }
  //! The most negative span.
  static constexpr Duration min() { return Duration(std::numeric_limits<std::int64_t>::min()); }

  constexpr std::int64_t ns() const { return ns_; }
  //! In seconds, correctly rounded; from_seconds() gives it back exactly up to 26 days (2^51 ns).
  constexpr double seconds() const { return static_cast<double>(ns_) / 1e9; }

  constexpr auto operator<=>(const Duration&) const = default;
  // All of these saturate at max() and min().
  constexpr Duration operator+(Duration o) const {
    std::int64_t r = 0;
    if (__builtin_add_overflow(ns_, o.ns_, &r)) return o.ns_ > 0 ? max() : min();
    return Duration(r);
  }
  constexpr Duration operator-(Duration o) const {
    std::int64_t r = 0;
    if (__builtin_sub_overflow(ns_, o.ns_, &r)) return o.ns_ < 0 ? max() : min();
    return Duration(r);
  }
  constexpr Duration operator-() const { return zero() - *this; }
  constexpr Duration operator*(std::int64_t k) const {
    std::int64_t r = 0;
    if (__builtin_mul_overflow(ns_, k, &r)) return (ns_ > 0) == (k > 0) ? max() : min();
    return Duration(r);
  }
  constexpr Duration& operator+=(Duration o) { return *this = *this + o; }
  constexpr Duration& operator-=(Duration o) { return *this = *this - o; }

 private:
  [[noreturn, gnu::cold, gnu::noinline]] static void fail_range(double s) {
    throw Error("duration out of range: " + std::to_string(s) + " s");
  }

  std::int64_t ns_ = 0;
};

//! A date on the simulated clock: nanoseconds since the start of the run.
class Instant {
 public:
  constexpr Instant() = default;
  //! `ns`: nanoseconds since the start of the run.
  constexpr explicit Instant(std::int64_t ns) : ns_(ns) {}
  //! Rounds to the nearest nanosecond; throws as Duration::from_seconds.
  static Instant from_seconds(double s) { return Instant(Duration::from_seconds(s).ns()); }
  static constexpr Instant zero() { return Instant(0); }
  //! Later than every date that a run can reach.
  static constexpr Instant never() { return Instant(Duration::max().ns()); }

  constexpr std::int64_t ns() const { return ns_; }
  //! In seconds, correctly rounded; from_seconds() gives it back exactly up to 26 days (2^51 ns).
  constexpr double seconds() const { return static_cast<double>(ns_) / 1e9; }
  constexpr bool is_never() const { return ns_ == never().ns_; }

  constexpr auto operator<=>(const Instant&) const = default;
  //! Saturates; never() plus anything, and anything plus Duration::max(), is never().
  constexpr Instant operator+(Duration d) const {
    if (is_never() || d == Duration::max()) return never();
    return Instant((Duration(ns_) + d).ns());
  }
  //! Saturates; never() minus anything is never().
  constexpr Instant operator-(Duration d) const {
    return is_never() ? never() : Instant((Duration(ns_) - d).ns());
  }
  //! Saturates; from a date until never() it is Duration::max().
  constexpr Duration operator-(Instant o) const {
    if (is_never() && !o.is_never()) return Duration::max();
    return Duration(ns_) - Duration(o.ns_);
  }
  constexpr Instant& operator+=(Duration d) { return *this = *this + d; }
  constexpr Instant& operator-=(Duration d) { return *this = *this - d; }

 private:
  std::int64_t ns_ = 0;
};

}  // namespace isthmus
