// Averages over time as Knative's autoscaler takes them: buckets of one second in a ring.
//
// Source: knative/serving, pkg/autoscaler/aggregation (bucketing.go, max/window.go). Values are added
// to the bucket of their second; seconds without a value count as zero once there are later ones.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

namespace isthmus::schedulers {

//! Buckets over a window. Seconds are whole numbers and may go back by less than the window.
class KpaBuckets {
 public:
  //! `weighted`: newer seconds count for more, by exponential smoothing.
  explicit KpaBuckets(std::int64_t seconds, bool weighted = false);

  void record(std::int64_t second, double value);
  //! Over the window that ends with the present second; 0 when nothing in it was recorded.
  double average(std::int64_t now) const;
  //! Nothing was recorded within the window.
  bool empty(std::int64_t now) const;

  //! Share of the newest second in a weighted average over `n` seconds.
  static double smoothing(double n);

 private:
  double linear(std::int64_t now) const;
  double exponential(std::int64_t now) const;
  double& bucket(std::int64_t second) { return buckets_[index(second)]; }
  std::size_t index(std::int64_t second) const;

  std::vector<double> buckets_;
  std::int64_t window_;
  double total_ = 0, smoothing_;
  bool weighted_;
  std::optional<std::int64_t> first_, last_;
};

//! The largest of the values of the last steps, for delayed scaling down.
class KpaMaximum {
 public:
  explicit KpaMaximum(std::int64_t steps) : steps_(steps) {}
  //! Steps do not go back. Of several values of one step the largest counts.
  double record(std::int64_t step, double value);

 private:
  std::int64_t steps_;
  std::deque<std::pair<std::int64_t, double>> falling_;
};

}  // namespace isthmus::schedulers
