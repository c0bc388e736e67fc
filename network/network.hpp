// The network as the world sees it: transfers go in, ends of transfers come out. Two backends.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "network/topology.hpp"
#include "sim/core/ids.hpp"
#include "sim/core/time.hpp"

namespace isthmus::network {

//! How a transfer ended.
enum class Outcome : std::uint8_t { delivered, failed, cancelled };

//! Data to move between two hosts (indices into Topology::hosts).
struct Transfer {
  std::uint32_t from = 0, to = 0;
  double bytes = 0;       //!< >= 0; 0 takes the path latency alone
  double rate_cap = 0;    //!< bytes/s; 0 = none
  std::uint64_t tag = 0;  //!< handed back in FlowEnd
  std::uint32_t policy = 0;  //!< what follows a failure: AccessRules::policies, from 1; 0: it ends
};

//! The end of one transfer.
struct FlowEnd {
  std::uint64_t tag = 0;
  Outcome outcome = Outcome::delivered;
  Instant at;
  double left = 0;  //!< bytes that were not moved, of failed and cancelled ones
  //! Number of its start: ends of one date are reported in order of start, whatever the backend.
  std::uint64_t order = 0;
};

//! What became of transfers, since the start.
struct TransferCounters {
  std::uint64_t retries = 0, resumes = 0;  //!< attempts after a failure, from the start or not
  std::uint64_t given_up = 0;              //!< failed with all attempts used
  std::uint64_t promotions = 0;            //!< of radios
  std::uint64_t handovers = 0;             //!< that transfers in flight had to wait for or failed in
  double resent = 0;                       //!< bytes that retries send once more
  double waited = 0;                       //!< s in promotions, jitter and handovers, over transfers
};

//! The event loop that a network runs beside. Implemented by the world (and by small test drivers).
class EventLoop {
 public:
  virtual ~EventLoop() = default;
  //! Date of the earliest pending event; Instant::never() when the run is over.
  virtual Instant next() = 0;
  //! Executes the earliest event (it may call Network::start and Network::cancel).
  virtual void step() = 0;
  //! A transfer ended at `end.at` (>= the date of the last event, <= next()). Must only take note,
  //! i.e. push an event at that date.
  virtual void flow_ended(const FlowEnd& end) = 0;
};

//! Parameters of the flow model that both backends understand. The numbers always count; `name`
//! only says where they come from (flow_model() gives the numbers of a name).
struct FlowModel {
  //! "CM02" or "LV08"; on the simgrid backend also "SMPI", which runs `native`.
  std::string name = "CM02";
  double latency_factor = 1.0;    //!< start-up delay = factor * path latency
  double bandwidth_factor = 1.0;  //!< payload rate = factor * consumed capacity
  double tcp_gamma = 0.0;         //!< bytes; consumption <= gamma / (2 * latency); 0 = unlimited
  //! Bytes. Flows share a link in proportion to 1 / (path latency + sum of S / bandwidth over the
  //! path); a path without latency counts as 1. This is SimGrid's rule, for S = 0 too, where the
  //! share is inversely proportional to the latency.
  double weight_s = 0.0;
  //! true: every flow has the same weight (textbook max-min), whatever its latency and `weight_s`.
  bool equal_shares = false;
  bool cross_traffic = false;  //!< ACKs take 5 % of the rate on the way back
  //! simgrid only: leave latencies, weights and bounds to SimGrid, its traps included (see
  //! docs/network.md). For reproducing figures of plain SimGrid.
  bool native = false;
};

//! The parameters that SimGrid gives a model name: "CM02" (factors 1, no window, no ACK traffic) or
//! "LV08" (13.01, 0.97, S = 20537 B, window 4 MiB, ACK traffic; Velho and Legrand 2009). Other
//! names come back `native` with CM02's numbers. Throws InputError for a name SimGrid does not
//! know.
FlowModel flow_model(const std::string& name);

//! A running network. start and cancel are called from EventLoop::step only.
class Network {
 public:
  virtual ~Network() = default;
  //! Starts a transfer at `now`, the date of the current event. Ends are reported once, by
  //! EventLoop::flow_ended. A transfer whose path is down ends `failed` at `now`.
  virtual FlowId start(const Transfer& transfer, Instant now) = 0;
  //! Ends a transfer early; it is reported as `cancelled` at `now`. Unknown ids are ignored.
  virtual void cancel(FlowId flow, Instant now) = 0;
  //! Changes a link from `now` on (both directions when `bandwidth` is set).
  virtual void change_link(LinkId link, const LinkChange& change, Instant now) = 0;
  //! Puts `link` in the place of an access link of a host, for transfers that start from now on.
  //! No transfer of the host may be in flight.
  virtual void set_access(std::uint32_t host, std::size_t place, LinkId link) = 0;
  //! Runs the loop and the network together until loop.next() is never() and no flow is in flight
  //! or until `horizon` is reached by both.
  virtual void run(EventLoop& loop, Instant horizon) = 0;
  //! Number of transfers in flight.
  virtual std::size_t in_flight() const = 0;
  //! Sum of one-way latencies from one host to another at this moment.
  virtual Duration path_latency(std::uint32_t from, std::uint32_t to) const = 0;
  //! Smallest nominal capacity on the path at this moment, bytes/s (0 when a link is down).
  virtual double path_bandwidth(std::uint32_t from, std::uint32_t to) const = 0;
  //! Before figures are read: they are as of `now`, which no completion that was reported lies behind.
  virtual void bring_to(Instant now) { static_cast<void>(now); }
  //! Bytes carried so far by a link (sum of both directions).
  virtual double carried_bytes(LinkId link) const = 0;
  virtual TransferCounters counters() const { return {}; }
  //! Seconds of full use of a link with a power, or of a Wi-Fi cell, so far: the integral of the share of its present
  //! capacity in use, acknowledgements included; 0 for links without.
  virtual double busy_seconds(LinkId link) const = 0;
  //! Name for the summary, e.g. "fluid" or "simgrid 3.32 CM02".
  virtual std::string describe() const = 0;
};

//! Our exact max-min solver; any number may live in one process.
std::unique_ptr<Network> make_fluid_network(const Topology& topology, const FlowModel& model);

//! SimGrid. Its engine is a process-wide singleton whose clock never restarts: at most one call per
//! process (a second one throws Error); callers give every run a process of its own.
//! `options`: further SimGrid settings "name:value", passed through.
std::unique_ptr<Network> make_simgrid_network(const Topology& topology, const FlowModel& model,
                                              const std::vector<std::string>& options);

//! Puts Topology::access around a backend of the same topology, which must outlive it; draws come from `seed`. Gives the
//! backend back when there is nothing to add.
std::unique_ptr<Network> with_access_rules(std::unique_ptr<Network> backend,
                                           const Topology& topology, std::uint64_t seed);

//! Throws InputError listing what is wrong (dangling indices, non-positive bandwidths, unconnected
//! zones that `hosts` need are found at the first transfer).
void validate(const Topology& topology);

}  // namespace isthmus::network
