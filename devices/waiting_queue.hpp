// The waiting sequences of an LLM engine in the order in which they may start.
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <map>

namespace isthmus::devices {

//! Who of the waiting sequences is next.
enum class QueueOrder : std::uint8_t {
  arrival,   //!< first come first served; preempted sequences first of all
  priority,  //!< the larger priority, then the earlier arrival
  //! The client that was served least (Virtual Token Counter; Sheng et al., OSDI 2024), then its
  //! earliest arrival. Prompt tokens count once, decoded tokens twice.
  fair,
};

//! One waiting sequence.
struct Waiter {
  std::uint32_t slot = 0;
  std::uint64_t order = 0;    //!< grows with the arrivals, unique
  std::int32_t priority = 0;  //!< larger first
  std::uint32_t client = 0;   //!< whose counter it goes by
};

//! Constant time per call in order of arrival, logarithmic by priority, linear in the clients that
//! wait when fair. front() and pop_front() need a waiter.
class WaitingQueue {
 public:
  explicit WaitingQueue(QueueOrder order) : order_(order) {}

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  std::uint32_t front() const;
  void pop_front();
  //! A new arrival.
  void push(const Waiter& w);
  //! A preempted sequence comes back.
  void push_preempted(const Waiter& w);
  bool erase(const Waiter& w);
  void clear();

  //! With QueueOrder::fair, `client` got that many more weighted tokens.
  void charge(std::uint32_t client, std::int64_t tokens) {
    if (order_ == QueueOrder::fair) counters_[client] += tokens;
  }
  //! True when f(slot) is for some waiter; asks no further ones then.
  template <class F>
  bool any_of(F f) const {
    for (const Waiter& w : arrivals_)
      if (f(w.slot)) return true;
    for (const auto& [rank, slot] : ranked_)
      if (f(slot)) return true;
    for (const auto& [client, waiters] : by_client_)
      for (const Waiter& w : waiters)
        if (f(w.slot)) return true;
    return false;
  }

 private:
  struct Rank {
    std::int64_t urgency;  // the smaller the earlier
    std::uint64_t order;
    auto operator<=>(const Rank&) const = default;
  };
  static Rank rank_of(const Waiter& w) { return {-static_cast<std::int64_t>(w.priority), w.order}; }
  std::uint32_t next_client() const;

  QueueOrder order_;
  std::size_t size_ = 0;
  std::deque<Waiter> arrivals_;
  std::map<Rank, std::uint32_t> ranked_;
  std::map<std::uint32_t, std::deque<Waiter>> by_client_;  // only those that wait
  std::map<std::uint32_t, std::int64_t> counters_;
  std::uint32_t last_client_ = 0;  // to leave the queue
};

}  // namespace isthmus::devices
