#include "devices/kv_blocks.hpp"

#include "sim/core/errors.hpp"

namespace isthmus::devices {

KvBlocks::KvBlocks(std::int64_t blocks) : blocks_(blocks) { put_back(blocks); }

std::uint32_t KvBlocks::allocate() {
  if (unused_.empty()) {
    entries_.emplace_back();
    return static_cast<std::uint32_t>(entries_.size() - 1);
  }
  const std::uint32_t entry = unused_.back();
  unused_.pop_back();
  entries_[entry] = {};
  return entry;
}

void KvBlocks::append(std::uint32_t entry) {
  Entry& e = entries_[entry];
  e.prev = tail_;
  e.next = none;
  (tail_ == none ? head_ : entries_[tail_].next) = entry;
  tail_ = entry;
}

void KvBlocks::unlink(std::uint32_t entry) {
  const Entry& e = entries_[entry];
  (e.prev == none ? head_ : entries_[e.prev].next) = e.next;
  (e.next == none ? tail_ : entries_[e.next].prev) = e.prev;
}

void KvBlocks::take(std::int64_t count) {
  if (count > free_) throw InternalError("KV blocks: more taken than are free");
  free_ -= count;
  while (count > 0) {
    Entry& e = entries_[head_];
    if (e.count > count) {
      e.count -= count;
      return;
    }
    count -= e.count;
    if (e.key != no_key) {
      by_key_.erase(e.key);
      if (listener_) listener_->evicted(e.key);
    }
    unused_.push_back(head_);
    unlink(head_);
  }
}

void KvBlocks::put_back(std::int64_t count) {
  if (count == 0) return;
  free_ += count;
  if (tail_ != none && entries_[tail_].key == no_key) {
    entries_[tail_].count += count;
    return;
  }
  const std::uint32_t entry = allocate();
  entries_[entry].count = count;
  append(entry);
}

std::int64_t KvBlocks::users(BlockKey key) const {
  const auto it = by_key_.find(key);
  return it == by_key_.end() ? -1 : static_cast<std::int64_t>(entries_[it->second].users);
}

bool KvBlocks::use(BlockKey key) {
  const auto it = by_key_.find(key);
  if (it == by_key_.end()) return false;
  if (entries_[it->second].users++ > 0) return true;
  unlink(it->second);
  --free_;
  return true;
}

bool KvBlocks::name(BlockKey key) {
  const auto [it, fresh] = by_key_.try_emplace(key, none);
  if (!fresh) return false;
  it->second = allocate();
  Entry& e = entries_[it->second];
  e.key = key;
  e.count = e.users = 1;
  return true;
}

void KvBlocks::put_back_named(BlockKey key) {
  const std::uint32_t entry = by_key_.at(key);
  if (--entries_[entry].users > 0) return;
  append(entry);
  ++free_;
}

void KvBlocks::reset() {
  entries_.clear();
  unused_.clear();
  by_key_.clear();
  head_ = tail_ = none;
  free_ = 0;
  put_back(blocks_);
}

}  // namespace isthmus::devices
