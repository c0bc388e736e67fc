// How unevenly the tokens of a batch load the units among which a mixture's experts are divided.
#pragma once

#include <cstdint>
#include <vector>

namespace isthmus::models {

//! How tokens choose experts, and where these lie.
struct ExpertLaw {
  std::int64_t experts = 1;  //!< of a layer, >= 1
  std::int64_t active = 1;   //!< that every token chooses, in [1, experts]
  int parts = 1;             //!< units or groups of units with equally many experts, >= 1
  //! Exponent of the popularity of the i-th most popular expert, i^-skew (Zipf); 0 = all alike.
  double skew = 0;
};

//! Expected load of the most loaded part over the mean load, in [1, parts]: it sets the time of a
//! layer, because all others wait for it.
//!
//! A token's choices count as independent draws from the parts' shares, a part's share being the sum
//! over its experts of the chance that a token chooses them. The expected maximum of the multinomial
//! counts is exact for few draws; for many, counts are normal with the variance of Poisson counts,
//! which is exact for equal shares because their sum is fixed. Which experts are popular has nothing
//! to do with where they lie: shares are averaged over fixed random placements. No part gets more than
//! every token's choices or its number of experts, whichever is less.
class ExpertLoad {
 public:
  ExpertLoad() = default;
  explicit ExpertLoad(const ExpertLaw& law);

  //! For `tokens` >= 0 tokens; between the prepared powers of two along the logarithm.
  double imbalance(double tokens) const;

 private:
  std::vector<double> at_powers_;  // for 1, 2, 4, ... tokens
};

//! Chance that a token chooses each expert, by falling popularity; they add up to `active`. Draws
//! without replacement from i^-skew in Poisson's approximation: 1 - exp(-c i^-skew).
std::vector<double> choice_chances(std::int64_t experts, std::int64_t active, double skew);

//! Expected largest of the counts of `draws` independent draws from `shares`, which add up to 1.
double expected_largest_count(const std::vector<double>& shares, std::int64_t draws);

}  // namespace isthmus::models
