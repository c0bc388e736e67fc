// A 64-bit fingerprint of everything a run executed; equal runs have equal fingerprints.
#pragma once

#include <cstdint>

#include "sim/core/hash.hpp"

namespace isthmus {

//! Order-sensitive running hash of executed events.
class Fingerprint {
 public:
  //! Folds one event in: date in ns, kind, target index and payload.
  void add(std::int64_t time_ns, std::uint32_t kind, std::uint32_t target, std::uint64_t payload) {
    const std::uint64_t a = static_cast<std::uint64_t>(time_ns) * 0x9e3779b97f4a7c15ULL;
    const std::uint64_t b =
        ((static_cast<std::uint64_t>(kind) << 32) | target) ^ (payload * 0xd6e8feb86659fd93ULL);
    state_ = (state_ ^ a ^ (b << 1 | b >> 63)) * 0x2545f4914f6cdd1dULL;
    state_ ^= state_ >> 29;
  }
  //! The fingerprint of all events so far; reading it changes nothing.
  std::uint64_t value() const { return mix64(state_); }

 private:
  std::uint64_t state_ = 0x6a09e667f3bcc909ULL;
};

}  // namespace isthmus
