// The choice that most rules end with.
#pragma once

#include <cstddef>

namespace isthmus::schedulers {

//! Index of the first item with the smallest key(item); `items` must not be empty.
template <class Items, class Key>
std::size_t least(const Items& items, Key key) {
  std::size_t best = 0;
  auto smallest = key(items[0]);
  for (std::size_t i = 1; i < items.size(); ++i)
    if (const auto k = key(items[i]); k < smallest) {
      best = i;
      smallest = k;
    }
  return best;
}

}  // namespace isthmus::schedulers
