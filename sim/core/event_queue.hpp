// The pending events: a 4-ary heap of 16-byte keys over a slab of small records.
// Order is total: date, then rank of the kind, then order of scheduling.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#include "sim/core/errors.hpp"
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
  //! False for a handle that never named an event.
  bool valid() const { return slot != 0xffffffffU; }
};

//! Priority queue of events. Not thread-safe; one per run. At most 2^24 (16.7 M) pending events.
class EventQueue {
 public:
  //! A sequence number breaks ties of date and rank; they are renumbered when this one is used up.
  static constexpr std::uint64_t last_sequence = (1ULL << 34) - 1;

  //! `first_sequence`: where numbering starts; only tests of the renumbering change it.
  explicit EventQueue(std::uint64_t first_sequence = 0)
      : heap_(root + 1 + padding, no_key), next_seq_(first_sequence) {}

  //! Adds an event. A date before that of the last popped event is an InternalError. An event at
  //! Instant::never() is not stored: its handle is invalid.
  EventHandle push(Instant time, EventKind kind, std::uint32_t target, std::uint64_t payload = 0) {
    if (time < now_) fail_past();
    if (time.is_never()) return {};
    if (next_seq_ > last_sequence) renumber();
    const std::uint32_t slot = take_slot();
    Record& r = slab_[slot];
    r.payload = payload;
    r.target = target;
    r.kind = kind;
    r.live = true;
    ++live_;
    const Key key = make_key(time, rank_of(kind), next_seq_++, slot);
    if (hole_) {
      hole_ = false;
      sift_down(root, key);
    } else {
      append(key);
    }
    return {slot, r.generation};
  }

  //! Removes a pending event; returns false when it has run or was cancelled already.
  bool cancel(EventHandle h) {
    if (h.slot >= slab_.size()) return false;
    Record& r = slab_[h.slot];
    if (r.generation != h.generation || !r.live) return false;
    r.live = false;
    --live_;
    if (++dead_ > 64 && dead_ > live_) purge();
    return true;
  }

  //! True when no event will run any more.
  bool empty() const { return live_ == 0; }
  //! Number of events that will still run.
  std::size_t size() const { return live_; }
  //! Date of the earliest pending event, or Instant::never().
  Instant next_time() {
    settle();
    return end_ == root ? Instant::never() : time_of(heap_[root]);
  }
  //! Date of the last popped event, or of advance_to() when that is later.
  Instant now() const { return now_; }

  //! Removes and returns the earliest event. On an empty queue: InternalError.
  Event pop() {
    if (live_ == 0) fail_empty();
    settle();
    const Key top = heap_[root];
    const std::uint32_t slot = slot_of(top);
    const Record& r = slab_[slot];
    const Event e{time_of(top), r.kind, r.target, r.payload};
    // The root stays vacant: most handlers schedule something at once, which then takes the place.
    hole_ = true;
    release(slot);
    --live_;
    now_ = e.time;
    return e;
  }

  //! Moves the clock forward without an event, e.g. to a date that the network reached; never
  //! backwards. Past a pending event: InternalError.
  void advance_to(Instant t) {
    if (t <= now_) return;
    if (t > next_time()) fail_skip();
    now_ = t;
  }

 private:
  // date : 64 | rank : 6 | sequence : 34 | slot : 24. Dates are never negative, so that one
  // unsigned comparison, without branches, decides the order.
  using Key = unsigned __int128;
  static constexpr Key no_key = ~Key{0};

  struct Record {
    std::uint64_t payload = 0;
    std::uint32_t target = 0;  // of a free record: the next free slot
    std::uint32_t generation = 0;
    EventKind kind = EventKind::count_;
    bool live = false;
  };

  // Puts the four children of a node on one cache line.
  template <class T>
  struct LineAllocator {
    using value_type = T;
    LineAllocator() = default;
    template <class U>
    LineAllocator(const LineAllocator<U>&) {}
    T* allocate(std::size_t n) {
      return static_cast<T*>(::operator new (n * sizeof(T), std::align_val_t{64}));
    }
    void deallocate(T* p, std::size_t) { ::operator delete (p, std::align_val_t{64}); }
    bool operator==(const LineAllocator&) const { return true; }
  };

  // The root stands at 3, the children of i at 4i-8 .. 4i-5: groups start at multiples of four.
  static constexpr std::size_t root = 3;
  static constexpr std::size_t first_child(std::size_t i) { return 4 * i - 8; }
  static constexpr std::size_t parent(std::size_t i) { return i / 4 + 2; }

  static constexpr std::uint32_t no_slot = 0xffffffffU;
  static constexpr std::uint64_t slot_mask = (1ULL << 24) - 1;
  static constexpr Key make_key(Instant time, std::uint64_t rank, std::uint64_t seq,
                                std::uint64_t slot) {
    return static_cast<Key>(time.ns()) << 64 | (rank << 58 | seq << 24 | slot);
  }
  static constexpr Instant time_of(Key k) { return Instant(static_cast<std::int64_t>(k >> 64)); }
  static constexpr std::uint32_t slot_of(Key k) {
    return static_cast<std::uint32_t>(static_cast<std::uint64_t>(k) & slot_mask);
  }

