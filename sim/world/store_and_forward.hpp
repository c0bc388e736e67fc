// Outboxes of machines at work: messages are made, wait, and travel to their sinks over the network.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "network/network.hpp"
#include "results/distribution.hpp"
#include "sim/core/event_queue.hpp"
#include "sim/core/random.hpp"
#include "sim/world/flow_tag.hpp"
#include "sim/world/message_store.hpp"

namespace isthmus::world {

class World;

//! All outboxes of a run. The world tells it what happens; it outlives no world.
class StoreAndForward {
 public:
  explicit StoreAndForward(World& world);

  void on_event(std::uint32_t box, std::uint64_t what);
  void on_flow_ended(Handle flow, network::Outcome outcome);
  //! A replica of the service on the machine has served a request.
  void served(std::uint32_t service, std::uint32_t node);
  //! Links or machines went down or came back.
  void conditions_changed();
  void node_failed(std::uint32_t node);
  void node_recovered(std::uint32_t node);
  void reset_totals();
  //! Metrics of every outbox of the scenario. Throws InternalError when a message is neither delivered, nor
  //! dropped, nor queued.
  void add_totals(std::vector<std::pair<std::string, double>>& out);

 private:
  enum class Phase : std::uint8_t {
    idle,
    connecting,  // a round trip of setting up the connection
    sending,
    confirming,  // the acknowledgement is on its way, or it never will be
    resting,     // after a failed attempt
  };
  struct Source {
    std::uint64_t made = 0;
    std::optional<Message> blocked;
  };
  struct Box {
    std::uint32_t spec = 0, node = 0, sink = 0;
    MessageStore store;
    std::vector<Source> sources;
    std::uint64_t made = 0;              // number of the next message
    Phase phase = Phase::idle;
    bool connected = false, back = false;  // the flow in flight comes from the sink
    std::uint32_t trip = 0;              // of connecting
    std::uint32_t failures = 0;          // in a row
    std::uint64_t tries = 0;             // failures so far, for draws
    std::uint32_t flow_number = 0;       // of the flow that counts
    FlowId flow;
    EventHandle timer;
    std::vector<Message> shipment;
    Instant shipped;                     // start of it
    bool away = false;                   // its sink cannot be reached
    bool catching_up = false;
    Instant returned = Instant::never(); // of its path, as far as known
  };
  struct Totals {
    std::uint64_t made = 0, delivered = 0, dropped = 0, lost_network = 0, lost_node = 0, duplicates = 0,
                  repeated = 0, backlog = 0, partitions = 0, failures = 0;
    double backlog_bytes = 0, bytes = 0, blocked = 0;  // blocked: s
    results::Distribution age, catch_up;
    explicit Totals(bool exact) : age(exact), catch_up(true) {}
  };

  const Outbox& spec(const Box& b) const;
  Totals& totals(const Box& b) { return totals_[b.spec]; }
  void schedule(std::uint32_t box, std::uint32_t source, Duration wait);
  Duration gap(std::uint32_t box, std::uint32_t source);
  void make(std::uint32_t box, std::uint32_t source);
  bool keep(std::uint32_t box, const Message& message);
  void note_backlog(const Box& b);
  void unblock(std::uint32_t box);
  void pump(std::uint32_t box);
  void start_flow(std::uint32_t box, bool back, double bytes);
  void stop_flow(Box& b);
  void end_radio(const Box& b);
  void ship(std::uint32_t box);
  void arrived(std::uint32_t box);
  void settle(std::uint32_t box);
  void lose(Box& b, std::uint64_t& count, const std::vector<Message>& messages);
  void fail(std::uint32_t box);
  bool path_up(const Box& b) const;

  World& world_;
  StreamKey draws_, waits_;
  std::vector<Box> boxes_;
  std::vector<Totals> totals_;
  std::vector<std::vector<std::uint32_t>> boxes_at_;  // by node
};

}  // namespace isthmus::world
