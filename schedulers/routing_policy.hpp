// Which replica of a service gets this request?
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "schedulers/policy.hpp"
#include "sim/core/time.hpp"

namespace isthmus::schedulers {

//! What a balancer knows of one replica.
struct ReplicaSignal {
  std::uint32_t replica = 0;           //!< stable number of the replica
  std::uint32_t outstanding = 0;       //!< requests sent and not yet answered
  double weight = 1;
  // As of the last scrape (RoutingView::signal_age); 0 where the policy does not want them.
  std::uint32_t waiting = 0;           //!< requests in its queue
  double kv_usage = 0;                 //!< share of the KV blocks in use, [0, 1]; 0 without an engine
  double penalty = 0;                  //!< weight that recent failures take away for a while (health.hpp)
  // Where the policy wants places.
  std::uint32_t zone = 0;
  std::uint16_t priority = 0;          //!< 0 goes first
  bool healthy = true;                 //!< false only where the policy wants the unhealthy
};

//! How a request that the policy placed has ended.
struct RoutingOutcome {
  std::uint32_t replica = 0;           //!< its number
  Instant now;
  Duration latency;                    //!< from the choice of the replica to the end of the answer
  Duration response;                   //!< to the answer's first part
  Duration delivery;                   //!< of the answer's way to the client
  bool succeeded = true;
};

struct RoutingView {
  Instant now;
  std::uint64_t session = 0;           //!< hash of the client or session
  double uniform = 0.5;                //!< this decision's own uniform draw, (0, 1)
  std::span<const ReplicaSignal> replicas;  //!< ready replicas, by number; never empty
  Duration signal_age = {};            //!< of the scraped signals
  //! Hashes of the whole blocks at the start of the prompt: equal numbers mean equal text from the
  //! start to the end of the block. Empty where nothing is known of the prompt.
  std::span<const std::uint64_t> prefix = {};
  std::uint32_t block_tokens = 0;      //!< of one block of the prefix
  bool unweighted = false;             //!< true says that all weights are 1: no need to look
  bool partial = false;                //!< further replicas are left out for now and will be back
  std::uint32_t zone = 0xffffffffU;    //!< where the request comes from, if places are wanted; ~0: not known
};

//! Keeps state of its own, one object per service.
class RoutingPolicy {
 public:
  virtual ~RoutingPolicy() = default;
  //! Returns an index into view.replicas.
  virtual std::size_t choose(const RoutingView& view) = 0;
  //! False spares the world the numbers and outstanding requests of the replicas.
  virtual bool wants_outstanding() const { return true; }
  //! False spares the world the scraped signals of the replicas.
  virtual bool wants_load() const { return false; }
  //! Time between scrapes; zero: signals are read at every decision.
  virtual Duration signal_period() const { return Duration::zero(); }
  //! False spares the world RoutingView::prefix.
  virtual bool wants_prefix() const { return false; }
  //! False spares the world the zones and priorities of the replicas.
  virtual bool wants_places() const { return false; }
  //! True: replicas that are thought to be down are shown, too, with ReplicaSignal::healthy.
  virtual bool wants_unhealthy() const { return false; }
  //! False spares the world observe().
  virtual bool wants_outcomes() const { return false; }
  //! Feedback, in order of dates; requests that were given up are not reported.
  virtual void observe(const RoutingOutcome& outcome) { (void)outcome; }
  //! True when it must see requests that have one replica to go to, because it remembers them.
  virtual bool remembers() const { return false; }
};

const std::vector<PolicyEntry<RoutingPolicy>>& routing_policies();

}  // namespace isthmus::schedulers
