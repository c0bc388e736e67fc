// Messages that wait on one machine: in which order they leave, and what happens without room.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <vector>

#include "sim/core/time.hpp"
#include "sim/world/outbox_spec.hpp"

namespace isthmus::world {

struct Message {
  std::uint64_t id = 0;                //!< in order of making
  Instant made;
  double bytes = 0;
  std::int32_t priority = 0;
  bool counted = false;                //!< made after the warm-up
  bool arrived = false;                //!< its sink has it, whether the sender knows or not
};

//! A bounded store. Messages on their way keep their room until they are settled or given back.
class MessageStore {
 public:
  MessageStore(double capacity, std::uint64_t messages, WhenFull when_full, SendOrder order)
      : capacity_(capacity), messages_(messages), when_full_(when_full), order_(order) {}

  //! Keeps a message; false: there is no room for it. What had to leave for it is added to `dropped`.
  bool add(const Message& message, std::vector<Message>& dropped);
  //! Whether add() would keep a message of that size without dropping any.
  bool has_room(double bytes) const {
    return size_ + 1 <= messages_ && bytes_ + bytes <= capacity_;
  }
  //! Whether an empty store keeps a message of that size.
  bool ever_fits(double bytes) const { return messages_ > 0 && bytes <= capacity_; }
  //! The next messages in order: at most `count` and, beyond the first, at most `bytes` together.
  std::vector<Message> take(std::uint32_t count, double bytes);
  //! Frees the room of messages on their way.
  void settle(const std::vector<Message>& messages);
  //! Messages on their way wait again, where they were.
  void give_back(const std::vector<Message>& messages);
  //! Takes out all that waits.
  std::vector<Message> clear();

  std::uint64_t waiting() const { return waiting_; }
  std::uint64_t size() const { return size_; }   //!< waiting or on its way
  double bytes() const { return size_ == 0 ? 0 : bytes_; }
  //! When the oldest waiting message was made; never() without one.
  Instant oldest() const;

 private:
  struct Level {
    std::deque<Message> messages;      // by id
    double bytes = 0;
  };
  std::int32_t level_of(const Message& m) const { return order_ == SendOrder::priority ? m.priority : 0; }
  void leave(const Message& m) {
    --size_;
    bytes_ -= m.bytes;
  }

  double capacity_;
  std::uint64_t messages_;
  WhenFull when_full_;
  SendOrder order_;
  std::map<std::int32_t, Level, std::greater<>> levels_;  // of messages that wait
  std::uint64_t waiting_ = 0, size_ = 0;
  double bytes_ = 0;
};

}  // namespace isthmus::world
