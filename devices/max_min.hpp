// Max-min fair sharing of one capacity.
#pragma once

#include <cstddef>
#include <vector>

namespace isthmus::devices {

//! Divides `capacity` among `n` claims: nobody gets more than it wants, and nobody could get more
//! without taking from one who has as little. `want(i)` >= 0 is the claim, `open[i]` says whether i
//! takes part (it is used up as scratch), `give(i, share)` is called for those that get less than
//! they want. O(n) passes, no allocation; made for a few claims.
template <class Want, class Give>
void share_max_min(std::size_t n, double capacity, std::vector<unsigned char>& open, Want want,
                   Give give) {
  double total = 0;
  std::size_t left = 0;
  for (std::size_t i = 0; i < n; ++i)
    if (open[i]) {
      total += want(i);
      ++left;
    }
  if (total <= capacity) return;
  for (bool again = true; again && left > 0;) {
    const double fair = capacity / static_cast<double>(left);
    again = false;
    for (std::size_t i = 0; i < n; ++i)
      if (open[i] && want(i) <= fair) {
        open[i] = 0;
        capacity -= want(i);
        --left;
        again = true;
      }
  }
  if (left == 0) return;
  const double fair = capacity > 0 ? capacity / static_cast<double>(left) : 0;
  for (std::size_t i = 0; i < n; ++i)
    if (open[i]) give(i, fair);
}

}  // namespace isthmus::devices
