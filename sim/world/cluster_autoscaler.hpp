// Machines that come and go: an autoscaler for node groups, and providers that take machines back.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/core/random.hpp"
#include "sim/world/cluster_spec.hpp"
#include "sim/world/placer.hpp"
#include "sim/world/time_average.hpp"

namespace isthmus::world {

class World;
struct NodeGroup;
struct Request;

//! Exists in runs with a cluster autoscaler. A machine that does not exist is held down, as by a failure that nobody
//! counts. The world tells it what happens.
class ClusterAutoscaler {
 public:
  //! Takes away the machines that do not exist yet. Before services start.
  explicit ClusterAutoscaler(World& world);
  //! Once failures may hold machines.
  void hold_absent();
  //! Once replicas stand.
  void begin();

  void scan();
  void on_event(std::uint32_t node, std::uint64_t payload);
  //! Nothing new starts on the machine.
  bool cordoned(std::uint32_t node) const { return !states_.empty() && states_[node].stage == Stage::draining; }
  //! A machine is being taken away: no failure.
  bool removing() const { return removing_ != nobody; }
  //! With it goes a request.
  void request_lost(const Request& request);
  //! A replica has nothing left to do, or has gone.
  void calmed(std::uint32_t node);

  void reset_totals();
  void add_totals(std::vector<std::pair<std::string, double>>& out) const;

 private:
  static constexpr std::uint32_t nobody = 0xffffffffU;
  enum class Stage : std::uint8_t { fixed, absent, ordered, up, draining };
  struct Machine {
    Stage stage = Stage::fixed;          // fixed: of no group here
    std::uint32_t group = nobody;        // index into the groups of the specification
    bool interrupted = false;            // its provider wants it back
    std::uint64_t turns = 0;             // changes of stage; events of older ones are stale
    std::uint64_t orders = 0, lives = 0;  // for draws
    Instant since;                       // of this stage
    Instant unneeded_since = Instant::never();
  };
  struct Group {
    Duration backoff;
    Instant backoff_until, failed_at;
    std::uint64_t orders = 0, failures = 0, removals = 0, interruptions = 0, lost = 0, arrivals = 0;
    double lost_work = 0, waited = 0;    // s
    TimeAverage machines;
    double most = 0;
  };
  using Plan = Placer::Plan;
  using Waiting = std::vector<std::uint32_t>;  // services, one entry per replica
  struct Option {
    std::uint32_t group = nobody;
    std::uint32_t machines = 0, helped = 0;
    double waste = 0;
  };

  const ClusterGroup& spec_of(std::uint32_t node) const;
  const NodeGroup& machines_of(std::uint32_t group) const;
  void set_stage(std::uint32_t node, Stage stage);
  std::uint32_t count(std::uint32_t group, bool leaving_too) const;
  bool backing_off(std::uint32_t group) const;
  void order(std::uint32_t group, std::uint32_t machines);
  void arrives(std::uint32_t node);
  void given_up(std::uint32_t node);
  void draw_life(std::uint32_t node);
  void interrupt(std::uint32_t node);
  void interrupt_some(std::uint32_t group, std::uint32_t machines);
  void drain(std::uint32_t node);
  void give_up(std::uint32_t node);
  void take_away(std::uint32_t node);
  bool drained(std::uint32_t node) const;
  void count_machines(std::uint32_t group);

  // cluster_scaling.cpp: which machines are wanted
  Waiting waiting() const;
  double size_of(std::uint32_t service, std::uint32_t group) const;
  bool put(std::uint32_t service, std::uint32_t node, Plan& plan) const;
  void fill_present(Waiting& waiting, Plan& plan) const;
  Option estimate(std::uint32_t group, const Waiting& waiting, const Plan& plan) const;
  bool scale_up();
  double utilization(std::uint32_t node) const;
  bool rehouse(std::uint32_t node, Plan& plan) const;
  void look_for_unneeded();
  void scale_down();

  World& world_;
  const ClusterSpec& spec_;
  StreamKey draws_;
  std::vector<Machine> states_;          // by node
  std::vector<Group> groups_;
  Instant last_add_ = Instant::never(), last_delete_ = Instant::never();
  std::uint64_t scans_ = 0;
  std::uint32_t removing_ = nobody;
};

}  // namespace isthmus::world
