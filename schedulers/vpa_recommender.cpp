#include "schedulers/vpa_recommender.hpp"

#include <algorithm>
#include <cmath>

namespace isthmus::schedulers {

namespace {

constexpr double least_weight = 0.1, epsilon = 1e-4;

DecayingHistogram histogram_for(VpaRecommender::Resource resource) {
  const Duration day(86'400'000'000'000);
  return resource == VpaRecommender::Resource::cpu ? DecayingHistogram(0.01, 1.05, 1000, day)
                                                   : DecayingHistogram(1e7, 1.05, 1e12, day);
}

}  // namespace

DecayingHistogram::DecayingHistogram(double first, double ratio, double most, Duration half_life)
    : first_(first), ratio_(ratio), half_life_(half_life) {
  const double buckets = std::ceil(std::log(most * (ratio - 1) / first + 1) / std::log(ratio)) + 1;
  weights_.resize(static_cast<std::size_t>(buckets));
}

std::size_t DecayingHistogram::bucket_of(double value) const {
  if (!(value >= first_)) return 0;
  const double i = std::floor(std::log(value * (ratio_ - 1) / first_ + 1) / std::log(ratio_));
  return std::min(static_cast<std::size_t>(i), weights_.size() - 1);
}

double DecayingHistogram::start_of(std::size_t bucket) const {
  return first_ * (std::pow(ratio_, static_cast<double>(bucket)) - 1) / (ratio_ - 1);
}

void DecayingHistogram::add(Instant at, double value, double weight) {
  if (!reference_) reference_ = at;
  // Newer samples weigh more instead of older ones less; weights are scaled back before they overflow.
  const auto age = [&] { return (at - *reference_).seconds() / half_life_.seconds(); };
  if (age() > 100) {
    const double shift = std::floor(age());
    for (double& w : weights_) w *= std::exp2(-shift);
    total_ *= std::exp2(-shift);
    *reference_ += Duration::from_seconds(shift * half_life_.seconds());
  }
  const double w = weight * std::exp2(age());
  weights_[bucket_of(value)] += w;
  total_ += w;
}

double DecayingHistogram::percentile(double p) const {
  if (total_ <= 0) return 0;
  double sum = 0;
  std::size_t last = weights_.size();
  while (last > 1 && weights_[last - 1] < epsilon * total_) --last;
  for (std::size_t b = 0; b < last; ++b) {
    sum += weights_[b];
    if (sum >= p * total_) return b + 1 < weights_.size() ? start_of(b + 1) : start_of(b);
  }
  return last < weights_.size() ? start_of(last) : start_of(last - 1);
}

double vpa_confidence(Duration history, std::uint64_t samples) {
  return std::min(history.seconds() / 86400, static_cast<double>(samples) / (60 * 24));
}

double vpa_scaled(double value, double multiplier, double exponent, double confidence) {
  return value * std::pow(1 + multiplier / confidence, exponent);
}

VpaRecommender::VpaRecommender(Resource resource, double safety_margin)
    : resource_(resource), margin_(safety_margin), histogram_(histogram_for(resource)) {}

void VpaRecommender::add(Instant at, double usage) {
  if (!first_) first_ = at;
  last_ = at;
  ++samples_;
  histogram_.add(at, usage, resource_ == Resource::cpu ? std::max(usage, least_weight) : 1.0);
}

std::optional<VpaRecommendation> VpaRecommender::recommend() const {
  if (samples_ == 0) return std::nullopt;
  const double sure = vpa_confidence(*last_ - *first_, samples_);
  const auto with_margin = [&](double p) { return histogram_.percentile(p) * (1 + margin_); };
  VpaRecommendation r;
  r.target = with_margin(0.9);
  // The first sample alone says nothing: the bounds are as wide as they can be.
  r.lower = sure > 0 ? vpa_scaled(with_margin(0.5), 0.001, -2, sure) : 0;
  r.upper = sure > 0 ? vpa_scaled(with_margin(0.95), 1, 1, sure) : 1e300;
  return r;
}

}  // namespace isthmus::schedulers
