// Replicated data at work: writes and reads at machines, and their synchronization with the hub.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "network/network.hpp"
#include "results/distribution.hpp"
#include "sim/core/event_queue.hpp"
#include "sim/core/random.hpp"
#include "sim/world/flow_tag.hpp"
#include "sim/world/replicated_value.hpp"

namespace isthmus::world {

class World;

//! All replicated data of a run. The world tells it what happens; it outlives no world.
class Replication {
 public:
  explicit Replication(World& world);

  void on_event(std::uint32_t data, std::uint64_t what);
  void on_flow_ended(Handle flow, network::Outcome outcome);
  //! Links or machines went down or came back.
  void conditions_changed();
  void node_failed(std::uint32_t node);
  void reset_totals();
  void add_totals(std::vector<std::pair<std::string, double>>& out);

 private:
  using Values = std::map<std::uint64_t, ReplicatedValue>;  // by key, those that have been written
  //! A message on its way, with what its sender had when it left.
  struct Message {
    FlowId flow;
    std::uint32_t number = 0;            // of the flow that counts
    bool part_of_exchange = false;
    Values values;
  };
  struct Replica {
    std::uint32_t node = 0;
    std::int64_t skew = 0;               // ns
    Values values;
    std::uint64_t writes = 0, reads = 0; // so far, for draws
    // Of machines, not of the hub: what the other side may not know, and the way there and back.
    std::set<std::uint64_t> news_up, news_down;
    Message up, down;
    bool exchanging = false;             // a poll, or a meeting after a loss of the connection
    bool connected = true;
    EventHandle retry;
    bool away = false;
    Instant returned = Instant::never();
  };
  //! A write that not every replica knows of.
  struct Write {
    Instant at;
    std::uint32_t writer = 0;
    std::uint64_t number = 0;
    std::uint32_t known = 1;             // replicas that know of it
    bool counted = false, lost = false;
  };
  struct Key {
    std::deque<Write> writes;            // by date
    VersionVector met;                   // what the last conflict has led to
  };
  struct Totals {
    std::uint64_t writes = 0, reads = 0, stale = 0, conflicts = 0, lost = 0, siblings = 0, messages = 0,
                  failures = 0;
    double up = 0, down = 0, vectors = 0;
    results::Distribution staleness, propagation, converge;
    explicit Totals(bool exact) : staleness(exact), propagation(exact), converge(true) {}
  };
  struct Data {
    std::vector<Replica> replicas;       // the hub first
    std::map<std::uint64_t, Key> keys;
    double all_bytes = 0;                // of one value of every key
    StreamKey sizes, draws;
  };

  const ReplicatedData& spec(std::uint32_t data) const;
  void schedule(std::uint32_t data, std::uint32_t kind, std::uint32_t replica, bool first = false);
  double size_of(std::uint32_t data, std::uint64_t key) const;
  std::uint64_t key_of(std::uint32_t data, std::uint32_t replica, std::uint32_t kind, std::uint64_t index) const;
  void write(std::uint32_t data, std::uint32_t replica);
  void read(std::uint32_t data, std::uint32_t replica);
  void exchange(std::uint32_t data, std::uint32_t replica);
  void push(std::uint32_t data, std::uint32_t replica, bool up);
  void push_all(std::uint32_t data);
  void send(std::uint32_t data, std::uint32_t replica, bool up, bool part_of_exchange);
  void stop(Replica& r, Message& m, bool up);
  void receive(std::uint32_t data, std::uint32_t replica, bool up);
  void take_in(std::uint32_t data, std::uint32_t to, std::uint64_t key, const ReplicatedValue& value);
  void lose_connection(std::uint32_t data, std::uint32_t replica);
  void complete(std::uint32_t data, std::uint32_t replica);
  bool node_up(std::uint32_t node) const;

  World& world_;
  std::vector<Data> data_;
  std::vector<Totals> totals_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> ways_;  // data and machine by number in tags
  std::vector<std::uint32_t> first_way_;                       // by data
};

}  // namespace isthmus::world
