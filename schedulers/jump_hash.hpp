// Jump consistent hash.
#pragma once

#include <cstdint>

namespace isthmus::schedulers {

//! Bucket in {0, ..., buckets - 1} of a key (Lamping and Veach 2014, figure 1). Of the keys, one in
//! buckets + 1 moves when a bucket is added, and only to the new one.
constexpr std::int32_t jump_hash(std::uint64_t key, std::int32_t buckets) {
  std::int64_t bucket = -1, next = 0;
  while (next < buckets) {
    bucket = next;
    key = key * 2862933555777941757ULL + 1;
    next = static_cast<std::int64_t>(static_cast<double>(bucket + 1) *
                                     (static_cast<double>(1LL << 31) /
                                      static_cast<double>((key >> 33) + 1)));
  }
  return static_cast<std::int32_t>(bucket);
}

}  // namespace isthmus::schedulers
