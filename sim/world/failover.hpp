// Services with a primary: who it is, who has its writes, and what a failover costs.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "network/network.hpp"
#include "sim/core/event_queue.hpp"
#include "sim/core/random.hpp"
#include "sim/world/failover_spec.hpp"
#include "sim/world/flow_tag.hpp"

namespace isthmus::world {

class World;
struct Request;

//! All such services of a run. The world tells it what happens; it outlives no world.
class Failover {
 public:
  explicit Failover(World& world);

  void on_event(std::uint32_t index, std::uint64_t payload);
  void on_flow_ended(Handle flow, network::Outcome outcome);
  bool manages(std::uint32_t service) const { return of_service_.contains(service); }
  //! A replica is ready: whether it may get requests at once.
  bool may_serve(std::uint32_t replica);
  //! The replica for a request that only reads; ~0: the primary.
  std::uint32_t reader(std::uint32_t slot, std::uint32_t service);
  //! A replica gets no more requests.
  void left(std::uint32_t replica);
  //! The work on a request is done: true when its answer waits for a standby.
  bool hold(std::uint32_t slot);
  //! Requests of a lost replica whose answers wait.
  void take_held(std::uint32_t replica, std::vector<std::uint64_t>& lost);
  void reset_totals();
  void add_totals(std::vector<std::pair<std::string, double>>& out) const;

 private:
  static constexpr std::uint32_t nobody = 0xffffffffU;
  struct Write {
    Instant answered = Instant::never(); // never: not yet
    std::uint64_t key = 0;               // of the request; 0: none
    bool counted = false;
  };
  struct Standby {
    std::set<std::uint64_t> missing;     // writes that it does not have
    bool resending = false;              // what it misses is about to be sent again
  };
  struct Held {
    std::uint64_t tag = 0;
    std::uint32_t replica = 0;
    std::size_t pending = 0;             // standbys that may yet acknowledge it
  };
  struct Totals {
    std::uint64_t writes = 0, failovers = 0, lost = 0, alone = 0, shipped = 0;
    std::uint64_t reads = 0, apart = 0, stale = 0, sent_back = 0;  // at standbys; to the primary for own writes
    double bytes = 0, downtime = 0, longest = 0, rpo = 0, lag = 0, longest_lag = 0;
  };
  struct State {
    std::uint32_t primary = nobody;      // replica; nobody: during a failover
    Instant lost_at = Instant::never();  // the primary is away since then
    std::uint32_t misses = 0;
    bool promoting = false, restoring = false;
    std::uint32_t restores = 0;          // so far
    std::uint64_t next = 1;              // number of the next write
    std::map<std::uint64_t, std::uint64_t> own;  // last write by client, where reads ask for it
    std::map<std::uint64_t, Write> writes;  // that some standby does not have, or no checkpoint has
    std::map<std::uint32_t, Standby> standbys;  // by replica: those that are ready
    std::map<std::uint64_t, Held> held;  // by write
    std::uint64_t shipping = 1;          // asynchronous batches: first write of the next one
    std::uint64_t stored = 0;            // last write of the last checkpoint that is complete
    std::uint64_t storing = 0;           // of the one that is being written
    Totals totals;
  };
  struct Flow {
    std::uint32_t index = 0, standby = 0, generation = 0;
    std::uint64_t first = 0, last = 0;   // writes
    bool live = false, back = false;     // an acknowledgement
    FlowId flow;
  };

  const FailoverSpec& spec(std::uint32_t index) const;
  std::uint32_t index_of(std::uint32_t replica) const;
  bool writes(std::uint32_t index, const Request& request) const;
  void note_read(std::uint32_t index, const Request& request);
  bool is_ready(std::uint32_t replica) const;
  bool is_alive(std::uint32_t replica) const;
  void after(Duration wait, std::uint32_t index, std::uint32_t kind, std::uint64_t what = 0);
  void send(std::uint32_t index, std::uint32_t standby, std::uint64_t first, std::uint64_t last, bool back);
  void has(std::uint32_t index, std::uint32_t standby, std::uint64_t first, std::uint64_t last);
  void answer(std::uint32_t index, std::uint64_t write);
  void forget_known(std::uint32_t index);
  void probe(std::uint32_t index);
  void choose(std::uint32_t index);
  Duration restore_time(std::uint32_t index) const;
  void take_over(std::uint32_t index, std::uint32_t replica);
  void lose_writes(std::uint32_t index, std::uint32_t successor);
  void serve(std::uint32_t index, std::uint32_t replica);

  World& world_;
  StreamKey draws_;
  std::vector<State> states_;
  std::map<std::uint32_t, std::uint32_t> of_service_;
  std::vector<Flow> flows_;
  std::vector<std::uint32_t> free_flows_;
  std::uint64_t passing_ = ~0ULL;        // request whose answer goes out now
};

}  // namespace isthmus::world
