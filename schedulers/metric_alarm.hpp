// Points of a metric per period, as CloudWatch makes them, and how many in a row are beyond a bound.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/core/time.hpp"

namespace isthmus::schedulers {

//! Averages what is added over periods that begin at whole multiples of their length.
class MetricPoints {
 public:
  //! `replicas`: how many the value was measured on.
  struct Point {
    double value = 0, replicas = 0;
  };

  explicit MetricPoints(Duration period) : period_(period) {}

  //! Adds a value at a date; the points whose period has ended by then, oldest first. A period
  //! without values has no point.
  std::optional<Point> add(Instant at, double value, double replicas) {
    const std::int64_t period = at.ns() / period_.ns();
    std::optional<Point> ended;
    if (count_ > 0 && period != open_) ended = take();
    open_ = period;
    value_ += value;
    replicas_ += replicas;
    ++count_;
    return ended;
  }

  //! The point that ends by `now` when nothing follows it.
  std::optional<Point> end(Instant now) {
    if (count_ == 0 || now.ns() / period_.ns() == open_) return std::nullopt;
    return take();
  }

 private:
  Point take() {
    const Point p{value_ / count_, replicas_ / count_};
    value_ = replicas_ = count_ = 0;
    return p;
  }

  Duration period_;
  std::int64_t open_ = 0;
  double value_ = 0, replicas_ = 0, count_ = 0;
};

//! In alarm once so many points in a row are beyond the bound.
class MetricAlarm {
 public:
  MetricAlarm(double bound, bool above, std::uint32_t points)
      : bound_(bound), above_(above), points_(points) {}
  void see(double value) { row_ = (above_ ? value > bound_ : value < bound_) ? row_ + 1 : 0; }
  bool in_alarm() const { return row_ >= points_; }
  void forget() { row_ = 0; }

 private:
  double bound_;
  bool above_;
  std::uint32_t points_;
  std::uint32_t row_ = 0;
};

}  // namespace isthmus::schedulers
