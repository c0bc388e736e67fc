#include "models/expert_load.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/core/random.hpp"

namespace isthmus::models {

namespace {

constexpr int powers = 17;        // up to 65,536 tokens; the rest is like those
constexpr int placements = 16;
constexpr std::int64_t few_draws = 32;

double d(std::int64_t v) { return static_cast<double>(v); }

// P(no count above `most`) = draws! times the coefficient of z^draws in the product over the parts of
// sum over i <= most of (share z)^i / i!.
double chance_of_at_most(const std::vector<double>& shares, std::size_t draws, std::size_t most) {
  std::vector<double> product(draws + 1, 0.0), next;
  product[0] = 1;
  for (const double share : shares) {
    next.assign(draws + 1, 0.0);
    double term = 1;  // (share)^i / i!
    for (std::size_t i = 0; i <= std::min(most, draws); ++i) {
      if (i > 0) term *= share / static_cast<double>(i);
      for (std::size_t n = 0; n + i <= draws; ++n) next[n + i] += product[n] * term;
    }
    product.swap(next);
  }
  return product[draws] * std::tgamma(static_cast<double>(draws) + 1);
}

double below(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

}  // namespace

std::vector<double> choice_chances(std::int64_t experts, std::int64_t active, double skew) {
  std::vector<double> weights;
  for (std::int64_t i = 1; i <= experts; ++i) weights.push_back(std::pow(d(i), -skew));
  if (active >= experts) return std::vector<double>(weights.size(), 1.0);
  const auto chosen = [&](double c) {
    double sum = 0;
    for (const double w : weights) sum -= std::expm1(-c * w);
    return sum;
  };
  // Bisection for the intensity at which `active` experts are chosen.
  double low = 0, high = 1;
  while (chosen(high) < d(active)) high *= 2;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (chosen(middle) < d(active) ? low : high) = middle;
  }
  for (double& w : weights) w = -std::expm1(-high * w);
  return weights;
}

double expected_largest_count(const std::vector<double>& shares, std::int64_t draws) {
  if (draws <= few_draws) {
    double mean = 0;
    for (std::int64_t most = 0; most < draws; ++most)
      mean += 1 - chance_of_at_most(shares, static_cast<std::size_t>(draws),
                                    static_cast<std::size_t>(most));
    return mean;
  }
  // Integral of the chance that some count is larger, from where it is certain.
  double low = 0, high = 0;
  for (const double share : shares) {
    const double mean = d(draws) * share;
    low = std::max(low, mean - 8 * std::sqrt(mean));
    high = std::max(high, mean + 8 * std::sqrt(mean));
  }
  constexpr int steps = 256;
  const double step = (high - low) / steps;
  double sum = 0;
  for (int i = 0; i <= steps; ++i) {
    const double x = low + i * step;
    double all = 1;
    for (const double share : shares)
      if (share > 0) all *= below((x - d(draws) * share) / std::sqrt(d(draws) * share));
    sum += (i == 0 || i == steps ? 0.5 : 1.0) * (1 - all);
  }
  return low + sum * step;
}

ExpertLoad::ExpertLoad(const ExpertLaw& law) {
  if (law.parts == 1) return;
  const std::int64_t each = law.experts / law.parts;
  std::vector<double> chances = choice_chances(law.experts, law.active, law.skew);
  at_powers_.assign(powers, 0.0);
  Rng g(1);
  const int rounds = law.skew > 0 && each > 1 ? placements : 1;
  for (int round = 0; round < rounds; ++round) {
    if (rounds > 1)
      for (std::size_t i = chances.size(); i > 1; --i)
        std::swap(chances[i - 1], chances[static_cast<std::size_t>(uniform_index(g, i))]);
    std::vector<double> shares(static_cast<std::size_t>(law.parts), 0.0);
    for (std::size_t i = 0; i < chances.size(); ++i)
      shares[std::min(i / static_cast<std::size_t>(each), shares.size() - 1)] +=
          chances[i] / d(law.active);
    for (int p = 0; p < powers; ++p) {
      const std::int64_t tokens = std::int64_t{1} << p, draws = tokens * law.active;
      const double most = d(tokens * std::min(law.active, each));
      const double largest = std::min(most, expected_largest_count(shares, draws));
      at_powers_[static_cast<std::size_t>(p)] += largest * law.parts / d(draws) / rounds;
    }
  }
  for (double& f : at_powers_) f = std::max(f, 1.0);
}

double ExpertLoad::imbalance(double tokens) const {
  if (at_powers_.empty()) return 1;
  const double at = std::clamp(std::log2(std::max(tokens, 1.0)), 0.0, powers - 1.0);
  const auto low = std::min(static_cast<std::size_t>(at), at_powers_.size() - 2);
  const double part = at - static_cast<double>(low);
  return at_powers_[low] + part * (at_powers_[low + 1] - at_powers_[low]);
}

}  // namespace isthmus::models
