// 64-bit mixing used for stream seeds and fingerprints. Fixed for ever: golden files depend on it.
#pragma once

#include <cstdint>
#include <string_view>

namespace isthmus {

//! Finalizer of SplitMix64 (Steele, Lea, Flood 2014, variant 13 of Stafford): a bijection on 64
//! bits.
constexpr std::uint64_t mix64(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

//! Combines two 64-bit values, order-sensitive.
constexpr std::uint64_t hash_combine(std::uint64_t a, std::uint64_t b) {
  return mix64(a * 0x9e3779b97f4a7c15ULL + mix64(b + 0x632be59bd9b4e019ULL));
}

//! FNV-1a of a name, then mixed.
constexpr std::uint64_t hash_name(std::string_view s) {
  std::uint64_t h = 0xcbf29ce484222325ULL;
  for (const char c : s) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return mix64(h);
}

}  // namespace isthmus
