#include "results/distribution.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "results/statistics.hpp"

namespace isthmus::results {

void Distribution::grow() {
  blocks_.push_back(std::make_unique_for_overwrite<double[]>(block_size));
  used_ = 0;
}

template <class Visit>
void Distribution::for_each_value(Visit visit) const {
  for (std::size_t b = 0; b < blocks_.size(); ++b) {
    const std::size_t n = b + 1 < blocks_.size() ? block_size : used_;
    for (std::size_t i = 0; i < n; ++i) visit(blocks_[b][i]);
  }
}

void Distribution::seal() {
  if (!exact_ || sketch_.count() == count_) return;
  for_each_value([&](double v) { sketch_.add(v); });
}

void Distribution::collect(std::span<const std::uint32_t> buckets,
                           std::span<std::vector<double>> out) const {
  for_each_value([&](double v) {
    const std::uint32_t bucket = HdrHistogram::bucket_of(v);
    for (std::size_t i = 0; i < buckets.size(); ++i)
      if (buckets[i] == bucket) out[i].push_back(v);
  });
}

MergedDistribution::MergedDistribution(std::vector<const Distribution*> parts)
    : parts_(std::move(parts)) {
  for (const Distribution* d : parts_) {
    histogram_.merge(d->histogram());
    count_ += d->count();
    sum_ += d->sum();
    squares_ += d->squares();
    max_ = std::max(max_, d->max());
    exact_ = exact_ && d->exact();
  }
}

double MergedDistribution::mean() const {
  return count_ == 0 ? std::numeric_limits<double>::quiet_NaN()
                     : sum_ / static_cast<double>(count_);
}

double MergedDistribution::stddev() const {
  if (count_ == 0) return std::numeric_limits<double>::quiet_NaN();
  const double m = mean();
  return std::sqrt(std::max(0.0, squares_ / static_cast<double>(count_) - m * m));
}

double MergedDistribution::max() const {
  return count_ == 0 ? std::numeric_limits<double>::quiet_NaN() : max_;
}

std::vector<double> MergedDistribution::percentiles(std::span<const double> ps) const {
  std::vector<double> result(ps.size(), std::numeric_limits<double>::quiet_NaN());
  if (count_ == 0) return result;

  // Where each percentile lies, and the different buckets among them.
  std::vector<HdrHistogram::Place> places;
  std::vector<std::uint32_t> buckets;
  for (const double p : ps) {
    places.push_back(histogram_.place_of(nearest_rank(p, count_)));
    if (buckets.empty() || buckets.back() != places.back().bucket)
      buckets.push_back(places.back().bucket);
  }
  if (!exact_) {
    for (std::size_t i = 0; i < ps.size(); ++i)
      result[i] = std::min(HdrHistogram::middle_of(places[i].bucket), max_);
    return result;
  }

  // Buckets are in order, so only the values of these few need sorting: one pass over the values
  // and no copy of all of them.
  std::vector<std::vector<double>> values(buckets.size());
  for (std::size_t b = 0; b < buckets.size(); ++b)
    values[b].reserve(histogram_.count_in(buckets[b]));
  for (const Distribution* d : parts_) d->collect(buckets, values);
  for (auto& v : values) std::sort(v.begin(), v.end());
  std::size_t b = 0;
  for (std::size_t i = 0; i < ps.size(); ++i) {
    while (buckets[b] != places[i].bucket) ++b;
    result[i] = values[b][nearest_rank(ps[i], count_) - places[i].below - 1];
  }
  return result;
}

}  // namespace isthmus::results
