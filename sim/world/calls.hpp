// Calls of services: one after the other or in parallel, over connections of pools.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "network/network.hpp"
#include "results/distribution.hpp"
#include "results/records.hpp"
#include "sim/core/random.hpp"
#include "sim/world/call_pool.hpp"
#include "sim/world/visits.hpp"

namespace isthmus::world {

class World;
struct Request;

//! All calls of a run. A call in order belongs to the way of its request (Visit::levels); each of several
//! parallel ones is a request of its own, a branch, without a record.
class Calls {
 public:
  explicit Calls(World& world);

  //! The service where the request is makes its next call. False: it has made them all.
  bool next(std::uint32_t slot);
  //! The answer of a call is back at the service that has made it.
  void returned(std::uint32_t slot);
  //! A request that is to resume: a branch begins, or a place in a pool was given to it.
  void begin(std::uint32_t slot);
  void turn(std::uint32_t slot);

  //! A connection for the call that was just put on the request's way.
  void connect(std::uint32_t slot);
  //! A half of a round trip of an opening, or its last work at the server, is over.
  void on_flow(std::uint32_t slot, network::Outcome outcome);
  void on_step(std::uint32_t slot);
  //! It has waited for a connection as long as it may.
  void on_timeout(std::uint32_t slot);
  //! Takes a request out of the line or the opening that it is in.
  void withdraw(std::uint32_t slot);
  //! The call of a level ends without an answer, or with one.
  void give_back(std::uint32_t slot, Level& level, bool answered);

  //! It goes to the replica at the other end of its connection, and to no other.
  bool is_bound(const Request& request) const;

  //! A branch has failed, and is in nothing any more. False: it is no branch. `retries`: as retry_or_fail.
  bool branch_failed(std::uint32_t slot, results::Status status, results::Cause cause, bool retries);
  //! The request waits for its branches no longer.
  void stop_branches(std::uint32_t slot);

  //! A replica that calls is no more.
  void forget(std::uint32_t replica);
  void reset_totals();
  void add_totals(std::vector<std::pair<std::string, double>>& out);

 private:
  struct Totals {
    results::Distribution waits;         // for connections that were got
    std::uint64_t waited = 0, timeouts = 0, refused = 0;
    explicit Totals(bool exact) : waits(exact) {}
  };

  void go_on(std::uint32_t slot);
  bool drawn(std::uint32_t slot, std::uint32_t call);
  void make(std::uint32_t slot);
  bool fan_out(std::uint32_t slot);
  std::uint32_t open_branch(std::uint32_t parent, std::uint32_t call, std::uint32_t number);
  void close_branch(std::uint32_t slot);
  bool forget_branch(std::uint32_t parent, std::uint64_t branch);

  void acquire(std::uint32_t slot);
  void open(std::uint32_t slot);
  void shake(std::uint32_t slot);
  void accept(std::uint32_t slot);
  void go(std::uint32_t slot);
  bool intact(const CallPool::Connection& connection) const;
  void give(const std::optional<CallPool::Turn>& turn);
  Totals& totals_of(const CallPool& pool) { return *totals_[pool.spec().id]; }

  World& world_;
  StreamKey draws_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, CallPool> pools_;  // by number and replica, ~0: shared
  std::vector<const ConnectionPoolSpec*> specs_;
  std::vector<std::unique_ptr<Totals>> totals_;  // by number
  Instant since_;                        // of the figures
};

}  // namespace isthmus::world
