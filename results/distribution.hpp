// The values of one timed quantity: sums on the fly, percentiles exact or sketched.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "results/hdr_histogram.hpp"

namespace isthmus::results {

//! Collects non-negative durations in nanoseconds (doubles hold them exactly up to 104 days).
//! Exact: keeps every value, 8 bytes each. Sketched: keeps a histogram of bounded size.
class Distribution {
 public:
  explicit Distribution(bool exact) : exact_(exact) {}

  //! Hot path. `ns` >= 0, else InternalError.
  void add(double ns) {
    if (exact_) {
      if (!(ns >= 0)) throw InternalError("a duration of a request is negative or NaN");
      if (used_ == block_size) grow();
      blocks_.back()[used_++] = ns;
    } else {
      sketch_.add(ns);
    }
    ++count_;
    sum_ += ns;
    squares_ += ns * ns;
    if (ns > max_) max_ = ns;
  }

  bool exact() const { return exact_; }
  std::uint64_t count() const { return count_; }
  //! Sum of all values, ns.
  double sum() const { return sum_; }
  double squares() const { return squares_; }  //!< sum of squares, ns^2
  //! Largest value, ns; 0 when empty.
  double max() const { return max_; }
  //! Ends adding: an exact distribution builds its histogram.
  void seal();
  //! Histogram of the values; after seal().
  const HdrHistogram& histogram() const { return sketch_; }
  //! Appends to out[i] the exact values that lie in bucket buckets[i] of the histogram, for rising,
  //! different buckets; one pass over the values.
  void collect(std::span<const std::uint32_t> buckets, std::span<std::vector<double>> out) const;

 private:
  static constexpr std::size_t block_size = 4096;
  void grow();
  template <class Visit>
  void for_each_value(Visit visit) const;

  bool exact_;
  std::uint64_t count_ = 0;
  double sum_ = 0, squares_ = 0, max_ = 0;
  HdrHistogram sketch_;
  // Blocks instead of one vector: growing never copies and never doubles the memory.
  std::vector<std::unique_ptr<double[]>> blocks_;
  std::size_t used_ = block_size;
};

//! Several sealed distributions seen as one, e.g. one per service seen as the whole run. They must
//! outlive the view and not change.
class MergedDistribution {
 public:
  explicit MergedDistribution(std::vector<const Distribution*> parts);

  std::uint64_t count() const { return count_; }
  //! ns; NaN when there are no values.
  double mean() const;
  double max() const;
  double stddev() const;  //!< divisor n
  //! Nearest-rank percentiles in ns, in the order of the rising `ps`; exact when every part is
  //! exact, else within 0.098 % and never above the largest value. NaN when there are no values.
  std::vector<double> percentiles(std::span<const double> ps) const;
  const HdrHistogram& histogram() const { return histogram_; }

 private:
  std::vector<const Distribution*> parts_;
  HdrHistogram histogram_;
  std::uint64_t count_ = 0;
  double sum_ = 0, squares_ = 0, max_ = 0;
  bool exact_ = true;
};

}  // namespace isthmus::results
