// Every sampler against its analytic distribution: moments within four standard errors and the
// Kolmogorov-Smirnov distance below its 1 % point, with fixed seeds.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "sim/core/errors.hpp"
#include "sim/core/random.hpp"

namespace isthmus {
namespace {

constexpr int n_draws = 200'000;

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

// Regularized lower incomplete gamma P(a, x): series below a + 1, continued fraction above
// (Numerical Recipes, section 6.2).
double gamma_cdf(double a, double x) {
  if (x <= 0.0) return 0.0;
  const double front = std::exp(-x + a * std::log(x) - std::lgamma(a));
  if (x < a + 1.0) {
    double term = 1.0 / a, sum = term;
    for (int i = 1; i < 1000 && term > sum * 1e-16; ++i) sum += term *= x / (a + i);
    return sum * front;
  }
  double b = x + 1.0 - a, c = 1e300, d = 1.0 / b, h = d;
  for (int i = 1; i < 1000; ++i) {
    const double an = -i * (i - a);
    b += 2.0;
    d = 1.0 / (an * d + b);
    c = b + an / c;
    h *= d * c;
    if (std::abs(d * c - 1.0) < 1e-15) break;
  }
  return 1.0 - front * h;
}

TEST(GammaCdf, KnownValues) {  // the yardstick itself: closed forms for a = 1/2, 1, 3
  EXPECT_NEAR(gamma_cdf(1.0, 2.0), 1.0 - std::exp(-2.0), 1e-14);
  EXPECT_NEAR(gamma_cdf(1.0, 0.5), 1.0 - std::exp(-0.5), 1e-14);
  EXPECT_NEAR(gamma_cdf(0.5, 0.8), std::erf(std::sqrt(0.8)), 1e-14);
  EXPECT_NEAR(gamma_cdf(3.0, 5.0), 1.0 - std::exp(-5.0) * (1.0 + 5.0 + 12.5), 1e-14);
}

// `variance` may be NaN where it does not exist; then only the distance is checked.
void check(const char* name, std::uint64_t seed, const std::function<double(Rng&)>& draw,
           const std::function<double(double)>& cdf, double mean, double variance) {
  SCOPED_TRACE(name);
  Rng g(seed);
  std::vector<double> x(n_draws);
  for (double& v : x) v = draw(g);
  if (std::isfinite(variance)) {
    double sum = 0;
    for (const double v : x) sum += v;
    const double m = sum / n_draws;
    EXPECT_NEAR(m, mean, 4.0 * std::sqrt(variance / n_draws));
    // The standard error of the variance is taken from the sample's fourth moment.
    double m2 = 0, m4 = 0;
    for (const double v : x) {
      const double d2 = (v - m) * (v - m);
      m2 += d2;
      m4 += d2 * d2;
    }
    m2 /= n_draws;
    m4 /= n_draws;
    EXPECT_NEAR(m2, variance, 5.0 * std::sqrt((m4 - m2 * m2) / n_draws));
  }
  std::sort(x.begin(), x.end());
  double distance = 0;
  for (int i = 0; i < n_draws; ++i) {
    const double f = cdf(x[static_cast<std::size_t>(i)]);
    distance = std::max({distance, f - static_cast<double>(i) / n_draws, (i + 1.0) / n_draws - f});
  }
  EXPECT_LT(distance * std::sqrt(n_draws), 1.628);
}

TEST(Samplers, Uniform) {
  check(
      "uniform", 1, [](Rng& g) { return uniform01(g); }, [](double x) { return x; }, 0.5,
      1.0 / 12.0);
}

TEST(Samplers, Exponential) {
  check(
      "exponential", 2, [](Rng& g) { return sample_exponential(g, 3.0); },
      [](double x) { return -std::expm1(-x / 3.0); }, 3.0, 9.0);
}

TEST(Samplers, Normal) {
  check(
      "normal", 3, [](Rng& g) { return sample_normal(g); }, normal_cdf, 0.0, 1.0);
}

TEST(Samplers, Gamma) {
  for (const double k : {0.05, 0.5, 1.0, 2.5, 40.0})
    check(("gamma " + std::to_string(k)).c_str(), 4,
          [k](Rng& g) { return sample_gamma(g, k, 2.0); },
          [k](double x) { return gamma_cdf(k, x / 2.0); }, 2.0 * k, 4.0 * k);
}

TEST(Samplers, Erlang) {
  for (const int k : {1, 2, 8})
    check(("erlang " + std::to_string(k)).c_str(), 5,
          [k](Rng& g) { return sample_erlang(g, k, 5.0); },
          [k](double x) { return gamma_cdf(k, x * k / 5.0); }, 5.0, 25.0 / k);
}

TEST(Samplers, Weibull) {
  for (const double k : {0.7, 1.0, 2.0}) {
    const double g1 = std::tgamma(1.0 + 1.0 / k), g2 = std::tgamma(1.0 + 2.0 / k);
    check(("weibull " + std::to_string(k)).c_str(), 6,
          [k](Rng& g) { return sample_weibull(g, k, 4.0); },
          [k](double x) { return -std::expm1(-std::pow(x / 4.0, k)); }, 4.0 * g1,
          16.0 * (g2 - g1 * g1));
  }
}

TEST(Samplers, Lognormal) {
  const double mu = 0.3, s = 0.8, s2 = s * s;
  check(
      "lognormal", 7, [&](Rng& g) { return sample_lognormal(g, mu, s); },
      [&](double x) { return normal_cdf((std::log(x) - mu) / s); }, std::exp(mu + s2 / 2.0),
      std::expm1(s2) * std::exp(2.0 * mu + s2));
}

TEST(Samplers, BoundedPareto) {
  const double a = 1.2, lo = 2.0, hi = 500.0;
  const double tail = std::pow(lo / hi, a);
  const auto moment = [&](double r) {
    return a * std::pow(lo, a) / (1.0 - tail) * (std::pow(hi, r - a) - std::pow(lo, r - a)) /
           (r - a);
  };
  check(
      "bounded Pareto", 8, [&](Rng& g) { return sample_pareto(g, a, lo, hi); },
      [&](double x) { return (1.0 - std::pow(lo / x, a)) / (1.0 - tail); }, moment(1.0),
      moment(2.0) - moment(1.0) * moment(1.0));
  Rng g(9);
  for (int i = 0; i < 10'000; ++i) {
    const double x = sample_pareto(g, a, lo, hi);
    ASSERT_GE(x, lo);
    ASSERT_LE(x, hi * (1.0 + 1e-12));
  }
}

TEST(Samplers, Pareto) {
  const double inf = std::numeric_limits<double>::infinity();
  check(
      "Pareto", 10, [&](Rng& g) { return sample_pareto(g, 1.5, 2.0, inf); },
      [](double x) { return 1.0 - std::pow(2.0 / x, 1.5); }, 6.0,
      std::numeric_limits<double>::quiet_NaN());
}

TEST(Samplers, Hyperexponential) {
  for (const double scv : {1.0, 4.0, 30.0}) {
    const double mean = 2.0;
    const double p = 0.5 * (1.0 + std::sqrt((scv - 1.0) / (scv + 1.0)));
    const double m1 = mean / (2.0 * p), m2 = mean / (2.0 * (1.0 - p));
    check(("hyperexponential " + std::to_string(scv)).c_str(), 11,
          [&](Rng& g) { return sample_hyperexponential(g, mean, scv); },
          [&](double x) { return 1.0 - p * std::exp(-x / m1) - (1.0 - p) * std::exp(-x / m2); },
          mean, scv * mean * mean);
  }
}

TEST(Samplers, QuantileTable) {
  const QuantileTable t({0.0, 0.5, 1.0}, {0.0, 1.0, 5.0});
  // Second moment of a mixture of U(0,1) and U(1,5), half each.
  const double second = 0.5 * (1.0 / 3.0) + 0.5 * (125.0 - 1.0) / 12.0;
  check(
      "quantile table", 12, [&](Rng& g) { return t.sample(g); },
      [](double x) { return x < 1.0 ? 0.5 * x : 0.5 + (x - 1.0) / 8.0; }, t.mean(),
      second - t.mean() * t.mean());
}

TEST(Samplers, Discrete) {
  const std::array<double, 5> w{0.0, 1.0, 0.0, 2.5, 0.5};
  Rng g(13);
  std::array<int, 5> count{};
  for (int i = 0; i < n_draws; ++i) ++count.at(sample_discrete(g, w));
  EXPECT_EQ(count[0], 0);
  EXPECT_EQ(count[2], 0);
  double chi2 = 0;
  for (const std::size_t i : {1U, 3U, 4U}) {
    const double expected = n_draws * w[i] / 4.0;
    chi2 += (count[i] - expected) * (count[i] - expected) / expected;
  }
  EXPECT_LT(chi2, 13.82);  // 0.1 % of chi-square with 2 degrees of freedom
}

TEST(Samplers, DrawsConsumeADocumentedNumberOfUniforms) {
  // Inversion takes one: two policies stay in step when they draw from the same stream.
  const auto consumed = [](const std::function<void(Rng&)>& draw) {
    Rng used(14), plain(14);
    draw(used);
    const std::uint64_t next = used();
    for (int i = 0; i < 20; ++i)
      if (plain() == next) return i;
    return -1;
  };
  EXPECT_EQ(consumed([](Rng& g) { sample_exponential(g, 1.0); }), 1);
  EXPECT_EQ(consumed([](Rng& g) { sample_normal(g); }), 1);
  EXPECT_EQ(consumed([](Rng& g) { sample_lognormal(g, 0.0, 1.0); }), 1);
  EXPECT_EQ(consumed([](Rng& g) { sample_weibull(g, 2.0, 1.0); }), 1);
  EXPECT_EQ(consumed([](Rng& g) { sample_hyperexponential(g, 1.0, 3.0); }), 2);
  EXPECT_EQ(consumed([](Rng& g) { sample_erlang(g, 5, 1.0); }), 5);
}

TEST(Samplers, BadParametersAreRefusedInsteadOfLoopingForEver) {
  Rng g(15);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(sample_gamma(g, 0.0, 1.0), InternalError);
  EXPECT_THROW(sample_gamma(g, -1.0, 1.0), InternalError);
  EXPECT_THROW(sample_gamma(g, nan, 1.0), InternalError);
  EXPECT_THROW(sample_erlang(g, 0, 1.0), InternalError);
  EXPECT_THROW(sample_hyperexponential(g, 1.0, 0.5), InternalError);
  EXPECT_THROW(sample_discrete(g, std::vector<double>{}), InternalError);
  EXPECT_THROW(sample_discrete(g, std::vector<double>{0.0, 0.0}), InternalError);
  EXPECT_THROW(sample_discrete(g, std::vector<double>{1.0, nan}), InternalError);
}

}  // namespace
}  // namespace isthmus
