// Random numbers with names. A draw is a pure function of (seed, stream name, index, attempt), so
// that adding an entity or changing a policy moves no other draw (common random numbers).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sim/core/hash.hpp"

namespace isthmus {

//! xoshiro256++ (Blackman and Vigna 2019), seeded through SplitMix64. Satisfies
//! UniformRandomBitGenerator, but use the samplers below: std distributions differ by library.
class Rng {
 public:
  using result_type = std::uint64_t;
  //! Every seed, 0 included, gives a valid state.
  explicit constexpr Rng(std::uint64_t seed) {
    for (auto& w : s_) w = mix64(seed += 0x9e3779b97f4a7c15ULL);
  }
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~result_type{0}; }
  //! The next 64 bits.
  constexpr result_type operator()() {
    const std::uint64_t r = rotl(s_[0] + s_[3], 23) + s_[0];
    const std::uint64_t t = s_[1] << 17;
    s_[2] ^= s_[0];
    s_[3] ^= s_[1];
    s_[1] ^= s_[2];
    s_[0] ^= s_[3];
    s_[2] ^= t;
    s_[3] = rotl(s_[3], 45);
    return r;
  }

 private:
  static constexpr std::uint64_t rotl(std::uint64_t x, int k) { return x << k | x >> (64 - k); }
  std::uint64_t s_[4] = {};
};

//! A named family of draws, e.g. "service/cloud" or "arrivals/cam3".
class StreamKey {
 public:
  constexpr StreamKey() = default;
  constexpr StreamKey(std::uint64_t master_seed, std::string_view name)
      : key_(hash_combine(master_seed, hash_name(name))) {}
  //! A generator for one long sequence (arrival processes).
  constexpr Rng sequence() const { return Rng(key_); }
  //! A generator that depends only on (stream, index, attempt); for draws of one request.
  constexpr Rng at(std::uint64_t index, std::uint64_t attempt = 0) const {
    return Rng(hash_combine(hash_combine(key_, index), attempt));
  }
  //! The seed itself, for keys derived from this one.
  constexpr std::uint64_t value() const { return key_; }

 private:
  std::uint64_t key_ = 0;
};

//! Uniform on the open interval (0, 1): the midpoints of 2^52 equal cells; never 0 or 1, so that
//! log() is safe. (With 53 bits the highest midpoint would round to 1.)
constexpr double uniform01(Rng& g) { return (static_cast<double>(g() >> 12) + 0.5) * 0x1.0p-52; }
//! Uniform on {0, ..., n-1} without bias (Lemire 2019). n == 0 is an InternalError.
std::uint64_t uniform_index(Rng& g, std::uint64_t n);
//! Exponential with the given mean (inversion).
double sample_exponential(Rng& g, double mean);
//! Standard normal by inversion (Wichura AS 241, relative error 1e-16): one uniform per draw.
double sample_normal(Rng& g);
//! Quantile of the standard normal, relative error 1e-15; -inf at p <= 0, +inf at p >= 1.
double normal_quantile(double p);
//! Gamma(shape k > 0, scale theta): Marsaglia and Tsang 2000; mean k*theta. A shape that is not
//! positive and finite is an InternalError. The number of uniforms per draw varies.
double sample_gamma(Rng& g, double shape, double scale);
//! Sum of k >= 1 exponentials with total mean `mean`. k < 1 is an InternalError.
double sample_erlang(Rng& g, int k, double mean);
//! Weibull(shape, scale) by inversion.
double sample_weibull(Rng& g, double shape, double scale);
//! Lognormal whose logarithm has mean mu and standard deviation sigma.
double sample_lognormal(Rng& g, double mu, double sigma);
//! Pareto on [lo, hi] with tail index alpha (bounded; hi may be infinite).
double sample_pareto(Rng& g, double alpha, double lo, double hi);
//! Two-phase hyperexponential with mean `mean` and squared coefficient of variation scv >= 1,
//! balanced means (two uniforms per draw). scv < 1 is an InternalError.
double sample_hyperexponential(Rng& g, double mean, double scv);
//! Index drawn with the given non-negative weights (linear search). A sum that is not positive and
//! finite is an InternalError.
std::size_t sample_discrete(Rng& g, std::span<const double> weights);

//! A distribution given by points of its quantile function, piecewise linear between them.
//! Source of fitted token lengths: percentiles printed by trace studies.
class QuantileTable {
 public:
  //! `p` strictly increasing from 0 to 1, `value` finite and non-decreasing, equal lengths >= 2;
  //! else Error.
  QuantileTable(std::vector<double> p, std::vector<double> value);
  //! Value at probability u, which is clamped to [0, 1].
  double quantile(double u) const;
  //! One draw by inversion.
  double sample(Rng& g) const { return quantile(uniform01(g)); }
  //! Exact mean of the piecewise-linear distribution.
  double mean() const;

 private:
  std::vector<double> p_, v_;
};

}  // namespace isthmus
