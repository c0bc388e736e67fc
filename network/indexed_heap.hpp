// A 4-ary heap of dates whose members know their place, so that a date can be moved or withdrawn.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace isthmus::network {

//! Key of one entry: date in seconds, at least 0, then `order` for ties; `owner` is the caller's own
//! name for it. Kept as one integer, so that comparing has no branches: the bits of doubles that are
//! not negative stand in the order of their values.
class HeapKey {
 public:
  HeapKey(double date, std::uint32_t order, std::uint32_t owner)
      : bits_(static_cast<Bits>(std::bit_cast<std::uint64_t>(date + 0.0)) << 64 |
              static_cast<std::uint64_t>(order) << 32 | owner) {}
  double date() const { return std::bit_cast<double>(static_cast<std::uint64_t>(bits_ >> 64)); }
  std::uint32_t owner() const { return static_cast<std::uint32_t>(bits_); }
  bool operator<(const HeapKey& o) const { return bits_ < o.bits_; }

 private:
  __extension__ using Bits = unsigned __int128;
  Bits bits_;
};

//! `Place` maps an owner to a reference where its position is kept (`outside` when it is not in).
template <class Place>
class IndexedHeap {
 public:
  static constexpr std::uint32_t outside = 0xffffffffU;

  explicit IndexedHeap(Place place) : place_(place) {}
  bool empty() const { return keys_.empty(); }
  const HeapKey& top() const { return keys_.front(); }

  //! Inserts an owner or moves it to another date.
  void set(const HeapKey& key) {
    const std::uint32_t at = place_(key.owner());
    if (at == outside) {
      keys_.push_back(key);
      sift_up(keys_.size() - 1, key);
    } else if (key < keys_[at]) {
      sift_up(at, key);
    } else {
      sift_down(at, key);
    }
  }

  //! Withdraws an owner; nothing happens when it is not in.
  void remove(std::uint32_t owner) {
    const std::uint32_t at = place_(owner);
    if (at == outside) return;
    place_(owner) = outside;
    const HeapKey last = keys_.back();
    keys_.pop_back();
    if (at == keys_.size()) return;
    if (at > 0 && last < keys_[(at - 1) / 4])
      sift_up(at, last);
    else
      sift_down(at, last);
  }

 private:
  void put(std::size_t i, const HeapKey& k) {
    keys_[i] = k;
    place_(k.owner()) = static_cast<std::uint32_t>(i);
  }
  void sift_up(std::size_t i, const HeapKey k) {
    while (i > 0) {
      const std::size_t parent = (i - 1) / 4;
      if (!(k < keys_[parent])) break;
      put(i, keys_[parent]);
      i = parent;
    }
    put(i, k);
  }
  void sift_down(std::size_t i, const HeapKey k) {
    const std::size_t n = keys_.size();
    for (;;) {
      const std::size_t first = 4 * i + 1;
      if (first >= n) break;
      std::size_t best = first;
      if (first + 4 <= n) {
        const std::size_t a = first + (keys_[first + 1] < keys_[first] ? 1 : 0);
        const std::size_t b = first + (keys_[first + 3] < keys_[first + 2] ? 3 : 2);
        best = keys_[b] < keys_[a] ? b : a;
      } else {
        for (std::size_t c = first + 1; c < n; ++c)
          if (keys_[c] < keys_[best]) best = c;
      }
      if (!(keys_[best] < k)) break;
      put(i, keys_[best]);
      i = best;
    }
    put(i, k);
  }

  std::vector<HeapKey> keys_;
  Place place_;
};

}  // namespace isthmus::network