  [[noreturn, gnu::cold, gnu::noinline]] static void fail_past() {
    throw InternalError("event scheduled in the past");
  }
  [[noreturn, gnu::cold, gnu::noinline]] static void fail_empty() {
    throw InternalError("no event to pop");
  }
  [[noreturn, gnu::cold, gnu::noinline]] static void fail_skip() {
    throw InternalError("clock moved past a pending event");
  }

  std::uint32_t take_slot() {
    const std::uint32_t slot = free_;
    if (slot == no_slot) return new_slot();
    free_ = slab_[slot].target;
    return slot;
  }

  [[gnu::noinline]] std::uint32_t new_slot() {
    if (slab_.size() > slot_mask) throw Error("more than 16.7 million pending events");
    slab_.emplace_back();
    return static_cast<std::uint32_t>(slab_.size() - 1);
  }

  void release(std::uint32_t slot) {
    Record& r = slab_[slot];
    r.live = false;
    ++r.generation;
    r.target = free_;
    free_ = slot;
  }

  // Places after the last key hold no_key, so that the least of four children needs no count and
  // a prefetch of four groups stays inside.
  static constexpr std::size_t padding = 16;
  [[gnu::noinline]] void grow() { heap_.insert(heap_.end(), padding, no_key); }

  void append(Key key) {
    if (end_ + padding >= heap_.size()) grow();
    std::size_t i = end_++;
    while (i > root && key < heap_[parent(i)]) {
      heap_[i] = heap_[parent(i)];
      i = parent(i);
    }
    heap_[i] = key;
  }

  // Keys that the first-level cache holds beside other things.
  static constexpr std::size_t cached = 512;

  // Writes `key` at the vacant place i or where it belongs below. The place of the least child is
  // computed, not branched to: its outcome is a coin toss that no predictor learns.
  void sift_down(std::size_t i, Key key) {
    Key* const h = heap_.data();
    const std::size_t end = end_;
    const bool large = end > cached;
    for (std::size_t c = first_child(i); c < end; c = first_child(i)) {
      // Large heaps wait for memory: ask for the next level while this one is compared.
      if (const std::size_t next = first_child(c); large && next < end)
        for (std::size_t line = 0; line < 16; line += 4) __builtin_prefetch(h + next + line);
      const std::size_t a = c + (h[c + 1] < h[c]);
      const std::size_t b = c + 2 + (h[c + 3] < h[c + 2]);
      const std::size_t least = a + ((b - a) & (std::size_t{0} - std::size_t{h[b] < h[a]}));
      if (key < h[least]) break;
      h[i] = h[least];
      // A key that rises to just below the root runs soon: ask for its record.
      if (large && c - first_child(first_child(root)) < 16) __builtin_prefetch(&slab_[slot_of(h[least])]);
      i = least;
    }
    h[i] = key;
  }

  // Takes the last key off the end of the heap.
  Key remove_last() {
    const Key last = heap_[--end_];
    heap_[end_] = no_key;
    return last;
  }

  void fill_hole() {
    hole_ = false;
    const Key last = remove_last();
    if (end_ != root) sift_down(root, last);
  }

  // Makes the root the earliest event that will run.
  void settle() {
    if (hole_) fill_hole();
    if (dead_ != 0) drop_dead();
  }

  // Cancelled events leave the heap when they reach its top.
  void drop_dead() {
    while (end_ != root) {
      const std::uint32_t slot = slot_of(heap_[root]);
      if (slab_[slot].live) return;
      fill_hole();
      release(slot);
      --dead_;
    }
  }

  // Rebuilds the heap without cancelled events once they are the majority.
  [[gnu::noinline]] void purge() {
    if (hole_) fill_hole();
    std::size_t kept = root;
    for (std::size_t i = root; i < end_; ++i) {
      const std::uint32_t slot = slot_of(heap_[i]);
      if (slab_[slot].live)
        heap_[kept++] = heap_[i];
      else
        release(slot);
    }
    std::fill(heap_.begin() + static_cast<std::ptrdiff_t>(kept),
              heap_.begin() + static_cast<std::ptrdiff_t>(end_), no_key);
    end_ = kept;
    dead_ = 0;
    if (end_ > root + 1)
      for (std::size_t i = parent(end_ - 1) + 1; i-- > root;) sift_down(i, heap_[i]);
  }

  // After 17 billion events the sequence numbers start again, in the same order.
  [[gnu::noinline]] void renumber() {
    purge();
    // A sorted array is a heap.
    std::sort(heap_.begin() + root, heap_.begin() + static_cast<std::ptrdiff_t>(end_));
    next_seq_ = 0;
    for (std::size_t i = root; i < end_; ++i) {
      const Key k = heap_[i];
      heap_[i] = make_key(time_of(k), static_cast<std::uint64_t>(k) >> 58, next_seq_++, slot_of(k));
    }
  }

  std::vector<Key, LineAllocator<Key>> heap_;  // keys at root .. end_-1, no_key elsewhere
  std::vector<Record> slab_;
  std::size_t end_ = root;
  std::size_t live_ = 0;  // keys that will run
  std::size_t dead_ = 0;  // cancelled keys still in the heap
  std::uint64_t next_seq_ = 0;
  Instant now_;
  std::uint32_t free_ = no_slot;
  bool hole_ = false;  // the key at the root has run
};

}  // namespace isthmus
