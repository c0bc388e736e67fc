#include "sim/core/random.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "sim/core/errors.hpp"

namespace isthmus {

namespace {

// Parameters are checked where they are read from the user; a bad one here is our bug, and without
// these checks it would become an endless rejection loop or a NaN far away.
void require(bool ok, const char* message) {
  if (!ok) throw InternalError(message);
}

}  // namespace

std::uint64_t uniform_index(Rng& g, std::uint64_t n) {
  require(n > 0, "uniform_index: empty range");
  // Multiply-shift with rejection of the short tail.
  for (;;) {
    const unsigned __int128 m = static_cast<unsigned __int128>(g()) * n;
    const auto low = static_cast<std::uint64_t>(m);
    if (low >= n || low >= (0 - n) % n) return static_cast<std::uint64_t>(m >> 64);
  }
}

double sample_exponential(Rng& g, double mean) { return -mean * std::log(uniform01(g)); }

double normal_quantile(double p) {
  // Wichura, Algorithm AS 241 (PPND16), Applied Statistics 37 (1988).
  if (p <= 0.0) return -std::numeric_limits<double>::infinity();
  if (p >= 1.0) return std::numeric_limits<double>::infinity();
  const double q = p - 0.5;
  if (std::abs(q) <= 0.425) {
    const double r = 0.180625 - q * q;
    return q *
           (((((((2509.0809287301226727 * r + 33430.575583588128105) * r + 67265.770927008700853) *
                    r +
                45921.953931549871457) *
                   r +
               13731.693765509461125) *
                  r +
              1971.5909503065514427) *
                 r +
             133.14166789178437745) *
                r +
            3.387132872796366608) /
           (((((((5226.495278852545925 * r + 28729.085735721942674) * r + 39307.89580009271061) *
                    r +
                21213.794301586595867) *
                   r +
               5394.1960214247511077) *
                  r +
              687.1870074920579083) *
                 r +
             42.313330701600911252) *
                r +
            1.0);
  }
  double r = q < 0 ? p : 1.0 - p;
  r = std::sqrt(-std::log(r));
  double x;
  if (r <= 5.0) {
    r -= 1.6;
    x = (((((((7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r +
              0.24178072517745061177) *
                 r +
             1.27045825245236838258) *
                r +
            3.64784832476320460504) *
               r +
           5.7694972214606914055) *
              r +
          4.6303378461565452959) *
             r +
         1.42343711074968357734) /
        (((((((1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r +
              0.0151986665636164571966) *
                 r +
             0.14810397642748007459) *
                r +
            0.68976733498510000455) *
               r +
           1.6763848301838038494) *
              r +
          2.05319162663775882187) *
             r +
         1.0);
  } else {
    r -= 5.0;
    x = (((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r +
              0.0012426609473880784386) *
                 r +
             0.026532189526576123093) *
                r +
            0.29656057182850489123) *
               r +
           1.7848265399172913358) *
              r +
          5.4637849111641143699) *
             r +
         6.6579046435011037772) /
        (((((((2.04426310338993978564e-15 * r + 1.4215117583164458887e-7) * r +
              1.8463183175100546818e-5) *
                 r +
             7.868691311456132591e-4) *
                r +
            0.0148753612908506148525) *
               r +
           0.13692988092273580531) *
              r +
          0.59983220655588793769) *
             r +
         1.0);
  }
  return q < 0 ? -x : x;
}

double sample_normal(Rng& g) { return normal_quantile(uniform01(g)); }

double sample_gamma(Rng& g, double shape, double scale) {
  require(shape > 0.0 && std::isfinite(shape), "sample_gamma: shape must be positive");
  // Boost for shape < 1: Gamma(k) = Gamma(k+1) * U^(1/k).
  if (shape < 1.0) {
    const double u = uniform01(g);
    return sample_gamma(g, shape + 1.0, scale) * std::pow(u, 1.0 / shape);
  }
  const double d = shape - 1.0 / 3.0, c = 1.0 / std::sqrt(9.0 * d);
  for (;;) {
    const double x = sample_normal(g);
    const double t = 1.0 + c * x;
    if (t <= 0.0) continue;
    const double v = t * t * t;
    if (std::log(uniform01(g)) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v * scale;
  }
}

double sample_erlang(Rng& g, int k, double mean) {
  require(k >= 1, "sample_erlang: needs at least one phase");
  double s = 0.0;
  for (int i = 0; i < k; ++i) s += sample_exponential(g, mean / k);
  return s;
}

double sample_weibull(Rng& g, double shape, double scale) {
  return scale * std::pow(-std::log(uniform01(g)), 1.0 / shape);
}

double sample_lognormal(Rng& g, double mu, double sigma) {
  return std::exp(mu + sigma * sample_normal(g));
}

double sample_pareto(Rng& g, double alpha, double lo, double hi) {
  const double tail = std::isfinite(hi) ? std::pow(lo / hi, alpha) : 0.0;
  return lo * std::pow(1.0 - uniform01(g) * (1.0 - tail), -1.0 / alpha);
}

double sample_hyperexponential(Rng& g, double mean, double scv) {
  require(scv >= 1.0, "sample_hyperexponential: scv must be at least 1");
  const double p = 0.5 * (1.0 + std::sqrt((scv - 1.0) / (scv + 1.0)));
  const double branch = uniform01(g);
  const double m = branch < p ? mean / (2.0 * p) : mean / (2.0 * (1.0 - p));
  return sample_exponential(g, m);
}

std::size_t sample_discrete(Rng& g, std::span<const double> weights) {
  double total = 0.0;
  for (const double w : weights) total += w;
  require(total > 0.0 && std::isfinite(total), "sample_discrete: weights must have a positive sum");
  double u = uniform01(g) * total;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    u -= weights[i];
    if (u < 0.0) return i;
  }
  // Rounding left a sliver beyond the last weight: it belongs to the last possible index.
  std::size_t last = weights.size() - 1;
  while (!(weights[last] > 0.0)) --last;
  return last;
}

QuantileTable::QuantileTable(std::vector<double> p, std::vector<double> value)
    : p_(std::move(p)), v_(std::move(value)) {
  if (p_.size() < 2 || p_.size() != v_.size() || p_.front() != 0.0 || p_.back() != 1.0)
    throw Error("quantile table: needs equal lengths >= 2 and probabilities from 0 to 1");
  // Non-decreasing between finite ends leaves no room for NaN or infinity inside.
  if (!std::isfinite(v_.front()) || !std::isfinite(v_.back()))
    throw Error("quantile table: values must be finite");
  for (std::size_t i = 1; i < p_.size(); ++i)
    if (!(p_[i] > p_[i - 1]) || !(v_[i] >= v_[i - 1]))
      throw Error("quantile table: probabilities must increase and values must not decrease");
}

double QuantileTable::quantile(double u) const {
  const auto it = std::upper_bound(p_.begin() + 1, p_.end() - 1, u);
  const auto i = static_cast<std::size_t>(it - p_.begin());
  const double f = std::clamp((u - p_[i - 1]) / (p_[i] - p_[i - 1]), 0.0, 1.0);
  return v_[i - 1] + f * (v_[i] - v_[i - 1]);
}

double QuantileTable::mean() const {
  double m = 0.0;
  for (std::size_t i = 1; i < p_.size(); ++i) m += (p_[i] - p_[i - 1]) * (v_[i] + v_[i - 1]) / 2.0;
  return m;
}

}  // namespace isthmus
