#include "results/hdr_histogram.hpp"

#include <limits>

#include "results/statistics.hpp"

namespace isthmus::results {

double HdrHistogram::middle_of(std::uint32_t bucket) {
  if (bucket == zero_bucket) return 0;
  // The inverse of bucket_of, with half a bucket added.
  constexpr int shift = 52 - sub_bits;
  constexpr std::uint64_t first = static_cast<std::uint64_t>(1023 + lowest_exponent) << sub_bits;
  const std::uint64_t low = (first + bucket - 1) << shift;
  return std::bit_cast<double>(low | std::uint64_t{1} << (shift - 1));
}

void HdrHistogram::merge(const HdrHistogram& other) {
  for (std::size_t i = 0; i < pages_.size(); ++i) {
    if (!other.pages_[i]) continue;
    if (!pages_[i]) pages_[i] = std::make_unique<Page>();
    for (std::size_t k = 0; k < page_size; ++k) (*pages_[i])[k] += (*other.pages_[i])[k];
  }
  zeros_ += other.zeros_;
  count_ += other.count_;
}

std::uint64_t HdrHistogram::count_in(std::uint32_t bucket) const {
  if (bucket == zero_bucket) return zeros_;
  const auto& page = pages_.at((bucket - 1) >> sub_bits);
  return page ? (*page)[(bucket - 1) & (page_size - 1)] : 0;
}

HdrHistogram::Place HdrHistogram::place_of(std::uint64_t rank) const {
  if (rank == 0 || rank > count_) throw Error("histogram has no value of this rank");
  if (rank <= zeros_) return {zero_bucket, 0};
  std::uint64_t below = zeros_;
  for (std::size_t i = 0; i < pages_.size(); ++i) {
    if (!pages_[i]) continue;
    for (std::size_t k = 0; k < page_size; ++k) {
      const std::uint64_t here = (*pages_[i])[k];
      if (rank <= below + here) return {static_cast<std::uint32_t>((i << sub_bits) + k + 1), below};
      below += here;
    }
  }
  throw InternalError("histogram counts do not add up");
}

double HdrHistogram::percentile(double p) const {
  if (count_ == 0) return std::numeric_limits<double>::quiet_NaN();
  return middle_of(place_of(nearest_rank(p, count_)).bucket);
}

void HdrHistogram::for_each(const std::function<void(std::uint32_t, std::uint64_t)>& visit) const {
  if (zeros_ > 0) visit(zero_bucket, zeros_);
  for (std::size_t i = 0; i < pages_.size(); ++i) {
    if (!pages_[i]) continue;
    for (std::size_t k = 0; k < page_size; ++k)
      if ((*pages_[i])[k] > 0)
        visit(static_cast<std::uint32_t>((i << sub_bits) + k + 1), (*pages_[i])[k]);
  }
}

}  // namespace isthmus::results
