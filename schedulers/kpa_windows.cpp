#include "schedulers/kpa_windows.hpp"

#include <algorithm>
#include <cmath>

namespace isthmus::schedulers {

namespace {

// Averages are cut to six decimals.
double cut(double value) { return std::floor(value * 1e6) / 1e6; }

}  // namespace

KpaBuckets::KpaBuckets(std::int64_t seconds, bool weighted)
    : buckets_(static_cast<std::size_t>(std::max<std::int64_t>(1, seconds))),
      window_(std::max<std::int64_t>(1, seconds)),
      smoothing_(smoothing(static_cast<double>(window_))),
      weighted_(weighted) {}

double KpaBuckets::smoothing(double n) { return std::max(0.2, 1 - std::pow(0.0001, 1 / n)); }

std::size_t KpaBuckets::index(std::int64_t second) const {
  const std::int64_t i = second % window_;
  return static_cast<std::size_t>(i < 0 ? i + window_ : i);
}

void KpaBuckets::record(std::int64_t second, double value) {
  if (!last_ || second - *last_ >= window_) {
    std::fill(buckets_.begin(), buckets_.end(), 0.0);
    total_ = 0;
    first_ = last_ = second;
  } else if (second > *last_) {
    for (std::int64_t s = *last_ + 1; s <= second; ++s) total_ -= std::exchange(bucket(s), 0.0);
    last_ = second;
  } else if (second <= *last_ - window_) {
    return;  // a window ago
  } else {
    first_ = std::min(*first_, second);
  }
  bucket(second) += value;
  total_ += value;
}

bool KpaBuckets::empty(std::int64_t now) const { return !last_ || now - *last_ > window_; }

double KpaBuckets::average(std::int64_t now) const {
  if (empty(now)) return 0;
  return weighted_ ? exponential(now) : linear(now);
}

double KpaBuckets::linear(std::int64_t now) const {
  const std::int64_t silent = std::max<std::int64_t>(0, now - *last_);
  if (silent >= window_) return 0;
  double total = total_;
  for (std::int64_t s = *last_ + 1; s <= *last_ + silent; ++s) total -= buckets_[index(s)];
  const std::int64_t seconds = std::min(*last_ - *first_ + 1, window_ - silent);
  return cut(total / static_cast<double>(seconds));
}

double KpaBuckets::exponential(std::int64_t now) const {
  const std::int64_t silent = std::max<std::int64_t>(0, now - *last_);
  double weight = smoothing_ * std::pow(1 - smoothing_, static_cast<double>(silent)), sum = 0;
  for (std::int64_t i = 0; i < window_ - silent; ++i) {
    sum += buckets_[index(*last_ - i)] * weight;
    weight *= 1 - smoothing_;
  }
  return cut(sum);
}

double KpaMaximum::record(std::int64_t step, double value) {
  while (!falling_.empty() && falling_.back().second <= value) falling_.pop_back();
  while (!falling_.empty() && step - falling_.front().first >= steps_) falling_.pop_front();
  // What is left of the same step is larger.
  if (falling_.empty() || falling_.back().first != step) falling_.emplace_back(step, value);
  return falling_.front().second;
}

}  // namespace isthmus::schedulers
