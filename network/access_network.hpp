// A backend with AccessRules around it: what delays, stops and repeats transfers, the same on every
// backend because none of it is the backend's business.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "network/cell_walk.hpp"
#include "network/flow_slots.hpp"
#include "network/network.hpp"
#include "network/routes.hpp"
#include "network/trace_follower.hpp"

namespace isthmus::network {

//! Stands between the event loop and a backend. At one date links that follow traces change first,
//! then hosts change their cells and ends are told, then the loop runs, then attempts begin: they see
//! the links as the loop has left them.
class AccessNetwork final : public Network, private EventLoop {
 public:
  //! `topology` must outlive it, and be what `backend` was made of.
  AccessNetwork(std::unique_ptr<Network> backend, const Topology& topology, std::uint64_t seed);

  FlowId start(const Transfer& transfer, Instant now) override;
  void cancel(FlowId flow, Instant now) override;
  void change_link(LinkId link, const LinkChange& change, Instant now) override;
  void set_access(std::uint32_t host, std::size_t place, LinkId link) override;
  void run(EventLoop& loop, Instant horizon) override;
  std::size_t in_flight() const override { return slots_.live(); }
  Duration path_latency(std::uint32_t from, std::uint32_t to) const override;
  double path_bandwidth(std::uint32_t from, std::uint32_t to) const override;
  void bring_to(Instant now) override { backend_->bring_to(now); }
  double carried_bytes(LinkId link) const override { return backend_->carried_bytes(link); }
  double busy_seconds(LinkId link) const override { return backend_->busy_seconds(link); }
  TransferCounters counters() const override { return counters_; }
  std::string describe() const override { return backend_->describe(); }

 private:
  static constexpr std::uint32_t none = 0xffffffffU;

  enum class Phase : std::uint8_t {
    waiting,    // for radios, then for its jitter
    moving,     // in the backend
    stopping,   // stopped for a handover; the backend has not said so yet
    failing,    // the same, but it fails
    stalled,    // until its hosts have cells again
    backing_off,
    cancelling, // the backend has not said so yet
    ending,     // its end stands in the queue
  };
  struct Slot {
    std::uint8_t generation = 0;
    bool used = false;
    Phase phase = Phase::waiting;
    bool present = false;         // counts at its hosts
    std::uint32_t attempts = 1;
    std::uint64_t serial = 0;     // tells stale timers
    Transfer transfer;
    double left = 0;              // bytes
    Instant since;                // it waits
    FlowId inner;
    std::vector<LinkId> traced;   // links in use in follower_
    Outcome outcome = Outcome::delivered;  // phase ending
  };
  struct HostState {
    std::uint32_t active = 0;     // transfers
    std::uint32_t radio = none;   // index of its rule
    Instant idle_since = Instant::never();  // never: since ever
    Instant ready;                // end of the promotion
    std::uint64_t draws = 0;
  };
  enum class Do : std::uint8_t { end, handover, launch, begin };  // from `launch` on: after the loop
  struct Timer {
    Instant at;
    std::uint64_t order;
    Do what;
    std::uint32_t subject;        // slot, or mover
    std::uint64_t serial;         // of the slot's transfer
    bool late() const { return what >= Do::launch; }
    bool operator>(const Timer& o) const {
      if (at != o.at) return at > o.at;
      return late() != o.late() ? late() : order > o.order;
    }
  };

  // EventLoop, as the backend sees it
  Instant next() override;
  void step() override;
  void flow_ended(const FlowEnd& end) override;

  void push(Instant at, Do what, std::uint32_t subject, std::uint64_t serial = 0);
  void begin(std::uint32_t slot, Instant now);
  void launch(std::uint32_t slot, Instant now);
  void fail(std::uint32_t slot, Instant at, double left);
  void finish(std::uint32_t slot, Outcome outcome, Instant at);
  void end_soon(std::uint32_t slot, Outcome outcome, Instant now);
  void enter(std::uint32_t slot, std::uint32_t host, Instant now);
  void leave(std::uint32_t slot, Instant at);
  void handover(std::uint32_t mover, Instant now);
  void follow_moves(std::uint32_t host, Instant now) const;
  bool connected(const Transfer& t) const;
  bool stalls(const Transfer& t) const;
  void refresh(std::uint32_t from, std::uint32_t to) const;
  double rate_cap(const Transfer& t) const;

  std::unique_ptr<Network> backend_;
  const Topology& topology_;
  const AccessRules& rules_;
  // Queries bring what nobody has looked at up to date.
  mutable Router router_;
  mutable TraceFollower follower_;
  mutable CellWalk cells_;
  mutable std::vector<LinkUse> path_;
  FlowSlots<Slot> slots_;
  std::vector<HostState> hosts_;
  std::vector<std::vector<std::uint32_t>> of_mover_;  // slots of transfers of mobile hosts
  std::vector<char> mover_timed_;
  std::vector<Timer> timers_;                         // heap, earliest first
  std::uint64_t order_ = 0;
  EventLoop* loop_ = nullptr;
  Instant now_;
  bool jitter_ = false, loss_ = false;
  StreamKey promotion_draws_, jitter_draws_, backoff_draws_;
  TransferCounters counters_;
};

}  // namespace isthmus::network
