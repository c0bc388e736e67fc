#include "results/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/core/errors.hpp"

namespace isthmus::results {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// The continued fraction of the incomplete beta function by Lentz's method.
double beta_fraction(double a, double b, double x) {
  constexpr double tiny = 1e-300;
  constexpr int most_terms = 100000;  // ~ sqrt(max(a, b)) are needed
  double c = 1, d = 1 - (a + b) * x / (a + 1);
  if (std::abs(d) < tiny) d = tiny;
  d = 1 / d;
  double h = d;
  for (int i = 1; i <= most_terms; ++i) {
    const double m = i;
    // Even step, then odd step of the recurrence.
    for (const double term : {m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                              -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))}) {
      d = 1 + term * d;
      if (std::abs(d) < tiny) d = tiny;
      c = 1 + term / c;
      if (std::abs(c) < tiny) c = tiny;
      d = 1 / d;
      h *= d * c;
    }
    if (std::abs(d * c - 1) < 1e-16) break;
  }
  return h;
}

}  // namespace

std::uint64_t nearest_rank(double p, std::uint64_t n) {
  if (!(p >= 0 && p <= 100) || n == 0) throw Error("percentile outside 0 to 100, or of no values");
  const double exact = p * static_cast<double>(n) / 100;
  const double nearest = std::round(exact);
  const double slack = 1e-9 * std::max(1.0, exact);
  const double rank = std::abs(exact - nearest) <= slack ? nearest : std::ceil(exact);
  return std::clamp<std::uint64_t>(static_cast<std::uint64_t>(rank), 1, n);
}

double percentile(std::span<double> values, double p) {
  if (values.empty()) return nan;
  const auto k = static_cast<std::ptrdiff_t>(nearest_rank(p, values.size()) - 1);
  std::nth_element(values.begin(), values.begin() + k, values.end());
  return values[static_cast<std::size_t>(k)];
}

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return values.empty() ? nan : sum / static_cast<double>(values.size());
}

double variance_of(std::span<const double> values) {
  if (values.size() < 2) return nan;
  const double mean = mean_of(values);
  double sum = 0;
  for (const double v : values) sum += (v - mean) * (v - mean);
  return sum / static_cast<double>(values.size() - 1);
}

double incomplete_beta(double a, double b, double x) {
  if (!(a > 0 && b > 0 && x >= 0 && x <= 1)) throw Error("incomplete beta outside its domain");
  if (x == 0 || x == 1) return x;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x));
  // The fraction converges fast on one side of the mean only; the other side is its mirror image.
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
  return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double student_t_cdf(double t, double degrees) {
  if (!(degrees > 0)) throw Error("Student's t needs a positive number of degrees of freedom");
  if (std::isinf(t)) return t > 0 ? 1 : 0;
  const double tail = incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t)) / 2;
  return t > 0 ? 1 - tail : tail;
}

double student_t_quantile(double p, double degrees) {
  if (!(p > 0 && p < 1)) throw Error("quantile outside (0, 1)");
  if (!(degrees > 0)) throw Error("Student's t needs a positive number of degrees of freedom");
  if (p == 0.5) return 0;
  // Work in the lower tail, where the distribution function keeps its relative precision.
  const double tail = std::min(p, 1 - p);
  double far = -1;
  while (student_t_cdf(far, degrees) > tail) far *= 2;
  double low = far, high = 0;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    if (middle <= low || middle >= high) break;
    (student_t_cdf(middle, degrees) > tail ? high : low) = middle;
  }
  const double t = (low + high) / 2;
  return p < 0.5 ? t : -t;
}

}  // namespace isthmus::results
