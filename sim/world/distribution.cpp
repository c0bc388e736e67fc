#include "sim/world/distribution.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "sim/core/errors.hpp"

namespace isthmus::world {

namespace {

// What is wrong with one distribution, gathered so that the user sees all of it at once.
class Problems {
 public:
  explicit Problems(std::string_view kind) : kind_(kind) {}
  void check(bool ok, std::string_view name, std::string_view rule, double found) {
    if (!ok) list_.push_back(fmt::format("{}: {} must be {}, found {}", kind_, name, rule, found));
  }
  void check(bool ok, std::string_view message) {
    if (!ok) list_.push_back(fmt::format("{}: {}", kind_, message));
  }
  void finite(std::string_view name, double v) { check(std::isfinite(v), name, "finite", v); }
  void positive(std::string_view name, double v) {
    check(v > 0 && std::isfinite(v), name, "positive and finite", v);
  }
  void not_negative(std::string_view name, double v) {
    check(v >= 0 && std::isfinite(v), name, "non-negative and finite", v);
  }
  void raise() {
    if (!list_.empty()) throw InputError(std::move(list_));
  }

 private:
  std::string_view kind_;
  std::vector<std::string> list_;
};

constexpr std::string_view name_of(DistributionKind kind) {
  switch (kind) {
    case DistributionKind::constant:
      return "constant";
    case DistributionKind::uniform:
      return "uniform";
    case DistributionKind::exponential:
      return "exponential";
    case DistributionKind::erlang:
      return "erlang";
    case DistributionKind::gamma:
      return "gamma";
    case DistributionKind::lognormal:
      return "lognormal";
    case DistributionKind::weibull:
      return "weibull";
    case DistributionKind::pareto:
      return "pareto";
    case DistributionKind::hyperexponential:
      return "hyperexponential";
    case DistributionKind::normal:
      return "normal";
    case DistributionKind::quantiles:
      return "quantiles";
    case DistributionKind::choice:
      return "choice";
  }
  return "distribution";
}

void check_quantiles(const Distribution& d, Problems& out) {
  const auto& p = d.probability;
  const auto& v = d.value;
  if (p.size() != v.size() || p.size() < 2) {
    out.check(false, fmt::format("needs as many probabilities as values, at least 2 of each, found "
                                 "{} and {}",
                                 p.size(), v.size()));
    return;
  }
  out.check(p.front() == 0, "the first probability", "0", p.front());
  out.check(p.back() == 1, "the last probability", "1", p.back());
  for (std::size_t i = 0; i < p.size(); ++i) {
    out.finite(fmt::format("value {}", i), v[i]);
    if (i == 0) continue;
    out.check(p[i] > p[i - 1], fmt::format("probability {}", i),
              fmt::format("more than {}, the one before it", p[i - 1]), p[i]);
    out.check(!(v[i] < v[i - 1]), fmt::format("value {}", i),
              fmt::format("at least {}, the one before it", v[i - 1]), v[i]);
  }
}

void check_choice(const Distribution& d, Problems& out) {
  if (d.probability.size() != d.value.size() || d.value.empty()) {
    out.check(false, fmt::format("needs as many weights as values, at least one of each, found {} "
                                 "and {}",
                                 d.probability.size(), d.value.size()));
    return;
  }
  double total = 0;
  for (std::size_t i = 0; i < d.value.size(); ++i) {
    out.not_negative(fmt::format("weight {}", i), d.probability[i]);
    out.finite(fmt::format("value {}", i), d.value[i]);
    total += d.probability[i];
  }
  out.check(total > 0, "the sum of the weights", "positive", total);
}

// Linear between the two points around u; the vectors have been validated.
double interpolate_quantile(const Distribution& d, double u) {
  const auto& p = d.probability;
  const auto it = std::upper_bound(p.begin() + 1, p.end() - 1, u);
  const auto i = static_cast<std::size_t>(it - p.begin());
  const double f = std::clamp((u - p[i - 1]) / (p[i] - p[i - 1]), 0.0, 1.0);
  return d.value[i - 1] + f * (d.value[i] - d.value[i - 1]);
}

double pareto_mean(double lo, double hi, double alpha) {
  if (!std::isfinite(hi))
    return alpha > 1 ? alpha * lo / (alpha - 1) : std::numeric_limits<double>::infinity();
  if (lo == hi) return lo;
  // With r = ln(hi/lo): lo * alpha/(alpha-1) * (1 - e^{-(alpha-1)r}) / (1 - e^{-alpha r}), written
  // with expm1 so that alpha near 1 keeps its digits.
  const double r = std::log(hi / lo);
  const double excess = alpha - 1;
  const double gain = std::abs(excess * r) < 1e-12 ? r : -std::expm1(-excess * r) / excess;
  return lo * alpha * gain / -std::expm1(-alpha * r);
}

// Negative draws count as 0: E[max(0, X)].
double positive_normal_mean(double mu, double sigma) {
  if (sigma == 0) return std::max(0.0, mu);
  const double z = mu / sigma;
  const double density = std::exp(-0.5 * z * z) / std::sqrt(2 * std::acos(-1.0));
  return mu * 0.5 * std::erfc(-z / std::sqrt(2.0)) + sigma * density;
}

double quantile_mean(const Distribution& d) {
  double m = 0;
  for (std::size_t i = 1; i < d.value.size(); ++i)
    m += (d.probability[i] - d.probability[i - 1]) * (d.value[i] + d.value[i - 1]) / 2;
  return m;
}

double choice_mean(const Distribution& d) {
  double sum = 0, total = 0;
  for (std::size_t i = 0; i < d.value.size(); ++i) {
    sum += d.probability[i] * d.value[i];
    total += d.probability[i];
  }
  return sum / total;
}

double unclamped_draw(const Distribution& d, Rng& g) {
  switch (d.kind) {
    case DistributionKind::constant:
      return d.a;
    case DistributionKind::uniform:
      return d.a + (d.b - d.a) * uniform01(g);
    case DistributionKind::exponential:
      return sample_exponential(g, d.a);
    case DistributionKind::erlang:
      return sample_erlang(g, d.k, d.a);
    case DistributionKind::gamma: {
      const double scv = d.b * d.b;
      return sample_gamma(g, 1 / scv, d.a * scv);
    }
    case DistributionKind::lognormal:
      return d.a * std::exp(d.b * sample_normal(g));
    case DistributionKind::weibull:
      return sample_weibull(g, d.b, d.a);
    case DistributionKind::pareto:
      return sample_pareto(g, d.c, d.a, d.b);
    case DistributionKind::hyperexponential:
      return sample_hyperexponential(g, d.a, d.b);
    case DistributionKind::normal:
      return std::max(0.0, d.a + d.b * sample_normal(g));
    case DistributionKind::quantiles:
      return interpolate_quantile(d, uniform01(g));
    case DistributionKind::choice:
      return d.value[sample_discrete(g, d.probability)];
  }
  throw InternalError("distribution of unknown kind");
}

}  // namespace

double Distribution::sample(Rng& g) const {
  return std::max(min, std::min(max, unclamped_draw(*this, g)));
}

double Distribution::mean() const {
  switch (kind) {
    case DistributionKind::constant:
    case DistributionKind::exponential:
    case DistributionKind::erlang:
    case DistributionKind::gamma:
    case DistributionKind::hyperexponential:
      return a;
    case DistributionKind::uniform:
      return (a + b) / 2;
    case DistributionKind::lognormal:
      return a * std::exp(b * b / 2);
    case DistributionKind::weibull:
      return a * std::tgamma(1 + 1 / b);
    case DistributionKind::pareto:
      return pareto_mean(a, b, c);
    case DistributionKind::normal:
      return positive_normal_mean(a, b);
    case DistributionKind::quantiles:
      return quantile_mean(*this);
    case DistributionKind::choice:
      return choice_mean(*this);
  }
  throw InternalError("distribution of unknown kind");
}

void Distribution::validate() const {
  Problems out(name_of(kind));
  switch (kind) {
    case DistributionKind::constant:
      out.finite("the value", a);
      out.check(!(a < min || a > max), "the value", fmt::format("between {} and {}", min, max), a);
      break;
    case DistributionKind::uniform:
      out.finite("the lower end", a);
      out.finite("the upper end", b);
      out.check(!(b < a), "the upper end", fmt::format("at least the lower end, {}", a), b);
      break;
    case DistributionKind::exponential:
      out.not_negative("the mean", a);
      break;
    case DistributionKind::erlang:
      out.not_negative("the mean", a);
      out.check(k >= 1, "the number of phases", "at least 1", k);
      break;
    case DistributionKind::gamma:
      out.not_negative("the mean", a);
      out.positive("the coefficient of variation", b);
      break;
    case DistributionKind::lognormal:
      out.positive("the median", a);
      out.not_negative("sigma", b);
      break;
    case DistributionKind::weibull:
      out.positive("the scale", a);
      out.positive("the shape", b);
      break;
    case DistributionKind::pareto:
      out.positive("the minimum", a);
      out.check(b >= a, "the maximum", fmt::format("at least the minimum, {}", a), b);
      out.positive("the tail index", c);
      break;
    case DistributionKind::hyperexponential:
      out.not_negative("the mean", a);
      out.check(b >= 1 && std::isfinite(b), "the squared coefficient of variation",
                "at least 1 and finite", b);
      break;
    case DistributionKind::normal:
      out.finite("the mean", a);
      out.not_negative("the standard deviation", b);
      break;
    case DistributionKind::quantiles:
      check_quantiles(*this, out);
      break;
    case DistributionKind::choice:
      check_choice(*this, out);
      break;
  }
  out.check(!std::isnan(min) && !std::isnan(max), "the limits must be numbers");
  out.check(!(max < min), "the largest value allowed",
            fmt::format("at least the smallest, {}", min), max);
  out.raise();
}

}  // namespace isthmus::world
