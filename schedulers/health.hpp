// What a balancer finds out about its replicas by using them, and whom it spares for it: a layer around
// any routing policy.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "sim/core/time.hpp"

namespace isthmus::schedulers {

//! How a try at a replica ended.
enum class TryEnd : std::uint8_t {
  answered,
  error,      //!< refused, lost with its machine or on the network
  timeout,    //!< took longer than an attempt may
  rejected,   //!< turned away: its queue was full, or the wait in it too long
  abandoned,  //!< the client gave up: says nothing about the replica
};

//! One replica as the balancer's configuration has it; nginx's `server` and its defaults, but no
//! passive checks.
struct ServerSpec {
  double weight = 1;
  std::uint32_t max_fails = 0;         //!< failures within fail_timeout that take it out; 0 = never
  Duration fail_timeout = Duration::from_seconds(10);  //!< also: for how long
  std::uint32_t max_conns = 0;         //!< outstanding requests; 0 = no limit
  std::uint16_t priority = 0;          //!< for policies that know priorities
  bool backup = false;                 //!< only when no other replica is usable
  bool down = false;                   //!< never
};

//! Envoy's outlier detection.
struct OutlierSpec {
  std::uint32_t consecutive_errors = 5;  //!< 0 = no ejection by them
  Duration interval = Duration::from_seconds(10);
  Duration base_ejection = Duration::from_seconds(30);
  Duration max_ejection = Duration::from_seconds(300);
  double max_ejected = 0.1;            //!< share of the replicas; one may always go
  double stdev_factor = 1.9;           //!< success rates below mean - factor x stdev; 0 = no ejection by them
  std::uint32_t minimum_hosts = 5;     //!< with request_volume, else success rates say nothing
  std::uint32_t request_volume = 100;  //!< of a replica in an interval
};

//! A circuit breaker for each replica, by its share of errors.
struct BreakerSpec {
  double error_rate = 0.5;             //!< opens at this share or above
  std::uint32_t min_requests = 20;     //!< in the window, else it stays closed
  Duration window = Duration::from_seconds(10);
  Duration open_for = Duration::from_seconds(5);
  std::uint32_t probes = 1;            //!< half open: requests let through, all of which must succeed
};

//! Weights that grow after a replica has become ready, as in Envoy.
struct SlowStartSpec {
  Duration window = Duration::from_seconds(30);
  double aggression = 1;               //!< 1 = linear; above: faster at first
  double least = 0.1;                  //!< share of the weight at the start
};

//! Probes that the balancer sends by itself.
struct ActiveCheckSpec {
  Duration interval = Duration::from_seconds(5);
  std::uint32_t fall = 3, rise = 2;    //!< probes in a row that take it out, and bring it back
};

struct HealthSpec {
  std::vector<ServerSpec> servers;     //!< by number of the replica
  ServerSpec others;                   //!< that are not in the list
  std::optional<OutlierSpec> outlier;
  std::optional<BreakerSpec> breaker;
  std::optional<SlowStartSpec> slow_start;
  std::optional<ActiveCheckSpec> active;
  std::uint32_t max_requests = 0;      //!< outstanding at all replicas together; 0 = no limit
  std::uint32_t max_retries = 0;       //!< tries at a further replica under way at once; 0 = no limit
  std::uint32_t next_tries = 0;        //!< further replicas that a failed request is tried at, at once
  double panic_threshold = 0;          //!< fewer usable ones: all are used
  bool knows_failures = false;         //!< dead replicas are known at once, as if by magic
  Duration connect_timeout = Duration::zero();  //!< that a try at a dead replica takes

  const ServerSpec& server(std::uint32_t number) const {
    return number < servers.size() ? servers[number] : others;
  }
};

//! Keeps what is known of each replica, by its number. Dates must not decrease.
class ReplicaHealth {
 public:
  struct Counts {
    std::uint64_t tries = 0, failures = 0, retries = 0, ejections = 0, returns = 0, opened = 0,
                  turned_away = 0;
    std::vector<std::uint64_t> by_replica;  //!< tries
  };

  explicit ReplicaHealth(const HealthSpec& spec) : spec_(spec) {}

  //! It is ready from now on, with nothing against it.
  void joined(std::uint32_t number, Instant now);
  void left(std::uint32_t number);

  //! Whether it may be chosen; `alone`: there is no other, so failures do not take it out.
  bool usable(std::uint32_t number, std::uint32_t outstanding, Instant now, bool alone);
  //! Why usable() says no at that date, after it was asked; empty: it says yes.
  std::string_view why_out(std::uint32_t number, std::uint32_t outstanding, Instant now, bool alone) const;
  //! Weight by configuration and slow start.
  double weight(std::uint32_t number, Instant now) const;
  //! What failures take from it (nginx's effective weight); each look gives back 1.
  double take_penalty(std::uint32_t number);

  //! False: one request more would be too many.
  bool admits() const { return spec_.max_requests == 0 || open_ < spec_.max_requests; }
  bool admits_retry() const { return spec_.max_retries == 0 || retrying_ < spec_.max_retries; }
  void turned_away() { ++counts_.turned_away; }

  //! A request goes there; `again`: after a failure elsewhere.
  void tried(std::uint32_t number, Instant now, bool again);
  void ended(std::uint32_t number, TryEnd how, Instant now, bool again);
  //! Result of an active probe.
  void probed(std::uint32_t number, bool alive);

  const HealthSpec& spec() const { return spec_; }
  const Counts& counts() const { return counts_; }
  void reset_counts() { counts_ = {}; }

 private:
  enum class Circuit : std::uint8_t { closed, open, half_open };
  struct State {
    bool listed = false;
    Instant since;
    // nginx
    std::uint32_t fails = 0;
    Instant accessed, checked;
    double penalty = 0;
    // outlier detection
    bool ejected = false;
    Instant ejected_at;
    std::uint32_t row = 0, ejections = 0;
    std::uint64_t answered = 0, ended = 0;
    // circuit breaker
    Circuit circuit = Circuit::closed;
    Instant window, opened;
    std::uint32_t errors = 0, requests = 0, probing = 0, proved = 0;
    // active checks
    bool out = false;
    std::uint32_t streak = 0;
  };

  State& at(std::uint32_t number);
  void sweep(Instant now);
  void judge_success_rates(Instant now);
  bool may_eject() const;
  void eject(State& s, Instant now);
  void count_for_circuit(State& s, bool failed, Instant now);

  HealthSpec spec_;
  std::vector<State> states_;
  Counts counts_;
  Instant next_sweep_;
  bool sweeping_ = false;
  std::uint32_t open_ = 0, retrying_ = 0;
};

}  // namespace isthmus::schedulers
