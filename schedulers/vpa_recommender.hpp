// How much of a resource one replica should have: Kubernetes' Vertical Pod Autoscaler recommender.
//
// Source: kubernetes/autoscaler, vertical-pod-autoscaler/pkg/recommender (util/decaying_histogram.go,
// logic/estimator.go); defaults of its flags.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "sim/core/time.hpp"

namespace isthmus::schedulers {

//! Buckets that grow by a ratio; the weight of a sample halves each half-life.
class DecayingHistogram {
 public:
  //! The first bucket ends at `first`, each next one is `ratio` times as wide, the last holds `most`.
  DecayingHistogram(double first, double ratio, double most, Duration half_life);

  void add(Instant at, double value, double weight);
  //! Upper end of the bucket in which a share `p` of the weight is reached; 0 without samples.
  double percentile(double p) const;
  double total() const { return total_; }

 private:
  std::size_t bucket_of(double value) const;
  double start_of(std::size_t bucket) const;

  double first_, ratio_;
  Duration half_life_;
  std::optional<Instant> reference_;
  std::vector<double> weights_;
  double total_ = 0;
};

//! How sure an estimate is: days of history, or days of one sample a minute, whichever is less.
double vpa_confidence(Duration history, std::uint64_t samples);
//! value x (1 + multiplier / confidence) ^ exponent.
double vpa_scaled(double value, double multiplier, double exponent, double confidence);

struct VpaRecommendation {
  double lower = 0, target = 0, upper = 0;
};

//! For CPU in cores: samples are weighted by at least 0.1. For memory in bytes: add daily peaks.
class VpaRecommender {
 public:
  enum class Resource { cpu, memory };
  explicit VpaRecommender(Resource resource, double safety_margin = 0.15);

  //! Dates do not go back.
  void add(Instant at, double usage);
  //! Empty without samples.
  std::optional<VpaRecommendation> recommend() const;

 private:
  Resource resource_;
  double margin_;
  DecayingHistogram histogram_;
  std::optional<Instant> first_, last_;
  std::uint64_t samples_ = 0;
};

}  // namespace isthmus::schedulers
