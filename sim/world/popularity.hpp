// Zipf's law over any number of items.
#pragma once

#include <cstdint>

#include "sim/core/random.hpp"

namespace isthmus::world {

//! Rank k of 1 ... items with a probability in proportion to k^-exponent. Rejection-inversion
//! (Hörmann and Derflinger 1996): exact, constant time and memory.
class ZipfLaw {
 public:
  ZipfLaw() : ZipfLaw(1, 0) {}
  //! `items` >= 1; exponent >= 0, 0 = all alike.
  ZipfLaw(std::uint64_t items, double exponent);
  std::uint64_t sample(Rng& g) const;
  std::uint64_t items() const { return items_; }

 private:
  double density(double x) const;
  double area(double x) const;          // of the density from 1 to x
  double area_inverse(double a) const;

  std::uint64_t items_;
  double exponent_, first_, last_, sure_;
};

}  // namespace isthmus::world
