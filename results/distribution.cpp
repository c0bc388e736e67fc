#include "results/distribution.hpp"

#include <algorithm>
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

HdrHistogram Distribution::histogram() const {
  HdrHistogram h;
  if (exact_)
    for_each_value([&](double v) { h.add(v); });
  else
    h.merge(sketch_);
  return h;
}

void Distribution::collect(std::uint32_t bucket, std::vector<double>& out) const {
  for_each_value([&](double v) {
    if (HdrHistogram::bucket_of(v) == bucket) out.push_back(v);
  });
}

MergedDistribution::MergedDistribution(std::vector<const Distribution*> parts)
    : parts_(std::move(parts)) {
  for (const Distribution* d : parts_) {
    histogram_.merge(d->histogram());
    count_ += d->count();
    sum_ += d->sum();
    max_ = std::max(max_, d->max());
    exact_ = exact_ && d->exact();
  }
}

double MergedDistribution::mean() const {
  return count_ == 0 ? std::numeric_limits<double>::quiet_NaN()
                     : sum_ / static_cast<double>(count_);
}

double MergedDistribution::max() const {
  return count_ == 0 ? std::numeric_limits<double>::quiet_NaN() : max_;
}

double MergedDistribution::percentile(double p) const {
  if (count_ == 0) return std::numeric_limits<double>::quiet_NaN();
  const std::uint64_t rank = nearest_rank(p, count_);
  const HdrHistogram::Place place = histogram_.place_of(rank);
  if (!exact_) return std::min(HdrHistogram::middle_of(place.bucket), max_);
  // Buckets are in order, so only the values of one bucket need sorting: linear and without a copy
  // of everything.
  std::vector<double> values;
  values.reserve(histogram_.count_in(place.bucket));
  for (const Distribution* d : parts_) d->collect(place.bucket, values);
  const auto k = static_cast<std::ptrdiff_t>(rank - place.below - 1);
  std::nth_element(values.begin(), values.begin() + k, values.end());
  return values[static_cast<std::size_t>(k)];
}

}  // namespace isthmus::results
