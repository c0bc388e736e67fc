#include "sim/world/popularity.hpp"

#include <algorithm>
#include <cmath>

#include "sim/world/cache_spec.hpp"

namespace isthmus::world {

namespace {
// (e^x - 1) / x and log(1 + x) / x, also at 0.
double expm1_over(double x) { return std::abs(x) > 1e-8 ? std::expm1(x) / x : 1 + x / 2; }
double log1p_over(double x) { return std::abs(x) > 1e-8 ? std::log1p(x) / x : 1 - x / 2; }
}  // namespace

ZipfLaw::ZipfLaw(std::uint64_t items, double exponent) : items_(items), exponent_(exponent) {
  first_ = area(1.5) - 1;
  last_ = area(static_cast<double>(items) + 0.5);
  sure_ = 2 - area_inverse(area(2.5) - density(2));
}

double ZipfLaw::density(double x) const { return std::exp(-exponent_ * std::log(x)); }

double ZipfLaw::area(double x) const {
  const double l = std::log(x);
  return expm1_over((1 - exponent_) * l) * l;
}

double ZipfLaw::area_inverse(double a) const {
  return std::exp(log1p_over(std::max(-1.0, a * (1 - exponent_))) * a);
}

std::uint64_t ZipfLaw::sample(Rng& g) const {
  if (exponent_ == 0) return 1 + uniform_index(g, items_);
  for (;;) {
    const double u = last_ + uniform01(g) * (first_ - last_);
    const double x = area_inverse(u);
    const double k = std::clamp(std::floor(x + 0.5), 1.0, static_cast<double>(items_));
    if (k - x <= sure_ || u >= area(k + 0.5) - density(k)) return static_cast<std::uint64_t>(k);
  }
}

std::uint64_t KeyLaw::key(std::uint64_t rank, Instant now) const {
  const std::uint64_t place = hash_combine(space, rank);
  std::uint64_t turn = 0;
  if (lifetime != Duration::max()) {
    Rng g(place);  // items do not all change at once
    turn = 1 + static_cast<std::uint64_t>((now - Instant::zero()).seconds() / lifetime.seconds() +
                                          uniform01(g));
  }
  return std::max<std::uint64_t>(1, hash_combine(place, turn));
}

}  // namespace isthmus::world
