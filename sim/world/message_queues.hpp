// Services that keep messages: they answer at once and call their consumers later.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "results/distribution.hpp"
#include "results/records.hpp"
#include "sim/core/event_queue.hpp"
#include "sim/world/state.hpp"
#include "sim/world/time_average.hpp"

namespace isthmus::world {

class World;

//! All such services of a run. A delivery is a branch (Visit) without a request that waits for it.
class MessageQueues {
 public:
  explicit MessageQueues(World& world);

  bool manages(std::uint32_t service) const { return of_service_.contains(service); }
  //! The service has taken the request in: its message is kept. False: there is no room for it.
  bool publish(std::uint32_t slot);
  //! All calls for a message are answered, or one has failed; its request is no more.
  void consumed(std::uint64_t message);
  void failed(std::uint64_t message);
  //! A message is due again, or its consumer has taken too long.
  void on_event(std::uint32_t what, std::uint64_t message);
  //! A replica takes up its work, or is lost.
  void replica_ready(std::uint32_t replica);
  void replica_lost(std::uint32_t replica);
  //! No message will be delivered as things are.
  bool idle() const;
  void reset_totals();
  void add_totals(std::vector<std::pair<std::string, double>>& out);

  static constexpr std::uint32_t due = 0, late = 1;  //!< events

 private:
  struct Message {
    results::RequestRecord record;       // as it was published
    std::uint32_t host = 0, image_tokens = 0, image_end = 0, replica = 0, tries = 0;
    std::shared_ptr<const PromptBlocks> prompt_blocks;
    std::uint64_t key = 0, path = 0, hops = 0;
    Instant published;
    Handle delivery;                     // its branch; stale: it waits
    EventHandle timer;                   // of its return to the line, or of its consumer
  };
  struct Line {
    std::deque<std::uint64_t> waiting;   // messages, by number
    std::uint32_t out = 0, held = 0;     // delivered without an answer; all that are kept
  };
  struct State {
    std::uint32_t service = 0;
    std::map<std::uint32_t, Line> lines; // by replica
    std::uint64_t published = 0, consumed = 0, redelivered = 0, dead = 0, lost = 0;
    TimeAverage waiting;
    double most = 0;                     // that waited at once
    Duration oldest;                     // greatest age of a message in a line
    std::unique_ptr<results::Distribution> delays;
  };

  State& state_of(const Message& message) { return states_[of_service_.at(message.record.service)]; }
  void put(State& state, Line& line, std::uint64_t number, bool first);
  void deliver(std::uint32_t replica);
  void open_delivery(std::uint64_t number);
  void forget(std::uint64_t number);

  World& world_;
  std::map<std::uint32_t, std::size_t> of_service_;
  std::vector<State> states_;
  std::map<std::uint64_t, Message> messages_;  // by number
  std::uint64_t next_ = 1;
  std::uint64_t returning_ = 0;          // messages that come back after a delay
};

}  // namespace isthmus::world
