// New versions of services: replicas and traffic while they take over, analyses, ways back.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "results/distribution.hpp"
#include "results/recorder.hpp"
#include "results/rollout.hpp"
#include "schedulers/rollout_analysis.hpp"
#include "schedulers/rollout_rules.hpp"
#include "sim/core/event_queue.hpp"
#include "sim/core/random.hpp"
#include "sim/world/rollout_spec.hpp"

namespace isthmus::world {

class World;
struct Replica;
struct Request;

//! All rollouts of a run. The world tells it what happens; it outlives no world.
class Rollouts {
 public:
  explicit Rollouts(World& world);

  // rollouts.cpp: replicas
  void on_event(std::uint32_t what, std::uint64_t payload);
  //! The counters of a service's replicas are looked at.
  void scrape(std::uint32_t service);
  //! A replica is about to be made: which version it is.
  void made(Replica& replica) const;
  //! Replicas of the service have come, gone or changed their state, or more or fewer are wanted.
  void changed(std::uint32_t service);
  //! A rollout decides how many replicas of the service there are.
  bool scales(std::uint32_t service) const;
  //! It takes requests from now on.
  void ready(std::uint32_t replica);
  //! It has a version that no further replicas get.
  bool obsolete(std::uint32_t replica) const;

  // rollout_traffic.cpp: requests
  //! Chooses the version for a request; may_get() goes by it until the next call.
  void aim(std::uint32_t slot, std::uint32_t service);
  //! No replica of that version will do: any other that has traffic. False: there is none.
  bool aim_elsewhere();
  //! Whether the version of a replica suits.
  bool may_get(std::uint32_t replica) const;
  //! The ready replicas from which the balancer chooses for a request.
  const std::vector<std::uint32_t>& eligible(std::uint32_t slot, std::uint32_t service,
                                             const std::vector<std::uint32_t>& ready);
  //! A request goes to a replica.
  void sent(std::uint32_t slot, std::uint32_t replica);
  //! The replica's work on a request ends at `at`: true when it ends with an error, which has been dealt with.
  bool fails(std::uint32_t slot, Instant at);
  //! A request has ended.
  void observe(const Request& request);
  void add_totals(results::WorldTotals& totals);

 private:
  static constexpr std::uint32_t none = 0xffffffffU;
  enum class Phase : std::uint8_t { waiting, growing, promoted, aborting, over };
  enum class Split : std::uint8_t { mixed, weights, users };

  struct VersionTally {
    std::uint64_t answered = 0, failed = 0, errors = 0, with_accuracy = 0;
    double accuracy = 0;
    results::Distribution latency;
  };
  //! One service.
  struct Line {
    std::uint32_t service = 0;
    std::uint16_t stable = 0;          // version outside of rollouts
    std::uint16_t making = 0;          // version of replicas that are made now
    std::uint32_t current = none;      // rollout
    std::uint16_t fresh = 0;           // version of that one
    std::deque<std::uint32_t> queue;   // rollouts whose date has come
    Split split = Split::mixed;
    double weight = 0;                 // share of the new version, where it is split
    bool waking = false, retrying = false;
    std::map<std::uint16_t, std::uint32_t> unplaced;  // replicas that have found no machine, by version
    bool counting = false;             // somebody looks at the counters
    schedulers::VersionScrapes scrapes{Duration::zero()};
    EventHandle scraping;
    std::vector<VersionTally> tallies;
  };
  struct Run {
    const schedulers::AnalysisSpec* spec = nullptr;
    schedulers::AnalysisRun run;
    bool live = true, background = false;
  };
  struct Side {
    results::AbSide counts;
    results::Distribution latency;
  };
  //! One rollout.
  struct State {
    Phase phase = Phase::waiting;
    results::RolloutTotals totals;
    std::uint16_t old = 0;
    double percent = 0;                // canary: where it is, or on its way to
    std::size_t step = 0;
    Instant pause_until = Instant::never();
    bool analysing = false;            // in a step, or after the switch
    bool switched = false;             // blue/green; ab: users are split
    bool retire_due = false;           // those that have no traffic may go
    bool in_background = false;        // its analysis has begun
    bool stalled = false;
    bool old_stays = false;            // ab: the test is over, and the new version goes
    Instant exposed_since = Instant::never(), progress = Instant::never();
    schedulers::VersionCounts best_fresh;  // for progress
    std::uint32_t least_old = none;
    std::vector<Run> runs;
    std::vector<Side> sides;           // ab: old, new
    Instant test_since = Instant::never();
  };

  const RolloutSpec& spec(std::uint32_t index) const;
  Line& line_of(std::uint32_t index) { return lines_[line_of_service_[spec(index).service]]; }
  Line* find(std::uint32_t service);
  const Line* find(std::uint32_t service) const;
  void push(Duration wait, std::uint32_t target, std::uint32_t kind, std::uint64_t what = 0);
  void note(std::uint32_t index, std::string what);
  bool alive(std::uint32_t replica) const;
  bool available(const Line& line, std::uint32_t replica) const;
  schedulers::VersionCounts count(const Line& line, std::uint16_t version) const;
  std::uint32_t wanted(const Line& line) const;
  void dress(Replica& replica, const Line& line, std::uint16_t version) const;

  void begin(std::uint32_t index);
  void go_on(Line& line);
  bool move_replicas(Line& line);
  schedulers::ReplicaTargets targets(const Line& line, const schedulers::VersionCounts& fresh,
                                     const schedulers::VersionCounts& old) const;
  std::uint32_t fresh_wanted(const Line& line) const;
  bool place(Line& line);
  bool bring(Line& line, std::uint16_t version, std::uint32_t have, std::uint32_t want);
  void note_progress(Line& line);
  void check_deadline(std::uint32_t index);
  bool waits_for_replicas(std::uint32_t index) const;
  bool advance(Line& line);
  bool advance_steps(Line& line);
  bool reached(const Line& line) const;
  bool take_all(Line& line);
  void set_weight(Line& line, double weight);
  void retire_later(std::uint32_t index, Duration delay);
  void start_analysis(std::uint32_t index, const std::vector<schedulers::AnalysisSpec>& all, bool background);
  bool analysis_over(std::uint32_t index) const;
  void measure(std::uint32_t index, std::size_t run);
  void promote(Line& line);
  void abort(Line& line, const std::string& why);
  void close(Line& line);
  void end_test(Line& line);
  bool fits(std::uint32_t slot);

  World& world_;
  StreamKey draws_;
  std::deque<Line> lines_;
  std::vector<std::uint32_t> line_of_service_;   // none: without rollouts
  std::vector<std::uint32_t> compatibility_of_;  // by service; none: nobody asks
  std::vector<results::SkewTotals> skews_;       // by compatibility
  std::vector<std::uint16_t> device_versions_;   // of the device's part, by request slot
  std::deque<State> states_;
  // Which replicas the request may get whose turn it is.
  enum class Aim : std::uint8_t { any, version, weighted } aim_ = Aim::any;
  std::uint32_t aimed_line_ = none;
  std::uint16_t aimed_version_ = 0;
  std::vector<std::uint32_t> eligible_;
};

}  // namespace isthmus::world
