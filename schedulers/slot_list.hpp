// An ordered list of slots: each stands in it once at most.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace isthmus::schedulers {

//! Constant time per call; slots are small numbers.
class SlotList {
 public:
  static constexpr std::uint32_t none = 0xffffffffU;

  bool empty() const { return first_ == none; }
  std::size_t size() const { return size_; }
  std::uint32_t front() const { return first_; }
  std::uint32_t back() const { return last_; }
  std::uint32_t after(std::uint32_t slot) const { return links_[slot].next; }

  void push_front(std::uint32_t slot) {
    if (slot >= links_.size()) links_.resize(slot + 1);
    links_[slot] = {none, first_};
    (first_ == none ? last_ : links_[first_].previous) = slot;
    first_ = slot;
    ++size_;
  }
  void remove(std::uint32_t slot) {
    const Link l = links_[slot];
    (l.previous == none ? first_ : links_[l.previous].next) = l.next;
    (l.next == none ? last_ : links_[l.next].previous) = l.previous;
    --size_;
  }
  std::uint32_t pop_back() {
    const std::uint32_t slot = last_;
    remove(slot);
    return slot;
  }
  void move_to_front(std::uint32_t slot) {
    remove(slot);
    push_front(slot);
  }

 private:
  struct Link {
    std::uint32_t previous = none, next = none;
  };
  std::vector<Link> links_;  // by slot
  std::uint32_t first_ = none, last_ = none;
  std::size_t size_ = 0;
};

}  // namespace isthmus::schedulers
