#include "sim/world/message_store.hpp"

#include <algorithm>

namespace isthmus::world {

bool MessageStore::add(const Message& m, std::vector<Message>& dropped) {
  const std::int32_t level = level_of(m);
  if (!has_room(m.bytes)) {
    if (when_full_ != WhenFull::drop_oldest) return false;
    // Nobody leaves in vain: first see whether all that may leave makes enough room.
    std::uint64_t count = 0;
    double bytes = 0;
    for (const auto& [priority, l] : levels_)
      if (priority <= level) count += l.messages.size(), bytes += l.bytes;
    if (size_ - count + 1 > messages_ || bytes_ - bytes + m.bytes > capacity_) return false;
    for (auto lowest = levels_.rbegin(); !has_room(m.bytes) && lowest != levels_.rend(); ++lowest) {
      Level& l = lowest->second;
      while (!l.messages.empty() && !has_room(m.bytes)) {
        dropped.push_back(l.messages.front());
        l.bytes -= l.messages.front().bytes;
        leave(l.messages.front());
        l.messages.pop_front();
        --waiting_;
      }
      if (l.messages.empty()) l.bytes = 0;
    }
    if (size_ == 0) bytes_ = 0;
  }
  Level& l = levels_[level];
  l.messages.push_back(m);
  l.bytes += m.bytes;
  bytes_ += m.bytes;
  ++size_;
  ++waiting_;
  return true;
}

std::vector<Message> MessageStore::take(std::uint32_t count, double bytes) {
  std::vector<Message> out;
  double taken = 0;
  for (auto& [priority, l] : levels_) {
    while (!l.messages.empty() && out.size() < count) {
      const bool newest = order_ == SendOrder::newest_first;
      const Message& next = newest ? l.messages.back() : l.messages.front();
      if (!out.empty() && taken + next.bytes > bytes) return out;
      taken += next.bytes;
      l.bytes -= next.bytes;
      out.push_back(next);
      if (newest) l.messages.pop_back();
      else l.messages.pop_front();
      --waiting_;
    }
    if (l.messages.empty()) l.bytes = 0;
  }
  return out;
}

void MessageStore::settle(const std::vector<Message>& messages) {
  for (const Message& m : messages) leave(m);
  if (size_ == 0) bytes_ = 0;
}

void MessageStore::give_back(const std::vector<Message>& messages) {
  for (const Message& m : messages) {
    Level& l = levels_[level_of(m)];
    l.messages.insert(std::lower_bound(l.messages.begin(), l.messages.end(), m.id,
                                       [](const Message& other, std::uint64_t id) { return other.id < id; }),
                      m);
    l.bytes += m.bytes;
    ++waiting_;
  }
}

std::vector<Message> MessageStore::clear() {
  std::vector<Message> out;
  for (auto& [priority, l] : levels_) out.insert(out.end(), l.messages.begin(), l.messages.end());
  levels_.clear();
  waiting_ = 0;
  settle(out);
  return out;
}

Instant MessageStore::oldest() const {
  Instant first = Instant::never();
  for (const auto& [priority, l] : levels_)
    if (!l.messages.empty()) first = std::min(first, l.messages.front().made);
  return first;
}

}  // namespace isthmus::world
