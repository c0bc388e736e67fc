// The pending events: a 4-ary heap of 16-byte keys over a slab of small records.
// Order is total: date, then rank of the kind, then order of scheduling.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sim/core/event_kinds.hpp"
#include "sim/core/time.hpp"

namespace isthmus {

//! One pending or executed event. Plain data; `target` and `payload` mean what `kind` says.
struct Event {
  Instant time;
  EventKind kind = EventKind::count_;
  std::uint32_t target = 0;
  std::uint64_t payload = 0;
};

//! Names a scheduled event so that it can be cancelled; stale handles are harmless.
struct EventHandle {
  std::uint32_t slot = 0xffffffffU;
  std::uint32_t generation = 0;
  bool valid() const { return slot != 0xffffffffU; }
};

//! Priority queue of events. Not thread-safe; one per run. At most 2^24 (16.7 M) pending events.
class EventQueue {
 public:
  //! Adds an event; `time` must not be before the date of the last popped event (InternalError).
  EventHandle push(Instant time, EventKind kind, std::uint32_t target, std::uint64_t payload = 0) {
    if (time < now_) throw InternalError("event scheduled in the past");
    if (next_seq_ > max_seq) renumber();
    std::uint32_t slot;
    if (free_.empty()) {
      slot = static_cast<std::uint32_t>(slab_.size());
      if (slot > slot_mask) throw Error("more than 16.7 million pending events");
      slab_.emplace_back();
    } else {
      slot = free_.back();
      free_.pop_back();
    }
    Record& r = slab_[slot];
    r.payload = payload;
    r.target = target;
    r.kind = kind;
    r.live = true;
    heap_.push_back(Key{time.ns(), pack(rank_of(kind), next_seq_++, slot)});
    sift_up(heap_.size() - 1);
    ++live_;
    return {slot, r.generation};
  }

  //! Removes a pending event; returns false when it has run or was cancelled already.
  bool cancel(EventHandle h) {
    if (h.slot >= slab_.size()) return false;
    Record& r = slab_[h.slot];
    if (r.generation != h.generation || !r.live) return false;
    r.live = false;
    --live_;
    if (heap_.size() > 64 && live_ * 2 < heap_.size()) purge();
    return true;
  }

  bool empty() const { return live_ == 0; }
  //! Number of events that will still run.
  std::size_t size() const { return live_; }
  //! Date of the earliest pending event, or Instant::never().
  Instant next_time() {
    drop_dead();
    return heap_.empty() ? Instant::never() : Instant(heap_.front().time);
  }
  //! Date of the last popped event.
  Instant now() const { return now_; }

  //! Removes and returns the earliest event. The queue must not be empty.
  Event pop() {
    drop_dead();
    const Key top = heap_.front();
    const auto slot = static_cast<std::uint32_t>(top.order & slot_mask);
    const Record& r = slab_[slot];
    const Event e{Instant(top.time), r.kind, r.target, r.payload};
    remove_top();
    release(slot);
    --live_;
    now_ = e.time;
    return e;
  }

  //! Moves the clock forward without an event, e.g. to a date that the network reached.
  void advance_to(Instant t) {
    if (t > now_) now_ = t;
  }

 private:
  struct Key {
    std::int64_t time;
    std::uint64_t order;  // rank : 6 | sequence : 34 | slot : 24
    bool operator<(const Key& o) const {
      return time != o.time ? time < o.time : order < o.order;
    }
  };
  static_assert(sizeof(Key) == 16);
  struct Record {
    std::uint64_t payload = 0;
    std::uint32_t target = 0;
    std::uint32_t generation = 0;
    EventKind kind = EventKind::count_;
    bool live = false;
  };

  static constexpr std::uint64_t slot_mask = (1ULL << 24) - 1;
  static constexpr std::uint64_t max_seq = (1ULL << 34) - 1;
  static constexpr std::uint64_t pack(std::uint64_t rank, std::uint64_t seq, std::uint64_t slot) {
    return rank << 58 | seq << 24 | slot;
  }

  void sift_up(std::size_t i) {
    const Key k = heap_[i];
    while (i > 0) {
      const std::size_t parent = (i - 1) / 4;
      if (!(k < heap_[parent])) break;
      heap_[i] = heap_[parent];
      i = parent;
    }
    heap_[i] = k;
  }

  void sift_down(std::size_t i) {
    const std::size_t n = heap_.size();
    const Key k = heap_[i];
    for (;;) {
      const std::size_t first = 4 * i + 1;
      if (first >= n) break;
      std::size_t best = first;
      const std::size_t last = std::min(first + 4, n);
      for (std::size_t c = first + 1; c < last; ++c)
        if (heap_[c] < heap_[best]) best = c;
      if (!(heap_[best] < k)) break;
      heap_[i] = heap_[best];
      i = best;
    }
    heap_[i] = k;
  }

  void remove_top() {
    const Key last = heap_.back();
    heap_.pop_back();
    if (heap_.empty()) return;
    heap_.front() = last;
    sift_down(0);
  }

  void release(std::uint32_t slot) {
    slab_[slot].live = false;
    ++slab_[slot].generation;
    free_.push_back(slot);
  }

  // Cancelled events leave the heap when they reach its top.
  void drop_dead() {
    while (!heap_.empty()) {
      const auto slot = static_cast<std::uint32_t>(heap_.front().order & slot_mask);
      if (slab_[slot].live) return;
      remove_top();
      release(slot);
    }
  }

  // Rebuilds the heap without cancelled events once they are the majority.
  void purge() {
    std::size_t kept = 0;
    for (const Key& k : heap_) {
      const auto slot = static_cast<std::uint32_t>(k.order & slot_mask);
      if (slab_[slot].live) heap_[kept++] = k;
      else release(slot);
    }
    heap_.resize(kept);
    if (kept > 1)
      for (std::size_t i = (kept - 2) / 4 + 1; i-- > 0;) sift_down(i);
  }

  // After 17 billion events the sequence numbers start again, in the same order.
  void renumber() {
    purge();
    std::sort(heap_.begin(), heap_.end());
    next_seq_ = 0;
    for (Key& k : heap_) k.order = pack(k.order >> 58, next_seq_++, k.order & slot_mask);
  }

  std::vector<Key> heap_;
  std::vector<Record> slab_;
  std::vector<std::uint32_t> free_;
  std::uint64_t next_seq_ = 0;
  std::size_t live_ = 0;
  Instant now_;
};

}  // namespace isthmus
