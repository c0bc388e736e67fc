// A map of bounded size that forgets the key that was used longest ago.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>
#include <utility>

namespace isthmus::schedulers {

//! Constant time per call.
template <class Value>
class LruMap {
 public:
  LruMap() = default;
  LruMap(LruMap&&) = default;  // a copy's index would refer to the original
  LruMap& operator=(LruMap&&) = default;

  std::size_t size() const { return order_.size(); }
  bool contains(std::uint64_t key) const { return by_key_.contains(key); }
  //! The value of a key, or null; does not count as a use.
  const Value* find(std::uint64_t key) const {
    const auto it = by_key_.find(key);
    return it == by_key_.end() ? nullptr : &it->second->second;
  }
  //! Sets the value of a key, which is now the last used one.
  void use(std::uint64_t key, Value value) {
    const auto [it, added] = by_key_.try_emplace(key);
    if (added) it->second = order_.emplace(order_.begin(), key, value);
    else order_.splice(order_.begin(), order_, it->second);
    it->second->second = value;
  }
  //! The key that was used longest ago, of at least one, and its value.
  const std::pair<std::uint64_t, Value>& oldest() const { return order_.back(); }
  //! Forgets the key that was used longest ago, of at least one, and returns it.
  std::uint64_t forget_oldest() {
    const std::uint64_t key = order_.back().first;
    by_key_.erase(key);
    order_.pop_back();
    return key;
  }
  //! Forgets a key, if it is there; true when it was.
  bool forget(std::uint64_t key) {
    const auto it = by_key_.find(key);
    if (it == by_key_.end()) return false;
    order_.erase(it->second);
    by_key_.erase(it);
    return true;
  }
  //! Forgets keys until `most` are left.
  void shrink(std::size_t most) {
    while (order_.size() > most) forget_oldest();
  }

 private:
  using Order = std::list<std::pair<std::uint64_t, Value>>;
  Order order_;  // the last used one first
  std::unordered_map<std::uint64_t, typename Order::iterator> by_key_;
};

}  // namespace isthmus::schedulers
