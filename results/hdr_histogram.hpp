// Counts of values in logarithmic buckets: percentiles of any number of values in bounded memory.
// After HdrHistogram (Tene 2013), with buckets cut directly from the bits of a double.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <memory>

#include "sim/core/errors.hpp"

namespace isthmus::results {

//! Every power of two is cut into 512 equal buckets, so the middle of a bucket is within 1/1024
//! (0.098 %) of each value in it. Covers [2^-10, 2^64): with nanoseconds from a thousandth of one
//! to 584 years; smaller values count as zero, larger ones as the last bucket. Memory: 4 KiB per
//! power of two that occurs, 300 KiB at most. Not thread-safe.
class HdrHistogram {
 public:
  static constexpr int sub_bits = 9;
  static constexpr int lowest_exponent = -10, highest_exponent = 64;
  static constexpr double smallest = 0x1.0p-10;
  //! Bucket of the values below `smallest`.
  static constexpr std::uint32_t zero_bucket = 0;
  static constexpr std::uint32_t bucket_count =
      1 + ((highest_exponent - lowest_exponent) << sub_bits);

  //! Bucket of `value`; a negative value or NaN is an InternalError.
  static std::uint32_t bucket_of(double value) {
    if (!(value >= smallest)) {
      if (!(value >= 0)) throw InternalError("histogram of a negative value or NaN");
      return zero_bucket;
    }
    if (!(value < 0x1.0p64)) return bucket_count - 1;
    // Exponent and leading mantissa bits side by side number the buckets in order.
    constexpr int shift = 52 - sub_bits;
    constexpr std::uint64_t first = static_cast<std::uint64_t>(1023 + lowest_exponent) << sub_bits;
    return static_cast<std::uint32_t>((std::bit_cast<std::uint64_t>(value) >> shift) - first) + 1;
  }
  //! The value that stands for a bucket: its middle, 0 for the zero bucket.
  static double middle_of(std::uint32_t bucket);

  void add(double value) { ++cell(bucket_of(value)), ++count_; }
  //! Adds all counts of `other`.
  void merge(const HdrHistogram& other);
  //! Number of values.
  std::uint64_t count() const { return count_; }
  //! Number of values in one bucket.
  std::uint64_t count_in(std::uint32_t bucket) const;

  //! Where the value of a rank lies: its bucket, and how many values lie in lower buckets.
  struct Place {
    std::uint32_t bucket = 0;
    std::uint64_t below = 0;
  };
  //! Place of the value with `rank` in 1 ... count(); else Error.
  Place place_of(std::uint64_t rank) const;
  //! p-th percentile (nearest rank), within 0.098 %; NaN when empty.
  double percentile(double p) const;
  //! Calls `visit(bucket, count)` for the buckets that hold values, in rising order.
  void for_each(const std::function<void(std::uint32_t, std::uint64_t)>& visit) const;

 private:
  static constexpr std::size_t page_size = std::size_t{1} << sub_bits;
  using Page = std::array<std::uint64_t, page_size>;

  std::uint64_t& cell(std::uint32_t bucket) {
    if (bucket == zero_bucket) return zeros_;
    auto& page = pages_[(bucket - 1) >> sub_bits];
    if (!page) page = std::make_unique<Page>();
    return (*page)[(bucket - 1) & (page_size - 1)];
  }

  std::array<std::unique_ptr<Page>, highest_exponent - lowest_exponent> pages_;
  std::uint64_t zeros_ = 0, count_ = 0;
};

}  // namespace isthmus::results
